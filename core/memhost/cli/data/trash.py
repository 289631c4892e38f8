"""`memhost trash list|restore` and `memhost compact`."""

from __future__ import annotations

from typing import Any

import click

from memhost.cli.access import ask, target_of
from memhost.cli.options import config_options, json_option, show, url_options
from memhost.cli.root import Nested
from memhost.errors import NotFound

_namespace = click.option("-n", "--namespace", help="Only memories of this namespace.")
_user = click.option("-u", "--user-id", help="Only memories of this user.")


@click.group(cls=Nested)
def trash() -> None:
    """List and restore memories that the server removed."""


@trash.command("list")
@_namespace
@_user
@click.option("-l", "--limit", type=click.IntRange(1, 500), default=100, show_default=True)
@click.option("--after", default="", help="Start after this: `next` of the previous page.")
@url_options
@config_options
@json_option
def list_(
    namespace: str | None,
    user_id: str | None,
    limit: int,
    after: str,
    as_json: bool,
    **options: Any,
) -> None:
    """List memories that can be restored."""
    request = {"namespace": namespace, "user_id": user_id, "limit": limit, "after": after}
    found = ask(target_of(options), "list_trash", request)
    if as_json:
        show(found)
    else:
        _print(found)


@trash.command()
@click.argument("ids", nargs=-1, required=True)
@url_options
@config_options
@json_option
def restore(
    ids: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Restore memories, or make replaced facts valid again."""
    found = ask(target_of(options), "restore_memories", {"ids": list(ids)})
    refused = [
        f"{memory_id}: {why}."
        for name, why in (
            ("taken", "an existing memory has this id"),
            ("missing", "the trash has no memory with this id"),
        )
        for memory_id in found[name]
    ]
    if as_json:
        show(found)
    else:
        click.echo(f"{len(found['restored'])} restored.")
    if refused:
        raise NotFound(" ".join(refused))


@click.command()
@_namespace
@_user
@click.option("--dry-run", is_flag=True, help="Only report what would be done, without calling a language model.")
@url_options
@config_options
@json_option
def compact(
    namespace: str | None,
    user_id: str | None,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Merge memories that repeat each other or mean the same."""
    request = {"namespace": namespace, "user_id": user_id, "dry_run": dry_run, "report": True}
    report = ask(target_of(options), "compact_memories", request)["report"]
    if as_json:
        show(report)
        return
    would = "would be " if dry_run else ""
    click.echo(
        f"{report['scanned']} memories examined in {report['duration_s']} s: {report['exact_removed']} repetitions "
        f"{would}removed, {report['merged']} {would}merged, {report['superseded']} {would}replaced by newer facts, "
        f"{report['expired']} replaced long ago {would}dropped."
    )
    click.echo(f"{report['llm_calls']} calls to the language model; {report['remaining']} memories remain.")
    for join in report.get("joins", ()):
        _print_join(join)
    if report.get("turns"):
        click.echo(
            f"{report['turns']} of them are turns of conversations, word for word: they are evidence, and never merged."
        )
    if report.get("judge") is False:
        click.echo(
            "Only word-for-word repetitions were merged: finding texts with the same meaning needs a language model, "
            "and none is used (LLM, COMPACT_SEMANTIC_DUPLICATES)."
        )
    if report["undecided"]:
        click.echo(f"{report['undecided']} near pairs wait for a language model to judge them.")


def _print_join(join: dict[str, Any]) -> None:
    kept, *others = join["texts"]
    click.echo(f"  stays {join['stays']}: {kept}")
    for memory_id, text in zip(join["goes"], others, strict=True):
        click.echo(f"  goes  {memory_id}: {text}")


def _print(found: dict[str, Any]) -> None:
    from memhost.cli.printing import minute, shorten, table

    if not found["memories"]:
        click.echo("The trash is empty.")
        return
    rows = [
        (item["id"], item["reason"], minute(item["deleted_at"]), minute(item["expires_at"]), shorten(item["text"], 120))
        for item in found["memories"]
    ]
    table(("memory", "reason", "deleted", "kept until", "text"), rows, whole=("memory",))
    if found["next"]:
        click.echo(f"There are more: --after {found['next']}")
