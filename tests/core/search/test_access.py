"""Access tracking: every found memory is marked, also one found while marks are being written."""

from __future__ import annotations

import asyncio

from memhost.models import Scope, WriteBatch, WriteResult
from memhost.search import access_tracking as access
from memhost.search.access_tracking import AccessTracker
from memhost.testing.clock import FakeClock
from memhost.testing.polling import until


class SlowStore:
    """Keeps marks, and lets the test decide when a commit ends."""

    def __init__(self) -> None:
        self.marked: list[str] = []
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()

    async def commit(self, scope: Scope, batch: WriteBatch) -> WriteResult:
        self.begun.set()
        await self.go_on.wait()
        assert batch.access is not None
        self.marked += batch.access.ids
        return WriteResult()


async def test_memory_found_during_a_flush_is_marked_too() -> None:
    store = SlowStore()
    tracker = AccessTracker(store, FakeClock(), 900.0)  # type: ignore[arg-type]
    tracker.found("default", ["first"])
    async with asyncio.timeout(20 * access._FLUSH_EVERY_S):
        await store.begun.wait()
    tracker.found("default", ["second"])
    store.go_on.set()

    async def both() -> bool:
        return store.marked == ["first", "second"]

    await until(both)
    await tracker.aclose()
