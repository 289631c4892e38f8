"""Background work that is not possible now waits without failing; failures and deaths count separately."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from memhost.errors import (
    AnswerUnusable,
    BudgetExceeded,
    Busy,
    ConfigurationError,
    Conflict,
    MemhostError,
    ModelRefused,
    ModelUnavailable,
    RequestRejected,
    StoreUnavailable,
    TooManyRequests,
    Unavailable,
    VersionMismatch,
    passes,
)
from memhost.hooks import event_options
from memhost.host import Host
from memhost.models import Job, JobState, Scope, WriteBatch
from memhost.storage.leases import Leases
from memhost.testing.clock import FakeClock
from tests.core.jobs.test_jobs import work
from tests.support import plugin_factory
from tests.support.hosts import run, running_host

STORES = pytest.mark.parametrize("store", ["memory", "sqlite"])
TOMORROW = datetime(2026, 1, 2, tzinfo=UTC)

PASSES: list[tuple[Exception, float | None]] = [
    (Busy("Another is at it.", wait_s=7.5), 7.5),
    (Busy("It is over.", wait_s=-3), 0),
    (Busy("Nobody knows.", wait_s=float("nan")), 0),
    (Busy("For ever.", wait_s=float("inf")), 86_400),
    (TooManyRequests("Slowly.", retry_after_s=42), 42),
    (TooManyRequests("Never.", retry_after_s=10**12), 86_400),
    (BudgetExceeded("Used up.", resets_at=TOMORROW), 86_400),
    (ModelUnavailable("The model is away."), None),
    (StoreUnavailable("The store is away."), None),
    (Unavailable("My other system is down."), None),
    (VersionMismatch("The session changed."), None),
]
"""What is no failure, and after how many seconds it is tried again; None: by pauses that grow."""

FAILURES: list[Exception] = [
    ValueError("a fault"),
    RuntimeError("another"),
    ConnectionError("not wrapped"),
    TimeoutError(),
    Conflict("It conflicts with the stored state."),
    AnswerUnusable("Not JSON."),
    ModelRefused("Not this."),
    RequestRejected("The provider rejected the request."),
    MemhostError("a fault of ours"),
    ConfigurationError("Set it right."),
    KeyError("missing"),
    LookupError("nothing"),
    OSError("disk"),
    AssertionError("no"),
]


class Hook:
    """A background hook that raises what it is told to, else does nothing."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.attempts: list[int] = []

    async def __call__(self, event: Any, context: Any) -> None:
        self.attempts.append(context.attempt)
        if self.error is not None:
            raise self.error


@asynccontextmanager
async def listening(
    folder: Path, clock: FakeClock, store: str, hook: Hook, *, backoff: str = "[30, 120, 600]", **options: Any
) -> AsyncIterator[Host]:
    """A host whose plugin `listener` has that hook for stored memories."""

    @event_options(**options)
    async def stored(event: Any, context: Any) -> None:
        await hook(event, context)

    plugin = plugin_factory.make_plugin("listener", {"memhost_memories_stored": stored})
    settings = {"JOB_MAX_TRIES": "3", "JOB_BACKOFF_S": backoff, "PLUGIN_SUSPEND_AFTER": "0"}
    async with running_host(
        folder, store=store, clock=clock, run_jobs=False, settings=settings, extra=[plugin]
    ) as host:
        await run(host, "create_memories", memories=[{"id": "a", "text": "x"}])
        yield host


async def job_of(host: Host) -> Job:
    jobs, _ = await host.store.list_jobs(Scope())
    (found,) = [job for job in jobs if job.plugin == "listener"]
    return found


async def die(host: Host, clock: FakeClock, times: int) -> None:
    """Let that many processes claim the job and die."""
    for _ in range(times):
        assert len(await host.store.claim_jobs(clock.now(), 10, 15)) == 1
        clock.advance(15)


@pytest.mark.parametrize(("error", "wait_s"), PASSES, ids=lambda each: type(each).__name__)
async def test_what_passes_puts_the_job_off(
    tmp_path: Path, error: Exception, wait_s: float | None, caplog: pytest.LogCaptureFixture
) -> None:
    clock, hook = FakeClock(), Hook()
    async with listening(tmp_path, clock, "memory", hook) as host:
        hook.error = error
        caplog.set_level(logging.DEBUG)
        assert await work(host) == 1
        job = await job_of(host)
        assert (job.state, job.attempts, job.failures, job.waiting_since) == (JobState.WAITING, 0, 0, clock.now())
        assert job.last_error == f"{type(error).__name__}: {error}"
        if wait_s is not None:
            assert job.due_at == clock.now() + timedelta(seconds=wait_s)
        names = {record.getMessage() for record in caplog.records}
        assert "job.waits" in names
        assert "job.failed" not in names
        hook.error = None
        clock.advance(36 if wait_s is None else wait_s)
        assert await work(host) == 1
        assert (await run(host, "list_jobs")).total == 0


@pytest.mark.parametrize("error", FAILURES, ids=lambda each: type(each).__name__)
async def test_what_does_not_pass_uses_a_try(tmp_path: Path, error: Exception) -> None:
    clock, hook = FakeClock(), Hook()
    assert not passes(error)
    async with listening(tmp_path, clock, "memory", hook) as host:
        hook.error = error
        assert await work(host) == 1
        job = await job_of(host)
        assert (job.state, job.failures, job.waiting_since) == (JobState.PENDING, 1, None)


@STORES
async def test_an_outage_of_days_buries_nothing(store: str, tmp_path: Path) -> None:
    clock, hook = FakeClock(), Hook()
    async with listening(tmp_path, clock, store, hook) as host:
        hook.error = ModelUnavailable("The model is away.")
        began, pauses = clock.now(), list[float]()
        while clock.now() - began < timedelta(days=2):
            assert await work(host) == 1
            pauses.append((((await job_of(host)).due_at) - clock.now()).total_seconds())
            clock.advance(pauses[-1])
        assert 24 <= pauses[0] <= 36
        assert all(pause <= 720 for pause in pauses)
        assert all(pause >= 480 for pause in pauses[12:]), "it asks less and less often"
        assert sum(pauses[:8]) > 1200
        assert len(set(pauses)) > len(pauses) / 2, "not all come back at the same moment"
        job = await job_of(host)
        assert (job.state, job.waiting_since, job.failures) == (JobState.WAITING, began, 0)
        shown = [row for row in (await run(host, "list_jobs", state="waiting")).jobs if row.plugin == "listener"]
        assert [(row.state, row.waiting_since, row.attempts) for row in shown] == [("waiting", began, 0)]
        assert set(hook.attempts) == {1}
        hook.error = None
        assert await work(host) == 1
        assert (await run(host, "list_jobs")).total == 0


@STORES
async def test_waiting_between_failures_uses_no_try(store: str, tmp_path: Path) -> None:
    clock, hook = FakeClock(), Hook()
    async with listening(tmp_path, clock, store, hook) as host:
        for error, failures in (
            (ValueError("one"), 1),
            (Busy("Another."), 1),
            (ModelUnavailable("Away."), 1),
            (ValueError("two"), 2),
            (Busy("Another."), 2),
        ):
            hook.error = error
            assert await work(host) == 1
            job = await job_of(host)
            assert (job.failures, job.deaths) == (failures, 0)
            assert (job.waiting_since is None) == isinstance(error, ValueError)
            clock.advance(1000)
        hook.error = ValueError("three")
        assert await work(host) == 1
        assert (await job_of(host)).state is JobState.DEAD
        assert hook.attempts == [1, 2, 2, 2, 3, 3]


@STORES
async def test_a_death_is_no_failure(store: str, tmp_path: Path) -> None:
    clock, hook = FakeClock(), Hook()
    async with listening(tmp_path, clock, store, hook, max_tries=2) as host:
        await die(host, clock, 4)
        hook.error = ValueError("a fault")
        assert await work(host) == 1
        job = await job_of(host)
        assert (job.state, job.failures, job.deaths) == (JobState.PENDING, 1, 4)
        assert 24 <= (job.due_at - clock.now()).total_seconds() <= 36, "the wait after a first failure"
        clock.advance(36)
        assert await work(host) == 1
        job = await job_of(host)
        assert (job.state, job.failures, job.deaths) == (JobState.DEAD, 2, 4)


@STORES
async def test_what_kills_its_process_each_time_is_given_up(store: str, tmp_path: Path) -> None:
    clock, hook = FakeClock(), Hook()
    async with listening(tmp_path, clock, store, hook) as host:
        await die(host, clock, 11)
        assert await work(host) == 1
        job = await job_of(host)
        assert job.state is JobState.DEAD
        assert "the process died during each of 11 attempts" in (job.last_error or "")
        assert hook.attempts == []
        await run(host, "retry_job", job_id=job.id)
        await die(host, clock, 10)
        assert await work(host) == 1
        assert (await run(host, "list_jobs")).total == 0, "after ten deaths it is tried once more"


async def test_an_interruption_uses_no_try_and_does_not_end_the_waiting(tmp_path: Path) -> None:
    clock, hook, begun = FakeClock(), Hook(), asyncio.Event()

    async def stored(event: Any, context: Any) -> None:
        if hook.error is not None:
            raise hook.error
        begun.set()
        await asyncio.Event().wait()

    plugin = plugin_factory.make_plugin("listener", {"memhost_memories_stored": stored})
    async with running_host(tmp_path, clock=clock, run_jobs=False, extra=[plugin]) as host:
        await run(host, "create_memories", memories=[{"id": "a", "text": "x"}])
        hook.error = ModelUnavailable("Away.")
        await work(host)
        since = clock.now()
        clock.advance(60)
        hook.error = None
        (job,) = await host.services.dispatcher.claim(10)
        running = asyncio.create_task(host.services.dispatcher.run(job))
        await begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        job = await job_of(host)
        assert (job.state, job.waiting_since, job.failures, job.due_at) == (JobState.WAITING, since, 0, clock.now())


@pytest.mark.parametrize("error", [ModelUnavailable("Away."), ValueError("a fault")])
async def test_without_waits_it_is_a_second(tmp_path: Path, error: Exception) -> None:
    clock, hook = FakeClock(), Hook()
    async with listening(tmp_path, clock, "memory", hook, backoff="[]") as host:
        hook.error = error
        await work(host)
        assert 0.8 <= ((await job_of(host)).due_at - clock.now()).total_seconds() <= 1.2


async def test_what_blocks_the_process_while_it_waits_has_failed(tmp_path: Path) -> None:
    clock, hook = FakeClock(), Hook()
    async with listening(tmp_path, clock, "memory", hook) as host:
        hook.error = ModelUnavailable("Away.")
        await work(host)
        assert host.services.watch.report("listener").failures == 0
        host.services.watch.blocks("listener")
        clock.advance(60)
        await work(host)
        assert host.services.watch.report("listener").failures == 1
        assert (await job_of(host)).failures == 0


async def test_a_store_that_does_not_take_it_back_leaves_it_to_the_lease(tmp_path: Path) -> None:
    clock, hook = FakeClock(), Hook()
    async with listening(tmp_path, clock, "memory", hook) as host:
        hook.error = ModelUnavailable("Away.")

        async def away(*_args: Any) -> bool:
            raise StoreUnavailable("The store is away.")

        host.store.put_off_job = away  # type: ignore[attr-defined]
        await work(host)
        assert (await job_of(host)).state is JobState.RUNNING


async def test_a_store_that_does_not_count_gives_all_tries_again(tmp_path: Path) -> None:
    clock, hook = FakeClock(), Hook()
    async with listening(tmp_path, clock, "memory", hook) as host:
        commits: list[WriteBatch] = []

        class Plain:
            """The store without what only some can."""

            async def commit(self, scope: Scope, batch: WriteBatch) -> Any:
                commits.append(batch)
                return await host.store.commit(scope, batch)

        hook.error = Busy("Another.", wait_s=5)
        (job,) = await host.services.dispatcher.claim(10)
        vars(host.services.dispatcher)["_store"] = Plain()
        await host.services.dispatcher.run(job)
        assert commits[0].complete_job == (job.id, job.lease)
        found = await job_of(host)
        assert (found.state, found.attempts, found.due_at) == (
            JobState.PENDING,
            0,
            clock.now() + timedelta(seconds=5),
        )


@STORES
async def test_a_schedule_has_one_job(store: str, tmp_path: Path) -> None:
    clock = FakeClock()
    settings = {
        "COMPACTION_EVERY_MINUTES": "1",
        "SCHEDULE_EVERY_S": '{"embed-memories": 0, "expire-reviews": 0, "refresh-views": 0}',
    }
    async with running_host(tmp_path, store=store, clock=clock, run_jobs=False, settings=settings) as host:

        async def waiting() -> list[Job]:
            return [job for job in (await host.store.list_jobs(Scope()))[0] if "compact" in job.id]

        for _ in range(3):
            await host.services.schedules.start_due(clock.now())
            assert len(await waiting()) == 1
            clock.advance(60)
        await host.services.schedules.start_due(clock.now())
        (job,) = await waiting()
        assert job.due_at == clock.now(), "the newest period"
        (running,) = await host.services.dispatcher.claim(10)
        clock.advance(60)
        await host.services.schedules.start_due(clock.now())
        assert [job.state for job in await waiting()] == [JobState.RUNNING]
        await host.services.dispatcher.run(running)
        assert [job.state for job in await waiting()] == [JobState.PENDING], "a period that began meanwhile follows"
        assert await work(host) == 1
        assert await waiting() == []


async def test_a_period_starts_once_in_all_processes(tmp_path: Path) -> None:
    clock = FakeClock()
    settings = {
        "COMPACTION_EVERY_MINUTES": "1",
        "SCHEDULE_EVERY_S": '{"embed-memories": 0, "expire-reviews": 0, "refresh-views": 0}',
    }
    async with (
        running_host(tmp_path, clock=clock, run_jobs=False, settings=settings) as one,
        running_host(tmp_path, clock=clock, run_jobs=False, settings=settings) as other,
    ):
        await one.services.schedules.start_due(clock.now())
        assert await work(one) == 1
        for _ in range(5):
            clock.advance(60)
            read, go_on = asyncio.Event(), asyncio.Event()
            commit = other.store.commit

            async def late(scope: Any, batch: Any, commit: Any = commit, read: Any = read, go_on: Any = go_on) -> Any:
                read.set()
                await go_on.wait()
                return await commit(scope, batch)

            other.store.commit = late  # type: ignore[method-assign]
            starting = asyncio.create_task(other.services.schedules.start_due(clock.now()))
            await read.wait()  # it has seen that the period has not been started
            await one.services.schedules.start_due(clock.now())
            assert await work(one) == 1
            go_on.set()
            await starting
            other.store.commit = commit  # type: ignore[method-assign]
            assert await work(one) == 0
            assert await work(other) == 0


async def test_compaction_that_a_dead_process_was_at_goes_on_when_its_lease_ends(tmp_path: Path) -> None:
    clock = FakeClock()
    settings = {"SCHEDULE_EVERY_S": '{"embed-memories": 0, "expire-reviews": 0, "refresh-views": 0}'}
    async with running_host(tmp_path, clock=clock, run_jobs=False, settings=settings) as host:
        for name in ("a", "b"):
            await run(host, "create_memories", memories=[{"id": name, "text": "Ann likes tea."}], deduplicate=False)
        lease = await Leases(host.store, clock, 15).take("default", "compaction", told="Busy.")
        await lease.stop()  # as kill -9 does
        await host.services.schedules.start_due(clock.now())
        assert await work(host) == 1
        (job,) = (await run(host, "list_jobs")).jobs
        assert (job.state, job.attempts, job.failures) == ("waiting", 0, 0)
        assert job.due_at == clock.now() + timedelta(seconds=15), "to the end of the other's lease"
        clock.advance(15)
        assert await work(host) == 1
        assert (await run(host, "list_jobs")).total == 0
        assert (await host.store.list_memories(Scope()))[1] == 1
