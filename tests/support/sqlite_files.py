"""Opens sqlite stores for a test, and checks that they leave no thread behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from memhost.ports import Store, SystemClock
from memhost.specs import OpenContext
from memhost.testing.factories import make_scope
from memhost_store_sqlite.settings import SqliteSettings
from memhost_store_sqlite.store import open_sqlite

EVERYWHERE = make_scope()
FAST = SqliteSettings(synchronous="normal", readers=2)


def opening(
    folder: Path,
    settings: SqliteSettings = FAST,
    *,
    embedder: str | None = "e",
    dimensions: int | None = 8,
    reindex: bool = False,
) -> AbstractAsyncContextManager[Store]:
    context = OpenContext(
        data_dir=folder, clock=SystemClock(), embedder=embedder, dimensions=dimensions, reindex=reindex
    )
    return open_sqlite(settings, context)


async def count(store: Store) -> int:
    return (await store.info()).counts["memories"]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    left = [thread.name for thread in threading.enumerate() if thread not in before and "memhost" in thread.name]
    assert not left, "a closed store leaves no thread behind"
