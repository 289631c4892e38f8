"""`memhost explain ID`: what a memory was made from, and what was made from it."""

from __future__ import annotations

from typing import Any

import click

from memhost.cli.access import ask, target_of
from memhost.cli.options import config_options, json_option, show, url_options


@click.command()
@click.argument("memory_id", metavar="ID")
@url_options
@config_options
@json_option
def explain(memory_id: str, as_json: bool, **options: Any) -> None:
    """Show what a memory was made from, and what was made from it."""
    found = ask(target_of(options), "explain_memory", {"memory_id": memory_id})
    show(found) if as_json else _print(found)


def _print(chain: dict[str, Any]) -> None:
    from memhost.cli.printing import minute, printable

    def tell(line: str) -> None:
        click.echo(printable(line))

    memory = chain["memory"]
    tell(f"{memory['id']}: {memory['text']}")
    if chain["asked_for"]:
        tell(f"  {chain['asked_for']} was merged into it.")
    if chain["state"] == "trash":
        tell(f"  in the trash: {chain['reason']}")
    made = f"  made by {chain['made_by']}, {minute(memory['created_at'])}"
    run = chain["run"]
    tell(made if run is None else f"{made}; run of {minute(run['at'])}, {run['model'] or 'no model'}")
    for turn in chain["turns"]:
        said = turn["text"] if turn["text"] is not None else "(not kept any more)"
        when = f"{minute(turn['created_at'])} " if turn["created_at"] else ""
        tell(f"  <- turn {turn['id']} {when}{turn['role'] or ''}: {said}")
    for sign, others in (("<-", chain["before"]), ("->", chain["after"])):
        for other in others:
            when = f" {minute(other['at'])}" if other["at"] else ""
            tell(f"  {sign} {other['relation']} {other['id']}{when}: {other['text']}")
    for view in chain["views"]:
        group = ", ".join(f"{name} {value}" for name, value in view["group"].items())
        tell(f"  -> view {view['name'] or view['view_id']} ({group or 'everything'})")
    if chain["in_summary"]:
        tell("  -> the running summary of its session")
