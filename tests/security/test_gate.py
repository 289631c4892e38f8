"""Limits of the HTTP door: rate, number, time, slow clients, and the headers of answers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from memhost.gate import Buckets, Gate
from memhost.settings.schema import ServerSettings


class Client:
    """One request to a gate, without a socket."""

    def __init__(self, gate: Gate, path: str = "/v1/x", *, token: str = "", peer: str = "10.0.0.1") -> None:
        self.sent: list[dict[str, Any]] = []
        self.arriving: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        headers = [(b"authorization", f"Bearer {token}".encode())] if token else []
        scope = {"type": "http", "path": path, "headers": headers, "client": (peer, 1)}
        self.task = asyncio.ensure_future(gate(scope, self.arriving.get, self._send))

    async def _send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    async def answer(self) -> tuple[int, dict[str, str], str]:
        """Status, headers and code of the answer."""
        async with asyncio.timeout(10):
            await self.task
        headers = {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}
        body = self.sent[1]["body"]
        return self.sent[0]["status"], headers, json.loads(body)["code"] if body else ""


async def fine(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"cache-control", b"max-age=5")]})
    await send({"type": "http.response.body", "body": b""})


async def reading(scope: Any, receive: Any, send: Any) -> None:
    while (message := await receive()).get("more_body"):
        pass
    if message["type"] == "http.request":
        await fine(scope, receive, send)


def test_buckets_fill_with_time() -> None:
    now = 100.0
    buckets = Buckets(60, lambda: now)
    assert [buckets.take(b"a") for _ in range(61)] == [0] * 60 + [1]
    assert buckets.take(b"b") == 0
    now = 101.0
    assert (buckets.take(b"a"), buckets.take(b"a")) == (0, 1)
    assert Buckets(0).take(b"a") == 0
    assert Buckets(2, lambda: now).take(b"") == 0


async def test_rate_by_credential_and_by_address() -> None:
    gate = Gate(fine, ServerSettings(rate_limit_per_minute=2, rate_limit_per_address=4))
    codes = [await Client(gate, token="a", peer=f"10.0.0.{n}").answer() for n in range(3)]
    assert [status for status, _, _ in codes] == [200, 200, 429]
    _, headers, code = codes[-1]
    assert (code, headers["retry-after"]) == ("rate_limited", "30")
    assert (await Client(gate, token="b", peer="10.0.0.9").answer())[0] == 200
    assert [(await Client(gate, peer="10.0.1.1").answer())[0] for _ in range(5)] == [200] * 4 + [429]
    assert (await Client(gate, "/v1/health", peer="10.0.1.1").answer())[0] == 200


async def test_number_at_once() -> None:
    go_on = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await go_on.wait()
        await fine(scope, receive, send)

    gate = Gate(slow, ServerSettings(max_concurrent_requests=2))
    first = [Client(gate), Client(gate)]
    await asyncio.sleep(0)
    status, headers, code = await Client(gate).answer()
    assert (status, code, headers["retry-after"]) == (503, "overloaded", "1")
    go_on.set()
    assert [(await client.answer())[0] for client in first] == [200, 200]
    assert (await Client(gate).answer())[0] == 200


async def test_who_is_still_sending_takes_no_place() -> None:
    go_on = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        while (message := await receive()).get("more_body"):
            pass
        if message["type"] == "http.request":
            await go_on.wait()
            await fine(scope, receive, send)

    gate = Gate(slow, ServerSettings(max_concurrent_requests=2))
    dripping = [Client(gate) for _ in range(5)]
    await asyncio.sleep(0)
    for client in dripping:
        client.arriving.put_nowait({"type": "http.request", "body": b"[", "more_body": True})
    quick = [Client(gate), Client(gate)]
    for client in (*quick, *dripping):
        await asyncio.sleep(0)
        client.arriving.put_nowait({"type": "http.request", "body": b"]", "more_body": False})
    assert [(await client.answer())[::2] for client in dripping] == [(503, "overloaded")] * 5
    go_on.set()
    assert [(await client.answer())[0] for client in quick] == [200, 200]
    assert gate._places.taken == 0


async def test_who_does_not_read_takes_no_place() -> None:
    read = asyncio.Event()

    class Deaf(Client):
        async def _send(self, message: dict[str, Any]) -> None:
            await read.wait()
            await super()._send(message)

    gate = Gate(fine, ServerSettings(max_concurrent_requests=2, rate_limit_per_address=3))
    deaf = [Deaf(gate, peer="10.0.0.2") for _ in range(5)]
    await asyncio.sleep(0)
    assert gate._places.taken == 0  # nor does who was turned away count for less than none
    assert (await Client(gate).answer())[0] == 200
    read.set()
    assert [(await client.answer())[0] for client in deaf] == [200, 200, 200, 429, 429]
    assert gate._places.taken == 0


async def test_time_until_the_answer_begins() -> None:
    async def never(_scope: Any, _receive: Any, _send: Any) -> None:
        await asyncio.Event().wait()

    assert (await Client(Gate(never, ServerSettings(request_timeout_s=0.01))).answer())[::2] == (504, "timeout")

    async def streaming(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(0.05)
        await send({"type": "http.response.body", "body": b""})

    assert (await Client(Gate(streaming, ServerSettings(request_timeout_s=0.01))).answer())[0] == 200


async def test_slow_bodies() -> None:
    client = Client(Gate(reading, ServerSettings(body_timeout_s=0.01)))
    client.arriving.put_nowait({"type": "http.request", "body": b"{", "more_body": True})
    assert (await client.answer())[::2] == (408, "too_slow")


async def test_headers_of_answers() -> None:
    _, headers, _ = await Client(Gate(fine, ServerSettings())).answer()
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "max-age=5"
    assert "strict-transport-security" not in headers
    _, headers, _ = await Client(Gate(fine, ServerSettings(tls_cert=str(Path("x.pem"))))).answer()
    assert headers["strict-transport-security"].startswith("max-age=")
