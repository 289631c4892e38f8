"""`memhost keys show|rotate`."""

from __future__ import annotations

from pathlib import Path

import click

from memhost.cli.access import load, opened, run
from memhost.cli.options import config_options, confirm, force_option, json_option, show_line
from memhost.cli.root import Nested
from memhost.errors import InvalidRequest


@click.group(cls=Nested)
def keys() -> None:
    """Show and rotate the server's key, which proves what is stored."""


@keys.command()
@config_options
@json_option
def show(data: str | None, config_file: Path | None, as_json: bool) -> None:
    """Show the id of the server's key and where it is; never the key."""
    from memhost.integrity.keys import load_keys

    configuration, _ = load(data, config_file)
    ring = load_keys(configuration.settings.server.integrity_key, make=False)
    if as_json:
        former = [each.id for each in ring.former] if ring else []
        show_line({"key": ring.id if ring else None, "source": ring.source if ring else None, "former": former})
    elif ring is None:
        click.echo("There is no key yet.")
    else:
        click.echo(f"{ring.id}, {ring.source}")
        for each in ring.former:
            click.echo(f"{each.id}, former: it only checks what it signed")


@keys.command()
@force_option
@config_options
@json_option
def rotate(force: bool, data: str | None, config_file: Path | None, as_json: bool) -> None:
    """Make a new key, and seal everything that is stored with it.

    Stop the server first. The former key stays in the file: it checks certificates, exports and masks that it made. If
    INTEGRITY_KEY holds the key itself, put the new one before the former one there, and run this with it.
    """
    import secrets

    from memhost.history.verifying import Verifying
    from memhost.integrity.keys import FILE, default_file, load_keys, write_keys

    confirm("Seal everything with another key? The server must be stopped.", force=force)
    configuration, _ = load(data, config_file)
    setting = configuration.settings.server.integrity_key.strip()
    ring = load_keys(setting)
    if ring is None:
        raise InvalidRequest("This server has no key (INTEGRITY_KEY=none), so there is none to rotate.")

    async def sought() -> None:
        async with opened(data, config_file, creates=False):
            return

    run(sought)  # before a key is made
    if not setting or setting.startswith(FILE):
        path = Path(setting.removeprefix(FILE)).expanduser() if setting else default_file()
        write_keys(path, [secrets.token_hex(32), *path.read_text("ascii").split()])
    elif not ring.former:
        raise InvalidRequest("Put the new key before the former one in INTEGRITY_KEY, with a space between them.")

    async def work() -> int:
        async with opened(data, config_file, creates=False) as host:
            return await host.service(Verifying).seal_again()

    sealed, ring = run(work), load_keys(setting)
    name = ring.id if ring else None
    if as_json:
        show_line({"sealed": sealed, "key": name})
    else:
        click.echo(f"Sealed {sealed} memories with the key {name}.")
