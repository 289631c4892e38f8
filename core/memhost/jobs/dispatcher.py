"""Runs claimed jobs: finds the hook, calls it within its limits, commits, retries or buries."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from time import perf_counter

import msgspec

from memhost.cancelling import cancel
from memhost.errors import LeaseLost, MemhostError
from memhost.events import EVENTS
from memhost.jobs.context import StagedContext
from memhost.jobs.schedules import Schedules
from memhost.logs import describe
from memhost.metrics import JobOutcome, Metrics
from memhost.models import Job, JobState, Scope, SessionKey, WriteBatch
from memhost.plugins import EventHook, PluginManager
from memhost.ports import Clock, Store
from memhost.services.outbox import Outbox
from memhost.services.plugin_health import PluginWatch
from memhost.services.usage import charged_to
from memhost.settings.schema import ServerSettings

logger = logging.getLogger(__name__)

_DEATHS_FORGIVEN = 10
"""Attempts that did not end (the process died) on top of the tries, before a job is held to kill its process."""

_JITTER = 0.2

ContextFactory = Callable[[Job, EventHook], StagedContext]
GivenUp = Callable[[Job, str], Awaitable[None]]


class Dispatcher:
    """The host's side of a job runner (see `memhost.ports.JobDispatcher`)."""

    def __init__(
        self,
        store: Store,
        plugins: PluginManager,
        settings: ServerSettings,
        clock: Clock,
        make_context: ContextFactory,
        schedules: Schedules,
        outbox: Outbox,
        watch: PluginWatch,
        metrics: Metrics | None = None,
        given_up: GivenUp | None = None,
    ) -> None:
        self._store = store
        self._plugins = plugins
        self._settings = settings
        self._clock = clock
        self._make_context = make_context
        self._schedules = schedules
        self._outbox = outbox
        self._watch = watch
        self._metrics = metrics or Metrics()
        self._given_up = given_up

    async def claim(self, limit: int) -> list[Job]:
        """Claim at most `limit` due jobs."""
        now = self._clock.now()
        if (due := self._schedules.next_due()) is not None and due <= now:
            await self._schedules.start_due(now)
        return await self._store.claim_jobs(now, limit, self._settings.job_lease_s)

    async def seconds_to_next(self) -> float | None:
        """Seconds until the next job or schedule is due, None if there is none."""
        due = [moment for moment in (await self._store.next_due(), self._schedules.next_due()) if moment is not None]
        if not due:
            return None
        return max(0.0, (min(due) - self._clock.now()).total_seconds())

    async def sweep(self) -> None:
        """Start schedules that are due, remove expired sessions and documents."""
        try:
            await self._schedules.start_due(self._clock.now())
            await self._store.purge_expired(self._clock.now())
        except MemhostError as error:
            logger.warning("jobs.sweep_failed", extra={"fields": {"code": error.code, "error": error.message}})

    async def run(self, job: Job) -> None:
        """Run a claimed job to its end; failures are retried with growing waits, then buried."""
        hook = self._hook(job)
        if hook is None:
            await self._bury(job, f"no installed plugin {job.plugin} implements memhost_{job.event}")
            return
        if (until := self._watch.suspended(hook.plugin)) is not None:
            await self._put_off(job, hook, until)
            return
        tries = hook.options.max_tries or self._settings.job_max_tries
        if job.attempts > tries + _DEATHS_FORGIVEN:
            await self._bury(job, f"{job.attempts - 1} attempts did not end: the process died each time")
            return
        started, begun = self._clock.now(), perf_counter()
        outcome: JobOutcome = "ok"
        try:
            async with self._renewed(job):
                await self._attempt(job, hook)
            if self._watch.has_blocked(hook.plugin):
                outcome = "blocked"
                self._watch.failed(hook, "blocked the whole process")
        except asyncio.CancelledError:
            outcome = "interrupted"
            await asyncio.shield(self._store.retry_job(job.id, job.lease, started, "interrupted by shutdown"))
            raise
        except LeaseLost:
            outcome = "lease_lost"
            self._log(logging.WARNING, "job.lease_lost", job, hook, "another process took it over")
        except Exception as error:  # noqa: BLE001 - a foreign hook may fail in any way; the job is retried or buried
            outcome = "buried" if job.attempts >= tries else "timeout" if isinstance(error, TimeoutError) else "failed"
            await self._failed(job, hook, error, tries)
        finally:
            self._metrics.job_ran(job.event, job.plugin, outcome, perf_counter() - begun)

    @asynccontextmanager
    async def _renewed(self, job: Job) -> AsyncIterator[None]:
        """Keep the job's lease while the block runs."""

        async def renew() -> None:
            held = True
            while held:
                await asyncio.sleep(self._settings.job_lease_s / 3)
                until = self._clock.now() + timedelta(seconds=self._settings.job_lease_s)
                with contextlib.suppress(MemhostError):  # tried again soon; without the lease nothing is committed
                    held = await self._store.extend_lease(job.id, job.lease, until)

        task = asyncio.create_task(renew())
        try:
            yield
        finally:
            await cancel(task)

    async def _attempt(self, job: Job, hook: EventHook) -> None:
        event = msgspec.msgpack.decode(job.payload, type=EVENTS[job.event])
        context = self._make_context(job, hook)
        limit = hook.options.timeout_s or self._settings.job_timeout_s
        with charged_to(SessionKey(job.tenant, "", "", "")):
            await hook.within(limit, event=event, context=context)
        await self._store.commit(context.scope, context.batch)
        self._outbox.committed(context.batch.add_jobs)

    async def _failed(self, job: Job, hook: EventHook, error: Exception, tries: int) -> None:
        limit = hook.options.timeout_s or self._settings.job_timeout_s
        reason = (
            f"took longer than {limit:g} s" if isinstance(error, TimeoutError) else f"{type(error).__name__}: {error}"
        )
        told = reason if isinstance(error, TimeoutError) else describe(error)  # the reason may quote what people said
        if isinstance(error, TimeoutError) or self._watch.has_blocked(hook.plugin):
            self._watch.failed(hook, told)
        else:
            self._watch.note(hook.plugin, f"{hook.hook}: {told}")
        try:
            if job.attempts >= tries:
                self._log(logging.ERROR, "job.buried", job, hook, told)
                await self._bury(job, reason)
                return
            self._log(logging.WARNING, "job.failed", job, hook, told)
            await self._store.retry_job(job.id, job.lease, self._next_try(job.attempts), reason)
        except MemhostError as failure:
            # The lease runs out and the job comes back by itself.
            self._log(logging.ERROR, "job.not_returned", job, hook, failure.message)

    async def _put_off(self, job: Job, hook: EventHook, until: datetime) -> None:
        """Let the job wait until its plugin is tried again, with all its attempts; a newer one takes its place."""
        later = msgspec.structs.replace(job, due_at=until, state=JobState.PENDING, attempts=0, lease="")
        batch = WriteBatch(complete_job=(job.id, job.lease), add_jobs=[later])
        try:
            await self._store.commit(Scope(tenant=job.tenant), batch)
        except MemhostError as failure:
            self._log(logging.WARNING, "job.not_returned", job, hook, failure.message)

    async def _bury(self, job: Job, reason: str) -> None:
        buried = await self._store.bury_job(job.id, job.lease, reason)
        if buried and self._given_up is not None:
            await self._given_up(job, reason)

    def _hook(self, job: Job) -> EventHook | None:
        hooks = self._plugins.event_hooks(f"memhost_{job.event}")
        return next((hook for hook in hooks if hook.plugin == job.plugin), None)

    def _next_try(self, attempts: int) -> datetime:
        waits = self._settings.job_backoff_s or (1.0,)
        wait = waits[min(attempts, len(waits)) - 1]
        jitter = 1.0 + random.uniform(-_JITTER, _JITTER)  # noqa: S311 - spreading load, not a secret
        return self._clock.now() + timedelta(seconds=wait * jitter)

    def _log(self, level: int, event: str, job: Job, hook: EventHook, reason: str) -> None:
        fields = {
            "job": job.id,
            "event": job.event,
            **hook.fields,
            "attempt": job.attempts,
            "error": reason,
        }
        logger.log(level, event, extra={"fields": fields})
