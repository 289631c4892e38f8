"""Limits of HTTP: rate, number, time, slow clients, and the headers of answers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from memhost.credentials import VISITOR
from memhost.http.bodies import Bodies
from memhost.http.limits import Buckets, Gate
from memhost.settings.schema import ServerSettings


class Client:
    """One request to a gate, without a socket."""

    def __init__(
        self,
        gate: Gate,
        path: str = "/v1/x",
        *,
        token: str = "",
        peer: str = "10.0.0.1",
        encoding: str = "",
        method: str = "POST",
    ) -> None:
        self.sent: list[dict[str, Any]] = []
        self.arriving: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        headers = [(b"authorization", f"Bearer {token}".encode())] if token else []
        headers += [(b"content-encoding", encoding.encode())] if encoding else []
        scope = {"type": "http", "method": method, "path": path, "headers": headers, "client": (peer, 1)}
        self.task = asyncio.ensure_future(gate(scope, self.arriving.get, self._send))

    async def _send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    async def part(self, size: int, *, last: bool = False) -> None:
        """Send so many bytes more of the body, and let the server take them in."""
        self.arriving.put_nowait({"type": "http.request", "body": b" " * size, "more_body": not last})
        for _ in range(5):
            await asyncio.sleep(0)

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


async def knowing(scope: Any, receive: Any, send: Any) -> None:
    """Reads the body as an interface does: it asks who calls before."""
    visitor = VISITOR.get()
    assert visitor is not None
    visitor.known = any(name == b"authorization" for name, _ in scope["headers"])
    await reading(scope, receive, send)


def buffering(most: int, **more: Any) -> Gate:
    return Gate(knowing, ServerSettings(max_buffered_bytes=most, max_body_bytes=1024, **more))


def is_empty(gate: Gate) -> bool:
    return not (gate._bodies.held or gate._bodies.waiting or gate._bodies._bytes_of or gate._bodies._waiting_of)


async def test_bodies_held_at_once_are_bounded() -> None:
    gate = buffering(1000)
    first = [Client(gate, token="a", peer=f"10.0.{n}.1") for n in range(4)]
    for client in first:
        await client.part(250)
    assert gate._bodies.held == 1000
    last = Client(gate, token="a", peer="10.0.9.1")
    await last.part(1)
    status, headers, code = await last.answer()
    assert (status, code, headers["retry-after"], headers["connection"]) == (503, "overloaded", "2", "close")
    for client in first:
        await client.part(0, last=True)
        assert (await client.answer())[0] == 200
    assert is_empty(gate)
    again = Client(gate, token="a")
    await again.part(400, last=True)
    assert (await again.answer())[0] == 200


async def test_one_address_has_half_of_the_bytes() -> None:
    gate = buffering(1000)
    first, second, other = (Client(gate, token="a", peer=peer) for peer in ("2001:db8::1", "2001:db8::2", "10.0.0.1"))
    await first.part(500)
    await second.part(1)
    assert (await second.answer())[0] == 503
    await other.part(500, last=True)
    assert (await other.answer())[0] == 200
    await first.part(0, last=True)
    assert (await first.answer())[0] == 200
    assert is_empty(gate)


async def test_strangers_have_a_sixteenth_of_the_bytes() -> None:
    gate = buffering(1600)
    strangers = [Client(gate, peer=f"10.0.{n}.1") for n in range(3)]
    for client in strangers:
        await client.part(50)
    assert (await strangers[2].answer())[0] == 503
    assert gate._bodies.held == 100
    known = Client(gate, token="a", peer="10.0.9.1")
    await known.part(600, last=True)
    assert (await known.answer())[0] == 200
    for client in strangers[:2]:
        await client.part(0, last=True)
        assert (await client.answer())[0] == 200
    assert is_empty(gate)


async def test_who_gets_known_on_the_way_is_no_stranger_any_more() -> None:
    bodies = Bodies(1600, 0)
    body, other = bodies.of("10.0.0.1"), bodies.of("10.0.0.2")
    assert body.take(100)
    assert not other.take(1)
    body.visitor.known = True
    assert body.take(500)
    assert other.take(100)
    body.release()
    other.release()
    assert (bodies.held, bodies._strangers) == (0, 0)


async def test_waiting_bodies_are_counted_for_all_and_for_an_address() -> None:
    gate = Gate(reading, ServerSettings(max_waiting_bodies=4, max_concurrent_requests=2))
    waiting = [Client(gate, peer=peer) for peer in ("10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.2")]
    for client in waiting:
        await client.part(1)
    for peer in ("10.0.0.1", "10.0.0.3"):
        status, headers, code = await Client(gate, peer=peer).answer()
        assert (status, code, headers["retry-after"]) == (503, "overloaded", "2")
    for client in waiting[:2]:
        await client.part(1, last=True)
        assert (await client.answer())[0] == 200
    third, same = Client(gate, peer="10.0.0.3"), Client(gate, peer="10.0.0.2")
    await third.part(1, last=True)
    assert ((await third.answer())[0], (await same.answer())[0]) == (200, 503)  # half of them are 10.0.0.2's
    for client in waiting[2:]:
        await client.part(1, last=True)
        assert (await client.answer())[0] == 200
    assert is_empty(gate)


async def test_no_limits() -> None:
    gate = Gate(reading, ServerSettings(max_waiting_bodies=0, max_buffered_bytes=0, max_body_bytes=1024))
    client = Client(gate)
    await client.part(4096, last=True)
    assert (await client.answer())[0] == 200
    larger = Client(gate)
    await larger.part(4097)
    assert (await larger.answer())[::2] == (413, "too_large")
    assert is_empty(gate)


async def test_encoded_bodies_are_refused_by_name() -> None:
    gate = Gate(fine, ServerSettings())
    status, headers, code = await Client(gate, encoding="gzip").answer()
    assert (status, code, headers["accept-encoding"]) == (415, "unsupported_encoding", "identity")
    assert "gzip" in (await told(gate, "GZip, br"))
    assert (await Client(gate, encoding="identity").answer())[0] == 200


async def told(gate: Gate, encoding: str) -> str:
    client = Client(gate, encoding=encoding)
    await client.answer()
    return str(json.loads(client.sent[1]["body"])["detail"])
