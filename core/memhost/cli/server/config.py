"""`memhost config show|check|reference`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from memhost.cli.access import load
from memhost.cli.options import config_options, json_option, show
from memhost.cli.root import Nested

if TYPE_CHECKING:
    from memhost.settings import SettingRow


@click.group(cls=Nested)
def config() -> None:
    """Show and check the configuration."""


@config.command("show")
@click.option("--changed", is_flag=True, help="Only settings that are not at their default.")
@config_options
@json_option
def show_(changed: bool, data: str | None, config_file: Path | None, as_json: bool) -> None:
    """Show every setting with its value and source; secrets are masked."""
    configuration, _ = load(data, config_file)
    rows = [row for row in configuration.describe() if not (changed and row.default)]
    if as_json:
        show({"settings": rows, "warnings": configuration.warnings})
        return
    _print(rows)
    for warning in configuration.warnings:
        click.echo(f"Warning: {warning}", err=True)


@config.command()
@config_options
@json_option
def check(data: str | None, config_file: Path | None, as_json: bool) -> None:
    """Check the configuration and report errors."""
    configuration, _ = load(data, config_file)
    if as_json:
        show({"ok": True, "warnings": configuration.warnings, "file": _name(configuration.file)})
        return
    for warning in configuration.warnings:
        click.echo(f"Warning: {warning}", err=True)
    given = sum(not row.default for row in configuration.describe())
    where = f" from {configuration.file}" if configuration.file else ""
    click.echo(f"The configuration is valid: {given} settings given{where}.")


@config.command(hidden=True)
@json_option
def reference(as_json: bool) -> None:
    """Print docs/settings.md: all settings of the host and of its own plugins."""
    from memhost.plugins import PluginManager
    from memhost.plugins.settings_reference import bundled_sections, render_reference

    text = render_reference(bundled_sections(PluginManager.load()))
    if as_json:
        show({"markdown": text})
    else:
        click.echo(text, nl=False)


def _name(path: Path | None) -> str | None:
    return str(path) if path is not None else None


def _print(rows: list[SettingRow]) -> None:
    import msgspec

    from memhost.cli.printing import table

    if not rows:
        click.echo("All settings are at their defaults.")
        return
    cells = [
        (
            row.path,
            row.value if isinstance(row.value, str) else msgspec.json.encode(row.value).decode(),
            row.source,
            ", ".join(row.env),
        )
        for row in rows
    ]
    table(("setting", "value", "source", "variables"), cells)
