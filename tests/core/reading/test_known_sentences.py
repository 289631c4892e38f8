"""Our answers contain the sentences that tests and clients of Agent Memory Server look for."""

from __future__ import annotations

from pathlib import Path

import pytest

from memhost.errors import InvalidRequest
from memhost.operations import Call
from memhost.operations.requests import MessageInput
from memhost.operations.working_memory import PutSession
from tests.support.hosts import ADMIN, run, running_host


async def test_sentences(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        for mode in ("keyword", "hybrid"):
            with pytest.raises(InvalidRequest, match="distance_threshold is only supported for semantic search mode"):
                await run(host, "search_memories", text="tea", search_mode=mode, distance_threshold=0.3)
        for search in (None, False):
            with pytest.raises(InvalidRequest, match="Either session or long_term_search must be provided"):
                await run(host, "memory_prompt", query="tea", long_term_search=search)
        call = Call(caller=ADMIN, request_id="r")
        request = PutSession(session_id="s", messages=[MessageInput(role="user", content="hi")])
        await host.execute("put_session", call, request)
        [(kind, sentence)] = call.notices
        assert kind == "deprecation"
        assert "required" in sentence
