"""CORS: pages of the allowed origins can read every answer, also one that reaches no interface."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from memhost.http.app import build_app
from tests.support.hosts import running_host

ORIGIN = "https://app.example"


@asynccontextmanager
async def pages(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client below the prefix `/pre` of a proxy."""
    settings = {"CORS_ALLOWED_ORIGINS": ORIGIN, "RATE_LIMIT_PER_ADDRESS": "4"}
    async with running_host(tmp_path, store="memory", settings=settings) as host:
        app: Any = build_app(host)
        transport = httpx.ASGITransport(app=app, root_path="/pre")
        async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield client


async def test_answers_of_the_gate_can_be_read_and_preflights_do_not_count(tmp_path: Path) -> None:
    async with pages(tmp_path) as client:
        asked = {"origin": ORIGIN, "access-control-request-method": "PUT"}
        for _ in range(8):
            assert (await client.options("/pre/v1/working-memory/a", headers=asked)).status_code == 204
        answers = [await client.get("/pre/v1/working-memory/", headers={"origin": ORIGIN}) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 429]
        assert {answer.headers["access-control-allow-origin"] for answer in answers} == {ORIGIN}
        assert {answer.headers["x-content-type-options"] for answer in answers} == {"nosniff"}


async def test_other_origins_are_not_allowed(tmp_path: Path) -> None:
    async with pages(tmp_path) as client:
        asked = {"origin": "https://evil.example", "access-control-request-method": "PUT"}
        assert (await client.options("/pre/v1/working-memory/a", headers=asked)).status_code == 400
        answer = await client.get("/pre/v1/health", headers={"origin": "https://evil.example"})
        assert (answer.status_code, answer.headers.get("access-control-allow-origin")) == (200, None)


async def test_paths_that_repeat_the_prefix_of_a_proxy_reach_their_route(tmp_path: Path) -> None:
    async with pages(tmp_path) as client:
        put = await client.put("/pre/v1/working-memory/x%2Fpre%2Fy", json={"messages": []})
        assert (put.status_code, put.json()["session_id"]) == (200, "x/pre/y")
        assert (await client.get("/pre/openapi.json")).status_code == 200
        assert (await client.get("/pre/nowhere")).json() == {"detail": "Not Found"}
