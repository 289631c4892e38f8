"""The HTTP application without a socket, for tests of sessions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import httpx

from memhost.host import Host
from memhost.http.app import build_app


@asynccontextmanager
async def http(host: Host, agent: str = "test") -> AsyncIterator[httpx.AsyncClient]:
    app = build_app(host)
    transport = httpx.ASGITransport(app=cast("Any", app))
    async with (
        app.lifespan(),
        httpx.AsyncClient(transport=transport, base_url="http://memhost", headers={"user-agent": agent}) as client,
    ):
        yield client
