"""The short way to an answer writes what uvicorn's own way writes, byte by byte, and refuses what it refuses."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from memhost.http.uvicorn_protocol import _Cycle

JSON = (b"content-type", b"application/json")
FIVE = (b"content-length", b"5")
ID = (b"x-request-id", b"4f2a")
STANDING = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
]
HEADS: dict[str, list[tuple[bytes, bytes]]] = {
    "usual": [JSON, FIVE, ID, *STANDING],
    "other order": [*STANDING, ID, FIVE, JSON],
    "empty": [(b"content-length", b"0"), JSON],
    "no length": [JSON, ID],
    "two lengths": [FIVE, (b"content-length", b"3")],
    "odd length": [(b"content-length", b" 5 ")],
    "chunked": [JSON, (b"transfer-encoding", b"chunked")],
    "chunked with a length": [FIVE, (b"transfer-encoding", b"chunked")],
    "capitals": [(b"Content-Type", b"text/plain"), (b"Content-Length", b"5")],
    "last answer": [JSON, FIVE, (b"connection", b"close")],
    "more": [JSON, FIVE, (b"retry-after", b"2"), (b"x-memhost-notice", b"one; two")],
    "a value with a line break": [FIVE, (b"content-type", b"a\r\nset-cookie: b")],
    "an id with a line break": [JSON, FIVE, (b"x-request-id", b"a\nb: c")],
    "a name with a space": [JSON, FIVE, (b"x y", b"z")],
    "nothing": [],
}
BODIES: dict[str, list[dict[str, Any]]] = {
    "whole": [{"body": b"hello"}],
    "parts": [{"body": b"he", "more_body": True}, {"body": b"llo", "more_body": False}],
    "empty": [{}],
    "short": [{"body": b"hell"}],
    "long": [{"body": b"hello!"}],
    "twice": [{"body": b"hello"}, {"body": b"hello"}],
    "none": [],
}


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True


async def outcome(kind: type[RequestResponseCycle], start: Any, bodies: Any, method: str, **options: Any) -> Any:
    wire, ended = Wire(), list[str]()
    logger = logging.getLogger("test")
    cycle = kind(
        scope={"type": "http", "method": method},  # type: ignore[typeddict-item]
        transport=wire,
        flow=FlowControl(wire),
        logger=logger,
        access_logger=logger,
        access_log=False,
        message_event=asyncio.Event(),
        expect_100_continue=False,
        on_response=lambda: ended.append("ended"),
        **{"default_headers": [], "keep_alive": True, **options},
    )
    failure = ""
    try:
        for message in [start, *({"type": "http.response.body", **body} for body in bodies)]:
            await cycle.send(message)
    except RuntimeError as error:
        failure = str(error)
    state = [cycle.response_started, cycle.response_complete, cycle.keep_alive, cycle.message_event.is_set()]
    return wire.written, wire.closed, ended, failure, state


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("head", HEADS)
async def test_both_ways_do_the_same(head: str, body: str) -> None:
    told = 0
    for method in ("GET", "HEAD", "POST"):
        for status in (200, 204, 304, 422, 599):
            for options in ({"keep_alive": True}, {"keep_alive": False}, {"default_headers": [(b"date", b"now")]}):
                start = {"type": "http.response.start", "status": status, "headers": HEADS[head]}
                args = (start, BODIES[body], method)
                theirs = await outcome(RequestResponseCycle, *args, **options)
                assert await outcome(_Cycle, *args, **options) == theirs
                told += bool(theirs[0] or theirs[3])
    assert told


@pytest.mark.parametrize("first", [{"type": "http.response.body", "body": b"x"}, {"type": "http.response.start"}])
async def test_what_is_no_answer_is_refused_likewise(first: dict[str, Any]) -> None:
    first = {"status": 200, **first} if first["type"].endswith("start") else first
    both = [await outcome(kind, first, [], "GET", keep_alive=True) for kind in (RequestResponseCycle, _Cycle)]
    assert both[0] == both[1]
