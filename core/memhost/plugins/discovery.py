"""Finding and importing plugins, each isolated from the faults of the others."""

from __future__ import annotations

import difflib
import logging
import sys
import threading
import warnings
from collections.abc import Iterable, Sequence
from importlib.metadata import Distribution, EntryPoint, entry_points
from inspect import iscoroutinefunction
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pluggy

from memhost.hooks import PROJECT
from memhost.plugins.blame import at_start
from memhost.version import API_VERSION

logger = logging.getLogger(__name__)

OWN_DISTRIBUTION = "memhost"

API_ATTRIBUTE = "MEMHOST_API"
"""Attribute of a plugin that names the lowest and highest version of the plugin API that it knows, both included."""


class Found(msgspec.Struct, kw_only=True):
    """An entry point and what became of it. `hooks` are the hooks implemented, `error` why it failed.

    `notices` are warnings of deprecated hooks and names that it uses; `api` is the range of plugin API versions that it
    declares. `cause` is the exception behind the error, for the log.
    """

    name: str
    module: str
    distribution: str
    version: str
    plugin: ModuleType | None = None
    disabled: bool = False
    hooks: tuple[str, ...] = ()
    provides: list[str] = []
    notices: list[str] = []
    api: tuple[int, int] | None = None
    error: str | None = None
    cause: BaseException | None = None

    @property
    def fields(self) -> dict[str, str]:
        """Who it is, as fields of a log line."""
        return {"plugin": self.name, "distribution": self.distribution, "version": self.version}

    @property
    def origin(self) -> str:
        """`entry-point (distribution version)`."""
        return f"{self.name} ({self.distribution} {self.version})"


def discover(
    points: Iterable[EntryPoint] | None = None, disabled: Sequence[str] = (), slow_s: float = 10.0
) -> list[Found]:
    """Import all plugins of the entry-point group, sorted by name, so that the order is the same everywhere.

    An import that raises anything (also `SystemExit`) becomes an `error`. Two distributions with one entry-point name:
    memhost's own plugin keeps the name; among others none gets it. An import cannot be cut off: one that takes longer
    than `slow_s` seconds is logged while it runs.
    """
    names = _Names()
    found = [_describe(point, names) for point in (entry_points(group=PROJECT) if points is None else points)]
    unique = {(item.name, item.distribution, item.module): item for item in found}
    ordered = sorted(
        unique.values(),
        key=lambda item: (item.name, item.distribution != OWN_DISTRIBUTION, item.distribution),
    )
    _refuse_equal_names(ordered)
    for item in ordered:
        item.disabled = item.name in disabled
        if item.error is None and not item.disabled:
            _load(item, slow_s)
    return ordered


class _Names:
    """Name and version of distributions, whose metadata takes milliseconds to read, each read once."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Distribution, str, str]] = {}

    def of(self, distribution: Distribution | None) -> tuple[str, str]:
        if distribution is None:
            return "unknown", "unknown"
        if id(distribution) not in self._known:
            metadata = distribution.metadata
            self._known[id(distribution)] = (distribution, metadata["Name"], metadata["Version"])
        return self._known[id(distribution)][1:]


def _describe(point: EntryPoint, names: _Names) -> Found:
    distribution, version = names.of(point.dist)
    return Found(name=point.name, module=point.value, distribution=distribution, version=version)


def _refuse_equal_names(found: Sequence[Found]) -> None:
    groups: dict[str, list[Found]] = {}
    for item in found:
        groups.setdefault(item.name, []).append(item)
    for name, group in groups.items():
        own = [item for item in group if item.distribution == OWN_DISTRIBUTION]
        refused = [item for item in group if item not in own] if own else group
        if len(group) > 1:
            owners = " and ".join(f"{item.distribution} {item.version}" for item in group)
            for item in refused:
                item.error = f"the entry-point name {name} is used by {owners}; uninstall one or disable it"


def _load(item: Found, slow_s: float) -> None:
    fields = {**item.fields, "seconds": slow_s}
    watch = threading.Timer(slow_s, logger.error, ("plugin.import_hangs",), {"extra": {"fields": fields}})
    watch.daemon = True
    if item.distribution != OWN_DISTRIBUTION:
        watch.start()
    point = EntryPoint(name=item.name, value=item.module, group=PROJECT)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            loaded: Any = point.load()
        item.notices = [str(each.message) for each in caught if _deprecates(item, each)]
        for each in caught:  # to whoever listens to warnings, as if nobody had listened here
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a foreign module may fail in any way
        item.error, item.cause = f"import failed: {at_start(error, item.module)}", error
        return
    finally:
        watch.cancel()
    item.error = _api_problem(item, loaded)
    if item.error is None:
        item.plugin = loaded


def _deprecates(item: Found, warning: warnings.WarningMessage) -> bool:
    """Tell whether a file of the plugin uses something deprecated; packages that it imports have their own."""
    package = sys.modules.get(item.module.partition(":")[0].partition(".")[0])
    places = [*getattr(package, "__path__", ()), getattr(package, "__file__", None)]
    used_here = any(place is not None and Path(warning.filename).is_relative_to(place) for place in places)
    return issubclass(warning.category, DeprecationWarning) and used_here


def _api_problem(item: Found, loaded: Any) -> str | None:
    """Why the plugin does not fit this version of the plugin API; notes the range that it declares."""
    declared = getattr(loaded, API_ATTRIBUTE, None)
    if declared is None:
        return None
    try:
        item.api = msgspec.convert(declared, tuple[int, int])
    except msgspec.ValidationError:
        return (
            f"{API_ATTRIBUTE} must be a pair, the lowest and highest plugin API version that the plugin supports, "
            "such as (1, 1)"
        )
    lowest, highest = item.api
    if lowest <= API_VERSION <= highest:
        return None
    what = "update the plugin" if highest < API_VERSION else "update memhost"
    return f"it supports plugin API {lowest} to {highest}, but this memhost has {API_VERSION}; {what}"


def register(manager: pluggy.PluginManager, item: Found) -> None:
    """Register an imported plugin; one whose hooks do not fit becomes an `error` and leaves no trace."""
    if item.plugin is None:
        return
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            manager.register(item.plugin, name=item.name)
        item.notices += [str(each.message) for each in caught if issubclass(each.category, DeprecationWarning)]
        item.hooks = tuple(sorted(caller.name for caller in manager.get_hookcallers(item.plugin) or ()))
        _check_hooks(manager, item)
    except (pluggy.PluginValidationError, ValueError, TypeError) as error:
        item.error = f"invalid plugin: {error}"
        if manager.has_plugin(item.name):
            manager.unregister(name=item.name)


def _check_hooks(manager: pluggy.PluginManager, item: Found) -> None:
    known = {name for name in vars(manager.hook) if name.startswith(f"{PROJECT}_")}
    specified = {name for name in known if getattr(manager.hook, name).spec is not None}
    unknown = sorted(set(item.hooks) - specified)
    if unknown:
        near = dict.fromkeys(name for each in unknown for name in difflib.get_close_matches(each, specified, n=1))
        meant = f"; did you mean {' and '.join(near)}?" if near else ";"
        raise ValueError(f"unknown hook {', '.join(unknown)}{meant} the hooks are: {', '.join(sorted(specified))}")
    for name in item.hooks:
        spec = getattr(manager.hook, name).spec
        implementation = getattr(item.plugin, name, None)
        if iscoroutinefunction(spec.function) and not iscoroutinefunction(implementation):
            raise TypeError(f"{name} is an event hook and must be written as 'async def'")
        if iscoroutinefunction(implementation) and not iscoroutinefunction(spec.function):
            raise TypeError(f"{name} is a registration hook and must be written as 'def', without 'async'")
    if not item.hooks:
        raise ValueError("it implements no hook; mark its functions with @memhost.hookimpl")
