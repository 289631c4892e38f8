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
from typing import Protocol

import msgspec

from memhost.cancelling import cancel
from memhost.errors import BudgetExceeded, Busy, LeaseLost, MemhostError, PluginFailure, TooManyRequests, passes
from memhost.events import EVENTS, JobContext
from memhost.jobs.outbox import Outbox
from memhost.jobs.schedules import Schedules
from memhost.logs import describe
from memhost.metrics import JobOutcome, Metrics
from memhost.models import Actor, Job, JobState, Scope, SessionKey, WriteBatch, acted_by
from memhost.plugins import EventHook, PluginManager
from memhost.plugins.blame import causes
from memhost.plugins.health import PluginWatch
from memhost.ports import Clock, PutsOff, Store
from memhost.settings.schema import ServerSettings
from memhost.usage.ledger import charged_to

logger = logging.getLogger(__name__)

_DEATHS_FORGIVEN = 10
"""Attempts that did not end (the process died), before a job is held to kill its process."""

_JITTER = 0.2
_MAX_S = 86_400


class StagedJob(JobContext, Protocol):
    """The context of one attempt, with what it has staged.

    Attributes:
        batch: What the hook has staged; committed together with the end of the job.
    """

    batch: WriteBatch

    def committed(self) -> None:
        """Tell that the batch is stored now."""
        ...


ContextFactory = Callable[[Job, EventHook], StagedJob]
GivenUp = Callable[[Job, str], Awaitable[None]]
Sweep = Callable[[], Awaitable[None]]


class Dispatcher:
    """The host's side of a job runner (see `memhost.ports.JobDispatcher`)."""

    def __init__(
        self,
        *,
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
        sweep: Sweep | None = None,
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
        self._sweep = sweep

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
        """Start schedules that are due, remove expired sessions and documents, end what dead processes were at."""
        try:
            await self._schedules.start_due(self._clock.now())
            await self._store.purge_expired(self._clock.now())
            if self._sweep is not None:
                await self._sweep()
        except MemhostError as error:
            logger.warning("jobs.sweep_failed", extra={"fields": {"code": error.code, "error": error.message}})

    async def run(self, job: Job) -> None:
        """Run a claimed job to its end.

        Failures are retried with growing waits, then buried. What is `retryable` is no failure: the job waits without
        using a try, as long as it must.
        """
        hook = self._hook(job)
        if hook is None:
            await self._bury(job, f"no installed plugin {job.plugin} implements memhost_{job.event}")
            return
        if (until := self._watch.suspended(hook.plugin)) is not None:
            await self._put_off(job, hook, until, f"plugin {hook.plugin} keeps failing and is suspended for a while")
            return
        tries = hook.options.max_tries or self._settings.job_max_tries
        if job.deaths > _DEATHS_FORGIVEN:
            await self._bury(job, f"the process died during each of {job.deaths} attempts")
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
            await asyncio.shield(self._give_back(job, started, "interrupted by shutdown", job.waiting_since))
            raise
        except LeaseLost:
            outcome = "lease_lost"
            self._log(logging.WARNING, "job.lease_lost", job, hook, "another process took the job over")
        except Exception as error:  # noqa: BLE001 - a foreign hook may fail in any way; the job is retried or buried
            if (until := self._later(job, error)) is not None:
                outcome = "waiting"
                if self._watch.has_blocked(hook.plugin):
                    self._watch.failed(hook, "blocked the whole process")
                await self._put_off(job, hook, until, f"{type(error).__name__}: {error}", describe(error))
            else:
                last = job.failures + 1 >= min(tries, getattr(error, "max_tries", tries))
                outcome = "buried" if last else "timeout" if isinstance(error, TimeoutError) else "failed"
                await self._failed(job, hook, error, last)
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
        with acted_by(Actor(job.plugin, "", "job", job.event, job.id)):
            with charged_to(SessionKey(job.tenant, "", "", "")):
                await hook.within(limit, event=event, context=context)
            await self._store.commit(context.scope, context.batch)
        self._outbox.committed(context.batch.add_jobs)
        context.committed()

    async def _failed(self, job: Job, hook: EventHook, error: Exception, last: bool) -> None:
        limit = hook.options.timeout_s or self._settings.job_timeout_s
        reason = (
            f"took longer than {limit:g} s" if isinstance(error, TimeoutError) else f"{type(error).__name__}: {error}"
        )
        told = reason if isinstance(error, TimeoutError) else describe(error)  # the reason may quote what people said
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("job.traceback", extra={"fields": {"job": job.id, **hook.fields}}, exc_info=error)
        if isinstance(error, TimeoutError) or self._watch.has_blocked(hook.plugin):
            self._watch.failed(hook, told)
        elif (other := self._other_culprit(hook, error)) is not None:
            hook, told = other
            self._watch.broke(hook.plugin, f"{hook.hook}: {told}")
        else:
            self._watch.note(hook.plugin, f"{hook.hook}: {told}")
        try:
            if last:
                self._log(logging.ERROR, "job.buried", job, hook, told)
                await self._bury(job, reason)
                return
            self._log(logging.WARNING, "job.failed", job, hook, told)
            await self._store.retry_job(job.id, job.lease, self._next_try(job.failures + 1), reason)
        except MemhostError as failure:
            # The lease runs out and the job comes back by itself.
            self._log(logging.ERROR, "job.not_returned", job, hook, failure.message)

    def _other_culprit(self, hook: EventHook, error: Exception) -> tuple[EventHook, str] | None:
        """The hook as one of the plugin whose code failed, and what failed there; None if it is the hook's own plugin.

        So the failure of an extractor is its own, not that of the pipeline which runs it. An error that a plugin raises
        on purpose is no failure of it.
        """
        if isinstance(error, MemhostError) and not isinstance(error, PluginFailure):
            return None
        found = self._plugins.culprit(error)
        if found is None or found[0].name == hook.plugin:
            return None
        row, place = found
        named = {"plugin": row.name, "distribution": row.distribution, "version": row.version}
        return msgspec.structs.replace(hook, **named), describe(causes(error)[0], place)

    def _later(self, job: Job, error: Exception) -> datetime | None:
        """When to try again what could not be done now through no fault of the hook; None if it failed."""
        if not passes(error):
            return None
        now = self._clock.now()
        match error:
            case BudgetExceeded():
                return max(error.resets_at, now)
            case Busy():
                return now + timedelta(seconds=error.wait_s)
            case TooManyRequests():
                return now + timedelta(seconds=min(error.retry_after_s, _MAX_S))
        # It pauses for as long as it has waited so far: the pauses double, from the shortest to the longest wait.
        waits = self._settings.job_backoff_s or (1.0,)
        waited = (now - (job.waiting_since or now)).total_seconds()
        return now + timedelta(seconds=_spread(min(max(waited, min(waits)), max(waits))))

    async def _put_off(self, job: Job, hook: EventHook, until: datetime, reason: str, told: str | None = None) -> None:
        """Let the job wait without having used a try; a newer one takes its place."""
        level = logging.DEBUG if job.waiting_since is not None else logging.WARNING
        self._log(level, "job.waits", job, hook, told or reason)
        try:
            await self._give_back(job, until, reason, job.waiting_since or self._clock.now())
        except MemhostError as failure:
            self._log(logging.WARNING, "job.not_returned", job, hook, failure.message)

    async def _give_back(self, job: Job, due_at: datetime, reason: str, since: datetime | None) -> None:
        if isinstance(self._store, PutsOff):
            await self._store.put_off_job(job.id, job.lease, due_at, reason, since)
            return
        later = msgspec.structs.replace(
            job, due_at=due_at, state=JobState.PENDING, attempts=0, failures=0, deaths=0, lease=""
        )
        batch = WriteBatch(complete_job=(job.id, job.lease), add_jobs=[later])
        await self._store.commit(Scope(tenant=job.tenant), batch)

    async def _bury(self, job: Job, reason: str) -> None:
        buried = await self._store.bury_job(job.id, job.lease, reason)
        if buried and self._given_up is not None:
            await self._given_up(job, reason)

    def _hook(self, job: Job) -> EventHook | None:
        hooks = self._plugins.event_hooks(f"memhost_{job.event}")
        return next((hook for hook in hooks if hook.plugin == job.plugin), None)

    def _next_try(self, failures: int) -> datetime:
        waits = self._settings.job_backoff_s or (1.0,)
        wait = waits[min(failures, len(waits)) - 1]
        return self._clock.now() + timedelta(seconds=_spread(wait))

    def _log(self, level: int, event: str, job: Job, hook: EventHook, reason: str) -> None:
        fields = {
            "job": job.id,
            "event": job.event,
            **hook.fields,
            "attempt": job.failures + 1,
            "error": reason,
        }
        logger.log(level, event, extra={"fields": fields})


def _spread(wait_s: float) -> float:
    """The wait, up to a fifth shorter or longer, so that not all come back at the same moment."""
    return wait_s * (1.0 + random.uniform(-_JITTER, _JITTER))  # noqa: S311 - spreading load, not a secret
