"""Jobs that take long, as those that wait for a model that hangs, do not keep the others from running."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from memhost.jobs import JobLoop
from memhost.models import Job

LIMIT_S = 10
NEVER_S = 1e9
NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Hanging:
    """A dispatcher whose jobs named `hang...` do not end before they are released."""

    def __init__(self, *names: str) -> None:
        self.waiting = deque(names)
        self.running: set[str] = set()
        self.ended: list[str] = []
        self.most = 0
        self.release = asyncio.Event()
        self.changed = asyncio.Condition()

    async def claim(self, limit: int) -> list[Job]:
        names = [self.waiting.popleft() for _ in range(min(limit, len(self.waiting)))]
        return [
            Job(id=name, event="e", plugin="p", payload=b"", created_at=NOW, due_at=NOW, tenant="") for name in names
        ]

    async def seconds_to_next(self) -> float | None:
        return 0.0 if self.waiting else None

    async def sweep(self) -> None:
        """Nothing is left by others."""

    async def run(self, job: Job) -> None:
        self.running.add(job.id)
        self.most = max(self.most, len(self.running))
        await self._tell()
        if job.id.startswith("hang"):
            await self.release.wait()
        self.running.discard(job.id)
        self.ended.append(job.id)
        await self._tell()

    async def until(self, *ended: str) -> None:
        """Return when these have ended."""
        async with asyncio.timeout(LIMIT_S), self.changed:
            await self.changed.wait_for(lambda: set(ended) <= set(self.ended))

    async def _tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()


@asynccontextmanager
async def running(dispatcher: Hanging, concurrency: int, long_s: float) -> AsyncIterator[JobLoop]:
    loop = JobLoop(concurrency, 0.001, 0.0, long_s=long_s)
    await loop.start(dispatcher)
    try:
        yield loop
    finally:
        dispatcher.release.set()
        await loop.stop()


async def test_others_run_while_as_many_hang_as_there_are_places() -> None:
    others = [f"other{number}" for number in range(5)]
    dispatcher = Hanging("hang1", "hang2", "hang3", "hang4", *others)
    async with running(dispatcher, 4, long_s=0.0):
        await dispatcher.until(*others)
        assert dispatcher.running == {"hang1", "hang2", "hang3", "hang4"}
        dispatcher.release.set()
        await dispatcher.until("hang1", "hang2", "hang3", "hang4")


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_places_come_back_once(concurrency: int) -> None:
    hanging = [f"hang{number}" for number in range(2 * concurrency)]
    dispatcher = Hanging(*hanging)
    free: list[int] = []
    loop = JobLoop(concurrency, 0.001, 0.0, free.append, long_s=0.0)
    await loop.start(dispatcher)
    async with asyncio.timeout(LIMIT_S), dispatcher.changed:
        await dispatcher.changed.wait_for(lambda: dispatcher.running == set(hanging))
    dispatcher.release.set()
    await dispatcher.until(*hanging)
    dispatcher.waiting.append("last")
    loop.notify()
    await dispatcher.until("last")
    await loop.stop()
    assert free[-1] == concurrency
    assert max(free) <= concurrency


async def test_there_is_an_end_to_the_places_that_are_given() -> None:
    hanging = [f"hang{number}" for number in range(20)]
    dispatcher = Hanging(*hanging)
    async with running(dispatcher, 1, long_s=0.0):
        async with asyncio.timeout(LIMIT_S), dispatcher.changed:
            await dispatcher.changed.wait_for(lambda: len(dispatcher.running) == 9)
        dispatcher.release.set()
        await dispatcher.until(*hanging)
    assert dispatcher.most == 9


async def test_jobs_that_are_not_long_keep_their_places() -> None:
    dispatcher = Hanging("hang1", "hang2", "other")
    async with running(dispatcher, 2, long_s=NEVER_S) as loop:
        async with asyncio.timeout(LIMIT_S), dispatcher.changed:
            await dispatcher.changed.wait_for(lambda: dispatcher.running == {"hang1", "hang2"})
        assert await loop.claim_one() is None
        assert list(dispatcher.waiting) == ["other"]
        dispatcher.release.set()
        await dispatcher.until("other")
    assert dispatcher.most == 2
