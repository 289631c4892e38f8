"""Searches of the sqlite store in memories that it keeps in the process: they find what searches of the file find."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest
from tests.support.sqlite_files import EVERYWHERE, FAST, opening

from memhost.models import (
    AccessMark,
    CandidateHit,
    CandidateQuery,
    Candidates,
    Condition,
    MemoryType,
    Op,
    Scope,
    StoredMemory,
    TextMatch,
    WriteBatch,
)
from memhost.ports import Store
from memhost.ranking import DEFAULT_WEIGHTS
from memhost.ranking.traits import ENDING
from memhost.search.scoring import Scored, keyword_scores, pipeline_scores
from memhost.search.trust_order import by_trust
from memhost.testing.factories import after, make_memory, make_scope, make_vector, put
from memhost.text.analysis import analyse_query
from memhost_store_sqlite import search
from memhost_store_sqlite.connection import connect
from memhost_store_sqlite.memories import RID_MASK
from memhost_store_sqlite.sealing import Reading
from memhost_store_sqlite.settings import SqliteSettings
from memhost_store_sqlite.store import SqliteStore

WORDS = tuple(
    "apple pear plum über naïve 苹果 gate door squeaks paints photo photography the a of 42 zdt2024".split()  # noqa: SIM905
)
ANN = make_scope(users=("ann",))
BOTH = make_scope(users=("ann", "bob"))
WORK = make_scope(namespaces=("work",), users=("ann",))


@asynccontextmanager
async def both(folder: Path) -> AsyncIterator[tuple[Store, Store]]:
    """Two stores on one file: the first keeps memories in the process, the second reads the file each time."""
    async with (
        opening(folder) as kept,
        opening(folder, SqliteSettings(block_cache_mb=0, synchronous="normal")) as read,
    ):
        yield kept, read


def some_memory(chance: random.Random, name: str) -> StoredMemory:
    text = " ".join(chance.choices(WORDS, k=chance.randint(0, 12)))
    turn = chance.random() < 0.5
    fields: dict[str, object] = {
        "user_id": chance.choice(["ann", "ann", "bob", None]),
        "namespace": chance.choice(["work", "work", "home", None]),
        "session_id": chance.choice(["s1", "s2"]),
        "topics": chance.sample(["fruit", "house"], chance.randint(0, 2)),
        "valid_from": chance.choice([None, after(-172800), after(172800)]),
        "valid_to": chance.choice([None, None, after(-86400), after(86400)]),
        "source_ids": chance.choice([[], ["x"]]),
        "trust": chance.choice([None, "user", "tool"]),
    }
    if turn:
        fields |= {"memory_type": MemoryType.MESSAGE, "extraction_strategy": "message", "source_ids": [name]}
    made = make_memory(
        name,
        text or "nothing",
        terms=tuple(text.split()),
        vector=make_vector(*(chance.uniform(-1, 1) for _ in range(4))) if chance.random() < 0.8 else None,
        position=chance.randint(0, 30) if turn else None,
        speaker=chance.choice([None, "Ada"]),
        role="user" if turn else None,
        **fields,
    )
    number = 2 + chance.randrange(2**30 - 2)
    return replace(
        made, traits=chance.randint(0, 255) + ENDING * chance.choice([0, 1, 2, number]), lead=chance.randint(0, 3)
    )


def some_query(chance: random.Random) -> CandidateQuery:
    words = chance.sample(WORDS, chance.randint(1, 5))
    phrase = tuple(chance.sample(WORDS, 2))
    conditions = [
        Condition("valid_to", Op.NOT_LTE, (after(0),)),
        Condition("valid_from", Op.NOT_GT, (after(0),)),
        Condition("topics", Op.ANY, ("fruit",)),
        Condition("memory_type", Op.NONE, ("message",)),
    ]
    text = TextMatch(
        any_of=tuple(words),
        phrases=(phrase,) if chance.random() < 0.3 else (),
        required=(tuple(chance.sample(WORDS, 2)),) if chance.random() < 0.2 else (),
    )
    return CandidateQuery(
        conditions=tuple(chance.sample(conditions, chance.randint(0, 3))),
        text=text if chance.random() < 0.8 else None,
        text_limit=chance.choice([3, 200]),
        rough_text=chance.random() < 0.3,
        vector=make_vector(*(chance.uniform(-1, 1) for _ in range(4))) if chance.random() < 0.7 else None,
        vector_limit=chance.choice([3, 200]),
        max_distance=chance.choice([None, None, 0.8]),
        neighbours=chance.choice([0, 2]),
        statistics_for=tuple(chance.sample(WORDS, 3)) if chance.random() < 0.7 else (),
        count=chance.random() < 0.7,
    )


def fields_of(memory: StoredMemory) -> tuple[object, ...]:
    vector = None if memory.vector is None else memory.vector.tolist()
    beside = (memory.speaker, memory.role, memory.position, memory.lead, memory.traits, memory.version)
    told = (memory.id, memory.is_turn, memory.has_sources, memory.trust)
    return (memory.record, memory.terms, vector, *beside, *told)


def by_id(found: Candidates) -> dict[str, CandidateHit]:
    hits = {hit.memory.id: hit for hit in found.hits}
    assert len(hits) == len(found.hits)
    return hits


def compare(kept: Candidates, read: Candidates, query: CandidateQuery) -> None:
    assert (kept.total, kept.documents, kept.frequencies) == (read.total, read.documents, read.frequencies)
    assert kept.average_length == pytest.approx(read.average_length)
    mine, theirs = by_id(kept), by_id(read)
    for name in mine.keys() & theirs.keys():
        assert fields_of(mine[name].memory) == fields_of(theirs[name].memory)
        assert mine[name].distance == theirs[name].distance
        assert mine[name].text_score == pytest.approx(theirs[name].text_score)
    if not query.rough_text:  # whose ties are broken in any order
        assert mine.keys() == theirs.keys()
    scores = [sorted(hit.text_score for hit in each.hits if hit.text_score is not None) for each in (kept, read)]
    assert scores[0] == pytest.approx(scores[1])


def ranked(
    found: Candidates, query: CandidateQuery, *, explain: bool
) -> tuple[list[list[Scored]], tuple[set[str], bool]]:
    """All that a ranking tells of candidates, in both of its forms."""
    asked = analyse_query(" ".join(query.text.any_of) if query.text is not None else "apple")
    ranking = pipeline_scores(asked, query.vector, found, query.conditions, DEFAULT_WEIGHTS, explain=explain)
    by_words = keyword_scores(asked, found, 5, DEFAULT_WEIGHTS, explain=explain)
    ordered = by_trust(ranking.matches, asked.terms, 10, found)
    told = [[msgspec.structs.replace(each, row=-1) for each in several] for several in (ordered, by_words)]
    return told, (ranking.left_out, ranking.fits)


def compare_rankings(kept: Candidates, read: Candidates, query: CandidateQuery, *, explain: bool) -> None:
    assert kept.made or not any(hit.memory.has_sources and not hit.memory.is_turn for hit in read.hits)
    assert kept.columns is not None or not kept.hits
    (mine, more), (theirs, others) = (ranked(each, query, explain=explain) for each in (kept, read))
    assert more == others
    for own, other in zip(mine, theirs, strict=True):
        assert [each.id for each in own] == [each.id for each in other]
        assert [each.score for each in own] == pytest.approx([each.score for each in other], abs=1e-6)
        assert [dict(each.parts) for each in own] == [pytest.approx(dict(each.parts), abs=1e-6) for each in other]
        assert [repeated(each) for each in own] == [repeated(each) for each in other]


def repeated(each: Scored) -> list[str]:
    return [] if each.group is None else [record.id for record in each.group.repeats]


@pytest.mark.parametrize("seed", range(6))
async def test_what_is_kept_ranks_as_what_is_read(seed: int, tmp_path: Path) -> None:
    chance = random.Random(100 + seed)
    async with both(tmp_path) as (kept, read):
        batch = put(*(some_memory(chance, f"m{number}") for number in range(60)))
        if seed % 2:
            batch.put_memories = [each for each in batch.put_memories if each.is_turn or not each.has_sources]
        await kept.commit(EVERYWHERE, batch)
        for number in range(40):
            query = replace(some_query(chance), rough_text=False)
            scope = chance.choice([ANN, BOTH, WORK])
            found = await kept.candidates(scope, query), await read.candidates(scope, query)
            compare_rankings(*found, query, explain=number % 2 == 0)


@pytest.mark.parametrize("seed", range(4))
async def test_what_is_kept_and_what_is_read_are_the_same_after_any_changes(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    async with both(tmp_path) as (kept, read):
        for _ in range(25):
            names = [f"m{chance.randint(0, 150)}" for _ in range(chance.randint(1, 20))]
            for name in dict.fromkeys(names):
                batch = put(some_memory(chance, name))
                batch.moved_ids = frozenset([name])
                await chance.choice([kept, read]).commit(EVERYWHERE, batch)
            gone = [f"m{chance.randint(0, 150)}" for _ in range(chance.randint(0, 3))]
            marked = tuple(f"m{chance.randint(0, 150)}" for _ in range(3))
            await chance.choice([kept, read]).commit(
                EVERYWHERE,
                WriteBatch(delete_memories=gone, access=AccessMark(ids=marked, at=after(86400), interval_s=0)),
            )
            for scope in (ANN, BOTH, WORK, EVERYWHERE, make_scope(users=("nobody",))):
                query = some_query(chance)
                compare(await kept.candidates(scope, query), await read.candidates(scope, query), query)


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
            found = search.candidates(older, reading, APPLE, store._cache, store._blocks, 4096)
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
