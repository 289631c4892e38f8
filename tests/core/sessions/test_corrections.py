"""Corrections of a session reach long-term memory, and an edit removes memories that lose their evidence."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from memhost.host import Host
from memhost.models import AccessMark, MemoryRecord, Scope, SessionKey, WriteBatch
from memhost.testing.clock import FakeClock
from tests.core.sessions.test_concurrency import official
from tests.support.extractions import derived, host_with_model, item, noting, settled
from tests.support.hosts import run, running_host
from tests.support.immediate import POINT
from tests.support.model_server import Call, ModelServer, failure

DAY = datetime(2021, 5, 4, tzinfo=UTC)
SURGERY: dict[str, Any] = {"id": "em1", "text": "Had surgery", "memory_type": "episodic"}
DOORS = pytest.mark.parametrize("door", ["put_session", "change_session"])


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    async with running_host(tmp_path, store="sqlite", clock=FakeClock(), run_jobs=False) as opened:
        yield opened


async def memory(host: Host, name: str) -> MemoryRecord:
    found: MemoryRecord = await run(host, "get_memory", memory_id=name)
    return found


@DOORS
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("event_date", DAY),
        ("created_at", DAY),
        ("topics", ["health", "hospital"]),
        ("entities", ["Anna"]),
        ("extracted_from", ["m1"]),
        ("metadata", {"src": "crm"}),
        ("pinned", True),
        ("memory_type", "semantic"),
        ("text", "Had a surgery"),
        ("valid_from", DAY),
        ("valid_to", DAY),
    ],
)
async def test_a_correction_of_a_memory_reaches_long_term_memory(host: Host, door: str, field: str, value: Any) -> None:
    await run(host, "put_session", session_id="s", user_id="u", memories=[SURGERY])
    first = await memory(host, "em1")
    corrected = {**SURGERY, field: value}
    view = await run(host, door, session_id="s", user_id="u", memories=[corrected])
    after = await memory(host, "em1")
    assert (getattr(view.memories[0], field), getattr(after, field)) == (value, value)
    same = [
        name
        for name in msgspec.structs.asdict(first)
        if name not in (field, "memory_hash", "updated_at", "persisted_at", "version")
    ]
    assert [getattr(after, name) for name in same] == [getattr(first, name) for name in same]


async def test_a_memory_that_was_read_changed_and_sent_back_is_corrected(host: Host) -> None:
    """With the time at which it reached long-term memory."""
    view = await run(host, "put_session", session_id="s", memories=[SURGERY])
    [record] = view.memories
    assert record.persisted_at is not None
    given = {"id": "em1", "text": record.text, "topics": ["health"], "persisted_at": record.persisted_at}
    await run(host, "put_session", session_id="s", memories=[given])
    assert (await memory(host, "em1")).topics == ["health"]
    claimed = {"id": "em2", "text": "Known elsewhere", "persisted_at": DAY}  # which no session ever held
    await run(host, "put_session", session_id="s", memories=[claimed])
    assert (await run(host, "search_memories", limit=10)).total == 1


@pytest.mark.parametrize("change", [{"role": "assistant"}, {"content": "I moved to Bruges"}, {"name": "Bo"}])
async def test_an_edit_of_any_part_is_an_edit(host: Host, change: dict[str, Any]) -> None:
    await run(host, "put_session", session_id="s", user_id="u", messages=[TURN])
    edited = {**TURN, **change}
    view = await run(host, "put_session", session_id="s", user_id="u", messages=[edited])
    assert view.messages[0].role == edited["role"]
    assert (await memory(host, "m1")).text == f"{edited['role']}: {edited['content']}"
    stored = await host.store.get_session(Scope(), SessionKey("default", "", "u", "s"), host.clock.now())
    assert stored is not None
    assert [field.field for field in stored.changes] == ["turn:m1"]


@DOORS
async def test_a_correction_changes_nothing_else_of_what_long_term_memory_holds(host: Host, door: str) -> None:
    await run(host, "put_session", session_id="s", user_id="u", memories=[{**SURGERY, "metadata": {"a": 1}}])
    await run(host, "edit_memory", memory_id="em1", text="Had surgery in Bern", topics=["health"])
    await host.store.commit(Scope(), WriteBatch(access=AccessMark(ids=("em1",), at=host.clock.now())))
    counted = (await memory(host, "em1")).access_count
    await run(host, door, session_id="s", user_id="u", memories=[{**SURGERY, "event_date": DAY, "metadata": {"b": 2}}])
    after = await memory(host, "em1")
    assert (after.text, after.topics, after.event_date) == ("Had surgery in Bern", ["health"], DAY)
    assert after.metadata == {"b": 2}
    assert after.access_count == counted == 1


async def test_what_the_server_noted_of_a_memory_stays(host: Host) -> None:
    await run(host, "put_session", session_id="s", user_id="u", memories=[{**SURGERY, "metadata": {"a": 1}}])
    [held] = await host.store.get_memories(Scope(), ["em1"])
    held.record.metadata = {**held.record.metadata, "noted": True}
    await host.store.commit(Scope(), WriteBatch(put_memories=[held]))
    await run(host, "put_session", session_id="s", user_id="u", memories=[{**SURGERY, "metadata": {"b": 2}}])
    assert (await memory(host, "em1")).metadata == {"b": 2, "noted": True}


@pytest.mark.parametrize("store", ["memory", "sqlite"])
async def test_what_a_client_does_not_know_is_not_taken_from_a_memory(tmp_path: Path, store: str) -> None:
    """The official client of 0.14.0 has no pins and no metadata, and sends all that it reads back."""
    async with running_host(tmp_path, store=store, run_jobs=False) as host, official(host) as client:
        record = {**SURGERY, "pinned": True, "metadata": {"a": 1}, "event_date": DAY, "access_count": 3}
        await run(host, "put_session", session_id="s", memories=[record])
        before = await memory(host, "em1")
        await client.update_working_memory_data("s", {"k": 1})
        view = await run(host, "get_session", session_id="s")
        after = await memory(host, "em1")
    assert after == before
    assert (view.memories[0].pinned, view.memories[0].metadata, view.memories[0].event_date) == (True, {"a": 1}, DAY)


async def test_tags_are_emptied_by_an_empty_list(host: Host) -> None:
    await run(host, "put_session", session_id="s", memories=[{**SURGERY, "topics": ["a"], "pinned": True}])
    await run(
        host, "put_session", session_id="s", memories=[{**SURGERY, "topics": [], "pinned": False, "metadata": {}}]
    )
    after = await memory(host, "em1")
    assert (after.topics, after.pinned) == ([], False)


async def test_a_deleted_memory_is_not_brought_back_by_a_session_that_still_holds_it(host: Host) -> None:
    await run(host, "put_session", session_id="s", memories=[SURGERY])
    await run(host, "delete_memories", memory_ids=["em1"])
    view = await run(host, "get_session", session_id="s")
    again = [{name: getattr(view.memories[0], name) for name in ("id", "text", "created_at", "persisted_at", "topics")}]
    await run(host, "put_session", session_id="s", memories=again)
    assert (await run(host, "search_memories", limit=10)).total == 0


TURN: dict[str, Any] = {"id": "m1", "role": "user", "content": "I moved to Ghent", "created_at": DAY.replace(year=2024)}


@DOORS
async def test_the_time_of_a_message_is_corrected_everywhere(host: Host, door: str) -> None:
    await run(host, "put_session", session_id="s", user_id="u", messages=[TURN])
    await run(host, "edit_memory", memory_id="m1", topics=["moving"])
    before = await memory(host, "m1")
    view = await run(host, door, session_id="s", user_id="u", messages=[{**TURN, "created_at": DAY}])
    after = await memory(host, "m1")
    assert (view.messages[0].created_at, after.created_at) == (DAY, DAY)
    assert (after.text, after.topics, after.id) == (before.text, ["moving"], "m1")
    found = await run(host, "search_memories", text="Ghent", created_at={"lt": datetime(2022, 1, 1, tzinfo=UTC)})
    assert [hit.id for hit in found.memories] == ["m1"]
    assert (await run(host, "search_memories", text="2024", search_mode="keyword")).memories == []


async def test_the_turn_of_a_second_session_with_the_same_id_is_corrected_alone(host: Host) -> None:
    await run(host, "put_session", session_id="s", user_id="u", messages=[TURN])
    await run(host, "put_session", session_id="t", user_id="u", messages=[TURN])
    await run(host, "put_session", session_id="t", user_id="u", messages=[{**TURN, "created_at": DAY}])
    found = await run(host, "search_memories", limit=10)
    assert {hit.session_id: hit.created_at for hit in found.memories} == {"s": TURN["created_at"], "t": DAY}


async def test_of_two_turns_with_one_id_each_keeps_its_time(host: Host) -> None:
    twice = [TURN, {**TURN, "content": "I like Ghent"}]
    await run(host, "put_session", session_id="s", user_id="u", messages=twice)
    await run(host, "put_session", session_id="s", user_id="u", messages=[TURN, {**twice[1], "created_at": DAY}])
    assert (await memory(host, "m1")).created_at == TURN["created_at"]


async def test_a_memory_with_the_id_of_a_message_keeps_its_time(host: Host) -> None:
    await run(host, "put_session", session_id="s", user_id="u", memories=[{**SURGERY, "id": "m1"}])
    before = await memory(host, "m1")
    await run(host, "put_session", session_id="s", user_id="u", messages=[TURN])
    await run(
        host, "create_memories", memories=[{"id": "m1", "text": "Had surgery", "user_id": "u", "session_id": "s"}]
    )
    await run(host, "put_session", session_id="s", user_id="u", messages=[{**TURN, "created_at": DAY}])
    assert (await memory(host, "m1")).created_at == before.created_at


@pytest.mark.parametrize("later_s", [1, 60, 200])
async def test_a_time_after_the_message_was_stored_is_no_correction(host: Host, later_s: int) -> None:
    """Clients that stamp their whole history at each request change no time by that."""
    await run(host, "put_session", session_id="s", user_id="u", messages=[TURN])
    now = datetime.fromtimestamp(FakeClock().now().timestamp() + later_s, UTC)
    view = await run(host, "put_session", session_id="s", user_id="u", messages=[{**TURN, "created_at": now}])
    assert view.messages[0].created_at == TURN["created_at"]
    assert (await memory(host, "m1")).created_at == TURN["created_at"]


# -- what an edit leaves without evidence ------------------------------------------------------------------------


def says(message_id: str, text: str) -> dict[str, Any]:
    return {"id": message_id, "role": "user", "content": text, "created_at": "2026-03-04T10:00:00Z"}


def by_words(memories: dict[str, list[dict[str, Any]]]) -> Any:
    """A rule of the model: what it notes for each word that it reads among the new lines."""

    def rule(call: Call) -> Any:
        if "<messages>" not in call.prompt:
            return {"verdicts": []}
        lines = call.prompt[call.prompt.rfind("<messages>") :]
        return {"memories": [entry for word, entries in memories.items() if word in lines for entry in entries]}

    return rule


async def texts(host: Host) -> list[str]:
    return [each.text for each in await derived(host, user_id={"eq": "u"})]


async def put(host: Host, *messages: dict[str, Any], session: str = "s") -> None:
    await run(host, "put_session", session_id=session, user_id="u", messages=list(messages))
    await settled(host, session, user_id="u")


EDITS = [
    ("Ghent", "I live in Ghent", "User lives in Ghent.", "I live in Bruges", "User lives in Bruges."),
    ("Zahnarzt", "Mein Zahnarzt ist Dr. Braun", "Der Zahnarzt des Nutzers ist Dr. Braun.", "Falscher Chat", None),
    ("小提琴", "我会拉小提琴", "用户会拉小提琴。", "我会弹钢琴", "用户会弹钢琴。"),
    ("مدريد", "أعيش في مدريد", "المستخدم يعيش في مدريد.", "أعيش في لشبونة", "المستخدم يعيش في لشبونة."),
]


@pytest.mark.parametrize(("_word", "first", "old", "second", "new"), EDITS, ids=[case[0] for case in EDITS])
async def test_what_only_the_old_text_said_goes_to_the_trash(
    models: ModelServer, tmp_path: Path, _word: str, first: str, old: str, second: str, new: str | None
) -> None:
    rules = {first: [item(old, "q1")], second: [item(new, "q1")] if new else []}
    models.answer(by_words(rules))
    async with host_with_model(models, tmp_path, store="memory") as host:
        await put(host, says("q1", first))
        assert await texts(host) == [old]
        await put(host, says("q1", second))
        assert await texts(host) == ([new] if new else [])
        trash = await run(host, "list_trash")
    assert [(each.text, each.reason) for each in trash.memories] == [(old, "unsupported")]


async def test_what_is_said_elsewhere_or_still_or_was_touched_stays(models: ModelServer, tmp_path: Path) -> None:
    rules = {
        "tea": [item("User likes tea.", "m1")],
        "both": [item("User has a cat called Mimi.", "m1", "m2")],
        "bike": [item("User rides a bike.", "m1")],
        "boat": [item("User owns a boat.", "m1")],
        "harp": [item("User plays the harp.", "m1")],
        "other": [item("User works nights.", "m3")],
    }
    models.answer(by_words(rules))
    async with host_with_model(models, tmp_path, store="memory") as host:
        await put(host, says("m1", "tea, both, bike, boat, harp"), says("m2", "both"), says("m3", "other"))
        ids = {each.text: each.id for each in await derived(host)}
        [boat] = await host.store.get_memories(Scope(), [ids["User owns a boat."]])
        boat.record.pinned = True
        await host.store.commit(Scope(), WriteBatch(put_memories=[boat]))
        await run(host, "edit_memory", memory_id=ids["User plays the harp."], topics=["music"])
        await put(host, says("m1", "bike"), says("m2", "both"), says("m3", "other"))
        kept = await texts(host)
        trash = await run(host, "list_trash")
    assert [each.text for each in trash.memories] == ["User likes tea."]
    assert sorted(kept) == [
        "User has a cat called Mimi.",
        "User owns a boat.",
        "User plays the harp.",
        "User rides a bike.",
        "User works nights.",
    ]


async def test_nothing_goes_before_the_turn_has_been_read_anew(models: ModelServer, tmp_path: Path) -> None:
    models.answer(noting({"I live in Ghent": [item("User lives in Ghent.", "q1")]}))
    async with host_with_model(models, tmp_path, store="memory") as host:
        await put(host, says("q1", "I live in Ghent"))
        await run(host, "put_session", session_id="s", user_id="u", messages=[])
        await settled(host, "s", user_id="u")
        assert await texts(host) == ["User lives in Ghent."]  # it left the session, and was not edited
        await put(host, says("q1", "I live in Ghent"))
        assert await texts(host) == ["User lives in Ghent."]


async def test_a_memory_stays_while_its_edited_turn_waits_for_a_model_that_is_away(
    models: ModelServer, tmp_path: Path
) -> None:
    models.answer(by_words({"Ghent": [item("User lives in Ghent.", "q1")]}))
    async with host_with_model(models, tmp_path, store="memory") as host:
        await put(host, says("q1", "I live in Ghent"))
        models.answer(failure(503))
        await run(host, "put_session", session_id="s", user_id="u", messages=[says("q1", "I live in Bruges")])
        assert await texts(host) == ["User lives in Ghent."]
        assert (await run(host, "list_trash")).memories == []


async def test_a_strategy_that_needs_no_model_takes_back_what_it_made_in_the_same_write(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", extra=[POINT], run_jobs=False) as host:

        async def shout(*said: dict[str, Any]) -> list[str]:
            strategy = {"strategy": "shouts"}
            fields: dict[str, Any] = {"session_id": "s", "user_id": "u", "long_term_memory_strategy": strategy}
            await run(host, "put_session", messages=list(said), **fields)
            return await texts(host)

        other = says("q2", "STOP")
        assert sorted(await shout(says("q1", "FIRE"), other)) == ["Shouted: FIRE", "Shouted: STOP"]
        assert sorted(await shout(says("q1", "WATER"), other)) == ["Shouted: STOP", "Shouted: WATER"]
        assert await shout(says("q1", "nothing"), other) == ["Shouted: STOP"]
        assert [each.reason for each in (await run(host, "list_trash")).memories] == ["unsupported"] * 2


async def test_the_memories_of_other_sessions_stay(models: ModelServer, tmp_path: Path) -> None:
    models.answer(by_words({"Ghent": [item("User lives in Ghent.", "q1")], "boat": [item("User owns a boat.", "q1")]}))
    async with host_with_model(models, tmp_path, store="memory") as host:
        await put(host, says("q1", "I own a boat"), session="t")
        await put(host, says("q1", "I live in Ghent"))
        await put(host, says("q1", "never mind"))
        assert await texts(host) == ["User owns a boat."]
