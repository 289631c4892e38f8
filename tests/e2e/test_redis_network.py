"""A server with a slow and then cut connection to Redis: it answers, explains the failure, and loses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlparse

import httpx

from memhost.models import Job, Scope, WriteBatch
from memhost.testing.clock import FakeClock
from memhost.testing.factories import after, make_memory
from memhost.testing.polling import until
from memhost.testing.server import ServerProcess
from tests.support.hosts import running_host
from tests.support.proxy import Proxy
from tests.support.redis_server import RedisSpace

_MAX_ANSWER_S = 20.0
"""More than the store's own limit: an answer that takes longer is a request that hangs."""


async def test_a_slow_link_is_slow_and_a_cut_one_is_told(redis_part: RedisSpace, tmp_path: Path) -> None:
    async with Proxy(urlparse(redis_part.url).port or 6379) as proxy:
        proxy.delay_s = 0.02
        environment = _through(proxy, redis_part)
        server = ServerProcess(tmp_path, environment=environment)
        await asyncio.to_thread(server.start)
        try:
            async with httpx.AsyncClient(base_url=server.url, timeout=_MAX_ANSWER_S) as client:
                assert await _store(client, 0, 20) == set(range(20)), "a slow link loses nothing"
                proxy.refuse = True
                proxy.cut()
                refused = await client.post("/v1/long-term-memory/search", json={"text": "number"})
                assert (refused.status_code, refused.json()["code"]) == (503, "store_unavailable")
                assert refused.json()["detail"]
                acknowledged = await _store(client, 20, 24)
                proxy.refuse = False

                async def is_back() -> bool:
                    return (await client.get("/v1/ready")).status_code == 200

                await until(is_back)
                acknowledged |= set(range(20)) | await _store(client, 24, 28)
                found = await client.post("/v1/long-term-memory/search", json={"limit": 100})
                assert {f"m{number}" for number in acknowledged} <= {hit["id"] for hit in found.json()["memories"]}
        finally:
            await asyncio.to_thread(server.stop)


async def test_workers_with_wrong_clocks_have_each_effect_once(redis_part: RedisSpace, tmp_path: Path) -> None:
    """One worker's clock is two minutes ahead: it takes a job over whose lease still runs, and one of both counts."""
    settings = {"STORE": "redis", **redis_part.environment()}
    right, wrong = FakeClock(after(0)), FakeClock(after(120))
    async with (
        running_host(tmp_path / "a", settings=settings, store="redis", clock=right, run_jobs=False) as first,
        running_host(tmp_path / "b", settings=settings, store="redis", clock=wrong, run_jobs=False) as second,
    ):
        job = Job(
            id="j",
            event="session_idle",
            plugin="p",
            payload=b"",
            tenant="default",
            created_at=after(0),
            due_at=after(0),
        )
        await first.store.commit(Scope(), WriteBatch(add_jobs=[job]))
        (mine,) = await first.store.claim_jobs(right.now(), 1, 15)
        (theirs,) = await second.store.claim_jobs(wrong.now(), 1, 15)
        assert theirs.attempts == 2
        results = await asyncio.gather(
            *(
                host.store.commit(
                    Scope(), WriteBatch(put_memories=[make_memory(name)], complete_job=(claimed.id, claimed.lease))
                )
                for host, claimed, name in ((first, mine, "a"), (second, theirs, "b"))
            ),
            return_exceptions=True,
        )
        assert sum(isinstance(result, Exception) for result in results) == 1
        memories, total = await first.store.list_memories(Scope())
        assert (total, [memory.record.id for memory in memories]) == (1, ["b"])


def _through(proxy: Proxy, space: RedisSpace) -> Mapping[str, str]:
    address = urlparse(space.url)
    path = address._replace(netloc=f"127.0.0.1:{proxy.port}").geturl()
    return {**space.environment(), "REDIS_URL": path, "REDIS_TIMEOUT_SECONDS": "2"}


async def _store(client: httpx.AsyncClient, first: int, last: int) -> set[int]:
    """Store a memory for each number; those that were acknowledged. Every other answer is a 503 with a reason."""
    stored = set()
    for number in range(first, last):
        body = {"memories": [{"id": f"m{number}", "text": f"number {number}"}]}
        answer = await client.post("/v1/long-term-memory/", json=body)
        if answer.status_code == 200:
            stored.add(number)
        else:
            assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    return stored
