"""`memhost doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from memhost.cli.options import config_options, json_option, show

if TYPE_CHECKING:
    from memhost.cli.server.checks import Check

_COLORS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command()
@config_options
@click.option("--call-model", is_flag=True, help="Also call the language model; costs a few tokens.")
@json_option
def doctor(data: str | None, config_file: Path | None, call_model: bool, as_json: bool) -> None:
    """Check configuration, plugins, store, embedder and surroundings, and say what to fix."""
    from memhost import logs
    from memhost.cli.access import run
    from memhost.cli.server.checks import examine

    logs.configure("CRITICAL")
    checks = run(lambda: examine(data, config_file, call_model=call_model))
    failed = [check for check in checks if check.state == "fail"]
    if as_json:
        show({"ok": not failed, "checks": checks})
    else:
        for check in checks:
            _print(check)
        warned = sum(check.state == "warn" for check in checks)
        click.echo(f"{len(checks)} checks, {len(failed)} failed, {warned} warnings.")
    if failed:
        raise SystemExit(1)


def _print(check: Check) -> None:
    from memhost.cli.failures import colors
    from memhost.cli.hints import as_run
    from memhost.cli.printing import printable

    state = click.style(f"{check.state:<5}", fg=_COLORS[check.state])
    click.echo(f"{state}{check.name}: {printable(check.detail)}", color=colors())
    if check.fix:
        click.echo(f"     -> {printable(as_run(check.fix))}")
