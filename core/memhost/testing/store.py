"""`StoreConformance`: the definition of the store port, as tests.

Subclass it, give one fixture, and run it with pytest and pytest-asyncio:

    class TestMyStore(StoreConformance):
        @pytest.fixture
        async def store(self, tmp_path):
            context = OpenContext(
                data_dir=tmp_path, clock=SystemClock(), embedder=EMBEDDER, dimensions=DIMENSIONS
            )
            async with open_my_store(MySettings(), context) as store:
                yield store

`EMBEDDER` and `DIMENSIONS` are in `memhost.testing.factories`. The store must be empty at the start of each test, and
its clock must be later than 2024. Two further fixtures, `reopen` and `reopen_with`, are coroutine functions that close
the store and return it opened again on the same data; `reopen_with` takes fields of `OpenContext` that are to be others
(`embedder`, `existing`, `data_dir`, ...). A store that loses everything with its process says so with
`lacks = ("durability",)`; one that keeps its data elsewhere than in `data_dir`, with `lacks = ("folder",)`.
"""

from __future__ import annotations

import pytest

from memhost.testing.stores.durability import DurabilityTests
from memhost.testing.stores.filters import FilterTests
from memhost.testing.stores.history import HistoryTests
from memhost.testing.stores.jobs import OutboxTests
from memhost.testing.stores.memories import MemoryTests
from memhost.testing.stores.moving import MovingTests
from memhost.testing.stores.owners import AtomicityTests, OwnerTests
from memhost.testing.stores.search import SearchTests
from memhost.testing.stores.search_scope import SearchScopeTests
from memhost.testing.stores.state import DocumentTests, SessionTests


@pytest.mark.asyncio
class StoreConformance(
    MemoryTests,
    OwnerTests,
    AtomicityTests,
    FilterTests,
    SearchTests,
    SearchScopeTests,
    SessionTests,
    DocumentTests,
    OutboxTests,
    HistoryTests,
    MovingTests,
    DurabilityTests,
):
    """Every promise of `memhost.ports.Store`."""
