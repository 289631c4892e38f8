"""`memhost audit` and `memhost verify`."""

from __future__ import annotations

from typing import Any

import click

from memhost.cli.access import ask, opened, run, target_of
from memhost.cli.options import config_options, confirm, force_option, json_option, show, tenant_option, url_options


@click.command()
@click.option("--memory", "memory_id", metavar="ID", help="Only changes of this memory.")
@click.option("-u", "--user-id", help="Only changes of memories of this user.")
@click.option("--change", help="Only changes of this kind: created, replaced, deleted, session, administered ...")
@click.option("--by", "subject", help="Only what this caller or plugin did.")
@click.option("--oldest-first", is_flag=True, help="The oldest first; else the newest.")
@click.option("-l", "--limit", type=click.IntRange(1, 500), default=100, show_default=True)
@click.option("--after", type=click.IntRange(0), default=0, help="Start after this: `next` of the previous page.")
@tenant_option
@url_options
@config_options
@json_option
def audit(as_json: bool, **options: Any) -> None:
    """Show the log: who changed, erased and administered what, without the texts of memories."""
    target = target_of(options)
    found = ask(target, "list_changes", {name: value for name, value in options.items() if value is not None})
    if as_json:
        show(found)
        return
    from memhost.cli.printing import minute, table

    rows = [
        (
            str(each["seq"]),
            minute(each["at"]),
            each["kind"] or "(erased)",
            " ".join(filter(None, (each["memory_id"], f"v{each['version']}" if each["version"] else "", each["note"]))),
            each["subject"] or "",
            " ".join(filter(None, (each["door"], each["operation"]))),
        )
        for each in found["changes"]
    ]
    table(("entry", "when", "change", "what", "by", "through"), rows)
    if found["next"]:
        click.echo(f"There are more: --after {found['next']}")


@click.command()
@click.option("--adopt", is_flag=True, help="Accept what is stored as it stands, and seal it again.")
@force_option
@url_options
@config_options
@json_option
def verify(adopt: bool, force: bool, as_json: bool, **options: Any) -> None:
    """Say what was changed, removed, inserted, reordered or rolled back behind the server's back.

    The exit code is 0 if everything is as the server wrote it, else 1.
    """
    target = target_of(options)
    if adopt:
        if target.url:
            raise click.UsageError("Only on the server's own machine what is stored can be adopted: omit --url.")
        confirm("Accept everything that is stored as it stands, whoever wrote it?", force=force)

        async def adopting() -> None:
            async with opened(target.data, target.config_file, creates=False, adopt=True):
                return

        run(adopting)
    found = ask(target, "verify_store", {})
    if as_json:
        show(found)
    else:
        _print(found)
    if not found["ok"]:
        raise SystemExit(1)


def _print(found: dict[str, Any]) -> None:
    from memhost.cli.printing import printable

    for each in found["findings"]:
        where = f" of tenant {each['tenant']}" if each["tenant"] not in ("", "default") else ""
        click.echo(printable(f"{each['kind'].replace('_', ' ')}: {each['what']} {each['id']}{where}. {each['detail']}"))
    if (left := found["found"] - len(found["findings"])) > 0:
        click.echo(f"... and {left} more.")
    counts = ", ".join(f"{found[name]} {name}" for name in ("memories", "entries", "sessions", "documents"))
    told = {0: "Everything is", 1: "1 thing is not"}.get(found["found"], f"{found['found']} things are not")
    click.echo(f"Looked at {counts} in {found['duration_s']} s. {told} what the server wrote.")
    for head in found["heads"]:
        click.echo(printable(f"The log of {head['tenant']} ends with entry {head['seq']}, {head['link']}."))
    if not found["keyed"]:
        click.echo("The store is sealed without a key: set INTEGRITY_KEY, or careful edits will not show.", err=True)
