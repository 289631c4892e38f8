"""Fifty concurrent clients on shared sessions and memories."""

from __future__ import annotations

import asyncio
import random

import httpx
import pytest

from tests.e2e.conftest import Servers


@pytest.mark.full("load on a whole server; test_crossing.py and the stores' concurrency tests hold the rules inside")
@pytest.mark.parametrize("store", ["sqlite", "redis"])
async def test_fifty_clients_at_once_see_no_server_error(servers: Servers, store: str, fresh: str) -> None:
    server = servers.on(store)
    limits = httpx.Limits(max_connections=50)
    async with httpx.AsyncClient(base_url=server.url, timeout=60, limits=limits) as http:
        answers = [
            answer for found in await asyncio.gather(*(_client(http, fresh, n) for n in range(50))) for answer in found
        ]
    statuses = {answer.status_code for answer in answers}
    assert statuses <= {200, 404, 409}, statuses
    assert sum(answer.status_code == 200 for answer in answers) > len(answers) * 0.7


async def _client(http: httpx.AsyncClient, fresh: str, number: int) -> list[httpx.Response]:
    """Reads and writes of a client, on sessions and memories that it shares with others."""
    dice = random.Random(number)
    user = f"{fresh}-{number % 5}"
    found = []
    for turn in range(2):
        session = f"/v1/working-memory/{fresh}-{dice.randrange(5)}"
        message = {"role": "user", "content": f"turn {turn} of {number}", "created_at": "2025-01-01T00:00:00Z"}
        record = {"id": f"{user}-{dice.randrange(10)}", "text": f"fact {turn} of {number}", "user_id": user}
        calls = [
            http.put(session, json={"user_id": user, "messages": [message]}),
            http.get(session, params={"user_id": user}),
            http.post("/v1/long-term-memory/", json={"memories": [record], "deduplicate": dice.random() < 0.5}),
            http.post("/v1/long-term-memory/search", json={"text": "fact turn", "user_id": {"eq": user}}),
            http.get("/v1/working-memory/", params={"user_id": user}),
            http.patch(f"/v1/long-term-memory/{record['id']}", json={"pinned": bool(turn % 2)}),
        ]
        chosen = dice.sample(range(len(calls)), 4)
        for index, call in enumerate(calls):
            if index in chosen:
                found.append(await call)
            else:
                call.close()
    return found
