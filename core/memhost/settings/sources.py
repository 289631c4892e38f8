"""Where values come from: the configuration file, `.env`, the environment."""

from __future__ import annotations

import difflib
import os
import re
from codecs import BOM_UTF8
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from memhost.errors import ConfigurationError
from memhost.settings.fields import Setting
from memhost.settings.known import CONFIG_FILE_VARIABLES
from memhost.text.hints import python

DEFAULT_FILE = "memhost.toml"
ENDINGS = (".toml", ".json", ".yaml", ".yml")
"""Of configuration files."""


class Given(msgspec.Struct, frozen=True):
    """A raw value, the label of its source, and the name it was given by there."""

    raw: Any
    source: str
    name: str


class Variables:
    """The variables of one source (`.env` or the environment), by name in any letter case.

    Empty variables count as not given. A name in upper case beats the same name in lower case.
    """

    def __init__(self, values: Mapping[str, str | None], label: str) -> None:
        self.label = label
        self._by_name: dict[str, str] = {}
        for name in sorted(values, key=str.isupper):
            value = values[name]
            if value is not None and value.strip():
                self._by_name[name.upper()] = value

    def names(self) -> frozenset[str]:
        """All names given, in upper case."""
        return frozenset(self._by_name)

    def get(self, name: str) -> str | None:
        """The value of a variable, or None."""
        return self._by_name.get(name)

    def source(self, name: str) -> str:
        """Return the description of the source of a value with that name."""
        return self.label if self.label == ".env" else f"{self.label} {name}"


class Reading:
    """Collects problems and warnings while settings are read."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.warnings: list[str] = []


def pick(setting: Setting, variables: Variables, reading: Reading, reserved: frozenset[str]) -> Given | None:
    """The value that a source gives a setting, by any of its names.

    The setting's own names (with and without prefix) beat its aliases, with a warning where they
    differ. Two own names, or two aliases, with different values are a problem.
    """
    own = _given(setting, (*setting.own, *setting.by_path), variables, reading, reserved)
    aliases = _given(setting, setting.aliases, variables, reading, reserved)
    for group in (own, aliases):
        if len({setting.values.get(item.raw.lower(), item.raw) for item in group}) > 1:
            names = " and ".join(item.name for item in group)
            reading.problems.append(f"{names} set the same thing ({setting.path}) to different values; keep one.")
            return None
    if own and aliases and aliases[0].raw != own[0].raw:
        reading.warnings.append(f"{aliases[0].name} is ignored: {own[0].name} sets the same thing ({setting.path}).")
    return next(iter(own or aliases), None)


def _given(
    setting: Setting,
    names: tuple[str, ...],
    variables: Variables,
    reading: Reading,
    reserved: frozenset[str],
) -> list[Given]:
    found = []
    for name in names:
        value = _value_or_file(name, variables, reading, reserved)
        if value is None:
            continue
        bare = not name.startswith("MEMHOST_") and name in setting.own
        if bare and setting.bare_pattern and not re.fullmatch(setting.bare_pattern, value.strip()):
            reading.warnings.append(
                f"{name} is ignored, because its value looks like another program's; "
                f"use MEMHOST_{name} for {setting.path}."
            )
            continue
        found.append(Given(value, variables.source(name), name))
    return found


def _value_or_file(name: str, variables: Variables, reading: Reading, reserved: frozenset[str]) -> str | None:
    value = variables.get(name)
    pointer = name + "_FILE"
    path = None if pointer in reserved else variables.get(pointer)
    if path is None:
        return value
    if value is not None:
        reading.problems.append(f"{name} and {pointer} are both set; keep one of them.")
        return None
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reading.problems.append(f"{pointer} names {path}, which cannot be read: {_reason(error)}.")
        return None
    return text.removesuffix("\n").removesuffix("\r")


def read_env_file(path: Path | None, reading: Reading) -> Variables:
    """The variables of a `.env` file; none if there is no such file."""
    if path is None or not path.is_file():
        return Variables({}, ".env")
    from dotenv import dotenv_values

    try:
        return Variables(dotenv_values(path), ".env")
    except (OSError, UnicodeDecodeError) as error:
        reading.problems.append(f"{path} cannot be read: {_reason(error)}.")
        return Variables({}, ".env")


def find_file(named: Path | None, sources: Iterable[Variables]) -> tuple[Path | None, str]:
    """The configuration file to read, and who named it (empty for the default one)."""
    if named is not None:
        return named.expanduser(), "option --config"
    for variables in sources:
        for name in CONFIG_FILE_VARIABLES:
            value = variables.get(name)
            if value is not None:
                return Path(value).expanduser(), name
    default = Path(DEFAULT_FILE)
    return (default, "") if default.is_file() else (None, "")


def configuration_file(named: Path | None) -> Path | None:
    """Return the configuration file that a server reads that is started here, None if there is none."""
    reading = Reading()
    return find_file(named, (Variables(os.environ, "environment"), read_env_file(Path(".env"), reading)))[0]


def is_configuration(path: Path) -> bool:
    """Tell whether a file may hold settings, by its name; no plugin keeps data under such names."""
    return path.name == ".env" or path.suffix.lower() in ENDINGS


def read_file(path: Path | None, named_by: str, reading: Reading) -> dict[str, Any]:
    """The tables of a configuration file: TOML, JSON or YAML by its ending."""
    if path is None:
        return {}
    try:
        content = path.read_bytes()
        loaded = _parse(path, content)
    except OSError as error:
        told = f" (named by {named_by})" if named_by else ""
        reading.problems.append(f"The configuration file {path}{told} cannot be read: {_reason(error)}.")
        return {}
    except ConfigurationError as error:
        reading.problems.extend(error.problems)
        return {}
    except ValueError as error:
        reading.problems.append(f"The configuration file {path} has a syntax error: {error}.")
        return {}
    if not isinstance(loaded, dict):
        reading.problems.append(f"The configuration file {path} must contain tables such as [server].")
        return {}
    return loaded


def _parse(path: Path, content: bytes) -> Any:
    ending = path.suffix.lower()
    if ending == ".json":
        return msgspec.json.decode(content.removeprefix(BOM_UTF8))
    if ending in (".yaml", ".yml"):
        return _parse_yaml(path, content)
    if ending in (".toml", ""):
        import tomllib

        return tomllib.loads(content.decode("utf-8-sig"))
    raise ConfigurationError(f"The configuration file {path} must end in .toml, .json, .yaml or .yml.")


def _parse_yaml(path: Path, content: bytes) -> Any:
    try:
        import yaml  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        raise ConfigurationError(
            f"{path} is YAML, which needs PyYAML ({python()} -m pip install pyyaml), or write the file as TOML."
        ) from None
    try:
        return yaml.safe_load(content) or {}
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return "it is not UTF-8 text"


def suggest(word: str, known: Iterable[str]) -> str:
    """A hint such as ` Did you mean port?`, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean {close[0]}?" if close else ""
