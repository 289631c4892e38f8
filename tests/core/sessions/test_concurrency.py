"""Concurrent writers: acknowledged data stays, in every store, through every interface."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from agent_memory_client import MemoryAPIClient, MemoryClientConfig
from agent_memory_client.models import ClientMemoryRecord, MemoryMessage, WorkingMemory

from memhost.host import Host
from memhost.http.app import build_app
from memhost.models import DEFAULT_TENANT, Scope, SessionKey
from memhost.operations.ams_compat import Reads
from memhost.testing.clock import FakeClock
from memhost_mcp import McpSettings
from memhost_mcp.catalog import Catalog
from memhost_mcp.tool_context import Defaults, McpRequest
from tests.core.sessions.doors import http
from tests.support.hosts import ADMIN, run, running_host
from tests.support.redis_server import RedisSpace

WRITERS = 12
STORES = ("memory", "sqlite", "redis")


@pytest.fixture(params=STORES)
async def host(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Host]:
    settings: dict[str, str] = {}
    if request.param == "redis":
        part: RedisSpace = request.getfixturevalue("redis_part")
        settings = part.environment()
    async with running_host(tmp_path, store=request.param, settings=settings, run_jobs=False) as opened:
        yield opened


@asynccontextmanager
async def official(host: Host) -> AsyncIterator[MemoryAPIClient]:
    """The official client, on the HTTP application without a socket."""
    app = build_app(host)
    async with app.lifespan():
        client = MemoryAPIClient(MemoryClientConfig(base_url="http://memhost"))
        await client._client.aclose()
        client._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=cast("Any", app)),
            base_url="http://memhost",
            headers={"user-agent": "agent-memory-client/0.14.0"},
        )
        yield client
        await client.close()


@asynccontextmanager
async def changing(host: Host, door: str) -> AsyncIterator[Callable[[dict[str, Any]], Awaitable[Any]]]:
    """A function that changes session `s`, through a door."""
    if door == "rest":
        async with http(host) as client:

            async def patch(change: dict[str, Any]) -> None:
                (await client.patch("/v1/working-memory/s", json=change)).raise_for_status()

            yield patch
    elif door == "mcp":
        catalog = Catalog(host, cast("McpSettings", host.configuration.section("interfaces", "mcp")))
        who = McpRequest(caller=ADMIN, request_id="r", asked=Defaults(), fallback=Defaults())
        yield lambda change: catalog.call(who, "set_working_memory", {"session_id": "s", "mode": "merge", **change})
    else:
        yield lambda change: run(host, "change_session", session_id="s", **change)


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("door", ["inside", "rest", "mcp"])
async def test_all_that_is_appended_at_once_is_kept(host: Host, door: str, existing: bool) -> None:
    if existing:
        await run(host, "put_session", session_id="s", messages=[{"role": "user", "content": "before"}])
    async with changing(host, door) as change:
        await asyncio.gather(*(change(each) for each in CHANGES))
    await check_kept(host, existing)


@pytest.mark.parametrize("store", ["sqlite", "redis"])
async def test_all_that_several_processes_append_at_once_is_kept(
    store: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Hosts of their own, which share nothing but the store."""
    settings = request.getfixturevalue("redis_part").environment() if store == "redis" else {}
    async with (
        running_host(tmp_path, store=store, settings=settings, run_jobs=False) as one,
        running_host(tmp_path, store=store, settings=settings, run_jobs=False) as other,
    ):
        writes = [
            run((one, other)[number % 2], "change_session", session_id="s", **CHANGES[number])
            for number in range(WRITERS)
        ]
        await asyncio.gather(*writes)
        await check_kept(one, existing=False)


CHANGES: list[dict[str, Any]] = [
    {
        "messages": [{"role": "user", "content": f"word {number}"}],
        "memories": [{"id": f"r{number}", "text": f"fact {number}"}],
        "data": {f"k{number}": number},
    }
    for number in range(WRITERS)
]


async def check_kept(host: Host, existing: bool) -> None:
    found = await run(host, "get_session", session_id="s")
    assert {message.content for message in found.messages} >= {f"word {number}" for number in range(WRITERS)}
    assert len(found.messages) == WRITERS + existing
    assert sorted(record.id for record in found.memories) == sorted(f"r{number}" for number in range(WRITERS))
    assert found.data == {f"k{number}": number for number in range(WRITERS)}
    stored = await run(host, "search_memories", limit=100)
    assert stored.total == 2 * WRITERS + existing


async def test_only_one_of_those_that_insist_on_a_new_session_gets_it(host: Host) -> None:
    def write(number: int) -> Any:
        message = {"role": "user", "content": f"word {number}"}
        return run(host, "change_session", session_id="s", messages=[message], if_version=0)

    outcomes = await asyncio.gather(*(write(number) for number in range(WRITERS)), return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert [getattr(error, "code", error) for error in refused] == ["conflict"] * (WRITERS - 1)
    assert all("is at version 1, not 0" in str(error) for error in refused)
    assert len((await run(host, "get_session", session_id="s")).messages) == 1


@pytest.mark.parametrize("begun", ["messages", "data", "nothing"])
async def test_clients_that_read_and_write_the_whole_session_at_once_lose_nothing(host: Host, begun: str) -> None:
    async with official(host) as client:
        first: dict[str, Any] = {"messages": [MemoryMessage(role="user", content="hello")], "data": {"a": 1}}
        if begun in first:
            await client.put_working_memory("s", WorkingMemory(session_id="s", **{begun: first[begun]}))
        await asyncio.gather(
            *(client.update_working_memory_data("s", {f"k{number}": number}) for number in range(6)),
            *(
                client.add_memories_to_working_memory("s", [ClientMemoryRecord(id=f"r{number}", text=f"fact {number}")])
                for number in range(6)
            ),
            *(
                client.append_messages_to_working_memory("s", [{"role": "user", "content": f"word {number}"}])
                for number in range(6)
            ),
        )
        found = await client.get_working_memory("s")
    assert found.data is not None
    assert found.data.items() >= {f"k{number}": number for number in range(6)}.items()
    assert {record.id for record in found.memories} == {f"r{number}" for number in range(6)}
    assert {message.content for message in found.messages} >= {f"word {number}" for number in range(6)}


async def test_what_a_client_takes_away_is_gone(host: Host) -> None:
    """One after the other, clients replace what they have read, and nothing comes back."""
    async with official(host) as client:
        await client.update_working_memory_data("s", {"a": 1, "b": 2})
        await client.get_working_memory("s")
        await client.update_working_memory_data("s", {"c": 3}, merge_strategy="replace")
        assert (await client.get_working_memory("s")).data == {"c": 3}
        await client.set_working_memory_data("s", {"d": 4})
        assert (await client.get_working_memory("s")).data == {"d": 4}
        await client.add_memories_to_working_memory("s", [ClientMemoryRecord(id="r1", text="one")])
        await client.add_memories_to_working_memory("s", [ClientMemoryRecord(id="r2", text="two")], replace=True)
        assert [record.id for record in (await client.get_working_memory("s")).memories] == ["r2"]
        own = WorkingMemory(session_id="t", data={"a": 1})
        await client.put_working_memory("t", own)
        own.data = {"b": 2}
        await client.put_working_memory("t", own)
        assert (await client.get_working_memory("t")).data == {"b": 2}


BASE: dict[str, Any] = {
    "session_id": "s",
    "messages": [{"role": "user", "content": "hello", "id": "m", "created_at": "2026-01-01T00:00:00Z"}],
    "memories": [{"id": "r", "text": "Ana likes tea", "created_at": "2026-01-01T00:00:00Z"}],
    "data": {"a": 1, "b": {"x": [1]}},
    "context": "so far",
}


@pytest.fixture
async def plain(tmp_path: Path) -> AsyncIterator[Host]:
    async with running_host(tmp_path, store="memory", clock=FakeClock(), run_jobs=False) as opened:
        yield opened


@pytest.mark.parametrize(
    ("theirs", "field", "expected"),
    [
        ({"data": {"c": 3}}, "data", {"a": 1, "b": {"x": [1]}, "c": 3}),
        ({"data": {"a": 2}}, "data", {"a": 2, "b": {"x": [1]}}),
        ({"data": {"b": {"x": [1]}}, "merge_data": False}, "data", {"b": {"x": [1]}}),
        ({"context": "longer"}, "context", "longer"),
        ({"context": None}, "context", None),
        ({"messages": [{**BASE["messages"][0], "content": "hullo"}]}, "messages", ["hullo"]),
        ({"messages": [{"role": "user", "content": "more"}]}, "messages", ["hello", "more"]),
        ({"memories": [{"id": "r", "text": "Ana likes coffee"}]}, "memories", ["Ana likes coffee"]),
        ({"memories": [{"id": "r2", "text": "Bo likes tea"}]}, "memories", ["Ana likes tea", "Bo likes tea"]),
    ],
)
async def test_what_others_changed_since_a_client_read_stays(
    plain: Host, theirs: dict[str, Any], field: str, expected: Any
) -> None:
    await run(plain, "put_session", **BASE)
    seen = await run(plain, "get_session", session_id="s")
    await run(plain, "change_session", session_id="s", **theirs)
    await run(plain, "put_session", **{**BASE, "tokens": 5, "updated_at": seen.updated_at})
    found = await run(plain, "get_session", session_id="s")
    value = getattr(found, field)
    if field in ("messages", "memories"):
        value = sorted(getattr(item, "content" if field == "messages" else "text") for item in value)
        expected = sorted(expected)
    assert (value, found.tokens) == (expected, 5)


@pytest.mark.parametrize(
    ("mine", "field", "expected"),
    [
        ({"data": {"a": 1}}, "data", {"a": 1}),
        ({"data": {"a": 5, "b": {"x": [1]}}}, "data", {"a": 5, "b": {"x": [1]}}),
        ({"data": None}, "data", None),
        ({"data": {}}, "data", {}),
        ({"context": "mine"}, "context", "mine"),
        ({"context": None}, "context", None),
        ({"messages": []}, "messages", []),
        ({"messages": [{**BASE["messages"][0], "content": "mine"}]}, "messages", ["mine"]),
        ({"memories": []}, "memories", []),
        ({"memories": [{"id": "r", "text": "mine"}]}, "memories", ["mine"]),
    ],
)
@pytest.mark.parametrize("between", [True, False])
async def test_what_a_client_changed_itself_counts(
    plain: Host, mine: dict[str, Any], field: str, expected: Any, between: bool
) -> None:
    await run(plain, "put_session", **BASE)
    seen = await run(plain, "get_session", session_id="s")
    if between:  # something else
        await run(plain, "change_session", session_id="s", ttl_seconds=60)
    await run(plain, "put_session", **{**BASE, **mine, "updated_at": seen.updated_at})
    value = getattr(await run(plain, "get_session", session_id="s"), field)
    if field in ("messages", "memories"):
        value = [getattr(item, "content" if field == "messages" else "text") for item in value]
    assert value == expected


async def test_what_a_client_takes_away_is_gone_though_others_changed_it(plain: Host) -> None:
    await run(plain, "put_session", **BASE)
    seen = await run(plain, "get_session", session_id="s")
    await run(plain, "change_session", session_id="s", data={"a": 2}, memories=[{"id": "r", "text": "theirs"}])
    left = {**BASE, "data": {"b": 1}, "memories": [], "updated_at": seen.updated_at}
    view = await run(plain, "put_session", **left)
    assert (view.data, view.memories) == ({"b": 1}, [])


async def test_what_others_changed_twice_since_a_client_read_stays(plain: Host) -> None:
    await run(plain, "put_session", **BASE)
    seen = await run(plain, "get_session", session_id="s")
    for number in (2, 3):
        await run(plain, "change_session", session_id="s", data={"a": number}, context=f"read {number}")
    view = await run(plain, "put_session", **{**BASE, "updated_at": seen.updated_at})
    assert (view.data["a"], view.context) == (3, "read 3")


async def test_what_was_shown_counts_for_a_client_that_names_its_clock(plain: Host) -> None:
    """It reads, others write, and only then it looks at its clock."""
    clock: Any = plain.clock
    await run(plain, "put_session", **BASE)
    clock.advance(60)
    await run(plain, "get_session", session_id="s")
    clock.advance(0.01)
    await run(plain, "change_session", session_id="s", data={"c": 3})
    clock.advance(0.01)
    view = await run(plain, "put_session", **{**BASE, "last_accessed": clock.now()})
    assert view.data == {**BASE["data"], "c": 3}
    view = await run(plain, "put_session", **{**BASE, "last_accessed": clock.now() + timedelta(seconds=0.01)})
    assert view.data == BASE["data"]  # which it has not read again


async def test_what_others_said_stands_in_front_of_what_is_said_now(plain: Host) -> None:
    await run(plain, "put_session", **BASE)
    seen = await run(plain, "get_session", session_id="s")
    await run(plain, "change_session", session_id="s", messages=[{"role": "user", "content": "theirs"}])
    mine = [*BASE["messages"], {"role": "user", "content": "mine"}, {"role": "user", "content": "mine too"}]
    view = await run(plain, "put_session", **{**BASE, "messages": mine, "updated_at": seen.updated_at})
    assert [message.content for message in view.messages] == ["hello", "theirs", "mine", "mine too"]


@pytest.mark.parametrize(("ago_s", "kept"), [(5, True), (15, False)])
async def test_the_clock_of_a_client_is_believed_for_some_seconds(plain: Host, ago_s: int, kept: bool) -> None:
    clock: Any = plain.clock
    await run(plain, "put_session", **BASE)
    clock.advance(100)
    read = clock.now() + timedelta(microseconds=777_777)
    clock.advance(1)
    await run(plain, "change_session", session_id="s", data={"c": 3}, messages=[{"role": "user", "content": "theirs"}])
    clock.advance(ago_s)
    view = await run(plain, "put_session", **{**BASE, "last_accessed": read})
    assert ("c" in view.data, len(view.messages) == 2) == (kept, kept)


async def test_a_time_that_lies_ahead_tells_nothing(plain: Host) -> None:
    seen = (await run(plain, "put_session", **BASE)).last_accessed
    await run(plain, "change_session", session_id="s", data={"c": 3})
    view = await run(plain, "put_session", **{**BASE, "last_accessed": seen.replace(microsecond=500_000)})
    assert view.data == BASE["data"]


async def test_a_write_that_tells_nothing_of_what_it_read_replaces(plain: Host) -> None:
    await run(plain, "put_session", **BASE)
    await run(plain, "change_session", session_id="s", data={"c": 3}, context="theirs")
    await run(plain, "put_session", session_id="s", data={"d": 4})
    found = await run(plain, "get_session", session_id="s")
    assert (found.data, found.context, found.messages, found.memories) == ({"d": 4}, None, [], [])


async def test_what_is_remembered_of_changes_is_bounded(plain: Host) -> None:
    for start in range(0, 3_000, 600):
        await run(plain, "change_session", session_id="s", data={f"k{start + number}": 1 for number in range(600)})
    stored = await plain.store.get_session(SCOPE, KEY, plain.clock.now())
    assert stored is not None
    assert len(stored.changes) == 1_000
    await run(plain, "change_session", session_id="s", data={"k" * 1_000: 1})
    for _ in range(64):
        await run(plain, "change_session", session_id="s", data={"a": 1})
    stored = await plain.store.get_session(SCOPE, KEY, plain.clock.now())
    assert stored is not None
    assert [change.field for change in stored.changes] == ["data:a"]


KEY = SessionKey(DEFAULT_TENANT, "", "", "s")
SCOPE = Scope()


async def test_reads_are_matched_with_writes_by_time(plain: Host) -> None:
    await run(plain, "put_session", **BASE)
    stored = await plain.store.get_session(SCOPE, KEY, plain.clock.now())
    assert stored is not None
    reads, moment = Reads(), datetime(2026, 1, 1, 12, 0, 1, tzinfo=UTC)
    assert reads.take(KEY, moment) is None
    reads.note(stored, moment)
    assert reads.take(KEY, moment.replace(second=0)) is None  # before it
    assert reads.take(KEY, moment.replace(second=2)) is None  # too long after it
    assert reads.take(KEY, moment.replace(microsecond=5)) == stored.content.updated_at
    assert reads.take(KEY, moment.replace(microsecond=5)) is None  # each once
