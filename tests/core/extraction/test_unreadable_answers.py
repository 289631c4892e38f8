"""Answers without a memory: nothing is invented, and the session and the log report unreadable answers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from memhost.host import Host
from memhost.testing.clock import FakeClock
from tests.core.jobs.test_jobs import work
from tests.support import scripted
from tests.support.hosts import run, running_host

SAID = [{"id": "m1", "role": "user", "content": "I run marathons."}]


@asynccontextmanager
async def extracted(folder: Path, answer: str) -> AsyncIterator[Host]:
    """A host in which the model's answer about a session was read once."""
    scripted.reset().rule = lambda _asked: answer
    settings = {"LLM": "scripted", "EXTRACTION_DEBOUNCE_SECONDS": "0", "JOB_MAX_TRIES": "1"}
    async with running_host(
        folder, store="memory", extra=[scripted.POINT], settings=settings, clock=FakeClock(), run_jobs=False
    ) as host:
        await run(host, "put_session", session_id="chat-9", messages=SAID)
        await work(host)
        yield host


async def memories(host: Host) -> list[Any]:
    return list((await run(host, "search_memories", extraction_strategy={"none": ["message"]})).memories)


@pytest.mark.parametrize(
    "answer",
    [
        "I would rather not.",
        '{"memories": [{"text": "string", "type": "semantic|episodic"}]}',
        '{"topics": ["x"]}',
        '{"memories": [{"text": "User runs marathons., "type": "semantic"}]}',
    ],
)
async def test_what_cannot_be_read_shows_in_state_and_log(
    tmp_path: Path, answer: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with extracted(tmp_path, answer) as host:
        view = await run(host, "get_session", session_id="chat-9")
        assert view.extraction.state in ("waiting", "failed")
        assert "answer" in view.extraction.last_error
        assert (view.extraction.pending, view.messages[0].discrete_memory_extracted) == (1, "f")
        assert await memories(host) == []
        assert len(scripted.SCRIPT.calls) == 2, "one call, and one to have it mended"
    (told,) = [record for record in caplog.records if record.message == "extraction.unreadable"]
    assert told.fields["session"] == "chat-9"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "answer", ['{"memories": [{"text": "N/A"}, {"text": "No memories."}]}', '{"memories": []}', "[]"]
)
async def test_an_empty_answer_is_one_and_costs_one_call(tmp_path: Path, answer: str) -> None:
    async with extracted(tmp_path, answer) as host:
        view = await run(host, "get_session", session_id="chat-9")
        assert (view.extraction.state, view.extraction.last_error, view.extraction.pending) == ("idle", None, 0)
        assert await memories(host) == []
        assert len(scripted.SCRIPT.calls) == 1


@pytest.mark.parametrize(
    "text",
    [
        "User's last day at work is 2026-03-31.",
        "User finished the marathon in two days.",
        "User's favourite film is The Day After Tomorrow.",
        "User pays rent once in a month.",
    ],
)
async def test_a_text_stays_as_it_was_written_and_costs_one_call(tmp_path: Path, text: str) -> None:
    answer = json.dumps({"memories": [{"text": text, "source_message_ids": ["m1"]}]})
    async with extracted(tmp_path, answer) as host:
        (memory,) = await memories(host)
        assert (memory.text, memory.event_date) == (text, None)
        assert len(scripted.SCRIPT.of("extraction") + scripted.SCRIPT.of("repair")) == 1
