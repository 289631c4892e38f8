"""What holds for every interface over HTTP: limits of rate, number and time, and headers of answers."""

from __future__ import annotations

import asyncio
import hashlib
import math
import secrets
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any

import msgspec

from memhost.credentials import credentials_of
from memhost.settings.schema import ServerSettings

ALWAYS_OPEN = ("/v1/health", "/v1/ready")
"""Paths that no limit concerns: monitors must get an answer from a busy server."""

_MOST_BUCKETS = 20_000
_OVERLOAD_RETRY_S = 1

App = Callable[[Any, Any, Any], Any]


class Buckets:
    """A token bucket for each key: so many calls a minute, and as many at once after a quiet minute."""

    def __init__(self, per_minute: int, time: Callable[[], float] = monotonic) -> None:
        """Count.

        Args:
            per_minute: Calls a minute; 0 does not limit.
            time: Seconds of a clock that never goes back.
        """
        self._capacity = float(per_minute)
        self._time = time
        self._left: dict[bytes, tuple[float, float]] = {}

    def take(self, key: bytes) -> int:
        """Take one call; 0, or the seconds to wait before the next attempt."""
        if not self._capacity or not key:
            return 0
        now, rate = self._time(), self._capacity / 60
        left, at = self._left.pop(key, (self._capacity, now))
        left = min(self._capacity, left + (now - at) * rate)
        if len(self._left) >= _MOST_BUCKETS:
            del self._left[next(iter(self._left))]  # the one not used for longest
        self._left[key] = (max(left - 1, 0.0) if left >= 1 else left, now)
        return 0 if left >= 1 else math.ceil((1 - left) / rate)


class _Exchange:
    """One request on its way through the gate."""

    def __init__(self, receive: Any, send: Any, headers: Mapping[bytes, bytes], body_limit_s: float) -> None:
        self.started = False
        self.too_slow = False
        self._receive = receive
        self._send = send
        self._extra = headers
        self._body_until = monotonic() + body_limit_s if body_limit_s else math.inf
        self._whole = False
        self.deadline: asyncio.Timeout | None = None

    async def receive(self) -> Any:
        """The next part of the body; when it does not come in time, what servers say of a client that has gone."""
        if self._whole or self._body_until == math.inf:
            return await self._receive()
        try:
            async with asyncio.timeout(max(0.0, self._body_until - monotonic())):
                message = await self._receive()
        except TimeoutError:
            self.too_slow = True
            return {"type": "http.disconnect"}
        self._whole = not message.get("more_body", False)
        return message

    async def send(self, message: Any) -> None:
        """Pass it on; the answer's start ends the limit of time and gets the standing headers."""
        if message["type"] == "http.response.start":
            self.started = True
            if self.deadline is not None:
                self.deadline.reschedule(None)
            given = {name.lower() for name, _ in message.get("headers", ())}
            more = [(name, value) for name, value in self._extra.items() if name not in given]
            message = {**message, "headers": [*message.get("headers", ()), *more]}
        await self._send(message)

    async def refuse(self, status: int, code: str, detail: str, retry_after_s: int = 0) -> None:
        """Answer instead of the application."""
        self.deadline = None
        request_id = secrets.token_hex(12)
        body = msgspec.json.encode({"detail": detail, "code": code, "request_id": request_id})
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"x-request-id", request_id.encode()),
        ]
        if retry_after_s:
            headers.append((b"retry-after", str(retry_after_s).encode()))
        if not self._whole:  # the rest of the body would be taken for the next request
            headers.append((b"connection", b"close"))
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body, "more_body": False})


class Gate:
    """ASGI middleware around all interfaces of a server process. Each process counts for itself."""

    def __init__(self, app: App, settings: ServerSettings) -> None:
        self._app = app
        self._settings = settings
        self._by_credential = Buckets(settings.rate_limit_per_minute)
        self._by_address = Buckets(settings.rate_limit_per_address)
        self._running = 0
        self._headers = {
            b"x-content-type-options": b"nosniff",
            b"cache-control": b"no-store",
            b"referrer-policy": b"no-referrer",
            b"x-frame-options": b"DENY",
        }
        if settings.tls_cert:
            self._headers[b"strict-transport-security"] = b"max-age=31536000"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(receive, send, self._headers, self._settings.body_timeout_s)
        if _path(scope) in ALWAYS_OPEN:
            await self._app(scope, exchange.receive, exchange.send)
            return
        if wait_s := self._wait(scope):
            detail = f"Too many requests; wait {wait_s} s."
            await exchange.refuse(429, "rate_limited", detail, wait_s)
            return
        most = self._settings.max_concurrent_requests
        if most and self._running >= most:
            detail = "The server is busy with as many requests as it takes at once; try again."
            await exchange.refuse(503, "overloaded", detail, _OVERLOAD_RETRY_S)
            return
        self._running += 1
        try:
            await self._timed(exchange, scope)
        finally:
            self._running -= 1

    def _wait(self, scope: Any) -> int:
        """Seconds that the caller has to wait, by the stricter of both limits."""
        settings = self._settings
        if not (settings.rate_limit_per_minute or settings.rate_limit_per_address):
            return 0
        peer = scope["client"][0] if scope["client"] else ""
        credentials = credentials_of(dict(reversed(scope["headers"])), peer)
        key = hashlib.blake2b(credentials.token.encode(), digest_size=16).digest() if credentials.token else b""
        return max(self._by_address.take(peer.encode()), self._by_credential.take(key))

    async def _timed(self, exchange: _Exchange, scope: Any) -> None:
        limit = self._settings.request_timeout_s
        deadline = exchange.deadline = asyncio.timeout(limit or None)
        try:
            async with deadline:
                await self._app(scope, exchange.receive, exchange.send)
            if exchange.too_slow and not exchange.started:
                await exchange.refuse(408, "too_slow", "The body of the request did not arrive in time.")
        except TimeoutError:
            if exchange.started or not deadline.expired():
                raise
            detail = f"The request took longer than {limit:g} s; what it had not finished was not done."
            await exchange.refuse(504, "timeout", detail)


def _path(scope: Any) -> str:
    """The path as it was asked for, wherever the application below is mounted."""
    raw = scope.get("raw_path") or scope["path"].encode()
    path = raw.partition(b"?")[0].decode("latin-1").rstrip("/")
    return str(path.removeprefix((scope.get("root_path") or "").rstrip("/")))
