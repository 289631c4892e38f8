"""Who speaks in a session: names that come back reach the turns that were stored before them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from memhost.host import Host
from memhost.models import Scope
from memhost.testing.clock import FakeClock
from tests.core.sessions.doors import http
from tests.support.hosts import run, running_host

TALK = [
    ("user", "Caroline: I painted a lake in Oslo."),
    ("assistant", "Melanie: A lake? With which colours?"),
    ("user", "Caroline: With blue ones."),
    ("assistant", "Melanie: I ran a race on Sunday."),
    ("user", "Caroline: How far?"),
    ("assistant", "Done: ten kilometres."),
]
SPEAKERS = ["Caroline", "Melanie", "Caroline", "Melanie", "Caroline", None]


@pytest.fixture(params=["memory", "sqlite"])
async def host(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Host]:
    async with running_host(
        tmp_path, store=request.param, clock=FakeClock(datetime(2026, 3, 1, tzinfo=UTC)), run_jobs=False
    ) as running:
        yield running


async def tell(host: Host, said: Sequence[tuple[str, str]], session: str = "s", **fields: str) -> None:
    messages = [
        {"id": f"{session}{at}", "role": role, "content": text, "created_at": f"2026-01-01T10:{at:02d}:00Z", **fields}
        for at, (role, text) in enumerate(said)
    ]
    await run(host, "put_session", session_id=session, user_id="u", messages=messages)


async def turns(host: Host, count: int, session: str = "s") -> list[tuple[str | None, str, bool]]:
    """Speaker of each turn, what it said, and whether the vector is that of what it said."""
    ids = [f"{session}{at}" for at in range(count)]
    held = {memory.record.id: memory for memory in await host.store.get_memories(Scope(), ids)}
    found = []
    for name in ids:
        memory = held[name]
        said = memory.record.text[memory.lead :]
        (vector,) = await host.embedder.embed([said])
        near = memory.vector is not None and float(vector @ memory.vector) > 0.999
        found.append((memory.speaker, said, near))
    return found


async def test_turns_that_arrive_one_by_one_end_like_those_that_arrive_together(host: Host) -> None:
    for end in range(1, len(TALK) + 1):
        await tell(host, TALK[:end])
    one_by_one = await turns(host, len(TALK))
    await tell(host, TALK, "t")
    assert one_by_one == await turns(host, len(TALK), "t")
    assert [speaker for speaker, *_ in one_by_one] == SPEAKERS
    assert one_by_one[0] == ("Caroline", "I painted a lake in Oslo.", True)
    assert one_by_one[-1] == (None, "Done: ten kilometres.", True)


async def test_a_name_is_part_of_the_text_until_it_comes_back(host: Host) -> None:
    await tell(host, TALK[:2])
    assert [speaker for speaker, *_ in await turns(host, 2)] == [None, None]
    assert (await turns(host, 1))[0][1] == "Caroline: I painted a lake in Oslo."
    stored = (await host.store.get_memories(Scope(), ["s0"]))[0].record.text
    await tell(host, TALK[:3])
    assert [speaker for speaker, *_ in await turns(host, 3)] == ["Caroline", None, "Caroline"]
    held = (await host.store.get_memories(Scope(), ["s0"]))[0]
    assert held.record.text == stored == "user: Caroline: I painted a lake in Oslo."
    assert "zspcaroline" in held.terms


async def test_a_search_for_a_speaker_finds_the_turns_from_before_the_name_was_one(host: Host) -> None:
    for end in range(1, len(TALK) + 1):
        await tell(host, TALK[:end])
    found = await run(host, "search_memories", text="What did Melanie say?", explain=True)
    told = "Melanie, whom the query names, said it."
    assert {hit.id for hit in found.memories if told in hit.explanation} == {"s1", "s3"}


async def test_a_name_that_is_sent_counts_at_once(host: Host) -> None:
    await tell(host, TALK[5:], "n", name="Melanie")
    assert await turns(host, 1, "n") == [("Melanie", "Done: ten kilometres.", True)]
    await tell(host, [("user", "Melanie: Hello")], "o", name="Melanie")
    assert await turns(host, 1, "o") == [("Melanie", "Hello", True)]


async def test_names_in_metadata_are_kept_and_count(host: Host) -> None:
    message = {"id": "m", "role": "user", "content": "Hello", "metadata": {"sender": {"name": "Ana"}}}
    async with http(host) as client:
        await client.put("/v1/working-memory/m", json={"messages": [message]})
        view = (await client.get("/v1/working-memory/m")).json()
    assert view["messages"][0]["metadata"] == {"sender": {"name": "Ana"}}
    assert (await host.store.get_memories(Scope(), ["m"]))[0].speaker == "Ana"


async def test_a_corrected_time_and_a_name_that_has_become_known_are_both_kept(host: Host) -> None:
    await tell(host, TALK[:2])
    messages = [
        {"id": f"s{at}", "role": role, "content": text, "created_at": f"2025-12-31T10:{at:02d}:00Z"}
        for at, (role, text) in enumerate(TALK)
    ]
    await run(host, "put_session", session_id="s", user_id="u", messages=messages)
    (first,) = await host.store.get_memories(Scope(), ["s0"])
    assert (first.speaker, first.record.created_at.year) == ("Caroline", 2025)
    assert "zdt2025" in first.terms
