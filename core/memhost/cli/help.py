"""`memhost help`."""

from __future__ import annotations

import click


@click.command("help")
@click.argument("names", metavar="[COMMAND]...", nargs=-1)
@click.pass_context
def help_(ctx: click.Context, names: tuple[str, ...]) -> None:
    """Show the help of memhost, or of a command: memhost help jobs retry."""
    parent = ctx.find_root()
    command = parent.command
    for name in names:
        if not isinstance(command, click.Group):
            raise click.UsageError(f"{parent.command_path} has no subcommands.", parent)
        _, found, _ = command.resolve_command(parent, [name])
        if found is None:
            raise click.UsageError(f"There is no command {parent.command_path} {name}.", parent)
        parent = click.Context(found, info_name=name, parent=parent)
        command = found
    click.echo(command.get_help(parent))
