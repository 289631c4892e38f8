"""Searches of the sqlite store in memories that it keeps in the process: they find what searches of the file find."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest
from tests.support.blocks import ANN, compare_after_changes, compare_rankings_of_some
from tests.support.sqlite_files import EVERYWHERE, FAST, opening

from memhost.models import (
    CandidateQuery,
    Scope,
    TextMatch,
    WriteBatch,
)
from memhost.ports import Store
from memhost.testing.factories import make_memory, make_scope, make_vector, put
from memhost_store_sqlite import search
from memhost_store_sqlite.connection import connect
from memhost_store_sqlite.memories import RID_MASK
from memhost_store_sqlite.sealing import Reading
from memhost_store_sqlite.settings import SqliteSettings
from memhost_store_sqlite.store import SqliteStore


@asynccontextmanager
async def both(folder: Path) -> AsyncIterator[tuple[Store, Store]]:
    """Two stores on one file: the first keeps memories in the process, the second reads the file each time."""
    async with (
        opening(folder) as kept,
        opening(folder, SqliteSettings(block_cache_mb=0, synchronous="normal")) as read,
    ):
        yield kept, read


@pytest.mark.parametrize("seed", range(6))
async def test_what_is_kept_ranks_as_what_is_read(seed: int, tmp_path: Path) -> None:
    async with both(tmp_path) as (kept, read):
        await compare_rankings_of_some(random.Random(100 + seed), kept, read, made=seed % 2 == 0)


@pytest.mark.parametrize("seed", range(4))
async def test_what_is_kept_and_what_is_read_are_the_same_after_any_changes(seed: int, tmp_path: Path) -> None:
    async with both(tmp_path) as (kept, read):
        await compare_after_changes(random.Random(seed), kept, read)


ROW = f"vid & {RID_MASK} = (SELECT rid FROM memories WHERE id = ?)"


@contextmanager
def edited(folder: Path) -> Iterator[apsw.Connection]:
    """The file behind the server's back; by the store's own library, as two of them in one process spoil its locks."""
    connection = apsw.Connection(str(folder / "memhost.db"))
    try:
        yield connection
    finally:
        connection.close()


def kept_by(store: Store) -> int:
    assert isinstance(store, SqliteStore)
    return sum(block is not None for _, block in store._blocks._kept.values())


async def test_only_owners_of_some_memories_are_kept_and_only_so_many_bytes(tmp_path: Path) -> None:
    query = CandidateQuery(text=TextMatch(any_of=("apple",)))
    memories = [
        make_memory(f"{user}{number}", "apple", user_id=user, namespace="work", vector=make_vector(1.0, number))
        for user, count in (("ann", 3), ("bob", 8), ("eve", 9))
        for number in range(count)
    ]
    async with opening(tmp_path, SqliteSettings(block_rows=8)) as store:
        await store.commit(EVERYWHERE, put(*memories))
        for user, count in (("ann", 3), ("bob", 8), ("eve", 9)):
            assert len((await store.candidates(make_scope(users=(user,)), query)).hits) == count
        assert kept_by(store) == 2
        assert isinstance(store, SqliteStore)
        store._blocks._limit = store._blocks._size - 1
        await store.commit(EVERYWHERE, put(make_memory("bob8", "pear", user_id="ann", namespace="work")))
        assert len((await store.candidates(make_scope(users=("ann",)), query)).hits) == 3
        assert kept_by(store) == 1
        assert store._blocks._size <= store._blocks._limit


async def test_what_somebody_changed_in_the_file_is_not_served_from_the_process_either(tmp_path: Path) -> None:
    """A row that is gone is gone; a row of bob in alice's place, and one with another body, are left out."""
    everything = CandidateQuery(text=TextMatch(any_of=("apple",)))
    async with opening(tmp_path) as store:
        await store.commit(
            EVERYWHERE,
            put(
                *(make_memory(name, "apple", user_id="ann", namespace="work") for name in ("a", "b")),
                make_memory("c", "apple secret", user_id="bob", namespace="work"),
            ),
        )
        assert len((await store.candidates(ANN, everything)).hits) == 2
        with edited(tmp_path) as file:
            file.execute("DELETE FROM memories WHERE id = 'b'")
        assert [hit.memory.id for hit in (await store.candidates(ANN, everything)).hits] == ["a"]
    async with opening(tmp_path) as store:
        with edited(tmp_path) as file:
            body = file.execute(f"SELECT body FROM contents WHERE {ROW}", ("c",)).get
            file.execute(f"UPDATE contents SET body = ? WHERE {ROW}", (body, "a"))
        assert (await store.candidates(ANN, everything)).hits == []
        assert kept_by(store) == 0


async def test_a_memory_that_was_replaced_is_found_by_its_new_words_alone(tmp_path: Path) -> None:
    scope = Scope(tenant=ANN.tenant, users=("ann",))
    async with opening(tmp_path) as store:
        for words in ("apple", "pear"):
            await store.commit(EVERYWHERE, put(make_memory("a", words, user_id="ann")))
            for word in ("apple", "pear"):
                found = await store.candidates(scope, CandidateQuery(text=TextMatch(any_of=(word,)), count=True))
                assert (found.total, len(found.hits)) == ((1, 1) if word == words else (0, 0))


APPLE = CandidateQuery(text=TextMatch(any_of=("apple",)))


async def test_a_reader_of_an_older_view_finds_what_a_later_one_has_replaced(tmp_path: Path) -> None:
    """One reader has begun, a memory is replaced, another reader searches: the first sees the memory as it was."""
    async with opening(tmp_path) as store:
        assert isinstance(store, SqliteStore)
        names = ["a", "b"]
        await store.commit(EVERYWHERE, put(*(make_memory(name, "apple", user_id="ann") for name in names)))
        await store.candidates(ANN, APPLE)
        older = connect(tmp_path / "memhost.db", FAST, reading=True)
        try:
            older.execute("BEGIN")
            assert older.execute("SELECT count(*) FROM memories").get == 2
            await store.commit(EVERYWHERE, put(make_memory("a", "apple pie", user_id="ann")))
            assert len((await store.candidates(ANN, APPLE)).hits) == 2
            reading = Reading(ANN, store._seals)
            found = search.candidates(older, reading, APPLE, store._cache, store._kept_postings, store._blocks, 4096)
            assert {hit.memory.id: hit.memory.record.text for hit in found.hits} == {"a": "apple", "b": "apple"}
        finally:
            older.close()
        texts = {hit.memory.id: hit.memory.record.text for hit in (await store.candidates(ANN, APPLE)).hits}
        assert texts == {"a": "apple pie", "b": "apple"}


async def test_the_newest_of_an_owner_may_go(tmp_path: Path) -> None:
    async with opening(tmp_path) as store:
        memories = [make_memory(name, "apple", user_id="ann") for name in ("a", "b", "c")]
        for memory in memories:
            await store.commit(EVERYWHERE, put(memory))
            await store.candidates(ANN, APPLE)
        await store.commit(EVERYWHERE, WriteBatch(delete_memories=["c"]))
        assert {hit.memory.id for hit in (await store.candidates(ANN, APPLE)).hits} == {"a", "b"}
        assert kept_by(store) == 1
        assert isinstance(store, SqliteStore)
        assert [block.names for _, block in store._blocks._kept.values() if block is not None] == [["a", "b"]]


async def test_words_that_are_gone_do_not_stay_for_ever(tmp_path: Path) -> None:
    async with opening(tmp_path) as store:
        assert isinstance(store, SqliteStore)
        for number in range(300):
            memory = make_memory("a", f"apple word{number}", user_id="ann")
            await store.commit(EVERYWHERE, put(memory, make_memory("b", "apple pie", user_id="ann")))
            assert len((await store.candidates(ANN, APPLE)).hits) == 2
        ((_, block),) = store._blocks._kept.values()
        assert block is not None
        assert len(block.columns.words.vocabulary) < 150
        assert store._blocks._size == block.size < 10_000


async def test_an_owner_with_a_damaged_memory_is_not_read_whole_for_each_search(tmp_path: Path) -> None:
    async with opening(tmp_path) as store:
        assert isinstance(store, SqliteStore)
        await store.commit(EVERYWHERE, put(*(make_memory(name, "apple", user_id="ann") for name in ("a", "b"))))
        with edited(tmp_path) as file:
            file.execute(f"UPDATE contents SET body = x'00' WHERE {ROW}", ("a",))
        reads = 0
        read = store._blocks._reader

        def counted(*arguments: Any) -> Any:
            nonlocal reads
            reads += 1
            return read(*arguments)

        store._blocks._reader = counted
        for _ in range(3):
            assert [hit.memory.id for hit in (await store.candidates(ANN, APPLE)).hits] == ["b"]
        assert reads == 1
        await store.commit(EVERYWHERE, put(make_memory("a", "apple", user_id="ann")))
        for _ in range(2):
            assert len((await store.candidates(ANN, APPLE)).hits) == 2
        assert reads == 2
