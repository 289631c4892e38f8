"""Data from plugins has the same size limits as data from clients; known callers may send larger bodies."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from memhost.credentials import VISITOR, Visitor
from memhost.errors import Unauthorized, ValidationFailed
from memhost.events import SessionWrite
from memhost.memories.job_context import StagedContext
from memhost.models import MemoryHit, MemoryRecord, MemoryType, Message, SessionKey, WorkingMemory
from memhost.operations import limits
from memhost.plugins.request_hooks import _checked
from memhost.ports import Credentials, Draft
from tests.support.hosts import running_host

NOW = datetime(2026, 1, 2, tzinfo=UTC)
RECORD = MemoryRecord(id="a", text="tea", created_at=NOW, updated_at=NOW, last_accessed=NOW)
CONTENT = WorkingMemory(created_at=NOW, updated_at=NOW, last_accessed=NOW)
LONG = "x" * (limits.MAX_NAME_LENGTH + 1)


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"topics": [LONG]}, "at most 256"),
        ({"entities": ["e"] * (limits.MAX_TAGS + 1)}, "entities"),
        ({"metadata": {"a": "x" * limits.METADATA_BYTES}}, "metadata"),
        ({"text": "x" * (limits.MAX_MESSAGE_LENGTH + 2 * limits.MAX_NAME_LENGTH + 1)}, "text"),
    ],
)
def test_a_hook_makes_no_memory_larger_than_a_client_may(fields: dict[str, Any], where: str) -> None:
    large = msgspec.structs.replace(RECORD, **fields)
    with pytest.raises(ValueError, match=where):
        _checked([RECORD, large], list[MemoryRecord])


def test_a_hook_may_give_back_a_long_turn() -> None:
    turn = msgspec.structs.replace(
        RECORD, text="user: " + "x" * limits.MAX_MESSAGE_LENGTH, memory_type=MemoryType.MESSAGE
    )
    assert _checked([turn], list[MemoryRecord]) == [turn]
    hit = MemoryHit(**{name: getattr(RECORD, name) for name in RECORD.__struct_fields__}, dist=0.1)
    old = msgspec.structs.replace(hit, topics=[LONG])  # stored before there were limits
    assert _checked([old], list[MemoryHit]) == [old]


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"data": {"a": "x" * limits.DATA_BYTES}}, "data"),
        ({"context": "x" * (limits.MAX_MESSAGE_LENGTH + 1)}, "context"),
        ({"messages": [Message(role=LONG, content="hi", id="m", created_at=NOW)]}, "role"),
        ({"memories": [msgspec.structs.replace(RECORD, user_id=LONG)]}, "user_id"),
    ],
)
def test_a_hook_makes_no_session_larger_than_a_client_may(fields: dict[str, Any], where: str) -> None:
    key = SessionKey("default", "", "", "s")
    fine = SessionWrite(session=key, content=CONTENT)
    assert _checked(fine, SessionWrite).content == CONTENT
    large = SessionWrite(session=key, content=msgspec.structs.replace(CONTENT, **fields))
    with pytest.raises(ValueError, match=where):
        _checked(large, SessionWrite)


async def test_who_is_let_in_is_known(tmp_path: Path) -> None:
    settings: dict[str, str]
    for settings, known in (({}, True), ({"AUTH": "token", "AUTH_TOKEN_KEY": "k" * 40}, False)):
        async with running_host(tmp_path, run_jobs=False, settings=settings) as host:
            visitor = Visitor()
            token = VISITOR.set(visitor)
            try:
                if known:
                    await host.authenticate(Credentials())
                else:
                    with pytest.raises(Unauthorized):
                        await host.authenticate(Credentials(scheme="bearer", token="wrong"))
            finally:
                VISITOR.reset(token)
            assert visitor.known is known


async def test_a_background_hook_stages_nothing_larger_than_a_client_may() -> None:
    job: Any = SimpleNamespace(id="j", attempts=1, failures=0, tenant="default", lease="l", plugin="p")
    nothing: Any = None
    context = StagedContext(
        job=job,
        store=nothing,
        embedder=nothing,
        llm=None,
        hooks=nothing,
        held=nothing,
        outbox=nothing,
        extractor="p/1",
        now=NOW,
        settings=nothing,
        tasks=nothing,
    )
    with pytest.raises(ValidationFailed, match="at most 256"):
        await context.store_memories(SessionKey("default", "", "u", "s"), [Draft(text="tea", topics=[LONG])])
    assert not context.batch.put_memories
