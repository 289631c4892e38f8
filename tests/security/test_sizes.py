"""Requests that hold too much are refused inside, whatever door they come through."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from memhost.errors import ValidationFailed
from memhost.host import Host
from memhost.services import limits
from tests.support.hosts import run, running_host

DEEP: Any = []
for _ in range(200):
    DEEP = [DEEP]


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    async with running_host(tmp_path, store="memory", run_jobs=False) as opened:
        yield opened


def messages(content: str, times: int = 1) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content, "created_at": "2026-01-02T03:04:05Z"}] * times


def record(**fields: Any) -> dict[str, Any]:
    return {"memories": [{"id": "a", "text": "tea", **fields}]}


@pytest.mark.parametrize(
    ("operation", "fields", "where"),
    [
        ("create_memories", record(text="x" * (limits.LONGEST_TEXT + 1)), "text"),
        ("store_memories", record(text="x" * (limits.LONGEST_TEXT + 1)), "text"),
        ("create_memories", record(metadata={"a": "x" * limits.METADATA_BYTES}), "metadata"),
        ("create_memories", record(metadata={"a": DEEP}), "metadata"),
        ("create_memories", record(topics=["t"] * (limits.MOST_TAGS + 1)), "topics"),
        ("create_memories", {"memories": record()["memories"] * (limits.MOST_ITEMS + 1)}, "memories"),
        ("put_session", {"session_id": "s", "messages": messages("x" * (limits.LONGEST_MESSAGE + 1))}, "content"),
        ("put_session", {"session_id": "s", "messages": messages("hi", limits.MOST_ITEMS + 1)}, "messages"),
        ("put_session", {"session_id": "s", "data": {"a": DEEP}}, "data"),
        ("change_session", {"session_id": "s", "data": {"a": DEEP}}, "data"),
        ("put_session", {"session_id": "s", **record(metadata={"a": DEEP})}, "metadata"),
        ("edit_memory", {"memory_id": "a", "text": "x" * (limits.LONGEST_TEXT + 1)}, "text"),
        ("delete_memories", {"memory_ids": ["a"] * (limits.MOST_ITEMS + 1)}, "memory_ids"),
        ("search_memories", {"text": "x" * (limits.LONGEST_TEXT + 1)}, "text"),
    ],
)
async def test_too_much_is_refused(host: Host, operation: str, fields: dict[str, Any], where: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        await run(host, operation, **fields)
    [problem] = caught.value.problems
    assert problem.where[-1] == where
    assert problem.message.startswith("It is nested too deeply") or "at most" in problem.message


async def test_what_just_fits_is_taken(host: Host) -> None:
    fitting = record(text="tea " * (limits.LONGEST_TEXT // 4), metadata={"a": "x" * (limits.METADATA_BYTES - 8)})
    await run(host, "create_memories", **fitting)
