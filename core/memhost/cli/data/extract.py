"""`memhost extract` and `memhost strategies`: have conversations extracted, or see what would come of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from memhost.cli.access import Target, ask, opened, reach, run, target_of
from memhost.cli.failures import CommandError
from memhost.cli.options import config_options, json_option, show, url_options
from memhost.cli.printing import minute, shorten, table
from memhost.cli.root import Nested

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def _owner_options(function: Any) -> Any:
    function = click.option("-u", "--user-id", help="User of the conversation.")(function)
    return click.option("-n", "--namespace", help="Namespace of the conversation.")(function)


@click.command()
@click.argument("file", type=_FILE, required=False)
@click.option("--dry-run", is_flag=True, help="Show the memories that FILE would give, and the cost; store nothing.")
@click.option("-s", "--session-id", help="Extract from the waiting messages of this session now.")
@click.option("--strategy", default="discrete", show_default=True, help="Strategy to try on FILE.")
@click.option("--set", "options", metavar="NAME=VALUE", multiple=True, help="An option of the strategy; repeatable.")
@_owner_options
@url_options
@config_options
@json_option
def extract(file: Path | None, dry_run: bool, session_id: str | None, **options: Any) -> None:
    """Extract memories with the language model: from a stored session, or as a dry run from FILE.

    FILE holds messages as JSON: a list of {"role": ..., "content": ..., "created_at": ...}, an object with such a
    list under "messages", or one such message a line.
    """
    as_json = options.pop("as_json")
    target = target_of(options)
    if (file is None) == (session_id is None):
        raise click.UsageError("Name a FILE (with --dry-run) or a --session-id.")
    if file is not None:
        if not dry_run:
            raise click.UsageError("Messages of a FILE are not stored: add --dry-run, or put them into a session.")
        seen = run(lambda: _preview(target, [_request(file, options["strategy"], options)]))[0]
        show(seen) if as_json else _print_preview(seen)
        return
    if dry_run:
        raise click.UsageError("--dry-run works on a FILE; `memhost sessions show` prints a session's messages.")
    owner = {name: options[name] for name in ("namespace", "user_id")}

    state = ask(target, "extract_session", {"session_id": session_id, **owner})
    if as_json:
        show(state)
    else:
        _print_state(state)


@click.group(cls=Nested)
def strategies() -> None:
    """List extraction strategies, and compare them on a conversation of your own."""


@strategies.command("list")
@config_options
@json_option
def list_(data: str | None, config_file: Path | None, as_json: bool) -> None:
    """List the strategies that sessions may name, and their options."""

    async def work() -> list[dict[str, Any]]:
        async with opened(data, config_file, creates=False, needs_data=False) as host:
            return [
                {
                    "name": entry.spec.name,
                    "summary": entry.spec.summary,
                    "plugin": entry.plugin,
                    "needs_model": entry.spec.needs_model,
                    "available": entry.spec.name in host.strategies,
                    "options": list(entry.spec.config.__struct_fields__),
                }
                for entry in host.plugins.strategies
            ]

    rows = run(work)
    if as_json:
        show(rows)
        return
    table(
        ("strategy", "what it keeps", "options", "state"),
        [(row["name"], row["summary"], ", ".join(row["options"]) or "-", _availability(row)) for row in rows],
    )


@strategies.command()
@click.argument("file", type=_FILE)
@click.option("--use", "names", multiple=True, help="Strategy to compare; repeatable. Default: discrete, preferences.")
@click.option("--set", "options", metavar="NAME=VALUE", multiple=True, help="An option of each strategy; repeatable.")
@_owner_options
@url_options
@config_options
@json_option
def compare(file: Path, names: Sequence[str], **options: Any) -> None:
    """Try several strategies on the messages of FILE, side by side. Nothing is stored."""
    as_json = options.pop("as_json")
    target = target_of(options)
    requests = [_request(file, name, options) for name in names or ("discrete", "preferences")]
    seen = run(lambda: _preview(target, requests))
    if as_json:
        show(seen)
        return
    for preview in seen:
        _print_preview(preview)
    table(
        ("strategy", "memories", "left out", "calls", "tokens", "cost"),
        [
            (
                preview["strategy"],
                str(len(preview["memories"])),
                str(len(preview["dropped"])),
                str(preview["calls"]),
                str(preview["input_tokens"] + preview["output_tokens"]),
                _money(preview["cost_usd"]),
            )
            for preview in seen
        ],
    )


async def _preview(target: Target, requests: Sequence[dict[str, Any]]) -> list[Any]:
    async with reach(target, needs_data=False) as access:
        return [await access.call("preview_extraction", request) for request in requests]


def _request(file: Path, strategy: str, options: dict[str, Any]) -> dict[str, Any]:
    config = dict(_option(text) for text in options["options"])
    request: dict[str, Any] = {
        "messages": _messages(file),
        "long_term_memory_strategy": {"strategy": strategy, "config": config},
    }
    return request | {name: options[name] for name in ("namespace", "user_id") if options[name]}


def _option(text: str) -> tuple[str, Any]:
    """A `NAME=VALUE`; values that are JSON are read as such."""
    name, found, value = text.partition("=")
    if not found or not name:
        raise click.UsageError(f"--set {text}: write it as NAME=VALUE.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _messages(file: Path) -> list[Any]:
    text = file.read_text(encoding="utf-8")
    try:
        given = json.loads(text)
    except ValueError:
        try:
            given = [json.loads(line) for line in text.splitlines() if line.strip()]
        except ValueError as error:
            raise CommandError(f"{file} is neither JSON nor JSON Lines: {error}.") from error
    if isinstance(given, dict):
        given = given.get("messages")
    if not isinstance(given, list) or not given:
        raise CommandError(f"{file} contains no messages: write a list of objects with role and content.")
    return given


def _print_preview(preview: dict[str, Any]) -> None:
    click.echo(f"{preview['strategy']}: {len(preview['memories'])} memories, {_money(preview['cost_usd'])}")
    table(
        ("type", "when", "memory", "topics", "from"),
        [
            (
                memory["memory_type"],
                minute(memory.get("event_date")) or "-",
                shorten(memory["text"]),
                ", ".join(memory["topics"]) or "-",
                ", ".join(memory["source_ids"]) or "-",
            )
            for memory in preview["memories"]
        ],
    )
    for change in preview.get("changes", ()):
        click.echo(f"{change['what']}: {shorten(change['text'])}")
    for reason in preview["dropped"]:
        click.echo(f"left out: {reason}")


def _print_state(state: dict[str, Any]) -> None:
    click.echo(f"{state['state']}: {state['pending']} messages wait.")
    if state["last_error"]:
        click.echo(f"last error: {state['last_error']}", err=True)


def _availability(row: dict[str, Any]) -> str:
    return "ready" if row["available"] else "needs LLM_MODEL"


def _money(cost: float | None) -> str:
    return "price unknown" if cost is None else f"${cost:.4f}"
