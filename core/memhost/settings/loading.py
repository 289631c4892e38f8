"""Reading the configuration: defaults < file < `.env` < environment < command-line options.

Names in the environment: the field's name in upper case, with or without the prefix `MEMHOST_`, and
the aliases that the field declares; for plugins `<NAME>_<FIELD>` (`SQLITE_PATH`). `NAME_FILE` reads
the value from a file. Upper and lower case are the same; an empty variable counts as not set. Where
a setting's own name and an alias differ, the own name counts and a warning says so; two own names
or two aliases that differ are an error.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from memhost.errors import ConfigurationError
from memhost.settings.configuration import Configuration
from memhost.settings.fields import (
    HOST_SECTIONS,
    PLUGIN_KINDS,
    PREFIX,
    SectionTypes,
    Setting,
    settings_of,
)
from memhost.settings.known import CONFIG_FILE_VARIABLES, PROVIDER_VARIABLES
from memhost.settings.legacy import legacy_auth
from memhost.settings.names import check_variables
from memhost.settings.schema import Settings
from memhost.settings.sources import (
    DEFAULT_FILE,
    Given,
    Reading,
    Variables,
    find_file,
    pick,
    read_env_file,
    read_file,
    suggest,
)
from memhost.settings.values import BadValueError, convert, decode_custom

MOVED = {"extraction.secret_policy": "memory.secrets"}
"""Settings of a file that are in another section now."""

ENV_FILE = Path(".env")


def load_configuration(
    *,
    options: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    env_file: Path | None = ENV_FILE,
    config_file: Path | None = None,
    sections: SectionTypes | None = None,
    lenient: bool = False,
) -> Configuration:
    """Read the configuration from all its sources.

    Args:
        options: Values of command-line options by dotted path (`server.port`; for the host's own
            settings the last part will do). None values are left out.
        environ: The environment; by default the process's.
        env_file: The `.env` file, if there is one.
        config_file: The configuration file; by default the one that `CONFIG_FILE` names, else
            `memhost.toml` in the working directory if it exists.
        sections: Settings structs of the plugins. Without them plugin tables in the file and names
            of variables are not checked (to learn which plugins to load in the first place).
        lenient: A section that no plugin declares is a warning instead of an error; for when some
            plugins are disabled or failed to load.

    Raises:
        ConfigurationError: With every problem found, a sentence each.
    """
    reading = Reading()
    known = all_settings(sections or {})
    loader = _Loader(known, reading, checked=bool(sections), lenient=lenient)
    path, variables = _read(loader, reading, options, environ, env_file, config_file)
    if sections:
        for source in variables:
            check_variables(source, known, reading)
    configuration = loader.finish(sections or {}, path)
    unread = configuration.data_dir / DEFAULT_FILE
    with suppress(OSError):  # a data folder that cannot be read is reported when it is opened
        if unread.is_file() and (path is None or not path.exists() or not path.samefile(unread)):
            configuration.warnings.append(
                f"memhost does not read {unread}; to use it, name it with --config or CONFIG_FILE."
            )
    return configuration


def peek(
    path: str,
    *,
    options: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    env_file: Path | None = ENV_FILE,
    config_file: Path | None = None,
) -> Any:
    """The value of one of the host's settings, whatever is wrong with the others; its default if it is wrong itself."""
    reading = Reading()
    known = all_settings({})
    loader = _Loader(known, reading, checked=False, lenient=True)
    _read(loader, reading, options, environ, env_file, config_file)
    return loader.value(path)


def _read(
    loader: _Loader,
    reading: Reading,
    options: Mapping[str, Any] | None,
    environ: Mapping[str, str] | None,
    env_file: Path | None,
    config_file: Path | None,
) -> tuple[Path | None, tuple[Variables, Variables]]:
    """Give the loader what each source says, the weakest first; the file read, and the variables."""
    environment = Variables(os.environ if environ is None else environ, "environment")
    dotenv = read_env_file(env_file, reading)
    path, named_by = find_file(config_file, (environment, dotenv))
    loader.take_file(read_file(path, named_by, reading), f"file {path}")
    loader.take_variables(dotenv)
    loader.take_variables(environment)
    if (options or {}).get("server.auth") is None:  # a command that says it lets nobody in by the rest
        loader.take_auth((environment, dotenv))
    loader.take_options(options or {})
    return path, (environment, dotenv)


def all_settings(sections: SectionTypes) -> tuple[Setting, ...]:
    """Every setting of the host and of the given plugin sections."""
    found: list[Setting] = []
    for field in msgspec.structs.fields(Settings):
        found.extend(settings_of(field.name, field.type))
    for kind, name in sorted(sections):
        found.extend(settings_of(f"{kind}.{name}", sections[kind, name]))
    return tuple(found)


class _Loader:
    """Collects raw values by dotted path, the strongest source last, then builds the structs."""

    def __init__(self, known: tuple[Setting, ...], reading: Reading, *, checked: bool, lenient: bool) -> None:
        self._known = {setting.path: setting for setting in known}
        self._section_names = {setting.section for setting in known}
        self._reserved = frozenset(name for setting in known for name in setting.env) | set(CONFIG_FILE_VARIABLES)
        self._reading = reading
        self._checked = checked
        self._lenient = lenient
        self._given: dict[str, Given] = {}

    # -- sources ---------------------------------------------------------------------------------

    def take_file(self, tables: Mapping[str, Any], source: str) -> None:
        for name, table in tables.items():
            if name in PLUGIN_KINDS and isinstance(table, Mapping):
                for plugin, content in table.items():
                    self._take_plugin_table(f"{name}.{plugin}", content, source)
            elif name in HOST_SECTIONS:
                self._take_table(name, table, source)
            else:
                self._reading.problems.append(f"{source}: {self._unknown_table(name)}")

    def _take_plugin_table(self, section: str, content: Any, source: str) -> None:
        if not self._checked:
            return
        if section in self._section_names:
            self._take_table(section, content, source)
            return
        if isinstance(content, Mapping) and not content:
            return
        kind = section.partition(".")[0]
        rivals = [name for name in self._section_names if name.startswith(kind + ".")]
        sentence = f"{source}: no plugin has the settings [{section}].{suggest(section, rivals)}"
        harmless = self._lenient and kind != "auth"  # what was to keep strangers out is not left out with a warning
        (self._reading.warnings if harmless else self._reading.problems).append(sentence)

    def _take_table(self, section: str, table: Any, source: str) -> None:
        if not isinstance(table, Mapping):
            self._reading.problems.append(f"{source}: {section} must be a table, written [{section}].")
            return
        names = [setting.name for setting in self._known.values() if setting.section == section]
        for name, value in table.items():
            path = f"{section}.{name}"
            if path in MOVED:
                self._reading.warnings.append(f"{source}: {path} is now {MOVED[path]}; the old name works until 0.3.")
                path = MOVED[path]
            if path in self._known:
                self._given[path] = Given(value, source, f"{path} in {source.removeprefix('file ')}")
            else:
                self._reading.problems.append(f"{source}: {path} is not a setting.{suggest(str(name), names)}")

    def _unknown_table(self, name: str) -> str:
        for section in HOST_SECTIONS:
            if f"{section}.{name}" in self._known:
                return f"{name} belongs in the table [{section}]."
        return f"[{name}] is not a section.{suggest(name, (*HOST_SECTIONS, *PLUGIN_KINDS))}"

    def take_variables(self, variables: Variables) -> None:
        for setting in self._known.values():
            given = pick(setting, variables, self._reading, self._reserved)
            if given is not None:
                self._given[setting.path] = given

    def take_auth(self, sources: tuple[Variables, ...]) -> None:
        given = legacy_auth(self._given, sources, self._reading)
        if given is not None:
            self._given["server.auth"] = given

    def take_options(self, options: Mapping[str, Any]) -> None:
        for name, value in options.items():
            if value is None:
                continue
            path = name if name in self._known else _host_path(name, self._known)
            if path is None:
                self._reading.problems.append(f"{name} is not a setting.{suggest(name, self._known)}")
                continue
            label = f"--{self._known[path].option}"
            self._given[path] = Given(value, f"option {label}", label)

    # -- result ----------------------------------------------------------------------------------

    def finish(self, sections: SectionTypes, file: Path | None) -> Configuration:
        values = self._convert()
        incomplete: dict[tuple[str, str], list[str]] = {}
        built: dict[tuple[str, str], msgspec.Struct] = {}
        for (kind, name), struct in sections.items():
            section = f"{kind}.{name}"
            missing = self._missing(section, values)
            if missing:
                incomplete[kind, name] = missing
                continue
            made = self._build(section, struct, values)
            if made is not None:
                built[kind, name] = made
        host = {field.name: self._build(field.name, field.type, values) for field in msgspec.structs.fields(Settings)}
        if self._reading.problems:
            raise ConfigurationError(_unique(self._reading.problems))
        return Configuration(
            settings=Settings(**host),  # type: ignore[arg-type]
            sections=built,
            incomplete=incomplete,
            known=tuple(self._known.values()),
            sources={path: self._source(path) for path in self._known},
            warnings=_unique(self._reading.warnings),
            file=file,
        )

    def value(self, path: str) -> Any:
        """One value, or its default where there is none or a wrong one."""
        given = self._given.get(path)
        try:
            return self._known[path].default if given is None else convert(self._known[path], given.raw)
        except BadValueError:
            return self._known[path].default

    def _convert(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for path, given in self._given.items():
            try:
                values[path] = convert(self._known[path], given.raw)
            except BadValueError as error:
                self._reading.problems.append(f"{given.name} {error}.")
        return values

    def _missing(self, section: str, values: Mapping[str, Any]) -> list[str]:
        return [
            f"{section} needs {setting.name}: set {setting.own[1]}, or {setting.name} under [{section}]."
            for setting in self._known.values()
            if setting.section == section and setting.required and setting.path not in self._given
        ]

    def _build(self, section: str, struct: type[msgspec.Struct], values: Mapping[str, Any]) -> msgspec.Struct | None:
        mine = {
            setting.name: values[setting.path]
            for setting in self._known.values()
            if setting.section == section and setting.path in values
        }
        try:
            return msgspec.convert(mine, struct, strict=False, dec_hook=decode_custom)
        except msgspec.ValidationError as error:
            if not self._reading.problems:
                self._reading.problems.append(f"[{section}]: {error}.")
            return None

    def _source(self, path: str) -> str:
        given = self._given.get(path)
        return given.source if given is not None else "default"


def _host_path(name: str, known: Mapping[str, Setting]) -> str | None:
    for section in HOST_SECTIONS:
        if f"{section}.{name}" in known:
            return f"{section}.{name}"
    return None


def _unique(sentences: list[str]) -> list[str]:
    return list(dict.fromkeys(sentences))


def export_options(
    options: Mapping[str, Any],
    environ: MutableMapping[str, str],
    *,
    config_file: Path | None = None,
) -> None:
    """Write command-line options into an environment, so that child processes see them.

    Other variables of the same settings are taken out, so that they do not contradict.
    """
    known = {setting.path: setting for setting in all_settings({})}
    for name, value in options.items():
        path = name if name in known else _host_path(name, known)
        if value is None or path is None:
            continue
        for variable in list(environ):
            if variable.upper().removesuffix("_FILE") in known[path].env:
                del environ[variable]
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        environ[known[path].own[0]] = text
    if config_file is not None:
        environ[CONFIG_FILE_VARIABLES[0]] = str(config_file)


def export_provider_keys(
    *, env_file: Path | None = ENV_FILE, environ: MutableMapping[str, str] | None = None
) -> list[str]:
    """Copy what model libraries read from `.env` into the environment, unless it is set there.

    Returns:
        The names of the variables that were copied.
    """
    target = os.environ if environ is None else environ
    variables = read_env_file(env_file, Reading())
    copied = []
    for name in sorted(variables.names() & PROVIDER_VARIABLES):
        value = variables.get(name)
        if value is not None and name not in target:
            target[name] = value
            copied.append(name)
    return copied


__all__ = [
    "ENV_FILE",
    "PREFIX",
    "all_settings",
    "export_options",
    "export_provider_keys",
    "load_configuration",
    "peek",
]
