"""`memhost context`."""

from __future__ import annotations

from typing import Any

import click

from memhost.cli.access import ask, target_of
from memhost.cli.options import config_options, json_option, show, url_options

_SENT = ("namespace", "session_id", "user_id", "model_name", "timezone")


@click.command()
@click.argument("query", default="")
@click.option("-n", "--namespace", help="Only this namespace.")
@click.option("-u", "--user-id", help="Only this user.")
@click.option(
    "-s", "--session-id", help="Session that the agent is in; without QUERY its newest message is the question."
)
@click.option("-b", "--budget", type=click.IntRange(1, 100_000), default=1_000, show_default=True, help="Most tokens.")
@click.option("-m", "--model-name", help="Model that reads it, whose tokenizer counts.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["markdown", "xml", "json", "messages"]),
    default="markdown",
    show_default=True,
    help="Format of the context itself.",
)
@click.option("--ids", is_flag=True, help="Write the ids of memories into the text.")
@click.option("--timezone", help="IANA zone of the user, as in Europe/Paris.")
@url_options
@config_options
@json_option
def context(**options: Any) -> None:
    """Print what is remembered for QUERY, as a prompt takes it. How many tokens it has goes to stderr."""
    if not options["query"].strip() and not options["session_id"]:
        raise click.UsageError("Give a QUERY, or --session-id.")
    target = target_of(options)
    as_json = options.pop("as_json")
    found = ask(target, "get_context", _request(options))
    if as_json:
        show(found)
    else:
        _print(found)


def _request(options: dict[str, Any]) -> dict[str, Any]:
    request = {name: options[name] for name in _SENT if options[name] is not None}
    if options["query"].strip():
        request["query"] = options["query"]
    return {**request, "budget": options["budget"], "format": options["form"], "include_ids": options["ids"]}


def _print(found: dict[str, Any]) -> None:
    from memhost.cli.printing import printable

    click.echo("\n".join(printable(line) for line in found["text"].splitlines()))
    memories = sum(len(item["ids"]) for item in found["items"])
    counted = found["tokenizer"] or "at most"
    left = f"; {found['left_out']} more memories were found" if found["left_out"] else ""
    click.echo(f"{found['tokens']} of {found['budget']} tokens ({counted}), {memories} memories{left}.", err=True)
