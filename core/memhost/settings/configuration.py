"""The configuration as it was read: values, where each came from, and what to tell the operator."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from memhost.errors import ConfigurationError
from memhost.settings.fields import REDACTED, Setting
from memhost.settings.schema import Settings
from memhost.settings.values import plain


class SettingRow(msgspec.Struct, frozen=True, kw_only=True):
    """One setting as `memhost config show` lists it."""

    path: str
    value: Any
    source: str
    description: str
    env: tuple[str, ...]
    default: bool


@cache
def _attributes(section: type[msgspec.Struct]) -> dict[str, str]:
    """Name of the attribute of each setting of a section."""
    return {field.encode_name: field.name for field in msgspec.structs.fields(section)}


class Configuration:
    """Settings of the host and of its plugins.

    Attributes:
        settings: The host's settings.
        warnings: Sentences for the operator; nothing in them prevents a start.
        sources: Where each value came from, by dotted path: `default`, `file memhost.toml`, `.env`,
            `environment PORT` or `option --port`.
        file: The configuration file that was read, if any.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        sections: dict[tuple[str, str], msgspec.Struct],
        incomplete: dict[tuple[str, str], list[str]],
        known: tuple[Setting, ...],
        sources: dict[str, str],
        warnings: list[str],
        file: Path | None = None,
    ) -> None:
        self.settings = settings
        self.sources = sources
        self.warnings = warnings
        self.file = file
        self._sections = sections
        self._incomplete = incomplete
        self._known = known

    @property
    def data_dir(self) -> Path:
        """The folder for the server's files, absolute; it need not exist."""
        return Path(self.settings.server.data_dir).expanduser().absolute()

    def section(self, kind: str, name: str) -> msgspec.Struct:
        """The settings of a plugin: `section("stores", "sqlite")`.

        Raises:
            ConfigurationError: A setting that the plugin requires is not set, or the section is not
                known.
        """
        missing = self._incomplete.get((kind, name))
        if missing:
            raise ConfigurationError(missing)
        found = self._sections.get((kind, name))
        if found is None:
            raise ConfigurationError(f"No plugin declares the settings {kind}.{name}.")
        return found

    def missing(self, kind: str, name: str) -> list[str]:
        """A sentence for each required setting of a plugin's section that has no value."""
        return list(self._incomplete.get((kind, name), ()))

    def is_set(self, path: str) -> bool:
        """Tell whether the operator gave this setting a value, by whatever means."""
        return self.sources.get(path, "default") != "default"

    def value(self, path: str) -> Any:
        """The value of a setting by its path (`stores.redis.url`), None where there is no such setting."""
        return next((self._value(setting) for setting in self._known if setting.path == path), None)

    def describe(self, redact: bool = True) -> list[SettingRow]:
        """All settings with their values and sources; secrets masked unless `redact` is off."""
        return [
            SettingRow(
                path=setting.path,
                value=self._shown(setting, redact),
                source=self.sources.get(setting.path, "default"),
                description=setting.description,
                env=setting.env,
                default=not self.is_set(setting.path),
            )
            for setting in self._known
        ]

    def _shown(self, setting: Setting, redact: bool) -> Any:
        value = self._value(setting)
        if value is None or value == "":
            return None if value is None else ""  # an empty secret cannot be written as JSON otherwise
        return REDACTED if setting.secret and redact and self.is_set(setting.path) and value else plain(value)

    def _value(self, setting: Setting) -> Any:
        head, _, name = setting.section.partition(".")
        section: Any = self._sections.get((head, name)) if name else getattr(self.settings, head)
        if section is None:
            return None
        kind: type[msgspec.Struct] = type(section)
        field = _attributes(kind).get(setting.name)
        return None if field is None else getattr(section, field)

    def __repr__(self) -> str:
        """The values that were set, secrets masked."""
        given = ", ".join(f"{row.path}={row.value!r}" for row in self.describe() if not row.default)
        return f"Configuration({given})"
