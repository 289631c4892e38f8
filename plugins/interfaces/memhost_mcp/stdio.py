"""MCP over standard streams: a host in this process, or a bridge to a running server.

Nothing but protocol is written to stdout: the library moves the file descriptor away while it serves.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from memhost import logs
from memhost.commands import administrator, opened
from memhost.errors import MissingExtra
from memhost_mcp.tool_context import Defaults, McpRequest

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server

    from memhost.ports import Host
    from memhost_mcp import McpSettings


async def serve_here(data: str | None, config_file: Path | None, runner: str | None) -> None:
    """Serve a host of this process until the client goes.

    Raises:
        ConfigurationError: It cannot start as configured.
        MissingExtra: The MCP library is not installed.
    """
    loading = asyncio.create_task(asyncio.to_thread(_load_library))
    async with AsyncExitStack() as stack:
        host = await stack.enter_async_context(
            opened(data, config_file, run_jobs=True, options={"server.runner": runner})
        )
        server = host.settings.server
        logs.configure(server.log_level, server.log_format)
        await loading
        await serve_streams(_server_of(host), stack)


async def serve_streams(server: Server[Any], stack: AsyncExitStack) -> None:
    """Serve one client over standard streams; after a signal the stack is closed and the process ends here."""
    from mcp.server.stdio import stdio_server

    from memhost_mcp.drain import Drain

    loop = asyncio.get_running_loop()
    async with stdio_server() as (incoming, outgoing):
        drain = Drain(incoming, outgoing)
        for name in (signal.SIGTERM, signal.SIGINT):
            with suppress(NotImplementedError):
                loop.add_signal_handler(name, drain.stop)
        await drain.run(lambda reads, writes: server.run(reads, writes, server.create_initialization_options()))
        if drain.stopped:
            # A thread is still blocked on stdin, which the client has not closed: nothing would ever end it.
            await stack.aclose()
            sys.stderr.flush()
            os._exit(0)


def _server_of(host: Host) -> Server[Any]:
    from memhost_mcp.catalog import Catalog
    from memhost_mcp.server import McpServer

    settings = cast("McpSettings", host.configuration.section("interfaces", "mcp"))
    caller = administrator().caller
    fallback = Defaults(settings.namespace, settings.user_id)

    def request_of(_ctx: Any) -> McpRequest:
        return McpRequest(caller=caller, request_id=secrets.token_hex(12), fallback=fallback)

    return McpServer(Catalog(host, settings), request_of).protocol


def _load_library() -> None:
    try:
        import memhost_mcp.server  # noqa: F401 - imported here, beside the opening of the host
    except ModuleNotFoundError as error:
        raise MissingExtra("memhost mcp", "mcp") from error
