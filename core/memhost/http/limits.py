"""Limits of every interface over HTTP: rate, number and time of requests; and headers of answers."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Any

import msgspec

from memhost.credentials import VISITOR, credentials_of
from memhost.host.login_throttle import network
from memhost.http.allowed_hosts import Guard, is_address, is_loopback
from memhost.http.bodies import Bodies, Body
from memhost.logs import ADDRESS, log_refusal
from memhost.settings.schema import ServerSettings

logger = logging.getLogger(__name__)

ALWAYS_OPEN = ("/v1/health", "/v1/ready")
"""Paths that no limit concerns: monitors must get an answer from a busy server."""

PER_MINUTE, PER_ADDRESS = 6_000, 12_000
"""Requests a minute with one credential, and from one address, where nothing else is set and strangers may call."""
_DECIDING = frozenset(
    {b"host", b"origin", b"authorization", b"x-api-key", b"x-memory-namespace", b"x-memory-user", b"content-encoding"}
)
"""Headers that say who calls, from where and for whom. Of two values one would be followed and the other not."""
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

    def __bool__(self) -> bool:
        return self._capacity > 0

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
    """Counts the requests in progress; a request that waits for its client to send or to read takes no place.

    One caller may have three quarters of the places, so that others find one in any case.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.taken = 0
        self._share = math.ceil(most * 3 / 4)
        self._of: Counter[bytes] = Counter()

    def has_room(self, caller: bytes) -> bool:
        """Tell whether one more request of that caller may begin; all who are nobody share all places."""
        return not self.most or (self.taken < self.most and (not caller or self._of[caller] < self._share))

    def is_over(self, caller: bytes) -> bool:
        """Tell whether more requests are in progress than may be, in all or of that caller."""
        return self.most > 0 and (self.taken > self.most or (caller != b"" and self._of[caller] > self._share))

    def take(self, caller: bytes) -> None:
        """Count one more."""
        self.taken += 1
        self._of[caller] += 1

    def give(self, caller: bytes) -> None:
        """Count one less."""
        self.taken -= 1
        self._of[caller] -= 1
        if not self._of[caller]:
            del self._of[caller]


_UNLIMITED = _Places(0)
"""Where requests are counted that no limit concerns, or none yet."""


class _RequestLog:
    """One request on its way through the gate."""

    def __init__(
        self,
        *,
        receive: Any,
        send: Any,
        headers: Sequence[tuple[bytes, bytes]],
        settings: ServerSettings,
        body: Body,
        streams: bool = False,
    ) -> None:
        self.started = False
        self.streams = streams
        self.body = body
        self._most = settings.max_body_bytes * _DRAIN_FACTOR
        self.answered = False
        self.places, self.caller = _UNLIMITED, b""
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
            return await self._gone()
        if not self.body.wait():
            return await self._answer(*_TOO_MANY_BODIES)
        self.places.give(self.caller)
        try:
            async with asyncio.timeout(None if self._body_until == math.inf else self._body_until - monotonic()):
                message = await self._receive()
        except TimeoutError:
            return await self._answer(408, "too_slow", "The body of the request did not arrive in time.")
        finally:
            self.places.take(self.caller)
            self.body.waited()
        self._whole = not message.get("more_body", False)
        if not self.body.take(len(message.get("body", b""))):
            return await self._answer(*_TOO_MANY_BODIES)
        if self.body.size > self._most:
            return await self._answer(413, "too_large", "The request body is far larger than this server accepts.")
        if self._whole and self.places.is_over(self.caller):
            return await self._answer(*_OVERLOADED)
        return message

    async def _gone(self) -> Any:
        """Wait for the client to go. A stream of events that only waits for that takes no place."""
        if not self.streams:
            return await self._receive()
        self.places.give(self.caller)
        try:
            return await self._receive()
        finally:
            self.places.take(self.caller)

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
            headers = list(message.get("headers", ()))
            given = {name.lower() for name, _ in headers}
            headers += [header for header in self._extra if header[0] not in given]
            message = {**message, "headers": headers}
        self.places.give(self.caller)
        try:
            await self._send(message)
        finally:
            self.places.take(self.caller)

    async def refuse(self, status: int, code: str, detail: str, retry_after_s: int = 0) -> None:
        """Answer instead of the application."""
        self.deadline = None
        request_id = secrets.token_hex(12)
        log_refusal(logger, logging.INFO, "request.refused", status=status, code=code, request_id=request_id)
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

    def __init__(self, app: App, settings: ServerSettings, guard: Guard | None = None, *, private: bool = True) -> None:
        """Wrap an application.

        Args:
            app: The application.
            settings: The limits.
            guard: Checks the names that a server without authentication is called by.
            private: Whether only the people of this machine can use the server, who need no rate limit by default.
        """
        self._app = app
        self._settings = settings
        self._guard = guard
        self._loopback = is_loopback(settings.host)
        self._by_credential = Buckets(_rate(settings.rate_limit_per_minute, 0 if private else PER_MINUTE))
        self._by_address = Buckets(_rate(settings.rate_limit_per_address, 0 if private else PER_ADDRESS))
        self._private = private
        self._places = _Places(settings.max_concurrent_requests)
        self._bodies = Bodies(settings.max_buffered_bytes, settings.max_waiting_bodies)
        self._headers = [
            (b"x-content-type-options", b"nosniff"),
            (b"cache-control", b"no-store"),
            (b"referrer-policy", b"no-referrer"),
            (b"x-frame-options", b"DENY"),
        ]
        if settings.tls_cert:
            self._headers.append((b"strict-transport-security", b"max-age=31536000"))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        peer = scope["client"][0] if scope.get("client") else ""
        exchange = _RequestLog(
            receive=receive,
            send=send,
            headers=self._headers,
            settings=self._settings,
            body=self._bodies.of(peer),
            streams=scope.get("method") == "GET",
        )
        visitor, address = VISITOR.set(exchange.body.visitor), ADDRESS.set(network(peer))
        try:
            await self._admit(exchange, scope)
        finally:
            VISITOR.reset(visitor)
            ADDRESS.reset(address)
            exchange.body.release()

    async def _admit(self, exchange: _RequestLog, scope: Any) -> None:
        if _path(scope) in ALWAYS_OPEN:
            await self._app(scope, exchange.receive, exchange.send)
            return
        headers = dict(reversed(scope["headers"]))
        if len(headers) < len(scope["headers"]) and (name := _ambiguous(scope)):
            detail = f"The header {name} is given more than once, with different values; send one."
            await exchange.refuse(400, "invalid_request", detail)
            return
        if self._guard is not None and (refusal := self._foreign(self._guard, scope, headers)):
            await exchange.refuse(403, "forbidden", refusal)
            return
        if encoding := _encoding(headers):
            detail = (
                f"The server does not accept bodies encoded as {encoding}; send the body unencoded, without "
                "Content-Encoding."
            )
            await exchange.refuse(415, "unsupported_encoding", detail)
            return
        address, token = self._caller(scope, headers)
        if wait_s := max(self._by_address.take(address), self._by_credential.take(token)):
            detail = f"Too many requests; wait {wait_s} s."
            await exchange.refuse(429, "rate_limited", detail, wait_s)
            return
        places, key = self._places, token or address
        if not places.has_room(key):
            await exchange.refuse(*_OVERLOADED)
            return
        exchange.places, exchange.caller = places, key
        places.take(key)
        try:
            await self._timed(exchange, scope)
        finally:
            places.give(key)

    def _foreign(self, guard: Guard, scope: Any, headers: Mapping[bytes, bytes]) -> str:
        """Why an open server refuses the request for where it comes from, empty if it does not."""
        here = (scope.get("server") or ("",))[0]
        if here and not is_address(here):
            return ""  # called by a client in this process, which says its own name, or through a Unix socket
        if self._loopback and here and not is_loopback(here):
            return (
                "This server has no authentication and accepts only requests from its own machine; set AUTH=token "
                "to open it to others."
            )
        return guard.refuses(*(headers.get(name, b"").decode("latin-1").strip() for name in (b"host", b"origin")))

    def _caller(self, scope: Any, headers: Mapping[bytes, bytes]) -> tuple[bytes, bytes]:
        """Address, or network, and a digest of the credential; both empty on a server for this machine alone."""
        if self._private and not (self._by_credential or self._by_address):
            return b"", b""
        peer = scope["client"][0] if scope["client"] else ""
        token = credentials_of(headers, peer).token
        return network(peer).encode(), hashlib.blake2b(token.encode(), digest_size=16).digest() if token else b""

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


def _ambiguous(scope: Any) -> str:
    """Return the name of a header that decides who may do what, and is there with several values; else nothing."""
    seen: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name in _DECIDING and seen.setdefault(name, value) != value:
            return str(name.decode("latin-1"))
    return ""


def _rate(given: int | None, default: int) -> int:
    return default if given is None else given


def _encoding(headers: Mapping[bytes, bytes]) -> str:
    """Return the encoding of the body, which the server does not decode; empty if there is none."""
    given = headers.get(b"content-encoding", b"").decode("latin-1").strip().lower()
    return "" if given == "identity" else "".join(sign for sign in given if sign.isalnum() or sign in "-, ")[:40]


def _path(scope: Any) -> str:
    """Return the requested path, regardless of where the application is mounted."""
    raw = scope.get("raw_path") or scope["path"].encode()
    path = raw.partition(b"?")[0].decode("latin-1").rstrip("/")
    return str(path.removeprefix((scope.get("root_path") or "").rstrip("/")))
