"""The typed plugin manager: the only place that touches pluggy's hook relay."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection, Iterable, Sequence
from importlib.metadata import EntryPoint
from itertools import islice
from typing import Any

import msgspec
import pluggy

from memhost import hookspecs
from memhost.hooks import PROJECT, options_of
from memhost.operations import Operation
from memhost.operations.responses import PluginRow
from memhost.plugins import reserved
from memhost.plugins.blame import at_start, frames
from memhost.plugins.calling import EventHook, in_time
from memhost.plugins.discovery import OWN_DISTRIBUTION, Found, discover, register
from memhost.plugins.registry import Registered, Registry
from memhost.settings.fields import settings_of
from memhost.settings.loading import all_settings
from memhost.specs import (
    AuthSpec,
    CommandSpec,
    EmbedderSpec,
    InterfaceSpec,
    LanguageModelSpec,
    MaintenanceTask,
    RerankerSpec,
    RunnerSpec,
    ScheduleSpec,
    SettingsSpec,
    StoreSpec,
    StrategySpec,
)

logger = logging.getLogger(__name__)


_KINDS: dict[str, dict[type, str]] = {
    "memhost_stores": {StoreSpec: "stores"},
    "memhost_strategies": {StrategySpec: "strategies"},
    "memhost_models": {EmbedderSpec: "embedders", LanguageModelSpec: "language_models", RerankerSpec: "rerankers"},
    "memhost_auth_providers": {AuthSpec: "auth_providers"},
    "memhost_runners": {RunnerSpec: "runners"},
    "memhost_interfaces": {InterfaceSpec: "interfaces"},
    "memhost_operations": {Operation: "operations"},
    "memhost_settings": {SettingsSpec: "settings_sections"},
    "memhost_commands": {CommandSpec: "commands"},
    "memhost_schedules": {ScheduleSpec: "schedules"},
    "memhost_maintenance_tasks": {MaintenanceTask: "maintenance_tasks"},
}
"""For each registration hook: the spec types it may return, and the registry each goes to."""

SECTIONS = {
    "stores": "stores",
    "strategies": "strategies",
    "embedders": "models",
    "language_models": "models",
    "rerankers": "models",
    "auth_providers": "auth",
    "runners": "runners",
    "interfaces": "interfaces",
    "settings_sections": "plugins",
}
"""Name of the configuration section of each kind of spec."""


START_S = 10.0
"""Time that the registration hooks of a plugin may take together by default, seconds."""

_MAX_SPECS = 1000


def _is_struct(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, msgspec.Struct)


_PARTS: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("open", "build", "handler", "load", "run"), (callable, "callable")),
    **dict.fromkeys(("settings", "config", "request", "arguments"), (_is_struct, "a msgspec.Struct class")),
    "every_s": (lambda value: isinstance(value, (int, float)) and 0 < value < math.inf, "a number above 0"),
}
"""Types of those parts of specs in which an error would only show later."""


class PluginManager:
    """All plugins found, what they offer, and their event hooks."""

    def __init__(
        self, start_s: float = START_S, taken: Collection[str] = (), taken_tasks: Collection[str] = ()
    ) -> None:
        self._start_s = start_s
        self._taken = {
            "operations": frozenset(taken),
            "maintenance_tasks": frozenset(taken_tasks),
            "commands": reserved.COMMANDS,
        }
        self.stores: Registry[StoreSpec] = Registry("store")
        self.strategies: Registry[StrategySpec] = Registry("strategy")
        self.embedders: Registry[EmbedderSpec] = Registry("embedder")
        self.language_models: Registry[LanguageModelSpec] = Registry("language model")
        self.rerankers: Registry[RerankerSpec] = Registry("reranker")
        self.auth_providers: Registry[AuthSpec] = Registry("auth provider")
        self.runners: Registry[RunnerSpec] = Registry("runner")
        self.interfaces: Registry[InterfaceSpec] = Registry("interface")
        self.operations: Registry[Operation] = Registry("operation")
        self.settings_sections: Registry[SettingsSpec] = Registry("settings section")
        self.commands: Registry[CommandSpec] = Registry("command")
        self.schedules: Registry[ScheduleSpec] = Registry("schedule")
        self.maintenance_tasks: Registry[MaintenanceTask] = Registry("maintenance task")
        self._found: list[Found] = []
        self._pluggy = pluggy.PluginManager(PROJECT)
        self._pluggy.add_hookspecs(hookspecs)
        self._events: dict[str, tuple[EventHook, ...]] = {}
        self._own: dict[tuple[str, str], str] = {}

    @classmethod
    def load(
        cls,
        *,
        disabled: Sequence[str] = (),
        entry_points: Iterable[EntryPoint] | None = None,
        start_s: float = START_S,
        taken: Collection[str] = (),
        taken_tasks: Collection[str] = (),
    ) -> PluginManager:
        """Find, import and register all plugins; one that fails is logged and left out, never raised.

        Args:
            disabled: Entry-point names to leave out.
            entry_points: The entry points to load instead of the installed ones.
            start_s: How long the registration hooks of a plugin may take together, seconds; an import that takes longer
                is logged.
            taken: Names of the host's own operations; a plugin that offers one of them fails.
            taken_tasks: Names of the host's own maintenance tasks, likewise.
        """
        manager = cls(start_s, taken, taken_tasks)
        manager._found = discover(entry_points, disabled, start_s)
        # pluggy calls the last one registered first: registering backwards gives the order of the names.
        for item in reversed(manager._found):
            if item.error is None:
                register(manager._pluggy, item)
        manager._collect()
        for item in manager._found:
            if item.error is not None:
                _tell_failed(item)
            for notice in item.notices:
                logger.warning("plugin.deprecated", extra={"fields": {"plugin": item.name, "notice": notice}})
        manager._index_events()
        return manager

    @property
    def rows(self) -> tuple[PluginRow, ...]:
        """One row per entry point found, by name."""
        return tuple(
            PluginRow(
                name=item.name,
                module=item.module,
                distribution=item.distribution,
                version=item.version,
                status="failed" if item.error else "disabled" if item.disabled else "ok",
                hooks=item.hooks,
                provides=tuple(item.provides),
                error=item.error,
                notices=tuple(item.notices),
                api=item.api,
            )
            for item in self._found
        )

    def event_hooks(self, hook: str) -> tuple[EventHook, ...]:
        """Implementations of an event hook, in the order in which they are called."""
        return self._events.get(hook, ())

    def origin_of(self, module: str) -> PluginRow | None:
        """The plugin that a module belongs to: the one with the longest matching name, else with that package."""
        rows = [row for row in self.rows if f"{module}.".startswith(f"{row.module.partition(':')[0]}.")]
        if not rows:
            package = module.partition(".")[0]
            rows = [row for row in self.rows if row.module.partition(".")[0].partition(":")[0] == package]
        return max(rows, key=lambda row: len(row.module), default=None)

    def sections(self) -> dict[tuple[str, str], type[msgspec.Struct]]:
        """(section, name) of the configuration to the struct that describes it, for all specs."""
        return {
            (section, entry.spec.name): entry.spec.settings
            for attribute, section in SECTIONS.items()
            for entry in getattr(self, attribute)
        }

    def sections_of(self, plugin: str) -> list[str]:
        """Names of the sections of the configuration that a plugin has."""
        return [
            f"{section}.{entry.spec.name}"
            for attribute, section in SECTIONS.items()
            for entry in getattr(self, attribute)
            if entry.plugin == plugin
        ]

    def explain_missing(self, registry: Registry[Any], name: str) -> str:
        """Why no spec of that name can be selected, and what can be."""
        for item in self._found:
            if item.error and (name in item.provides or item.name.endswith(f"-{name}")):
                return f"The {registry.kind} {name} is not available: plugin {item.origin}: {item.error}."
        known = ", ".join(registry.names()) or "none"
        return (
            f"There is no {registry.kind} {name!r}. Installed: {known}. "
            "Install a plugin that offers it or choose one of these."
        )

    # -- collecting ------------------------------------------------------------------------------------

    def _collect(self) -> None:
        offered: dict[tuple[str, str], list[tuple[Found, Any]]] = {}
        for item in sorted(self._found, key=lambda each: each.distribution != OWN_DISTRIBUTION):
            if item.error is None and item.plugin is not None:
                for attribute, spec in self._specs_of(item):
                    item.provides.append(spec.name)
                    offered.setdefault((attribute, spec.name), []).append((item, spec))
                    if item.distribution == OWN_DISTRIBUTION:
                        self._own[attribute, spec.name] = item.origin
        self._refuse_clashes(offered)
        self._refuse_settings(offered)
        for (attribute, name), claims in sorted(offered.items(), key=lambda pair: pair[0]):
            for item, spec in claims:
                if item.error is None:
                    entry = Registered(spec, item.name, item.distribution, item.version)
                    getattr(self, attribute).add(name, entry)

    def _specs_of(self, item: Found) -> list[tuple[str, Any]]:
        try:
            return in_time(self._start_s, lambda: self._call_registration(item))
        except TimeoutError:
            self._fail(
                item,
                f"its registration hooks took longer than {self._start_s:g} s; registration hooks must not do any work",
            )
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a foreign hook may fail in any way; the host continues
            self._fail(item, at_start(error, item.module), error)
        return []

    def _call_registration(self, item: Found) -> list[tuple[str, Any]]:
        specs: list[tuple[str, Any]] = []
        for hook, kinds in _KINDS.items():
            for implementation in self._implementations(hook, item.plugin):
                found = list(islice(implementation.function() or (), _MAX_SPECS + 1))
                if len(found) > _MAX_SPECS:
                    raise ValueError(f"{hook} returned more than {_MAX_SPECS} specs")
                specs += [(self._kind_of(hook, kinds, spec), spec) for spec in found]
        return specs

    def _kind_of(self, hook: str, kinds: dict[type, str], spec: Any) -> str:
        for kind, attribute in kinds.items():
            if isinstance(spec, kind):
                if (name := getattr(spec, "name", "")) in self._taken.get(attribute, ()):
                    noun = getattr(self, attribute).kind
                    raise ValueError(f"{hook} returned the {noun} {name!r}, but the host has one of that name")
                try:
                    _check_spec(hook, spec)
                except TypeError as error:
                    if (owner := self._own.get((attribute, name))) is None:
                        raise
                    noun = getattr(self, attribute).kind
                    raise TypeError(f"{error}; besides, the {noun} name {name} is taken by {owner}") from error
                return attribute
        wanted = " or ".join(kind.__name__ for kind in kinds)
        raise TypeError(f"{hook} must return {wanted} objects, not {type(spec).__name__}")

    def _implementations(self, hook: str, plugin: Any) -> list[Any]:
        return [found for found in getattr(self._pluggy.hook, hook).get_hookimpls() if found.plugin is plugin]

    def _refuse_clashes(self, offered: dict[tuple[str, str], list[tuple[Found, Any]]]) -> None:
        for (attribute, name), claims in offered.items():
            if len(claims) < 2:
                continue
            owners = " and ".join(item.origin for item, _ in claims)
            kind = getattr(self, attribute).kind
            for item, _ in claims:
                own = item.distribution == OWN_DISTRIBUTION
                if not own and item.error is None:
                    self._fail(
                        item,
                        f"the {kind} name {name} is offered by {owners}; uninstall or disable one",
                    )

    def _refuse_settings(self, offered: dict[tuple[str, str], list[tuple[Found, Any]]]) -> None:
        """Fail plugins whose settings are declared wrongly, or are set by variables that others have."""
        claims = [
            (item, f"{SECTIONS[attribute]}.{name}", spec.settings)
            for (attribute, name), found in offered.items()
            for item, spec in found
            if attribute in SECTIONS and item.error is None
        ]
        if all(item.distribution == OWN_DISTRIBUTION for item, _, _ in claims):
            return
        owners: dict[str, Found | None] = {name: None for setting in all_settings({}) for name in setting.env}
        for item, section, struct in sorted(claims, key=lambda claim: claim[0].distribution != OWN_DISTRIBUTION):
            try:
                names = [name for setting in settings_of(section, struct) for name in setting.env]
            except Exception as error:  # noqa: BLE001 - a default of a foreign struct may fail in any way
                self._fail(item, f"the settings [{section}] are declared wrongly: {error.__cause__ or error}", error)
                continue
            for name in names:
                owner = owners.setdefault(name, item)
                if owner is item:
                    continue
                whose = "memhost itself" if owner is None else owner.origin
                told = f"the variable {name} of its settings [{section}] sets something of {whose}; rename the settings"
                self._fail(item, told)
                if owner is not None and owner.distribution != OWN_DISTRIBUTION and owner.error is None:
                    self._fail(owner, f"the variable {name} of its settings sets something of {item.origin} as well")
                break

    def leave_out(self, plugin: str, error: str, cause: BaseException | None = None) -> None:
        """Go on without a plugin that cannot be used: nothing that it offers is there any more, and its row says why.

        For the time before anything of the plugin is in use.
        """
        item = next(item for item in self._found if item.name == plugin)
        self._fail(item, error, cause)
        for attribute in {each for kinds in _KINDS.values() for each in kinds.values()}:
            getattr(self, attribute).remove(plugin)
        self._index_events()
        _tell_failed(item)

    def is_bundled(self, plugin: str) -> bool:
        """Tell whether the plugin is one of memhost's own."""
        return any(item.name == plugin and item.distribution == OWN_DISTRIBUTION for item in self._found)

    def culprit(self, error: BaseException) -> tuple[PluginRow, str] | None:
        """The plugin whose code failed, with file and line there: that of the innermost frame that is a plugin's.

        None if no code of a plugin was running.
        """
        for frame, place in frames(error):
            if (row := self.origin_of(str(frame.f_globals.get("__name__", "")))) is not None:
                return row, place
        return None

    def _fail(self, item: Found, error: str, cause: BaseException | None = None) -> None:
        item.error, item.cause = error, cause
        if self._pluggy.has_plugin(item.name):
            self._pluggy.unregister(name=item.name)

    def _index_events(self) -> None:
        by_name = {item.name: item for item in self._found}
        for hook in [name for name in vars(hookspecs) if name.startswith(f"{PROJECT}_")]:
            if hook in _KINDS:
                continue
            implementations = reversed(getattr(self._pluggy.hook, hook).get_hookimpls())
            self._events[hook] = tuple(
                _event_hook(hook, found, by_name[found.plugin_name]) for found in implementations
            )


def _tell_failed(item: Found) -> None:
    logger.warning("plugin.failed", extra={"fields": {**item.fields, "error": item.error}})
    if item.cause is not None and logger.isEnabledFor(logging.DEBUG):
        logger.debug("plugin.traceback", extra={"fields": item.fields}, exc_info=item.cause)
    item.cause = None  # its frames hold all that was there


def _event_hook(hook: str, implementation: Any, item: Found) -> EventHook:
    return EventHook(
        hook=hook,
        plugin=item.name,
        distribution=item.distribution,
        version=item.version,
        function=implementation.function,
        arguments=tuple(implementation.argnames),
        options=options_of(implementation.function),
    )


def _check_spec(hook: str, spec: Any) -> None:
    name = getattr(spec, "name", "")
    if not isinstance(name, str) or not name or name != name.lower():
        raise ValueError(f"{hook} returned a spec with the name {name!r}; names are lower case")
    for part, (fits, wanted) in _PARTS.items():
        if hasattr(spec, part) and not fits(getattr(spec, part)):
            raise TypeError(f"{hook} returned a spec {name!r} whose {part} is not {wanted}")
