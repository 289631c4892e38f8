"""Builds the interfaces, each by itself: a foreign one that fails takes nothing from the others."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from inspect import iscoroutine
from typing import Any, NamedTuple

from litestar import Litestar, Router
from litestar.routes import ASGIRoute

from memhost.errors import ConfigurationError, OperationUnusable
from memhost.host import Host
from memhost.http.plugin_routes import Entry, GuardedMiddleware, PluginRoutes
from memhost.plugins.blame import at_start
from memhost.specs import Mount

logger = logging.getLogger(__name__)

OPTIONS: dict[str, Any] = {"openapi_config": None, "logging_config": None, "request_max_body_size": None}


class PluginsBroken(ConfigurationError):
    """Foreign plugins whose interfaces cannot be used; `reasons` has the reason and its cause by the plugin's name."""

    def __init__(self, reasons: Mapping[str, tuple[str, BaseException | None]]) -> None:
        super().__init__([f"The plugin {plugin} cannot be used: {reason}" for plugin, (reason, _) in reasons.items()])
        self.reasons = dict(reasons)


def reasons_in(error: BaseException) -> dict[str, tuple[str, BaseException | None]]:
    """The reasons of `PluginsBroken`, which Litestar wraps in groups where a lifespan raised it.

    Raises:
        BaseException: The error itself, if it is anything else.
    """
    if isinstance(error, PluginsBroken):
        return error.reasons
    rest = error
    if isinstance(error, BaseExceptionGroup):
        found, other = error.split(PluginsBroken)
        if found is not None and other is None:
            return {name: reason for each in found.exceptions for name, reason in reasons_in(each).items()}
        rest = error.exceptions[0] if len(error.exceptions) == 1 else error
    raise rest


class Path(NamedTuple):
    """A path that an interface answers; with `mount` all below it as well."""

    text: str
    mount: bool

    @property
    def parts(self) -> list[str]:
        """Its parts, those with parameters in braces."""
        return [part for part in self.text.split("/") if part]


class Mounted(NamedTuple):
    """An interface, and what it adds to the application."""

    entry: Entry
    mount: Mount


def built(host: Host) -> list[Mounted]:
    """All selected interfaces.

    Raises:
        ConfigurationError: One that the configuration names is missing or cannot be built, or a bundled one cannot.
        PluginsBroken: Foreign ones cannot be built, or take paths of others.
    """
    found: list[Mounted] = []
    broken: dict[str, tuple[str, BaseException | None]] = {}
    paths: dict[str, list[Path]] = {}
    for name in host.settings.server.interfaces or host.plugins.interfaces.names():
        entry = host.plugins.interfaces.get(name)
        if entry is None:
            raise ConfigurationError(host.plugins.explain_missing(host.plugins.interfaces, name))
        try:
            mount = _build(host, entry)
            paths[name] = _paths(host, entry, mount)
        except OperationUnusable as error:
            offered = host.plugins.operations.get(error.operation)
            if offered is None or host.plugins.is_bundled(offered.plugin):
                raise
            broken[offered.plugin] = (error.message.rstrip("."), None)
        except (Exception, SystemExit) as error:
            if host.plugins.is_bundled(entry.plugin):
                raise
            module = next(row.module for row in host.plugins.rows if row.name == entry.plugin)
            broken[entry.plugin] = (f"its interface {name} cannot be built: {at_start(error, module)}", error)
        else:
            found.append(Mounted(entry, mount))
    broken |= _taken(host, found, paths)
    if broken:
        _end_if_chosen(host, broken)
        raise PluginsBroken(broken)
    return found


def _build(host: Host, entry: Entry) -> Mount:
    name = entry.spec.name
    mount: object = entry.spec.build(host.through(name), host.configuration.section("interfaces", name))
    if iscoroutine(mount):
        mount.close()
    if not isinstance(mount, Mount):
        raise TypeError(f"build must return a memhost.specs.Mount, not {type(mount).__name__}")
    return mount


def _paths(host: Host, entry: Entry, mount: Mount) -> list[Path]:
    """The paths that an interface answers; an application is made of it alone, so that what is wrong is its own."""
    if host.plugins.is_bundled(entry.plugin) and not _has_foreign(host):
        return []
    lone = Litestar(handlers_of(host, Mounted(entry, mount)), **OPTIONS)
    if not host.plugins.is_bundled(entry.plugin):
        for around in mount.middleware:
            guarded(host, entry, around)(lone)
        _check_lifespans(mount)
    return [Path(route.path, isinstance(route, ASGIRoute) and route.route_handler.is_mount) for route in lone.routes]


def _has_foreign(host: Host) -> bool:
    return any(not host.plugins.is_bundled(entry.plugin) for entry in host.plugins.interfaces)


def _check_lifespans(mount: Mount) -> None:
    given: Sequence[object] = mount.lifespan
    for each in given:
        if not callable(each) and not isinstance(each, AbstractAsyncContextManager):
            raise TypeError(f"a lifespan must be a function that makes a context manager, not {type(each).__name__}")


def _taken(
    host: Host, found: Sequence[Mounted], paths: Mapping[str, Sequence[Path]]
) -> dict[str, tuple[str, BaseException | None]]:
    """The foreign plugins that would answer paths of others."""
    broken: dict[str, tuple[str, BaseException | None]] = {}
    for mine in found:
        if host.plugins.is_bundled(mine.entry.plugin):
            continue
        for other in found:
            bundled = host.plugins.is_bundled(other.entry.plugin)
            if other.entry.plugin == mine.entry.plugin:
                continue
            clash = next(
                (
                    (path, owned)
                    for path in paths[mine.entry.spec.name]
                    for owned in paths[other.entry.spec.name]
                    if (_takes(path, owned) if bundled else path.text == owned.text)
                ),
                None,
            )
            if clash is not None:
                broken[mine.entry.plugin] = (
                    f"its interface {mine.entry.spec.name} answers {clash[0].text}, which takes {clash[1].text} from "
                    f"the interface {other.entry.spec.name} of {other.entry.origin}; choose a path of its own",
                    None,
                )
                break
    return broken


def _takes(path: Path, owned: Path) -> bool:
    """Tell whether the router would lead requests for a path that is owned to the other one."""
    mine, theirs = path.parts, owned.parts
    if owned.mount and mine[: len(theirs)] == theirs:
        return True
    if path.mount and theirs[: len(mine)] == mine:
        return True
    alike = (part == other or other.startswith("{") for part, other in zip(mine, theirs, strict=False))
    return len(mine) == len(theirs) and all(alike)


def _end_if_chosen(host: Host, broken: Mapping[str, tuple[str, BaseException | None]]) -> None:
    """End the start for plugins that the configuration selects by name.

    Raises:
        ConfigurationError: With a sentence for each of them.
    """
    from memhost.host.selection import chosen

    selected = chosen(host.configuration, host.plugins)
    if named := [plugin for plugin in broken if plugin in selected]:
        origins = {row.name: f"{row.name} ({row.distribution} {row.version})" for row in host.plugins.rows}
        raise ConfigurationError(
            [f"The plugin {origins[name]}, which {selected[name]} selects, fails: {broken[name][0]}." for name in named]
        )


def handlers_of(host: Host, mounted: Mounted) -> list[Any]:
    """The route handlers of an interface; those of a foreign one have its name, its errors and its log."""
    entry, mount = mounted
    if host.plugins.is_bundled(entry.plugin) or not mount.handlers:
        return [*mount.handlers]
    routes = PluginRoutes(entry, host.plugins, host.services.watch, host.settings.server.max_body_bytes)
    return [
        Router(
            "/",
            route_handlers=[*mount.handlers],
            middleware=[routes.around],
            exception_handlers=routes.handlers(mount.exception_handlers),
        )
    ]


def middleware_of(host: Host, mounted: Mounted) -> list[Callable[[Any], Any]]:
    """The middleware of an interface."""
    entry, mount = mounted
    if host.plugins.is_bundled(entry.plugin):
        return [*mount.middleware]
    return [guarded(host, entry, around) for around in mount.middleware]


def guarded(host: Host, entry: Entry, around: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Middleware of a foreign plugin, which harms no request but once."""
    module = next(row.module for row in host.plugins.rows if row.name == entry.plugin)
    watch = host.services.watch
    return lambda app: GuardedMiddleware(app, around=around, entry=entry, watch=watch, module=module)


def lifespan_of(host: Host, mounted: Mounted) -> list[Any]:
    """The context managers around the application's life that an interface has."""
    entry, mount = mounted
    if host.plugins.is_bundled(entry.plugin):
        return [*mount.lifespan]
    return [_named(host, entry, each) for each in mount.lifespan]


def _named(host: Host, entry: Entry, lifespan: Any) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    """The lifespan, whose failure names the plugin at the start and ends nothing at the end."""
    module = next(row.module for row in host.plugins.rows if row.name == entry.plugin)

    @asynccontextmanager
    async def run(app: Litestar) -> AsyncIterator[None]:
        over = False
        try:
            async with AsyncExitStack() as stack:
                try:
                    made = lifespan if isinstance(lifespan, AbstractAsyncContextManager) else lifespan(app)
                    await stack.enter_async_context(made)
                except (Exception, SystemExit) as error:
                    reason = f"its interface {entry.spec.name} does not start: {at_start(error, module)}"
                    broken = {entry.plugin: (reason, error)}
                    _end_if_chosen(host, broken)
                    raise PluginsBroken(broken) from error
                yield
                over = True
        except (Exception, SystemExit) as error:
            if not over:
                raise
            fields = {"plugin": entry.plugin, "distribution": entry.distribution, "version": entry.version}
            told = at_start(error, module)
            host.services.watch.broke(entry.plugin, f"its lifespan ends: {told}")
            logger.error("plugin.stop_failed", extra={"fields": {**fields, "error": told}})

    return run
