"""`memhost review list|show|approve|correct|refuse`."""

from __future__ import annotations

from typing import Any

import click

from memhost.cli.access import Target, ask, reach, run, target_of
from memhost.cli.options import config_options, confirm, json_option, show, url_options
from memhost.cli.root import Nested
from memhost.errors import NotFound

_ids = click.argument("ids", nargs=-1, required=True)
_id = click.argument("memory_id")


@click.group(cls=Nested)
def review() -> None:
    """Decide on memories that wait for a review."""


@review.command("list")
@click.option("-n", "--namespace", help="Only memories of this namespace.")
@click.option("-u", "--user-id", help="Only memories of this user.")
@click.option("-r", "--reason", help="Only memories that wait for this reason: payments, rights, contradicts, ...")
@click.option("-l", "--limit", type=click.IntRange(1, 500), default=100, show_default=True)
@click.option("--after", default="", help="Start after this: `next` of the previous page.")
@url_options
@config_options
@json_option
def list_(
    namespace: str | None,
    user_id: str | None,
    reason: str | None,
    limit: int,
    after: str,
    as_json: bool,
    **options: Any,
) -> None:
    """List memories that wait for a review."""
    request = {"namespace": namespace, "user_id": user_id, "reason": reason, "limit": limit, "after": after}
    found = ask(target_of(options), "list_reviews", request)
    if as_json:
        show(found)
    else:
        _print(found)


@review.command("show")
@_id
@url_options
@config_options
@json_option
def show_(memory_id: str, as_json: bool, **options: Any) -> None:
    """Show a memory that waits, why, and who stored it."""
    found = ask(target_of(options), "get_review", {"memory_id": memory_id})
    if as_json:
        show(found)
        return
    memory, told = found["memory"], found["memory"]["review"]
    owner = ", ".join(filter(None, (memory["user_id"] or "no user", memory["namespace"])))
    _say(memory["text"])
    _say(f"  hash:       {found['hash']}")
    _say(f"  reasons:    {', '.join(told['reasons'])}")
    _say(f"  owner:      {owner}")
    _say(f"  stored by:  {found['stored_by'] or 'unknown'} through {found['door'] or '?'}, {found['held_at']}")
    if told["would_change"]:
        _say(f"  changes:    {', '.join(told['would_change'])}")
    if found["expires_at"]:
        _say(f"  refused on: {found['expires_at']}, if nobody decides")


@review.command()
@_ids
@click.option(
    "--hash",
    "hashes",
    multiple=True,
    help="The hash of what was read (`review show`, `review list --json`), once for each ID in their order. Nothing is "
    "asked then.",
)
@url_options
@config_options
@json_option
def approve(ids: tuple[str, ...], hashes: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Make memories that wait facts: those that --hash names, else those whose texts you have read and confirmed."""
    if hashes and len(hashes) != len(ids):
        raise click.UsageError(f"--hash names {len(hashes)} of {len(ids)} ids: give the hash of each, in order.")
    target = target_of(options)
    read = dict(zip(ids, hashes, strict=True)) if hashes else _read(target, ids)
    found = ask(target, "approve_reviews", {"memory_ids": list(dict.fromkeys(ids)), "if_hash": read})
    _decided(found, "approved", as_json)


def _read(target: Target, ids: tuple[str, ...]) -> dict[str, str]:
    """Show what waits to whoever sits there, and ask; the hashes of what they saw.

    Raises:
        RefusedByUserError: The answer was no.
        NeedsForceError: There is no terminal to ask on.
    """

    async def texts() -> list[dict[str, Any]]:
        found = []
        async with reach(target) as access:
            for memory_id in dict.fromkeys(ids):
                try:
                    found.append(await access.call("get_review", {"memory_id": memory_id}))
                except NotFound:
                    continue  # the answer names it
        return found

    waiting = run(texts)
    for each in waiting:
        _say(f"{each['memory']['id']}: {each['memory']['text']}", err=True)
    if waiting:
        number = "this memory" if len(waiting) == 1 else f"these {len(waiting)} memories"
        confirm(f"Approve {number}?", otherwise="name what you read: --hash HASH (memhost review show ID)")
    return {each["memory"]["id"]: each["hash"] for each in waiting}


@review.command()
@_id
@click.argument("text")
@url_options
@config_options
@json_option
def correct(memory_id: str, text: str, as_json: bool, **options: Any) -> None:
    """Make a memory that waits a fact, with another TEXT."""
    found = ask(target_of(options), "correct_review", {"memory_id": memory_id, "text": text})
    if as_json:
        show(found)
    else:
        _say(f"{found['id']}: {found['text']}")


@review.command()
@_ids
@url_options
@config_options
@json_option
def refuse(ids: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Throw memories away that wait."""
    _decided(ask(target_of(options), "refuse_reviews", {"memory_ids": list(ids)}), "refused", as_json)


def _decided(found: dict[str, Any], word: str, as_json: bool) -> None:
    if as_json:
        show(found)
    else:
        click.echo(f"{len(found['decided'])} {word}.")
    reasons = (
        ("taken", "another memory has this id by now"),
        ("missing", "nothing waits under this id"),
        ("changed", "it was changed just now, and still waits; read it again: memhost review show"),
    )
    left = [f"{memory_id}: {why}." for name, why in reasons for memory_id in found[name]]
    if left:
        raise NotFound(" ".join(left))


def _say(line: str, *, err: bool = False) -> None:
    """Print a line; what waits is somebody's words, who may want to hide them from the reader."""
    from memhost.cli.printing import printable

    click.echo(printable(line), err=err)


def _print(found: dict[str, Any]) -> None:
    from memhost.cli.printing import minute, shorten, table

    if not found["memories"]:
        click.echo("Nothing waits for a review.")
        return
    rows = [
        (
            item["memory"]["id"],
            ", ".join(item["memory"]["review"]["reasons"]),
            item["memory"]["user_id"] or "",
            item["stored_by"],
            minute(item["held_at"]),
            shorten(item["memory"]["text"], 100),
        )
        for item in found["memories"]
    ]
    table(("memory", "reasons", "user", "stored by", "since", "text"), rows, whole=("memory",))
    if found["next"]:
        click.echo(f"There are more: --after {found['next']}")
