"""The memory prompt: dates on every line, no ids unless asked for, and a window that is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from memhost.host import Host
from memhost.messages.token_budgets import count_for
from memhost.operations.responses import MemoryPrompt
from memhost.testing.clock import FakeClock
from tests.support.hosts import run, running_host

NOW = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)
FILLER = "Section on budgets and minutes. " * 7000
KEY = "The spare key hangs behind the barometer."


AGENTS_KNOW = {"CONTEXT_MIN_TRUST": "agent"}
"""What programs store is read as what is known, so that one section holds all of it."""


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    async with running_host(tmp_path, store="memory", clock=FakeClock(NOW), settings=AGENTS_KNOW) as running:
        yield running


def tokens_of(prompt: MemoryPrompt) -> int:
    return sum(count_for(None).count(message.content.text) + 4 for message in prompt.messages)


async def ask(host: Host, query: str, **fields: Any) -> MemoryPrompt:
    found: MemoryPrompt = await run(host, "memory_prompt", query=query, **fields)
    return found


async def test_each_line_tells_when_it_was_said_and_when_it_happened(host: Host) -> None:
    surgery = {"id": "p5", "text": "User had surgery", "memory_type": "episodic", "event_date": "2021-05-04T00:00:00Z"}
    leave = {"id": "p6", "text": "User is on leave after surgery", "valid_to": "2026-09-01T00:00:00Z"}
    older = {"created_at": "2026-03-01T08:00:00Z"}
    await run(host, "store_memories", memories=[{**leave}, {**surgery, **older}])
    prompt = await ask(host, "When was the surgery?", long_term_search=True)
    lines = prompt.messages[0].content.text.splitlines()
    assert lines[1].startswith("Today is Tuesday, 2026-03-10. ")
    assert lines[2:4] == [
        "- User had surgery (said 2026-03-01; event 2021-05-04; by agent)",
        "- User is on leave after surgery (said 2026-03-10; until 2026-09-01; by agent)",
    ]
    assert {hit.id for hit in prompt.long_term_memories or ()} == {"p5", "p6"}


async def test_ids_are_written_only_if_asked_for(host: Host) -> None:
    await run(host, "store_memories", memories=[{"id": "bike-1", "text": "User owns a red bike"}])
    plain = await ask(host, "Which bike?", long_term_search=True)
    assert "ID" not in plain.messages[0].content.text
    assert "bike-1" not in plain.messages[0].content.text
    named = await ask(host, "Which bike?", long_term_search=True, include_ids=True)
    assert "- User owns a red bike (ID: bike-1) (said 2026-03-10; by agent)" in named.messages[0].content.text


@pytest.mark.parametrize("window", [200, 1000, 4000])
async def test_the_window_is_kept_and_the_passage_of_a_long_turn_is_shown(host: Host, window: int) -> None:
    long = {"id": "1", "role": "user", "content": f"{FILLER}{KEY} {FILLER}"}
    await run(host, "put_session", session_id="lw", user_id="lw", messages=[long])
    await run(
        host, "put_session", session_id="lw2", user_id="lw", messages=[{"id": "2", "role": "user", "content": "hi"}]
    )
    session = {"session_id": "lw2", "user_id": "lw", "context_window_max": window}
    prompt = await ask(host, "Where is the spare key?", session=session, long_term_search={"user_id": {"eq": "lw"}})
    assert tokens_of(prompt) <= window
    assert KEY in str(prompt.messages)
    assert prompt.messages[-1].content.text == "Where is the spare key?"
    assert prompt.messages[0].content.text == "hi"


@pytest.mark.parametrize("window", [100, 4000])
async def test_a_message_that_is_longer_than_the_window_is_cut_to_its_passage(host: Host, window: int) -> None:
    said = [
        {"id": "1", "role": "user", "content": "An older message."},
        {"id": "2", "role": "assistant", "content": f"{FILLER}{KEY} {FILLER}"},
    ]
    await run(host, "put_session", session_id="s", messages=said, context=f"{FILLER}")
    prompt = await ask(
        host,
        "Where is the spare key?",
        session={"session_id": "s", "context_window_max": window, "model_name": "gpt-4"},
    )
    assert tokens_of(prompt) <= window
    assert KEY in prompt.messages[-2].content.text
    assert prompt.messages[-2].role == "assistant"


async def test_memories_do_not_crowd_out_the_newest_messages_nor_these_the_memories(host: Host) -> None:
    facts = [{"id": f"f{at}", "text": f"User planted {at} tulips in bed number {at}."} for at in range(80)]
    await run(host, "store_memories", memories=facts)
    said = [{"id": f"m{at}", "role": "user", "content": f"Message number {at} about roses. " * 5} for at in range(60)]
    await run(host, "put_session", session_id="s", messages=said)
    session = {"session_id": "s", "context_window_max": 1200}
    prompt = await ask(host, "How many tulips?", session=session, long_term_search={"limit": 80})
    assert tokens_of(prompt) <= 1200
    assert prompt.messages[-3].content.text.startswith("Message number 59")
    assert len(prompt.long_term_memories or ()) > 5
    assert len(prompt.messages) > 5


async def test_without_a_window_memories_have_a_bound_all_the_same(host: Host) -> None:
    for at in range(3):
        message = {"id": f"l{at}", "role": "user", "content": f"{FILLER} Barometer {at}. {FILLER}"}
        await run(host, "put_session", session_id=f"l{at}", messages=[message])
    prompt = await ask(host, "Where is the barometer?", long_term_search=True)
    assert tokens_of(prompt) <= 4100
    assert "Barometer 1." in prompt.messages[0].content.text


async def test_small_talk_is_not_in_the_prompt(host: Host) -> None:
    said = ["Sam: Take care, Evan!", "Evan: I run every morning, Sam.", "Sam: Bye for now, Evan."]
    turns = [
        {"id": str(at), "role": "user", "name": text.split(":")[0], "content": text} for at, text in enumerate(said)
    ]
    await run(host, "put_session", session_id="s", messages=turns)
    prompt = await ask(host, "What does Evan do every morning?", long_term_search=True)
    assert [hit.id for hit in prompt.long_term_memories or ()] == ["1"]
    assert "Take care" not in prompt.messages[0].content.text


async def test_what_a_turn_said_and_does_not_hold_any_more_is_marked(host: Host) -> None:
    turn = {"id": "t1", "role": "user", "content": "I live in Berlin.", "created_at": "2026-01-01T08:00:00Z"}
    await run(host, "put_session", session_id="s", messages=[turn])
    prompt = await ask(host, "Where do I live?", long_term_search=True)
    assert "no longer" not in prompt.messages[0].content.text


@pytest.mark.parametrize("window", [None, 400, 4000])
async def test_what_the_session_says_is_not_said_twice(host: Host, window: int | None) -> None:
    key = {"id": "a0", "role": "user", "content": KEY}
    talk = [
        {"id": f"a{n}", "role": "user", "content": f"Note {n}: the key, the hall and the stairs."} for n in range(1, 60)
    ]
    await run(host, "put_session", session_id="s", user_id="u", messages=[key, *talk])
    await run(host, "put_session", session_id="other", user_id="u", messages=[{**key, "id": "b0"}])
    asked = {"session_id": "s", "user_id": "u"} | ({} if window is None else {"context_window_max": window})
    search = {"user_id": {"eq": "u"}, "limit": 10}
    prompt = await ask(host, "Where is the spare key?", session=asked, long_term_search=search)
    texts = [message.content.text for message in prompt.messages]
    said = {text for text in texts if text.startswith("Note")}
    memories = next(text for text in texts if text.startswith("## Long-term"))
    assert said
    assert not any(text in memories for text in said)
    assert KEY in "\n".join(texts)  # as a message where the window holds it, else as a memory
