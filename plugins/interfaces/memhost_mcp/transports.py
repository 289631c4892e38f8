"""The HTTP transports of the MCP library. This module imports it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from litestar.types import HTTPScope, Receive, Send
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser  # noqa: TID253
from mcp.server.auth.provider import AccessToken  # noqa: TID253
from mcp.server.sse import SseServerTransport  # noqa: TID253
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager  # noqa: TID253

from memhost_mcp.catalog import Catalog
from memhost_mcp.server import Context, McpServer
from memhost_mcp.tool_context import SCOPE_KEY, McpRequest


def _request_of(ctx: Context) -> McpRequest:
    http: Any = ctx.request
    request: McpRequest = http.scope[SCOPE_KEY]
    return request


class Transports:
    """Streamable HTTP without sessions, and server-sent events for older hosts."""

    def __init__(self, catalog: Catalog) -> None:
        self._server = McpServer(catalog, _request_of).protocol
        self._manager = StreamableHTTPSessionManager(self._server, stateless=True)
        self._sse = SseServerTransport("/messages/")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Ready for requests."""
        async with self._manager.run():
            yield

    async def streamable(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """Answer a message."""
        await self._manager.handle_request(scope, receive, send)  # type: ignore[arg-type]

    async def events(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """Serve a session over server-sent events until the client goes."""
        _sign(scope)
        async with self._sse.connect_sse(scope, receive, send) as (incoming, outgoing):  # type: ignore[arg-type]
            await self._server.run(incoming, outgoing, self._server.create_initialization_options())

    async def message(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """Take a message for such a session."""
        _sign(scope)
        await self._sse.handle_post_message(scope, receive, send)  # type: ignore[arg-type]


def _sign(scope: Any) -> None:
    """Bind sessions to who opened them: the library compares the user of a message with that of the session."""
    request: McpRequest = scope[SCOPE_KEY]
    bounds = request.caller.bounds
    subject = f"{bounds.tenant}/{request.caller.subject}"
    scope["user"] = AuthenticatedUser(AccessToken(token="", client_id=subject, scopes=[]))
