"""Serves the page, to operators only unless it is open to all."""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from litestar import Litestar, Request, Response, get
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from prometheus_client import CollectorRegistry, Counter, Gauge, PlatformCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from memhost import __version__
from memhost.credentials import credentials_of
from memhost.errors import Forbidden, MemhostError, Unauthorized
from memhost.http.statuses import status_of
from memhost.specs import Mount
from memhost_metrics.observer import PrometheusObserver
from memhost_metrics.state import HostState

if TYPE_CHECKING:
    from memhost.ports import Host
    from memhost_metrics import MetricsSettings

PATH = "/metrics"
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})


def build_mount(host: Host, settings: MetricsSettings) -> Mount:
    """The page, and what counts requests while the application lives."""
    registry = CollectorRegistry()
    observer, requests = PrometheusObserver(registry), _Requests(registry)
    state = HostState(host)
    registry.register(state)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    info = Gauge("memhost_info", "Version of memhost; always 1.", ("version",), registry=registry)
    info.labels(__version__).set(1)

    @get(PATH, media_type="text/plain")
    async def metrics(request: Request[Any, Any, Any]) -> Response[Any]:
        try:
            await _let_in(host, request, open_to_all=settings.open)
        except MemhostError as error:
            return _refusal(error)
        await state.refresh()
        observer.settle()
        requests.settle()
        return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})

    @asynccontextmanager
    async def observed(_app: Litestar) -> AsyncIterator[None]:
        host.metrics.add(observer)
        try:
            yield
        finally:
            host.metrics.remove(observer)

    return Mount(handlers=[metrics], lifespan=[observed], middleware=[requests])


async def _let_in(host: Host, request: Request[Any, Any, Any], *, open_to_all: bool) -> None:
    if open_to_all:
        return
    peer = request.client.host if request.client else ""
    caller = await host.authenticate(credentials_of(dict(reversed(list(request.scope["headers"]))), peer))
    if not caller.runs_server:
        raise Forbidden(
            "Metrics cover the whole server: only an operator or admin of the default tenant without further bounds "
            "may read them."
        )


def _refusal(error: MemhostError) -> Response[Any]:
    status = status_of(error)
    headers = {}
    if isinstance(error, Unauthorized) and error.challenge:
        headers["www-authenticate"] = "Bearer"
    if error.retry_after_s:
        headers["retry-after"] = str(error.retry_after_s)
    return Response(
        {"detail": error.message, "code": error.code},
        status_code=status,
        media_type="application/json",
        headers=headers,
    )


class _Requests:
    """Counts requests by method and status, whatever interface answers them; `settle` puts them into their series."""

    def __init__(self, registry: CollectorRegistry) -> None:
        text = "HTTP requests answered."
        self._answered = Counter("memhost_http_requests", text, ("method", "status"), registry=registry)
        text = "HTTP requests being answered."
        self._in_progress = Gauge("memhost_http_requests_in_progress", text, registry=registry)
        self._running = 0
        self._counts = Counts[tuple[str, str]]()

    def settle(self) -> None:
        """Bring the series up to date, before they are shown."""
        counts, self._counts = self._counts, Counts()
        self._in_progress.set(self._running)
        for (method, status), count in counts.items():
            self._answered.labels(method, status).inc(count)

    def __call__(self, app: ASGIApp) -> ASGIApp:
        """Return the application with counting around it."""

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != ScopeType.HTTP:
                await app(scope, receive, send)
                return
            status = "aborted"

            async def noted(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = str(message["status"])
                await send(message)

            self._running += 1
            try:
                await app(scope, receive, noted)
            finally:
                self._running -= 1
                self._counts[scope["method"] if scope["method"] in _METHODS else "other", status] += 1

        return counted
