"""`memhost extraction show`: how memories were extracted from a session; and `memhost rebuild`."""

from __future__ import annotations

from typing import Any

import click

from memhost.cli.access import ask, target_of
from memhost.cli.options import config_options, confirm, force_option, json_option, show, url_options
from memhost.cli.root import Nested


@click.group(cls=Nested)
def extraction() -> None:
    """Show how memories were extracted from a session."""


@extraction.command("show")
@click.argument("session_id")
@click.option("-n", "--namespace", help="Namespace of the session.")
@click.option("-u", "--user-id", help="User of the session.")
@click.option("-l", "--limit", type=click.IntRange(0, 50), default=5, show_default=True, help="Most runs to show.")
@click.option("--prompts", is_flag=True, help="Print the questions to the model too.")
@url_options
@config_options
@json_option
def show_(
    session_id: str,
    namespace: str | None,
    user_id: str | None,
    limit: int,
    prompts: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Show a session's extraction: its state, and its latest runs, the newest first."""
    request = {"session_id": session_id, "namespace": namespace, "user_id": user_id, "limit": limit}
    found = ask(target_of(options), "session_extraction", request)
    if as_json:
        show(found)
        return
    click.echo(state_line(found))
    for run in found["runs"]:
        _print_run(run, prompts=prompts)
    if not found["runs"] and limit:
        kept = f"Runs are kept for {found['keep_days']:g} days." if found["keep_days"] else "Runs are not kept."
        click.echo(f"No runs. {kept}", err=True)


def state_line(found: dict[str, Any]) -> str:
    """The state of an extraction in one line, with its cause where it failed."""
    from memhost.cli.printing import minute, printable

    parts = [f"extraction {found['state']}", f"strategy {found['strategy']}"]
    if found["pending"]:
        parts.append(f"{found['pending']} messages wait")
    if found["last_run_at"]:
        parts.append(f"last run {minute(found['last_run_at'])}")
    if found["last_error"]:
        parts.append(found["last_error"])
    return printable(" · ".join(parts))


def _print_run(run: dict[str, Any], *, prompts: bool) -> None:
    from memhost.cli.printing import minute, printable

    cost = "price unknown" if run["cost_usd"] is None else f"${run['cost_usd']:.4f}"
    tokens = f"{run['input_tokens']} + {run['output_tokens']} tokens"
    click.echo(printable(f"\n{minute(run['at'])} · {run['strategy']} · {tokens} · {cost}"))
    for name in ("turns", "stored", "repeated", "superseded", "withdrawn"):
        if run[name]:
            click.echo(printable(f"  {name}: {', '.join(run[name])}"))
    for join in run["merged"]:
        click.echo(printable(f"  merged: {', '.join(join['goes'])} into {join['stays']}"))
    for sentence in run["dropped"]:
        click.echo(printable(f"  left out: {sentence}"))
    if run["error"]:
        click.echo(printable(f"  error: {run['error']}"))
    for call in run["calls"]:
        if prompts:
            _print_text(f"asked ({call['purpose']})", call["asked"])
        _print_text(f"answered ({call['purpose']})", call["error"] or call["answered"])


def _print_text(title: str, text: str) -> None:
    from memhost.cli.printing import printable

    click.echo(f"  {title}:")
    for line in text.splitlines():
        click.echo(printable(f"    {line}"))


@click.command()
@click.option("-n", "--namespace", help="Only memories of this namespace.")
@click.option("-u", "--user-id", help="Only memories of this user.")
@click.option("-s", "--session-id", help="Only memories of this session.")
@click.option("--dry-run", is_flag=True, help="Only count what would be removed and read again.")
@force_option
@url_options
@config_options
@json_option
def rebuild(
    namespace: str | None,
    user_id: str | None,
    session_id: str | None,
    dry_run: bool,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Remove what strategies made of turns (to the trash), and have a language model read the turns again."""
    scope = {"namespace": namespace, "user_id": user_id, "session_id": session_id}
    if not dry_run:
        whose = ", ".join(f"{name} {value}" for name, value in scope.items() if value) or "everything"
        confirm(f"Rebuild the extracted memories of {whose}?", force=force)
    report = ask(target_of(options), "rebuild_memories", {**scope, "dry_run": dry_run})["report"]
    if as_json:
        show(report)
        return
    verbs = ("would be moved", "would be read") if dry_run else ("were moved", "wait to be read")
    click.echo(
        f"{report['removed']} memories {verbs[0]} to the trash; {report['turns']} turns of {report['sessions']} "
        f"sessions {verbs[1]} again; {report['kept']} other memories of these sessions stay."
    )
