"""Limits of every interface over HTTP: rate, number and time of requests; and headers of answers."""

from __future__ import annotations

import asyncio
import hashlib
import math
import secrets
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any

import msgspec

from memhost.credentials import VISITOR, credentials_of
from memhost.host.login_throttle import network
from memhost.http.allowed_hosts import Guard, is_address, is_loopback
from memhost.http.bodies import Bodies, Body
from memhost.settings.schema import ServerSettings

ALWAYS_OPEN = ("/v1/health", "/v1/ready")
"""Paths that no limit concerns: monitors must get an answer from a busy server."""

_MAX_BUCKETS = 20_000
_DRAIN_FACTOR = 4
"""A body that is too large is taken in up to so many times the limit, for the interface to answer as it does."""
_TOO_MANY_BODIES = (
    503,
    "overloaded",
    "The server is receiving as many request bodies as it accepts at once; try again.",
    2,
)
_OVERLOADED = (503, "overloaded", "The server is processing as many requests as it accepts at once; try again.", 1)

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
        if len(self._left) >= _MAX_BUCKETS:
            del self._left[next(iter(self._left))]  # the one not used for longest
        self._left[key] = (max(left - 1, 0.0) if left >= 1 else left, now)
        return 0 if left >= 1 else math.ceil((1 - left) / rate)


class _Places:
    """Counts the requests in progress; a request that waits for its client to send or to read takes no place."""

    __slots__ = ("most", "taken")

    def __init__(self, most: int) -> None:
        self.most = most
        self.taken = 0


class _RequestLog:
    """One request on its way through the gate."""

    def __init__(
        self,
        *,
        receive: Any,
        send: Any,
        headers: Mapping[bytes, bytes],
        settings: ServerSettings,
        body: Body,
    ) -> None:
        self.started = False
        self.body = body
        self._most = settings.max_body_bytes * _DRAIN_FACTOR
        self.answered = False
        self.places = _Places(0)
        self._receive = receive
        self._send = send
        self._extra = headers
        limit_s = settings.body_timeout_s
        self._body_until = monotonic() + limit_s if limit_s else math.inf
        self._whole = False
        self.deadline: asyncio.Timeout | None = None

    async def receive(self) -> Any:
        """The next part of the body. When it does not come in time, that is answered, and the client counts as gone.

        The same happens if other bodies leave no room for it, or if every request slot was taken while the body was
        arriving.
        """
        if self._whole:
            return await self._receive()
        if not self.body.wait():
            return await self._answer(*_TOO_MANY_BODIES)
        self.places.taken -= 1
        try:
            async with asyncio.timeout(None if self._body_until == math.inf else self._body_until - monotonic()):
                message = await self._receive()
        except TimeoutError:
            return await self._answer(408, "too_slow", "The body of the request did not arrive in time.")
        finally:
            self.places.taken += 1
            self.body.waited()
        self._whole = not message.get("more_body", False)
        if not self.body.take(len(message.get("body", b""))):
            return await self._answer(*_TOO_MANY_BODIES)
        if self.body.size > self._most:
            return await self._answer(413, "too_large", "The request body is far larger than this server accepts.")
        if self._whole and 0 < self.places.most < self.places.taken:
            return await self._answer(*_OVERLOADED)
        return message

    async def _answer(self, status: int, code: str, detail: str, retry_after_s: int = 0) -> Any:
        """Answer in place of the application, for which the client then counts as disconnected."""
        if not self.started:
            await self.refuse(status, code, detail, retry_after_s)
            self.answered = True
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        """Pass it on; the answer's start ends the limit of time and gets the standing headers."""
        if self.answered:
            return  # the application answers somebody who has been answered
        if message["type"] == "http.response.start":
            self.started = True
            if self.deadline is not None:
                self.deadline.reschedule(None)
            given = {name.lower() for name, _ in message.get("headers", ())}
            more = [(name, value) for name, value in self._extra.items() if name not in given]
            message = {**message, "headers": [*message.get("headers", ()), *more]}
        self.places.taken -= 1
        try:
            await self._send(message)
        finally:
            self.places.taken += 1

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
        if status == 415:
            headers.append((b"accept-encoding", b"identity"))
        if retry_after_s:
            headers.append((b"retry-after", str(retry_after_s).encode()))
        if not self._whole:  # the rest of the body would be taken for the next request
            headers.append((b"connection", b"close"))
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body, "more_body": False})


class Gate:
    """ASGI middleware around all interfaces of a server process. Each process counts for itself."""

    def __init__(self, app: App, settings: ServerSettings, guard: Guard | None = None) -> None:
        """Wrap an application.

        Args:
            app: The application.
            settings: The limits.
            guard: Checks the names that a server without authentication is called by.
        """
        self._app = app
        self._settings = settings
        self._guard = guard
        self._loopback = is_loopback(settings.host)
        self._by_credential = Buckets(settings.rate_limit_per_minute)
        self._by_address = Buckets(settings.rate_limit_per_address)
        self._places = _Places(settings.max_concurrent_requests)
        self._bodies = Bodies(settings.max_buffered_bytes, settings.max_waiting_bodies)
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
        peer = scope["client"][0] if scope.get("client") else ""
        exchange = _RequestLog(
            receive=receive, send=send, headers=self._headers, settings=self._settings, body=self._bodies.of(peer)
        )
        visitor = VISITOR.set(exchange.body.visitor)
        try:
            await self._admit(exchange, scope)
        finally:
            VISITOR.reset(visitor)
            exchange.body.release()

    async def _admit(self, exchange: _RequestLog, scope: Any) -> None:
        if _path(scope) in ALWAYS_OPEN:
            await self._app(scope, exchange.receive, exchange.send)
            return
        if self._guard is not None and (refusal := self._foreign(self._guard, scope)):
            await exchange.refuse(403, "forbidden", refusal)
            return
        if encoding := _encoding(scope):
            detail = (
                f"The server does not accept bodies encoded as {encoding}; send the body unencoded, without "
                "Content-Encoding."
            )
            await exchange.refuse(415, "unsupported_encoding", detail)
            return
        if wait_s := self._wait(scope):
            detail = f"Too many requests; wait {wait_s} s."
            await exchange.refuse(429, "rate_limited", detail, wait_s)
            return
        places = self._places
        if 0 < places.most <= places.taken:
            await exchange.refuse(*_OVERLOADED)
            return
        exchange.places = places
        places.taken += 1
        try:
            await self._timed(exchange, scope)
        finally:
            places.taken -= 1

    def _foreign(self, guard: Guard, scope: Any) -> str:
        """Why an open server refuses the request for where it comes from, empty if it does not."""
        here = (scope.get("server") or ("",))[0]
        if here and not is_address(here):
            return ""  # called by a client in this process, which says its own name, or through a Unix socket
        if self._loopback and here and not is_loopback(here):
            return (
                "This server has no authentication and accepts only requests from its own machine; set AUTH=token "
                "to open it to others."
            )
        headers = dict(reversed(scope["headers"]))
        return guard.refuses(*(headers.get(name, b"").decode("latin-1").strip() for name in (b"host", b"origin")))

    def _wait(self, scope: Any) -> int:
        """Seconds that the caller has to wait, by the stricter of both limits."""
        settings = self._settings
        if not (settings.rate_limit_per_minute or settings.rate_limit_per_address):
            return 0
        peer = scope["client"][0] if scope["client"] else ""
        credentials = credentials_of(dict(reversed(scope["headers"])), peer)
        key = hashlib.blake2b(credentials.token.encode(), digest_size=16).digest() if credentials.token else b""
        return max(self._by_address.take(network(peer).encode()), self._by_credential.take(key))

    async def _timed(self, exchange: _RequestLog, scope: Any) -> None:
        limit = self._settings.request_timeout_s
        deadline = exchange.deadline = asyncio.timeout(limit or None)
        try:
            async with deadline:
                await self._app(scope, exchange.receive, exchange.send)
        except TimeoutError:
            if exchange.started or not deadline.expired():
                raise
            detail = (
                f"The request took longer than {limit:g} s and was cancelled; changes that were not complete "
                "were not made."
            )
            await exchange.refuse(504, "timeout", detail)
        except Exception:
            if not exchange.answered:  # who reads a body may complain that the client has gone
                raise


def _encoding(scope: Any) -> str:
    """Return the encoding of the body, which the server does not decode; empty if there is none."""
    given = dict(scope["headers"]).get(b"content-encoding", b"").decode("latin-1").strip().lower()
    return "" if given == "identity" else "".join(sign for sign in given if sign.isalnum() or sign in "-, ")[:40]


def _path(scope: Any) -> str:
    """Return the requested path, regardless of where the application is mounted."""
    raw = scope.get("raw_path") or scope["path"].encode()
    path = raw.partition(b"?")[0].decode("latin-1").rstrip("/")
    return str(path.removeprefix((scope.get("root_path") or "").rstrip("/")))
