"""Requests that go straight to an interface are answered as those that go through Litestar's routing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from litestar import Litestar

from memhost.http.app import build_app
from memhost.testing.clock import FakeClock
from tests.support.hosts import running_host

PLAIN = (
    "/v1/health",
    "/v1/health/",
    "/v1/working-memory/a%2Fb",
    "/v1/nothing",
    "/v1/operations/health",
    "/v1/%68ealth",
)
ODD = ("//v1/health", "/v1//health", "/v1", "/v1/", "/v1x/health", "/", "/docs", "/metrics", "/v2/health")


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[Litestar]:
    chosen = {"INTERFACES": "rest,metrics"}
    async with running_host(tmp_path, store="memory", run_jobs=False, clock=FakeClock(), settings=chosen) as host:
        yield build_app(host)


async def ask(app: Any, path: str, **changed: Any) -> tuple[int, bytes, set[str]]:
    """Return status and body of the answer, and what Litestar added to the scope on the way."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost:8000"), (b"x-request-id", b"one")]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 5),
        "server": ("127.0.0.1", 8000),
        **changed,
    }
    await app(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], body, {"path_template", "route_handler"} & scope.keys()


@pytest.mark.parametrize("path", PLAIN)
async def test_plain_requests_pass_the_routing_by(app: Litestar, path: str) -> None:
    status, body, added = await ask(app, path)
    assert not added
    routed, told, through = await ask(app, f"/under{path}", root_path="/under")
    assert through
    assert (routed, told) == (status, body)


@pytest.mark.parametrize("path", ODD)
async def test_other_paths_do_not(app: Litestar, path: str) -> None:
    status, _, added = await ask(app, path)
    assert added or status == 404


@pytest.mark.parametrize("host", [b"local host", b"a\x00b", b"a/b", b"\xff", b"a{b}"])
async def test_hosts_that_litestar_refuses_stay_refused(app: Litestar, host: bytes) -> None:
    assert (await ask(app, "/v1/health", headers=[(b"host", host)]))[0] == 400


@pytest.mark.parametrize("host", [b"localhost", b"[::1]:8000", b"127.0.0.1:80", b"a-b.example", b"a_b", b"x!y", b""])
async def test_hosts_that_it_takes_are_taken(app: Litestar, host: bytes) -> None:
    assert (await ask(app, "/v1/health", headers=[(b"host", host)]))[0] == 200


async def test_the_prefix_of_a_proxy_is_taken_off(app: Litestar) -> None:
    status, _, added = await ask(app, "/under/v1/health", root_path="/under")
    assert (status, bool(added)) == (200, True)
