"""Long work that is done once, however many ask for it meanwhile, and of which a caller has only so much under way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, Literal, TypeVar

from memhost.errors import TooManyRequests
from memhost.jobs.tasks import LongWork
from memhost.models import Scope
from memhost.operations.responses import Task
from memhost.ports import Clock

T = TypeVar("T")

_MOST, _MOST_IN_TENANT = 4, 16
"""Works under way of callers with the same bounds, and of a tenant: one runs, the others wait for it."""
_RETRY_S = 10


@dataclass(slots=True, eq=False)
class _Work(Generic[T]):
    """One work, and those who wait for it.

    Attributes:
        bounds: Of the callers.
        run: The work itself.
        started: When it began.
        waiting: Callers who wait for its end.
        told: Makes the task that tells of it; None while nobody has been given one.
    """

    bounds: Scope
    run: asyncio.Task[T]
    started: datetime
    waiting: int = 0
    told: asyncio.Task[Task] | None = field(default=None)


class SharedWork(Generic[T]):
    """Works of one kind. Callers with the same bounds who ask for the same get one work, and one task.

    Args:
        long_work: Keeps the tasks.
        kind: Type of the tasks.
        clock: Time.
    """

    def __init__(self, long_work: LongWork, kind: Literal["compaction", "rebuild"], clock: Clock) -> None:
        self._long_work = long_work
        self._kind = kind
        self._clock = clock
        self._works: dict[Hashable, _Work[T]] = {}

    async def run(
        self, bounds: Scope, what: Hashable, start: Callable[[], Awaitable[T]], wait_s: float | None
    ) -> T | Task:
        """Do the work, or join who does it already; return its result, or the task if that takes too long.

        Work that all callers have left before it had a task is cancelled.

        Args:
            bounds: Of the caller, who may see the task.
            what: What is to be done; equal values mean the same work.
            start: Does it.
            wait_s: How long to wait for the end, seconds; None waits for it.

        Raises:
            TooManyRequests: The caller, or the tenant, has too many works under way.
        """
        work = self._work(bounds, (bounds, what), start)
        work.waiting += 1
        try:
            done, _ = await asyncio.wait({work.run}, timeout=wait_s)
        except asyncio.CancelledError:
            if work.waiting == 1 and work.told is None:  # nobody is left, and no task tells of the work
                work.run.cancel()
                self._forget(work)  # who comes now begins another
            raise
        finally:
            work.waiting -= 1
        if done:
            return work.run.result()
        if work.told is None:
            work.told = asyncio.create_task(self._long_work.follow(bounds, self._kind, work.run, work.started))
        return await asyncio.shield(work.told)

    def _work(self, bounds: Scope, key: Hashable, start: Callable[[], Awaitable[T]]) -> _Work[T]:
        if (known := self._works.get(key)) is not None:
            return known
        same_tenant = [work for work in self._works.values() if work.bounds.tenant == bounds.tenant]
        same = [work for work in same_tenant if work.bounds == bounds]
        if len(same) >= _MOST or len(same_tenant) >= _MOST_IN_TENANT:
            raise TooManyRequests(
                f"{len(same_tenant)} works of this kind are under way; wait for one of them.", retry_after_s=_RETRY_S
            )

        async def done() -> T:
            return await start()

        made = self._works[key] = _Work(bounds, asyncio.create_task(done()), self._clock.now())
        made.run.add_done_callback(lambda _: self._forget(made))
        return made

    def _forget(self, work: _Work[T]) -> None:
        self._works = {key: each for key, each in self._works.items() if each is not work}
