"""Conformance: the outbox."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from memhost.errors import Forbidden, IdTaken, LeaseLost
from memhost.models import Job, JobState, Scope, WriteBatch
from memhost.ports import PutsOff, Store
from memhost.testing.factories import (
    START,
    after,
    make_document,
    make_job,
    make_key,
    make_memory,
    make_scope,
    make_session,
    put,
)

EVERYWHERE = make_scope()
OTHER = Scope(tenant="other")


async def add(store: Store, *jobs: Job) -> None:
    """Add jobs in one batch."""
    await store.commit(EVERYWHERE, WriteBatch(add_jobs=list(jobs)))


async def get(store: Store, job_id: str) -> Job | None:
    """A job of the test tenant by id."""
    jobs, _ = await store.list_jobs(EVERYWHERE)
    return next((job for job in jobs if job.id == job_id), None)


async def claim_one(store: Store, seconds: float = 0, lease_s: float = 60) -> Job:
    """Claim the only due job."""
    (job,) = await store.claim_jobs(after(seconds), 10, lease_s)
    return job


def finishing(job: Job, **rest: object) -> WriteBatch:
    """A batch that completes a job."""
    return WriteBatch(complete_job=(job.id, job.lease), **rest)  # type: ignore[arg-type]


def _needs_counting(store: Store) -> PutsOff:
    """The store as one that counts failures apart; others are not held to that."""
    if not isinstance(store, PutsOff):
        pytest.skip("the store does not tell failures from deaths (memhost.ports.PutsOff)")
    return store


class OutboxTests:
    """Jobs are committed with the write they follow from, run under a lease, and are never lost."""

    async def test_an_added_job_comes_back_pending(self, store: Store) -> None:
        await add(store, make_job("j1", due=0.000001, payload=b"\x00\xff", created_at=after(-1)))
        jobs, total = await store.list_jobs(EVERYWHERE)
        assert jobs == [make_job("j1", due=0.000001, payload=b"\x00\xff", created_at=after(-1))]
        assert total == 1

    async def test_claiming_takes_due_jobs_oldest_due_first(self, store: Store) -> None:
        await add(store, make_job("c", due=3), make_job("b", due=1), make_job("a", due=1), make_job("later", due=9))
        jobs = await store.claim_jobs(after(3), 10, 60)
        assert [job.id for job in jobs] == ["a", "b", "c"]
        assert {job.state for job in jobs} == {JobState.RUNNING}
        assert {job.attempts for job in jobs} == {1}
        assert {job.lease_until for job in jobs} == {after(63)}
        assert len({job.lease for job in jobs} - {""}) == 3, "each run has a token of its own"
        assert await store.claim_jobs(after(3), 10, 60) == []

    async def test_claiming_takes_at_most_the_limit(self, store: Store) -> None:
        await add(store, *(make_job(f"j{number}", due=number) for number in range(5)))
        assert [job.id for job in await store.claim_jobs(after(9), 2, 60)] == ["j0", "j1"]
        assert [job.id for job in await store.claim_jobs(after(9), 2, 60)] == ["j2", "j3"]
        assert await store.claim_jobs(after(9), 0, 60) == []

    async def test_concurrent_claims_share_no_job(self, store: Store) -> None:
        await add(store, *(make_job(f"j{number:02}") for number in range(40)))
        claims = await asyncio.gather(*(store.claim_jobs(START, 7, 60) for _ in range(10)))
        ids = [job.id for jobs in claims for job in jobs]
        assert len(ids) == 40
        assert len(set(ids)) == 40

    async def test_a_lapsed_lease_is_taken_over(self, store: Store) -> None:
        await add(store, make_job())
        first = await claim_one(store, 0, lease_s=10)
        assert await store.claim_jobs(after(9.999), 10, 10) == []
        second = await claim_one(store, 10)
        assert (second.id, second.attempts) == (first.id, 2)
        assert second.lease != first.lease
        with pytest.raises(LeaseLost):
            await store.commit(EVERYWHERE, finishing(first, put_memories=[make_memory("m1")]))
        assert not await store.extend_lease(first.id, first.lease, after(99))
        assert not await store.retry_job(first.id, first.lease, after(99), "x")
        assert not await store.bury_job(first.id, first.lease, "x")
        assert (await store.list_memories(EVERYWHERE))[1] == 0, "effects of a lost lease are not applied"
        await store.commit(EVERYWHERE, finishing(second))
        assert await get(store, "j1") is None

    async def test_a_prolonged_lease_is_not_taken_over(self, store: Store) -> None:
        await add(store, make_job())
        job = await claim_one(store, 0, lease_s=10)
        assert await store.extend_lease(job.id, job.lease, after(100))
        assert await store.claim_jobs(after(50), 10, 10) == []
        assert len(await store.claim_jobs(after(100), 10, 10)) == 1

    async def test_completing_applies_effects_and_removes_the_job_together(self, store: Store) -> None:
        await add(store, make_job())
        job = await claim_one(store)
        await store.commit(EVERYWHERE, finishing(job, put_memories=[make_memory("m1")], add_jobs=[make_job("next")]))
        assert (await store.list_memories(EVERYWHERE))[1] == 1
        assert [each.id for each in (await store.list_jobs(EVERYWHERE))[0]] == ["next"]

    async def test_effects_happen_once(self, store: Store) -> None:
        await add(store, make_job())
        job = await claim_one(store)
        results = await asyncio.gather(
            *(
                store.commit(EVERYWHERE, finishing(job, put_memories=[make_memory(f"m{number}")]))
                for number in range(8)
            ),
            return_exceptions=True,
        )
        assert sum(isinstance(result, LeaseLost) for result in results) == 7
        assert (await store.list_memories(EVERYWHERE))[1] == 1

    async def test_lease_lost_applies_nothing_of_the_batch(self, store: Store) -> None:
        await store.commit(
            EVERYWHERE, put(make_memory("kept"), put_session=make_session(), add_jobs=[make_job("pending")])
        )
        batch = WriteBatch(
            complete_job=("unknown", "token"),
            put_memories=[make_memory("new")],
            delete_memories=["kept"],
            delete_session=make_key(),
            put_documents=[make_document()],
            add_jobs=[make_job("new")],
            cancel_jobs=["pending"],
        )
        with pytest.raises(LeaseLost):
            await store.commit(EVERYWHERE, batch)
        assert [memory.record.id for memory in (await store.list_memories(EVERYWHERE))[0]] == ["kept"]
        assert await store.get_session(EVERYWHERE, make_key(), START) is not None
        assert await store.list_documents(EVERYWHERE, "view", START) == []
        assert [job.id for job in (await store.list_jobs(EVERYWHERE))[0]] == ["pending"]

    async def test_a_pending_job_cannot_be_completed_with_an_empty_lease(self, store: Store) -> None:
        await add(store, make_job())
        with pytest.raises(LeaseLost):
            await store.commit(EVERYWHERE, WriteBatch(complete_job=("j1", "")))
        assert await get(store, "j1") is not None

    async def test_a_failing_completion_keeps_the_job_running(self, store: Store) -> None:
        await store.commit(EVERYWHERE, put(make_memory("taken", user_id="bob"), add_jobs=[make_job()]))
        job = await claim_one(store)
        with pytest.raises(IdTaken):
            await store.commit(EVERYWHERE, finishing(job, put_memories=[make_memory("taken")]))
        await store.commit(EVERYWHERE, finishing(job))

    async def test_a_job_completed_and_added_again_waits_with_all_its_attempts(self, store: Store) -> None:
        await add(store, make_job())
        job = await claim_one(store)
        later = msgspec.structs.replace(job, due_at=after(9), state=JobState.PENDING, attempts=0, lease="")
        await store.commit(EVERYWHERE, finishing(job, add_jobs=[later]))
        found = await get(store, "j1")
        assert found is not None
        assert (found.state, found.attempts, found.due_at) == (JobState.PENDING, 0, after(9))

    async def test_jobs_of_a_failing_batch_are_not_added(self, store: Store) -> None:
        await store.commit(EVERYWHERE, put(make_memory("taken", user_id="bob")))
        with pytest.raises(IdTaken):
            await store.commit(EVERYWHERE, put(make_memory("taken"), add_jobs=[make_job()]))
        assert await store.list_jobs(EVERYWHERE) == ([], 0)

    async def test_retrying_gives_the_job_back(self, store: Store) -> None:
        await add(store, make_job())
        job = await claim_one(store)
        assert await store.retry_job(job.id, job.lease, after(30), "it broke \u2764")
        waiting = await get(store, "j1")
        assert waiting is not None
        assert (waiting.state, waiting.due_at, waiting.attempts) == (JobState.PENDING, after(30), 1)
        assert (waiting.lease, waiting.lease_until, waiting.last_error) == ("", None, "it broke \u2764")
        assert await store.claim_jobs(after(29), 10, 60) == []
        again = await claim_one(store, 30)
        assert (again.attempts, again.last_error) == (2, "it broke \u2764")

    async def test_a_buried_job_waits_for_an_operator(self, store: Store) -> None:
        await add(store, make_job())
        job = await claim_one(store)
        assert await store.bury_job(job.id, job.lease, "gave up")
        assert await store.claim_jobs(after(1e6), 10, 60) == []
        dead, total = await store.list_jobs(EVERYWHERE, JobState.DEAD)
        assert (dead[0].last_error, dead[0].attempts, dead[0].lease, total) == ("gave up", 1, "", 1)
        assert (await store.info()).counts["dead_jobs"] == 1
        assert await store.next_due() is None

    async def test_reviving_starts_a_dead_job_afresh(self, store: Store) -> None:
        await add(store, make_job(), make_job("pending"))
        (job, _) = await store.claim_jobs(START, 2, 60)
        assert not await store.revive_job(EVERYWHERE, "j1", after(5)), "a running job is not dead"
        await store.bury_job(job.id, job.lease, "gave up")
        assert not await store.revive_job(OTHER, "j1", after(5))
        assert not await store.revive_job(EVERYWHERE, "unknown", after(5))
        assert await store.revive_job(EVERYWHERE, "j1", after(5))
        revived = await get(store, "j1")
        assert revived is not None
        assert (revived.state, revived.attempts, revived.due_at) == (JobState.PENDING, 0, after(5))
        assert not await store.revive_job(EVERYWHERE, "j1", after(5))

    async def test_discarding_removes_dead_jobs_only(self, store: Store) -> None:
        await add(store, make_job())
        assert not await store.discard_job(EVERYWHERE, "j1")
        job = await claim_one(store)
        assert not await store.discard_job(EVERYWHERE, "j1")
        await store.bury_job(job.id, job.lease, "x")
        assert not await store.discard_job(OTHER, "j1")
        assert await store.discard_job(EVERYWHERE, "j1")
        assert not await store.discard_job(EVERYWHERE, "j1")
        assert await store.list_jobs(EVERYWHERE) == ([], 0)

    # -- failures, deaths and waiting ------------------------------------------------------------------

    async def test_deaths_and_failures_are_counted_apart(self, store: Store) -> None:
        _needs_counting(store)
        await add(store, make_job())
        for second in range(3):
            await claim_one(store, second, lease_s=1)  # and its process dies
        job = await claim_one(store, 3)
        assert (job.attempts, job.failures, job.deaths) == (4, 0, 3)
        assert await store.retry_job(job.id, job.lease, after(9), "it broke")
        waiting = await get(store, "j1")
        assert waiting is not None
        assert (waiting.attempts, waiting.failures, waiting.deaths) == (4, 1, 3)
        again = await claim_one(store, 9)
        assert (again.attempts, again.failures, again.deaths) == (5, 1, 3)
        assert await store.bury_job(again.id, again.lease, "it broke again")
        (dead,), _ = await store.list_jobs(EVERYWHERE, JobState.DEAD)
        assert (dead.attempts, dead.failures, dead.deaths) == (5, 2, 3)
        assert await store.revive_job(EVERYWHERE, "j1", after(10))
        revived = await get(store, "j1")
        assert revived is not None
        assert (revived.attempts, revived.failures, revived.deaths) == (0, 0, 0)

    async def test_a_job_that_is_put_off_waits_and_has_used_no_try(self, store: Store) -> None:
        putting = _needs_counting(store)
        await add(store, make_job(), make_job("other", due=99))
        assert await putting.waiting_jobs() == (0, None)
        job = await claim_one(store)
        assert not await putting.put_off_job(job.id, "another lease", after(30), "away", after(0))
        assert not await putting.put_off_job("other", "", after(30), "away", after(0)), "it does not run"
        assert await putting.put_off_job(job.id, job.lease, after(30), "the model is away", after(0))
        (waits,), total = await store.list_jobs(EVERYWHERE, JobState.WAITING)
        assert total == 1
        assert (waits.state, waits.due_at, waits.waiting_since) == (JobState.WAITING, after(30), after(0))
        assert (waits.attempts, waits.failures, waits.last_error) == (0, 0, "the model is away")
        assert (waits.lease, waits.lease_until) == ("", None)
        assert await putting.waiting_jobs() == (1, waits)
        assert (await store.list_jobs(EVERYWHERE, JobState.PENDING))[1] == 1
        assert (await store.list_jobs(EVERYWHERE))[1] == 2
        assert (await store.info()).counts["jobs"] == 2
        assert await store.next_due() == after(30)
        assert await store.claim_jobs(after(29), 10, 60) == []
        again = await claim_one(store, 30)
        assert (again.attempts, again.waiting_since) == (1, after(0)), "it tells for how long it has waited"
        assert await putting.waiting_jobs() == (0, None)
        assert await store.retry_job(again.id, again.lease, after(40), "it broke")
        failed = await get(store, "j1")
        assert failed is not None
        assert (failed.state, failed.failures, failed.waiting_since) == (JobState.PENDING, 1, None)

    async def test_putting_off_keeps_failures_and_deaths(self, store: Store) -> None:
        putting = _needs_counting(store)
        await add(store, make_job())
        job = await claim_one(store)
        await store.retry_job(job.id, job.lease, after(1), "it broke")
        await claim_one(store, 1, lease_s=1)  # and its process dies
        job = await claim_one(store, 2)
        assert await putting.put_off_job(job.id, job.lease, after(3), "interrupted by shutdown")
        found = await get(store, "j1")
        assert found is not None
        assert (found.state, found.waiting_since, found.due_at) == (JobState.PENDING, None, after(3))
        assert (found.attempts, found.failures, found.deaths) == (3, 1, 1), "it was started once more"

    async def test_the_oldest_of_all_tenants_that_waits_is_told(self, store: Store) -> None:
        putting = _needs_counting(store)
        await add(store, make_job("young", created_at=after(-1)))
        await store.commit(OTHER, WriteBatch(add_jobs=[make_job("old", tenant="other", created_at=after(-9))]))
        for job in await store.claim_jobs(START, 10, 60):
            await putting.put_off_job(job.id, job.lease, after(30), "away", after(0))
        count, oldest = await putting.waiting_jobs()
        assert (count, oldest and oldest.id) == (2, "old")

    async def test_a_waiting_job_is_replaced_and_cancelled_like_a_pending_one(self, store: Store) -> None:
        putting = _needs_counting(store)
        await add(store, make_job(payload=b"first"))
        job = await claim_one(store)
        await store.retry_job(job.id, job.lease, after(0), "it broke")
        job = await claim_one(store)
        await putting.put_off_job(job.id, job.lease, after(30), "away", after(0))
        await add(store, make_job(payload=b"ignored"))
        await add(store, make_job(payload=b"second", due=5, replace=True))
        found = await get(store, "j1")
        assert found is not None
        assert (found.state, found.payload, found.due_at) == (JobState.PENDING, b"second", after(5))
        assert (found.failures, found.waiting_since) == (1, after(0)), "what it has behind it stays"
        job = await claim_one(store, 5)
        await putting.put_off_job(job.id, job.lease, after(30), "away", after(0))
        await store.commit(EVERYWHERE, WriteBatch(cancel_jobs=["j1"]))
        assert await get(store, "j1") is None
        assert await store.next_due() is None
        assert await putting.waiting_jobs() == (0, None)

    async def test_a_replacement_takes_the_place_of_a_job_that_is_put_off(self, store: Store) -> None:
        putting = _needs_counting(store)
        await add(store, make_job(payload=b"first"))
        job = await claim_one(store)
        await add(store, make_job(payload=b"second", due=5, replace=True))
        assert await putting.put_off_job(job.id, job.lease, after(30), "away", after(0))
        found = await get(store, "j1")
        assert found is not None
        assert (found.state, found.payload, found.due_at, found.attempts) == (JobState.PENDING, b"second", after(5), 0)
        assert found.waiting_since == after(0)

    async def test_a_copy_keeps_what_a_job_has_behind_it(self, store: Store) -> None:
        _needs_counting(store)
        copied = make_job(
            attempts=4, failures=1, deaths=2, state=JobState.WAITING, waiting_since=after(-60), last_error="away"
        )
        await store.commit(EVERYWHERE, WriteBatch(add_jobs=[copied], restored=True))
        assert await get(store, "j1") == copied
        assert await claim_one(store) is not None

    # -- adding again ----------------------------------------------------------------------------------

    async def test_adding_a_job_again_changes_nothing(self, store: Store) -> None:
        await add(store, make_job(payload=b"first"))
        await add(store, make_job(payload=b"second", due=50), make_job(payload=b"third"))
        assert await get(store, "j1") == make_job(payload=b"first")
        job = await claim_one(store)
        await add(store, make_job(payload=b"fourth"))
        await store.commit(EVERYWHERE, finishing(job))
        assert await get(store, "j1") is None

    async def test_replacing_a_pending_job_moves_it(self, store: Store) -> None:
        await add(store, make_job(payload=b"first"))
        await add(store, make_job(payload=b"second", due=50, replace=True, created_at=after(7)))
        job = await get(store, "j1")
        assert job is not None
        assert (job.payload, job.due_at, job.created_at, job.replace) == (b"second", after(50), START, False)
        assert await store.claim_jobs(after(49), 10, 60) == []

    async def test_replacing_a_running_job_runs_it_again_afterwards(self, store: Store) -> None:
        await add(store, make_job(payload=b"first"))
        running = await claim_one(store)
        await add(store, make_job(payload=b"second", due=50, replace=True))
        await add(store, make_job(payload=b"third", due=40, replace=True))
        still = await get(store, "j1")
        assert still is not None
        assert (still.state, still.payload, still.lease) == (JobState.RUNNING, b"first", running.lease)
        await store.commit(EVERYWHERE, finishing(running, put_memories=[make_memory("m1")]))
        waiting = await get(store, "j1")
        assert waiting is not None, "a replacement of a running job must not be lost with it"
        assert (waiting.state, waiting.payload, waiting.due_at, waiting.attempts) == (
            JobState.PENDING,
            b"third",
            after(40),
            0,
        )
        again = await claim_one(store, 40)
        await store.commit(EVERYWHERE, finishing(again))
        assert await get(store, "j1") is None, "it runs again once"

    @pytest.mark.parametrize("ending", ["retry", "bury"])
    async def test_a_replacement_survives_a_failing_run(self, store: Store, ending: str) -> None:
        await add(store, make_job(payload=b"first"))
        job = await claim_one(store)
        await add(store, make_job(payload=b"second", due=50, replace=True))
        if ending == "retry":
            assert await store.retry_job(job.id, job.lease, after(5), "broke")
        else:
            assert await store.bury_job(job.id, job.lease, "broke")
        waiting = await get(store, "j1")
        assert waiting is not None
        assert (waiting.state, waiting.payload, waiting.due_at, waiting.attempts) == (
            JobState.PENDING,
            b"second",
            after(50),
            0,
        )

    async def test_a_replacement_survives_a_lapsed_lease(self, store: Store) -> None:
        await add(store, make_job(payload=b"first"))
        await claim_one(store, 0, lease_s=1)
        await add(store, make_job(payload=b"second", due=50, replace=True))
        taken_over = await claim_one(store, 2)
        assert taken_over.payload == b"first"
        await store.commit(EVERYWHERE, finishing(taken_over))
        waiting = await get(store, "j1")
        assert waiting is not None
        assert waiting.payload == b"second"

    async def test_replacing_a_dead_job_brings_it_back(self, store: Store) -> None:
        await add(store, make_job(payload=b"first"))
        job = await claim_one(store)
        await store.bury_job(job.id, job.lease, "broke")
        await add(store, make_job(payload=b"second", due=50, replace=True))
        waiting = await get(store, "j1")
        assert waiting is not None
        assert (waiting.state, waiting.payload, waiting.attempts) == (JobState.PENDING, b"second", 0)

    async def test_a_job_may_add_itself_again_when_it_completes(self, store: Store) -> None:
        await add(store, make_job(payload=b"first"))
        job = await claim_one(store)
        await store.commit(EVERYWHERE, finishing(job, add_jobs=[make_job(payload=b"again", due=60)]))
        waiting = await get(store, "j1")
        assert waiting is not None
        assert (waiting.payload, waiting.attempts) == (b"again", 0)

    async def test_cancelling_removes_pending_jobs_only(self, store: Store) -> None:
        await add(store, make_job("running"), make_job("pending", due=9))
        job = await claim_one(store)
        await store.commit(OTHER, WriteBatch(cancel_jobs=["pending"]))
        assert await get(store, "pending") is not None, "a tenant cannot cancel another's jobs"
        await store.commit(EVERYWHERE, WriteBatch(cancel_jobs=["running", "pending", "unknown"]))
        assert await get(store, "pending") is None
        assert await store.extend_lease(job.id, job.lease, after(99))

    # -- looking ---------------------------------------------------------------------------------------

    async def test_jobs_of_another_tenant_are_neither_seen_nor_added(self, store: Store) -> None:
        await add(store, make_job())
        assert await store.list_jobs(OTHER) == ([], 0)
        with pytest.raises(Forbidden):
            await store.commit(OTHER, WriteBatch(add_jobs=[make_job("j2")]))
        await store.commit(OTHER, WriteBatch(add_jobs=[make_job("j2", tenant="other")]))
        assert len(await store.claim_jobs(START, 10, 60)) == 2, "runners claim for all tenants"

    async def test_jobs_are_listed_by_age_in_pages(self, store: Store) -> None:
        await add(store, *(make_job(f"j{number}", created_at=after(-(number // 2))) for number in range(7)))
        seen = []
        for offset in range(0, 9, 3):
            page, total = await store.list_jobs(EVERYWHERE, limit=3, offset=offset)
            assert total == 7
            seen += [job.id for job in page]
        assert seen == ["j6", "j4", "j5", "j2", "j3", "j0", "j1"]
        assert await store.list_jobs(EVERYWHERE, JobState.RUNNING) == ([], 0)
        await store.claim_jobs(START, 2, 60)
        assert (await store.list_jobs(EVERYWHERE, JobState.RUNNING))[1] == 2
        assert (await store.list_jobs(EVERYWHERE, JobState.PENDING))[1] == 5

    async def test_next_due_is_the_earliest_due_time_or_lease(self, store: Store) -> None:
        assert await store.next_due() is None
        await add(store, make_job("a", due=10), make_job("b", due=20))
        assert await store.next_due() == after(10)
        job = await claim_one(store, 10, lease_s=5)
        assert await store.next_due() == after(15)
        await store.extend_lease(job.id, job.lease, after(40))
        assert await store.next_due() == after(20)
        await store.claim_jobs(after(20), 10, 60)
        assert await store.next_due() == after(40)
