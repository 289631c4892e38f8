"""The runner: one loop that claims due jobs and runs a few at a time."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from memhost.errors import MemhostError
from memhost.models import Job
from memhost.ports import JobDispatcher

logger = logging.getLogger(__name__)

_SWEEP_EVERY_S = 30.0


class InlineRunner:
    """Runs the outbox's jobs on the event loop.

    It wakes when a write has added jobs, when the next job is due, and otherwise every `poll_s` seconds, since
    another process may have left or added jobs.
    """

    def __init__(self, concurrency: int, poll_s: float, grace_s: float) -> None:
        self._poll_s = poll_s
        self._grace_s = grace_s
        self._free = concurrency
        self._wake = asyncio.Event()
        self._stopping = False
        self._loop_task: asyncio.Task[None] | None = None
        self._running: set[asyncio.Task[None]] = set()

    async def start(self, dispatcher: JobDispatcher) -> None:
        """Begin to run jobs."""
        self._loop_task = asyncio.create_task(self._loop(dispatcher), name="memhost-inline-runner")

    def notify(self) -> None:
        """A write has added jobs."""
        self._wake.set()

    async def stop(self) -> None:
        """Let running jobs finish for the grace time; what is cut off goes back to the outbox."""
        self._stopping = True
        if self._loop_task is not None:
            self._loop_task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._loop_task
            self._loop_task = None
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=self._grace_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _loop(self, dispatcher: JobDispatcher) -> None:
        clock = asyncio.get_running_loop().time
        next_sweep = clock()
        while not self._stopping:
            self._wake.clear()
            try:
                if clock() >= next_sweep:
                    await dispatcher.sweep()
                    next_sweep = clock() + _SWEEP_EVERY_S
                claimed = await self._claim(dispatcher)
                wait = self._poll_s if claimed or self._free == 0 else await dispatcher.seconds_to_next()
            except MemhostError as error:
                logger.warning(
                    "runner.store_failed",
                    extra={"fields": {"code": error.code, "error": error.message}},
                )
                claimed, wait = 0, self._poll_s
            if claimed and self._free:
                continue
            wait = self._poll_s if wait is None else min(wait, self._poll_s)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), timeout=max(wait, 0.001))

    async def _claim(self, dispatcher: JobDispatcher) -> int:
        if self._free == 0:
            return 0
        jobs = await dispatcher.claim(self._free)
        for job in jobs:
            self._free -= 1
            task = asyncio.create_task(self._run(dispatcher, job), name=f"memhost-job-{job.event}")
            self._running.add(task)
            task.add_done_callback(self._done)
        return len(jobs)

    async def _run(self, dispatcher: JobDispatcher, job: Job) -> None:
        await dispatcher.run(job)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._free += 1
        self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error(
                "runner.job_crashed",
                extra={"fields": {"error": f"{type(error).__name__}: {error}"}},
            )
