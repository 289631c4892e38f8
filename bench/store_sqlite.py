"""Measures the sqlite store: writing, and the candidates of a search, at several sizes.

    PYTHONPATH=core:plugins/stores python bench/store_sqlite.py [--sizes 10000,100000] [--dimensions 256]

Times depend on the machine and on what else runs there; the ratios beside them compare rows of one run.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from memhost.models import (
    CandidateQuery,
    Condition,
    MemoryRecord,
    MemoryType,
    Op,
    Scope,
    StoredMemory,
    TextMatch,
    Vector,
    WriteBatch,
)
from memhost.ports import Store, SystemClock
from memhost.specs import OpenContext
from memhost_store_sqlite.settings import SqliteSettings
from memhost_store_sqlite.store import open_sqlite

USERS = 100
WORDS = 30_000
TERMS = 20
STOP_WORDS = 50
"""The most frequent words are in the texts, but not in the queries, as the core leaves stop words out."""
BATCH = 1000
START = datetime(2024, 1, 1, tzinfo=UTC)
TENANT = Scope(tenant="bench")


def corpus(size: int, dimensions: int) -> Iterator[StoredMemory]:
    """Turns of 100 users in sessions of 20; words as frequent as Zipf's law says; clustered vectors."""
    random = np.random.default_rng(1)
    topics = random.normal(size=(200, dimensions)).astype(np.float32)
    for start in range(0, size, BATCH):
        words = random.zipf(1.25, size=(BATCH, TERMS)) % WORDS
        vectors = topics[random.integers(0, 200, BATCH)] + 0.7 * random.normal(size=(BATCH, dimensions))
        vectors = (vectors / np.linalg.norm(vectors, axis=1)[:, None]).astype(np.float32)
        for offset in range(min(BATCH, size - start)):
            number = start + offset
            user, turn = number % USERS, number // USERS
            moment = START + timedelta(minutes=turn)
            terms = tuple(f"w{word}" for word in words[offset])
            record = MemoryRecord(
                id=f"memory-{number:016}",
                text=" ".join(terms),
                namespace="bench",
                user_id=f"user-{user}",
                session_id=f"session-{user}-{turn // 20}",
                created_at=moment,
                updated_at=moment,
                last_accessed=moment,
                memory_type=MemoryType.MESSAGE if number % 4 else MemoryType.SEMANTIC,
                topics=[f"topic{number % 7}"],
                memory_hash=f"{number:064x}",
            )
            yield StoredMemory(record=record, terms=terms, vector=vectors[offset], position=turn % 20)


async def fill(store: Store, size: int, dimensions: int) -> float:
    """Write the corpus in batches; rows per second."""
    spent = 0.0
    batch: list[StoredMemory] = []
    for memory in corpus(size, dimensions):
        batch.append(memory)
        if len(batch) == BATCH:
            started = time.perf_counter()
            await store.commit(TENANT, WriteBatch(put_memories=batch))
            spent += time.perf_counter() - started
            batch = []
    return size / spent


async def times(call: Callable[[int], Awaitable[object]], rounds: int) -> tuple[float, float]:
    """Median and 95th percentile of a call, in ms."""
    await call(0)
    spent = []
    for number in range(1, rounds + 1):
        started = time.perf_counter()
        await call(number)
        spent.append((time.perf_counter() - started) * 1000)
    return statistics.median(spent), statistics.quantiles(spent, n=20)[18]


class Queries:
    """Queries made of the words and the vector of one memory, a different one each time."""

    def __init__(self, dimensions: int) -> None:
        self._memories = list(corpus(BATCH, dimensions))

    def query(self, number: int, **parts: object) -> CandidateQuery:
        """Text, vector, neighbours and statistics, as the search service asks."""
        memory = self._memories[number * 37 % BATCH]
        terms = tuple(term for term in dict.fromkeys(memory.terms) if int(term[1:]) > STOP_WORDS)[:8]
        vector: Vector | None = memory.vector
        defaults: dict[str, object] = {
            "text": TextMatch(any_of=terms),
            "vector": vector,
            "neighbours": 2,
            "statistics_for": terms,
        }
        return CandidateQuery(**{**defaults, **parts})  # type: ignore[arg-type]


async def measure(size: int, dimensions: int, folder: Path) -> list[tuple[str, float, float]]:
    """All measurements at one size: label, median and 95th percentile in ms."""
    queries = Queries(dimensions)
    rows: list[tuple[str, float, float]] = []
    context = OpenContext(data_dir=folder, clock=SystemClock(), embedder="bench", dimensions=dimensions)
    async with open_sqlite(SqliteSettings(), context) as store:
        rate = await fill(store, size, dimensions)
        extra = list(corpus(BATCH, dimensions))

        async def write(number: int) -> object:
            memory = extra[number % BATCH]
            memory.record.id = f"single-{number}"
            return await store.commit(TENANT, WriteBatch(put_memories=[memory]))

        async def write_many(number: int) -> object:
            return await asyncio.gather(*(write(1000 * (number + 1) + part) for part in range(32)))

        filters = (Condition("topics", Op.ANY, ("topic3",)), Condition("memory_type", Op.NONE, ("semantic",)))
        cases: list[tuple[str, Callable[[int], Scope], dict[str, object], int]] = [
            ("one user, all parts", user, {}, 60),
            ("one user, filtered", user, {"conditions": filters}, 60),
            ("one user, counted", user, {"conditions": filters, "count": True}, 60),
            ("one user, text only", user, {"vector": None, "statistics_for": (), "neighbours": 0}, 60),
            ("one user, vector only", user, {"text": None, "statistics_for": (), "neighbours": 0}, 60),
            ("everyone, all parts", everyone, {}, 20),
            ("everyone, filtered", everyone, {"conditions": filters}, 20),
            ("everyone, text only", everyone, {"vector": None, "statistics_for": (), "neighbours": 0}, 20),
            ("everyone, vector only", everyone, {"text": None, "statistics_for": (), "neighbours": 0}, 20),
        ]
        rows.append((f"batches of {BATCH}: {rate:,.0f} rows/s", 1000 * BATCH / rate, 1000 * BATCH / rate))
        rows.append(("one durable write", *await times(write, 100)))
        rows.append(("32 concurrent durable writes", *await times(write_many, 20)))
        for label, scope, parts, rounds in cases:

            async def call(
                number: int, scope: Callable[[int], Scope] = scope, parts: dict[str, object] = parts
            ) -> object:
                return await store.candidates(scope(number), queries.query(number, **parts))

            rows.append((label, *await times(call, rounds)))
        listing = "list a page of one user"
        rows.append((listing, *await times(lambda number: store.list_memories(user(number), limit=20), 60)))
    return rows


def user(number: int) -> Scope:
    """One user's scope."""
    return Scope(tenant="bench", namespaces=("bench",), users=(f"user-{number % USERS}",))


def everyone(number: int) -> Scope:
    """The whole tenant."""
    del number
    return TENANT


def main() -> None:
    """Run the measurements and print a table a size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="10000,100000", help="memories, separated by commas")
    parser.add_argument("--dimensions", type=int, default=256, help="length of the vectors")
    arguments = parser.parse_args()
    for size in map(int, arguments.sizes.split(",")):
        folder = Path(tempfile.mkdtemp(prefix="memhost-bench-"))
        try:
            rows = asyncio.run(measure(size, arguments.dimensions, folder))
            bytes_used = sum(each.stat().st_size for each in folder.iterdir())
        finally:
            shutil.rmtree(folder)
        unit = next(median for label, median, _ in rows if label == "one user, all parts")
        print(f"\n{size:,} memories of {USERS} users, {arguments.dimensions} dimensions")
        print(f"{'':<36}{'p50 ms':>10}{'p95 ms':>10}{'ratio':>8}")
        for label, median, slow in rows:
            print(f"{label:<36}{median:>10.2f}{slow:>10.2f}{median / unit:>8.2f}")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"file {bytes_used / 2**20:,.0f} MiB, peak memory so far {peak:,.0f} MiB")


if __name__ == "__main__":
    main()
