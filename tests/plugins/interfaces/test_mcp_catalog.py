"""MCP's tools, resources and prompts: lists, scopes, arguments and errors, on a host in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from tests.support.fakes import FOLDER
from tests.support.hosts import ADMIN, running_host

from memhost.errors import (
    AmbiguousSession,
    ConfigurationError,
    Forbidden,
    InvalidRequest,
    LongTermMemoryDisabled,
    MemhostError,
    NotFound,
    ScopeRequired,
    SessionChanged,
    StoreUnavailable,
    ValidationFailed,
)
from memhost.host import Host
from memhost.models import Caller, Scope
from memhost_mcp import McpSettings
from memhost_mcp.catalog import Catalog
from memhost_mcp.failures import describe
from memhost_mcp.tool_context import Defaults, McpRequest


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    async with running_host(tmp_path, store="memory", run_jobs=False) as opened:
        yield opened


def settings(host: Host, **changes: Any) -> McpSettings:
    return msgspec.structs.replace(cast("McpSettings", host.configuration.section("interfaces", "mcp")), **changes)


NONE = Defaults()


def mcp_request(caller: Caller = ADMIN, asked: Defaults = NONE, fallback: Defaults = NONE) -> McpRequest:
    return McpRequest(caller=caller, request_id="r", asked=asked, fallback=fallback)


class Tools:
    """Tools of a catalog, with their results as clients see them."""

    def __init__(self, host: Host, who: McpRequest, **changes: Any) -> None:
        self.catalog = Catalog(host, settings(host, **changes))
        self.who = who

    async def __call__(self, name: str, /, **arguments: Any) -> dict[str, Any]:
        answer = await self.catalog.call(self.who, name, arguments)
        found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(answer))
        return found


async def test_with_defaults_set_what_is_written_is_found(host: Host) -> None:
    tools = Tools(host, mcp_request(fallback=Defaults("team", "ann")))
    stored = await tools("store_memory", text="Ann likes tea")
    assert (stored["memory"]["namespace"], stored["memory"]["user_id"]) == ("team", "ann")
    await tools("create_long_term_memories", memories=[{"text": "Ann likes cake"}])
    assert (await tools("search_memory", query="likes"))["total_found"] == 2
    assert (await tools("search_long_term_memory", text="likes"))["total"] == 2
    await tools("set_working_memory", session_id="s", messages=[{"role": "user", "content": "hello"}])
    read = await tools("get_working_memory", session_id="s")
    assert (read["found"], read["user_id"], read["namespace"]) == (True, "ann", "team")
    other = Tools(host, mcp_request())
    assert (await other("get_long_term_memory", memory_id=stored["id"]))["text"] == "Ann likes tea"
    with pytest.raises(NotFound):
        await Tools(host, mcp_request(fallback=Defaults("team", "bob")))("get_long_term_memory", memory_id=stored["id"])


async def test_a_search_says_where_nothing_fits_and_what_was_said_again(host: Host) -> None:
    tools = Tools(host, mcp_request())
    said = [{"role": "user", "content": "I love hiking."}]
    for session in ("s1", "s2"):
        await tools("append_messages", session_id=session, user_id="ann", messages=said)
    found = await tools("search_memory", query="hiking")
    (hit,) = found["memories"]
    assert {hit["session_id"] for hit in hit["repeats"]} <= {"s1", "s2"}
    assert (len(hit["repeats"]), found["summary"], "nothing_fits" in found) == (1, "1 of 1 memories.", False)
    for query in ("zzzqqq", "фывапролд"):
        odd = await tools("search_memory", query=query)
        assert (odd["nothing_fits"], odd["total_found"]) == (True, 1)
        assert odd["summary"].startswith("Nothing fits:")
    nobody = await tools("search_memory", query="hiking", user_id="bob")
    assert (nobody["summary"], "nothing_fits" in nobody) == ("No memory matches.", False)
    (asked,) = (await tools.catalog.prompt(tools.who, "recall", {"topic": "hiking"})).messages
    assert "nothing_fits" in str(asked.content)


async def test_arguments_win_over_the_address_and_that_over_the_settings(host: Host) -> None:
    tools = Tools(host, mcp_request(asked=Defaults("path", None), fallback=Defaults("setting", "setting")))
    first = await tools("store_memory", text="one", namespace="argument")
    second = await tools("store_memory", text="two", namespace="")
    owners = [(item["memory"]["namespace"], item["memory"]["user_id"]) for item in (first, second)]
    assert owners == [("argument", "setting"), ("path", "setting")]


async def test_records_of_nobody_are_found_on_purpose_only(host: Host) -> None:
    everybody = Tools(host, mcp_request())
    await everybody("store_memory", text="nobody's fact")
    await everybody("store_memory", text="ann's fact", user_id="ann")
    tools = Tools(host, mcp_request(fallback=Defaults(None, "ann")))
    assert (await tools("search_long_term_memory"))["memories"][0]["text"] == "ann's fact"
    found = await tools("search_long_term_memory", user_id={"is_null": True})
    assert [item["text"] for item in found["memories"]] == ["nobody's fact"]
    assert (await everybody("search_long_term_memory", user_id=["ann", "bob"]))["total"] == 1
    assert (await everybody("search_long_term_memory", user_id="ann"))["total"] == 1
    assert (await everybody("search_long_term_memory", user_id=""))["total"] == 2


async def test_bounds_of_the_credential_fill_in_and_refuse(host: Host) -> None:
    writer = Caller(subject="w", roles=frozenset({"writer"}), bounds=Scope(users=("ann",)))
    tools = Tools(host, mcp_request(writer, fallback=Defaults(None, "bob")))
    assert (await tools("store_memory", text="mine"))["memory"]["user_id"] == "ann"
    with pytest.raises(Forbidden):
        await tools("search_memory", query="", user_id="bob")
    reader = mcp_request(Caller(subject="r", roles=frozenset({"reader"})))
    names = {tool.name for tool in tools.catalog.tools_for(reader)}
    assert "search_memory" in names
    assert "store_memory" not in names


async def test_a_scope_can_be_required(host: Host) -> None:
    tools = Tools(host, mcp_request(), require_scope=True)
    for name, arguments in (
        ("store_memory", {"text": "x"}),
        ("search_memory", {"query": "x"}),
        ("get_session", {"session_id": "s"}),
    ):
        with pytest.raises(ScopeRequired):
            await tools(name, **arguments)
    await tools("store_memory", text="x", namespace="n")


ERRORS: list[tuple[str, Mapping[str, Any], type[MemhostError]]] = [
    ("search_memory", {"query": "x", "max_results": 51}, ValidationFailed),
    ("search_memory", {"query": "x", "min_relevance": 0.5, "search_mode": "keyword"}, InvalidRequest),
    ("search_long_term_memory", {"topics": {"field": "user_id", "eq": "x"}}, ValidationFailed),
    ("search_long_term_memory", {"topics": {}}, ValidationFailed),
    ("memory_prompt", {"query": "x", "include_long_term_search": False}, InvalidRequest),
    ("memory_prompt", {"query": "x", "session_id": {"any": ["a", "b"]}}, InvalidRequest),
    ("set_working_memory", {"session_id": "s", "long_term_memory_strategy": {"strategy": "none"}}, ValidationFailed),
    ("store_memory", {"text": "x" * 8001}, ValidationFailed),
    ("create_long_term_memories", {"memories": []}, ValidationFailed),
    ("create_long_term_memories", {"memories": [{"text": "x"}] * 101}, ValidationFailed),
    ("edit_long_term_memory", {"memory_id": "none", "text": "x"}, NotFound),
    ("get_task", {"task_id": "none"}, NotFound),
    ("get_summary", {"view": "none"}, NotFound),
    ("get_current_datetime", {"timezone": "Mars/Base"}, InvalidRequest),
]


@pytest.mark.parametrize(("name", "arguments", "error"), ERRORS, ids=lambda value: value if type(value) is str else "")
async def test_what_cannot_be_is_an_error(
    host: Host, name: str, arguments: Mapping[str, Any], error: type[MemhostError]
) -> None:
    with pytest.raises(error) as raised:
        await Tools(host, mcp_request())(name, **arguments)
    described = describe(raised.value, "r")["error"]
    assert described["code"] == error.code
    assert described["retryable"] is False


async def test_an_unknown_argument_is_refused_with_the_nearest_name(host: Host) -> None:
    with pytest.raises(ValidationFailed, match="Did you mean max_results") as raised:
        await Tools(host, mcp_request())("search_memory", query="x", max_result=3)
    assert describe(raised.value, "r")["error"]["field"] == "max_result"
    lenient = Tools(host, mcp_request(), lenient=True)
    assert (await lenient("search_memory", query="x", max_result=3))["total_found"] == 0


async def test_an_outage_is_an_error_and_not_an_empty_answer(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any, **__: Any) -> None:
        raise StoreUnavailable("The store does not answer.")

    monkeypatch.setattr(type(host.store), "list_memories", broken)
    with pytest.raises(StoreUnavailable) as raised:
        await Tools(host, mcp_request())("search_memory", query="")
    assert describe(raised.value, "r")["error"]["retryable"] is True
    assert describe(MemhostError("secret path"), "r")["error"]["message"].startswith("The server failed")


async def test_long_term_tools_are_off_with_long_term_memory(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", settings={"LONG_TERM_MEMORY": "false"}) as host:
        with pytest.raises(LongTermMemoryDisabled):
            await Tools(host, mcp_request())("store_memory", text="x")


async def test_sessions_are_merged_and_lost_updates_refused(host: Host) -> None:
    tools = Tools(host, mcp_request())
    say = {"role": "user", "content": "one", "id": "m1"}
    first = await tools("set_working_memory", session_id="s", messages=[say], data={"a": 1}, context="before")
    assert first["ttl_seconds"] == 3600
    merged = await tools("set_working_memory", session_id="s", mode="merge", data={"b": 2}, ttl_seconds=0)
    assert (merged["data"], merged["context"], merged["ttl_seconds"]) == ({"a": 1, "b": 2}, "before", None)
    assert [item["id"] for item in merged["messages"]] == ["m1"]
    with pytest.raises(SessionChanged):
        await tools("set_working_memory", session_id="s", if_version=first["version"])
    await tools("append_messages", session_id="s", messages=[{"role": "user", "content": "two"}])
    assert (await tools("update_session_data", session_id="s", data={"c": 3}, merge=False))["data"] == {"c": 3}
    read = await tools("get_session", session_id="s", include_data=False)
    assert (read["message_count"], read["data_keys"], "data" in read) == (2, ["c"], False)
    newest = await tools("get_session", session_id="s", recent_messages_limit=1)
    assert [item["content"] for item in newest["messages"]] == ["two"]
    found = await tools("search_long_term_memory", text="one", memory_type="message")
    assert found["total"] == 2  # each turn once, however often the session was written
    assert await tools("delete_session", session_id="s") == {"deleted": True}
    assert await tools("delete_session", session_id="s") == {"deleted": False}
    assert (await tools("get_working_memory", session_id="s"))["found"] is False


async def test_a_session_id_of_several_owners_is_ambiguous(host: Host) -> None:
    tools = Tools(host, mcp_request())
    for user in ("ann", "bob"):
        await tools("set_working_memory", session_id="s", user_id=user, data={"user": user})
    for name in ("get_session", "get_working_memory", "delete_session"):
        with pytest.raises(AmbiguousSession):
            await tools(name, session_id="s")
    with pytest.raises(AmbiguousSession):
        await tools("append_messages", session_id="s", messages=[{"role": "user", "content": "x"}])
    assert (await tools("get_session", session_id="s", user_id="bob"))["data"] == {"user": "bob"}


async def test_fields_can_be_cleared_and_repetitions_are_told(host: Host) -> None:
    tools = Tools(host, mcp_request())
    stored = await tools("store_memory", text="Ann has a dog", topics=["pets"], event_date="2026-01-02")
    again = await tools("store_memory", text="Ann has a dog")
    assert (again["status"], again["id"]) == ("duplicate", stored["id"])
    edited = await tools("edit_long_term_memory", memory_id=stored["id"], clear=["topics", "event_date"])
    assert (edited["topics"], edited["event_date"], edited["text"]) == ([], None, "Ann has a dog")
    made = await tools("create_long_term_memories", memories=[{"text": "a, b", "topics": ["x"]}], wait=True)
    assert made["results"] == [{"id": made["ids"][0], "status": "created"}]
    gone = await tools("delete_long_term_memories", memory_ids=[stored["id"], "none"])
    assert (gone["deleted"], gone["missing"]) == (1, ["none"])
    done = await tools("compact_long_term_memories", dry_run=True)
    assert done["status"].startswith("ok")


async def test_resources_prompts_and_the_time(host: Host) -> None:
    tools = Tools(host, mcp_request())
    stored = await tools("store_memory", text="Ann has a cat")
    await tools("append_messages", session_id="a/b", user_id="ann", messages=[{"role": "user", "content": "hi"}])
    catalog, who = tools.catalog, tools.who
    assert "a cat" in str((await catalog.read(who, f"memory://record/{stored['id']}")).text)
    assert '"hi"' in str((await catalog.read(who, "memory://session/_/ann/a%2Fb")).text)
    for uri in ("memory://session/_/bob/a%2Fb", "memory://record/none", "memory://summary/none/_", "file:///etc"):
        with pytest.raises(NotFound):
            await catalog.read(who, uri)
    handover = await catalog.prompt(who, "session_handover", {"session_id": "a/b"})
    assert "user: hi" in str(handover.messages[0].content)
    with pytest.raises(ValidationFailed):
        await catalog.prompt(who, "recall", {})
    assert await catalog.sessions(who, "a") == ["a/b"]
    now = await tools("get_current_datetime", timezone="Asia/Tokyo")
    assert now["iso_local"].endswith("+09:00")
    assert set(await tools("get_current_datetime")) == {"iso_utc", "unix_ts"}


async def test_plugins_add_operations_to_every_interface(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    async with running_host(tmp_path, store="memory", fakes=["fake-fixtures"]) as host:
        tools = Tools(host, mcp_request())
        assert await tools("json_schema_2020_12_tool", name="Ann") == {"greeting": "Hello Ann"}
        with pytest.raises(ValidationFailed):
            await tools("json_schema_2020_12_tool", nam="Ann")
        only = Catalog(host, settings(host, tools=("core", "json_schema_2020_12_tool")))
        assert len(only.tools) == 7
        assert "test://static-text" in {offer.address for offer in only.resources.values()}


async def test_names_of_tools_are_checked_at_the_start(host: Host) -> None:
    with pytest.raises(ConfigurationError, match="no_such_tool"):
        Catalog(host, settings(host, tools=("no_such_tool",)))


async def test_strategies_describe_themselves(host: Host) -> None:
    description = Tools(host, mcp_request()).catalog.tools["set_working_memory"].description
    entry = host.plugins.strategies.get("verbatim")
    assert entry is not None
    assert entry.spec.summary in description
