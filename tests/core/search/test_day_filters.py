"""A date without a time of day is the whole day of the caller's zone, in every store and through every interface."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from click.testing import CliRunner

from memhost.cli.access import Direct
from memhost.cli.data import search as command
from memhost.host import Host, core_operations
from memhost.http.app import build_app
from memhost_mcp.tools import all_tools
from tests.support.hosts import ADMIN, run, running_host

TIMES = {
    "before": "2026-02-28T23:59:59.999999Z",
    "first": "2026-03-01T00:00:00Z",
    "noon": "2026-03-01T12:00:00Z",
    "late": "2026-03-01T23:59:59.999999Z",
    "after": "2026-03-02T00:00:00Z",
    "later": "2026-03-02T06:00:00Z",
}
DAY = "2026-03-01"
NOON = "2026-03-01T12:00:00Z"
ZONE = "America/Los_Angeles"
"""There the day is from 08:00Z to 08:00Z."""

CASES: list[tuple[dict[str, Any], str]] = [
    ({"lte": DAY}, "before first noon late"),
    ({"lt": DAY}, "before"),
    ({"gte": DAY}, "first noon late after later"),
    ({"gt": DAY}, "after later"),
    ({"eq": DAY}, "first noon late"),
    ({"ne": DAY}, "before after later none"),
    ({"between": [DAY, DAY]}, "first noon late"),
    ({"between": [DAY, "2026-03-02"]}, "first noon late after later"),
    ({"between": ["2026-02-28", DAY], "inclusive": "left"}, "before"),
    ({"between": ["2026-02-28", DAY], "inclusive": "right"}, "first noon late"),
    ({"between": ["2026-02-28", "2026-03-02"], "inclusive": "neither"}, "first noon late"),
    ({"gt": DAY, "lt": "2026-03-02T06:00:00Z"}, "after"),
    # A time of day stays exact, midnight as well.
    ({"lte": "2026-03-01T00:00:00Z"}, "before first"),
    ({"lte": "2026-03-01T00:00"}, "before first"),
    ({"gt": "2026-03-01T00:00:00Z"}, "noon late after later"),
    ({"eq": NOON}, "noon"),
    ({"ne": NOON}, "before first late after later none"),
    ({"between": [NOON, NOON]}, "noon"),
    ({"gte": 1772323200, "lte": 1772323200}, "first"),
]
ABROAD: list[tuple[dict[str, Any], str]] = [
    ({"lte": DAY}, "before first noon late after later"),
    ({"lt": DAY}, "before first"),
    ({"gte": DAY}, "noon late after later"),
    ({"eq": DAY}, "noon late after later"),
    ({"ne": DAY}, "before first none"),
    ({"gt": "2026-02-28"}, "noon late after later"),
    ({"gt": "2026-03-01T00:00:00Z"}, "noon late after later"),
]


@pytest.fixture(params=["memory", "sqlite", "redis"])
async def host(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Host]:
    space = request.getfixturevalue("redis_part").environment() if request.param == "redis" else {}
    async with running_host(tmp_path, store=request.param, settings=space, run_jobs=False) as running:
        memories = [{"id": name, "text": f"about {name}", "event_date": at} for name, at in TIMES.items()]
        await run(running, "create_memories", memories=[*memories, {"id": "none", "text": "about nothing"}])
        yield running


async def test_a_date_in_a_filter_is_a_whole_day(host: Host) -> None:
    app = build_app(host)
    wrong = []
    async with (
        app.lifespan(),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=cast("Any", app)), base_url="http://memhost") as client,
    ):
        for zone, cases in ((None, CASES), ("UTC", CASES), (ZONE, ABROAD)):
            for test, expected in cases:
                body = {"event_date": test, "timezone": zone, "limit": 100}
                answer = await client.post("/v1/long-term-memory/search", json=body)
                found = {hit["id"] for hit in answer.json()["memories"]}
                if found != set(expected.split()):
                    wrong.append((zone, test, found))
    assert wrong == []


async def test_a_zone_that_there_is_not_is_refused(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        for name in ("Mars/Olympus", "", "../etc/passwd", "UTC+25"):
            answer = await Direct(host).call("search_memories", {"timezone": "UTC"})
            assert answer["total"] == 0
            with pytest.raises(Exception, match="is no IANA time zone"):
                await Direct(host).call("search_memories", {"timezone": name})


async def test_tool_and_command_mean_the_same_days(tmp_path: Path) -> None:
    (tool,) = [each for each in all_tools(core_operations(), {}) if each.name == "search_memory"]
    asked = tool.read({"query": "", "created_before": DAY, "timezone": ZONE}, lenient=False)
    parsed = command.search.make_context(
        "search", ["--created-before", DAY, "--created-after", DAY, "--timezone", ZONE]
    )
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        memories = [{"id": name, "text": f"about {name}", "created_at": at} for name, at in TIMES.items()]
        await run(host, "create_memories", memories=memories)
        fields = {"created_at": {"lte": asked.created_before}, "timezone": asked.timezone}
        found = await run(host, "search_memories", ADMIN, **fields)
        assert {hit.id for hit in found.memories} == set(TIMES)
        sent = command._request(parsed.params)
        assert sent["created_at"] == {"gte": DAY, "lte": DAY}
        answer = await Direct(host).call("search_memories", sent)
        assert {hit["id"] for hit in answer["memories"]} == {"noon", "late", "after", "later"}


def test_the_command_names_its_options() -> None:
    shown = CliRunner().invoke(command.search, ["--help"]).output
    assert "--created-after TIME" in shown
    assert "--timezone ZONE" in shown
