"""With long-term memory switched off, every operation on it says so, and sessions keep working."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memhost.errors import LongTermMemoryDisabled
from tests.support.hosts import run, running_host

CALLS: dict[str, dict[str, Any]] = {
    "create_memories": {"memories": [{"id": "a", "text": "x"}]},
    "search_memories": {"text": "x"},
    "get_memory": {"memory_id": "a"},
    "explain_memory": {"memory_id": "a"},
    "rebuild_memories": {},
    "edit_memory": {"memory_id": "a", "text": "y"},
    "delete_memories": {"memory_ids": ["a"]},
    "forget_memories": {"policy": {}},
    "compact_memories": {},
    "list_trash": {},
    "restore_memories": {"ids": ["a"]},
    "list_memory_versions": {"memory_id": "a"},
    "get_memory_version": {"memory_id": "a", "version": 1},
    "compare_memory_versions": {"memory_id": "a", "version": 1},
    "restore_memory_version": {"memory_id": "a", "version": 1},
    "redact_memory_version": {"memory_id": "a", "version": 1},
    "list_reviews": {},
    "get_review": {"memory_id": "a"},
    "approve_reviews": {"memory_ids": ["a"]},
    "correct_review": {"memory_id": "a", "text": "x"},
    "refuse_reviews": {"memory_ids": ["a"]},
    "get_context": {"query": "x"},
    "memory_prompt": {"query": "x", "long_term_search": True},
}


@pytest.mark.parametrize("name", sorted(CALLS))
async def test_operation_is_refused(name: str, tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", settings={"LONG_TERM_MEMORY": "false"}) as host:
        with pytest.raises(LongTermMemoryDisabled):
            await run(host, name, **CALLS[name])


async def test_sessions_go_on(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", settings={"LONG_TERM_MEMORY": "false"}) as host:
        await run(host, "put_session", session_id="s", messages=[{"role": "user", "content": "hi", "id": "1"}])
        assert (await run(host, "get_session", session_id="s")).messages[0].content == "hi"
