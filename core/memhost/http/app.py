"""The HTTP application: a host, and the interfaces mounted on it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from litestar import Litestar, Request, Response, asgi
from litestar.config.cors import CORSConfig
from litestar.exceptions import HTTPException

from memhost.host import Host, open_host, startup
from memhost.http import interfaces
from memhost.http.allowed_hosts import open_server_guard
from memhost.http.interfaces import PluginsBroken, reasons_in
from memhost.http.limits import Gate
from memhost.plugins import PluginManager
from memhost.ports import Clock
from memhost.settings import Configuration
from memhost.settings.addresses import is_loopback

if TYPE_CHECKING:
    from litestar.types import Receive, Scope, Send


def build_app(host: Host) -> Litestar:
    """The Litestar application of a running host, with all selected interfaces mounted.

    Raises:
        ConfigurationError: An interface that is selected by name, or a bundled one, cannot be mounted.
        PluginsBroken: Interfaces of foreign plugins cannot be; see `serving`.
    """
    server = host.settings.server
    handlers: list[Any] = []
    lifespan: list[Any] = []
    middleware: list[Any] = []
    exception_handlers: dict[int | type[Exception], Any] = {HTTPException: _http_error}
    direct: dict[str, Any] = {}
    mounted = interfaces.built(host)
    alone = not any(host.plugins.is_bundled(each.entry.plugin) for each in mounted)
    for each in mounted:
        handlers += interfaces.handlers_of(host, each)
        lifespan += interfaces.lifespan_of(host, each)
        middleware += interfaces.middleware_of(host, each)
        if alone or host.plugins.is_bundled(each.entry.plugin):  # others have theirs on their own routes
            exception_handlers |= each.mount.exception_handlers
        if host.plugins.is_bundled(each.entry.plugin):  # those of others pass by their handlers, which are watched
            direct |= each.mount.direct
    is_open = host.authenticator.open
    guard, private = open_server_guard(server) if is_open else None, is_open and is_loopback(server.host)
    app = _Surrounded(
        lambda inner: _around(Gate(_Direct(direct, inner), server, guard, private=private), middleware),
        route_handlers=handlers,
        lifespan=lifespan,
        exception_handlers=exception_handlers,
        **interfaces.OPTIONS,
    )
    cors = _cors(server.cors_allowed_origins)
    return app if cors is None else _with_cors(app, cors, exception_handlers)


class _Surrounded(Litestar):
    """Litestar with middleware around its router, so that a request that matches no route passes it as well.

    Litestar's own `middleware` runs behind the router and is not called where no route was found.
    """

    def __init__(self, surround: Callable[[Any], Any], **options: Any) -> None:
        super().__init__(**options)
        self._outermost = surround(super().__call__)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one ASGI connection; Litestar answers those of the lifespan itself."""
        if scope["type"] == "lifespan":
            await super().__call__(scope, receive, send)
            return
        scope["app"] = scope["litestar_app"] = self  # what middleware of interfaces finds, as behind the router
        await self._outermost(scope, receive, send)


_PLAIN_HOST = re.compile(rb"[0-9A-Za-z._-]+(?::[0-9]+)?|\[[0-9A-Fa-f:.]+\](?::[0-9]+)?")


class _Direct:
    """Hands plain requests below some paths to the applications there, and all others to Litestar.

    Plain is what Litestar neither refuses (a host of odd characters) nor changes (slashes in a row, the prefix of a
    proxy) on the way.
    """

    def __init__(self, applications: Mapping[str, Any], litestar: Any) -> None:
        self._applications = {f"{path}/": app for path, app in applications.items()}
        self._litestar = litestar

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one ASGI connection."""
        path: str = scope["path"]
        for prefix, app in self._applications.items():
            if path.startswith(prefix) and _is_plain(scope, path):
                await app(scope, receive, send)
                return
        await self._litestar(scope, receive, send)


def _is_plain(scope: Any, path: str) -> bool:
    if scope["type"] != "http" or "//" in path or scope.get("root_path") or not scope.get("raw_path"):
        return False
    return all(_PLAIN_HOST.fullmatch(value) for name, value in scope["headers"] if name == b"host")


def _around(gate: Gate, middleware: Sequence[Callable[[Any], Any]]) -> Any:
    inner: Any = gate
    for around in reversed(middleware):
        inner = around(inner)
    return inner


def _with_cors(app: Litestar, cors: CORSConfig, exception_handlers: Mapping[int | type[Exception], Any]) -> Litestar:
    """An application around the other one: CORS must be outermost, so that pages can read what the gate answers.

    Only where CORS is configured, since the second router costs every request 20 us.
    """

    async def mounted(scope: Scope, receive: Receive, send: Send) -> None:
        # The outer router took the prefix of a proxy off the path, and the inner one does so again.
        scope["path"] = scope.get("root_path", "").rstrip("/") + scope["path"]
        await app(scope, receive, send)

    return Litestar(
        [asgi("/", is_mount=True, copy_scope=False)(mounted)],
        cors_config=cors,
        lifespan=[lambda _outer: app.lifespan()],
        exception_handlers=dict(exception_handlers),
        **interfaces.OPTIONS,
    )


def _cors(origins: Sequence[str]) -> CORSConfig | None:
    if not origins:
        return None
    return CORSConfig(
        allow_origins=list(origins),
        allow_headers=["authorization", "x-api-key", "content-type", "x-request-id"],
        expose_headers=["x-request-id", "x-deprecation-warning", "x-memhost-notice", "retry-after"],
    )


def _http_error(_request: Request[Any, Any, Any], error: HTTPException) -> Response[dict[str, str]]:
    return Response({"detail": error.detail}, status_code=error.status_code, headers=error.headers)


@asynccontextmanager
async def serving(
    configuration: Configuration,
    plugins: PluginManager,
    clock: Clock | None = None,
    *,
    opened: Callable[[Host], Awaitable[None]] | None = None,
    run_jobs: bool = True,
) -> AsyncIterator[Litestar]:
    """The application on a host of its own, both running.

    If foreign plugins keep it from starting, it starts again without them: so nothing that they offer is in use.

    Args:
        configuration: The settings.
        plugins: The plugins; those that fail are left out.
        clock: Time; the machine's by default.
        opened: Awaited with the host before the application is made.
        run_jobs: Whether background jobs run.

    Raises:
        MemhostError: It cannot start.
    """
    while True:
        async with AsyncExitStack() as stack:
            host = await stack.enter_async_context(open_host(configuration, plugins, clock=clock, run_jobs=run_jobs))
            if opened is not None:
                await opened(host)
            try:
                app = build_app(host)
                await stack.enter_async_context(app.lifespan())
            except (PluginsBroken, BaseExceptionGroup) as error:
                broken = reasons_in(error)
            else:
                yield app
                return
        for plugin, (reason, cause) in broken.items():
            plugins.leave_out(plugin, reason, cause)


class Application:
    """An ASGI application that opens the host when the server starts and closes it when the server stops.

    `opened` is awaited with the host before anything listens; if it raises, the server does not start.
    """

    def __init__(
        self,
        configuration: Configuration,
        plugins: PluginManager,
        clock: Clock | None = None,
        *,
        opened: Callable[[Host], Awaitable[None]] | None = None,
    ) -> None:
        self._configuration = configuration
        self._plugins = plugins
        self._clock = clock
        self._opened = opened
        self._app: Litestar | None = None
        self.failure: BaseException | None = None
        """Why the host did not start."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection."""
        if scope["type"] == "lifespan":  # type: ignore[comparison-overlap]
            # Told twice to stop, a server ends its event loop without a shutdown; what was open is closed all the same.
            with suppress(asyncio.CancelledError):
                await self._lifespan(receive, send)
            return
        if self._app is None:
            raise RuntimeError("the application was not started: run it with its lifespan on")
        await self._app(scope, receive, send)

    async def _lifespan(self, receive: Any, send: Any) -> None:
        await receive()
        async with AsyncExitStack() as stack:
            try:
                app = await stack.enter_async_context(
                    serving(self._configuration, self._plugins, self._clock, opened=self._opened)
                )
            except Exception as error:  # noqa: BLE001 - whatever it is, the server must be told and stop
                self.failure = error
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
            self._app = app
            await send({"type": "lifespan.startup.complete"})
            await receive()
            self._app = None
        await send({"type": "lifespan.shutdown.complete"})


def create() -> Application:
    """The application as the environment configures it: the factory for server processes."""
    return Application(*startup.load())
