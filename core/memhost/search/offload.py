"""Where the computations of searches run: on the event loop while it has one search to answer, else in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")


class Offload:
    """Keeps the event loop free for others while several searches compute.

    A search computes for milliseconds. On the event loop, whatever comes meanwhile waits for that, and for the searches
    before it; in a thread it waits until Python lets the loop run again (`sys.setswitchinterval`). A search that is
    alone stays on the loop, since passing it to a thread and back takes 0.1 ms and more. There is one thread for all:
    more of them share the same interpreter and only take longer each. It is none of the event loop's own threads, where
    searches would wait for the analysis of what others write. It ends when no search is left, so that it outlives no
    host.
    """

    def __init__(self) -> None:
        self._searches = 0
        self._thread: ThreadPoolExecutor | None = None

    @contextmanager
    def search(self) -> Iterator[None]:
        """Count one more search while the block runs."""
        self._searches += 1
        try:
            yield
        finally:
            self._searches -= 1
            if not self._searches and self._thread is not None:
                self._thread.shutdown(wait=False)
                self._thread = None

    async def run(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, computed here if no second search runs, else in a thread."""
        if self._searches < 2:
            return work()
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="memhost-search")
        return await asyncio.get_running_loop().run_in_executor(self._thread, copy_context().run, work)
