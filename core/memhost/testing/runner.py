"""`RunnerConformance`: the definition of the job runner port, as tests.

Subclass it, give two fixtures, and run it with pytest and pytest-asyncio:

    class TestMyRunner(RunnerConformance):
        @pytest.fixture
        def store(self):
            return MemoryStore()

        @pytest.fixture
        def open_runner(self):
            def open_runner(concurrency, look_s, grace_s):
                return open_my_runner(MySettings(...), context)

            return open_runner

`store` is any store, empty at the start of each test. `open_runner` gives an asynchronous context manager whose value
is a runner: it runs at most `concurrency` jobs at a time, looks at the outbox by itself at least every `look_s`
seconds, and lets jobs finish for `grace_s` seconds when it is stopped. Several that are open at once work for the same
outbox.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta

import pytest

from memhost.errors import LeaseLost, StoreUnavailable
from memhost.models import Job, JobState, Scope, WriteBatch
from memhost.ports import JobRunner, Store
from memhost.testing.factories import TENANT
from memhost.testing.polling import until

OpenRunner = Callable[[int, float, float], AbstractAsyncContextManager[JobRunner]]
RARELY_S = 30.0
EVERYWHERE = Scope(tenant=TENANT)


async def _at_once(_job: Job) -> None:
    """Work that takes no time."""


class Dispatching:
    """A dispatcher whose jobs do what the test says, and which notes what happens.

    Attributes:
        started: Ids of the jobs, in the order in which they were started.
        running: How many run now; `most_running` is the greatest number so far.
        ended: Ids of the jobs that ended and were completed.
        down: The store does not answer while this is set.
    """

    def __init__(self, store: Store, work: Callable[[Job], Awaitable[None]] = _at_once) -> None:
        self._store = store
        self._work = work
        self.started: list[str] = []
        self.ended: list[str] = []
        self.running = self.most_running = 0
        self.down = False
        self.sweeps = 0

    def _check(self) -> None:
        if self.down:
            raise StoreUnavailable("The store is away.")

    async def claim(self, limit: int) -> list[Job]:
        self._check()
        return await self._store.claim_jobs(datetime.now(UTC), limit, 30)

    async def run(self, job: Job) -> None:
        self.started.append(job.id)
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        try:
            await self._work(job)
            await self._store.commit(EVERYWHERE, WriteBatch(complete_job=(job.id, job.lease)))
            self.ended.append(job.id)
        except asyncio.CancelledError:
            await self._store.retry_job(job.id, job.lease, datetime.now(UTC), "interrupted")
            raise
        finally:
            self.running -= 1

    async def seconds_to_next(self) -> float | None:
        self._check()
        due = await self._store.next_due()
        return None if due is None else max(0.0, (due - datetime.now(UTC)).total_seconds())

    async def sweep(self) -> None:
        self.sweeps += 1

    async def has_ended(self, *ids: str) -> None:
        """Wait until these jobs have ended, each once, and no others."""

        async def ended() -> bool:
            return sorted(self.ended) == sorted(ids)

        await until(ended)


async def add(store: Store, *ids: str, seconds: float = 0) -> list[Job]:
    """Commit jobs that are due in so many seconds."""
    now = datetime.now(UTC)
    due = now + timedelta(seconds=seconds)
    jobs = [
        Job(id=each, event="memories_stored", plugin="p", payload=b"", tenant=TENANT, created_at=now, due_at=due)
        for each in ids
    ]
    await store.commit(EVERYWHERE, WriteBatch(add_jobs=jobs))
    return jobs


@pytest.mark.asyncio
class RunnerConformance:
    """Every promise of `memhost.ports.JobRunner`."""

    async def test_jobs_that_are_due_at_the_start_are_run(self, store: Store, open_runner: OpenRunner) -> None:
        await add(store, "a", "b", "c")
        dispatching = Dispatching(store)
        async with open_runner(2, RARELY_S, 1) as runner:
            await runner.start(dispatching)
            await dispatching.has_ended("a", "b", "c")
        assert dispatching.sweeps > 0, "a runner calls sweep"
        assert await store.list_jobs(EVERYWHERE) == ([], 0)

    async def test_telling_of_jobs_starts_them(self, store: Store, open_runner: OpenRunner) -> None:
        dispatching = Dispatching(store)
        async with open_runner(4, RARELY_S, 1) as runner:
            await runner.start(dispatching)
            for name in ("a", "b"):
                runner.notify(await add(store, name))
                runner.notify(await add(store, f"{name}2", f"{name}3"))
            await dispatching.has_ended("a", "a2", "a3", "b", "b2", "b3")
            await add(store, "unnamed")
            runner.notify(())
            await dispatching.has_ended("a", "a2", "a3", "b", "b2", "b3", "unnamed")

    async def test_jobs_nobody_told_of_are_found(self, store: Store, open_runner: OpenRunner) -> None:
        dispatching = Dispatching(store)
        async with open_runner(4, 0.05, 1) as runner:
            await runner.start(dispatching)
            await add(store, "a")
            await dispatching.has_ended("a")

    async def test_a_job_waits_until_it_is_due(self, store: Store, open_runner: OpenRunner) -> None:
        early: list[str] = []
        due = datetime.now(UTC) + timedelta(seconds=0.4)

        async def work(job: Job) -> None:
            if datetime.now(UTC) < due:
                early.append(job.id)

        dispatching = Dispatching(store, work)
        async with open_runner(4, 0.05, 1) as runner:
            await runner.start(dispatching)
            runner.notify(await add(store, "later", seconds=0.4))
            await dispatching.has_ended("later")
        assert not early

    async def test_no_more_than_the_limit_run_at_once(self, store: Store, open_runner: OpenRunner) -> None:
        async def work(_job: Job) -> None:
            await asyncio.sleep(0.01)

        ids = [f"j{number:02}" for number in range(12)]
        dispatching = Dispatching(store, work)
        async with open_runner(3, 0.05, 1) as runner:
            await runner.start(dispatching)
            runner.notify(await add(store, *ids))
            await dispatching.has_ended(*ids)
        assert dispatching.most_running == 3

    async def test_a_slow_job_does_not_keep_others_waiting(self, store: Store, open_runner: OpenRunner) -> None:
        slow_may_end = asyncio.Event()

        async def work(job: Job) -> None:
            if job.id == "slow":
                await slow_may_end.wait()

        dispatching = Dispatching(store, work)
        async with open_runner(2, RARELY_S, 5) as runner:
            await runner.start(dispatching)
            runner.notify(await add(store, "slow"))
            for name in ("a", "b", "c"):
                runner.notify(await add(store, name))
            await dispatching.has_ended("a", "b", "c")
            slow_may_end.set()
            await dispatching.has_ended("a", "b", "c", "slow")

    async def test_stopping_lets_running_jobs_finish(self, store: Store, open_runner: OpenRunner) -> None:
        stopping = asyncio.Event()

        async def work(_job: Job) -> None:
            await stopping.wait()
            await asyncio.sleep(0.05)

        dispatching = Dispatching(store, work)
        async with open_runner(1, RARELY_S, 10) as runner:
            await runner.start(dispatching)
            runner.notify(await add(store, "a", "b"))
            await until(_started(dispatching, 1))
            stopping.set()
            await runner.stop()
            assert dispatching.ended == dispatching.started
            waiting, _ = await store.list_jobs(EVERYWHERE, JobState.PENDING)
            assert len(waiting) == 2 - len(dispatching.ended), "what was not started stays in the outbox"

    async def test_what_is_cut_off_goes_back_and_others_take_it(self, store: Store, open_runner: OpenRunner) -> None:
        async def never(_job: Job) -> None:
            await asyncio.Event().wait()

        stopped, other = Dispatching(store, never), Dispatching(store)
        async with open_runner(4, RARELY_S, 0) as first:
            await first.start(stopped)
            first.notify(await add(store, "a", "b"))
            await until(_started(stopped, 2))
            await first.stop()
        assert stopped.ended == []
        jobs, _ = await store.list_jobs(EVERYWHERE)
        assert {job.state for job in jobs} == {JobState.PENDING}, "it is given back, not left to the lease"
        async with open_runner(4, RARELY_S, 1) as second:
            await second.start(other)
            await other.has_ended("a", "b")

    async def test_a_dead_process_s_job_is_run_when_its_lease_ends(self, store: Store, open_runner: OpenRunner) -> None:
        dispatching = Dispatching(store)
        await add(store, "a")
        await store.claim_jobs(datetime.now(UTC), 1, 0.3)
        async with open_runner(4, 0.1, 1) as runner:
            await runner.start(dispatching)
            await dispatching.has_ended("a")

    async def test_a_store_that_is_away_for_a_while_is_survived(self, store: Store, open_runner: OpenRunner) -> None:
        dispatching = Dispatching(store)
        async with open_runner(4, 0.05, 1) as runner:
            await runner.start(dispatching)
            dispatching.down = True
            runner.notify(await add(store, "a"))
            await asyncio.sleep(0.15)
            assert dispatching.started == []
            dispatching.down = False
            await dispatching.has_ended("a")

    async def test_a_job_that_breaks_its_promise_harms_no_other(self, store: Store, open_runner: OpenRunner) -> None:
        async def work(job: Job) -> None:
            if job.id == "broken":
                raise LeaseLost("run must not raise, but it did")

        dispatching = Dispatching(store, work)
        async with open_runner(1, RARELY_S, 1) as runner:
            await runner.start(dispatching)
            runner.notify(await add(store, "broken"))
            await until(_started(dispatching, 1))
            runner.notify(await add(store, "a"))
            await dispatching.has_ended("a")

    async def test_two_runners_share_the_work(self, store: Store, open_runner: OpenRunner) -> None:
        async def work(_job: Job) -> None:
            await asyncio.sleep(0.02)

        one, other = Dispatching(store, work), Dispatching(store, work)
        ids = [f"j{number:02}" for number in range(24)]
        async with open_runner(2, 0.05, 5) as first, open_runner(2, 0.05, 5) as second:
            await first.start(one)
            await second.start(other)
            first.notify(await add(store, *ids))

            async def all_ended() -> bool:
                return sorted(one.ended + other.ended) == ids

            await until(all_ended)
        assert one.ended
        assert other.ended
        assert sorted(one.started + other.started) == ids, "each job was run once"

    async def test_one_that_was_not_started_can_be_told_and_stopped(
        self, store: Store, open_runner: OpenRunner
    ) -> None:
        async with open_runner(1, RARELY_S, 1) as runner:
            runner.notify(await add(store, "a"))
            runner.notify(())
        assert (await store.list_jobs(EVERYWHERE, JobState.PENDING))[1] == 1


def _started(dispatching: Dispatching, count: int) -> Callable[[], Awaitable[bool]]:
    async def started() -> bool:
        return len(dispatching.started) >= count

    return started
