"""Results of tools stay small enough for hosts, whatever is stored; the rest can be read on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from tests.support.hosts import ADMIN, running_host

from memhost.host import Host
from memhost_mcp import McpSettings
from memhost_mcp.catalog import Catalog
from memhost_mcp.tool_context import McpRequest

LETTERS_OF_A_RESULT = 60_000
"""A quarter of them are tokens: below the 25,000 at which hosts cut, also where each is sent as text and as JSON."""


@pytest.fixture
async def tools(tmp_path: Path) -> AsyncIterator[Any]:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        yield caller(host)


def caller(host: Host) -> Any:
    catalog = Catalog(host, cast("McpSettings", host.configuration.section("interfaces", "mcp")))

    async def call(tool: str, **arguments: Any) -> tuple[dict[str, Any], int]:
        encoded = msgspec.json.encode(await catalog.call(McpRequest(caller=ADMIN, request_id="r"), tool, arguments))
        return msgspec.json.decode(encoded), len(encoded)

    return call


async def fill(tools: Any) -> None:
    filler = "The club spoke about budgets and minutes. " * 170
    for first in range(0, 60, 20):
        memories = [{"id": f"m{at}", "text": f"{filler} Tea number {at}."} for at in range(first, first + 20)]
        await tools("create_long_term_memories", memories=memories)
    said = [{"id": str(at), "role": "user", "content": f"{at} " + "word " * 200} for at in range(300)]
    await tools("append_messages", session_id="big", messages=said)


async def test_results_are_bounded_and_lead_to_the_rest(tools: Any) -> None:
    await fill(tools)
    for tool, arguments in (
        ("search_memory", {"query": "tea"}),
        ("search_memory", {"query": "tea", "max_results": 50}),
        ("search_long_term_memory", {"text": "tea", "limit": 10}),
        ("memory_prompt", {"query": "word", "session_id": "big"}),
        ("get_context", {"query": "tea"}),
    ):
        answer, size = await tools(tool, **arguments)
        assert size <= LETTERS_OF_A_RESULT, tool
        for hit in answer.get("memories", []):
            assert hit["cut_from"] > len(hit["text"])
    hit = (await tools("search_memory", query="tea number 7"))[0]["memories"][0]
    assert "Tea number" in hit["text"]
    whole, _ = await tools("get_long_term_memory", memory_id=hit["id"])
    assert len(whole["text"]) == hit["cut_from"]


async def test_a_long_conversation_is_read_from_its_end(tools: Any) -> None:
    await fill(tools)
    newest, size = await tools("get_session", session_id="big")
    assert size <= LETTERS_OF_A_RESULT
    assert newest["messages"][-1]["id"] == "299"
    assert newest["older_messages"] == 300 - len(newest["messages"])
    older, _ = await tools("get_session", session_id="big", before=newest["messages"][0]["id"])
    assert int(older["messages"][-1]["id"]) == int(newest["messages"][0]["id"]) - 1
    asked, _ = await tools("get_session", session_id="big", recent_messages_limit=100)
    assert len(asked["messages"]) == 100


async def test_a_whole_session_is_read_only_as_far_as_a_host_shows_it(tools: Any) -> None:
    await fill(tools)
    newest, size = await tools("get_working_memory", session_id="big")
    assert size <= LETTERS_OF_A_RESULT
    assert newest["messages"][-1]["id"] == "299"
    assert newest["older_messages"] == 300 - len(newest["messages"])
    for bound in ({"recent_messages_limit": 300}, {"context_window_max": 1_000_000}):
        whole, _ = await tools("get_working_memory", session_id="big", **bound)
        assert (len(whole["messages"]), "older_messages" in whole) == (300, False)
    older, _ = await tools("get_working_memory", session_id="big", before=newest["messages"][0]["id"])
    assert int(older["messages"][-1]["id"]) == int(newest["messages"][0]["id"]) - 1
    await tools("append_messages", session_id="small", messages=[{"role": "user", "content": "hello"}])
    small, _ = await tools("get_working_memory", session_id="small")
    assert (len(small["messages"]), "older_messages" in small) == (1, False)


async def test_short_texts_are_whole(tools: Any) -> None:
    await tools("store_memory", text="Ana likes tea.")
    (hit,) = (await tools("search_memory", query="tea"))[0]["memories"]
    assert (hit["text"], "cut_from" in hit) == ("Ana likes tea.", False)
    (hit,) = (await tools("search_long_term_memory", text="tea"))[0]["memories"]
    assert (hit["text"], "cut_from" in hit) == ("Ana likes tea.", False)


def said(*numbers: int) -> list[dict[str, str]]:
    return [{"id": str(at), "role": "user", "content": f"{at} " + "word " * 200} for at in numbers]


async def stored(tools: Any) -> list[str]:
    found, _ = await tools("get_working_memory", session_id="big", recent_messages_limit=1000)
    return [message["content"].split()[0] for message in found["messages"]]


async def test_who_sends_back_the_newest_messages_deletes_none_of_the_older_ones(tools: Any) -> None:
    await tools("append_messages", session_id="big", messages=said(*range(300)))
    found, _ = await tools("get_working_memory", session_id="big")
    newest = found["messages"]
    assert len(newest) < 300
    await tools("set_working_memory", session_id="big", messages=[*newest, {"role": "user", "content": "300 is new"}])
    assert await stored(tools) == [str(at) for at in range(301)]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (said(0, 1, 2, 3, 4, 5), ["0", "1", "2", "3", "4", "5"]),
        (said(0, 2, 4), ["0", "2", "4"]),
        (said(9, 8), ["9", "8"]),
        (said(0), ["0"]),
        ([], []),
        (said(3, 5), ["0", "1", "2", "3", "5"]),
    ],
)
async def test_a_session_that_is_set_is_what_was_sent(tools: Any, sent: list[dict[str, str]], kept: list[str]) -> None:
    await tools("append_messages", session_id="big", messages=said(*range(6)))
    await tools("set_working_memory", session_id="big", messages=sent)
    assert await stored(tools) == kept
