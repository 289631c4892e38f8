"""`memhost version`."""

from __future__ import annotations

import click

from memhost.cli.options import json_option, show
from memhost.version import API_VERSION, __version__


@click.command()
@json_option
def version(as_json: bool) -> None:
    """Print the version."""
    if as_json:
        show({"name": "memhost", "version": __version__, "plugin_api": API_VERSION})
    else:
        click.echo(f"memhost {__version__}")
