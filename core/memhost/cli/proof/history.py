"""`memhost history list|show|compare|restore|redact`."""

from __future__ import annotations

from typing import Any

import click

from memhost.cli.access import ask, target_of
from memhost.cli.options import config_options, confirm, force_option, json_option, show, tenant_option, url_options
from memhost.cli.root import Nested

_VERSION = click.IntRange(1)
_VERSION.name = "version number"
_memory = click.argument("memory_id", metavar="ID")
_number = click.argument("version", type=_VERSION)


@click.group(cls=Nested)
def history() -> None:
    """List, show, compare, restore and redact versions of a memory."""


@history.command("list")
@_memory
@click.option("-l", "--limit", type=click.IntRange(1, 500), default=100, show_default=True)
@click.option("--after", type=click.IntRange(0), default=0, help="Start after this: `next` of the previous page.")
@tenant_option
@url_options
@config_options
@json_option
def list_(memory_id: str, limit: int, after: int, as_json: bool, **options: Any) -> None:
    """List the versions of a memory: who changed it, when and how."""
    request = {"memory_id": memory_id, "limit": limit, "after": after}
    found = ask(target_of(options), "list_memory_versions", request)
    if as_json:
        show(found)
        return
    from memhost.cli.printing import minute, table

    rows = [
        (
            str(each["version"] or ""),
            each["kind"],
            minute(each["at"]),
            each["subject"] or "",
            " ".join(filter(None, (each["door"], each["operation"]))),
            "now" if each["current"] else "kept" if each["kept"] else "",
        )
        for each in found["versions"]
    ]
    table(("version", "change", "when", "by", "through", "state"), rows)
    if found["next"]:
        click.echo(f"There are more: --after {found['next']}")


@history.command("show")
@_memory
@_number
@tenant_option
@url_options
@config_options
@json_option
def show_(memory_id: str, version: int, as_json: bool, **options: Any) -> None:
    """Show a memory as it was in a version."""
    found = ask(target_of(options), "get_memory_version", {"memory_id": memory_id, "version": version})
    if as_json:
        show(found)
        return
    from memhost.cli.printing import printable

    for name, value in found["memory"].items():
        if value not in (None, [], {}):
            click.echo(printable(f"{name}: {value}"))


@history.command()
@_memory
@_number
@click.argument("other", type=_VERSION, required=False)
@tenant_option
@url_options
@config_options
@json_option
def compare(memory_id: str, version: int, other: int | None, as_json: bool, **options: Any) -> None:
    """Show in which fields two versions of a memory differ; without OTHER the latest that is kept."""
    request = {"memory_id": memory_id, "version": version, "other": other}
    found = ask(target_of(options), "compare_memory_versions", request)
    if as_json:
        show(found)
        return
    from memhost.cli.printing import printable

    click.echo(f"Version {found['before']} and version {found['after']}:")
    for each in found["differences"]:
        click.echo(printable(f"  {each['field']}: {each['before']} -> {each['after']}"))
    if not found["differences"]:
        click.echo("  no difference")


@history.command()
@_memory
@_number
@click.option("--if-version", type=click.IntRange(0), help="Only if the memory is at this version; 0: it is gone.")
@tenant_option
@url_options
@config_options
@json_option
def restore(memory_id: str, version: int, if_version: int | None, as_json: bool, **options: Any) -> None:
    """Write a version of a memory again, as its newest one."""
    request = {"memory_id": memory_id, "version": version, "if_version": if_version}
    found = ask(target_of(options), "restore_memory_version", request)
    if as_json:
        show(found)
        return
    from memhost.cli.printing import printable, shorten

    click.echo(printable(f"{memory_id} says again: {shorten(found['text'])}"))


@history.command()
@_memory
@_number
@tenant_option
@force_option
@url_options
@config_options
@json_option
def redact(memory_id: str, version: int, force: bool, as_json: bool, **options: Any) -> None:
    """Remove a version of a memory for good, and its text wherever the memory has it."""
    target = target_of(options)
    confirm(f"Remove version {version} of {memory_id}, and its text? This cannot be undone.", force=force)
    found = ask(target, "redact_memory_version", {"memory_id": memory_id, "version": version})
    if as_json:
        show(found)
        return
    blanked = "; the memory itself says [redacted] now" if found["blanked"] else ""
    click.echo(f"{found['removed']} former states removed{blanked}.")
    if found["files"] == "pending":
        click.echo("memhost is still removing remaining bytes of them from the store's files.")
