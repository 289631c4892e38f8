"""`memhost add|show|edit|forget`: single memories."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from memhost.cli.access import ask, target_of
from memhost.cli.options import config_options, confirm, force_option, json_option, show, url_options
from memhost.errors import NotFound

F = TypeVar("F", bound=Callable[..., Any])

_CLEARED = ("topics", "entities", "namespace", "user_id", "session_id", "event_date", "metadata")
_TYPES = ("semantic", "episodic", "message")


def _entries(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> dict[str, Any] | None:
    """Metadata from words like `state=done`, `count=3` or `tags=["a"]`."""
    found: dict[str, Any] = {}
    for entry in given:
        key, sign, value = entry.partition("=")
        if not sign or not key:
            raise click.BadParameter(f"{entry!r} is not of the form KEY=VALUE.")
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value
            continue
        try:
            json.dumps(found[key], allow_nan=False)
        except ValueError:
            raise click.BadParameter(f"{entry!r} holds no finite number; quote a text: {key}='\"...\"'.") from None
    return found or None


def _fields(function: F) -> F:
    """Options for what a memory holds beside its text."""
    for option in reversed(
        (
            click.option("-n", "--namespace", help="Namespace of the memory."),
            click.option("-u", "--user-id", help="Owner of the memory."),
            click.option("-s", "--session-id", help="Session of the memory."),
            click.option("-t", "--topics", help="Topics, separated by commas."),
            click.option("-e", "--entities", help="Entities, separated by commas."),
            click.option("--type", "memory_type", type=click.Choice(_TYPES), help="Kind of memory."),
            click.option(
                "--event-date", help="When it happened, as 2026-06-12 or 2026-06-12T10:00+02:00; without an offset UTC."
            ),
            click.option(
                "-m",
                "--metadata",
                multiple=True,
                metavar="KEY=VALUE",
                callback=_entries,
                help="Metadata that replaces all stored metadata; VALUE is JSON or a text. May be repeated.",
            ),
            click.option(
                "--pin/--unpin", "pinned", default=None, help="Exempt the memory from forgetting, or no longer."
            ),
        )
    ):
        function = option(function)
    return function


_ADDED = {
    "created": "Stored.",
    "duplicate": "The memory already exists, with this id.",
    "pending": "It waits for a review: memhost review list",
    "refused": "Not stored: a review refused the same text.",
}


@click.command()
@click.argument("text")
@click.option("--id", "memory_id", help="Id of the memory; by default a new one.")
@_fields
@url_options
@config_options
@json_option
def add(text: str, memory_id: str | None, as_json: bool, **options: Any) -> None:
    """Store a memory. TEXT is its text; - reads it from standard input."""
    target = target_of(options)
    memory = {"text": sys.stdin.read() if text == "-" else text, **_given(options)}
    if memory_id is not None:
        memory["id"] = memory_id
    (stored,) = ask(target, "store_memories", {"memories": [memory]}, creates=True)["results"]
    if as_json:
        show(stored)
    else:
        click.echo(stored["id"])
        click.echo(_ADDED[stored["status"]], err=True)


@click.command("show")
@click.argument("memory_id", metavar="ID")
@url_options
@config_options
@json_option
def show_(memory_id: str, as_json: bool, **options: Any) -> None:
    """Show all fields of a memory."""
    found = ask(target_of(options), "get_memory", {"memory_id": memory_id})
    show(found) if as_json else _print(found)


@click.command()
@click.argument("memory_id", metavar="ID")
@click.option("--text", help="New text.")
@_fields
@click.option("--clear", type=click.Choice(_CLEARED), multiple=True, help="Empty this field; may be repeated.")
@url_options
@config_options
@json_option
def edit(memory_id: str, text: str | None, clear: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Change fields of a memory; all others stay unchanged."""
    target = target_of(options)
    changes = _given(options)
    if text is not None:
        changes["text"] = text
    if both := [name for name in clear if name in changes]:
        raise click.UsageError(f"Give {both[0]} a new value or clear it, not both.")
    if clear:
        changes["clear"] = list(clear)
    if not changes:
        raise click.UsageError("Give at least one change, for instance with --text.")
    found = ask(target, "edit_memory", {"memory_id": memory_id, **changes})
    show(found) if as_json else _print(found)


@click.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@force_option
@url_options
@config_options
@json_option
def forget(ids: tuple[str, ...], force: bool, as_json: bool, **options: Any) -> None:
    """Remove memories by their ids, for good."""
    confirm(f"Remove {', '.join(ids) if len(ids) < 4 else f'{len(ids)} memories'} for good?", force=force)
    done = ask(target_of(options), "delete_memories", {"memory_ids": list(ids), "report": True})
    if as_json:
        show(done)
    else:
        click.echo(f"{len(done['deleted_ids'])} removed.")
    if missing := done["missing_ids"]:
        raise NotFound(f"There is no memory {', '.join(missing)}.")


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """The fields that were given."""
    found = {name: value for name, value in options.items() if value is not None}
    for name in ("topics", "entities"):
        if name in found:
            found[name] = [item.strip() for item in found[name].split(",") if item.strip()]
    return found


def _print(memory: dict[str, Any]) -> None:
    from memhost.cli.printing import table

    shown = {name: value for name, value in memory.items() if value not in (None, "", [], {}, False)}
    text = shown.pop("text")
    table(("", shown.pop("id")), [("text", text), *((name, _line(value)) for name, value in shown.items())])


def _line(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)


@click.command()
@click.argument("memory_id", metavar="ID")
@url_options
@config_options
@json_option
def explain(memory_id: str, as_json: bool, **options: Any) -> None:
    """Show what a memory was made from, and what was made from it."""
    found = ask(target_of(options), "explain_memory", {"memory_id": memory_id})
    show(found) if as_json else _print_chain(found)


def _print_chain(chain: dict[str, Any]) -> None:
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
