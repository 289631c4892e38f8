"""Requests that are too large are refused in core, through every interface."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import UnsetType, inspect

from memhost.admin.export_import import Header, Importer, MemoryLine, SessionLine
from memhost.errors import LimitReached, ValidationFailed
from memhost.host import Host, core_operations
from memhost.models import Caller, MemoryRecord, Scope, SessionKey, StoredSession, WorkingMemory
from memhost.operations import Call, limits
from memhost.operations.requests import SessionRecordInput
from memhost.operations.working_memory import GetSession
from memhost_mcp.schemas import arguments_schema
from memhost_rest.openapi import build_document
from memhost_rest.routes import ROUTES, route_of
from tests.support.hosts import ADMIN, bound_to, run, running_host

WRITES: dict[str, set[str]] = {
    "create_memories": set(),
    "store_memories": set(),
    "edit_memory": {"memory_id", "clear"},  # what it looks up, and words of a fixed list
    "put_session": set(),
    "change_session": set(),
    "create_summary_view": set(),
    "update_summary_view": {"view_id"},
    "run_summary_view": {"view_id"},
}
"""Operations that keep what clients send, and those of their fields that are not kept."""

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


LONG_NAME = "я" * (limits.MAX_NAME_LENGTH + 1)
LONG_TAG = "旅" * (limits.MAX_TAG_LENGTH + 1)
BIG_CONFIG = {"a": "x" * limits.CONFIG_BYTES}


@pytest.mark.parametrize(
    ("operation", "fields", "where"),
    [
        ("create_memories", record(text="x" * (limits.MAX_TEXT_LENGTH + 1)), "text"),
        ("store_memories", record(text="x" * (limits.MAX_TEXT_LENGTH + 1)), "text"),
        ("create_memories", record(metadata={"a": "x" * limits.METADATA_BYTES}), "metadata"),
        ("create_memories", record(metadata={"a": DEEP}), "metadata"),
        ("create_memories", record(topics=["t"] * (limits.MAX_TAGS + 1)), "topics"),
        ("create_memories", {"memories": record()["memories"] * (limits.MAX_ITEMS + 1)}, "memories"),
        ("put_session", {"session_id": "s", "messages": messages("x" * (limits.MAX_MESSAGE_LENGTH + 1))}, "content"),
        ("put_session", {"session_id": "s", "messages": messages("hi", limits.MAX_ITEMS + 1)}, "messages"),
        ("put_session", {"session_id": "s", "data": {"a": DEEP}}, "data"),
        ("change_session", {"session_id": "s", "data": {"a": DEEP}}, "data"),
        ("put_session", {"session_id": "s", **record(metadata={"a": DEEP})}, "metadata"),
        ("edit_memory", {"memory_id": "a", "text": "x" * (limits.MAX_TEXT_LENGTH + 1)}, "text"),
        ("delete_memories", {"memory_ids": ["a"] * (limits.MAX_ITEMS + 1)}, "memory_ids"),
        ("search_memories", {"text": "x" * (limits.MAX_TEXT_LENGTH + 1)}, "text"),
        ("search_memories", {"topics": {"any": ["t"] * (limits.MAX_ITEMS + 1)}}, "any"),
        ("search_memories", {"metadata": {str(n): {"eq": n} for n in range(limits.MAX_KEYS + 1)}}, "metadata"),
        ("memory_prompt", {"query": "x" * (limits.MAX_TEXT_LENGTH + 1), "long_term_search": True}, "query"),
        *(
            ("create_memories", record(**{name: LONG_NAME}), name)
            for name in ("id", "user_id", "namespace", "session_id", "extraction_strategy")
        ),
        *(
            ("edit_memory", {"memory_id": "a", name: LONG_NAME}, name)
            for name in ("user_id", "namespace", "session_id")
        ),
        *(("store_memories", record(**{name: [LONG_TAG]}), 0) for name in ("topics", "entities")),
        *(("edit_memory", {"memory_id": "a", name: [LONG_TAG]}, 0) for name in ("topics", "entities")),
        ("create_memories", record(extracted_from=[LONG_NAME]), 0),
        ("create_memories", record(extraction_strategy_config=BIG_CONFIG), "extraction_strategy_config"),
        *(("put_session", {"session_id": "s", name: LONG_NAME}, name) for name in ("user_id", "namespace")),
        *(("change_session", {"session_id": "s", name: LONG_NAME}, name) for name in ("user_id", "namespace")),
        ("put_session", {"session_id": LONG_NAME}, "session_id"),
        ("change_session", {"session_id": LONG_NAME}, "session_id"),
        ("put_session", {"session_id": "s", "messages": [{**messages("hi")[0], "role": LONG_NAME}]}, "role"),
        ("change_session", {"session_id": "s", "messages": [{**messages("hi")[0], "id": LONG_NAME}]}, "id"),
        ("put_session", {"session_id": "s", **record(topics=[LONG_TAG])}, 0),
        ("put_session", {"session_id": "s", "long_term_memory_strategy": {"config": BIG_CONFIG}}, "config"),
        ("put_session", {"session_id": "s", "long_term_memory_strategy": {"strategy": LONG_NAME}}, "strategy"),
        ("put_session", {"session_id": "s", "data": {"a": "x" * limits.DATA_BYTES}}, "data"),
        ("change_session", {"session_id": "s", "data": {"a": "x" * limits.DATA_BYTES}}, "data"),
        ("put_session", {"session_id": "s", "context": "x" * (limits.MAX_MESSAGE_LENGTH + 1)}, "context"),
        ("create_summary_view", {"source": "long_term", "name": LONG_NAME}, "name"),
        ("create_summary_view", {"source": "long_term", "filters": {"topics": BIG_CONFIG}}, "filters"),
        ("update_summary_view", {"view_id": "v", "name": LONG_NAME}, "name"),
        ("run_summary_view", {"view_id": "v", "task_id": LONG_NAME}, "task_id"),
        ("create_token", {"description": "x", "users": [LONG_NAME]}, 0),
        ("create_token", {"description": "x", "namespaces": ["ok", LONG_NAME]}, 1),
        ("restore_memories", {"ids": ["a"] * (limits.MAX_ITEMS + 1)}, "ids"),
        ("forget_memories", {"policy": {}, "pinned_ids": ["a"] * (limits.MAX_ITEMS + 1)}, "pinned_ids"),
        ("validate_prompt", {"prompt": "x" * (limits.MAX_TEXT_LENGTH + 1)}, "prompt"),
    ],
)
async def test_too_much_is_refused(host: Host, operation: str, fields: dict[str, Any], where: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        await run(host, operation, **fields)
    [problem] = caught.value.problems
    assert problem.where[-1] == where
    assert problem.message.startswith("It is nested too deeply") or "at most" in problem.message


async def test_what_just_fits_is_taken(host: Host) -> None:
    fitting = record(text="tea " * (limits.MAX_TEXT_LENGTH // 4), metadata={"a": "x" * (limits.METADATA_BYTES - 8)})
    await run(host, "create_memories", **fitting)


def unlimited(kind: Any, where: str, seen: set[type]) -> set[str]:
    """Texts, lists and objects of that type that may be as large as they like."""
    if isinstance(kind, inspect.Metadata):
        given = kind.extra_json_schema or {}
        if "x-max-bytes" in given or ("maxLength" in given and isinstance(kind.type, inspect.StrType)):
            return set()
        inner = unlimited(kind.type, where, seen)
        return inner - {where} if {"maxItems", "maxProperties"} & given.keys() else inner
    if isinstance(kind, inspect.UnionType):
        return set().union(*(unlimited(variant, where, seen) for variant in kind.types))
    if isinstance(kind, inspect.ListType):
        own = {where} if kind.max_length is None else set()
        return own | unlimited(kind.item_type, f"{where}[]", seen)
    if isinstance(kind, inspect.DictType):
        return {where}
    if isinstance(kind, inspect.StructType) and kind.cls not in seen:
        seen |= {kind.cls}
        return set().union(*(unlimited(field.type, f"{where}.{field.name}", seen) for field in kind.fields))
    return {where} if isinstance(kind, inspect.StrType) and kind.max_length is None else set()


@pytest.mark.parametrize("name", sorted(WRITES))
def test_whatever_is_kept_has_a_limit(name: str) -> None:
    operation = next(operation for operation in core_operations() if operation.name == name)
    kind: Any = inspect.type_info(operation.request)
    found = set().union(
        *(unlimited(field.type, field.name, set()) for field in kind.fields if field.name not in WRITES[name])
    )
    assert not found


async def test_the_data_of_a_session_does_not_grow_past_its_limit(host: Host) -> None:
    half = "x" * (limits.DATA_BYTES // 2)
    await run(host, "change_session", session_id="s", data={"a": half})
    with pytest.raises(ValidationFailed, match="data"):
        await run(host, "change_session", session_id="s", data={"b": half})
    assert (await run(host, "get_session", session_id="s")).data == {"a": half}


async def test_an_import_takes_no_more_than_a_request(host: Host) -> None:
    now = host.clock.now()
    fine = MemoryRecord(id="a", text="tea", created_at=now, updated_at=now, last_accessed=now)
    large = msgspec.structs.replace(fine, id="b", topics=[LONG_TAG])
    session = StoredSession(
        key=SessionKey("default", "", "", "s"),
        content=WorkingMemory(data={"a": "x" * limits.DATA_BYTES}, created_at=now, updated_at=now, last_accessed=now),
    )
    lines = [Header(created_at=now), SessionLine(session=session), MemoryLine(memory=fine), MemoryLine(memory=large)]
    importer = Importer(store=host.store, embedder=host.embedder, tenant="default", clock=host.clock)
    for number, line in enumerate(lines, 1):
        await importer.feed(number, msgspec.json.encode(line))
    tally = await importer.finish()
    assert [(problem.line, "at most" in problem.message) for problem in tally.problems] == [(2, True), (4, True)]
    assert tally.created == 1
    assert (await run(host, "get_memory", memory_id="a")).text == "tea"


async def test_views_of_a_tenant_and_of_a_caller_are_limited(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False, settings={"MAX_SUMMARY_VIEWS": "20"}) as host:
        ann = bound_to(users=("ann",))
        for _ in range(2):
            await run(host, "create_summary_view", ann, source="long_term")
        with pytest.raises(LimitReached, match="caller already has the maximum of 2 "):
            await run(host, "create_summary_view", ann, source="long_term")
        for _ in range(18):
            await run(host, "create_summary_view", source="long_term")
        for caller in (bound_to(users=("bob",)), ADMIN):
            with pytest.raises(LimitReached, match="tenant already has the maximum of 20 "):
                await run(host, "create_summary_view", caller, source="long_term")
        stranger = Caller(subject="x", bounds=Scope(tenant="other"), roles=frozenset({"writer"}))
        await run(host, "create_summary_view", stranger, source="long_term")


def test_schemas_of_both_interfaces_show_the_limits() -> None:
    schema = arguments_schema(SessionRecordInput)["properties"]
    assert schema["user_id"]["maxLength"] == limits.MAX_NAME_LENGTH
    assert (schema["topics"]["maxItems"], schema["topics"]["items"]["maxLength"]) == (1000, limits.MAX_TAG_LENGTH)
    assert schema["metadata"]["x-max-bytes"] == limits.METADATA_BYTES
    rows = (*ROUTES, *(route_of(operation) for operation in core_operations() if operation.name not in _routed()))
    document = build_document(rows, core_operations())
    shown = document["components"]["schemas"]["RecordInput"]["properties"]
    assert shown["id"]["maxLength"] == limits.MAX_NAME_LENGTH
    tags = next(part for part in shown["topics"]["anyOf"] if part.get("type") == "array")
    assert (tags["maxItems"], tags["items"]["maxLength"]) == (limits.MAX_TAGS, limits.MAX_TAG_LENGTH)
    assert tags["items"]["pattern"]


def _routed() -> set[str]:
    return {row.operation for row in ROUTES}


async def test_a_large_session_is_read_in_parts(tmp_path: Path) -> None:
    settings = {"SESSION_ANSWER_BYTES": "4000"}
    async with running_host(tmp_path, store="memory", run_jobs=False, settings=settings) as host:
        sizes = (10, 900, 3000, 10, 6000, 10, 1500)
        turns = [{**messages(f"{number} " + "x" * size)[0], "id": f"m{number}"} for number, size in enumerate(sizes)]
        written = await run(host, "put_session", session_id="s", messages=turns)
        assert len(written.messages) == len(turns)  # clients put the answer in the place of their own copy
        found: list[str] = []
        before: str | None = None
        for _ in turns:
            call = Call(caller=ADMIN, request_id="r")
            request = GetSession(session_id="s", before=before)
            view = await host.execute("get_session", call, request)
            assert len(view.messages) == 1 or len(msgspec.json.encode(view.messages)) <= 4000
            found = [message.id for message in view.messages] + found
            before = found[0]
            if isinstance(view.older_messages, UnsetType):
                assert not call.notices
                break
            assert view.older_messages == len(turns) - len(found)
            assert f"before={before}" in call.notices[0][1]
        assert found == [turn["id"] for turn in turns]
        prompt = await run(host, "memory_prompt", query="hi", session={"session_id": "s"})
        assert [message.content.text[:2] for message in prompt.messages] == ["5 ", "6 ", "hi"]
        with pytest.raises(ValidationFailed, match="no message"):
            await run(host, "get_session", session_id="s", before="unknown")
        assert len((await run(host, "get_session", session_id="s", most_bytes=200)).messages) == 1
