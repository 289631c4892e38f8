"""The suite of stores fails for stores that are wrong in one way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from memhost.errors import StoreUnavailable
from memhost.models import CandidateQuery, Candidates, Scope, StoreInfo
from memhost.ports import Store
from memhost.specs import OpenContext
from memhost.testing.opening import open_context
from memhost.testing.store import StoreConformance
from memhost_store_memory.store import MemoryStore
from memhost_store_sqlite.settings import SqliteSettings
from memhost_store_sqlite.store import open_sqlite
from tests.support.kits import outcomes


class Good:
    """The sqlite store, seen through a wrapper that mutants change."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    @classmethod
    @asynccontextmanager
    async def opened(cls, context: OpenContext) -> AsyncIterator[Any]:
        async with open_sqlite(SqliteSettings(synchronous="normal"), cls.context(context)) as store:
            yield cls(store)

    @classmethod
    def context(cls, context: OpenContext) -> OpenContext:
        return context


class InMemory(Good):
    """Claims to be durable, and is not."""

    @classmethod
    @asynccontextmanager
    async def opened(cls, context: OpenContext) -> AsyncIterator[Any]:
        yield cls(MemoryStore())

    async def info(self) -> StoreInfo:
        return replace(await self.store.info(), durable=True, embedder="conformance", dimensions=8)


class SaysItIsNotDurable(Good):
    async def info(self) -> StoreInfo:
        return replace(await self.store.info(), durable=False)


class NoVersion(Good):
    async def info(self) -> StoreInfo:
        return replace(await self.store.info(), schema_version=0)


class AnyEmbedder(Good):
    """Opens whatever is there, with vectors of another space."""

    @classmethod
    def context(cls, context: OpenContext) -> OpenContext:
        return msgspec.structs.replace(context, embedder="conformance", dimensions=8)


class AlwaysReindexes(Good):
    @classmethod
    def context(cls, context: OpenContext) -> OpenContext:
        return msgspec.structs.replace(context, reindex=True)


class NeverReindexes(Good):
    @classmethod
    def context(cls, context: OpenContext) -> OpenContext:
        return msgspec.structs.replace(context, reindex=False)


class MakesWhatIsMissing(Good):
    @classmethod
    def context(cls, context: OpenContext) -> OpenContext:
        return msgspec.structs.replace(context, existing=False)


class Swallows(Good):
    """An outage looks like an empty list."""

    async def list_memories(self, *given: Any, **named: Any) -> Any:
        try:
            return await self.store.list_memories(*given, **named)
        except StoreUnavailable:
            return [], 0


class SwallowsSearches(Good):
    async def candidates(self, scope: Scope, query: CandidateQuery) -> Candidates:
        try:
            return await self.store.candidates(scope, query)
        except StoreUnavailable:
            return Candidates(hits=[])


class SwallowsWrites(Good):
    async def commit(self, *given: Any, **named: Any) -> Any:
        try:
            return await self.store.commit(*given, **named)
        except StoreUnavailable:
            return None


class AlwaysWell(Good):
    async def ping(self) -> None:
        return


class CountsTheFiltered(Good):
    """Statistics are of what satisfies the conditions."""

    async def candidates(self, scope: Scope, query: CandidateQuery) -> Candidates:
        found = await self.store.candidates(scope, query)
        if not query.conditions or not query.statistics_for:
            return found
        inside, _ = await self.store.list_memories(scope, query.conditions, limit=1000)
        counted = {term: sum(term in memory.terms for memory in inside) for term in query.statistics_for}
        return replace(found, documents=len(inside), frequencies=counted)


def suite_of(kind: type[Good]) -> type:
    class Suite(StoreConformance):
        @pytest.fixture
        async def stack(self) -> AsyncIterator[AsyncExitStack]:
            async with AsyncExitStack() as stack:
                yield stack

        @pytest.fixture
        async def store(self, stack: AsyncExitStack, tmp_path: Path) -> Any:
            return await stack.enter_async_context(kind.opened(open_context(tmp_path)))

        @pytest.fixture
        def reopen_with(self, store: Store, stack: AsyncExitStack, tmp_path: Path) -> Callable[..., Awaitable[Any]]:
            async def reopen(**given: Any) -> Any:
                await stack.aclose()
                return await stack.enter_async_context(kind.opened(open_context(tmp_path, **given)))

            return reopen

        @pytest.fixture
        def reopen(self, reopen_with: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
            return reopen_with

    return Suite


MUTANTS = {
    InMemory: "test_everything_survives_reopening",
    SaysItIsNotDurable: "test_it_says_whether_it_is_durable",
    NoVersion: "test_the_schema_has_a_version",
    AnyEmbedder: "test_data_of_another_embedder_are_not_opened",
    AlwaysReindexes: "test_data_of_another_embedder_are_not_opened",
    NeverReindexes: "test_reindexing_opens_data_of_another_embedder",
    MakesWhatIsMissing: "test_a_store_that_is_not_there_is_not_made_as_existing",
    Swallows: "test_an_outage_is_no_empty_answer",
    SwallowsSearches: "test_an_outage_is_no_empty_answer",
    SwallowsWrites: "test_an_outage_is_no_empty_answer",
    AlwaysWell: "test_an_outage_is_no_empty_answer",
    CountsTheFiltered: "test_statistics_count_the_scope_whatever_the_conditions",
}


@pytest.mark.parametrize(("mutant", "test"), MUTANTS.items(), ids=[mutant.__name__ for mutant in MUTANTS])
def test_the_suite_fails_for(mutant: type[Good], test: str, tmp_path: Path) -> None:
    assert outcomes(suite_of(mutant), tmp_path, test).failed == {test}


def test_the_suite_passes_for_the_store_that_they_were_made_from(tmp_path: Path) -> None:
    tests = set(MUTANTS.values())
    assert outcomes(suite_of(Good), tmp_path, " or ".join(sorted(tests))).passed == tests


def test_a_store_that_cannot_be_reopened_says_so(tmp_path: Path) -> None:
    class Suite(StoreConformance):
        @pytest.fixture
        def store(self) -> Store:
            return MemoryStore()

    test = "test_everything_survives_reopening"
    assert outcomes(Suite, tmp_path, test).failed == {test}
    Suite.lacks = ("durability",)
    assert outcomes(Suite, tmp_path, test).skipped == {test}
