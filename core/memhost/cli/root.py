"""The root command: what there is to run, loaded when it is run."""

from __future__ import annotations

import ast
import difflib
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from memhost.cli.command_table import ANNOUNCED, COMMANDS
from memhost.cli.failures import CommandError, report
from memhost.cli.hints import as_run
from memhost.version import __version__

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


_HELP_S = 4.0
"""Seconds that the list of commands waits for plugins that do not announce theirs."""


class LazyGroup(click.Group):
    """Imports the module of a command when the command is called.

    Commands of plugins come after the host's own and never replace one. Plugins are loaded to look
    up a name that the host does not know, and for the list of commands only if there are some that
    come without announced commands.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the host's commands, then of the plugins'."""
        return [*COMMANDS, *_listed()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported."""
        found = COMMANDS.get(cmd_name)
        if found is not None:
            module, _, attribute = found.target.partition(":")
            command: click.Command = getattr(import_module(module), attribute)
            return command
        entry = _plugin_commands().get(cmd_name)
        return _loaded(entry) if entry is not None else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments name; an unknown name gets a suggestion."""
        name = args[0]
        command = self.get_command(ctx, name)
        if command is not None:
            return name, command, args[1:]
        if name.startswith("-"):
            ctx.fail(f"There is no option {name}.")
        if name in _listed():
            raise click.UsageError(
                f"The plugin that has the command {name} is disabled or failed; see: memhost plugins list", ctx
            )
        close = difflib.get_close_matches(name, [*COMMANDS, *_plugin_commands()], n=1)
        hint = f" Did you mean {close[0]}?" if close else ""
        raise click.UsageError(f"There is no command {name}.{hint}", ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        rows = [(name, entry.summary) for name, entry in COMMANDS.items() if not entry.hidden]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
        if listed := _listed():
            with formatter.section("Commands of plugins"):
                formatter.write_dl(list(listed.items()))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what to start with, as this program was started."""
        formatter.write_paragraph()
        formatter.write_text(as_run("Start with: memhost demo. Settings: memhost config show."))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; that the reader of a pipe has enough (`| head`) is no failure, as which click takes it."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            ctx.exit(report(error))

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command and leave the process with its exit code; failures become one sentence."""
        given = list(sys.argv[1:] if args is None else args)
        try:
            code = super().main(
                given,
                prog_name or "memhost",
                complete_var,
                standalone_mode=False,
                windows_expand_args=windows_expand_args,
                **extra,
            )
        except BaseException as error:  # noqa: BLE001 - the outermost boundary: everything becomes an exit code
            code = report(error, given)
        if not standalone_mode:
            return code
        sys.exit(code if isinstance(code, int) else 0)


def announced(points: Iterable[EntryPoint]) -> dict[str, str]:
    """Commands that plugins announce, with what they do."""
    return {point.name: _described(point.module) for point in points if point.group == ANNOUNCED}


def _described(module: str) -> str:
    """The first line of a module's docstring, read without running it or its package; empty if there is none."""
    package, *parts = module.split(".")
    try:
        found = find_spec(package)
        if found is None:
            return ""
        folders = found.submodule_search_locations or ()
        files = [Path(folder, *parts).with_suffix(".py") for folder in folders] if parts else [Path(found.origin or "")]
        text = next((file.read_text(encoding="utf-8") for file in files if file.is_file()), "")
        return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
    except (OSError, SyntaxError, ValueError):  # the list of commands does not depend on what is wrong with a plugin
        return ""


def _listed() -> dict[str, str]:
    """Commands of plugins with what they do, sorted by name."""
    from importlib.metadata import entry_points

    from memhost.hooks import PROJECT

    points = entry_points()
    found = announced(points.select(group=ANNOUNCED))
    told = {id(point.dist) for point in points.select(group=ANNOUNCED)}
    if any(id(point.dist) not in told for point in points.select(group=PROJECT)):
        found |= {name: entry.spec.summary for name, entry in _plugin_commands(_HELP_S).items()}
    return {name: found[name] for name in sorted(found) if name not in COMMANDS}


def _plugin_commands(limit_s: float | None = None) -> dict[str, Any]:
    """Commands that plugins offer, by name; none if the plugins take longer to load than that, which is logged."""
    from memhost import logs
    from memhost.plugins import START_S, PluginManager
    from memhost.plugins.calling import in_time
    from memhost.settings import peek

    logs.configure("WARNING")
    disabled = peek("server.plugins_disabled")
    if limit_s is None:
        commands = PluginManager.load(disabled=disabled).commands
    else:
        told_s = min(START_S, limit_s / 2)
        try:
            commands = in_time(limit_s, lambda: PluginManager.load(disabled=disabled, start_s=told_s)).commands
        except TimeoutError:
            return {}
    return {entry.spec.name: entry for entry in commands if entry.spec.name not in COMMANDS}


def _loaded(entry: Any) -> click.Command:
    """The command of a plugin.

    Raises:
        CommandError: The plugin fails to load it; the sentence names the plugin.
    """
    try:
        command: object = entry.spec.load()
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        raise CommandError(
            f"The command {entry.spec.name} of the plugin {entry.origin} fails to load: {told}"
        ) from error
    if not isinstance(command, click.Command):
        kind = type(command).__name__
        raise CommandError(
            f"The command {entry.spec.name} of the plugin {entry.origin} is of the type {kind}, not click.Command."
        )
    return command


class Nested(click.Group):
    """A group of subcommands that suggests the nearest one for an unknown name, or names all."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The arguments; of an option in front of the command it says where that belongs."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            commands = ", ".join(self.list_commands(ctx))
            ctx.fail(f"{error.option_name} stands behind a command of {ctx.info_name}: {commands}.")

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments name; an unknown name gets a suggestion."""
        name = args[0]
        command = self.get_command(ctx, name)
        if command is None and not name.startswith("-"):
            close = difflib.get_close_matches(name, self.list_commands(ctx), n=1)
            hint = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(self.list_commands(ctx))}."
            ctx.fail(f"There is no command {ctx.info_name} {name}. {hint}")
        return super().resolve_command(ctx, args)


@click.command(
    "memhost",
    cls=LazyGroup,
    no_args_is_help=False,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "--version", "-V", message="memhost %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """A memory server for AI agents in which everything is a plugin."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
