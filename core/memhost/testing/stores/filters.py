"""Conformance: conditions."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta, timezone

import pytest

from memhost.errors import InvalidRequest
from memhost.models import Condition, MemoryType, Op, Scope, matches
from memhost.models.filters import DATE_FIELDS, VALUE_OPS, metadata_text
from memhost.ports import Store
from memhost.testing.factories import after, make_memory, make_scope, make_vector, put
from memhost.testing.stores.search import ask, nearest, texts, words

EVERYWHERE = make_scope()
OTHER = Scope(tenant="other")

FILTERED = [
    make_memory("plain"),
    make_memory("bare", namespace=None, user_id=None),
    make_memory("tagged", topics=["Food", "TRAVEL"], entities=["Ann Lee", "B"], session_id="s1"),
    make_memory("folded", topics=["stra\u00dfe", "food"], user_id="Ann", session_id="s10"),
    make_memory("odd", topics=["100%_", "a'b\"c", "nul\x00x"], namespace="wo%k", entities=["\U0010ffff"]),
    make_memory("dated", event_date=after(10), valid_from=after(-10.5), valid_to=after(0.000001)),
    make_memory("later", created_at=after(1), updated_at=after(2), last_accessed=after(3), event_date=after(10.000001)),
    make_memory("said", said_at=after(10), said_before=[after(-10.5)], event_end=after(10.000001)),
    make_memory("told", said_at=after(10.000001), event_date=after(20), event_end=after(-10.5)),
    make_memory("happened", said_at=after(10.000001), event_date=after(0.000001)),
    make_memory("turn", memory_type=MemoryType.MESSAGE, extraction_strategy="message", event_date=after(-20)),
    make_memory("hashed", memory_hash="ab12"),
    make_memory("typed", memory_type=MemoryType.MESSAGE, extraction_strategy="summary"),
    make_memory("number", metadata={"n": 5, "s": "5", "b": True, "list": ["x", "Y", "z"]}),
    make_memory("float", metadata={"n": 5.5, "s": "abc", "b": False, "list": []}),
    make_memory(
        "mixed", metadata={"n": ["a", 7, 2], "s": "ABC", "b": "true", "list": ["x"], "null": None, "deep": {"n": 1}}
    ),
    make_memory("several", metadata={"n": [9, 5.5, "z", -3], "b": [True, "false"], "s": ["true"]}),
    make_memory("read", metadata={"n": [True, "6"], "b": ["true\uffff", 1], "s": "false"}),
    make_memory("big", metadata={"n": -1e300, "key with.dots": "v", "s": ""}),
]

TAG_OPS = VALUE_OPS
ORDER_OPS = tuple(op for op in Op if op not in (*VALUE_OPS, Op.OUTSIDE))

TAG_VALUES: dict[str, list[tuple[str, ...]]] = {
    "id": [("plain",), ("plain", "odd", "none"), ("Plain",), ("d", "la"), ()],
    "namespace": [("work",), ("",), ("wo%k", "home"), ("wo",), ("wo%",), ("Work",)],
    "user_id": [("ann",), ("Ann", "ann"), ("",), ("A",)],
    "session_id": [("s1",), ("s",), ("",), ("s1", "s10"), ("S1",)],
    "memory_type": [("message",), ("semantic", "message"), ("sem",)],
    "memory_hash": [("ab12",), ("AB12",), ("ab",), ("",)],
    "extraction_strategy": [("summary",), ("discrete",), ("s", "x")],
    "topics": [("food",), ("FOOD", "travel"), ("STRASSE",), ("100%_",), ("100",), ("nul\x00x",), ("nul",), ("",), ()],
    "entities": [("ann lee",), ("ANN",), ("b", "ann lee"), ("\U0010ffff",), ("a'",)],
}
METADATA_VALUES: dict[str, list[tuple[str | float, ...]]] = {
    "metadata.n": [(5.0,), (5.5, 7.0), ("5",), ("a", 7.0), ()],
    "metadata.s": [("5",), (5.0,), ("abc",), ("ABC", "abc"), ("",)],
    "metadata.b": [("true",), ("false",), ("true", "false"), (metadata_text("true"),), (metadata_text("false"), 1.0)],
    "metadata.list": [("x",), ("x", "z"), ("y",), ("Y",)],
    "metadata.key with.dots": [("v",)],
    "metadata.null": [("None",)],
    "metadata.missing": [("x",)],
}


def _cases() -> Iterable[Condition]:
    for field, choices in TAG_VALUES.items():
        yield from (Condition(field, op, values) for op in TAG_OPS for values in choices)
    for field, mixed in METADATA_VALUES.items():
        for values in mixed:
            yield from (Condition(field, op, values) for op in (Op.ANY, Op.ALL, Op.NONE))
            if all(isinstance(value, str) for value in values):
                yield Condition(field, Op.PREFIX, values)
    for number in (5.0, 5.5, 7.0, -1e300, 2.0, 9.0, -3.0, 1.0):
        yield from (Condition("metadata.n", op, (number,)) for op in ORDER_OPS)
    yield from (Condition("metadata.s", op, (5.0,)) for op in ORDER_OPS)
    zone = timezone(timedelta(hours=-7))
    for field in DATE_FIELDS:
        for seconds in (0, 0.000001, 10, 10.000001, -10.5):
            moment = after(seconds).astimezone(zone)
            yield from (Condition(field, op, (moment,)) for op in ORDER_OPS)
            yield Condition(field, Op.OUTSIDE, (moment, after(seconds + 10)))


class FilterTests:
    """Conditions mean what `memhost.models.matches` says."""

    async def test_every_operator_on_every_kind_of_field(self, store: Store) -> None:
        await store.commit(EVERYWHERE, put(*FILTERED))
        await store.commit(OTHER, put(*FILTERED))
        wrong = []
        for condition in _cases():
            found, total = await store.list_memories(EVERYWHERE, [condition])
            ids = {memory.record.id for memory in found}
            expected = {memory.record.id for memory in FILTERED if matches(memory.record, [condition])}
            if ids != expected or total != len(expected):
                wrong.append((condition, ids ^ expected, total))
        assert not wrong, "compare with memhost.models.matches"

    async def test_all_conditions_must_hold(self, store: Store) -> None:
        await store.commit(EVERYWHERE, put(*FILTERED))
        conditions = [Condition("topics", Op.ANY, ("food",)), Condition("user_id", Op.ANY, ("ann", "bob"))]
        found, total = await store.list_memories(EVERYWHERE, conditions)
        assert ([memory.record.id for memory in found], total) == (["tagged"], 1)
        contradiction = [Condition("user_id", Op.ANY, ("ann",)), Condition("user_id", Op.ANY, ("Ann",))]
        assert await store.list_memories(EVERYWHERE, contradiction) == ([], 0)

    async def test_conditions_do_not_widen_the_scope(self, store: Store) -> None:
        await store.commit(EVERYWHERE, put(*FILTERED))
        scope = make_scope(users=("Ann",))
        found, _ = await store.list_memories(scope, [Condition("user_id", Op.ANY, ("ann", "Ann"))])
        assert [memory.record.id for memory in found] == ["folded"]
        assert await store.list_memories(scope, [Condition("user_id", Op.ANY, ("ann",))]) == ([], 0)

    async def test_conditions_follow_access_marks_and_replacements(self, store: Store) -> None:
        await store.commit(EVERYWHERE, put(make_memory("m1", topics=["old"])))
        await store.commit(EVERYWHERE, put(make_memory("m1", topics=["new"], last_accessed=after(50))))
        assert (await store.list_memories(EVERYWHERE, [Condition("topics", Op.ANY, ("old",))]))[1] == 0
        assert (await store.list_memories(EVERYWHERE, [Condition("last_accessed", Op.EQ, (after(50),))]))[1] == 1

    async def test_unknown_field_is_refused(self, store: Store) -> None:
        await store.commit(EVERYWHERE, put(make_memory("m1")))
        with pytest.raises(InvalidRequest):
            await store.list_memories(EVERYWHERE, [Condition("nonsense", Op.ANY, ("x",))])

    async def test_candidates_satisfy_the_conditions_in_both_legs(self, store: Store) -> None:
        memories = [
            make_memory(
                f"m{number:02}", "apple", vector=make_vector(1, number / 50), topics=["odd" if number % 2 else "even"]
            )
            for number in range(40)
        ]
        await store.commit(EVERYWHERE, put(*memories))
        conditions = (Condition("topics", Op.ANY, ("odd",)),)
        found = await ask(
            store,
            text=words("apple"),
            text_limit=5,
            vector=make_vector(1),
            vector_limit=3,
            conditions=conditions,
            count=True,
        )
        assert texts(found.hits) == ["m01", "m03", "m05", "m07", "m09"]
        assert nearest(found.hits) == ["m01", "m03", "m05"]
        assert found.total == 20
        rare = (Condition("id", Op.ANY, ("m39",)),)
        found = await ask(
            store, text=words("apple"), vector=make_vector(1), conditions=rare, text_limit=1, vector_limit=1
        )
        assert (texts(found.hits), nearest(found.hits)) == (["m39"], ["m39"]), "filters apply before limits"
