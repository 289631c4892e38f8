"""Claims due jobs from the outbox and runs a few at a time, in this process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence

from memhost.cancelling import cancel
from memhost.errors import MemhostError
from memhost.models import Job
from memhost.ports import JobDispatcher

logger = logging.getLogger(__name__)

_SWEEP_EVERY_S = 30.0
_LONG_S = 5.0
_MAX_LONG = 8
"""Jobs that may have given their places, for each place."""


def _ignore(_free: int) -> None:
    """For those who do not care how many more jobs could run."""


class JobLoop:
    """Runs the outbox's jobs on the event loop; a `memhost.ports.JobRunner` by itself, and the core of others.

    It wakes when new jobs are announced, when a job has ended, when the next job is due, and otherwise every `poll_s`
    seconds, since another process may have left or added jobs.

    Args:
        concurrency: Jobs that run at the same time.
        poll_s: Longest time between two checks of the outbox, seconds.
        grace_s: How long running jobs may finish when it is stopped, seconds.
        on_free: Called with the number of further jobs that could run now, whenever it changes.
        long_s: Time after which a running job gives its place to another one, seconds: it mostly waits for a model that
            does not answer. At most eight times `concurrency` jobs have given theirs.
    """

    def __init__(
        self,
        concurrency: int,
        poll_s: float,
        grace_s: float,
        on_free: Callable[[int], None] = _ignore,
        *,
        long_s: float = _LONG_S,
    ) -> None:
        self._poll_s = poll_s
        self._grace_s = grace_s
        self._on_free = on_free
        self._free = concurrency
        self._wake = asyncio.Event()
        self._stopping = False
        self._dispatcher: JobDispatcher | None = None
        self._looking: asyncio.Task[None] | None = None
        self._running: dict[asyncio.Task[None], float] = {}
        self._long_s = long_s
        self._long: set[asyncio.Task[None]] = set()
        self._max_long = _MAX_LONG * concurrency

    async def start(self, dispatcher: JobDispatcher) -> None:
        """Begin to run jobs."""
        self._dispatcher = dispatcher
        self._looking = asyncio.create_task(self._look_again_and_again(dispatcher), name="memhost-jobs")

    def notify(self, _jobs: Sequence[Job] = ()) -> None:
        """There may be jobs that are due."""
        self._wake.set()

    async def claim_one(self) -> bool | None:
        """Claim the job that has been due for longest, and start it.

        Returns:
            Whether there was one; None if no further job can run here now.

        Raises:
            MemhostError: The store does not answer.
        """
        if self._dispatcher is None or self._stopping or self._free == 0:
            return None
        return await self._claim(self._dispatcher, 1) > 0

    async def stop(self) -> None:
        """Let running jobs finish for the grace time; jobs that are cut off go back to the outbox."""
        self._stopping = True
        self._wake.set()
        if self._looking is not None:
            await asyncio.wait([self._looking])  # not cancelled: it may be claiming
            self._looking = None
        if self._running:
            await asyncio.sleep(0)  # a job that has not begun could not give itself back
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=self._grace_s)
            await cancel(*late)

    async def _look_again_and_again(self, dispatcher: JobDispatcher) -> None:
        clock = asyncio.get_running_loop().time
        next_sweep = clock()
        while not self._stopping:
            self._wake.clear()
            wait = self._poll_s
            try:
                if clock() >= next_sweep:
                    next_sweep = clock() + _SWEEP_EVERY_S
                    await dispatcher.sweep()
                wait = await self._look(dispatcher)
            except MemhostError as error:
                fields = {"code": error.code, "error": error.message}
                logger.warning("runner.store_failed", extra={"fields": fields})
            except Exception:  # a store that fails in a way that it must not is no reason to run no jobs any more
                logger.exception("runner.failed")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), timeout=wait)

    async def _look(self, dispatcher: JobDispatcher) -> float:
        """Start what is due; seconds to wait before looking again."""
        self._give_places()
        if self._free == 0:
            return self._poll_s
        wait = await dispatcher.seconds_to_next()
        if wait is None:
            return self._poll_s
        if wait > 0:
            return min(max(wait, 0.001), self._poll_s)
        return 0.001 if await self._claim(dispatcher, self._free) else self._poll_s

    async def _claim(self, dispatcher: JobDispatcher, limit: int) -> int:
        self._change_free(-limit)
        jobs: list[Job] = []
        try:
            jobs = await dispatcher.claim(limit)
        finally:
            self._change_free(limit - len(jobs))
        for job in jobs:
            task = asyncio.create_task(dispatcher.run(job), name=f"memhost-job-{job.event}")
            self._running[task] = asyncio.get_running_loop().time()
            task.add_done_callback(self._done)
        return len(jobs)

    def _change_free(self, by: int) -> None:
        self._free += by
        self._on_free(self._free)

    def _give_places(self) -> None:
        """Let other jobs run in the places of those that take long."""
        if self._free > 0:
            return
        before = asyncio.get_running_loop().time() - self._long_s
        late = [task for task, began in self._running.items() if began <= before and task not in self._long]
        given = late[: max(0, self._max_long - len(self._long))]
        self._long.update(given)
        if given:
            self._change_free(len(given))

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)
        if task in self._long:
            self._long.discard(task)
        else:
            self._change_free(1)
        self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("runner.job_crashed", extra={"fields": {"error": f"{type(error).__name__}: {error}"}})
