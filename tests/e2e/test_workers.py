"""Servers and arq workers killed at the worst moment: no job is lost, no effect happens twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bench.redis_faults import STORE_TIMEOUT_S, redis_faults

from memhost.testing.polling import until
from tests.support.redis_server import RedisServer, redis_space
from tests.support.workers import Cluster, cluster

QUICK = {
    "JOB_LEASE_S": "1",
    "JOB_BACKOFF_S": "[0.05]",
    "WORKER_CONCURRENCY": "2",
    "WORKER_SHUTDOWN_GRACE_SECONDS": "0",
    "LOG_FORMAT": "json",
}


@pytest.fixture(scope="module", params=["redis", "sqlite"])
def system(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, redis_server_url: str
) -> Iterator[Cluster]:
    """A server and two workers; each test leaves them running."""
    with redis_space(redis_server_url) as space:
        environment = {**QUICK, **space.environment(), "STORE": request.param, "TASK_QUEUE_NAME": space.name}
        with cluster(tmp_path_factory.mktemp("cluster"), 2, environment) as running:
            yield running


async def _started(system: Cluster, name: str, times: int) -> None:
    async def started() -> bool:
        return [each for each, _ in system.started()].count(name) >= times

    await until(started)


async def _has_effect(system: Cluster, *names: str) -> None:
    async def done() -> bool:
        return set(names) <= set(system.effects())

    await until(done)


async def test_two_workers_share_the_jobs_and_do_each_once(system: Cluster) -> None:
    names = [f"shared{number}" for number in range(10)]
    system.write(**dict.fromkeys(names, "work 0.05"))
    await _has_effect(system, *names)
    assert sorted(name for name, _ in system.started() if name in names) == names
    assert {pid for name, pid in system.started() if name in names} <= {worker.pid for worker in system.workers}


async def test_workers_are_seen(system: Cluster) -> None:
    async def both() -> bool:
        return len(system.jobs()["workers"]) == 2

    await until(both)
    names = {row["name"].rpartition(":")[2] for row in system.jobs()["workers"]}
    assert names == {str(worker.pid) for worker in system.workers}
    ready = system.call("GET", "/v1/ready")
    assert [(part["name"], part["ok"]) for part in ready["components"]] == [("store", True), ("workers", True)]


async def test_a_poison_job_is_set_aside_while_others_go_on(system: Cluster) -> None:
    system.write(bad="poison", good1="work 0", good2="work 0")
    await _has_effect(system, "good1", "good2")

    async def dead() -> bool:
        return bool(system.jobs(state="dead")["total"] == 1)

    await until(dead)
    (job,) = system.jobs(state="dead")["jobs"]
    assert (job["attempts"], job["plugin"]) == (3, "fake-work")
    assert "poisoned on purpose" in job["last_error"]
    system.call("POST", f"/v1/jobs/{job['id']}/retry")
    await _started(system, "bad", 6)
    await until(dead)
    system.call("DELETE", f"/v1/jobs/{job['id']}")


async def test_a_killed_worker_s_job_is_taken_over(system: Cluster) -> None:
    system.write(orphan="hold")
    await _started(system, "orphan", 1)
    victim = system.worker_of("orphan")
    victim.kill()
    await _started(system, "orphan", 2)
    assert system.worker_of("orphan") is not victim
    system.release("orphan")
    await _has_effect(system, "orphan")
    victim.start()
    await until(_nothing_left(system))
    assert system.effects().count("orphan") == 1
    assert [name for name, _ in system.started()].count("orphan") == 2


async def test_a_worker_that_is_told_to_stop_hands_its_job_back(system: Cluster) -> None:
    system.write(handed="hold")
    await _started(system, "handed", 1)
    leaving = system.worker_of("handed")
    assert leaving.stop() == 0
    await _started(system, "handed", 2)
    (job,) = system.jobs(state="running")["jobs"]
    assert (job["last_error"], job["attempts"]) == ("interrupted by shutdown", 2), "given back, not left to the lease"
    system.release("handed")
    await _has_effect(system, "handed")
    leaving.start()
    assert system.effects().count("handed") == 1


async def test_a_server_killed_before_it_could_tell_the_queue_loses_no_job(
    tmp_path: Path, redis_server_url: str
) -> None:
    """The write is acknowledged although the queue does not answer; workers find its job in the outbox."""
    with RedisServer(tmp_path / "queue", modules=False) as queue, redis_space(redis_server_url) as space:
        environment = {**QUICK, **space.environment(), "TASK_REDIS_URL": queue.url, "ARQ_TIMEOUT_SECONDS": "1"}
        with cluster(tmp_path / "cluster", 1, environment) as system:
            queue.pause()
            system.write(late="work 0")
            system.server.kill()
            await _started(system, "late", 1)
            queue.resume()
            system.server.start()
            system.write(after="work 0")
            await _has_effect(system, "late", "after")
            assert system.effects() == ["after", "late"]


@pytest.mark.full("waits out leases and reconnections; the other tests here and test_redis_processes.py hold each rule")
def test_a_redis_that_stands_still_and_is_killed_loses_nothing_acknowledged(tmp_path: Path) -> None:
    ledger = redis_faults(tmp_path, pause_s=3)
    assert (ledger.lost, ledger.twice, ledger.wrong) == (set(), set(), [])
    assert ledger.refused, "the server says that the store is away"
    assert ledger.longest_s < 10 * STORE_TIMEOUT_S, "it does not leave clients hanging"


def _nothing_left(system: Cluster) -> Any:
    async def nothing_left() -> bool:
        return bool(system.jobs()["total"] == 0)

    return nothing_left
