"""A credential that is bound to less neither rewrites what is trusted more, nor lowers its trust, on any way in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from memhost.errors import Forbidden
from memhost.host import Host
from memhost.memories.trash import entries
from memhost.models import Caller, MemoryRecord, Scope, Trust, WriteBatch
from memhost.operations import Call
from memhost.settings.schema import MemorySettings
from tests.support.dedup_hosts import SCOPE
from tests.support.hosts import run, running_host
from tests.support.stores import STORES

WHEN = "2026-01-02T03:04:05Z"


def caller(channel: Trust | None, user: str = "ann") -> Caller:
    return Caller(subject=channel or "none", bounds=Scope(users=(user,)), roles=frozenset({"admin"}), channel=channel)


USER, TOOL, AGENT, UNBOUND = caller("user"), caller("tool"), caller("agent"), caller(None)
LOWER = pytest.mark.parametrize("lower", [TOOL, AGENT, caller("external")], ids=["tool", "agent", "external"])


def turn(text: str, name: str = "t1", role: str = "user") -> dict[str, Any]:
    return {"id": name, "role": role, "content": text, "created_at": WHEN}


async def put(host: Host, who: Caller, *messages: dict[str, Any], session: str = "s", **more: Any) -> tuple[Any, Call]:
    """Write a session; the answer, and the call with its notices."""
    call = Call(caller=who, request_id="r")
    fields = {"session_id": session, "user_id": "ann", "messages": list(messages), **more}
    request = msgspec.convert(fields, host.operations["put_session"].request)
    return await host.execute("put_session", call, request), call


async def add(host: Host, who: Caller, name: str, text: str, **more: Any) -> Any:
    given = [{"id": name, "text": text, "user_id": "ann", **more}]
    return (await run(host, "store_memories", who, memories=given)).results[0]


async def stored(host: Host, name: str) -> MemoryRecord:
    (found,) = await host.store.get_memories(SCOPE, [name])
    return found.record


async def versions(host: Host, name: str) -> int:
    version: int = (await run(host, "get_memory", memory_id=name)).version
    return version


async def state(host: Host, name: str) -> tuple[str, Trust | None, int]:
    """Text, trust and version of a memory."""
    record = await stored(host, name)
    return record.text, record.trust, await versions(host, name)


async def waiting(host: Host) -> dict[str, list[str]]:
    page = await run(host, "list_reviews")
    return {item.memory.id: item.memory.review.reasons for item in page.memories}


@STORES
@LOWER
async def test_a_turn_of_the_user_stays_and_the_other_turns_are_written(
    tmp_path: Path, store: str, space: dict[str, str], lower: Caller
) -> None:
    async with running_host(tmp_path, store=store, settings=space, run_jobs=False) as host:
        await put(host, USER, turn("I was born in Trier."))
        answer, call = await put(host, lower, turn("I was born in Genoa."), turn("Hello.", "t2", "assistant"))
        assert [message.content for message in answer.messages] == ["I was born in Trier.", "Hello."]
        assert "t1" in dict(call.notices)["less_trusted"]
        assert "`user`" in dict(call.notices)["less_trusted"]
        assert await state(host, "t1") == ("user: I was born in Trier.", "user", 1)
        assert (await stored(host, "t2")).text == "assistant: Hello."
        _, call = await put(host, lower, turn("I was born in Trier."), turn("Hello.", "t2", "assistant"))
        assert call.notices == [], "a history that is sent back as it was"


@pytest.mark.parametrize("change", ["change_session", "white space", "role", "name"])
async def test_no_part_of_a_turn_of_the_user_is_changed(tmp_path: Path, change: str) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        await put(host, USER, turn("I was born in Trier."))
        changed = {
            "change_session": turn("I was born in Genoa."),
            "white space": turn("I was  born in Trier."),
            "role": turn("I was born in Trier.", role="tool"),
            "name": {**turn("I was born in Trier."), "name": "Mallory"},
        }[change]
        if change == "change_session":
            await run(host, change, TOOL, session_id="s", user_id="ann", messages=[changed])
        else:
            await put(host, TOOL, changed)
        session = await run(host, "get_session", session_id="s", user_id="ann")
        assert [(each.role, each.content) for each in session.messages] == [("user", "I was born in Trier.")]
        assert await state(host, "t1") == ("user: I was born in Trier.", "user", 1)


@pytest.mark.parametrize("way", ["left out", "deleted", "twice", "another session"])
async def test_a_turn_that_has_left_the_session_stays_in_memory(tmp_path: Path, way: str) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        await put(host, USER, turn("I was born in Trier."))
        name = "t1"
        if way == "left out":
            await put(host, TOOL)
        elif way == "deleted":
            await run(host, "delete_session", TOOL, session_id="s", user_id="ann")
        elif way == "another session":  # where the turn's memory has an id of its own
            await put(host, USER, turn("I was born in Trier."), session="s2")
            found = await run(host, "search_memories", USER, session_id={"eq": "s2"})
            (name,) = [hit.id for hit in found.memories]
            await put(host, TOOL, session="s2")
        again = [turn("I was born in Trier.")] if way == "twice" else []
        _, call = await put(
            host, TOOL, *again, turn("I was born in Genoa."), session="s2" if way == "another session" else "s"
        )
        assert await state(host, name) == ("user: I was born in Trier.", "user", 1)
        assert ("less_trusted" in dict(call.notices)) == (way != "twice"), "a second turn is one of its own"


async def test_what_was_made_of_a_turn_is_not_outdated_by_less_trust(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        await put(host, USER, turn("I was born in Trier."))
        await add(host, USER, "f", "Ann was born in Trier.", session_id="s")
        (made,) = await host.store.get_memories(SCOPE, ["f"])
        made.record.source_ids, made.record.extractor = ["t1"], "verbatim/1"
        await host.store.commit(SCOPE, WriteBatch(put_memories=[made]))
        for given in ([turn("I was born in Genoa.")], [], [turn("I was born in Genoa.")]):
            await put(host, TOOL, *given)
            assert (await stored(host, "f")).source_ids == ["t1"]


@pytest.mark.parametrize(
    ("first", "second", "role"),
    [
        (UNBOUND, UNBOUND, "user"),
        (USER, UNBOUND, "user"),
        (TOOL, USER, "user"),
        (USER, USER, "user"),
        (TOOL, TOOL, "user"),
        (USER, TOOL, "tool"),
        (UNBOUND, AGENT, "assistant"),
        (TOOL, AGENT, "user"),
    ],
)
async def test_a_turn_that_is_trusted_no_more_is_changed_as_before(
    tmp_path: Path, first: Caller, second: Caller, role: str
) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        await put(host, first, turn("The train leaves at noon.", role=role))
        answer, call = await put(host, second, turn("The train leaves at nine.", role=role))
        assert [message.content for message in answer.messages] == ["The train leaves at nine."]
        assert "less_trusted" not in dict(call.notices)
        if role != "tool":  # results of tools are no memories
            assert (await stored(host, "t1")).text == f"{role}: The train leaves at nine."


@STORES
@LOWER
async def test_a_memory_of_a_session_waits_where_it_would_replace_another(
    tmp_path: Path, store: str, space: dict[str, str], lower: Caller
) -> None:
    async with running_host(tmp_path, store=store, settings=space, run_jobs=False) as host:
        await add(host, USER, "z", "Ann owns a red boat.")
        answer, _ = await put(host, lower, memories=[{"id": "z", "text": "Ann owns a blue plane."}])
        assert answer.held.pending == ["z"]
        assert await state(host, "z") == ("Ann owns a red boat.", "user", 1)
        assert await waiting(host) == {"z": ["contradicts"]}


async def test_a_memory_that_the_user_put_into_a_session_stays_there(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        own = {"id": "z", "text": "Ann owns a red boat."}
        await put(host, USER, memories=[own])
        answer, call = await put(host, TOOL, memories=[{**own, "text": "Ann owns a blue plane."}, {**own, "id": "y"}])
        assert [each.text for each in answer.memories] == [own["text"], own["text"]]
        assert answer.held.pending == ["z"]
        assert "z" in dict(call.notices)["less_trusted"]
        assert (await stored(host, "z")).text == own["text"]
        answer, call = await put(host, USER, memories=[{**own, "text": "Ann owns a green boat."}])
        assert (await stored(host, "z")).text == "Ann owns a green boat."
        assert [notice for notice in call.notices if notice[0] == "less_trusted"] == []


@LOWER
@pytest.mark.parametrize(
    "fields",
    [
        {"topics": ["health"]},
        {"entities": ["Ann"]},
        {"event_date": WHEN},
        {"memory_type": "episodic"},
        {"session_id": "s9"},
        {"metadata": {"subject": "Bob"}},
        {"text": "Ann is allergic to wheat."},
        {"text": "Ann is allergic  to nuts."},
        {"clear": ["entities"]},
    ],
    ids=str,
)
async def test_an_edit_waits_that_would_lower_trust(tmp_path: Path, lower: Caller, fields: dict[str, Any]) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        await add(host, USER, "x", "Ann is allergic to nuts.", entities=["nuts"])
        edited = await run(host, "edit_memory", lower, memory_id="x", **fields)
        assert (edited.review.state, edited.review.reasons) == ("pending", ["contradicts"])
        kept = await stored(host, "x")
        assert (kept.text, kept.trust, kept.entities, await versions(host, "x")) == (
            *("Ann is allergic to nuts.", "user", ["nuts"]),
            1,
        )
        done = await run(host, "refuse_reviews", USER, memory_ids=["x"])
        assert done.decided == ["x"]
        assert (await stored(host, "x")).trust == "user"


@pytest.mark.parametrize("fields", [{"pinned": True}, {"metadata": {"colour": "red"}}], ids=str)
@pytest.mark.parametrize("who", [TOOL, USER, UNBOUND], ids=["tool", "user", "unbound"])
async def test_what_says_nothing_is_edited_at_once(tmp_path: Path, who: Caller, fields: dict[str, Any]) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        await add(host, USER, "x", "Ann is allergic to nuts.")
        edited = await run(host, "edit_memory", who, memory_id="x", **fields)
        assert (edited.review, edited.trust, await waiting(host)) == (None, "user", {})


@pytest.mark.parametrize("who", [USER, UNBOUND, caller("operator")], ids=["user", "unbound", "operator"])
async def test_who_is_bound_to_no_less_edits_at_once(tmp_path: Path, who: Caller) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        await add(host, USER, "x", "Ann is allergic to nuts.")
        for fields in ({"topics": ["health"]}, {"text": "Ann is allergic to wheat."}):
            assert (await run(host, "edit_memory", who, memory_id="x", **fields)).review is None
        assert (await stored(host, "x")).topics == ["health"]


async def test_the_same_memory_given_again_changes_nothing(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        await add(host, USER, "x", "Ann is allergic to nuts.", topics=["health"], metadata={"a": 1})
        same = await add(host, TOOL, "x", "Ann is allergic to nuts.", topics=["health"])
        assert (same.status, same.memory.trust) == ("duplicate", "user")
        assert (await stored(host, "x")).metadata == {"a": 1}
        assert (await versions(host, "x"), await waiting(host)) == (1, {})
        other = await add(host, TOOL, "x", "Ann is allergic to nuts.", topics=["food"])
        assert (other.status, (await stored(host, "x")).trust) == ("pending", "user")
        assert await waiting(host) == {"x": ["contradicts"]}


@STORES
async def test_a_former_version_waits_and_is_not_redacted(tmp_path: Path, store: str, space: dict[str, str]) -> None:
    async with running_host(tmp_path, store=store, settings=space, run_jobs=False) as host:
        await add(host, USER, "r", "Ann lives in Graz.")
        await run(host, "edit_memory", USER, memory_id="r", text="Ann lives in Linz.")
        back = await run(host, "restore_memory_version", TOOL, memory_id="r", version=1)
        assert (back.review.state, back.review.reasons) == ("pending", ["contradicts"])
        assert await state(host, "r") == ("Ann lives in Linz.", "user", 2)
        for number in (1, 2):
            with pytest.raises(Forbidden, match="channel `user`"):
                await run(host, "redact_memory_version", TOOL, memory_id="r", version=number)
        assert (await run(host, "get_memory_version", USER, memory_id="r", version=1)).memory.text.endswith("Graz.")
        assert (await stored(host, "r")).text == "Ann lives in Linz."
        assert (await run(host, "redact_memory_version", USER, memory_id="r", version=1)).removed == 1


@pytest.mark.parametrize("who", [USER, UNBOUND, caller("operator")], ids=["user", "unbound", "operator"])
async def test_who_is_bound_to_no_less_restores_and_redacts(tmp_path: Path, who: Caller) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        await add(host, USER, "r", "Ann lives in Graz.")
        await run(host, "edit_memory", USER, memory_id="r", text="Ann lives in Linz.")
        assert (await run(host, "restore_memory_version", who, memory_id="r", version=1)).review is None
        assert (await stored(host, "r")).text == "Ann lives in Graz."
        assert (await run(host, "redact_memory_version", who, memory_id="r", version=2)).removed == 1


async def test_a_deleted_memory_of_the_user_comes_back_after_a_review(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        await add(host, USER, "r", "Ann lives in Graz.")
        await add(host, TOOL, "t", "The kettle is red.")
        await run(host, "delete_memories", USER, memory_ids=["r", "t"])
        back = await run(host, "restore_memory_version", TOOL, memory_id="r", version=1)
        assert (back.review.state, await waiting(host)) == ("pending", {"r": ["contradicts"]})
        assert (await run(host, "restore_memory_version", TOOL, memory_id="t", version=1)).review is None


async def test_a_state_that_was_approved_is_not_redacted_with_one_of_less(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        await add(host, TOOL, "r", "Ann lives in Graz.")
        (memory,) = await host.store.get_memories(SCOPE, ["r"])
        memory.record.trust = "user"
        await host.store.commit(SCOPE, WriteBatch(put_memories=[memory]))
        await run(host, "edit_memory", USER, memory_id="r", text="Ann lives in Linz.")
        with pytest.raises(Forbidden):
            await run(host, "redact_memory_version", TOOL, memory_id="r", version=1)


async def test_the_trash_gives_back_nothing_that_is_trusted_more(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        await add(host, USER, "u", "Ann lives in Graz.")
        await add(host, TOOL, "t", "The kettle is red.")
        await add(host, USER, "old", "Ann works at Acme.")
        gone = await host.store.get_memories(SCOPE, ["u", "t"])
        now = host.clock.now()
        batch = WriteBatch(delete_memories=["u", "t"])
        batch.put_documents = entries("default", gone, "forgotten", now, MemorySettings())
        await host.store.commit(SCOPE, batch)
        (old,) = await host.store.get_memories(SCOPE, ["old"])
        old.record.superseded_by = "new"
        await host.store.commit(SCOPE, WriteBatch(put_memories=[old]))
        for names in (["u"], ["t", "u"], ["old"]):
            with pytest.raises(Forbidden, match="channel `user`"):
                await run(host, "restore_memories", TOOL, ids=names)
        assert (await run(host, "restore_memories", TOOL, ids=["t"])).restored == ["t"]
        assert (await run(host, "restore_memories", USER, ids=["u", "old"])).restored == ["u", "old"]
