"""`MemoryExtractor`: a class with one coroutine, run by the extraction service like any other strategy."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from memhost import Memory
from memhost.errors import ModelUnavailable, PluginFailure
from memhost.host import Host
from memhost.plugins import PluginManager
from tests.support import scripted
from tests.support.extractions import AT_ONCE, derived, said, settled
from tests.support.extractors import POINTS, Nonsense
from tests.support.hosts import run, running_host

STRATEGY = {"strategy": "action-items"}
ANSWER = json.dumps([{"owner": "Ann", "task": "book the boat"}, {"owner": "Bob", "task": "buy bread"}])


@asynccontextmanager
async def extracting_host(folder: Path, *, model: bool = True, run_jobs: bool = False) -> AsyncIterator[Host]:
    settings = {**AT_ONCE, **({"LLM": "scripted"} if model else {})}
    points = [*POINTS, scripted.POINT]
    async with running_host(folder, store="memory", extra=points, settings=settings, run_jobs=run_jobs) as host:
        yield host


async def say(host: Host, *texts: str, strategy: str = "action-items") -> None:
    await run(
        host,
        "put_session",
        session_id="s1",
        user_id="ann",
        messages=said(*texts),
        long_term_memory_strategy={"strategy": strategy},
    )


def test_entry_point_may_name_the_class() -> None:
    manager = PluginManager.load(entry_points=POINTS)
    (row, *_) = manager.rows
    assert (row.status, row.provides, row.error) == ("ok", ("action-items",), None)
    spec = manager.strategies.get("action-items")
    assert spec is not None
    assert (spec.spec.summary, spec.spec.needs_model) == ("Notes who promised what.", True)


async def test_extractor_runs_in_the_background_and_is_metered(tmp_path: Path) -> None:
    script = scripted.reset()
    script.answers.append(ANSWER)
    async with extracting_host(tmp_path, run_jobs=True) as host:
        await say(host, "I will book the boat.", "Then I buy bread.")
        await settled(host, "s1", user_id="ann")
        memories = await derived(host)
        assert {memory.text for memory in memories} == {"Ann will book the boat", "Bob will buy bread"}
        assert {memory.metadata["owner"] for memory in memories} == {"Ann", "Bob"}
        assert {memory.extractor for memory in memories} == {"action-items/3"}
        (call,) = script.calls
        assert (call.model, call.purpose) == ("cheap-model", "extraction")
        usage = await run(host, "get_usage", group_by=["model", "purpose"])
        assert [(row.model, row.purpose, row.calls) for row in usage.rows] == [("cheap-model", "extraction", 1)]
        found = await run(host, "search_memories", text="who books the boat?", limit=1)
        assert found.memories[0].text in ("Ann will book the boat", "user: I will book the boat.")


async def test_repetition_is_not_stored_twice(tmp_path: Path) -> None:
    script = scripted.reset()
    script.answers += [ANSWER, ANSWER]
    async with extracting_host(tmp_path) as host:
        await say(host, "I will book the boat.")
        await run(host, "extract_session", session_id="s1", user_id="ann")
        await say(host, "I will book the boat.", "As I said.")
        await run(host, "extract_session", session_id="s1", user_id="ann")
        assert len(script.calls) == 2
        assert len(await derived(host)) == 2


async def test_answers_are_not_paid_for_again_when_storing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = scripted.reset()
    script.answers += [ANSWER]
    async with extracting_host(tmp_path) as host:
        await say(host, "I will book the boat.")
        embed, failures = host.embedder.embed, [ModelUnavailable("The embedder does not answer.")]

        async def unsure(texts: Any) -> Any:
            if failures:
                raise failures.pop()
            return await embed(texts)

        monkeypatch.setattr(host.embedder, "embed", unsure)
        with pytest.raises(ModelUnavailable):
            await run(host, "extract_session", session_id="s1", user_id="ann")
        state = await run(host, "extract_session", session_id="s1", user_id="ann")
        assert state.pending == 0
        assert len(script.calls) == 1
        assert len(await derived(host)) == 2


async def test_extractor_without_a_model(tmp_path: Path) -> None:
    async with extracting_host(tmp_path, model=False) as host:
        await say(host, "hello", "WHERE IS MY BOAT", strategy="shouting")
        await run(host, "extract_session", session_id="s1", user_id="ann")
        (memory,) = await derived(host)
        assert (memory.text, memory.topics, memory.source_ids) == ("Shouted: WHERE IS MY BOAT", ["noise"], ["m1"])


async def test_preview_stores_nothing(tmp_path: Path) -> None:
    script = scripted.reset()
    script.answers.append(ANSWER)
    async with extracting_host(tmp_path) as host:
        seen = await run(
            host,
            "preview_extraction",
            messages=[{"role": "user", "content": "I will book the boat."}],
            long_term_memory_strategy=STRATEGY,
        )
        assert (seen.strategy, seen.calls, len(seen.memories)) == ("action-items", 1, 2)
        assert await derived(host) == []


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (None, "must return a list"),
        (["text"], "Memory objects, not str"),
        ([Memory(content=5)], "content must be a string"),  # type: ignore[arg-type]
        ([Memory(content="x", metadata={"a": {"b": 1}})], r"metadata\['a'\]"),
        ([Memory(content="x", embedding=[1.0, 2.0])], "embedding that is not from"),
        ([Memory(content="x", embedding=[float("nan")] * 256)], "embedding that is not from"),
        (ValueError("broken"), "nonsense/1 failed: ValueError at extractors.py"),
    ],
    ids=["none", "strings", "content", "metadata", "short-vector", "nan-vector", "raises"],
)
async def test_nonsense_is_refused_by_name_and_the_messages_wait(tmp_path: Path, given: Any, told: str) -> None:
    Nonsense.given = given
    async with extracting_host(tmp_path, model=False) as host:
        await say(host, "hello", strategy="nonsense")
        with pytest.raises(PluginFailure, match=told):
            await run(host, "extract_session", session_id="s1", user_id="ann")
        view = await run(host, "get_session", session_id="s1", user_id="ann")
        assert (view.extraction.pending, view.extraction.state) == (1, "waiting")
        Nonsense.given = [Memory(content="it works"), Memory(content="  ")]
        await run(host, "extract_session", session_id="s1", user_id="ann")
        assert [memory.text for memory in await derived(host)] == ["it works"]


def test_tools_are_there_only_while_extracting() -> None:
    with pytest.raises(RuntimeError, match="while the server calls extract"):
        _ = Nonsense().llm


def test_importing_memhost_stays_light() -> None:
    code = "import sys, memhost; print(sorted({'numpy', 'litestar', 'apsw', 'memhost.ports'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
