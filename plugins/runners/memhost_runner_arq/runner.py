"""The runner: arq wakes workers and spreads the work over them, the outbox says what there is to do.

A commit puts one wake-up into arq's queue for each job that is due. Any worker with room takes it and claims the job
that has been due for longest, under a lease of the outbox; when it ends, the worker continues as long as something is
due. So a wake-up that is lost, late or given twice changes nothing but the time: workers look at the outbox by
themselves as well (`JobLoop`). Tries, time limits, leases and dead letters are the dispatcher's; arq's are not used.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from time import monotonic, time_ns
from typing import Any

from arq.connections import ArqRedis
from arq.worker import Retry, Worker, func

from memhost.cancelling import cancel
from memhost.errors import MemhostError
from memhost.jobs import JobLoop
from memhost.models import Job
from memhost.ports import Clock, JobDispatcher, JobRunner
from memhost.specs import OpenContext
from memhost_runner_arq.connection import TROUBLE, close, connect, decode, encode
from memhost_runner_arq.settings import ArqSettings

logger = logging.getLogger(__name__)

WAKE = "run_next_job"
"""Name of arq's function; its arguments tell which job was committed: id, event, plugin."""

MAX_WAITING = 100
"""Wake-ups in the queue beyond which no more are added: the workers are busy then, and a busy worker continues until
nothing is due. So few are left over after a rush, and a queue that no worker empties does not grow."""

_MAX_AT_ONCE = 100
_TAKE_LIMIT_S = 20
_END_LIMIT_S = 1.0
_NEVER = 1_000_000
_HEALTH_EVERY_S = 30
_AFTER_TROUBLE_S = 1.0
_TELL_AGAIN_S = 30.0


class _Stopped(Exception):
    """arq's worker has ended between two looks into the queue."""


class _Worker(Worker):
    """arq's worker, which can be asked to end between two looks: cut off in one, it would leave connections behind."""

    stopping = False

    async def heart_beat(self) -> None:
        """Stop when asked to; arq calls this after each look at the queue."""
        await super().heart_beat()
        if self.stopping:
            raise _Stopped


@asynccontextmanager
async def open_runner(settings: ArqSettings, context: OpenContext) -> AsyncIterator[JobRunner]:
    """A runner that is connected to its queue.

    Raises:
        ConfigurationError: The URL cannot be used, or the server is a cluster.
        Unavailable: The server does not answer.
    """
    logging.getLogger("arq").setLevel(logging.WARNING)
    url = settings.url or context.setting("stores.redis.url") or "redis://localhost:6379"
    grace_s = context.setting("server.shutdown_grace_s")
    redis = await connect(url, settings)
    runner = ArqRunner(
        redis=redis, settings=settings, clock=context.clock, grace_s=10.0 if grace_s is None else grace_s
    )
    try:
        yield runner
    finally:
        await runner.stop()
        await close(redis)


class ArqRunner:
    """Made by `open_runner`. In a server, which does not start it, it only puts wake-ups into the queue."""

    def __init__(self, *, redis: ArqRedis, settings: ArqSettings, clock: Clock, grace_s: float) -> None:
        self._redis = redis
        self._settings = settings
        self._clock = clock
        self._loop = JobLoop(settings.concurrency, settings.sweep_s, grace_s, self._room)
        self._free = settings.concurrency
        self._worker: _Worker | None = None
        self._working: asyncio.Task[None] | None = None
        self._wake_ups: dict[str, tuple[str, ...]] = {}
        self._telling: asyncio.Task[None] | None = None
        self._told_trouble = -_TELL_AGAIN_S

    async def start(self, dispatcher: JobDispatcher) -> None:
        """Begin to run jobs."""
        await self._loop.start(dispatcher)
        self._working = asyncio.create_task(self._work(), name="memhost-arq-worker")

    def notify(self, jobs: Sequence[Job]) -> None:
        """Put a wake-up into the queue for each of these jobs that is due; later ones are found when they are."""
        now = self._clock.now()
        for job in jobs:
            if job.due_at <= now and len(self._wake_ups) < _MAX_AT_ONCE:
                # The time makes it another wake-up when a job of that id comes again; arq runs an id only once.
                wake_up = f"{self._settings.queue}:{job.id}@{round(job.due_at.timestamp() * 1000)}"
                self._wake_ups[wake_up] = (job.id, job.event, job.plugin)
        if not jobs:
            self._wake_ups[f"{self._settings.queue}:@{time_ns()}"] = ()
        if self._wake_ups and self._telling is None:
            self._telling = asyncio.create_task(self._tell(), name="memhost-arq-tell")
            self._telling.add_done_callback(self._told)

    async def stop(self) -> None:
        """Take nothing more, let running jobs finish for the grace time, give the rest back and tell the others."""
        if self._working is not None:
            if self._worker is not None:
                self._worker.stopping = True
            await asyncio.wait({self._working}, timeout=self._settings.poll_s + _END_LIMIT_S)
            await cancel(self._working)
            self._working = None
            await self._finish_taking()
            await self._loop.stop()
            self.notify(())
        while self._telling is not None:
            await asyncio.wait({self._telling})

    # -- telling ---------------------------------------------------------------------------------------

    async def _tell(self) -> None:
        try:
            while self._wake_ups:
                wake_ups, self._wake_ups = self._wake_ups, {}
                async with asyncio.timeout(self._settings.timeout_seconds):
                    if await self._redis.zcard(self._settings.queue) < MAX_WAITING:
                        for wake_up, identity in wake_ups.items():
                            await self._redis.enqueue_job(WAKE, *identity, _job_id=wake_up)
        except TROUBLE as error:
            self._wake_ups.clear()
            self._trouble(error)

    def _told(self, _task: asyncio.Task[None]) -> None:
        self._telling = None

    def _trouble(self, error: BaseException) -> None:
        """Say that the queue is out of reach, but not again and again."""
        if monotonic() - self._told_trouble >= _TELL_AGAIN_S:
            self._told_trouble = monotonic()
            reason = f"{type(error).__name__}: {error}; until then workers find jobs in the outbox"
            logger.warning("queue.unreachable", extra={"fields": {"queue": self._settings.queue, "error": reason}})

    # -- working ---------------------------------------------------------------------------------------

    async def _work(self) -> None:
        """Take wake-ups from the queue; after trouble with Redis with a new worker, since arq's loses count."""
        while True:
            self._worker = self._make_worker()
            try:
                await self._worker.async_run()
            except _Stopped:
                return
            except TROUBLE as error:
                self._trouble(error)
                await self._finish_taking()
                await asyncio.sleep(_AFTER_TROUBLE_S)

    def _make_worker(self) -> _Worker:
        settings = self._settings
        worker = _Worker(
            functions=[func(self._take, name=WAKE, max_tries=_NEVER)],
            queue_name=settings.queue,
            redis_pool=self._redis,
            handle_signals=False,
            max_jobs=settings.concurrency,
            job_timeout=_TAKE_LIMIT_S,
            keep_result=settings.result_ttl_seconds,
            poll_delay=settings.poll_s,
            health_check_interval=_HEALTH_EVERY_S,
            job_serializer=encode,
            job_deserializer=decode,
        )
        worker.max_jobs = self._free
        return worker

    def _room(self, free: int) -> None:
        """Have arq take as many wake-ups as jobs could run, so that the rest goes to workers with room."""
        self._free = free
        if self._worker is not None:
            self._worker.max_jobs = free

    async def _take(self, ctx: dict[Any, Any], *_identity: Any, **_rest: Any) -> bool:
        """Start the job that has been due for longest, on a wake-up; return whether there was one."""
        try:
            started = await self._loop.claim_one()
        except MemhostError as error:
            logger.warning("runner.store_failed", extra={"fields": {"code": error.code, "error": error.message}})
            return False
        if started is None:
            raise Retry  # another worker may have room
        return started

    async def _finish_taking(self) -> None:
        if self._worker is not None:
            await asyncio.gather(*self._worker.tasks.values(), return_exceptions=True)
            self._worker = None
