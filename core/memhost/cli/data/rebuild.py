"""`memhost rebuild`: make extracted memories again from their turns."""

from __future__ import annotations

from typing import Any

import click

from memhost.cli.access import ask, target_of
from memhost.cli.options import config_options, confirm, force_option, json_option, show, url_options


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
