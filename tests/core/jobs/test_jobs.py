"""Background hooks: committed with the write, retried with growing waits, buried, revived, exactly once."""

from __future__ import annotations

from pathlib import Path

import pytest

from memhost.errors import NotFound
from memhost.host import Host
from memhost.models import JobState, Scope
from memhost.testing.clock import FakeClock
from memhost.testing.polling import until
from tests.support.fakes import FOLDER
from tests.support.hosts import ADMIN, run, running_host

STORES = pytest.mark.parametrize("store", ["memory", "sqlite"])


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))


async def work(host: Host, rounds: int = 1) -> int:
    """Claim and run what is due; how many jobs ran."""
    ran = 0
    for _ in range(rounds):
        for job in await host.services.dispatcher.claim(10):
            await host.services.dispatcher.run(job)
            ran += 1
    return ran


@STORES
async def test_jobs_are_committed_with_the_write_and_gone_when_done(store: str, tmp_path: Path) -> None:
    async with running_host(tmp_path, store=store, fakes=["fake-good"], run_jobs=False) as host:
        await run(host, "put_session", session_id="s", messages=[{"role": "user", "content": "hi", "id": "m1"}])
        jobs = (await run(host, "list_jobs")).jobs
        assert {(job.event, job.plugin, job.state) for job in jobs} == {
            ("session_updated", "fake-good", "pending"),
            ("memories_stored", "fake-good", "pending"),
        }
        assert await work(host) == 2
        assert (await run(host, "list_jobs")).total == 0
        document = await host.store.get_document(Scope(), "plugin:fake-good", "session:s:1", host.clock.now())
        assert document is not None
        assert document.body == b"m1"


@STORES
async def test_without_a_listening_plugin_there_are_no_jobs(store: str, tmp_path: Path) -> None:
    async with running_host(tmp_path, store=store, run_jobs=False) as host:
        await run(host, "create_memories", memories=[{"id": "a", "text": "quiet"}])
        assert (await run(host, "list_jobs")).total == 0


@STORES
async def test_effects_of_a_job_happen_once(store: str, tmp_path: Path) -> None:
    clock = FakeClock()
    async with running_host(tmp_path, store=store, fakes=["fake-good"], clock=clock, run_jobs=False) as host:
        await run(host, "create_memories", memories=[{"id": "a", "text": "derive: something"}])
        (first,) = await host.services.dispatcher.claim(10)
        clock.advance(3600)  # the lease runs out: another process takes the job over
        (second,) = await host.services.dispatcher.claim(10)
        assert (first.id, second.attempts) == (second.id, 2)
        await host.services.dispatcher.run(second)
        await host.services.dispatcher.run(first)  # the first process comes back late
        await work(host, rounds=3)
        found = await run(host, "search_memories", topics={"eq": "derived"})
        assert [hit.source_ids for hit in found.memories] == [["a"]]


@STORES
async def test_failing_job_is_retried_then_buried_and_can_be_revived(store: str, tmp_path: Path) -> None:
    clock = FakeClock()
    async with running_host(tmp_path, store=store, fakes=["fake-good"], clock=clock, run_jobs=False) as host:
        await run(host, "create_memories", memories=[{"id": "a", "text": "derive: but poison the job"}])
        assert await work(host) == 1
        (waiting,) = (await run(host, "list_jobs", state="pending")).jobs
        assert 24 <= (waiting.due_at - clock.now()).total_seconds() <= 36
        assert "poisoned on purpose" in (waiting.last_error or "")
        assert await work(host) == 0
        clock.advance(60)
        assert await work(host) == 1
        (dead,) = (await run(host, "list_jobs", state="dead")).jobs
        assert dead.attempts == 2
        assert (await run(host, "search_memories", topics={"eq": "derived"})).total == 0
        await run(host, "retry_job", job_id=dead.id)
        assert await work(host) == 1
        (again,) = (await run(host, "list_jobs")).jobs
        assert (again.state, again.attempts) == ("pending", 1)


@STORES
async def test_dead_job_can_be_discarded(store: str, tmp_path: Path) -> None:
    clock = FakeClock()
    async with running_host(tmp_path, store=store, fakes=["fake-good"], clock=clock, run_jobs=False) as host:
        await run(host, "create_memories", memories=[{"id": "a", "text": "poison the job"}])
        await work(host)
        clock.advance(60)
        await work(host)
        (dead,) = (await run(host, "list_jobs", state="dead")).jobs
        await run(host, "discard_job", job_id=dead.id)
        assert (await run(host, "list_jobs")).total == 0
        with pytest.raises(NotFound):
            await run(host, "retry_job", job_id=dead.id)


@STORES
async def test_job_of_an_uninstalled_plugin_is_buried_with_the_reason(store: str, tmp_path: Path) -> None:
    if store == "memory":
        pytest.skip("a store that lives in the process cannot be opened with other plugins")
    async with running_host(tmp_path, store=store, fakes=["fake-good"], run_jobs=False) as host:
        await run(host, "create_memories", memories=[{"id": "a", "text": "left behind"}])
    async with running_host(tmp_path, store=store, run_jobs=False) as host:
        assert await work(host) == 1
        (dead,) = (await run(host, "list_jobs", state="dead")).jobs
        assert "fake-good" in (dead.last_error or "")


@STORES
async def test_inline_runner_does_the_work_by_itself(store: str, tmp_path: Path) -> None:
    async with running_host(tmp_path, store=store, fakes=["fake-good"]) as host:
        await run(host, "create_memories", memories=[{"id": "a", "text": "derive: this"}])

        async def derived() -> bool:
            return bool((await run(host, "search_memories", topics={"eq": "derived"})).total == 1)

        await until(derived)
        _, waiting = await host.store.list_jobs(ADMIN.bounds, JobState.PENDING)
        assert waiting <= 1  # the derived memory's own event may still wait
