"""Storing memories while others delete what they repeat."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memhost.services import deduplication
from tests.support.hosts import run, running_host


async def test_what_repeats_a_memory_that_is_deleted_meanwhile_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, deleted = deduplication.without_repetitions, ["k"]

    async def find(*arguments: Any) -> Any:
        return ([], [deleted.pop()]) if deleted else await real(*arguments)

    monkeypatch.setattr("memhost.services.memories.without_repetitions", find)
    async with running_host(tmp_path, store="memory") as host:
        answer = await run(host, "store_memories", memories=[{"text": "Likes tea"}])
        assert [each.status for each in answer.results] == ["created"]
        assert (await run(host, "get_memory", memory_id=answer.results[0].id)).text == "Likes tea"
