"""Searches of the sqlite store over many memories: what is kept, counted and cut for them changes no answer."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import apsw
import numpy as np
import pytest
from tests.support.sqlite_files import EVERYWHERE, opening

from memhost.models import CandidateQuery, Condition, Op, Scope, StoredMemory, TextMatch, Vector, WriteBatch
from memhost.ports import Store
from memhost.testing.factories import after, make_memory, make_scope, make_vector, put
from memhost_store_sqlite import fulltext, posting_cache, search, vector_blocks, vector_cache
from memhost_store_sqlite.posting_cache import PostingCache
from memhost_store_sqlite.settings import SqliteSettings
from memhost_store_sqlite.store import SqliteStore

UNCACHED = SqliteSettings(block_cache_mb=0, synchronous="normal", readers=2)
"""Every owner is searched like a large one."""
MOMENTS = (None, None, *(after(hours * 3600) for hours in (-3, -2, -1, 0, 1, 2, 3)))


def timed_memory(chance: random.Random, name: str) -> StoredMemory:
    return make_memory(
        name,
        "apple",
        terms=("apple",),
        vector=make_vector(1.0, chance.random()),
        user_id=chance.choice(["ann", "bob"]),
        namespace=chance.choice(["work", "home"]),
        session_id=chance.choice(["s1", "s2"]),
        valid_from=chance.choice(MOMENTS),
        valid_to=chance.choice(MOMENTS),
    )


def holds(memory: StoredMemory, conditions: tuple[Condition, ...]) -> bool:
    for condition in conditions:
        moment = condition.values[0]
        assert isinstance(moment, datetime)
        value = getattr(memory.record, condition.field)
        if condition.op is Op.NOT_LTE and value is not None and value <= moment:
            return False
        if condition.op is Op.NOT_GT and value is not None and value > moment:
            return False
        if condition.op is Op.LT and (value is None or value >= moment):
            return False
    return True


def inside(memory: StoredMemory, scope: Scope) -> bool:
    record = memory.record
    return scope.allows(record.namespace or "", record.user_id or "", record.session_id or "")


@pytest.mark.parametrize("seed", range(4))
async def test_memories_that_hold_are_counted_by_those_that_do_not(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "KNOWN_LIMIT", 0)
    chance = random.Random(seed)
    memories = [timed_memory(chance, f"m{number}") for number in range(120)]
    scopes = (
        EVERYWHERE,
        make_scope(users=("ann",)),
        make_scope(namespaces=("work",)),
        make_scope(namespaces=("work",), users=("ann", "bob")),
        make_scope(sessions=("s1",)),
    )
    conditions = (
        (Condition("valid_to", Op.NOT_LTE, (after(0),)),),
        (Condition("valid_from", Op.NOT_GT, (after(3600),)),),
        (Condition("valid_from", Op.NOT_GT, (after(0),)), Condition("valid_to", Op.NOT_LTE, (after(3600),))),
        (Condition("valid_from", Op.NOT_GT, (after(0),)), Condition("valid_from", Op.NOT_GT, (after(-3600),))),
        (Condition("valid_to", Op.NOT_LTE, (after(0),)), Condition("valid_from", Op.LT, (after(0),))),
        (),
    )
    async with opening(tmp_path, UNCACHED) as store:
        await store.commit(EVERYWHERE, put(*memories))
        for scope in scopes:
            for wanted in conditions:
                query = CandidateQuery(
                    conditions=wanted, text=TextMatch(any_of=("apple",)), vector=make_vector(1.0), count=True
                )
                found = await store.candidates(scope, query)
                expected = sum(inside(each, scope) and holds(each, wanted) for each in memories)
                assert found.total == expected, (scope, wanted)


# -- nearest vectors ---------------------------------------------------------------------------------------

DIMENSIONS = 128
SIZE = 512
"""Vectors of a block in these tests: enough to fit axes."""
ROUNDED = SqliteSettings(block_cache_mb=0, scan_rows=0, synchronous="normal", readers=2)
EXACT = SqliteSettings(block_cache_mb=0, vector_cache_mb=0, synchronous="normal", readers=2)
ANN, BOB = make_scope(users=("ann",)), make_scope(users=("bob",))


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (vector_blocks, vector_cache):
        monkeypatch.setattr(module, "BLOCK", SIZE)


def clustered(count: int, seed: int) -> Vector:
    """Unit vectors around a few topics, of which some axes tell more than others, as embedders make them."""
    chance = np.random.default_rng(seed)
    spread = np.linspace(1.0, 0.05, DIMENSIONS) ** 2
    topics = chance.normal(size=(20, DIMENSIONS)) * spread + 0.3
    made = topics[chance.integers(0, 20, count)] + 0.5 * chance.normal(size=(count, DIMENSIONS)) * spread
    return np.asarray(made / np.linalg.norm(made, axis=1)[:, None], dtype=np.float32)


def scattered(count: int, seed: int) -> Vector:
    """Unit vectors in any direction: no axis tells more than another."""
    made = np.random.default_rng(seed).normal(size=(count, DIMENSIONS))
    return np.asarray(made / np.linalg.norm(made, axis=1)[:, None], dtype=np.float32)


def embedded(vectors: Vector, user: str = "ann", first: int = 0) -> list[StoredMemory]:
    return [
        make_memory(f"{user}{number}", "apple", terms=("apple",), vector=vector, user_id=user)
        for number, vector in enumerate(vectors, first)
    ]


def opened(folder: Path, settings: SqliteSettings) -> Any:
    return opening(folder, settings, dimensions=DIMENSIONS)


async def build(store: Store) -> None:
    """Wait until all blocks that are due are there."""
    assert isinstance(store, SqliteStore)
    await asyncio.wrap_future(store._building.start())
    await asyncio.wrap_future(store._building.start())


@asynccontextmanager
async def both(folder: Path) -> AsyncIterator[tuple[Store, Store]]:
    """Two stores on one file: one that goes by rounded vectors, and one that compares all of them."""
    async with opened(folder, ROUNDED) as rounded, opened(folder, EXACT) as exact:
        yield rounded, exact


async def nearest(store: Store, scope: Scope, vector: Vector, **parts: Any) -> dict[str, float | None]:
    found = await store.candidates(scope, CandidateQuery(vector=vector, **parts))
    return {hit.memory.id: hit.distance for hit in found.hits}


async def agree(rounded: Store, exact: Store, scopes: Sequence[Scope], queries: Vector) -> None:
    """The nearest are found: all of them but for one in a hundred, with the same distances."""
    missed = wanted = 0
    for scope in scopes:
        for query in queries:
            for parts in ({"vector_limit": 50}, {"vector_limit": 7, "max_distance": 0.6, "count": True}):
                expected = await nearest(exact, scope, query, **parts)
                found = await nearest(rounded, scope, query, **parts)
                assert len(found) == len(expected)
                assert all(found[name] == distance for name, distance in expected.items() if name in found)
                wanted += len(expected)
                missed += len(expected.keys() - found.keys())
    assert wanted
    assert missed <= wanted / 100


def blocks(folder: Path) -> list[tuple[int, int, int]]:
    """Owner, rows and dead rows of each block in the file."""
    connection = apsw.Connection(str(folder / "memhost.db"), flags=apsw.SQLITE_OPEN_READONLY)
    rows: list[Any] = connection.execute("SELECT last >> 36, count, dead FROM vector_blocks ORDER BY last").fetchall()
    connection.close()
    return rows


def edit(folder: Path, *statements: str) -> None:
    """Change the file as a process does that knows nothing of blocks."""
    connection = apsw.Connection(str(folder / "memhost.db"))
    for statement in statements:
        connection.execute(statement)
    connection.close()


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("make", [clustered, scattered])
async def test_the_nearest_of_large_owners_are_found_by_rounded_vectors(make: Any, tmp_path: Path) -> None:
    async with both(tmp_path) as (rounded, exact):
        await rounded.commit(EVERYWHERE, put(*embedded(make(1300, 1)), *embedded(make(700, 2), "bob")))
        scopes, queries = (ANN, BOB, EVERYWHERE), make(6, 3)
        await agree(rounded, exact, scopes, queries)
        await build(rounded)
        assert [count for _, count, _ in blocks(tmp_path)] == [SIZE, SIZE, SIZE]
        await agree(rounded, exact, scopes, queries)
    async with both(tmp_path) as (rounded, exact):
        await agree(rounded, exact, scopes, queries)
        await exact.commit(EVERYWHERE, put(*embedded(make(40, 4), first=2000), *embedded(make(30, 5))))
        await exact.commit(EVERYWHERE, WriteBatch(delete_memories=[f"ann{number}" for number in range(600, 700)]))
        await agree(rounded, exact, scopes, make(6, 6))


@pytest.mark.usefixtures("small_blocks")
async def test_conditions_hold_among_rounded_vectors(tmp_path: Path) -> None:
    made = [
        replace(each, record=replace_topics(each, ["rare"] if number % 97 == 0 else ["usual"]))
        for number, each in enumerate(embedded(clustered(1300, 1)))
    ]
    rare = (Condition("topics", Op.ANY, ("rare",)),)
    async with both(tmp_path) as (rounded, exact):
        await rounded.commit(EVERYWHERE, put(*made))
        await build(rounded)
        for query in clustered(5, 2):
            for limit in (5, 200):
                expected = await nearest(exact, ANN, query, conditions=rare, vector_limit=limit)
                assert await nearest(rounded, ANN, query, conditions=rare, vector_limit=limit) == expected
                assert len(expected) == min(limit, 14)


def replace_topics(memory: StoredMemory, topics: list[str]) -> Any:
    memory.record.topics = topics
    return memory.record


@pytest.mark.usefixtures("small_blocks")
async def test_many_owners_with_few_memories_share_rounded_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_cache, "_FEW_OWNERS", 3)
    vectors = clustered(1000, 1)
    small = [each for user in range(20) for each in embedded(vectors[user * 20 : user * 20 + 20], f"u{user}-")]
    everyone, some = EVERYWHERE, make_scope(users=tuple(f"u{user}-" for user in range(0, 20, 2)))
    scopes, queries = (everyone, some), clustered(4, 2)
    async with both(tmp_path) as (rounded, exact):
        await rounded.commit(EVERYWHERE, put(*small, *embedded(clustered(600, 3))))
        await agree(rounded, exact, scopes, queries)
        # one of the owners with few memories becomes one with many, and the other way round
        await rounded.commit(EVERYWHERE, put(*embedded(clustered(600, 4), "u2-", first=100)))
        await rounded.commit(EVERYWHERE, WriteBatch(delete_memories=[f"ann{number}" for number in range(500)]))
        await rounded.commit(EVERYWHERE, put(*embedded(clustered(10, 5), first=900)))
        await agree(rounded, exact, scopes, queries)


@pytest.mark.usefixtures("small_blocks")
async def test_the_first_search_reads_blocks_instead_of_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    original = vector_blocks.next_vectors

    def counting(*arguments: Any) -> Any:
        keys, vectors = original(*arguments)
        read.append(len(keys))
        return keys, vectors

    monkeypatch.setattr("memhost_store_sqlite.vector_cache.next_vectors", counting)
    async with opened(tmp_path, ROUNDED) as store:
        await store.commit(EVERYWHERE, put(*embedded(clustered(1300, 1))))
        await build(store)
    async with opened(tmp_path, ROUNDED) as store:
        await nearest(store, ANN, clustered(1, 2)[0])
        assert sum(read) == 1300 - 2 * SIZE
        await store.commit(EVERYWHERE, put(*embedded(clustered(3, 2), first=5000)))
        read.clear()
        await nearest(store, ANN, clustered(1, 2)[0])
        assert sum(read) == 3


@pytest.mark.usefixtures("small_blocks")
async def test_an_older_file_gains_blocks_when_it_is_opened(tmp_path: Path) -> None:
    async with opened(tmp_path, ROUNDED) as store:
        await store.commit(EVERYWHERE, put(*embedded(clustered(1300, 1))))
        await build(store)
    edit(
        tmp_path,
        "DROP TRIGGER vectors_deleted",
        *(f"DROP TABLE {table}" for table in ("vector_axes", "vector_blocks", "vectors_gone")),
        "PRAGMA user_version = 7",
    )
    async with opened(tmp_path, ROUNDED) as store:
        await build(store)
        assert [count for _, count, _ in blocks(tmp_path)] == [SIZE, SIZE]


@pytest.mark.usefixtures("small_blocks")
async def test_blocks_forget_what_is_deleted(tmp_path: Path) -> None:
    vectors = clustered(1024, 1)
    async with both(tmp_path) as (rounded, exact):
        await rounded.commit(EVERYWHERE, put(*embedded(vectors)))
        await build(rounded)
        await rounded.commit(EVERYWHERE, WriteBatch(delete_memories=["ann5", "ann600"]))
        assert [row[1:] for row in blocks(tmp_path)] == [(SIZE, 1), (SIZE, 1)]
        connection = apsw.Connection(str(tmp_path / "memhost.db"), flags=apsw.SQLITE_OPEN_READONLY)
        first: Any = connection.execute("SELECT heads, tails, scales FROM vector_blocks ORDER BY last").fetchone()
        connection.close()
        for column in first:
            rows = np.frombuffer(column, dtype=np.int8).reshape(SIZE, -1)
            assert [number for number, row in enumerate(rows) if not row.any()] == [5]
        await rounded.commit(EVERYWHERE, WriteBatch(delete_memories=[f"ann{number}" for number in range(300)]))
        assert [row[1:] for row in blocks(tmp_path)] == [(SIZE - 300, 0), (SIZE, 1)], "made again of what is left"
        await agree(rounded, exact, (ANN,), clustered(4, 2))
        await rounded.commit(EVERYWHERE, WriteBatch(delete_memories=[f"ann{number}" for number in range(1024)]))
        assert blocks(tmp_path) == []


@pytest.mark.usefixtures("small_blocks")
async def test_what_a_process_without_blocks_deletes_is_forgotten_with_the_next_write(tmp_path: Path) -> None:
    async with opened(tmp_path, ROUNDED) as store:
        await store.commit(EVERYWHERE, put(*embedded(clustered(512, 1))))
        await build(store)
        edit(tmp_path, "DELETE FROM vectors WHERE vid IN (SELECT vid FROM vectors ORDER BY vid LIMIT 7)")
        await store.commit(EVERYWHERE, put(make_memory("other", "pear", vector=None)))
        assert [row[1:] for row in blocks(tmp_path)] == [(SIZE, 7)]


@pytest.mark.usefixtures("small_blocks")
async def test_blocks_go_with_the_vectors_of_another_embedder(tmp_path: Path) -> None:
    async with opened(tmp_path, ROUNDED) as store:
        await store.commit(EVERYWHERE, put(*embedded(clustered(512, 1))))
        await build(store)
        assert blocks(tmp_path)
    async with opening(tmp_path, ROUNDED, embedder="other", dimensions=8, reindex=True):
        assert blocks(tmp_path) == []


@pytest.mark.usefixtures("small_blocks")
async def test_what_does_not_fit_is_compared_without_rounding(tmp_path: Path) -> None:
    small = SqliteSettings(block_cache_mb=0, scan_rows=0, vector_cache_mb=1, synchronous="normal", readers=2)
    async with opened(tmp_path, small) as limited, opened(tmp_path, EXACT) as exact:
        for user in range(3):
            await limited.commit(EVERYWHERE, put(*embedded(clustered(4000, user), f"u{user}-")))
        users = [make_scope(users=(f"u{user}-",)) for user in range(3)]
        await agree(limited, exact, (*users, EVERYWHERE), clustered(2, 9))
        assert isinstance(limited, SqliteStore)
        assert sum(kept.size_bytes for kept in limited._cache._kept.values()) <= 1024 * 1024


# -- posting lists -----------------------------------------------------------------------------------------

WORDS = tuple(f"w{number}" for number in range(30))
FEW = 60
"""Row numbers to the end of a list in these tests: what is longer is cut."""


@pytest.fixture
def small_scopes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting_cache, "LARGE", 10)
    monkeypatch.setattr(fulltext, "POSTING_LIMIT", FEW)


def worded(chance: random.Random, name: str) -> StoredMemory:
    terms = tuple(WORDS[min(int(chance.expovariate(0.15)), 29)] for _ in range(chance.randint(1, 8)))
    user = "ann" if int(name[1:]) % 3 else "bob"
    return make_memory(name, " ".join(terms), terms=terms, user_id=user, session_id=chance.choice(["s1", "s2"]))


def told(found: Any) -> Any:
    hits = {hit.memory.id: hit.text_score for hit in found.hits}
    return hits, found.total, found.frequencies, found.documents, found.average_length


@pytest.mark.usefixtures("small_scopes")
@pytest.mark.parametrize("seed", range(4))
async def test_kept_lists_tell_what_the_index_tells(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    async with opening(tmp_path, UNCACHED) as kept, opening(tmp_path, UNCACHED) as read:
        assert isinstance(read, SqliteStore)
        read._kept_postings = PostingCache(0)
        await kept.commit(EVERYWHERE, put(*(worded(chance, f"m{number}") for number in range(150))))
        for step in range(60):
            writer = chance.choice([kept, read])  # also another process
            if chance.random() < 0.5:
                await writer.commit(EVERYWHERE, put(worded(chance, f"m{chance.randint(0, 200)}")))
            if chance.random() < 0.2:
                await writer.commit(EVERYWHERE, WriteBatch(delete_memories=[f"m{chance.randint(0, 200)}"]))
            terms = tuple(chance.sample(WORDS, 4))
            query = CandidateQuery(
                text=TextMatch(any_of=terms, phrases=(terms[:2],)),
                text_limit=chance.choice([5, 200]),
                rough_text=chance.random() < 0.5,
                statistics_for=terms,
                count=chance.random() < 0.3,
            )
            scope = chance.choice([EVERYWHERE, ANN, BOB, make_scope(sessions=("s1",))])
            expected, found = await read.candidates(scope, query), await kept.candidates(scope, query)
            assert told(found) == told(expected), step


@pytest.mark.usefixtures("small_scopes")
async def test_a_list_is_read_once_and_then_what_was_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []
    original = fulltext.Postings._read

    def noting(self: fulltext.Postings, phrase: Any, limit: int, after: int = -1) -> Any:
        asked.append((phrase[0], after))
        return original(self, phrase, limit, after)

    monkeypatch.setattr(fulltext.Postings, "_read", noting)
    query = CandidateQuery(text=TextMatch(any_of=("apple",)), statistics_for=("apple",))

    def fruit(number: int) -> StoredMemory:
        return make_memory(f"m{number}", "apple", terms=("apple",))

    async with opening(tmp_path, UNCACHED) as store:
        await store.commit(EVERYWHERE, put(*map(fruit, range(30))))
        await store.candidates(EVERYWHERE, query)
        await store.candidates(EVERYWHERE, query)
        assert asked == [("apple", -1)]
        await store.commit(EVERYWHERE, put(fruit(31)))
        assert (await store.candidates(EVERYWHERE, query)).frequencies == {"apple": 31}
        assert asked[1:] == [("apple", 30)], "above the last row number"
        await store.commit(EVERYWHERE, put(fruit(31)))
        assert (await store.candidates(EVERYWHERE, query)).frequencies == {"apple": 31}
        assert asked[2:] == [("apple", -1)], "one was replaced"


@pytest.mark.usefixtures("small_scopes")
async def test_kept_lists_take_no_more_than_they_may(tmp_path: Path) -> None:
    async with opening(tmp_path, UNCACHED) as store:
        assert isinstance(store, SqliteStore)
        store._kept_postings = kept = PostingCache(1000)
        chance = random.Random(1)
        await store.commit(EVERYWHERE, put(*(worded(chance, f"m{number}") for number in range(150))))
        for word in WORDS:
            for scope in (ANN, BOB, EVERYWHERE):
                await store.candidates(scope, CandidateQuery(text=TextMatch(any_of=(word,))))
                assert sum(each.size for each in kept._scopes.values()) <= 1000


async def test_the_only_tenant_of_a_file_is_searched_without_others_words(tmp_path: Path) -> None:
    query = CandidateQuery(text=TextMatch(any_of=("apple",)), statistics_for=("apple",), count=True)
    other = Scope(tenant="other")
    mine = [make_memory(f"m{number}", "apple", terms=("apple",)) for number in range(3)]
    theirs = [make_memory(f"n{number}", "apple", terms=("apple",)) for number in range(4)]
    async with opening(tmp_path, UNCACHED) as store:
        for memories, expected in ((mine, (3, 0)), (theirs, (3, 4))):
            await store.commit(EVERYWHERE if memories is mine else other, put(*memories))
            for scope, documents in zip((EVERYWHERE, other), expected, strict=True):
                found = await store.candidates(scope, query)
                assert (found.total, found.frequencies["apple"], len(found.hits)) == (documents,) * 3
        await store.commit(EVERYWHERE, WriteBatch(delete_memories=["m0", "m1", "m2"]))
        assert (await store.candidates(other, query)).total == 4
