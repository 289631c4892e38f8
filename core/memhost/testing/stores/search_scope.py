"""Conformance: the scope of a search, and of the facts that come with its hits."""

from __future__ import annotations

import pytest

from memhost.models import (
    Condition,
    Op,
    Scope,
    WriteBatch,
)
from memhost.ports import Store
from memhost.testing.factories import (
    make_memory,
    make_scope,
    make_turn,
    make_vector,
    put,
)
from memhost.testing.stores.search import EVERYWHERE, OTHER, around, ask, nearest, texts, words


class SearchScopeTests:
    """Scopes, neighbours, statistics and totals."""

    @pytest.mark.parametrize(
        "scope",
        [
            make_scope(users=("ann",)),
            make_scope(namespaces=("home",)),
            make_scope(sessions=("s1",)),
            make_scope(namespaces=("home",), users=("ann",)),
            make_scope(users=("ann", "bob"), sessions=("s1", "s2")),
            make_scope(users=("ann", "carl")),
            make_scope(namespaces=("home", "work")),
            make_scope(),
        ],
        ids=str,
    )
    async def test_candidates_lie_inside_the_scope(self, store: Store, scope: Scope) -> None:
        memories = [
            make_memory(
                f"{namespace}.{user}.{session}",
                "apple",
                namespace=namespace,
                user_id=user,
                session_id=session,
                vector=make_vector(1),
                position=1,
            )
            for namespace in ("home", "work")
            for user in ("ann", "bob", "Ann")
            for session in ("s1", "s2")
        ]
        await store.commit(EVERYWHERE, put(*memories))
        await store.commit(OTHER, put(*memories))
        inside = {
            memory.record.id
            for memory in memories
            if scope.allows(memory.record.namespace, memory.record.user_id, memory.record.session_id)
        }
        found = await ask(
            store,
            scope,
            text=words("apple"),
            vector=make_vector(1),
            neighbours=3,
            statistics_for=("apple",),
            count=True,
        )
        assert set(texts(found.hits)) == set(nearest(found.hits)) == inside
        assert around(found.hits) == set()
        assert (found.documents, found.frequencies, found.total) == (len(inside), {"apple": len(inside)}, len(inside))

    async def test_a_scope_without_memories_finds_nothing(self, store: Store) -> None:
        await store.commit(EVERYWHERE, put(make_memory("m1", "apple", vector=make_vector(1))))
        for scope in (make_scope(users=("bob",)), make_scope(users=()), make_scope(sessions=("s1",)), OTHER):
            found = await ask(
                store, scope, text=words("apple"), vector=make_vector(1), statistics_for=("apple",), count=True
            )
            assert (found.hits, found.documents, found.average_length, found.total) == ([], 0, 0.0, 0)
            assert found.frequencies == {"apple": 0}

    # -- neighbours ------------------------------------------------------------------------------------

    async def test_neighbours_are_turns_of_the_same_session(self, store: Store) -> None:
        turns = [make_turn(session, position, "x") for session in ("s1", "s2") for position in range(7)]
        turns[3].terms = ("apple",)
        extra = [
            make_turn("s1", 20, "x", namespace="home"),
            make_memory("derived", "x", session_id="s1"),
            make_memory("foreign", "x", session_id="s1", position=2, namespace="home"),
            make_memory("stranger", "x", session_id="s1", position=2, user_id="bob"),
        ]
        await store.commit(EVERYWHERE, put(*turns, *extra))
        found = await ask(store, text=words("apple"), neighbours=2)
        assert texts(found.hits) == ["s1-3"]
        assert around(found.hits) == {"s1-1", "s1-2", "s1-4", "s1-5"}
        assert around((await ask(store, text=words("apple"))).hits) == set()

    async def test_neighbours_of_neighbours_are_left_out_and_hits_are_not_repeated(self, store: Store) -> None:
        turns = [make_turn("s1", position, "apple" if position in (2, 3, 9) else "x") for position in range(12)]
        await store.commit(EVERYWHERE, put(*turns))
        found = await ask(store, text=words("apple"), neighbours=1)
        assert set(texts(found.hits)) == {"s1-2", "s1-3", "s1-9"}
        assert around(found.hits) == {"s1-1", "s1-4", "s1-8", "s1-10"}

    async def test_neighbours_need_not_satisfy_the_conditions(self, store: Store) -> None:
        turns = [make_turn("s1", 0, "x"), make_turn("s1", 1, "apple", topics=["food"]), make_turn("s1", 2, "apple")]
        await store.commit(EVERYWHERE, put(*turns))
        found = await ask(
            store, text=words("apple"), neighbours=1, conditions=(Condition("topics", Op.ANY, ("food",)),)
        )
        assert texts(found.hits) == ["s1-1"]
        assert around(found.hits) == {"s1-0", "s1-2"}

    # -- statistics and totals -------------------------------------------------------------------------

    async def test_statistics_count_the_scope_whatever_the_conditions(self, store: Store) -> None:
        await store.commit(
            EVERYWHERE,
            put(
                make_memory("a", "apple apple pie"),
                make_memory("b", "apple"),
                make_memory("c", "plum", topics=["t"]),
                make_memory("d", "apple", user_id="bob"),
            ),
        )
        found = await ask(
            store,
            make_scope(users=("ann",)),
            statistics_for=("apple", "pie", "none"),
            conditions=(Condition("topics", Op.ANY, ("t",)),),
        )
        assert found.documents == 3
        assert found.average_length == pytest.approx(5 / 3)
        assert found.frequencies == {"apple": 2, "pie": 1, "none": 0}
        narrowed = await ask(
            store, statistics_for=("apple",), text=words("apple"), conditions=(Condition("user_id", Op.ANY, ("bob",)),)
        )
        assert (texts(narrowed.hits), narrowed.documents, narrowed.frequencies) == (["d"], 4, {"apple": 3})

    async def test_statistics_follow_every_change(self, store: Store) -> None:
        await store.commit(EVERYWHERE, put(make_memory("a", "x y"), make_memory("b", "x y z w", session_id="s1")))
        await store.commit(EVERYWHERE, put(make_memory("b", "x", session_id="s2")))
        found = await ask(store, statistics_for=("x", "y"))
        assert (found.documents, found.average_length, found.frequencies) == (2, 1.5, {"x": 2, "y": 1})
        await store.commit(EVERYWHERE, WriteBatch(delete_memories=["a", "b"]))
        found = await ask(store, statistics_for=("x",))
        assert (found.documents, found.average_length, found.frequencies) == (0, 0.0, {"x": 0})

    async def test_totals(self, store: Store) -> None:
        memories = [
            make_memory(
                f"m{number:02}",
                "apple" if number < 30 else "plum",
                vector=make_vector(1, number),
                topics=["t"] if number % 2 else [],
            )
            for number in range(50)
        ]
        await store.commit(EVERYWHERE, put(*memories))
        tagged = (Condition("topics", Op.ANY, ("t",)),)
        text = words("apple")
        vector = make_vector(1)
        for expected, query in (
            (30, {"text": text}),
            (15, {"text": text, "conditions": tagged}),
            (50, {"vector": vector}),
            (25, {"vector": vector, "conditions": tagged}),
            (50, {"text": text, "vector": vector}),
            (2, {"text": text, "vector": vector, "max_distance": 0.4}),
            (1, {"vector": vector, "max_distance": 0.4, "conditions": tagged}),
            (25, {"conditions": tagged}),
            (50, {}),
        ):
            found = await ask(store, **query, text_limit=3, vector_limit=3, count=True)
            assert found.total == expected, f"total of {query}"
        assert (await ask(store, text=text)).total == 0, "not counted unless asked for"
