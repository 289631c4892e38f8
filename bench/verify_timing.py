"""Times `verify` of a sqlite store, and the change of writing that history costs.

    python bench/verify_timing.py [CHANGES]

Fills a store in a temporary folder with that many changes (default 100,000), a fifth of them edits, and prints how long
verifying takes: the bar is 5 s per 100,000 changes.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from memhost.integrity import Keyring
from memhost.models import Scope, WriteBatch
from memhost.ports import KeepsHistory, SystemClock
from memhost.specs import OpenContext
from memhost.testing.factories import DIMENSIONS, EMBEDDER, make_memory, make_vector
from memhost_store_sqlite.settings import SqliteSettings
from memhost_store_sqlite.store import open_sqlite

BATCH = 500
TEXT = "Ana prefers window seats and books them herself, three weeks ahead, number"


async def main(changes: int) -> None:
    """Fill, verify, and print the times."""
    with tempfile.TemporaryDirectory() as folder:
        context = OpenContext(
            data_dir=Path(folder),
            clock=SystemClock(),
            embedder=EMBEDDER,
            dimensions=DIMENSIONS,
            keys=Keyring(b"k" * 32, "bench"),
        )
        async with open_sqlite(SqliteSettings(), context) as store:
            assert isinstance(store, KeepsHistory)
            started = time.perf_counter()
            memories = changes * 4 // 5
            for start in range(0, changes, BATCH):
                numbers = [number % memories for number in range(start, min(start + BATCH, changes))]
                batch = WriteBatch(
                    put_memories=[
                        make_memory(f"m{number}", f"{TEXT} {number} {start}", vector=make_vector(1, number))
                        for number in numbers
                    ]
                )
                await store.commit(Scope(tenant="acme"), batch)
            written = time.perf_counter() - started
            started = time.perf_counter()
            report = await store.verify()
            seconds = time.perf_counter() - started
            print(f"{report.entries} changes of {report.memories} memories written in {written:.1f} s")
            print(f"verified in {seconds:.2f} s, {seconds / report.entries * 100_000:.2f} s per 100,000 changes")
            print(f"{report.found} findings")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))
