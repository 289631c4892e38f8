"""HTTP connections that wait neither for clients who never finish sending nor for those who never read."""

from __future__ import annotations

import asyncio
import re
from functools import lru_cache
from typing import Any

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from memhost.http.connections import Connections, connection_limit, raise_descriptor_limit

HEAD_LIMIT = 128 * 1024
"""Largest head of a request: the address and all headers, in bytes."""
_MAX_WAITING = 128
"""Requests that a client may send ahead on a connection, beside the one that is being answered."""
_LEAST_READ = 32 * 1024
"""So many bytes of a long answer must be read within the limit of time, or the connection is closed."""
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\ncontent-length: 70\r\n"
    b'connection: close\r\n\r\n{"detail":"The head of the request is too large.","code":"too_large"}\n'
)

_STANDING = frozenset(
    {
        b"content-type",
        b"x-content-type-options",
        b"cache-control",
        b"referrer-policy",
        b"x-frame-options",
        b"strict-transport-security",
    }
)
"""Headers with one of few values."""
_VALUE = re.compile(rb"[^\x00-\x08\x0a-\x1f\x7f]*")


class PatientConfig(Config):
    """uvicorn's configuration with two more limits; it goes to the worker processes as it is.

    Attributes:
        header_timeout_s: How long the head of a request may take, in seconds; 0 waits for ever.
        body_timeout_s: How long the rest of a body may take that nobody waits for, and a client may take to read the
            next part of an answer, in seconds; 0 waits for ever.
        max_connections: Connections of a process; 0 for as many as its descriptors allow.
        proxies: Addresses and networks of proxies.
    """

    header_timeout_s: float = 0.0
    body_timeout_s: float = 0.0
    max_connections: int = 0
    proxies: tuple[str, ...] = ()
    _connections: Connections | None = None

    @property
    def connections(self) -> Connections:
        """The connections of this process."""
        if self._connections is None:
            most = connection_limit(self.max_connections, raise_descriptor_limit())
            self._connections = Connections(most, self.proxies)
        return self._connections


class _JoinedTransport:
    """A transport that sends the head of an answer and the first part of its body in one piece.

    uvicorn writes them one after the other, and uvloop sends what is written at once: two system calls, and often two
    packets. A head whose body does not come at once is sent alone before the event loop does anything else.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head = b""
        self.is_closing = transport.is_closing  # asked several times for each request
        self.get_write_buffer_size = transport.get_write_buffer_size

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send it, or keep it for a moment if it is the head of an answer."""
        if self._head:
            head, self._head = self._head, b""
            self._transport.writelines((head, data))
        elif data.startswith(b"HTTP/1.1 ") and data.endswith(b"\r\n\r\n") and data[9:10] != b"1":
            self._head = data
            self._loop.call_soon(self.flush)
        else:
            self._transport.write(data)

    def flush(self) -> None:
        """Send what is kept, unless the client has gone meanwhile: uvloop raises an error then."""
        head, self._head = self._head, b""
        if head and not self._transport.is_closing():
            self._transport.write(head)

    def close(self) -> None:
        """Close the connection when everything is sent."""
        self.flush()
        self._transport.close()

    def abort(self) -> None:
        """Close the connection at once."""
        self._head = b""
        self._transport.abort()


class _Cycle(RequestResponseCycle):
    """uvicorn's cycle of a request and its answer, with a shorter way for the heads of most answers.

    uvicorn looks at each header of each answer with two patterns; the standing ones are remembered here.
    """

    async def send(self, message: Any) -> None:
        """Send the head of an answer, or a part of its body."""
        if not self._is_usual:
            await super().send(message)
        elif not self.response_started and message["type"] == "http.response.start":
            await self._send_head(message)
        elif self._is_all(message):
            self.transport.write(message["body"])
            self.expected_content_length, self.response_complete = 0, True
            self.message_event.set()
            self.on_response()
        else:
            await super().send(message)

    async def _send_head(self, message: Any) -> None:
        content, length = [STATUS_LINE[message["status"]]], None
        for name, value in message.get("headers", ()):
            if name in _STANDING and (line := _line(name, value)):
                content.append(line)
            elif name == b"content-length" and value.isdigit() and length is None:
                length = int(value)
                content += (b"content-length: ", value, b"\r\n")
            elif name == b"x-request-id" and _VALUE.fullmatch(value):
                content += (b"x-request-id: ", value, b"\r\n")
            else:
                await super().send(message)
                return
        if length is None:
            await super().send(message)
            return
        self.response_started, self.waiting_for_100_continue = True, False
        self.chunked_encoding, self.expected_content_length = False, length
        content.append(b"\r\n")
        self.transport.write(b"".join(content))

    @property
    def _is_usual(self) -> bool:
        """Nothing is to be added to the head, waited for or logged."""
        return self.keep_alive and not (
            self.flow.write_paused or self.disconnected or self.default_headers or self.access_log
        )

    def _is_all(self, message: Any) -> bool:
        """Tell whether it is the whole body of an answer, as long as its head says."""
        return (
            message["type"] == "http.response.body"
            and self.response_started
            and not self.response_complete
            and not message.get("more_body", False)
            and self.chunked_encoding is False
            and len(message.get("body", b"")) == self.expected_content_length > 0
            and self.scope["method"] != "HEAD"
        )


@lru_cache(maxsize=64)
def _line(name: bytes, value: bytes) -> bytes:
    """Return the line of a header, empty if its value may be none."""
    return b"%s: %s\r\n" % (name, value) if _VALUE.fullmatch(value) else b""


class Patient(HttpToolsProtocol):
    """The protocol of uvicorn, closing connections of clients who send or read too slowly, or too much."""

    _waiting: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None
    _in_head = False
    _head = 0
    _too_large = False
    config: PatientConfig

    def connection_made(self, transport: Any) -> None:
        """Wait for the first head."""
        super().connection_made(_JoinedTransport(transport, self.loop))  # type: ignore[arg-type]
        self._wait("header_timeout_s")
        peer = transport.get_extra_info("peername")
        self.config.connections.opened(self, str(peer[0]) if isinstance(peer, (tuple, list)) and peer else "")

    @property
    def idleness(self) -> int:
        """0: it is being answered; 1: its body is being waited for; 2: nothing, or a part of a head, has come."""
        cycle: Any = self.cycle
        if cycle is None or cycle.response_complete or self._in_head:
            return 2
        return 1 if cycle.more_body and not cycle.response_started else 0

    def drop(self) -> None:
        """Close it at once."""
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self.config.connections.closed(self)
        self._done()
        self._read()
        super().connection_lost(exc)

    # -- what the client sends -------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Process received bytes; limit the length of a head, and of bytes between two requests."""
        self.config.connections.heard(self)
        super().data_received(data)
        if self.transport.is_closing():
            return
        last: Any = self.cycle
        if self._in_head:
            self._head += len(data)
            if self._head > HEAD_LIMIT:
                self._refuse()
            elif self._waiting is None:  # most heads come in one piece, and need no timer
                self._wait("header_timeout_s")
        elif self._waiting is None and last is not None and last.response_complete:
            self._wait("header_timeout_s")  # uvicorn has just ended its own wait for the next request

    def on_message_begin(self) -> None:
        """A head begins, whose rest `data_received` waits for."""
        self._done()
        self._in_head, self._head = True, 0
        if not self.transport.get_write_buffer_size():
            self._read()  # all that was answered so far
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is there. What it raises is answered by `send_400_response`."""
        self._done()
        self._in_head = False
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > HEAD_LIMIT:
            self._too_large = True
            raise ValueError("the head is too large")
        if len(self.pipeline) >= _MAX_WAITING:
            raise ValueError("too many pipelined requests")
        super().on_headers_complete()
        if self.cycle is not None:
            self.cycle.__class__ = _Cycle  # uvicorn has no setting for it; the task of the request has not begun yet

    def on_message_complete(self) -> None:
        """The body is there."""
        if self.cycle.response_complete:
            self._done()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request, or too large a one."""
        if self._too_large:
            self._refuse()
        else:
            super().send_400_response(msg)

    def _refuse(self) -> None:
        self.transport.write(_TOO_LARGE)
        self.transport.close()

    def _wait(self, setting: str) -> None:
        self._done()
        limit = getattr(self.config, setting, 0.0)
        if limit:
            self._waiting = self.loop.call_later(limit, self.transport.close)

    def _done(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    # -- what the client reads -------------------------------------------------------------------------

    def on_response_complete(self) -> None:
        """The unneeded rest of a body must arrive in time, and the client must read the answer in time."""
        self.transport.flush()  # type: ignore[attr-defined]  # of an answer without a body
        super().on_response_complete()
        if self.pipeline:
            self.flow.pause_reading()  # until those that wait are answered
        if self.cycle.response_complete and self.cycle.more_body:
            self._wait("body_timeout_s")
        self._read()
        self._watch()

    def pause_writing(self) -> None:
        """The client does not keep up."""
        super().pause_writing()
        if self._reading is None:
            self._watch()

    def resume_writing(self) -> None:
        """It does."""
        self._read()
        super().resume_writing()

    def _watch(self) -> None:
        limit, left = getattr(self.config, "body_timeout_s", 0.0), self.transport.get_write_buffer_size()
        self._reading = self.loop.call_later(limit, self._look, left) if limit and left else None

    def _look(self, before: int) -> None:
        left = self.transport.get_write_buffer_size()
        if left and before - left < _LEAST_READ:
            self.transport.abort()
        else:
            self._watch()

    def _read(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
