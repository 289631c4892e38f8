"""MCP over HTTP: decides who may connect, who calls, and for whom; the rest is the library's."""

from __future__ import annotations

import asyncio
import importlib
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import msgspec
from litestar import HttpMethod, asgi, route
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from memhost.credentials import credentials_of
from memhost.errors import Forbidden, MemhostError, MissingExtra, TooManyRequests, Unauthorized, Unavailable
from memhost.http.allowed_hosts import Guard, is_loopback
from memhost.logs import REQUEST_ID, log, log_refusal
from memhost.specs import Mount
from memhost_mcp.catalog import Catalog
from memhost_mcp.crowding import ALL_STREAMS, STREAMS, Crowd
from memhost_mcp.tool_context import SCOPE_KEY, Defaults, McpRequest

if TYPE_CHECKING:
    from litestar import Litestar

    from memhost.ports import Host
    from memhost_mcp import McpSettings
    from memhost_mcp.transports import Transports

logger = logging.getLogger(__name__)

METADATA = "/.well-known/oauth-protected-resource"
_KINDS = ("mcp", "sse", "messages")

Headers = dict[bytes, bytes]


class Engine:
    """The library's transports, imported and started when the first request comes."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._transports: Transports | None = None
        self._starting = asyncio.Lock()
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def transports(self) -> Transports:
        """The running transports.

        Raises:
            MissingExtra: The MCP library is not installed.
        """
        async with self._starting:
            if self._transports is None:
                try:
                    module: Any = await asyncio.to_thread(importlib.import_module, "memhost_mcp.transports")
                except ImportError as error:
                    raise MissingExtra("The interface mcp", "mcp") from error
                made: Transports = module.Transports(self._catalog)
                ready = asyncio.Event()
                self._task = asyncio.create_task(self._run(made, ready))
                await ready.wait()
                self._transports = made
            return self._transports

    async def _run(self, transports: Transports, ready: asyncio.Event) -> None:
        # A task group lives in the task that opened it, so the transports have one of their own.
        async with transports.running():
            ready.set()
            await self._stop.wait()

    @asynccontextmanager
    async def lifespan(self, _app: Litestar) -> AsyncIterator[None]:
        """Stop with the application."""
        try:
            yield
        finally:
            self._stop.set()
            if self._task is not None:
                await self._task


class McpApp:
    """ASGI application of `/mcp`, `/sse` and `/messages/`, each also below a namespace: `/{namespace}/mcp`."""

    def __init__(self, host: Host, settings: McpSettings, engine: Engine) -> None:
        self._host = host
        self._settings = settings
        self._engine = engine
        self._streams = Crowd("streams of events", STREAMS, ALL_STREAMS)
        server = host.settings.server
        self._guard = Guard(
            server.allowed_hosts,
            (*settings.allowed_origins, *server.cors_allowed_origins),
            strict=host.authenticator.open,
            short_names=not is_loopback(server.host),
            origins_setting="MCP_ALLOWED_ORIGINS",
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != ScopeType.HTTP:
            await send({"type": "websocket.close", "code": 1000, "reason": "Not Found"})
            return
        headers = dict(reversed(list(scope["headers"])))
        request_id = secrets.token_hex(12)
        REQUEST_ID.set(request_id)
        try:
            await self._serve(scope, headers, request_id, receive, send)
        except MemhostError as error:
            log_refusal(logger, logging.INFO, "mcp.refused", code=error.code, request_id=request_id)
            await _refuse(send, error, request_id, self._challenge(scope, headers))

    async def _serve(self, scope: HTTPScope, headers: Headers, request_id: str, receive: Receive, send: Send) -> None:
        refusal = self._guard.refuses(_text(headers, b"host"), _text(headers, b"origin"))
        if refusal:
            raise Forbidden(refusal)
        namespace, kind = _place(scope["path"])
        verb = "GET" if kind == "sse" else "POST"
        if scope["method"] != verb:
            await _send(
                send, 405, {"detail": f"Method Not Allowed: use {verb} on this path."}, [(b"allow", verb.encode())]
            )
            return
        peer = scope["client"]
        caller = await self._host.authenticate(credentials_of(headers, peer[0] if peer else ""))
        scope[SCOPE_KEY] = McpRequest(  # type: ignore[literal-required]
            caller=caller,
            request_id=request_id,
            asked=Defaults(
                namespace or _text(headers, b"x-memory-namespace") or None, _text(headers, b"x-memory-user") or None
            ),
            fallback=Defaults(self._settings.namespace, self._settings.user_id),
        )
        transports = await self._engine.transports()
        if kind == "mcp":
            await transports.streamable(scope, receive, send)
        elif kind == "messages":
            await transports.message(scope, receive, send)
        else:
            with self._streams.entered(caller):
                log(logger, logging.INFO, "mcp.sse_is_deprecated", subject=caller.subject, use="/mcp")
                if namespace:
                    scope["root_path"] = f"{scope.get('root_path') or ''}/{namespace}"
                await transports.events(scope, receive, send)

    async def metadata(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Which issuers' tokens this protected resource takes (RFC 9728)."""
        issuers = self._issuers()
        if scope["type"] != ScopeType.HTTP or not issuers:
            await _send(send, 404, {"detail": "Not Found"})
            return
        headers = dict(reversed(list(scope["headers"])))
        document = {
            "resource": self._address(scope, headers),
            "authorization_servers": list(issuers),
            "bearer_methods_supported": ["header"],
            "resource_name": "memhost",
        }
        await _send(send, 200, document, [(b"access-control-allow-origin", b"*")])

    def _issuers(self) -> tuple[str, ...]:
        return tuple(getattr(self._host.authenticator, "issuers", ()))

    def _address(self, scope: Any, headers: Headers) -> str:
        if self._settings.public_url:
            return self._settings.public_url
        return f"{scope['scheme']}://{_text(headers, b'host')}{(scope.get('root_path') or '').rstrip('/')}/mcp"

    def _challenge(self, scope: HTTPScope, headers: Headers) -> str:
        if not self._issuers():
            return "Bearer"
        base, _, path = self._address(scope, headers).rpartition("/")
        return f'Bearer resource_metadata="{base}{METADATA}/{path}"'


def _place(path: str) -> tuple[str, str]:
    """Namespace and kind of a path; Litestar has checked its form."""
    parts = [part for part in path.split("/") if part]
    return (unquote(parts[0]) if len(parts) > 1 else ""), next(part for part in reversed(parts) if part in _KINDS)


def _text(headers: Headers, name: bytes) -> str:
    return headers.get(name, b"").decode("latin-1").strip()


_STATUS = ((Unauthorized, 401), (Forbidden, 403), (TooManyRequests, 429), (Unavailable, 503), (MissingExtra, 501))


async def _refuse(send: Send, error: MemhostError, request_id: str, challenge: str) -> None:
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    headers = []
    if isinstance(error, Unauthorized):
        headers.append((b"www-authenticate", challenge.encode("latin-1", "replace")))
    if error.retry_after_s:
        headers.append((b"retry-after", str(error.retry_after_s).encode("ascii")))
    await _send(send, status, {"detail": error.message, "code": error.code, "request_id": request_id}, headers)


async def _send(send: Send, status: int, body: Any, headers: list[tuple[bytes, bytes]] | None = None) -> None:
    content = msgspec.json.encode(body)
    standing = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode("ascii"))]
    await send({"type": "http.response.start", "status": status, "headers": [*standing, *(headers or ())]})
    await send({"type": "http.response.body", "body": content, "more_body": False})


def build_mount(host: Host, settings: McpSettings) -> Mount:
    """The handlers of this interface.

    Raises:
        ConfigurationError: The settings name tools that are not there, or names clash.
    """
    catalog = Catalog(host, settings)
    if not settings.mount:
        return Mount()
    engine = Engine(catalog)
    app = McpApp(host, settings, engine)

    # Litestar's handlers for ASGI applications take no parameters in their paths; those that return one do.
    async def mcp() -> ASGIApp:
        return app

    paths = [f"{prefix}/{kind}" for prefix in ("", "/{namespace:str}") for kind in _KINDS]
    return Mount(
        handlers=[
            route(paths, http_method=[HttpMethod.GET, HttpMethod.POST, HttpMethod.DELETE], status_code=200)(mcp),
            asgi([METADATA, f"{METADATA}/mcp"], copy_scope=False)(app.metadata),
        ],
        lifespan=[engine.lifespan],
    )
