"""Storing memories while another call deletes the memories that they repeat."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from memhost.memories import exact_duplicates as deduplication
from memhost.memories import records
from memhost.testing.factories import make_memory
from tests.support.hosts import run, running_host


async def test_what_repeats_a_memory_that_is_deleted_meanwhile_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, gone = deduplication.find_repetitions, [make_memory("k", "Likes tea")]

    async def find(store: Any, bounds: Any, records: Any, now: Any) -> deduplication.Repetitions:
        if not gone:
            return await real(store, bounds, records, now)
        return deduplication.Repetitions(stays={records[0].id: "k"}, confirmed={"k": gone.pop()})

    monkeypatch.setattr("memhost.memories.service.find_repetitions", find)
    async with running_host(tmp_path, store="memory") as host:
        answer = await run(host, "store_memories", memories=[{"text": "Likes tea"}])
        assert [each.status for each in answer.results] == ["created"]
        assert (await run(host, "get_memory", memory_id=answer.results[0].id)).text == "Likes tea"
        gone.append(make_memory("k", "Likes coffee"))
        await run(host, "create_memories", memories=[{"id": "own", "text": "Likes coffee"}])
        assert (await run(host, "get_memory", memory_id="own")).text == "Likes coffee"


async def test_long_texts_are_analysed_off_the_event_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []
    analysed = records._analysed

    def watched(*given: Any) -> Any:
        threads.append(threading.get_ident())
        return analysed(*given)

    monkeypatch.setattr(records, "_analysed", watched)
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        await run(host, "create_memories", memories=[{"id": "a", "text": "tea"}])
        await run(host, "create_memories", memories=[{"id": "b", "text": "tea and cake " * 1_000}])
        turn = {"role": "user", "content": "чай и торт " * 20_000, "created_at": "2026-01-02T03:04:05Z"}
        await run(host, "put_session", session_id="s", messages=[turn])
    here = threading.get_ident()
    assert [thread == here for thread in threads] == [True, False, False]
