"""An edit has the trust of its editor, and claims no evidence that does not support it any longer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memhost.host import Host
from memhost.models import Caller, EditedFrom, MemoryRecord, StoredMemory, Trust, WriteBatch
from memhost.models.trust import TRUSTS, lowest, rank
from memhost.testing.factories import after
from tests.support.dedup_hosts import SCOPE, keep
from tests.support.hosts import run, running_host

STORES = pytest.mark.parametrize("store", ["memory", "sqlite", "redis"])
OTHER = "My bank is OtherBank, the branch in Oslo."


def caller(channel: Trust | None) -> Caller:
    return Caller(subject="test", roles=frozenset({"admin"}), channel=channel)


async def as_stored(host: Host, name: str) -> StoredMemory:
    (found,) = await host.store.get_memories(SCOPE, [name])
    return found


async def bank(host: Host, role: str = "user") -> None:
    turn = {"id": "m1", "role": role, "content": "My bank is Nordea.", "created_at": "2026-01-02T03:04:05Z"}
    await run(host, "put_session", session_id="s", user_id="mia", messages=[turn])


@STORES
@pytest.mark.parametrize("text", [OTHER, f"user: {OTHER}"])
async def test_the_user_is_not_said_to_have_said_what_was_edited(
    tmp_path: Path, store: str, text: str, request: pytest.FixtureRequest
) -> None:
    space = request.getfixturevalue("redis_part").environment() if store == "redis" else {}
    async with running_host(tmp_path, store=store, settings=space) as host:
        await bank(host)
        edited = await run(host, "edit_memory", memory_id="m1", text=text)
        kept = await as_stored(host, "m1")
        assert kept.record == edited
        assert (edited.text, edited.trust, edited.memory_type) == (OTHER, "agent", "semantic")
        assert (edited.source_ids, edited.extracted_from, edited.extractor, edited.said_at) == ([], [], None, None)
        assert (kept.speaker, kept.role, kept.position) == (None, None, None)
        assert edited.edited_from == EditedFrom(source_ids=["m1"], extractor="verbatim/1", role="user", position=0)
        again = await run(host, "edit_memory", memory_id="m1", text="My bank is Third.")
        assert again.edited_from == edited.edited_from
        hits = (await run(host, "search_memories", text="bank", memory_type={"eq": "message"})).memories
        assert hits == []


async def test_the_speaker_goes_with_the_words(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory") as host:
        turns = [
            {"id": f"m{number}", "role": "user", "content": text, "name": name, "created_at": "2026-01-02T03:04:05Z"}
            for number, (name, text) in enumerate([("Ana", "I like maps."), ("Ben", "I like tea."), ("Ana", "Me too.")])
        ]
        await run(host, "put_session", session_id="s", user_id="mia", messages=turns)
        before = await as_stored(host, "m0")
        assert before.speaker == "Ana"
        edited = await run(host, "edit_memory", memory_id="m0", text=before.record.text.replace("maps", "banks"))
        assert edited.text == "I like banks."
        assert (await as_stored(host, "m0")).speaker is None
        await run(host, "put_session", session_id="s", user_id="mia", messages=turns)
        assert (await as_stored(host, "m0")).speaker is None, "nor does the next write bring it back"


async def test_what_the_user_says_in_the_session_is_theirs_again(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory") as host:
        await bank(host)
        await run(host, "edit_memory", memory_id="m1", text=OTHER)
        said = {"id": "m1", "role": "user", "content": "My bank is Danske.", "created_at": "2026-01-02T03:04:05Z"}
        await run(host, "put_session", session_id="s", user_id="mia", messages=[said])
        kept = await as_stored(host, "m1")
        assert (kept.record.text, kept.record.trust, kept.role) == ("user: My bank is Danske.", "user", "user")
        assert (kept.record.source_ids, kept.record.edited_from) == (["m1"], None)


async def test_white_space_is_no_other_word(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory") as host:
        await bank(host)
        before = await as_stored(host, "m1")
        edited = await run(host, "edit_memory", memory_id="m1", text="user:  My bank is  Nordea.")
        assert (edited.trust, edited.source_ids, edited.extractor) == ("user", ["m1"], before.record.extractor)
        assert (await as_stored(host, "m1")).role == "user"


async def test_an_edited_turn_keeps_its_role_for_those_who_read_it_again(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory") as host:
        await bank(host, role="assistant")
        await run(host, "edit_memory", memory_id="m1", text=OTHER)
        edited = await as_stored(host, "m1")
        assert edited.record.edited_from is not None
        assert edited.record.edited_from.role == "assistant"
        assert edited.record.trust == "assistant"


async def test_a_derived_memory_loses_sources_and_time_and_keeps_its_kind(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory") as host:
        fields: dict[str, Any] = {
            "extractor": "discrete/1",
            "source_ids": ["m1", "m2"],
            "extracted_from": ["m1", "m2"],
            "said_at": after(10),
            "said_before": [after(5)],
            "metadata": {"kind": "preference", "said_by": "Ana", "subject": "tea"},
        }
        await keep(host, "d", "User likes tea.", trust="user", **fields)
        edited = await run(host, "edit_memory", caller("operator"), memory_id="d", text="User likes green tea.")
        assert (edited.trust, edited.source_ids, edited.extracted_from) == ("user", [], [])
        assert (edited.said_at, edited.said_before, edited.extractor) == (None, [], None)
        assert edited.metadata == {"kind": "preference", "subject": "tea"}
        assert edited.edited_from == EditedFrom(source_ids=["m1", "m2"], extractor="discrete/1", said_at=after(10))


@pytest.mark.parametrize("editor", [None, *TRUSTS])
@pytest.mark.parametrize(
    ("change", "lowers"),
    [
        ({"text": "User likes OtherBank."}, True),
        ({"topics": ["payments"]}, True),
        ({"entities": ["OtherBank"]}, True),
        ({"event_date": after(100)}, True),
        ({"memory_type": "episodic"}, True),
        ({"user_id": "eve"}, True),
        ({"namespace": "elsewhere"}, True),
        ({"session_id": "t"}, True),
        ({"clear": ["topics"]}, True),
        ({"metadata": {"kind": "instruction", "app": 1}}, True),
        ({"metadata": {"subject": "bank", "app": 1}}, True),
        ({"metadata": {"app": 2, "colour": "red"}}, False),
        ({"pinned": True}, False),
        ({"topics": ["tea"]}, False),
    ],
)
async def test_what_changes_the_meaning_is_trusted_as_its_editor_at_most(
    tmp_path: Path, editor: Trust | None, change: dict[str, Any], lowers: bool
) -> None:
    async with running_host(tmp_path, store="memory") as host:
        fields = {"extractor": "discrete/1", "source_ids": ["m1"], "topics": ["tea"], "metadata": {"app": 1}}
        await keep(host, "d", "User likes tea.", trust="user", **fields)
        edited = await run(host, "edit_memory", caller(editor), memory_id="d", **change)
        assert edited.trust == (lowest(("user", editor or "agent")) if lowers else "user")
        assert edited.source_ids == ([] if "text" in change else ["m1"])


@STORES
async def test_a_memory_that_replaces_another_is_trusted_no_further(
    tmp_path: Path, store: str, request: pytest.FixtureRequest
) -> None:
    space = request.getfixturevalue("redis_part").environment() if store == "redis" else {}
    async with running_host(tmp_path, store=store, settings=space) as host:
        page = {"id": "p", "text": "The kettle is red.", "user_id": "mia"}
        await run(host, "create_memories", caller("external"), memories=[page])
        await run(host, "create_memories", memories=[page])
        assert (await run(host, "get_memory", memory_id="p")).trust == "external", "sent back as it was read"
        await run(host, "store_memories", memories=[{**page, "text": "The kettle is green."}])
        assert (await run(host, "get_memory", memory_id="p")).trust == "external"
        await run(host, "create_memories", caller("tool"), memories=[{**page, "id": "q", "text": "Tea is green."}])
        assert (await run(host, "get_memory", memory_id="q")).trust == "tool"


async def test_a_correction_in_a_session_is_trusted_as_an_edit_is(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory") as host:
        own = {"id": "w", "text": "Mia's bank is Nordea.", "memory_type": "semantic", "extracted_from": ["m1"]}
        await run(host, "put_session", caller("user"), session_id="s", user_id="mia", memories=[own])
        assert (await as_stored(host, "w")).record.trust == "user"
        await run(host, "put_session", caller(None), session_id="s", user_id="mia", memories=[own])
        assert (await as_stored(host, "w")).record.trust == "user", "sent back as it was"
        changed = {**own, "text": "Mia's bank is OtherBank."}
        await run(host, "put_session", caller(None), session_id="s", user_id="mia", memories=[changed])
        kept = (await as_stored(host, "w")).record
        assert (kept.text, kept.trust, kept.extracted_from) == (changed["text"], "agent", [])
        assert kept.edited_from == EditedFrom(source_ids=["m1"])
        await run(host, "put_session", caller("operator"), session_id="s", user_id="mia", memories=[own])
        assert (await as_stored(host, "w")).record.trust == "agent"


async def test_a_memory_of_a_session_that_takes_anothers_place_is_trusted_no_further(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory") as host:
        page = {"id": "p", "text": "The kettle is red.", "user_id": "mia", "session_id": "s"}
        await run(host, "create_memories", caller("external"), memories=[page])
        await run(host, "put_session", caller("user"), session_id="s", user_id="mia", memories=[page])
        assert (await as_stored(host, "p")).record.trust == "external"


async def test_who_is_trusted_less_does_not_change_when_a_turn_was_said(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory") as host:
        await bank(host)
        said = {"id": "m1", "role": "user", "content": "My bank is Nordea."}
        changes: list[tuple[Trust, str]] = [("tool", "2025-12-31"), ("user", "2026-01-01")]
        for channel, day in changes:
            turns = [{**said, "created_at": f"{day}T03:04:05Z"}]
            await run(host, "put_session", caller(channel), session_id="s", user_id="mia", messages=turns)
            kept = (await as_stored(host, "m1")).record
            assert f"{kept.created_at:%Y-%m-%d}" == ("2026-01-02" if channel == "tool" else day)
            assert kept.trust == "user"


async def test_a_memory_of_a_session_alone_is_not_raised_when_it_is_kept_for_long(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", settings={"LONG_TERM_MEMORY": "false"}) as host:
        own = {"id": "w", "text": "Mia's bank is Nordea.", "memory_type": "semantic"}
        await run(host, "put_session", caller("tool"), session_id="s", user_id="mia", memories=[own])
        await run(host, "put_session", caller("user"), session_id="s", user_id="mia", memories=[own])
        (kept,) = (await run(host, "get_session", session_id="s", user_id="mia")).memories
        assert kept.trust == "tool"


async def test_a_record_of_an_earlier_version_has_a_level_once_it_is_edited(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory") as host:
        old = await keep(host, "old", "User likes tea.", extractor="discrete/1", metadata={"trust": "user"})
        assert old.record.trust is None
        record: MemoryRecord = await run(host, "edit_memory", caller("tool"), memory_id="old", topics=["tea"])
        assert record.trust == "tool"
        assert rank("tool") < rank("user")
        await host.store.commit(SCOPE, WriteBatch(delete_memories=["old"]))
