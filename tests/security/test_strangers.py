"""An open server's answers to web pages and foreign host names; the host check comes before everything else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from memhost.http.allowed_hosts import open_server_guard
from memhost.http.app import build_app
from memhost.http.limits import Gate
from memhost.settings.schema import ServerSettings
from tests.security.test_gate import Client, fine
from tests.support.hosts import running_host

EVIL = "evil.example"
TOKEN = "a-token-of-the-tests-0123456789abcdef"
PATHS = ("/v1/working-memory/", "/metrics", "/docs", "/nowhere", "/mcp")
SETTINGS = {"RATE_LIMIT_PER_ADDRESS": "40", "CORS_ALLOWED_ORIGINS": "https://app.example.com,https://*.friend.example"}


@asynccontextmanager
async def pages(folder: Path, **settings: str) -> AsyncIterator[httpx.AsyncClient]:
    """What browsers reach, at http://127.0.0.1."""
    async with running_host(folder, store="memory", settings=settings) as host:
        app: Any = build_app(host)
        transport = httpx.ASGITransport(app)
        async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            yield http


async def status(http: httpx.AsyncClient, path: str, **headers: str) -> int:
    return (await http.request("POST" if path == "/mcp" else "GET", path, headers=headers)).status_code


async def test_a_header_that_decides_is_given_once(tmp_path: Path) -> None:
    async with pages(tmp_path) as http:
        for path in PATHS:
            for name, values in (
                ("host", ("localhost", EVIL)),
                ("host", (EVIL, "localhost")),
                ("origin", ("http://localhost", f"https://{EVIL}")),
                ("authorization", ("Bearer a", "Bearer b")),
                ("x-api-key", ("a", "b")),
                ("x-memory-user", ("ann", "bob")),
                ("x-memory-namespace", ("red", "")),
            ):
                answer = await http.get(path, headers=[(name, value) for value in values])
                assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request"), (path, name)
        same = [("host", "localhost"), ("host", "localhost"), ("accept", "a/b"), ("accept", "c/d")]
        assert (await http.get(PATHS[0], headers=same)).status_code == 200


async def test_a_page_cannot_rebind_its_name_to_an_open_server(tmp_path: Path) -> None:
    async with pages(tmp_path, ALLOWED_HOSTS="memory.example.com") as http:
        for path in PATHS:
            for host in (
                EVIL,
                f"{EVIL}:8000",
                f"localhost.{EVIL}",
                f"[::1].{EVIL}",
                f"[::1]@{EVIL}",
                f"localhost:9@{EVIL}",
                f"localhost:.{EVIL}",
                f"127.0.0.1:80.{EVIL}",
                f"memory.example.com:1@{EVIL}",
                f"localhost/{EVIL}",
                "localhost:80x",
                "[::1",
                "[::1]8000",
                "memory",
                "",
            ):
                assert await status(http, path, host=host) == 403, (path, host)
            for host in (
                "localhost:8000",
                "[::1]:8000",
                "192.0.2.1",
                "memory.example.com",
                "host.docker.internal:8000",
            ):
                assert await status(http, path, host=host) != 403, (path, host)
        told = await http.get("/v1/working-memory/", headers={"host": EVIL})
        assert told.json()["code"] == "forbidden"
        assert "ALLOWED_HOSTS" in told.json()["detail"]
        assert await status(http, "/v1/health", host=EVIL) == 200


async def test_a_page_cannot_make_an_open_server_act(tmp_path: Path) -> None:
    """These need no permission of the server beforehand (no preflight): no body, or one that is plain text."""
    async with pages(tmp_path, **SETTINGS) as http:
        for path in ("/v1/long-term-memory/compact", "/v1/operations/create_token"):
            for origin in (f"http://{EVIL}", "null", "https://app.example.com.evil.example", "https://friend.example"):
                answer = await http.post(path, headers={"origin": origin, "content-type": "text/plain"})
                assert answer.status_code == 403, (path, origin)
            for origin in ("http://localhost:3000", "https://app.example.com", "https://a.friend.example"):
                assert (await http.post(path, headers={"origin": origin})).status_code == 200, (path, origin)


async def test_clients_in_the_process_may_call_it_what_they_like(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory") as host:
        app: Any = build_app(host)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://testserver.local") as http:
            assert (await http.get("/v1/working-memory/")).status_code == 200


async def test_names_of_the_own_network_reach_a_server_that_is_open_to_it(tmp_path: Path) -> None:
    async with pages(tmp_path, AUTH="none", HOST="0.0.0.0") as http:
        assert await status(http, "/v1/working-memory/", host="memhost:8000") == 200
        assert await status(http, "/v1/working-memory/", host=EVIL) == 403


async def test_refusals_at_the_gate_are_counted(tmp_path: Path) -> None:
    async with pages(tmp_path) as http:
        assert await status(http, "/v1/working-memory/", host=EVIL) == 403
        assert 'memhost_http_requests_total{method="GET",status="403"} 1' in (await http.get("/metrics")).text


async def test_with_credentials_any_name_will_do(tmp_path: Path) -> None:
    async with pages(tmp_path, AUTH_TOKENS=TOKEN) as http:
        sent = {"x-api-key": TOKEN, "host": "memory.example.com", "origin": "https://memory.example.com"}
        assert await status(http, "/v1/working-memory/", **sent) == 200


@pytest.mark.parametrize("credentials", [{}, {"AUTH_TOKENS": TOKEN}], ids=["open", "token"])
async def test_mcp_takes_the_pages_that_may_use_the_rest(tmp_path: Path, credentials: dict[str, str]) -> None:
    async with pages(tmp_path, **SETTINGS, **credentials) as http:
        for origin, served in (
            ("https://app.example.com", True),
            ("https://a.friend.example", True),
            (f"https://{EVIL}", False),
        ):
            code = await status(http, "/mcp", **{"x-api-key": TOKEN, "origin": origin})
            assert (code != 403) is served, origin


@pytest.mark.parametrize(
    ("listens", "here", "served"),
    [
        ("127.0.0.1", "127.0.0.1", 200),
        ("127.0.0.1", "::1", 200),
        ("127.0.0.1", "memhost", 200),
        ("127.0.0.1", "192.0.2.1", 403),
        ("LocalHost", "192.0.2.1", 403),
        ("0.0.0.0", "192.0.2.1", 200),
    ],
)
async def test_an_open_server_for_this_machine_serves_no_other_address(
    tmp_path: Path, listens: str, here: str, served: int
) -> None:
    """However it was started: the application may run under another server, which listens elsewhere."""
    async with running_host(tmp_path, store="memory", settings={"HOST": listens, "AUTH": "none"}) as host:
        app: Any = build_app(host)

        async def at_address(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "server": (here, 8000)}, receive, send)

        transport = httpx.ASGITransport(at_address)
        async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            assert (await http.get("/v1/working-memory/")).status_code == served


async def test_where_the_own_address_is_not_known_names_are_checked() -> None:
    settings = ServerSettings()
    assert (await Client(Gate(fine, settings, open_server_guard(settings))).answer())[::2] == (403, "forbidden")
    assert (await Client(Gate(fine, settings)).answer())[0] == 200


async def test_the_gate_stands_before_what_leads_nowhere(tmp_path: Path) -> None:
    origin = {"origin": "https://app.example.com"}
    async with pages(tmp_path, **SETTINGS) as http:
        for verb, path in (("GET", "/nowhere"), ("POST", "/metrics"), ("GET", "/mcp"), ("GET", "/v1/nowhere")):
            answer = await http.request(verb, path, headers=origin)
            assert answer.status_code in (404, 405)
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["cache-control"] == "no-store"
        answers = [await http.get("/nowhere", headers=origin) for _ in range(50)]
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert answers[-1].headers["access-control-allow-origin"] == origin["origin"]


async def test_a_network_of_one_client_counts_as_one_address() -> None:
    gate = Gate(fine, ServerSettings(rate_limit_per_address=3))
    codes = [await Client(gate, peer=f"2001:db8:1:2::{number:x}").answer() for number in range(5)]
    assert [code for code, _, _ in codes] == [200, 200, 200, 429, 429]
    assert (await Client(gate, peer="2001:db8:1:3::1").answer())[0] == 200


async def test_who_is_too_slow_is_answered_whatever_the_application_makes_of_it() -> None:
    async def complaining(_scope: Any, receive: Any, send: Any) -> None:
        if (await receive())["type"] == "http.disconnect":
            await send({"type": "http.response.start", "status": 500, "headers": []})
            raise RuntimeError("the client has gone")

    client = Client(Gate(complaining, ServerSettings(body_timeout_s=0.01)))
    assert (await client.answer())[::2] == (408, "too_slow")
    assert len(client.sent) == 2
