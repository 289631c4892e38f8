"""Memories and queries by chance: a store that keeps memories in the process finds what one finds that keeps none."""

from __future__ import annotations

import random
from dataclasses import replace

import msgspec
import pytest

from memhost.models import (
    AccessMark,
    CandidateHit,
    CandidateQuery,
    Candidates,
    Condition,
    MemoryType,
    Op,
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

EVERYWHERE = make_scope()
ANN = make_scope(users=("ann",))
BOTH = make_scope(users=("ann", "bob"))
WORK = make_scope(namespaces=("work",), users=("ann",))
WORDS = tuple(
    "apple pear plum über naïve 苹果 gate door squeaks paints photo photography the a of 42 zdt2024".split()  # noqa: SIM905
)


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
        assert mine[name].distance == pytest.approx(theirs[name].distance, abs=1e-6)
    if not query.rough_text:  # whose scores and ties are each store's own
        assert mine.keys() == theirs.keys()
        for name, hit in mine.items():
            assert hit.text_score == pytest.approx(theirs[name].text_score)
    numbers = [sum(hit.text_score is not None for hit in each.hits) for each in (kept, read)]
    assert numbers[0] == numbers[1]


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


async def compare_rankings_of_some(chance: random.Random, kept: Store, read: Store, *, made: bool) -> None:
    """Put memories (with some that were made from others, or without), and rank what searches find in both stores."""
    batch = put(*(some_memory(chance, f"m{number}") for number in range(60)))
    if not made:
        batch.put_memories = [each for each in batch.put_memories if each.is_turn or not each.has_sources]
    await kept.commit(EVERYWHERE, batch)
    for number in range(40):
        query = replace(some_query(chance), rough_text=False)
        scope = chance.choice([ANN, BOTH, WORK])
        found = await kept.candidates(scope, query), await read.candidates(scope, query)
        compare_rankings(*found, query, explain=number % 2 == 0)


async def compare_after_changes(chance: random.Random, kept: Store, read: Store) -> None:
    """Change memories through both stores in turn, and search in both."""
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
