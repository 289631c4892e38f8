"""Declaring settings, and what the loader knows about each of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec
from msgspec import Meta
from msgspec import inspect as shapes

from memhost.errors import ConfigurationError

PREFIX = "MEMHOST_"
REDACTED = "********"

HOST_SECTIONS = ("server", "memory", "search", "extraction", "llm", "quotas")
PLUGIN_KINDS = ("stores", "strategies", "models", "auth", "runners", "interfaces", "plugins")

SectionTypes = Mapping[tuple[str, str], type[msgspec.Struct]]
"""Settings structs of plugins by (kind, name); a kind is one of `PLUGIN_KINDS`."""


class Secret(str):
    """A string that does not show itself when a struct holding it is printed.

    Use it as the type of a settings field for passwords, keys and addresses that carry them. It is
    a `str` in every other respect.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Secret('{REDACTED}')"


def setting(
    description: str,
    *,
    env: tuple[str, ...] = (),
    secret: bool = False,
    option: str | None = None,
    values: Mapping[str, str] | None = None,
    bare_pattern: str | None = None,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    pattern: str | None = None,
    min_length: int | None = None,
    max_length: int | None = None,
) -> Meta:
    """Return the metadata of a settings struct's field, for use in `Annotated`.

    Args:
        description: What the setting does, in one sentence, for the reference table.
        env: Further environment variables that set it, beside those made from its name.
        secret: Never shown.
        option: Name of its command-line option without dashes, where that is not the field's name.
        values: Other words for values, lower case (`{"docket": "arq"}`).
        bare_pattern: The environment variable without prefix counts only if its value matches; for
            names that other programs use as well.
        ge: Least value allowed.
        gt: Bound that the value must exceed.
        le: Greatest value allowed.
        lt: Bound that the value must stay below.
        pattern: Regular expression that a string must match.
        min_length: Least number of characters or items.
        max_length: Greatest number of characters or items.
    """
    extra = {
        "env": env,
        "secret": secret,
        "option": option,
        "values": dict(values or {}),
        "bare_pattern": bare_pattern,
    }
    constraints: dict[str, Any] = {
        "ge": ge,
        "gt": gt,
        "le": le,
        "lt": lt,
        "pattern": pattern,
        "min_length": min_length,
        "max_length": max_length,
    }
    return Meta(description=description, extra=extra, **constraints)


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One setting of one section.

    Attributes:
        section: Path of its section (`server`, `stores.sqlite`).
        name: Its name there.
        type: Annotated type that values are converted to.
        shape: The same as msgspec sees it.
        description: What it does.
        own: Its own environment variables, with and without prefix.
        by_path: The environment variables made from its path, if it is of a plugin
            (`STRATEGIES_DISCRETE_INSTRUCTIONS`).
        aliases: Other environment variables that set it.
        secret: Never shown.
        option: Its command-line option, without dashes.
        values: Other words for values.
        bare_pattern: See `setting`.
        required: It has no default.
        default: Its default, `msgspec.NODEFAULT` where required.
    """

    section: str
    name: str
    type: Any
    shape: Any
    description: str
    own: tuple[str, ...]
    by_path: tuple[str, ...]
    aliases: tuple[str, ...]
    secret: bool
    option: str
    values: dict[str, str]
    bare_pattern: str | None
    required: bool
    default: Any

    @property
    def path(self) -> str:
        """Dotted path in the configuration."""
        return f"{self.section}.{self.name}"

    @property
    def env(self) -> tuple[str, ...]:
        """All its environment variables, own names first."""
        return (*self.own, *self.by_path, *self.aliases)


@cache
def settings_of(section: str, struct: type[msgspec.Struct]) -> tuple[Setting, ...]:
    """The settings that a section's struct declares, in its order.

    Raises:
        ConfigurationError: msgspec cannot use the struct.
    """
    try:
        info = shapes.type_info(struct)
    except TypeError as error:
        raise ConfigurationError(f"The settings of {section} are declared wrongly: {error}") from error
    assert isinstance(info, shapes.StructType)
    declared = {field.name: field for field in msgspec.structs.fields(struct)}
    found: list[Setting] = []
    for field in info.fields:
        shape, extra, description = _unwrap(field.type)
        bare = field.encode_name.upper().replace("-", "_")
        by_path: tuple[str, ...] = ()
        if section not in HOST_SECTIONS:
            kind, _, plugin = section.upper().replace("-", "_").partition(".")
            bare = f"{plugin}_{bare}"
            by_path = (f"{PREFIX}{kind}_{bare}", f"{kind}_{bare}")
        found.append(
            Setting(
                section=section,
                name=field.encode_name,
                type=declared[field.name].type,
                shape=shape,
                description=description,
                own=(PREFIX + bare, bare),
                by_path=by_path,
                aliases=tuple(name for name in extra.get("env", ()) if name not in (PREFIX + bare, bare, *by_path)),
                secret=bool(extra.get("secret")) or _holds_secret(shape),
                option=extra.get("option") or field.encode_name.replace("_", "-"),
                values=extra.get("values") or {},
                bare_pattern=extra.get("bare_pattern"),
                required=field.required,
                default=_default(field),
            )
        )
    return tuple(found)


def _default(field: shapes.Field) -> Any:
    if field.default is not msgspec.NODEFAULT:
        return field.default
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return msgspec.NODEFAULT


def _unwrap(shape: Any) -> tuple[Any, dict[str, Any], str]:
    extra: dict[str, Any] = {}
    description = ""
    while isinstance(shape, shapes.Metadata):
        extra = {**(shape.extra or {}), **extra}
        description = description or (shape.extra_json_schema or {}).get("description", "")
        shape = shape.type
    if isinstance(shape, shapes.UnionType):
        for member in shape.types:
            if isinstance(member, shapes.Metadata):
                _, inner, inner_description = _unwrap(member)
                extra = {**inner, **extra}
                description = description or inner_description
    return shape, extra, description


def _holds_secret(shape: Any) -> bool:
    if isinstance(shape, shapes.Metadata):
        return _holds_secret(shape.type)
    if isinstance(shape, shapes.UnionType):
        return any(_holds_secret(member) for member in shape.types)
    return isinstance(shape, shapes.CustomType) and issubclass(shape.cls, Secret)
