"""Storing memories while others delete what they repeat."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memhost.services import deduplication
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

    monkeypatch.setattr("memhost.services.memories.find_repetitions", find)
    async with running_host(tmp_path, store="memory") as host:
        answer = await run(host, "store_memories", memories=[{"text": "Likes tea"}])
        assert [each.status for each in answer.results] == ["created"]
        assert (await run(host, "get_memory", memory_id=answer.results[0].id)).text == "Likes tea"
        gone.append(make_memory("k", "Likes coffee"))
        await run(host, "create_memories", memories=[{"id": "own", "text": "Likes coffee"}])
        assert (await run(host, "get_memory", memory_id="own")).text == "Likes coffee"
