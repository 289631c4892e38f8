"""The embedded profile under load: one server process on one file, driven over HTTP.

At each size (memories over 100 users) it prints how fast a write is acknowledged while others go on, how soon
after that the memory is found by a search, how long a filtered search with the whole pipeline takes, and how much
memory the server needs. The bars are those of the project; a miss makes the exit code 1.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import httpx

from memhost.testing.server import ServerProcess

USERS = 100
BARS = {
    10_000: {"write": 20.0, "found": 100.0, "search": 20.0},
    100_000: {"write": 20.0, "found": 100.0, "search": 50.0},
}
LARGEST_MB = 1000.0
RESIDENT_AT_10K_MB = 160.0


class Texts:
    """Sentences of made-up words whose frequencies fall as in natural text (Zipf's law)."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        syllables = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]
        self._words = ["".join(self._chance.choices(syllables, k=self._chance.randint(1, 4))) for _ in range(20_000)]
        self._weights = [1 / (rank + 10) for rank in range(len(self._words))]

    def sentence(self, low: int = 8, high: int = 25) -> str:
        """A sentence of `low` to `high` words."""
        return " ".join(self._chance.choices(self._words, self._weights, k=self._chance.randint(low, high)))


def quantiles(seconds: Sequence[float]) -> tuple[float, float]:
    """p50 and p95 in milliseconds."""
    ordered = sorted(seconds)
    return 1000 * statistics.median(ordered), 1000 * ordered[int(0.95 * (len(ordered) - 1))]


def one_of_hundred(number: int) -> str:
    """Whose memory that is: each of `USERS` has as many."""
    return f"u{number % USERS}"


async def fill(
    http: httpx.AsyncClient, texts: Texts, begin: int, end: int, owner: Callable[[int], str] = one_of_hundred
) -> float:
    """Store memories `begin` to `end`; memories per second."""
    started = time.perf_counter()
    for first in range(begin, end, 500):
        records = [
            {
                "id": f"m{number}",
                "text": texts.sentence(),
                "user_id": owner(number),
                "topics": [f"t{number % 7}"],
            }
            for number in range(first, min(first + 500, end))
        ]
        body = {"memories": records, "deduplicate": False}
        (await http.post("/v1/long-term-memory/", json=body)).raise_for_status()
    return (end - begin) / (time.perf_counter() - started)


async def timed(action: Callable[[int], Awaitable[Any]], count: int) -> list[float]:
    """Seconds of each of `count` calls, one after the other."""
    spent = []
    for number in range(count):
        begun = time.perf_counter()
        await action(number)
        spent.append(time.perf_counter() - begun)
    return spent


async def measure(http: httpx.AsyncClient, texts: Texts, size: int, count: int) -> dict[str, tuple[float, float]]:
    """Writes, time to be found, and searches, as (p50, p95) in milliseconds."""

    async def write(number: int) -> None:
        record = {"id": f"w{size}-{number}", "text": texts.sentence(), "user_id": f"u{number % USERS}"}
        (await http.post("/v1/long-term-memory/", json={"memories": [record]})).raise_for_status()

    async def say(number: int) -> None:
        message = {"role": "user", "content": texts.sentence(), "id": f"s{size}-{number}", "created_at": 1_700_000_000}
        body = {"user_id": f"u{number % USERS}", "messages": [message]}
        (await http.put(f"/v1/working-memory/s{size}-{number}", json=body)).raise_for_status()

    found: list[float] = []

    async def find(number: int) -> None:
        text = f"marker{size}x{number} {texts.sentence(4, 6)}"
        user = f"u{number % USERS}"
        record = {"id": f"f{size}-{number}", "text": text, "user_id": user}
        (await http.post("/v1/long-term-memory/", json={"memories": [record]})).raise_for_status()
        begun = time.perf_counter()
        hits: list[str] = []
        while record["id"] not in hits:
            body = {"text": text, "user_id": {"eq": user}}
            answer = await http.post("/v1/long-term-memory/search", json=body)
            hits = [hit["id"] for hit in answer.raise_for_status().json()["memories"]]
        found.append(time.perf_counter() - begun)

    async def search(number: int) -> None:
        body = {
            "text": texts.sentence(5, 9),
            "user_id": {"eq": f"u{number % USERS}"},
            "topics": {"none": ["t3"]},
            "limit": 10,
        }
        (await http.post("/v1/long-term-memory/search", json=body)).raise_for_status()

    result = {"write": quantiles(await timed(write, count)), "session write": quantiles(await timed(say, count))}
    await timed(find, count)
    result["found"] = quantiles(found)
    await timed(search, 20)
    result["search"] = quantiles(await timed(search, count))
    return result


async def run(sizes: Sequence[int], count: int) -> bool:
    """Measure at each size; whether all bars hold."""
    good = True
    texts = Texts(7)
    with tempfile.TemporaryDirectory() as folder, ServerProcess(Path(folder)) as server:
        print(f"start to listening: {server.start_s:.2f} s, {server.resident_mb():.0f} MB")
        async with httpx.AsyncClient(base_url=server.url, timeout=120) as http:
            begin = 0
            for size in sizes:
                rate = await fill(http, texts, begin, size)
                begin = size
                resident = server.resident_mb()
                print(f"\n{size} memories: filled at {rate:.0f}/s, server {resident:.0f} MB")
                for name, (middle, high) in (await measure(http, texts, size, count)).items():
                    bar = BARS.get(size, {}).get(name)
                    verdict = "" if bar is None else f"bar {bar:.0f} ms: {'ok' if high < bar else 'MISSED'}"
                    good &= bar is None or high < bar
                    print(f"  {name:14} p50 {middle:7.1f} ms   p95 {high:7.1f} ms   {verdict}")
                after = server.resident_mb()
                limit = RESIDENT_AT_10K_MB if size <= 10_000 else LARGEST_MB
                good &= max(after, resident) < limit
                print(f"  server memory  {after:7.0f} MB, bar {limit:.0f} MB: {'ok' if after < limit else 'MISSED'}")
    return good


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--count", type=int, default=200, help="calls measured of each kind")
    options = parser.parse_args()
    return 0 if asyncio.run(run(options.sizes, options.count)) else 1


if __name__ == "__main__":
    sys.exit(main())
