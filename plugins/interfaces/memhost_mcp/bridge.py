"""A client's side of MCP: the bridge from standard streams to a running server, and the check of a server."""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from memhost.commands import CommandError
from memhost.errors import InvalidRequest, MissingExtra, Unauthorized, Unavailable
from memhost.version import __version__
from memhost_mcp.stdio import serve_streams

if TYPE_CHECKING:
    from mcp import Client

logger = logging.getLogger(__name__)


def endpoint(url: str) -> str:
    """The address of the server's MCP endpoint, from that or from the server's own.

    Raises:
        InvalidRequest: It is not an address.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise InvalidRequest(f"{url} is not a valid URL: it must begin with http:// or https://.")
    path = parts.path.rstrip("/")
    return urlunsplit(parts._replace(path=path if path.endswith("/mcp") else f"{path}/mcp"))


@asynccontextmanager
async def connected(url: str, token: str | None) -> AsyncIterator[Client]:
    """A client of a running server.

    Raises:
        MissingExtra: The MCP library is not installed.
        Unavailable: No server answers there.
        Unauthorized: The token is missing or wrong.
    """
    try:
        import httpx2
        from mcp import Client
        from mcp.client.streamable_http import streamable_http_client
    except ImportError as error:
        raise MissingExtra("memhost mcp", "mcp") from error
    address = endpoint(url)
    headers = {"authorization": f"Bearer {token}"} if token else {}
    async with httpx2.AsyncClient(headers=headers, timeout=httpx2.Timeout(30, read=300), trust_env=False) as http:
        await _reach(http, address)
        async with Client(streamable_http_client(address, http_client=http), cache=None) as client:
            yield client


async def _reach(http: Any, address: str) -> None:
    """Find out what would go wrong, in words: the protocol's own errors do not tell."""
    import httpx2

    ping = {"jsonrpc": "2.0", "id": 0, "method": "ping"}
    try:
        answer = await http.post(address, json=ping, headers={"accept": "application/json, text/event-stream"})
    except httpx2.TransportError as error:
        raise Unavailable(
            f"No server answers at {address} ({type(error).__name__}); start one with: memhost serve"
        ) from error
    if answer.status_code in (401, 403):
        raise Unauthorized(f"{_detail(answer)} Give a token with --token or MEMHOST_TOKEN.")
    if answer.status_code >= 400:
        raise Unavailable(f"{address} answered with status {answer.status_code}: {_detail(answer)}")


def _detail(answer: Any) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return "it does not say why."


async def bridge(url: str, token: str | None) -> None:
    """Serve standard streams with the tools, resources and prompts of a running server.

    Raises:
        Unavailable: No server answers there.
        Unauthorized: The token is missing or wrong.
    """
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(connected(url, token))
        await serve_streams(_forwarding(client, endpoint(url)), stack)


def _forwarding(client: Client, address: str) -> Any:
    """A server that passes requests on."""
    from mcp.server.lowlevel import Server
    from mcp.shared.exceptions import MCPError
    from mcp.types import INTERNAL_ERROR

    async def passed(answer: Awaitable[Any]) -> Any:
        try:
            return await answer
        except MCPError as error:
            logger.info("bridge.refused %s", error)
            raise
        except Exception as error:  # the way to the server fails in many ways; the host is told each time
            sentence = f"The server at {address} does not answer ({type(error).__name__}); is it still running?"
            raise MCPError(code=INTERNAL_ERROR, message=sentence) from error

    def listing(method: Callable[..., Awaitable[Any]]) -> Any:
        async def handle(_ctx: Any, params: Any) -> Any:
            return await passed(method(cursor=params.cursor if params is not None else None))

        return handle

    async def call(ctx: Any, params: Any) -> Any:
        async def tell(progress: float, total: float | None, message: str | None) -> None:
            await ctx.session.report_progress(progress, total, message)

        return await passed(client.call_tool(params.name, params.arguments or {}, progress_callback=tell))

    async def read(_ctx: Any, params: Any) -> Any:
        return await passed(client.read_resource(str(params.uri)))

    async def prompt(_ctx: Any, params: Any) -> Any:
        return await passed(client.get_prompt(params.name, params.arguments))

    return Server(
        "memhost",
        version=__version__,
        title="memhost",
        instructions=client.instructions,
        on_list_tools=listing(client.list_tools),
        on_call_tool=call,
        on_list_resources=listing(client.list_resources),
        on_list_resource_templates=listing(client.list_resource_templates),
        on_read_resource=read,
        on_list_prompts=listing(client.list_prompts),
        on_get_prompt=prompt,
    )


async def check(url: str | None, token: str | None, options: list[str]) -> dict[str, Any]:
    """Connect as a host does, list what there is, search once, and tell what was found.

    Args:
        url: A running server; without it `memhost mcp` is started as a host would start it.
        token: Token for the server.
        options: Options for `memhost mcp`.
    """
    started = perf_counter()
    async with AsyncExitStack() as stack:
        if url:
            client = await stack.enter_async_context(connected(url, token))
        else:
            client = await stack.enter_async_context(_spawned(options))
        opened_s = perf_counter() - started
        tools = await client.list_tools()
        begun = perf_counter()
        memories = await _search(client) if "search_memory" in {tool.name for tool in tools.tools} else None
        search_s = perf_counter() - begun
        info = client.server_info
        return {
            "server": f"{info.name} {info.version}" if info is not None else "",
            "transport": endpoint(url) if url else "stdio",
            "protocol": client.protocol_version,
            "tools": len(tools.tools),
            "tools_bytes": len(tools.model_dump_json(by_alias=True, exclude_none=True)),
            "memories": memories,
            "open_s": round(opened_s, 3),
            "search_s": round(search_s, 3),
        }


async def _search(client: Client) -> int:
    found = await client.call_tool("search_memory", {"query": "", "max_results": 1})
    if found.is_error:
        raise CommandError(f"A search failed: {found.structured_content['error']['message']}")
    return int(found.structured_content["total_found"])


@asynccontextmanager
async def _spawned(options: list[str]) -> AsyncIterator[Client]:
    try:
        from mcp import Client, StdioServerParameters
        from mcp.shared.exceptions import MCPError
    except ImportError as error:
        raise MissingExtra("memhost mcp", "mcp") from error
    import os

    command = StdioServerParameters(
        command=sys.executable, args=["-m", "memhost", "mcp", *options], env=dict(os.environ)
    )
    try:
        async with Client(command, cache=None) as client:
            yield client
    except* MCPError as errors:
        raise CommandError("memhost mcp did not answer; the lines above say why.") from errors
