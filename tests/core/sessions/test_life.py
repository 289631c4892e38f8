"""The lifetime of a session and changes of its data, through every interface."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from memhost.errors import NotFound, ValidationFailed
from memhost.host import Host
from memhost.testing.clock import FakeClock
from memhost_mcp.catalog import Catalog
from memhost_mcp.tool_context import Defaults, McpRequest
from tests.core.sessions.doors import http
from tests.support.hosts import ADMIN, run, running_host

HELLO = {"role": "user", "content": "hello"}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def host(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Host]:
    async with running_host(tmp_path, store="memory", clock=clock, run_jobs=False) as opened:
        yield opened


async def tool(host: Host, name: str, **arguments: Any) -> Any:
    settings: Any = host.configuration.section("interfaces", "mcp")
    who = McpRequest(caller=ADMIN, request_id="r", asked=Defaults(), fallback=Defaults())
    return await Catalog(host, settings).call(who, name, arguments)


ACTIVITY: list[tuple[str, dict[str, Any]]] = [
    ("change_session", {"messages": [HELLO]}),
    ("change_session", {"memories": [{"text": "fact"}]}),
    ("change_session", {"data": {"a": 1}}),
    ("append_messages", {"messages": [HELLO]}),
    ("update_session_data", {"data": {"a": 1}}),
    ("set_working_memory", {"mode": "merge", "data": {"a": 1}}),
    ("put_session", {"messages": [HELLO], "ttl_seconds": 3}),
]


@pytest.mark.parametrize(("name", "fields"), ACTIVITY)
async def test_activity_extends_the_life_of_a_session(
    host: Host, clock: FakeClock, name: str, fields: dict[str, Any]
) -> None:
    await run(host, "put_session", session_id="s", messages=[HELLO], ttl_seconds=3)
    for _ in range(3):
        clock.advance(2)
        if name.endswith("_session"):
            await run(host, name, session_id="s", **fields)
        else:
            await tool(host, name, session_id="s", **fields)
    clock.advance(2)
    assert (await run(host, "get_session", session_id="s")).ttl_seconds == 3
    clock.advance(1)
    with pytest.raises(NotFound):
        await run(host, "get_session", session_id="s")


async def test_reading_does_not_extend_it_nor_does_storing_it_as_a_whole_without_a_time(
    host: Host, clock: FakeClock
) -> None:
    await run(host, "put_session", session_id="s", messages=[HELLO], ttl_seconds=3)
    clock.advance(2)
    await run(host, "get_session", session_id="s")
    assert (await run(host, "put_session", session_id="s", messages=[HELLO])).ttl_seconds == 3
    clock.advance(1)
    with pytest.raises(NotFound):
        await run(host, "get_session", session_id="s")


@pytest.mark.parametrize("operation", ["put_session", "change_session"])
async def test_null_has_it_live_for_good_and_a_number_for_that_long(
    host: Host, clock: FakeClock, operation: str
) -> None:
    await run(host, "put_session", session_id="s", messages=[HELLO], ttl_seconds=3)
    assert (await run(host, operation, session_id="s", messages=[HELLO], ttl_seconds=None)).ttl_seconds is None
    clock.advance(10**6)
    assert (await run(host, operation, session_id="s", messages=[HELLO], ttl_seconds=1)).ttl_seconds == 1
    clock.advance(1)
    with pytest.raises(NotFound):
        await run(host, "get_session", session_id="s")


async def test_a_life_may_be_as_long_as_anybody_likes(host: Host) -> None:
    assert (await run(host, "put_session", session_id="s", ttl_seconds=2**62)).ttl_seconds == 2**62
    assert (await run(host, "get_session", session_id="s")).ttl_seconds == 2**62


@pytest.mark.parametrize("seconds", [0, -1, -5, -(2**63)])
async def test_a_life_of_no_length_is_refused(host: Host, seconds: int) -> None:
    for operation in ("put_session", "change_session"):
        with pytest.raises(ValidationFailed, match="at least 1; send null"):
            await run(host, operation, session_id="s", ttl_seconds=seconds)
    async with http(host) as client:
        for verb in ("PUT", "PATCH"):
            answer = await client.request(verb, "/v1/working-memory/s", json={"ttl_seconds": seconds})
            assert answer.status_code == 422
            [item] = answer.json()["detail"]
            assert (item["loc"], "at least 1; send null" in item["msg"]) == (["body", "ttl_seconds"], True)
        assert (await client.get("/v1/working-memory/s")).status_code == 404
    if seconds:
        for mode in ("replace", "merge"):
            with pytest.raises(ValidationFailed):
                await tool(host, "set_working_memory", session_id="s", ttl_seconds=seconds, mode=mode)


async def test_zero_is_no_end_where_a_tool_says_so(host: Host, clock: FakeClock) -> None:
    await tool(host, "set_working_memory", session_id="s", ttl_seconds=0)
    clock.advance(10**7)
    assert (await run(host, "get_session", session_id="s")).ttl_seconds is None


# -- data --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "change", "after"),
    [
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": 1}, {"a": None}, {"a": None}),  # null is a value
        ({"p": {"x": 1, "y": 2}}, {"p": {"x": 9}}, {"p": {"x": 9}}),  # not deep
        ({"l": [1, 2]}, {"l": [3]}, {"l": [3]}),
        ({"a": 1}, {}, {"a": 1}),
        ({"a": 1}, None, {"a": 1}),
        (None, {"a": {"b": None}}, {"a": {"b": None}}),
    ],
)
async def test_what_is_merged_is_the_first_level(host: Host, before: Any, change: Any, after: Any) -> None:
    await run(host, "put_session", session_id="s", data=before)
    assert (await run(host, "change_session", session_id="s", data=change)).data == after
    assert (await run(host, "get_session", session_id="s")).data == after


@pytest.mark.parametrize("data", [{}, {"b": None}, {"b": {"c": 1}}])
async def test_data_are_replaced_on_request(host: Host, data: dict[str, Any]) -> None:
    await run(host, "put_session", session_id="s", data={"a": 1})
    assert (await run(host, "change_session", session_id="s", data=data, merge_data=False)).data == data


def test_the_description_says_what_null_and_merging_mean(host: Host) -> None:
    said = host.operations["change_session"].description
    assert "not deep" in said
    assert "null is a value" in said
