"""A model that declines, is away for long, or gives what cannot be read: nothing is lost, and the session says why."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from memhost.host import Host
from memhost.testing.clock import FakeClock
from tests.core.jobs.test_jobs import work
from tests.support.extractions import extractions, fresh_lines, host_with_model, item, noting, said
from tests.support.hosts import run
from tests.support.model_server import ModelServer, completion, content_filter, failure

NOW = datetime(2026, 3, 3, tzinfo=UTC)
QUICK = {"LLM_MAX_WAIT_SECONDS": "0", "JOB_BACKOFF_S": "30,120,600"}
TEXTS = ("I live in Oslo.", "I have a cat.", "I play chess.")
NOTES = noting({text: [item(f"Fact {index}.", f"m{index}")] for index, text in enumerate(TEXTS)})


@asynccontextmanager
async def told(models: ModelServer, folder: Path, clock: FakeClock, **settings: str) -> AsyncIterator[Host]:
    async with host_with_model(
        models, folder, store="memory", settings={**QUICK, **settings}, clock=clock, run_jobs=False
    ) as host:
        await run(host, "put_session", session_id="s", messages=said(*TEXTS))
        yield host


async def state(host: Host) -> Any:
    return (await run(host, "get_session", session_id="s")).extraction


async def facts(host: Host) -> set[str]:
    found = await run(host, "search_memories", extraction_strategy={"none": ["message"]})
    return {memory.text for memory in found.memories}


async def test_the_message_that_the_provider_declines_is_named(models: ModelServer, tmp_path: Path) -> None:
    models.answer(lambda call: content_filter() if "cat" in fresh_lines(call) else NOTES(call))
    async with told(models, tmp_path, FakeClock(NOW)) as host:
        await work(host, 3)
        seen = await state(host)
        assert seen.state == "refused"
        assert seen.last_error.startswith("Message m1: ")
        assert await facts(host) == {"Fact 0.", "Fact 2."}


async def test_a_session_goes_on_by_itself_after_an_hour_without_a_provider(
    models: ModelServer, tmp_path: Path
) -> None:
    models.answer(failure(503))
    clock = FakeClock(NOW)
    async with told(models, tmp_path, clock) as host:
        for _ in range(60):
            await work(host)
            seen = await state(host)
            assert (seen.state, seen.pending) == ("waiting", 3)
            clock.advance(60)
        seen = await state(host)
        assert seen.last_error
        assert clock.now() - seen.waiting_since >= timedelta(minutes=59)
        models.answer(NOTES)
        for _ in range(13):  # the longest pause is ten minutes, and a fifth
            clock.advance(60)
            await work(host)
        seen = await state(host)
        assert (seen.state, seen.pending, seen.last_error) == ("idle", 0, None)
        assert await facts(host) == {"Fact 0.", "Fact 1.", "Fact 2."}


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        ("I would rather not.", "is not the requested JSON: it is 19 characters of plain text."),
        ("", "is not the requested JSON: it is empty."),
        (completion('{"memories": [', finish="length"), "it ran into its limit after 20 tokens."),
        (completion("", finish="length"), "spent the limit of its answer (20 tokens) on thinking and gave none"),
    ],
    ids=["prose", "empty", "cut", "thinking"],
)
async def test_an_answer_that_cannot_be_read_costs_four_calls_and_tells_the_cause(
    models: ModelServer, tmp_path: Path, answer: Any, cause: str
) -> None:
    models.answer(answer)
    clock = FakeClock(NOW)
    async with told(models, tmp_path, clock) as host:
        for _ in range(60):
            await work(host)
            clock.advance(60)
        seen = await state(host)
        assert cause in seen.last_error
        assert seen.pending == 3
        assert len(models.chat_requests) == 4, "two attempts, each asks once more"
        models.answer(NOTES)
        await run(host, "extract_session", session_id="s")
        await work(host, 2)
        assert (await state(host)).state == "idle"
        assert await facts(host) == {"Fact 0.", "Fact 1.", "Fact 2."}
        assert extractions(models)
