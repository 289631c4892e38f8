"""The redis store when processes and connections die, Redis stops, and several processes write at once."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import httpx
import pytest
import redis
from tests.support.proxy import Proxy
from tests.support.redis_server import RedisServer, RedisSpace

from memhost.errors import StoreUnavailable
from memhost.models import AccessMark, CandidateQuery, TextMatch, WriteBatch
from memhost.ports import Store, SystemClock
from memhost.settings import Secret
from memhost.specs import OpenContext
from memhost.testing.factories import (
    DIMENSIONS,
    EMBEDDER,
    START,
    after,
    make_job,
    make_key,
    make_memory,
    make_scope,
    make_session,
    make_vector,
    put,
)
from memhost.testing.server import ServerProcess
from memhost_store_redis.settings import RedisSettings
from memhost_store_redis.store import open_redis

EVERYWHERE = make_scope()
CONTEXT = OpenContext(data_dir=Path(), clock=SystemClock(), embedder=EMBEDDER, dimensions=DIMENSIONS)
APPLE = CandidateQuery(text=TextMatch(any_of=("apple",)), vector=make_vector(1), count=True)

WRITER = """
import asyncio, json, sys
from pathlib import Path
from memhost.models import WriteBatch
from memhost.ports import SystemClock
from memhost.specs import OpenContext
from memhost.testing.factories import *
from memhost_store_redis.settings import RedisSettings
from memhost_store_redis.store import open_redis

async def main(name, count, settings):
    context = OpenContext(data_dir=Path(), clock=SystemClock(), embedder=EMBEDDER, dimensions=DIMENSIONS)
    async with open_redis(RedisSettings(**settings), context) as store:
        print("ready", flush=True)
        for number in range(count):
            memories = [make_memory(f"{name}-{number}-{part}", "apple", vector=make_vector(1)) for part in range(20)]
            batch = put(*memories, put_session=make_session(make_key(name)), add_jobs=[make_job(f"{name}-{number}")])
            await store.commit(make_scope(), batch)
            print(number, flush=True)

asyncio.run(main(sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])))
"""


def writer(name: str, count: int, part: RedisSpace) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, name, str(count), json.dumps(part.settings())]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def opened(url: str, timeout: float = 5) -> AbstractAsyncContextManager[Store]:
    return open_redis(RedisSettings(url=Secret(url), timeout_seconds=timeout), CONTEXT)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis", append_only=True) as server:
        yield server


@pytest.fixture
async def proxy(redis_server_url: str) -> AsyncIterator[Proxy]:
    async with Proxy(int(redis_server_url.rpartition(":")[2].partition("/")[0])) as proxy:
        yield proxy


def test_redis_url_alone_chooses_the_store(redis_part: RedisSpace, tmp_path: Path) -> None:
    with ServerProcess(tmp_path, environment=redis_part.environment()) as server:
        message = {"role": "user", "content": "I like apples", "created_at": "2024-03-01T12:00:00Z"}
        httpx.put(f"{server.url}/v1/working-memory/s1", json={"messages": [message]}).raise_for_status()
        found = httpx.post(f"{server.url}/v1/long-term-memory/search", json={"text": "apples"}).json()
        assert [memory["text"] for memory in found["memories"]] == ["user: I like apples"]
    with redis.Redis.from_url(redis_part.url) as client:
        assert len(list(client.scan_iter(match=f"{redis_part.name}:m:*"))) == 1


# -- processes ---------------------------------------------------------------------------------------------


async def test_a_killed_writer_leaves_whole_batches_and_loses_none(redis_part: RedisSpace) -> None:
    process = writer("w", 10_000, redis_part)
    assert process.stdout is not None
    acknowledged = -1
    for line in process.stdout:
        if line.strip() == "15":
            process.send_signal(signal.SIGKILL)
        if line.strip().isdigit():
            acknowledged = int(line)
    process.wait()
    process.stdout.close()
    async with open_redis(RedisSettings(**redis_part.settings()), CONTEXT) as store:
        memories = (await store.list_memories(EVERYWHERE, limit=1))[1]
        _, jobs = await store.list_jobs(EVERYWHERE)
        session = await store.get_session(EVERYWHERE, make_key("w"), START)
        assert session is not None
        assert memories == 20 * jobs == 20 * session.version
        assert acknowledged + 1 <= jobs <= acknowledged + 2
        assert (await store.candidates(EVERYWHERE, APPLE)).total == memories


async def test_two_processes_write_and_read_one_store(redis_part: RedisSpace) -> None:
    processes = [writer(name, 10, redis_part) for name in ("a", "b")]
    async with open_redis(RedisSettings(**redis_part.settings()), CONTEXT) as store:
        while any(process.poll() is None for process in processes):
            found = await store.candidates(EVERYWHERE, APPLE)
            assert found.total % 20 == 0, "no batch is seen half"
        assert [process.wait() for process in processes] == [0, 0]
        for process in processes:
            assert process.stdout is not None
            process.stdout.close()
        query = CandidateQuery(text=TextMatch(any_of=("apple",)), statistics_for=("apple",), count=True)
        answer = await store.candidates(EVERYWHERE, query)
        assert (answer.total, answer.documents, answer.frequencies) == (400, 400, {"apple": 400})
        claims = await asyncio.gather(*(store.claim_jobs(START, 10, 60) for _ in range(8)))
        assert len({job.id for jobs in claims for job in jobs}) == 20


# -- connections -------------------------------------------------------------------------------------------


async def test_a_write_whose_answer_is_lost_has_its_effects_once(redis_part: RedisSpace, proxy: Proxy) -> None:
    settings = redis_part.settings() | {"url": Secret(f"redis://127.0.0.1:{proxy.port}")}
    async with open_redis(RedisSettings(**settings), CONTEXT) as store:
        await store.commit(EVERYWHERE, put(make_memory("m1"), add_jobs=[make_job()]))
        for version in (1, 2, 3):
            proxy.lose_answers = 1
            mark = AccessMark(ids=("m1",), at=after(version), interval_s=0)
            batch = WriteBatch(put_session=make_session(), expect_version=version - 1, access=mark)
            assert (await store.commit(EVERYWHERE, batch)).session_version == version
            assert proxy.lose_answers == 0
        assert (await store.get_memories(EVERYWHERE, ["m1"]))[0].record.access_count == 3
        proxy.lose_answers = 1
        (job,) = await store.claim_jobs(START, 10, 60)
        assert job.attempts == 1
        proxy.lose_answers = 1
        assert await store.retry_job(job.id, job.lease, START, "x")
        (job,) = await store.claim_jobs(START, 10, 60)
        proxy.lose_answers = 1
        await store.commit(EVERYWHERE, put(make_memory("m2"), complete_job=(job.id, job.lease)))
        assert await store.list_jobs(EVERYWHERE) == ([], 0)


async def test_cut_connections_are_made_again(redis_part: RedisSpace, proxy: Proxy) -> None:
    settings = redis_part.settings(timeout_seconds=2) | {"url": Secret(f"redis://127.0.0.1:{proxy.port}")}
    async with open_redis(RedisSettings(**settings), CONTEXT) as store:
        await store.commit(EVERYWHERE, put(make_memory("m1", "apple")))
        proxy.cut()
        assert (await store.candidates(EVERYWHERE, APPLE)).total == 1
        proxy.refuse = True
        proxy.cut()
        with pytest.raises(StoreUnavailable):
            await store.candidates(EVERYWHERE, APPLE)
        proxy.refuse = False
        assert (await store.candidates(EVERYWHERE, APPLE)).total == 1


async def test_more_calls_than_connections_wait_for_their_turn(redis_part: RedisSpace) -> None:
    async with open_redis(RedisSettings(**redis_part.settings(max_connections=2)), CONTEXT) as store:
        await asyncio.gather(*(store.commit(EVERYWHERE, put(make_memory(f"m{number}"))) for number in range(100)))
        assert (await store.list_memories(EVERYWHERE, limit=1))[1] == 100


# -- outages -----------------------------------------------------------------------------------------------


async def test_a_paused_server_is_unavailable_in_time_and_comes_back(server: RedisServer) -> None:
    async with opened(server.url, timeout=0.4) as store:
        await store.commit(EVERYWHERE, put(make_memory("m1", "apple")))
        server.pause()
        try:
            for call in (
                store.candidates(EVERYWHERE, APPLE),
                store.commit(EVERYWHERE, put(make_memory("m2"))),
                store.claim_jobs(START, 1, 60),
                store.get_session(EVERYWHERE, make_key(), START),
                store.ping(),
            ):
                async with asyncio.timeout(30):  # it does not wait for ever
                    with pytest.raises(StoreUnavailable, match="in time"):
                        await call
        finally:
            server.resume()
        assert (await store.candidates(EVERYWHERE, APPLE)).total == 1
        await store.commit(EVERYWHERE, put(make_memory("m3")))


async def test_nothing_acknowledged_is_lost_when_redis_is_killed(server: RedisServer) -> None:
    async with opened(server.url, timeout=2) as store:
        memories = [make_memory(f"m{number}", "apple", vector=make_vector(1, number)) for number in range(2000)]
        await store.commit(EVERYWHERE, put(*memories, put_session=make_session(), add_jobs=[make_job()]))
        server.kill()
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            await store.candidates(EVERYWHERE, APPLE)
        server.start()
        deadline = time.monotonic() + 30
        total = None
        while total is None:
            try:
                total = (await store.candidates(EVERYWHERE, APPLE)).total
            except StoreUnavailable:
                assert time.monotonic() < deadline
        assert total == 2000, "a search answers in full or not at all, also while the index is read again"
        assert await store.get_session(EVERYWHERE, make_key(), START) is not None
        assert [job.id for job in await store.claim_jobs(START, 1, 60)] == ["j1"]
