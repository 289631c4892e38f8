"""Options that commands share, and how commands print."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from memhost.cli.failures import NeedsForceError, RefusedByUserError

F = TypeVar("F", bound=Callable[..., Any])

_debug = click.option("--debug", is_flag=True, expose_value=False, help="Show tracebacks of errors.")


def json_option(function: F) -> F:
    """Add `--json` (passed as `as_json`) and `--debug`."""
    option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    return option(_debug(function))


def config_options(function: F) -> F:
    """Add `--data` and `--config`, passed as `data` and `config_file`."""
    data = click.option(
        "--data",
        metavar="DIR",
        type=click.Path(file_okay=False),
        help="Folder of the server's files.",
    )
    file = click.option(
        "--config",
        "config_file",
        metavar="FILE",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Configuration file (TOML, JSON or YAML).",
    )
    return data(file(function))


def url_options(function: F) -> F:
    """Add `--url` and `--token`, to work through a running server."""
    url = click.option("--url", envvar="MEMHOST_URL", help="Ask a running server instead of opening the store.")
    token = click.option("--token", envvar="MEMHOST_TOKEN", help="Token for that server.", show_envvar=True)
    return url(token(function))


def more_tenants_option(function: F) -> F:
    """Add `--tenant` for commands that go through all tenants, passed as `tenants`."""
    return click.option(
        "--tenant",
        "tenants",
        metavar="NAME",
        multiple=True,
        help="A tenant that has never called the server; may be repeated.",
    )(function)


def force_option(function: F) -> F:
    """Add `--force`."""
    return click.option("-f", "--force", is_flag=True, help="Do not ask for confirmation.")(function)


def show(value: Any) -> None:
    """Print a value as JSON on stdout, in lines if someone may read it."""
    import msgspec

    encoded = msgspec.json.encode(value)
    click.echo(msgspec.json.format(encoded, indent=2 if sys.stdout.isatty() else 0).decode())


def show_line(value: Mapping[str, Any]) -> None:
    """Print a value as one line of JSON on stdout."""
    click.echo(json.dumps(value))


def confirm(question: str, *, force: bool = False, otherwise: str = "add --force") -> None:
    """Ask before something that removes or replaces much.

    Args:
        question: What to ask.
        force: Whether the answer was given with the command.
        otherwise: What to do where there is no terminal.

    Raises:
        RefusedByUserError: The answer was no.
        NeedsForceError: There is no terminal to ask on.
    """
    if force:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise NeedsForceError(f"This needs a confirmation, and there is no terminal to ask on: {otherwise}.")
    if not click.confirm(question, err=True):
        raise RefusedByUserError("Nothing was done.")


def tenant_option(function: F) -> F:
    """Add `--tenant`."""
    option = click.option("--tenant", default="default", show_default=True, help="Tenant whose memories to use.")
    return option(function)
