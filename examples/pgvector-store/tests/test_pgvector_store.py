"""The store keeps every promise of the port."""

import msgspec
import pytest
from pgvector_store import open_pgvector

from memhost.testing.factories import make_memory, make_scope, make_vector, put
from memhost.testing.opening import open_context
from memhost.testing.polling import until
from memhost.testing.store import StoreConformance
from memhost.testing.stores.filters import FilterTests
from memhost.testing.stores.search import SearchTests, ask
from memhost.testing.stores.search_scope import SearchScopeTests


class TestPgvectorStore(StoreConformance):
    lacks = ("folder",)

    @pytest.fixture
    async def opened(self, settings, tmp_path):
        """The context managers of open stores."""
        managers = []

        async def open_one(**given):
            manager = open_pgvector(settings, open_context(tmp_path, **given))
            opened = await manager.__aenter__()
            managers.append(manager)
            return opened

        yield open_one, managers
        for manager in managers:
            await manager.__aexit__(None, None, None)

    @pytest.fixture
    async def store(self, opened):
        return await opened[0]()

    @pytest.fixture
    def reopen_with(self, store, opened):
        open_one, managers = opened

        async def again(**given):
            if managers:  # none is open after an opening that was refused
                await managers.pop().__aexit__(None, None, None)
            return await open_one(**given)

        return again

    @pytest.fixture
    def reopen(self, reopen_with):
        return reopen_with


class TestWalkingTheIndex(SearchTests, SearchScopeTests, FilterTests):
    """What is searched for in scopes that are too large for comparing all vectors."""

    @pytest.fixture
    async def store(self, settings, tmp_path):
        settings = msgspec.structs.replace(settings, exact_rows=0)
        async with open_pgvector(settings, open_context(tmp_path)) as store:
            yield store

    async def test_the_index_is_walked(self, store, connection, settings):
        memories = [make_memory(f"m{number}", vector=make_vector(1, number)) for number in range(200)]
        await store.commit(make_scope(), put(*memories))
        await ask(store, vector=make_vector(1, 2), vector_limit=3)
        scans = "SELECT idx_scan FROM pg_stat_all_indexes WHERE schemaname = %s AND indexrelname = 'memories_by_vector'"

        async def counted():
            return connection.execute(scans, [settings.schema]).fetchone()[0] > 0

        await until(counted)
