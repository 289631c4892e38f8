"""The API on Redis against Redis alone: the same index, the same questions, in the same run.

    python bench/redis.py [--sizes 10000 100000] [--count 200]

At each size (memories of 100 users) a search with the whole pipeline through the API, one after the other, is set
against what a program of its own would have to ask Redis for the same answer: both legs with the same filters, the same
number of candidates and the fields that ranking them needs, in one pipeline, and nothing else - no totals, no word
statistics, no times of access, no decoding, no ranking. For comparison it is also set against two legs that return the
contents of 10 memories each, unfiltered by validity: less than any ranking over both legs can do with. All ways
embed the question; how long that takes is printed, and what an empty HTTP request costs. Both are asked through clients
whose parsers are written in C (aiohttp and hiredis): the time of clients is not what is measured. Once for one user's
memories, once for all. Writes through the API, 16 callers at once, are set against raw pipelined HSETs of the same
hashes into the same index. The bar is the ratio of the medians of searches at equal work; a miss gives exit code 1.
Periodic merging is off: it occupies the one thread of Redis for the API and the raw client alike.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.pop(0)  # not this folder: its redis.py is not the library
sys.path.insert(0, str(Path(__file__).parents[1]))

import aiohttp
import httpx
from tests.support.redis_server import RedisServer, RedisSpace

from bench.embedded import USERS, Texts, fill, quantiles, timed
from memhost.models import Scope
from memhost.testing.server import ServerProcess
from memhost.text.analysis import analyse_query, query_terms
from memhost_model_static.embedder import StaticEmbedder
from memhost_store_redis.codec import encode_term, encode_vector
from memhost_store_redis.scopes import resolve
from memhost_store_redis.search import BROAD, BROAD_OPTIONS

BAR = 2.5
WARM = 30
BATCH = 100
WRITERS = 16
CANDIDATES = 100
"""Taken from each leg by the server (`SEARCH_CANDIDATES`)."""
NEEDED = ("body", "terms", "vector1", "access_count", "last_accessed", "persisted_at")


class Raw:
    """Queries and writes of a client that knows the index and asks Redis itself."""

    def __init__(self, space: RedisSpace, embedder: StaticEmbedder) -> None:
        from redis.asyncio import Redis

        self._client: Any = Redis.from_url(space.url)
        self._space = space
        self._embedder = embedder
        self.index = space.name

    async def embed(self, text: str) -> bytes:
        """The vector of a question."""
        return encode_vector((await self._embedder.embed([analyse_query(text).embedding_text]))[0])

    async def search(self, text: str, user: str | None, size: int, *, equal: bool) -> int:
        """Both legs in one pipeline; hits found.

        Args:
            text: The question.
            user: Whose memories; None for all.
            size: How many memories there are.
            equal: The legs that the server asks for, with its filters; otherwise 10 contents of each leg.
        """
        reach = resolve(Scope(users=None if user is None else (user,)))
        assert reach is not None
        words = "|".join(encode_term(term) for term in query_terms(analyse_query(text)))
        now = time.time_ns() // 1000
        valid = f" -@valid_to:[-inf {now}] -@valid_from:[({now} +inf]" if equal else ""
        options = BROAD_OPTIONS if equal and user is None and size >= BROAD else ""
        where, limit, fields = reach.query + valid, CANDIDATES if equal else 10, NEEDED if equal else ("id", "body")
        returned = ("LIMIT", 0, limit, "DIALECT", 2)
        pipeline = self._client.pipeline(transaction=False)
        nearest = f"({where})=>[KNN {limit} @vector1 $v {options} AS distance]"
        pipeline.execute_command(
            *("FT.SEARCH", self.index, nearest, "PARAMS", 2, "v", await self.embed(text), "SORTBY", "distance"),
            *("RETURN", len(fields) + equal, *fields, *(("distance",) if equal else ()), *returned),
        )
        scored = ("WITHSCORES",) if equal else ()
        pipeline.execute_command(
            *("FT.SEARCH", self.index, f"{where} @terms:({words})", "VERBATIM", "SCORER", "BM25", *scored),
            *("RETURN", len(fields), *fields, *returned),
        )
        near, best = await pipeline.execute()
        return len(near) // 2 + len(best) // (3 if equal else 2)

    async def copies(self, count: int) -> list[dict[bytes, bytes]]:
        """Hashes of memories as they stand in the index."""
        reply = await self._client.execute_command("FT.SEARCH", self.index, "*", "NOCONTENT", "LIMIT", 0, count)
        pipeline = self._client.pipeline(transaction=False)
        for key in reply[1:]:
            pipeline.hgetall(key)
        found: list[dict[bytes, bytes]] = await pipeline.execute()
        return found

    async def write(self, hashes: Sequence[dict[bytes, bytes]]) -> float:
        """Write hashes under new keys, in pipelines; hashes a second. They are removed again."""
        keys = [f"{self._space.name}:m:raw:{number}" for number in range(len(hashes))]
        begun = time.perf_counter()
        for start in range(0, len(keys), BATCH):
            pipeline = self._client.pipeline(transaction=False)
            for key, fields in zip(keys[start : start + BATCH], hashes[start : start + BATCH], strict=True):
                pipeline.hset(key, mapping=fields)
            await pipeline.execute()
        rate = len(keys) / (time.perf_counter() - begun)
        await self._client.delete(*keys)
        return rate

    async def aclose(self) -> None:
        """Close the connection."""
        await self._client.aclose()


async def compare(
    session: aiohttp.ClientSession, raw: Raw, texts: Texts, size: int, count: int, *, all_users: bool
) -> float:
    """Search by all ways in turn, so that they meet the same noise; the ratio of the medians at equal work."""
    questions = [(texts.sentence(5, 9), None if all_users else f"u{n % USERS}") for n in range(count + WARM)]

    async def api(number: int) -> None:
        text, user = questions[number]
        body = {"text": text, "limit": 10, **({"user_id": {"eq": user}} if user else {})}
        async with session.post("/v1/long-term-memory/search", json=body) as answer:
            answer.raise_for_status()
            assert (await answer.json())["memories"]

    async def equal(number: int) -> None:
        assert await raw.search(*questions[number], size, equal=True)

    async def ten(number: int) -> None:
        assert await raw.search(*questions[number], size, equal=False)

    async def embedding(number: int) -> None:
        assert await raw.embed(questions[number][0])

    async def nothing(_number: int) -> None:
        async with session.get("/v1/health") as answer:
            answer.raise_for_status()
            await answer.read()

    ways = {"API": api, "raw": equal, "raw, 10 each": ten, "embedding": embedding, "empty request": nothing}
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(len(questions)):
        for name, way in ways.items():
            spent[name] += await timed(_at(way, number), 1)
    middle = {}
    print(f"  search of {'all' if all_users else 'one user'}")
    for name, times in spent.items():
        middle[name], high = quantiles(times[WARM:])
        print(f"    {name:14} p50 {middle[name]:7.2f}   p95 {high:7.2f} ms")
    ratio = middle["API"] / middle["raw"]
    print(
        f"    ratio {ratio:.2f}, bar {BAR}: {'ok' if ratio <= BAR else 'MISSED'}   "
        f"(to 10 of each leg: {middle['API'] / middle['raw, 10 each']:.2f})"
    )
    return ratio


def _at(way: Callable[[int], Awaitable[Any]], number: int) -> Callable[[int], Awaitable[Any]]:
    return lambda _: way(number)


async def write(http: httpx.AsyncClient, raw: Raw, texts: Texts, size: int, count: int) -> None:
    """Writes a second: one memory a request with 16 callers at once, a hundred a request, and raw."""
    numbers = iter(range(count))

    async def caller() -> None:
        for number in numbers:
            record = {"id": f"w{size}-{number}", "text": texts.sentence(), "user_id": f"u{number % USERS}"}
            (await http.post("/v1/long-term-memory/", json={"memories": [record]})).raise_for_status()

    begun = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(WRITERS)))
    singly = count / (time.perf_counter() - begun)
    begun = time.perf_counter()
    for first in range(0, count, BATCH):
        records = [{"id": f"b{size}-{first + n}", "text": texts.sentence(), "user_id": "u1"} for n in range(BATCH)]
        (await http.post("/v1/long-term-memory/", json={"memories": records})).raise_for_status()
    batched = count / (time.perf_counter() - begun)
    alone = await raw.write(await raw.copies(count))
    print(
        f"  writes: raw pipelined {alone:.0f}/s   API singly {singly:.0f}/s ({alone / singly:.1f} times slower)   "
        f"API {BATCH} a request {batched:.0f}/s ({alone / batched:.1f} times slower)"
    )


async def run(sizes: Sequence[int], count: int) -> bool:
    """Measure at each size; whether the bar holds."""
    good = True
    texts = Texts(7)
    embedder = StaticEmbedder()
    with tempfile.TemporaryDirectory() as folder, RedisServer(Path(folder) / "redis") as server:
        space = RedisSpace(server.url)
        environment = {"STORE": "redis", "COMPACTION_EVERY_MINUTES": "0", **space.environment()}
        with ServerProcess(Path(folder), environment=environment) as host:
            async with (
                httpx.AsyncClient(base_url=host.url, timeout=120) as http,
                aiohttp.ClientSession(host.url) as session,
            ):
                raw, begin = Raw(space, embedder), 0
                for size in sizes:
                    before = server.client().info("memory")["used_memory"]  # type: ignore[index]
                    rate = await fill(http, texts, begin, size)
                    held = server.client().info("memory")["used_memory"] - before  # type: ignore[index]
                    print(f"\n{size} memories: filled at {rate:.0f}/s, {held / (size - begin):.0f} bytes each in Redis")
                    for all_users in (False, True):
                        good &= await compare(session, raw, texts, size, count, all_users=all_users) <= BAR
                    await write(http, raw, texts, size, 1000)
                    begin = size
                await raw.aclose()
    return good


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--count", type=int, default=200, help="searches measured of each kind")
    options = parser.parse_args()
    return 0 if asyncio.run(run(options.sizes, options.count)) else 1


if __name__ == "__main__":
    sys.exit(main())
