"""Ending a connection over streams without losing what is under way."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
from mcp.types.jsonrpc import JSONRPCError, JSONRPCRequest, JSONRPCResponse  # noqa: TID253

GRACE_S = 10.0
"""Time in which running calls may finish after the client has gone, seconds."""


class Drain:
    """Sits between a client and a server: when the client goes, or `stop` is called, calls finish first.

    Args:
        incoming: Messages of the client.
        outgoing: Where answers go.
    """

    def __init__(self, incoming: Any, outgoing: Any) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._to_server, self.incoming = anyio.create_memory_object_stream[Any](0)
        self.outgoing, self._from_server = anyio.create_memory_object_stream[Any](0)
        self._waiting: set[Any] = set()
        self._answered = asyncio.Event()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Take no more messages."""
        self._stopping.set()

    @property
    def stopped(self) -> bool:
        """Tell whether it ended because of `stop`, not because the client went."""
        return self._stopping.is_set()

    async def run(self, serve: Any) -> None:
        """Serve until the client goes or `stop` is called: `await serve(incoming, outgoing)`."""
        reading = asyncio.create_task(self._read())
        writing = asyncio.create_task(self._write())
        stopping = asyncio.create_task(self._stopping.wait())
        serving = asyncio.create_task(serve(self.incoming, self.outgoing))
        try:
            await asyncio.wait({reading, stopping, serving}, return_when=asyncio.FIRST_COMPLETED)
            await self._finish()
            await self._to_server.aclose()
            await serving
        finally:
            for task in (reading, writing, stopping, serving):
                task.cancel()
            await asyncio.gather(reading, writing, stopping, serving, return_exceptions=True)
            await self._outgoing.aclose()

    async def _read(self) -> None:
        async for item in self._incoming:
            message = getattr(item, "message", None)
            if isinstance(message, JSONRPCRequest):
                self._waiting.add(message.id)
            try:
                await self._to_server.send(item)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                return

    async def _write(self) -> None:
        async for item in self._from_server:
            await self._outgoing.send(item)
            if isinstance(item.message, (JSONRPCResponse, JSONRPCError)):
                self._waiting.discard(item.message.id)
                self._answered.set()

    async def _finish(self) -> None:
        try:
            async with asyncio.timeout(GRACE_S):
                while self._waiting:
                    self._answered.clear()
                    await self._answered.wait()
        except TimeoutError:
            return
