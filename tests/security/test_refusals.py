"""Refusals: rates that are limited by default, lines of the log that are folded, and places that one caller leaves."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from memhost import logs
from memhost.errors import TooManyRequests
from memhost.http.app import build_app
from memhost.http.limits import PER_ADDRESS, PER_MINUTE, Gate
from memhost.logs import Folding, log_refusal
from memhost.models import Caller, Scope
from memhost.settings.schema import ServerSettings
from memhost.testing.polling import until
from memhost_mcp.crowding import Crowd
from tests.security.test_gate import Client, fine
from tests.support.hosts import running_host

TOKEN = "a-token-of-the-tests-0123456789abcdef"


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    stream = io.StringIO()
    logs.configure("INFO", "json", stream)
    monkeypatch.setattr(logs, "FOLDING", Folding())
    yield stream
    logs.configure()


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


# -- rates -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("private", "given", "limits"),
    [
        (True, {}, (0, 0)),
        (False, {}, (PER_MINUTE, PER_ADDRESS)),
        (False, {"rate_limit_per_minute": 0, "rate_limit_per_address": 0}, (0, 0)),
        (False, {"rate_limit_per_minute": 7}, (7, PER_ADDRESS)),
        (True, {"rate_limit_per_address": 7}, (0, 7)),
    ],
)
async def test_rates_are_limited_where_strangers_may_call(
    private: bool, given: dict[str, Any], limits: tuple[int, int]
) -> None:
    gate = Gate(fine, ServerSettings(**given), private=private)
    assert tuple(int(each._capacity) for each in (gate._by_credential, gate._by_address)) == limits


@pytest.mark.parametrize(
    ("settings", "limited"),
    [
        ({}, False),
        ({"AUTH_TOKENS": TOKEN}, True),
        ({"AUTH": "none", "HOST": "0.0.0.0"}, True),
        ({"AUTH_TOKENS": TOKEN, "RATE_LIMIT_PER_MINUTE": "0"}, False),
    ],
)
async def test_a_server_with_authentication_has_limits(
    settings: dict[str, str], limited: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gates: list[Gate] = []

    class Seen(Gate):
        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, **more)
            gates.append(self)

    monkeypatch.setattr("memhost.http.app.Gate", Seen)
    async with running_host(tmp_path, store="memory", settings=settings, run_jobs=False) as host:
        build_app(host)
    assert bool(gates[0]._by_credential) is limited


# -- places ------------------------------------------------------------------------------------------------


async def test_one_caller_leaves_places_for_others() -> None:
    go_on = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await go_on.wait()
        await fine(scope, receive, send)

    for private in (False, True):
        go_on.clear()
        gate = Gate(slow, ServerSettings(max_concurrent_requests=8), private=private)
        greedy = [Client(gate, token="a", peer=f"10.0.{n}.1") for n in range(8)]
        await asyncio.sleep(0)
        other = Client(gate, token="b")
        await asyncio.sleep(0)
        go_on.set()
        served = [(await client.answer())[0] for client in greedy]
        assert served == ([200] * 8 if private else [200] * 6 + [503] * 2)
        assert (await other.answer())[0] == (503 if private else 200)
        assert (gate._places.taken, dict(gate._places._of)) == (0, {})


async def test_bodies_that_arrive_late_do_not_take_the_share_of_others() -> None:
    go_on = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        while (message := await receive()).get("more_body"):
            pass
        if message["type"] == "http.request":
            await go_on.wait()
            await fine(scope, receive, send)

    gate = Gate(slow, ServerSettings(max_concurrent_requests=4), private=False)
    greedy = [Client(gate, token="a") for _ in range(4)]
    for client in greedy:
        await client.part(1)
    for client in greedy:
        await client.part(1, last=True)
    go_on.set()
    assert [(await client.answer())[0] for client in greedy] == [200, 200, 200, 503]


async def test_an_idle_stream_of_events_takes_no_place() -> None:
    streams: list[asyncio.Event] = []

    async def events(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        streams.append(asyncio.Event())
        await receive()  # until the client goes
        await send({"type": "http.response.body", "body": b"{}"})

    gate = Gate(events, ServerSettings(max_concurrent_requests=2))
    open_streams = []
    for _ in range(5):
        client = Client(gate, method="GET")
        await client.part(0, last=True)
        open_streams.append(client)
    assert (len(streams), gate._places.taken) == (5, 0)
    for client in open_streams:
        client.arriving.put_nowait({"type": "http.disconnect"})
        await client.task
    assert (gate._places.taken, dict(gate._places._of)) == (0, {})


def test_calls_and_streams_of_one_caller_are_bounded() -> None:
    anne, bert, other = Caller(subject="anne"), Caller(subject="bert"), Caller(subject="anne", bounds=Scope(tenant="b"))
    crowd = Crowd("calls", 2, 4)
    with crowd.entered(anne), crowd.entered(anne):
        with pytest.raises(TooManyRequests) as caught, crowd.entered(anne):
            pass
        assert caught.value.retry_after_s == 1
        with crowd.entered(bert), crowd.entered(other), pytest.raises(TooManyRequests), crowd.entered(bert):
            pass
        with crowd.entered(bert):
            pass
    with crowd.entered(anne):
        pass
    assert not crowd._of


# -- lines of the log --------------------------------------------------------------------------------------


def test_refusals_of_an_address_are_folded(log: io.StringIO) -> None:
    now = 0.0
    folding = Folding(most=3, kinds=2, time=lambda: now)
    assert [folding.admits("a", "unauthorized") for _ in range(5)] == [True] * 3 + [False] * 2
    assert folding.admits("b", "unauthorized")
    assert [folding.admits(f"c{number}", "unauthorized") for number in range(6)] == [True] * 3 + [False] * 3
    now = 59.0
    assert not folding.admits("a", "unauthorized")
    assert lines(log) == []
    now = 60.0
    assert folding.admits("a", "unauthorized")
    told = [(line["event"], line["address"], line["code"], line["more"]) for line in lines(log)]
    assert told == [("requests.folded", "a", "unauthorized", 3), ("requests.folded", "others", "unauthorized", 3)]


async def test_the_rest_is_told_without_another_request(log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_FOLDED_S", 0.01)
    folding = Folding(most=1)
    for _ in range(4):
        folding.admits("a", "x")

    async def told() -> bool:
        return bool(lines(log))

    await until(told)
    assert lines(log)[0]["more"] == 3


async def test_refusals_through_every_door_are_folded(tmp_path: Path, log: io.StringIO) -> None:
    settings = {"AUTH_TOKENS": TOKEN, "AUTH_FAILURES_PER_MINUTE": "5"}
    async with running_host(tmp_path, store="memory", settings=settings, run_jobs=False) as host:
        app: Any = build_app(host)
        transport = httpx.ASGITransport(app)
        async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            before = len(log.getvalue())
            for method, path in (
                ("GET", "/v1/working-memory/"),
                ("POST", "/v1/operations/create_memories"),
                ("GET", "/v1/nothing"),
                ("PUT", "/v1/health"),
                ("POST", "/mcp"),
                ("GET", "/sse"),
                ("POST", "/messages/"),
                ("GET", "/metrics"),
            ):
                for number in range(120):
                    await http.request(method, path, headers={"authorization": f"Bearer wrong{number}"})
                    await http.request(method, path)
            logs.FOLDING.tell()
    told = [line for line in lines(log) if line["event"] == "requests.folded"]
    assert {line["code"] for line in told} >= {"unauthorized", "rate_limited", "404", "405"}
    assert all(line["address"] == "127.0.0.1" for line in told)
    assert sum(line["more"] for line in told) > 1000
    assert (len(log.getvalue()) - before) / (8 * 240) < 20  # bytes for each request


async def test_refusals_of_the_gate_are_told_and_folded(log: io.StringIO) -> None:
    gate = Gate(fine, ServerSettings(rate_limit_per_address=1))
    for _ in range(100):
        await Client(gate).answer()
    refused = [line for line in lines(log) if line["event"] == "request.refused"]
    assert len(refused) == 20
    assert (refused[0]["status"], refused[0]["code"]) == (429, "rate_limited")


def test_what_a_library_says_of_strangers_is_folded(log: io.StringIO) -> None:
    logs.configure("INFO", "json", log)  # again, as a server does
    library = logging.getLogger("uvicorn.error")
    for _ in range(100):
        library.warning("Invalid HTTP request received.")
        library.error("Something is broken.")
    told = [line["event"] for line in lines(log)]
    assert (told.count("Invalid HTTP request received."), told.count("Something is broken.")) == (20, 100)


def test_answers_are_never_folded(log: io.StringIO) -> None:
    logger = logging.getLogger("memhost.test")
    for number in range(100):
        logs.log(logger, logging.INFO, "request.done", number=number)
        log_refusal(logger, logging.INFO, "request.done", code="x", number=number)
    told = [line for line in lines(log) if line["event"] == "request.done"]
    assert len([line for line in told if "code" not in line]) == 100
    assert len([line for line in told if "code" in line]) == 20
