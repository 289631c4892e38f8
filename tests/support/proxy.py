"""A TCP proxy on loopback that cuts connections when the test says so."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType


class Proxy:
    """Forwards connections to a port.

    `lose_answers` is the number of answers yet to be lost: as soon as the target answers, the connection is cut
    instead. `refuse` cuts every connection at once. `delay_s` is how long each part takes on its way.
    """

    def __init__(self, target: int) -> None:
        self.lose_answers = 0
        self.refuse = False
        self.delay_s = 0.0
        self.port = 0
        self._target = target
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await self._server.wait_closed()

    def cut(self) -> None:
        """Cut all connections."""
        for writer in self._open:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuse:
            writer.close()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        ends = {writer, far_writer}
        self._open |= ends
        try:
            await asyncio.gather(
                self._copy(reader, far_writer, ends, answers=False), self._copy(far_reader, writer, ends, answers=True)
            )
        finally:
            self._open -= ends

    async def _copy(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, ends: set[asyncio.StreamWriter], answers: bool
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while part := await source.read(1 << 16):
                if answers and self.lose_answers:
                    self.lose_answers -= 1
                    break
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                target.write(part)
                await target.drain()
        for end in ends:
            end.close()
