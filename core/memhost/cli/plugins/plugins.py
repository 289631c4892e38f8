"""`memhost plugins`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from memhost.cli.access import ask, target_of
from memhost.cli.failures import CommandError
from memhost.cli.options import config_options, json_option, show, url_options
from memhost.cli.plugins.plugins_new import new
from memhost.cli.root import Nested
from memhost.errors import ConfigurationError, NotFound

_FILE = click.Path(dir_okay=False, path_type=Path)
_READ = "Configuration file; without it, the one that a server started here reads."


@click.group(cls=Nested)
def plugins() -> None:
    """List plugins and what they offer; write a new one."""


plugins.add_command(new)


@plugins.command("list")
@click.option("--hook", metavar="NAME", help="Only plugins with this hook.")
@click.option("--strict", is_flag=True, help="Fail if a plugin failed.")
@config_options
@json_option
def list_(hook: str | None, strict: bool, data: str | None, config_file: Path | None, as_json: bool) -> None:
    """List installed plugins with version, state, what each is used for, hooks and errors."""
    from memhost import logs
    from memhost.plugins import PluginManager
    from memhost.settings import peek

    logs.configure("CRITICAL")
    try:
        used, rows = _used(data, config_file)
    except ConfigurationError:  # the list helps to mend it
        used, rows = {}, PluginManager.load(disabled=peek("server.plugins_disabled")).rows
    if hook:
        wanted = hook if hook.startswith("memhost_") else f"memhost_{hook}"
        rows = tuple(row for row in rows if wanted in row.hooks)
    if as_json:
        import msgspec

        show({"plugins": [{**msgspec.to_builtins(row), "in_use": used.get(row.name, [])} for row in rows]})
    else:
        _print(rows, used)
    if strict and any(row.status == "failed" for row in rows):
        raise SystemExit(1)


def _used(data: str | None, config_file: Path | None) -> tuple[dict[str, list[str]], Any]:
    from memhost.cli.access import load
    from memhost.host.selection import in_use

    configuration, manager = load(data, config_file)
    return in_use(configuration, manager), manager.rows


@plugins.command("show")
@click.argument("name")
@url_options
@config_options
@json_option
def show_(name: str, as_json: bool, **options: Any) -> None:
    """Show all about a plugin: hooks, settings and their sources, calls, failures, time spent.

    Calls and failures are those of the process that answers: give --url to ask a running server.
    """
    target = target_of(options)
    report = ask(target, "get_plugin", {"name": name}, needs_data=False)
    show(report) if as_json else _print_report(report)


@plugins.command("check")
@click.argument("name")
@click.option("--config", "config_file", type=_FILE, help="Configuration file.")
@json_option
def check(name: str, config_file: Path | None, as_json: bool) -> None:
    """Start a server with a plugin in a folder that is removed again, open all its parts, and report what fails.

    Exits with 1 if anything does.
    """
    from memhost import logs
    from memhost.cli.access import run
    from memhost.host import startup
    from memhost.http.trial import Trial, try_plugin

    logs.configure("CRITICAL")
    row = next((row for row in startup.load_plugins().rows if row.name == name), None)
    if row is None:
        raise NotFound(f"There is no plugin {name}; see: memhost plugins list")
    trial = Trial(problems=[row.error]) if row.error else run(lambda: try_plugin(name, config_file))
    if as_json:
        import msgspec

        told = msgspec.structs.replace(row, status="failed", error="; ".join(trial.problems)) if trial.problems else row
        show({"plugin": told, "problems": trial.problems, "untried": trial.untried})
    else:
        for problem in trial.problems:
            click.echo(f"{name} ({row.distribution} {row.version}): {problem}")
        if not trial.problems:
            click.echo(f"{name} ({row.distribution} {row.version}) is well: {', '.join(row.hooks)}.")
        for each in trial.untried:
            click.echo(f"Not tried: {each}")
        for notice in row.notices:
            click.echo(f"Deprecated: {notice}")
    if trial.problems:
        raise SystemExit(1)


@plugins.command("disable")
@click.argument("name")
@click.option("--config", "config_file", type=_FILE, help=_READ)
def disable(name: str, config_file: Path | None) -> None:
    """Disable a plugin from the next start, in the configuration file."""
    _switch(name, config_file, off=True)


@plugins.command("enable")
@click.argument("name")
@click.option("--config", "config_file", type=_FILE, help=_READ)
def enable(name: str, config_file: Path | None) -> None:
    """Enable a plugin again from the next start."""
    _switch(name, config_file, off=False)


def _switch(name: str, named: Path | None, *, off: bool) -> None:
    from importlib.metadata import entry_points

    from memhost.hooks import PROJECT
    from memhost.settings import peek
    from memhost.settings.sources import DEFAULT_FILE, configuration_file

    config_file = configuration_file(named) or Path(DEFAULT_FILE)

    if off and name not in {point.name for point in entry_points(group=PROJECT)}:
        raise NotFound(f"There is no plugin {name}; see: memhost plugins list")
    if config_file.suffix.lower() not in (".toml", ""):
        raise CommandError(f"{config_file} is not TOML; set server.plugins_disabled there by hand.")
    given = {*peek("server.plugins_disabled", config_file=config_file if config_file.exists() else None)}
    wanted = sorted(given | {name} if off else given - {name})
    _write_list(config_file, "server", "plugins_disabled", wanted)
    click.echo(f"{name} is {'left out' if off else 'loaded'} from the next start on ({config_file.absolute()}).")
    if name in peek("server.plugins_disabled", config_file=config_file) and not off:
        click.echo("It is still disabled by the environment: PLUGINS_DISABLED.", err=True)


def _write_list(path: Path, table: str, key: str, values: Sequence[str]) -> None:
    """Set `key` of `[table]` to these strings and leave everything else in the TOML file, comments too, as it is.

    A list that the file has already keeps its form: only the strings that differ are removed or appended.

    Raises:
        CommandError: The file cannot be read or written, is no TOML, or has something else than a table there.
    """
    import tomlkit  # 12 ms, for this command alone
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(path.read_bytes() if path.exists() else b"")
        section = document.setdefault(table, tomlkit.table())
        if isinstance(items := section.get(key), list):
            for gone in set(items) - set(values):
                items.remove(gone)
            items.extend(value for value in values if value not in items)
        else:
            section[key] = list(values)
        path.write_bytes(tomlkit.dumps(document).encode())
    except OSError as error:
        raise CommandError(f"{path} cannot be changed: {error.strerror}.") from error
    except (TOMLKitError, UnicodeDecodeError, AttributeError, TypeError) as error:
        raise CommandError(f"{path} cannot be changed by this command; set {table}.{key} there by hand.") from error


def _print_report(report: Any) -> None:
    from memhost.cli.printing import table

    row, health = report["plugin"], report["health"]
    state = f"suspended until {health['suspended_until']}" if health["suspended_until"] else row["status"]
    rows = [
        ("distribution", f"{row['distribution']} {row['version']}"),
        ("state", row["error"] or state),
        ("plugin API", "any" if row["api"] is None else f"{row['api'][0]} to {row['api'][1]}"),
        ("offers", ", ".join(dict.fromkeys(row["provides"]))),
        ("hooks", ", ".join(name.removeprefix("memhost_") for name in row["hooks"])),
        ("calls", f"{health['calls']}, {health['failures']} failed"),
        ("jobs", f"{health['jobs']}, {health['failed_jobs']} failed, {report['dead_jobs']} dead"),
        ("time spent", f"{health['seconds']:.3f} s"),
        ("last error", health["last_error"] or ""),
    ]
    rows += [(item["path"], f"{item['value']} ({item['source']})") for item in report["settings"]]
    rows += [("deprecated", notice) for notice in row["notices"]]
    table(("", row["name"]), rows)


def _print(rows: Any, used: dict[str, list[str]]) -> None:
    from memhost.cli.printing import table

    if not rows:
        click.echo("No plugins.")
        return
    cells = [
        (
            row.name,
            f"{row.distribution} {row.version}",
            row.status,
            ", ".join(used.get(row.name, [])) or "-",
            ", ".join(dict.fromkeys(row.provides)),
            row.error or ", ".join(name.removeprefix("memhost_") for name in row.hooks),
        )
        for row in rows
    ]
    table(("plugin", "distribution", "state", "in use", "offers", "hooks or error"), cells)
