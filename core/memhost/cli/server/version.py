"""`memhost version`."""

from __future__ import annotations

from pathlib import Path

import click

import memhost
from memhost.cli.options import json_option, show
from memhost.version import API_VERSION, __version__

_GIT_LIMIT_S = 5


@click.command()
@json_option
def version(as_json: bool) -> None:
    """Print the version."""
    built = commit()
    if as_json:
        show({"name": "memhost", "version": __version__, "plugin_api": API_VERSION, "commit": built})
    else:
        click.echo(f"memhost {__version__}" + (f" (commit {built})" if built else ""))


def commit() -> str | None:
    """The commit that this memhost was built from, `+changed` behind it in a checkout with changes; None if unknown."""
    package = Path(memhost.__file__).parent
    kept = package / "commit.txt"  # written into the wheel by tools/build_hook.py
    if kept.is_file():
        return kept.read_text(encoding="ascii").strip() or None
    checkout = package.parents[1]
    if not (checkout / ".git").exists():
        return None
    return described(checkout)


def described(checkout: Path) -> str | None:
    """The commit of a checkout, as git tells it; None without git."""
    import subprocess

    command = ["git", "-C", str(checkout), "describe", "--always", "--exclude=*", "--abbrev=12", "--dirty=+changed"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=_GIT_LIMIT_S, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    return told.stdout.strip() or None
