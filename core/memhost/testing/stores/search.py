"""Conformance: the candidates of a search, by words and by vectors."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import numpy as np
import pytest

from memhost.models import (
    CandidateHit,
    CandidateQuery,
    Candidates,
    Condition,
    Op,
    Scope,
    StoredMemory,
    TextMatch,
)
from memhost.ports import Store
from memhost.testing.factories import (
    after,
    make_memory,
    make_scope,
    make_vector,
    put,
)

EVERYWHERE = make_scope()
OTHER = Scope(tenant="other")


def texts(hits: Iterable[CandidateHit]) -> list[str]:
    """Ids of the text leg, best first."""
    found = [hit for hit in hits if hit.text_score is not None]
    return [
        hit.memory.record.id for hit in sorted(found, key=lambda hit: (-(hit.text_score or 0), hit.memory.record.id))
    ]


def nearest(hits: Iterable[CandidateHit]) -> list[str]:
    """Ids of the vector leg, nearest first."""
    found = [hit for hit in hits if hit.distance is not None]
    return [hit.memory.record.id for hit in sorted(found, key=lambda hit: (hit.distance or 0, hit.memory.record.id))]


def around(hits: Iterable[CandidateHit]) -> set[str]:
    """Ids that are only neighbours."""
    return {hit.memory.record.id for hit in hits if hit.text_score is None and hit.distance is None}


def words(*terms: str) -> TextMatch:
    """A full-text condition on any of these terms."""
    return TextMatch(any_of=terms)


async def ask(store: Store, scope: Scope = EVERYWHERE, **query: Any) -> Candidates:
    """Candidates for a query; each memory must be there once."""
    found = await store.candidates(scope, CandidateQuery(**query))
    ids = [hit.memory.record.id for hit in found.hits]
    assert len(ids) == len(set(ids)), "each memory is returned once"
    return found


class SearchTests:
    """Text, vectors, both together, and many memories."""

    async def test_any_term_matches_and_more_or_rarer_terms_rank_higher(self, store: Store) -> None:
        await store.commit(
            EVERYWHERE,
            put(
                make_memory("both", "red apple pie"),
                make_memory("rare", "green apple pie"),
                make_memory("common", "red plum pie"),
                make_memory("more", "red plum tart"),
                make_memory("none", "green plum tart"),
            ),
        )
        found = await ask(store, text=words("red", "apple"))
        assert texts(found.hits) == ["both", "rare", "common", "more"]
        assert all((hit.text_score or 0) > 0 and hit.distance is None for hit in found.hits)

    async def test_repeated_terms_and_shorter_texts_rank_higher(self, store: Store) -> None:
        await store.commit(
            EVERYWHERE,
            put(
                make_memory("twice", "apple apple x y"),
                make_memory("once", "apple x y z"),
                make_memory("long", "apple " + "filler " * 40),
                make_memory("other", "pear"),
            ),
        )
        assert texts((await ask(store, text=words("apple"))).hits) == ["twice", "once", "long"]

    async def test_phrases_match_in_order_and_side_by_side(self, store: Store) -> None:
        await store.commit(
            EVERYWHERE,
            put(
                make_memory("right", "i like new york city"),
                make_memory("reversed", "york new city"),
                make_memory("apart", "new old york"),
                make_memory("word", "just city"),
            ),
        )
        phrase = ("new", "york")
        assert texts((await ask(store, text=TextMatch(phrases=(phrase,)))).hits) == ["right"]
        either = await ask(store, text=TextMatch(any_of=("city",), phrases=(phrase,)))
        assert set(texts(either.hits)) == {"right", "reversed", "word"}
        required = await ask(store, text=TextMatch(any_of=("city",), required=(phrase,)), count=True)
        assert (texts(required.hits), required.total) == (["right"], 1)
        alone = await ask(store, text=TextMatch(required=(phrase,)))
        assert texts(alone.hits) == ["right"]
        two = await ask(store, text=TextMatch(any_of=("i",), required=(phrase, ("york", "city"))))
        assert texts(two.hits) == ["right"]
        neither = await ask(store, text=TextMatch(any_of=("i",), required=(phrase, ("york", "new"))))
        assert texts(neither.hits) == []

    @pytest.mark.parametrize(
        "term",
        [
            "na\u00efve",
            "\u6771\u4eac",
            "c++",
            "a-b",
            "a b",
            'q"q',
            "q'q",
            "x*",
            "^x",
            "AND",
            "Upper",
            "nul\x00x",
            "\U0001f600",
            "\ue02d",
            "scope",
            "1",
        ],
    )
    async def test_any_string_is_a_term_of_its_own(self, store: Store, term: str) -> None:
        decoys = ["naive", "c", "a", "b", "q", "x", "upper", "nul", "-", "and", "terms", "\ue02b\ue02b"]
        await store.commit(
            EVERYWHERE, put(make_memory("it", terms=(term,)), *(make_memory(d, terms=(d,)) for d in decoys))
        )
        found = await ask(store, text=words(term), statistics_for=(term,))
        assert texts(found.hits) == ["it"]
        assert found.frequencies == {term: 1}
        phrase = await ask(store, text=TextMatch(phrases=((term,),)))
        assert texts(phrase.hits) == ["it"]
        assert found.hits[0].memory.terms == (term,)

    async def test_text_leg_without_matches_or_words_is_empty(self, store: Store) -> None:
        await store.commit(EVERYWHERE, put(make_memory("m1", "apple")))
        assert (await ask(store, text=words("pear"))).hits == []
        assert (await ask(store, text=TextMatch())).hits == []
        assert (await ask(store)).hits == []

    async def test_text_limit_keeps_the_best_and_ties_go_by_id(self, store: Store) -> None:
        ids = [f"m{number:03}" for number in range(120)]
        await store.commit(EVERYWHERE, put(*(make_memory(name, "apple pie") for name in reversed(ids))))
        await store.commit(EVERYWHERE, put(make_memory("zz", "apple apple")))
        found = await ask(store, text=words("apple"), text_limit=4)
        assert texts(found.hits) == ["zz", "m000", "m001", "m002"]
        assert (await ask(store, text=words("apple"), text_limit=0)).hits == []

    async def test_replaced_and_deleted_words_do_not_match(self, store: Store) -> None:
        await store.commit(
            EVERYWHERE, put(make_memory("m1", "apple", vector=make_vector(1)), make_memory("m2", "apple"))
        )
        await store.commit(EVERYWHERE, put(make_memory("m1", "pear"), delete_memories=["m2"]))
        found = await ask(store, text=words("apple", "pear"), vector=make_vector(1), statistics_for=("apple", "pear"))
        assert (texts(found.hits), nearest(found.hits)) == (["m1"], [])
        assert found.frequencies == {"apple": 0, "pear": 1}
        assert (found.documents, found.average_length) == (1, 1.0)

    async def test_vector_leg_orders_by_cosine(self, store: Store) -> None:
        await store.commit(
            EVERYWHERE,
            put(
                make_memory("opposite", vector=make_vector(-1)),
                make_memory("near", vector=make_vector(1, 0.2)),
                make_memory("right", vector=make_vector(0, 1)),
                make_memory("same", vector=make_vector(1)),
                make_memory("none"),
            ),
        )
        found = await ask(store, vector=make_vector(1))
        assert nearest(found.hits) == ["same", "near", "right", "opposite"]
        distances = sorted(hit.distance or 0.0 for hit in found.hits)
        np.testing.assert_allclose(distances, [0, 1 - 1 / 1.04**0.5, 1, 2], atol=2e-3)
        assert all(0 <= distance <= 2 for distance in distances)
        assert nearest((await ask(store, vector=make_vector(1), vector_limit=2)).hits) == ["same", "near"]
        assert (await ask(store, vector=make_vector(1), vector_limit=0)).hits == []

    async def test_max_distance_bounds_the_vector_leg_alone(self, store: Store) -> None:
        await store.commit(
            EVERYWHERE,
            put(
                make_memory("same", "x", vector=make_vector(1)),
                make_memory("near", "x", vector=make_vector(1, 0.5)),
                make_memory("far", "apple", vector=make_vector(0, 1)),
            ),
        )
        found = await ask(store, vector=make_vector(1), max_distance=0.5, text=words("apple"), count=True)
        assert nearest(found.hits) == ["same", "near"]
        assert texts(found.hits) == ["far"]
        assert found.total == 2
        one = await ask(store, vector=make_vector(1), max_distance=0.5, vector_limit=1, count=True)
        assert (nearest(one.hits), one.total) == (["same"], 2)
        named = (Condition("id", Op.ANY, ("same",)),)
        none = await ask(store, vector=make_vector(-1), max_distance=0.1, conditions=named, count=True)
        assert (none.hits, none.total) == ([], 0)
        unknown = await ask(store, text=words("pear"), conditions=named, count=True)
        assert (unknown.hits, unknown.total) == ([], 0)

    async def test_equal_distances_go_by_id(self, store: Store) -> None:
        ids = [f"m{number:03}" for number in range(300)]
        vector = make_vector(0.3, 0.5, 0.1, 0.7, 0.2)
        await store.commit(EVERYWHERE, put(*(make_memory(name, vector=vector) for name in reversed(ids))))
        found = await ask(store, vector=make_vector(0.1, 0.9, 0.3), vector_limit=5)
        assert nearest(found.hits) == ids[:5]
        assert len({hit.distance for hit in found.hits}) == 1

    async def test_a_memory_found_by_both_legs_has_both_scores(self, store: Store) -> None:
        await store.commit(EVERYWHERE, put(make_memory("m1", "apple", vector=make_vector(1))))
        (hit,) = (await ask(store, text=words("apple"), vector=make_vector(1))).hits
        assert hit.text_score is not None
        assert hit.distance == pytest.approx(0, abs=2e-3)
        assert hit.memory.record == make_memory("m1", "apple").record
        assert hit.memory.vector is not None

    async def test_repeating_a_query_gives_the_same_candidates(self, store: Store) -> None:
        await store.commit(EVERYWHERE, put(*_corpus(300)))
        query: dict[str, Any] = {
            "text": words("w1", "w2", "w3"),
            "text_limit": 20,
            "vector": make_vector(1, 1),
            "vector_limit": 20,
            "neighbours": 2,
        }
        first, second = await ask(store, **query), await ask(store, **query)
        assert texts(first.hits) == texts(second.hits)
        assert nearest(first.hits) == nearest(second.hits)
        assert around(first.hits) == around(second.hits)

    async def test_other_tenants_change_neither_scores_nor_statistics(self, store: Store) -> None:
        await store.commit(EVERYWHERE, put(*_corpus(60)))
        query: dict[str, Any] = {
            "text": words("w1", "w2"),
            "vector": make_vector(1, 1),
            "statistics_for": ("w1", "w2"),
            "count": True,
        }
        before = await ask(store, **query)
        await store.commit(
            OTHER, put(*(make_memory(f"x{number}", "w1 w1 w9", vector=make_vector(1, 1)) for number in range(200)))
        )
        later = await ask(store, **query)
        scores = [
            {hit.memory.record.id: (hit.text_score, hit.distance) for hit in answer.hits} for answer in (before, later)
        ]
        assert scores[0] == scores[1]
        assert (before.documents, before.frequencies, before.average_length, before.total) == (
            later.documents,
            later.frequencies,
            later.average_length,
            later.total,
        )

    async def test_candidates_of_five_thousand(self, store: Store) -> None:
        memories = _corpus(5000)
        await store.commit(EVERYWHERE, put(*memories))
        vector = make_vector(0.3, 1, -0.4, 0.2)
        found = await ask(
            store, vector=vector, vector_limit=50, text=words("w3", "w7"), text_limit=50, count=True, max_distance=0.6
        )
        cosines = {memory.record.id: float(memory.vector @ vector) for memory in memories if memory.vector is not None}
        best = sorted(cosines, key=lambda name: -cosines[name])
        assert set(nearest(found.hits)[:40]) <= set(best[:60])
        assert abs(found.total - sum(value >= 0.4 for value in cosines.values())) <= 10
        assert all(
            "w3" in hit.memory.terms or "w7" in hit.memory.terms for hit in found.hits if hit.text_score is not None
        )
        assert len(texts(found.hits)) == 50

    async def test_changes_are_found_at_once_among_five_thousand(self, store: Store) -> None:
        memories = _corpus(5000)
        await store.commit(EVERYWHERE, put(*memories))
        vector = make_vector(5, -4, 3, -2, 1, 7, -7, 9)
        await ask(store, vector=vector, vector_limit=3)
        await store.commit(EVERYWHERE, put(make_memory("new", vector=vector), make_memory("twin", vector=vector)))
        assert nearest((await ask(store, vector=vector, vector_limit=3)).hits)[:2] == ["new", "twin"]
        await store.commit(EVERYWHERE, put(make_memory("new", vector=-vector), delete_memories=["twin"]))
        found = nearest((await ask(store, vector=vector, vector_limit=6000)).hits)
        assert "twin" not in found
        assert found[-1] == "new"
        tagged = (Condition("id", Op.ANY, ("new", "m00007")),)
        assert nearest((await ask(store, vector=vector, vector_limit=1, conditions=tagged)).hits) == ["m00007"]


def _corpus(size: int) -> list[StoredMemory]:
    """Memories with words and vectors that look irregular but are always the same."""
    directions = np.random.default_rng(7).normal(size=(size, 8)).astype(np.float32)
    memories = []
    for number in range(size):
        text = " ".join(f"w{number * factor % modulus}" for factor, modulus in ((1, 11), (3, 17), (7, 23)))
        vector = make_vector(*directions[number].tolist())
        memories.append(
            make_memory(
                f"m{number:05}",
                text,
                vector=vector,
                session_id=f"s{number // 20}",
                position=number % 20,
                created_at=_moment(number),
            )
        )
    return memories


def _moment(number: int) -> datetime:
    return after(number * 60)
