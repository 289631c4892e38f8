"""`memhost plugins list`."""

from __future__ import annotations

from typing import Any

import click

from memhost.cli.options import json_option, show
from memhost.cli.root import Nested


@click.group(cls=Nested)
def plugins() -> None:
    """List plugins, and what they offer."""


@plugins.command("list")
@click.option("--hook", metavar="NAME", help="Only plugins with this hook.")
@click.option("--strict", is_flag=True, help="Fail if a plugin failed.")
@json_option
def list_(hook: str | None, strict: bool, as_json: bool) -> None:
    """List installed plugins with version, state, hooks and errors."""
    from memhost import logs
    from memhost.plugins import PluginManager
    from memhost.settings import peek

    logs.configure("CRITICAL")
    rows = PluginManager.load(disabled=peek("server.plugins_disabled")).rows
    if hook:
        wanted = hook if hook.startswith("memhost_") else f"memhost_{hook}"
        rows = tuple(row for row in rows if wanted in row.hooks)
    if as_json:
        show({"plugins": rows})
    else:
        _print(rows)
    if strict and any(row.status == "failed" for row in rows):
        raise SystemExit(1)


def _print(rows: Any) -> None:
    from memhost.cli.printing import table

    if not rows:
        click.echo("No plugins.")
        return
    cells = [
        (
            row.name,
            f"{row.distribution} {row.version}",
            row.status,
            ", ".join(row.provides),
            row.error or ", ".join(name.removeprefix("memhost_") for name in row.hooks),
        )
        for row in rows
    ]
    table(("plugin", "distribution", "state", "offers", "hooks or error"), cells)
