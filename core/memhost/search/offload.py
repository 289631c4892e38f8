"""Where the computations of searches run: on the event loop while it has one search to answer, else in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


class Offload:
    """Keeps the event loop free for others while several searches compute.

    A search computes for milliseconds. On the event loop, whatever comes meanwhile waits for that, and for the searches
    before it; in a thread it waits until Python lets the loop run again (`sys.setswitchinterval`). A search that is
    alone stays on the loop, since passing it to a thread and back takes 0.1 ms and more. Threads compute one at a time:
    more of them share the same interpreter and only take longer each.

    Belongs to one event loop.
    """

    def __init__(self) -> None:
        self._searches = 0
        self._free = asyncio.Lock()

    @contextmanager
    def search(self) -> Iterator[None]:
        """Count one more search while the block runs."""
        self._searches += 1
        try:
            yield
        finally:
            self._searches -= 1

    async def run(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, computed here if no second search runs, else in a thread."""
        if self._searches < 2:
            return work()
        async with self._free:
            return await asyncio.to_thread(work)
