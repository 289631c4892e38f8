"""Merging without a language model: true repetitions, and nothing else."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memhost.errors import NotFound
from memhost.host import Host
from memhost.memories import exact_duplicates as deduplication
from memhost.memories.exact_duplicates import find_repetitions
from memhost.memories.records import content_hash, hashes_of
from memhost.memories.repetition import clusters, compatible, completed, statement
from memhost.models import MemoryRecord, MemoryType, Scope, WriteBatch
from memhost.operations import Call
from memhost.testing.clock import FakeClock
from memhost.testing.factories import START, after, make_memory, make_record
from tests.support.hosts import ADMIN, bound_to, run, running_host
from tests.support.statements import ONE_STATEMENT, TWO_STATEMENTS

STORES = pytest.mark.parametrize("store", ["memory", "sqlite"])
TEA = "Likes tea"


def test_the_pairs_that_stay_apart_are_at_least_twice_as_many() -> None:
    assert len(TWO_STATEMENTS) >= 2 * len(ONE_STATEMENT)


def repeats(one: MemoryRecord, other: MemoryRecord) -> bool:
    return statement(one.text) == statement(other.text) and compatible(one, other)


@pytest.mark.parametrize(("first", "second"), ONE_STATEMENT)
def test_one_statement(first: str, second: str) -> None:
    one, other = make_record("a", first), make_record("b", second)
    assert repeats(one, other)
    assert repeats(other, one)
    assert content_hash(one) == content_hash(other)


@pytest.mark.parametrize(("first", "second"), TWO_STATEMENTS)
def test_two_statements(first: str, second: str) -> None:
    one, other = make_record("a", first), make_record("b", second)
    assert not repeats(one, other)
    assert not repeats(other, one)
    assert content_hash(one) != content_hash(other)


@given(st.text())
def test_a_statement_holds_every_sign_but_gaps_and_one_full_stop(text: str) -> None:
    found = statement(text)
    assert statement(found) in (found, found[:-1])
    assert len("".join(text.split())) - len("".join(found.split())) <= 1 or not text.isascii()


@STORES
async def test_nothing_is_lost_on_writing_and_compacting(store: str, tmp_path: Path) -> None:
    pairs = [pair for pair in TWO_STATEMENTS if all(text.strip() for text in pair)]
    async with running_host(tmp_path, store=store, run_jobs=False) as host:
        records = [
            {"id": f"{number}-{index}", "text": text, "user_id": f"u{number}"}
            for number, pair in enumerate(pairs)
            for index, text in enumerate(pair)
        ]
        await run(host, "create_memories", memories=records[::2])
        await run(host, "create_memories", memories=records[1::2])
        report = (await run(host, "compact_memories", report=True)).report
        assert (report.exact_removed, report.merged, report.llm_calls) == (0, 0, 0)
        found, total = await host.store.list_memories(Scope(tenant="default"), limit=1000)
        assert {(item.record.id, item.record.text) for item in found} == {(row["id"], row["text"]) for row in records}
        assert total == len(records)


# -- other fields ------------------------------------------------------------------------------------------

DIFFERENT: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"user_id": "ann"}, {"user_id": "bob"}),
    ({"user_id": "ann"}, {"user_id": None}),
    ({"namespace": "work"}, {"namespace": "home"}),
    ({"memory_type": MemoryType.SEMANTIC}, {"memory_type": MemoryType.EPISODIC}),
    ({"event_date": after(0)}, {"event_date": after(1)}),
    ({"event_date": after(0)}, {"event_date": after(86_400)}),
    ({"valid_from": after(0)}, {}),
    ({}, {"valid_to": after(0)}),
    ({"valid_from": after(0)}, {"valid_from": after(60)}),
    ({"superseded_by": "x"}, {}),
    ({"metadata": {"project": "red"}}, {"metadata": {"project": "blue"}}),
    ({"metadata": {"n": 1}}, {"metadata": {"n": True}}),
    ({"metadata": {"n": [1]}}, {"metadata": {"n": [True]}}),
    ({"metadata": {"n": {"k": 0}}}, {"metadata": {"n": {"k": False}}}),
    ({"metadata": {"n": 1}}, {"metadata": {"n": "1"}}),
    ({"metadata": {"n": None}}, {"metadata": {"n": 0}}),
]
ADDING: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"topics": ["drinks"], "entities": ["tea"]}),
    ({}, {"pinned": True}),
    ({}, {"metadata": {"src": "crm"}}),
    ({"metadata": {"n": 1}}, {"metadata": {"n": 1.0, "m": 2}}),
    ({"trust": "agent"}, {"trust": "assistant"}),
    ({}, {"event_date": after(0)}),
    ({"event_date": after(0)}, {}),
    ({"user_id": ""}, {"user_id": None}),
    ({"session_id": "s1"}, {"session_id": "s2"}),
    ({"session_id": None}, {"session_id": "s2"}),
]


DATED = {"event_date": after(0), "event_end": after(9), "event_precision": "day"}
MADE = {"extractor": "discrete/1"}


@pytest.mark.parametrize(
    "fields", [{"event_end": after(8)}, {"event_precision": "week"}, {"event_precision": "minute"}], ids=str
)
def test_dates_of_events_that_differ_keep_one_text_apart(fields: dict[str, Any]) -> None:
    one, other = make_record("a", TEA, **DATED), make_record("b", TEA, **{**DATED, **fields})
    assert not repeats(one, other)
    assert not repeats(other, one)


def test_what_holds_since_another_time_is_another_fact() -> None:
    since = make_record("a", TEA, valid_from=after(5), created_at=after(9), **MADE)
    for fields in ({"valid_from": after(6)}, {"created_at": after(4)}, {"said_at": after(4)}):
        other = make_record("b", TEA, **{"created_at": after(9), **MADE, **fields})
        assert not repeats(since, other), fields
        assert not repeats(other, since), fields
    client = make_record("c", TEA, valid_from=after(5), created_at=after(9))
    assert not repeats(client, make_record("d", TEA, created_at=after(9), **MADE)), "a client's date is the client's"
    assert repeats(since, make_record("e", TEA, created_at=after(7), **MADE))


def test_all_times_at_which_it_was_said_are_kept() -> None:
    one = make_record("a", TEA, said_at=after(5), said_before=[after(1)], created_at=after(90), **MADE)
    other = make_record("b", TEA, said_at=after(3), created_at=after(99), valid_from=after(1), **MADE)
    found = completed(one, other, after(100))
    assert found is not None
    assert (found.said_at, found.said_before, found.valid_from) == (after(5), [after(1), after(3)], after(1))
    assert completed(found, other, after(101)) is None
    silent = make_record("c", TEA, created_at=after(7))
    assert completed(silent, make_record("d", TEA, created_at=after(9)), after(100)) is None
    joined = completed(silent, one, after(100))
    assert joined is not None
    assert (joined.said_at, joined.said_before) == (after(7), [after(1), after(5)])


def test_of_very_many_sayings_the_first_and_the_latest_are_kept() -> None:
    found = make_record("a", TEA, said_at=after(0), **MADE)
    for number in range(1, 80):
        found = completed(found, make_record("b", TEA, said_at=after(number), **MADE), after(100)) or found
    assert (found.said_at, len(found.said_before)) == (after(79), 50)
    assert (found.said_before[0], found.said_before[1], found.said_before[-1]) == (after(0), after(30), after(78))


@pytest.mark.parametrize(("first", "second"), DIFFERENT, ids=str)
def test_fields_that_keep_one_text_apart(first: dict[str, Any], second: dict[str, Any]) -> None:
    one, other = make_record("a", TEA, **first), make_record("b", TEA, **second)
    assert not repeats(one, other)
    assert not repeats(other, one)
    assert [len(group) for group in clusters([make_memory("a", TEA, **first), make_memory("b", TEA, **second)])] == [
        1,
        1,
    ]


@pytest.mark.parametrize(("first", "second"), ADDING, ids=str)
def test_fields_that_only_add(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert repeats(make_record("a", TEA, **first), make_record("b", TEA, **second))


def test_what_a_strategy_extracted_repeats_what_any_session_holds() -> None:
    said = make_record("a", TEA, session_id="s1", metadata={"polarity": "likes"})
    told = make_record(
        "b", TEA, session_id="s2", memory_type=MemoryType.EPISODIC, extractor="discrete/1", metadata={"polarity": "x"}
    )
    assert repeats(said, told)
    assert not repeats(told, said)
    assert not repeats(said, make_record("c", "Likes Tea", extractor="discrete/1"))


def test_a_repetition_that_adds_nothing_changes_nothing() -> None:
    stored = make_record("a", TEA, topics=["x"], access_count=4, created_at=after(0))
    assert (
        completed(stored, make_record("b", TEA, topics=["x"], access_count=9, created_at=after(9)), after(99)) is None
    )
    told = make_record("b", TEA, extractor="discrete/1", metadata={"prompt_sha256": "x"}, created_at=after(9))
    assert completed(stored, told, after(99)) is None
    more = completed(stored, make_record("b", TEA, pinned=True, access_count=9), after(99))
    assert more is not None
    assert (more.id, more.pinned, more.access_count, more.updated_at) == ("a", True, 4, after(99))
    assert (stored.pinned, stored.updated_at) == (False, START)


def test_a_cluster_does_not_grow_by_contradictions() -> None:
    marks = [{}, {"p": 1}, {"p": 2}, {"q": 3}, {"p": 2, "q": 3}]
    memories = [make_memory(f"m{number}", TEA, metadata=mark) for number, mark in enumerate(marks)]
    assert [[item.record.id for item in group] for group in clusters(memories)] == [["m0", "m1", "m3"], ["m2", "m4"]]
    assert [len(group) for group in clusters(memories[::-1])] == [3, 2]


# -- on writing --------------------------------------------------------------------------------------------


async def add(host: Host, *records: dict[str, Any], **fields: Any) -> list[tuple[str, str]]:
    """Store records of user ann, and return what the caller was told."""
    call = Call(caller=ADMIN, request_id="test")
    request = host.operations["create_memories"].request
    body = {"memories": [{"user_id": "ann", **record} for record in records], **fields}
    await host.execute("create_memories", call, msgspec.convert(body, request))
    return call.notices


async def everything(host: Host) -> dict[str, Any]:
    found, _ = await host.store.list_memories(Scope(tenant="default"), limit=1000)
    return {item.record.id: item.record for item in found}


@STORES
async def test_the_second_adds_its_fields_and_both_ids_answer(store: str, tmp_path: Path) -> None:
    async with running_host(tmp_path, store=store, run_jobs=False) as host:
        assert await add(host, {"id": "one", "text": TEA, "metadata": {"a": 1}}) == []
        extra = {"topics": ["drinks"], "pinned": True, "metadata": {"src": "crm"}, "event_date": "2025-05-04T00:00:00Z"}
        told = await add(host, {"id": "two", "text": TEA + ".", **extra})
        assert told == [("repeated", "two repeats one and was merged into it.")]
        assert set(await everything(host)) == {"one"}
        for name in ("one", "two"):
            record = await run(host, "get_memory", memory_id=name)
            assert (record.id, record.text, record.topics, record.pinned) == ("one", TEA, ["drinks"], True)
            assert (record.metadata, record.access_count) == ({"a": 1, "src": "crm"}, 1)
            assert record.event_date == datetime(2025, 5, 4, tzinfo=UTC)
        found = await run(host, "search_memories", text="tea on May 4, 2025", topics={"eq": "drinks"})
        assert [hit.id for hit in found.memories] == ["one"]
        edited = await run(host, "edit_memory", memory_id="two", topics=["hot"])
        assert (edited.id, edited.topics) == ("one", ["hot"])


@STORES
async def test_a_delete_by_either_id_is_a_delete(store: str, tmp_path: Path) -> None:
    async with running_host(tmp_path, store=store, run_jobs=False) as host:
        await add(host, {"id": "one", "text": TEA}, {"id": "two", "text": TEA}, {"id": "three", "text": TEA})
        await add(host, {"id": "four", "text": TEA})
        done = await run(host, "delete_memories", memory_ids=["four", "none"], report=True)
        assert (done.status, done.deleted_ids) == ("ok, deleted 1 memories", ["four"])
        assert done.missing_ids == ["none"]
        assert await everything(host) == {}
        for name in ("one", "two", "three", "four"):
            with pytest.raises(NotFound):
                await run(host, "get_memory", memory_id=name)
        await add(host, {"id": "one", "text": "Likes milk"})
        with pytest.raises(NotFound):
            await run(host, "get_memory", memory_id="four")


@STORES
async def test_an_id_that_led_elsewhere_can_be_stored_and_deleted(store: str, tmp_path: Path) -> None:
    async with running_host(tmp_path, store=store, run_jobs=False) as host:
        await add(host, {"id": "one", "text": TEA})
        await add(host, {"id": "two", "text": TEA})
        await add(host, {"id": "two", "text": "Likes coffee"})
        assert (await run(host, "get_memory", memory_id="two")).text == "Likes coffee"
        assert (await run(host, "delete_memories", memory_ids=["two"])).status == "ok, deleted 1 memories"
        with pytest.raises(NotFound):
            await run(host, "get_memory", memory_id="two")
        assert set(await everything(host)) == {"one"}


@STORES
async def test_nobody_reaches_a_memory_of_others_by_an_id_that_leads_to_it(store: str, tmp_path: Path) -> None:
    async with running_host(tmp_path, store=store, run_jobs=False) as host:
        await add(host, {"id": "one", "text": TEA, "session_id": "s1"})
        await add(host, {"id": "two", "text": TEA, "session_id": "s1"})
        for caller in (bound_to(users=("bob",)), bound_to(users=("ann",), sessions=("s2",))):
            with pytest.raises(NotFound):
                await run(host, "get_memory", caller, memory_id="two")
        bound = bound_to(users=("ann",), sessions=("s1",))
        assert (await run(host, "get_memory", bound, memory_id="two")).id == "one"
        fields = {"user_id": "ann", "session_id": "s1"}
        await run(host, "create_memories", bound, memories=[{"id": "three", "text": TEA, **fields}])
        assert (await run(host, "get_memory", bound, memory_id="three")).id == "one"


@STORES
async def test_of_owners_who_used_one_id_the_latest_is_led_to(store: str, tmp_path: Path) -> None:
    clock = FakeClock()
    async with running_host(tmp_path, store=store, clock=clock, run_jobs=False) as host:
        for user in ("zoe", "ann", "mia"):
            await add(host, {"id": f"of-{user}", "text": TEA, "user_id": user})
            await add(host, {"id": "shared", "text": TEA, "user_id": user})
            assert (await run(host, "get_memory", memory_id="shared")).id == f"of-{user}"
            clock.advance(60)
        assert (await run(host, "get_memory", bound_to(users=("zoe",)), memory_id="shared")).id == "of-zoe"
        await run(host, "delete_memories", memory_ids=["of-mia"])
        assert (await run(host, "get_memory", memory_id="shared")).id == "of-ann"


async def test_what_is_in_the_trash_is_not_missing(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        await add(host, {"id": "one", "text": TEA})
        policy = {"policy": {"budget": 0}, "dry_run": False}
        assert (await run(host, "forget_memories", **policy)).deleted == 1
        done = await run(host, "delete_memories", memory_ids=["one", "two"], report=True)
        assert (done.deleted_ids, done.missing_ids) == ([], ["two"])


@STORES
async def test_in_one_request_too(store: str, tmp_path: Path) -> None:
    async with running_host(tmp_path, store=store, run_jobs=False) as host:
        await add(host, {"id": "old", "text": "Likes milk"})
        await add(
            host,
            {"id": "one", "text": TEA},
            {"id": "two", "text": TEA, "topics": ["drinks"]},
            {"id": "other", "text": TEA, "event_date": "2025-01-01T00:00:00Z", "metadata": {"p": 1}},
            {"id": "third", "text": TEA, "event_date": "2025-02-01T00:00:00Z", "metadata": {"p": 2}},
            {"id": "old", "text": TEA},  # replaces what it held; were it dropped, that would stay
        )
        found = await everything(host)
        assert {name: record.text for name, record in found.items()} == dict.fromkeys(("one", "third", "old"), TEA)
        assert (found["one"].topics, found["one"].metadata) == (["drinks"], {"p": 1})


@STORES
async def test_what_one_repetition_added_keeps_the_next_apart(store: str, tmp_path: Path) -> None:
    async with running_host(tmp_path, store=store, run_jobs=False) as host:
        await add(host, {"id": "one", "text": TEA})
        await add(host, *({"id": f"r{number}", "text": TEA, "metadata": {"p": number}} for number in range(3)))
        found = await everything(host)
        assert {name: record.metadata for name, record in found.items()} == {
            "one": {"p": 0},
            "r1": {"p": 1},
            "r2": {"p": 2},
        }


@STORES
async def test_memories_of_a_session_add_as_well(store: str, tmp_path: Path) -> None:
    async with running_host(tmp_path, store=store, run_jobs=False) as host:
        fields = {"user_id": "ann", "session_id": "s", "memory_type": "semantic"}
        await add(host, {"id": "one", "text": TEA, **fields})
        record = {"id": "two", "text": TEA, "topics": ["drinks"], "memory_type": "semantic"}
        await run(host, "put_session", session_id="s", user_id="ann", messages=[], memories=[record])
        assert (await run(host, "get_memory", memory_id="two")).topics == ["drinks"]
        assert set(await everything(host)) == {"one"}


@STORES
async def test_hashes_of_the_first_release_are_still_found(store: str, tmp_path: Path) -> None:
    async with running_host(tmp_path, store=store, run_jobs=False) as host:
        old = make_memory("old", TEA + "!", namespace=None)
        former = hashes_of(old.record)[1]
        assert former == hashes_of(make_record("x", "LIKES  tea", namespace=None))[1]
        old.record.memory_hash = former
        await host.store.commit(Scope(tenant="default"), WriteBatch(put_memories=[old]))
        await add(host, {"id": "same", "text": "Likes  tea!", "pinned": True})
        await add(host, {"id": "new", "text": TEA})
        found = await everything(host)
        assert (set(found), found["old"].pinned) == ({"old", "new"}, True)


@STORES
async def test_one_statement_of_very_many_dates_is_found_by_its_own(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deduplication, "_PAGE", 3)
    async with running_host(tmp_path, store=store, run_jobs=False) as host:
        for number in range(9):
            await add(host, {"id": f"d{number}", "text": "Ran.", "event_date": f"2025-01-0{number + 1}T00:00:00Z"})
        assert len(await everything(host)) == 9
        day = "2025-01-08T00:00:00Z"
        await add(
            host,
            {"id": "again", "text": "Ran.", "event_date": day, "topics": ["sport"]},
            {"id": "later", "text": "Ran.", "event_date": "2025-01-08T00:00:00.000001Z"},
        )
        await add(host, {"id": "alone", "text": "Ran.", "event_date": day})
        assert (await run(host, "get_memory", memory_id="again")).id == "d7"
        assert (await run(host, "get_memory", memory_id="alone")).id == "d7"
        assert set(await everything(host)) == {*(f"d{number}" for number in range(9)), "later"}


async def test_turns_are_never_repetitions(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        turn = make_record("turn", TEA, extraction_strategy="message")
        stored = make_memory("stored", TEA, memory_hash=content_hash(turn))
        await host.store.commit(Scope(tenant="default"), WriteBatch(put_memories=[stored]))
        found = await find_repetitions(host.store, Scope(tenant="default"), [turn, turn], after(5))
        assert (len(found.fresh), found.stays) == (2, {})
        said = make_memory("said", "Likes milk", extraction_strategy="message")
        said.record.memory_hash = content_hash(said.record)
        await host.store.commit(Scope(tenant="default"), WriteBatch(put_memories=[said]))
        found = await find_repetitions(host.store, Scope(tenant="default"), [make_record("m", "Likes milk")], after(5))
        assert (len(found.fresh), found.stays) == (1, {})
        again = make_record("again", TEA)
        found = await find_repetitions(host.store, Scope(tenant="default"), [again], after(5))
        assert (found.fresh, found.stays) == ([], {"again": "stored"})
        mark = found.access(after(5))
        assert mark is not None
        assert (mark.ids, mark.interval_s) == (("stored",), 0.0)


@STORES
async def test_of_several_the_one_of_the_same_date_takes_it(store: str, tmp_path: Path) -> None:
    async with running_host(tmp_path, store=store, run_jobs=False) as host:
        day = START + timedelta(days=3)
        for name, date in (("undated", None), ("dated", day)):
            memory = make_memory(name, TEA, event_date=date)
            memory.record.memory_hash = content_hash(memory.record)
            await host.store.commit(Scope(tenant="default"), WriteBatch(put_memories=[memory]))
        for date, stays in ((day, "dated"), (None, "undated"), (day + timedelta(days=1), "undated")):
            record = make_record("new", TEA, event_date=date)
            found = await find_repetitions(host.store, Scope(tenant="default"), [record], day)
            assert found.stays == {"new": stays}


@given(*[st.one_of(st.none(), st.text(max_size=20))] * 2, st.text(max_size=40))
def test_a_hash_is_that_of_the_owner_and_the_statement_as_sorted_json(
    namespace: str | None, user: str | None, text: str
) -> None:
    memory = make_record("one", text, namespace=namespace, user_id=user)
    owner = {"user_id": user, "text": statement(text), "namespace": namespace}
    assert content_hash(memory) == hashlib.sha256(json.dumps(owner, sort_keys=True).encode()).hexdigest()
