"""Opening: several at once, other embedders, and databases that cannot be used; and a host on the store."""

import asyncio

import msgspec
import pytest
from pgvector_store import open_pgvector

from memhost.errors import ConfigurationError, StoreMismatch, StoreUnavailable
from memhost.testing.factories import make_memory, make_scope, make_vector, put
from memhost.testing.hosts import call
from memhost.testing.opening import open_context


@pytest.fixture
def fresh(settings, connection):
    """Settings of a schema that does not exist."""
    connection.execute("DROP SCHEMA IF EXISTS memhost_fresh CASCADE")
    return msgspec.structs.replace(settings, schema="memhost_fresh")


async def test_several_processes_may_make_the_tables_at_once(fresh, tmp_path):
    async def use(name):
        async with open_pgvector(fresh, open_context(tmp_path)) as store:
            await store.commit(make_scope(), put(make_memory(name)))

    await asyncio.gather(*(use(f"m{number}") for number in range(5)))
    async with open_pgvector(fresh, open_context(tmp_path)) as store:
        assert (await store.list_memories(make_scope()))[1] == 5


async def test_vectors_of_another_embedder_are_replaced_only_when_asked(fresh, tmp_path):
    async with open_pgvector(fresh, open_context(tmp_path)) as store:
        await store.commit(make_scope(), put(make_memory("m", vector=make_vector(1))))
    other = {"embedder": "other", "dimensions": 4}
    with pytest.raises(StoreMismatch, match="memhost reindex"):
        async with open_pgvector(fresh, open_context(tmp_path, **other)):
            pass
    async with open_pgvector(fresh, open_context(tmp_path, **other, reindex=True)) as store:
        (memory,) = await store.get_memories(make_scope(), ["m"])
        assert memory.vector is None
        assert (await store.info()).dimensions == 4


async def test_a_newer_schema_is_refused(fresh, connection, tmp_path):
    async with open_pgvector(fresh, open_context(tmp_path)):
        pass
    connection.execute("UPDATE memhost_fresh.about SET version = 99")
    with pytest.raises(StoreMismatch, match="99"):
        async with open_pgvector(fresh, open_context(tmp_path)):
            pass


async def test_what_cannot_be_opened_says_why(fresh, tmp_path):
    with pytest.raises(ConfigurationError, match="memhost_fresh"):
        async with open_pgvector(fresh, open_context(tmp_path, existing=True)):
            pass
    away = msgspec.structs.replace(fresh, url="postgresql://127.0.0.1:9/x", timeout_s=1)
    with pytest.raises(StoreUnavailable, match="PGVECTOR_URL"):
        async with open_pgvector(away, open_context(tmp_path)):
            pass


async def test_connections_that_were_cut_are_made_again(settings, connection, tmp_path):
    async with open_pgvector(settings, open_context(tmp_path)) as store:
        await store.commit(make_scope(), put(make_memory("m")))
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        assert (await store.list_memories(make_scope()))[1] == 1


async def test_a_broken_table_is_an_error_and_no_empty_answer(fresh, connection, tmp_path):
    async with open_pgvector(fresh, open_context(tmp_path)) as store:
        connection.execute("ALTER TABLE memhost_fresh.memories RENAME TO away")
        with pytest.raises(StoreUnavailable):
            await store.list_memories(make_scope())


async def test_a_host_runs_on_it(memhost_host, fresh):
    settings = {"STORE": "pgvector", "PGVECTOR_URL": fresh.url, "PGVECTOR_SCHEMA": fresh.schema}
    async with memhost_host(plugins={"pgvector-store": "pgvector_store"}, settings=settings) as host:
        await call(host, "create_memories", memories=[{"id": "a", "text": "a blue boat", "topics": ["boats"]}])
        for search in ({"text": "boat"}, {"text": "boat", "search_mode": "hybrid"}, {"topics": {"any": ["Boats"]}}):
            found = await call(host, "search_memories", **search)
            assert [memory.id for memory in found.memories] == ["a"]
        await call(host, "put_session", session_id="s", messages=[{"role": "user", "content": "I sail to Malmo."}])
        assert [each.content for each in (await call(host, "get_session", session_id="s")).messages] == [
            "I sail to Malmo."
        ]
