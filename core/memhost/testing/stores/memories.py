"""Conformance: putting, getting, listing, deleting and marking memories."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import numpy as np
import pytest

from memhost.errors import InvalidRequest
from memhost.models import AccessMark, MemoryType, Scope, WriteBatch
from memhost.ports import Store
from memhost.testing.factories import (
    after,
    make_job,
    make_memory,
    make_record,
    make_scope,
    make_session,
    make_turn,
    make_vector,
    put,
)

EVERYWHERE = make_scope()
ANN = make_scope(namespaces=("work",), users=("ann",))
BOB = make_scope(namespaces=("work",), users=("bob",))
OTHER = Scope(tenant="other")

ODD_STRINGS = {
    "nul": "before\x00after",
    "emoji": "\U0001f600 family \U0001f468\u200d\U0001f469\u200d\U0001f467",
    "quotes": 'it\'s "quoted"; DROP TABLE memories; -- %_*?[]{}',
    "colon": "a:b::c",
    "spaces": "  \t\r\n ",
    "accents": "e\u0301 \u00e9 \u0130\u0131 \u1e9e",
    "wildcards": "%",
    "long": "x" * 100_000,
    "highest": "\U0010ffff\uffff\ud7ff\ue000",
}


class MemoryTests:
    """Putting, getting, listing, deleting and marking memories."""

    async def test_every_field_of_a_memory_comes_back(self, store: Store) -> None:
        record = make_record(
            "m1",
            "Ann adopted a cat",
            session_id="s1",
            last_accessed=after(1),
            created_at=after(2),
            updated_at=after(3),
            pinned=True,
            access_count=7,
            topics=["Pets", "pets", "Home"],
            entities=["Ann"],
            extracted_from=["t1"],
            memory_hash="abc",
            discrete_memory_extracted="f",
            memory_type=MemoryType.EPISODIC,
            persisted_at=after(4),
            event_date=after(5),
            event_end=after(5.5),
            event_precision="minute",
            said_at=after(3.5),
            said_before=[after(-7), after(-6.000001)],
            extraction_strategy="custom",
            extraction_strategy_config={"a": [1, {"b": None}]},
            metadata={"n": 1, "f": 1.5, "s": "x", "b": True, "l": ["x", "y"]},
            source_ids=["t1", "t2"],
            extractor="demo 1.0",
            valid_from=after(6),
            valid_to=after(7),
            superseded_by="m2",
        )
        vector = make_vector(1, 2, 3, -4)
        memory = replace(
            make_memory("m1"),
            record=record,
            terms=("ann", "adopt", "cat"),
            vector=vector,
            speaker="Ann",
            role="user",
            position=4,
            lead=11,
            traits=191,
        )
        await store.commit(EVERYWHERE, put(memory))
        (found,) = await store.get_memories(EVERYWHERE, ["m1"])
        assert found.record == record
        assert (found.terms, found.speaker, found.role, found.position) == (memory.terms, "Ann", "user", 4)
        assert (found.lead, found.traits) == (11, 191)
        assert found.vector is not None
        assert found.vector.dtype == np.float32
        np.testing.assert_allclose(found.vector, vector, atol=2e-3)

    async def test_smallest_memory_comes_back(self, store: Store) -> None:
        record = make_record("m1", "", namespace=None, user_id=None)
        await store.commit(EVERYWHERE, put(replace(make_memory("m1"), record=record, terms=())))
        (found,) = await store.get_memories(EVERYWHERE, ["m1"])
        assert found.record == record
        assert (found.terms, found.vector, found.speaker, found.role, found.position) == ((), None, None, None, None)

    async def test_times_keep_their_microseconds_and_come_back_in_utc(self, store: Store) -> None:
        moment = datetime(2021, 7, 1, 1, 2, 3, 456789, tzinfo=timezone(timedelta(hours=5, minutes=30)))
        early = datetime(1931, 2, 3, 4, 5, 6, 7, tzinfo=UTC)
        await store.commit(
            EVERYWHERE, put(make_memory("m1", created_at=moment, last_accessed=moment, event_date=early))
        )
        (found,) = await store.get_memories(EVERYWHERE, ["m1"])
        assert found.record.created_at == moment
        assert found.record.last_accessed == moment
        assert found.record.event_date == early
        assert found.record.created_at.utcoffset() == timedelta(0), "convert times to UTC when reading"

    @pytest.mark.parametrize("text", ODD_STRINGS.values(), ids=ODD_STRINGS)
    async def test_any_text_comes_back_and_is_an_exact_owner(self, store: Store, text: str) -> None:
        memory = make_memory(
            text, text, namespace=text, user_id=text, session_id=text, topics=[text], metadata={text: text}
        )
        scope = make_scope(namespaces=(text,), users=(text,), sessions=(text,))
        await store.commit(scope, put(memory))
        (found,) = await store.get_memories(scope, [text])
        assert found.record == memory.record
        assert await store.get_memories(make_scope(users=(text + "x",)), [text]) == []
        assert await store.get_memories(make_scope(sessions=(text[:-1],)), [text]) == []

    async def test_lone_surrogates_are_refused_and_change_nothing(self, store: Store) -> None:
        with pytest.raises(InvalidRequest):
            await store.commit(EVERYWHERE, put(make_memory("good"), make_memory("bad", "\ud800")))
        assert await store.list_memories(EVERYWHERE) == ([], 0)
        await store.ping()

    async def test_stored_values_are_not_shared_with_the_caller(self, store: Store) -> None:
        memory = make_memory("m1", topics=["a"], vector=make_vector(1))
        await store.commit(EVERYWHERE, put(memory))
        memory.record.topics.append("b")
        (found,) = await store.get_memories(EVERYWHERE, ["m1"])
        found.record.topics.append("c")
        (again,) = await store.get_memories(EVERYWHERE, ["m1"])
        assert again.record.topics == ["a"]

    async def test_a_batch_is_not_changed_by_committing_it(self, store: Store) -> None:
        await store.commit(EVERYWHERE, put(make_memory("m1", persisted_at=after(1))))
        batch = put(make_memory("m1"))
        await store.commit(EVERYWHERE, batch)
        assert batch.put_memories[0].record == make_record("m1")

    async def test_get_keeps_the_order_of_ids_and_leaves_out_missing_ones(self, store: Store) -> None:
        await store.commit(EVERYWHERE, put(*(make_memory(name) for name in "abc")))
        found = await store.get_memories(EVERYWHERE, ["c", "x", "a", "c"])
        assert [memory.record.id for memory in found] == ["c", "a"]
        assert await store.get_memories(EVERYWHERE, []) == []

    async def test_result_names_created_replaced_and_deleted(self, store: Store) -> None:
        first = await store.commit(EVERYWHERE, put(make_memory("a"), make_memory("b")))
        assert (first.created, first.replaced, first.deleted) == (["a", "b"], [], [])
        second = await store.commit(EVERYWHERE, put(make_memory("b"), make_memory("c"), delete_memories=["a", "x"]))
        assert (second.created, second.replaced, second.deleted) == (["c"], ["b"], ["a"])

    async def test_replacing_replaces_everything(self, store: Store) -> None:
        old = make_memory("m1", "old words", vector=make_vector(1), topics=["old"], metadata={"k": 1}, position=1)
        new = make_memory("m1", "new words", topics=["new"])
        await store.commit(EVERYWHERE, put(old))
        await store.commit(EVERYWHERE, put(new))
        found, total = await store.list_memories(EVERYWHERE)
        assert total == 1
        assert found[0].record == new.record
        assert found[0].vector is None
        assert found[0].position is None

    async def test_replacing_keeps_persisted_at_unless_given(self, store: Store) -> None:
        await store.commit(EVERYWHERE, put(make_memory("m1", persisted_at=after(1))))
        await store.commit(EVERYWHERE, put(make_memory("m1")))
        assert (await store.get_memories(EVERYWHERE, ["m1"]))[0].record.persisted_at == after(1)
        await store.commit(EVERYWHERE, put(make_memory("m1", persisted_at=after(9))))
        assert (await store.get_memories(EVERYWHERE, ["m1"]))[0].record.persisted_at == after(9)

    async def test_last_of_several_memories_with_one_id_counts(self, store: Store) -> None:
        result = await store.commit(EVERYWHERE, put(make_memory("m1", "first"), make_memory("m1", "last")))
        assert result.created == ["m1"]
        found, total = await store.list_memories(EVERYWHERE)
        assert (total, found[0].record.text) == (1, "last")

    async def test_deleting_and_putting_one_id_in_a_batch_puts_it(self, store: Store) -> None:
        await store.commit(ANN, put(make_memory("m1", "old")))
        await store.commit(EVERYWHERE, put(make_memory("m1", "new", user_id="bob"), delete_memories=["m1"]))
        assert (await store.get_memories(BOB, ["m1"]))[0].record.text == "new"
        assert await store.get_memories(ANN, ["m1"]) == []

    async def test_empty_batch_changes_nothing(self, store: Store) -> None:
        result = await store.commit(EVERYWHERE, WriteBatch())
        assert (result.created, result.replaced, result.deleted, result.session_version) == ([], [], [], 0)

    # -- listing ---------------------------------------------------------------------------------------

    async def test_listing_orders_by_time_then_id(self, store: Store) -> None:
        await store.commit(
            EVERYWHERE,
            put(
                make_memory("b", created_at=after(1)),
                make_memory("a", created_at=after(1)),
                make_memory("c", created_at=after(0.000001)),
                make_memory("d", created_at=after(-5)),
            ),
        )
        oldest = [memory.record.id for memory in (await store.list_memories(EVERYWHERE, order="oldest"))[0]]
        newest = [memory.record.id for memory in (await store.list_memories(EVERYWHERE))[0]]
        assert oldest == ["d", "c", "a", "b"]
        assert newest == oldest[::-1]

    @pytest.mark.parametrize("order", ["newest", "oldest"])
    async def test_pages_hold_each_memory_once(self, store: Store, order: str) -> None:
        memories = [make_memory(f"m{number:03}", created_at=after(number // 10)) for number in range(57)]
        await store.commit(EVERYWHERE, put(*memories))
        seen: list[str] = []
        for offset in range(0, 70, 10):
            page, total = await store.list_memories(EVERYWHERE, order=order, limit=10, offset=offset)  # type: ignore[arg-type]
            assert total == 57, "the total counts all matches, not the page"
            seen += [memory.record.id for memory in page]
        assert sorted(seen) == [memory.record.id for memory in memories]

    # -- access marks ----------------------------------------------------------------------------------

    async def test_access_marks_count_once_an_interval(self, store: Store) -> None:
        await store.commit(EVERYWHERE, put(make_memory("m1")))
        for seconds, expected in ((10, 1), (300, 1), (909.9, 1), (910, 2), (1000, 2)):
            mark = AccessMark(ids=("m1",), at=after(seconds), interval_s=900)
            await store.commit(EVERYWHERE, WriteBatch(access=mark))
            (found,) = await store.get_memories(EVERYWHERE, ["m1"])
            assert found.record.access_count == expected, f"at {seconds} s"
        (found,) = await store.get_memories(EVERYWHERE, ["m1"])
        assert found.record.last_accessed == after(910)

    async def test_access_marks_change_nothing_else(self, store: Store) -> None:
        memory = make_memory("m1", topics=["a"], vector=make_vector(1), position=3)
        await store.commit(EVERYWHERE, put(memory))
        await store.commit(EVERYWHERE, WriteBatch(access=AccessMark(ids=("m1",), at=after(5))))
        (found,) = await store.get_memories(EVERYWHERE, ["m1"])
        assert found.record == msgspec.structs.replace(memory.record, access_count=1, last_accessed=after(5))
        assert found.position == 3

    async def test_access_marks_never_bring_back_deleted_memories(self, store: Store) -> None:
        await store.commit(EVERYWHERE, put(make_memory("m1")))
        await store.commit(EVERYWHERE, WriteBatch(delete_memories=["m1"]))
        await store.commit(EVERYWHERE, WriteBatch(access=AccessMark(ids=("m1", "x"), at=after(5), interval_s=0)))
        assert await store.list_memories(EVERYWHERE) == ([], 0)

    async def test_concurrent_access_marks_are_all_counted(self, store: Store) -> None:
        await store.commit(EVERYWHERE, put(make_memory("m1"), make_memory("m2")))
        marks = [AccessMark(ids=("m1", "m1", "m2"), at=after(number), interval_s=0) for number in range(30)]
        await asyncio.gather(*(store.commit(EVERYWHERE, WriteBatch(access=mark)) for mark in reversed(marks)))
        found = await store.get_memories(EVERYWHERE, ["m1", "m2"])
        assert [memory.record.access_count for memory in found] == [30, 30], "one mark counts a memory once"
        assert found[0].record.last_accessed == after(29), "last_accessed never goes back"

    async def test_turns_keep_their_positions(self, store: Store) -> None:
        await store.commit(EVERYWHERE, put(*(make_turn("s1", position) for position in (0, 1, 2**40))))
        found = await store.get_memories(EVERYWHERE, ["s1-0", "s1-1", f"s1-{2**40}"])
        assert [memory.position for memory in found] == [0, 1, 2**40]

    async def test_info_counts(self, store: Store) -> None:
        before = await store.info()
        assert before.engine
        assert before.counts == {"memories": 0, "sessions": 0, "jobs": 0, "dead_jobs": 0}
        batch = put(make_memory("m1"), make_memory("m2"), put_session=make_session(), add_jobs=[make_job()])
        await store.commit(EVERYWHERE, batch)
        await store.commit(OTHER, put(make_memory("m1")))
        assert (await store.info()).counts == {"memories": 3, "sessions": 1, "jobs": 1, "dead_jobs": 0}
        await store.ping()
