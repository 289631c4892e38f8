"""The arq runner: the content of its queue, the Redis URLs it accepts, and its behaviour while Redis is down."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis
from click.testing import CliRunner
from tests.support.hosts import run, running_host
from tests.support.redis_server import RedisServer, RedisSpace, free_port

from memhost.cli import cli
from memhost.errors import ConfigurationError, Unavailable
from memhost.ports import JobRunner, Store, SystemClock
from memhost.settings import Secret
from memhost.specs import OpenContext
from memhost.testing.polling import until
from memhost.testing.runner import Dispatching, add
from memhost_runner_arq import open_arq
from memhost_runner_arq import runner as module
from memhost_runner_arq.settings import ArqSettings
from memhost_store_memory.store import MemoryStore


@pytest.fixture
def store() -> Store:
    return MemoryStore()


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "queue", modules=False) as server:
        yield server


def opened(url: str, *, store_url: str | None = None, **settings: object) -> AbstractAsyncContextManager[JobRunner]:
    values = {"stores.redis.url": store_url, "server.shutdown_grace_s": 1.0}
    context = OpenContext(data_dir=Path(), clock=SystemClock(), setting=values.get)
    chosen: dict[str, Any] = {"poll_s": 0.02, "sweep_s": 30.0, "timeout_seconds": 1.0, **settings}
    return open_arq(ArqSettings(url=Secret(url), **chosen), context)


def wake_ups(client: Any, queue: str) -> list[str]:
    return [name.decode() for name in client.zrange(queue, 0, -1)]


async def test_the_queue_holds_identifiers_in_msgpack_and_only_of_what_is_due(
    store: Store, redis_part: RedisSpace
) -> None:
    async with opened(redis_part.url, queue=redis_part.name) as runner:
        runner.notify(await add(store, "now") + await add(store, "later", seconds=60))
    client: Any
    with redis.Redis.from_url(redis_part.url) as client:
        (name,) = wake_ups(client, redis_part.name)
        content = msgspec.msgpack.decode(client.get(f"arq:job:{name}"))
        client.delete(redis_part.name, f"arq:job:{name}")
    assert name.startswith(f"{redis_part.name}:now@"), "installations that share a Redis do not meet"
    assert (content["f"], content["a"], content["k"]) == ("run_next_job", ["now", "memories_stored", "p"], {})


async def test_a_queue_that_nobody_empties_stops_growing(
    store: Store, queue: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 3)
    dispatching = Dispatching(store)
    ids = [f"j{number}" for number in range(6)]
    for name in ids:
        async with opened(queue.url) as server:
            server.notify(await add(store, name))
    with queue.client() as client:
        assert len(wake_ups(client, "memory-server")) == 3
    async with opened(queue.url) as worker:
        await worker.start(dispatching)
        await dispatching.has_ended(*ids)


async def test_a_job_that_comes_again_wakes_again_although_results_are_kept(store: Store, queue: RedisServer) -> None:
    dispatching = Dispatching(store)
    async with opened(queue.url, result_ttl_seconds=60) as worker:
        await worker.start(dispatching)
        worker.notify(await add(store, "a"))
        await dispatching.has_ended("a")
        worker.notify(await add(store, "a"))
        await dispatching.has_ended("a", "a")
    with queue.client() as client:
        assert len(list(client.scan_iter("arq:result:*"))) >= 2


async def test_a_queue_that_is_away_harms_nobody_and_is_found_again(
    store: Store, queue: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    dispatching = Dispatching(store)
    async with opened(queue.url) as server, opened(queue.url, sweep_s=0.1) as worker:
        await worker.start(dispatching)
        queue.kill()
        for name in ("a", "b"):
            server.notify(await add(store, name))
        await dispatching.has_ended("a", "b")

        async def told() -> bool:
            return sum(record.message == "queue.unreachable" for record in caplog.records) == 2

        await until(told)  # once by each of the two, however often they try
        queue.start()

        async def takes_wake_ups() -> bool:
            worker.notify(())
            with queue.client() as client:
                return client.get("memory-server:health-check") is not None

        await until(takes_wake_ups)
    assert not [record for record in caplog.records if record.levelno > logging.WARNING]


async def test_a_queue_that_does_not_answer_is_given_up_in_time(store: Store, queue: RedisServer) -> None:
    dispatching = Dispatching(store)
    async with opened(queue.url, timeout_seconds=0.2, sweep_s=0.1) as runner:
        await runner.start(dispatching)
        queue.pause()
        runner.notify(await add(store, "a"))
        await dispatching.has_ended("a")
        queue.resume()
        runner.notify(await add(store, "b"))
        await dispatching.has_ended("a", "b")


@pytest.mark.parametrize(
    "url",
    [
        "redis+cluster://one:7000",
        "rediss+cluster://one:7000",
        "redis://one:7000?cluster=true",
        "redis://u:p,w@one:1,two:2",
    ],
)
async def test_a_cluster_is_refused_in_one_sentence(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^The queue of BACKEND=arq cannot be on a Redis Cluster.*\.$"):
        async with opened(url):
            pass


async def test_a_server_in_cluster_mode_is_refused(tmp_path: Path) -> None:
    options = ["--cluster-enabled", "yes", "--cluster-port", str(free_port())]
    with RedisServer(tmp_path, modules=False, options=options) as server:
        refused = opened(server.url)
        with pytest.raises(ConfigurationError, match="Redis Cluster"):
            await refused.__aenter__()


@pytest.mark.parametrize("url", ["http://one", "one:6379", "redis://one:port", "redis+sentinel://one:26379"])
async def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="TASK_REDIS_URL"):
        async with opened(url):
            pass


async def test_a_server_that_is_not_there_is_named_without_its_password() -> None:
    with pytest.raises(Unavailable) as caught:
        async with opened("redis://me:hidden@127.0.0.1:1"):
            pass
    assert "127.0.0.1:1 " in caught.value.message
    assert "hidden" not in caught.value.message


async def test_the_queue_is_where_the_store_is_unless_said_otherwise(store: Store, queue: RedisServer) -> None:
    async with opened("", store_url=f"{queue.url}/3") as runner:
        runner.notify(await add(store, "a"))
    with redis.Redis(port=queue.port, db=3) as client:
        assert client.zcard("memory-server") == 1
    with pytest.raises(Unavailable):
        async with opened("redis://127.0.0.1:1", store_url=queue.url):
            pass


async def test_sentinel_leads_to_the_queue(store: Store, queue: RedisServer, tmp_path: Path) -> None:
    watched = f"sentinel monitor main 127.0.0.1 {queue.port} 1"
    with RedisServer(tmp_path / "sentinel", sentinel=watched) as sentinel:
        async with opened(f"redis+sentinel://127.0.0.1:{sentinel.port}/main/2") as runner:
            dispatching = Dispatching(store)
            await runner.start(dispatching)
            runner.notify(await add(store, "a"))
            await dispatching.has_ended("a")


async def test_the_queue_is_reached_through_a_socket(store: Store, queue: RedisServer) -> None:
    async with opened(f"unix://{queue.socket_path}") as runner:
        runner.notify(await add(store, "a"))
    with queue.client() as client:
        assert client.zcard("memory-server") == 1


async def test_a_server_runs_no_job_and_says_that_workers_are_missing(tmp_path: Path, queue: RedisServer) -> None:
    settings = {"BACKEND": "arq", "TASK_REDIS_URL": queue.url, "TASK_QUEUE_NAME": "mine"}
    async with running_host(tmp_path, settings=settings) as host:
        readiness = await host.readiness()
        assert readiness.ready, "it can serve"
        (store, workers) = readiness.components
        assert (store.ok, workers.name, workers.ok) == (True, "workers", False)
        assert "memhost worker" in workers.detail
        async with host.services.workers.reporting("arq"):

            async def seen() -> bool:
                return len((await run(host, "list_jobs")).workers) == 1

            await until(seen)
            assert (await host.readiness()).components[1].ok
        assert await host.services.workers.alive() == [], "who stops says so"


def test_doctor_looks_at_the_queue_and_for_workers(tmp_path: Path, queue: RedisServer) -> None:
    environment = {"MEMHOST_DATA_DIR": str(tmp_path), "PORT": "0", "BACKEND": "arq", "TASK_REDIS_URL": queue.url}
    told = CliRunner().invoke(cli, ["doctor"], env=environment)
    assert "Start one with: memhost worker" in told.output
    queue.stop()
    told = CliRunner().invoke(cli, ["doctor"], env=environment)
    assert told.exit_code == 1
    assert "TASK_REDIS_URL" in told.output
    assert CliRunner().invoke(cli, ["worker", "--check"], env=environment).exit_code == 1


def test_nothing_heavy_is_imported_before_it_is_opened() -> None:
    script = "import sys, memhost_runner_arq as m; m.memhost_runners(); print({'arq', 'redis'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
