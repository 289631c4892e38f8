"""Connections of slow senders and readers, on a clock that only the tests move."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from uvicorn.server import ServerState

from memhost.http.uvicorn_protocol import Patient, PatientConfig

HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
ANSWER = b"hello"


class Timer:
    """What `call_later` returns."""

    def __init__(self, at: float, callback: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.at, self.callback, self.args = at, callback, args
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """An event loop whose timers run when the test says so."""

    def __init__(self) -> None:
        self._now = 0.0
        self._timers: list[Timer] = []
        self.create_task = asyncio.get_running_loop().create_task
        self.call_soon = asyncio.get_running_loop().call_soon

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> Timer:
        self._timers.append(timer := Timer(self._now + delay, callback, args))
        return timer

    @property
    def timers(self) -> int:
        """How many have neither run nor been cancelled."""
        return sum(not timer.cancelled for timer in self._timers)

    def pass_time(self, seconds: float) -> None:
        """Run what falls due, in order."""
        end = self._now + seconds
        while due := [timer for timer in self._timers if timer.at <= end and not timer.cancelled]:
            timer = min(due, key=lambda each: each.at)
            self._timers.remove(timer)
            self._now = timer.at
            timer.callback(*timer.args)
        self._now = end


class Wire(asyncio.Transport):
    """The connection; of what was written, `left` bytes have not been read."""

    def __init__(self) -> None:
        super().__init__()
        self.left = 0
        self.reading = True
        self.closed = False
        self.written = b""
        self.pieces = 0

    def write(self, data: Any) -> None:
        self.written += data
        self.pieces += 1

    def get_write_buffer_size(self) -> int:
        return self.left

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close


class Connection:
    """One connection to an application that answers when it is let."""

    def __init__(self, app: Any = None, **limits: float) -> None:
        async def answering(_scope: Any, _receive: Any, send: Any) -> None:
            await self._may_answer.acquire()
            length = [(b"content-length", str(len(ANSWER)).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": length})
            await send({"type": "http.response.body", "body": ANSWER})
            self._answered.set()

        self._may_answer = asyncio.Semaphore(0)
        self._answered = asyncio.Event()
        config = PatientConfig(app or answering, log_config=None, lifespan="off", ws="none", proxy_headers=False)
        config.timeout_keep_alive = 1000
        config.header_timeout_s, config.body_timeout_s = limits.get("header", 0.0), limits.get("body", 0.0)
        config.load()
        self.loop, self.wire = Loop(), Wire()
        self.protocol = Patient(config, ServerState(), {}, self.loop)  # type: ignore[arg-type]
        self.protocol.connection_made(self.wire)

    async def answer(self) -> None:
        """Let the application answer one request."""
        self._answered.clear()
        self._may_answer.release()
        await self._answered.wait()

    async def end(self) -> None:
        """The client goes."""
        self.protocol.connection_lost(None)
        self._may_answer.release()
        await asyncio.gather(*self.protocol.tasks)


Connect = Callable[..., Connection]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Opens connections, with limits of time for `header` and `body`."""
    opened: list[Connection] = []

    def one_more(app: Any = None, **limits: float) -> Connection:
        opened.append(Connection(app, **limits))
        return opened[-1]

    yield one_more
    for connection in opened:
        await connection.end()


async def test_a_body_that_nobody_needs_has_its_own_time(connect: Connect) -> None:
    connection = connect(header=1, body=5)
    connection.protocol.data_received(HEAD + b"Content-Length: 10\r\n\r\n1")
    await connection.answer()
    for _ in range(4):
        connection.loop.pass_time(1.1)
        assert not connection.wire.closed
        connection.protocol.data_received(b"2")
    connection.loop.pass_time(1)
    assert connection.wire.closed


async def test_when_such_a_body_is_there_its_time_is_over(connect: Connect) -> None:
    connection = connect(body=5)
    connection.protocol.data_received(HEAD + b"Content-Length: 2\r\n\r\n1")
    await connection.answer()
    connection.protocol.data_received(b"2")
    connection.loop.pass_time(100)
    assert not connection.wire.closed


async def test_nothing_more_is_read_while_requests_wait(connect: Connect) -> None:
    connection = connect()
    connection.protocol.data_received((HEAD + b"\r\n") * 4)
    for left in (3, 2, 1):
        assert not connection.wire.reading
        assert len(connection.protocol.pipeline) == left
        await connection.answer()
    assert connection.wire.reading
    await connection.answer()
    assert connection.wire.written.count(ANSWER) == 4


@pytest.mark.parametrize(
    ("reads", "closed"), [((0,), True), ((1000,), True), ((40_000, 1000), True), ((40_000, 40_000, 40_000), False)]
)
@pytest.mark.parametrize("while_it_is_written", [False, True])
async def test_a_long_answer_must_be_read_with_some_speed(
    connect: Connect, reads: tuple[int, ...], closed: bool, while_it_is_written: bool
) -> None:
    connection = connect(body=5)
    connection.protocol.data_received(HEAD + b"\r\n")
    connection.wire.left = 200_000
    if while_it_is_written:
        connection.protocol.pause_writing()
    else:
        await connection.answer()
    for number, read in enumerate(reads, 1):
        connection.loop.pass_time(4.9)
        assert not connection.wire.closed
        connection.wire.left -= read
        connection.loop.pass_time(0.1)
        assert connection.wire.closed is (closed and number == len(reads))


@pytest.mark.parametrize("left", [0, 100])
async def test_the_end_of_an_answer_must_be_read_as_well(connect: Connect, left: int) -> None:
    connection = connect(body=5)
    connection.protocol.data_received(HEAD + b"\r\n")
    connection.wire.left = left
    await connection.answer()
    connection.loop.pass_time(100)
    assert connection.wire.closed is (left > 0)


async def test_nobody_waits_for_who_has_gone(connect: Connect) -> None:
    connection = connect(header=1, body=5)
    connection.protocol.data_received(HEAD + b"\r\n" + HEAD)
    connection.wire.left = 100
    connection.protocol.pause_writing()
    assert connection.loop.timers == 2
    connection.protocol.connection_lost(None)
    assert connection.loop.timers == 0


async def test_who_reads_again_has_all_the_time_again(connect: Connect) -> None:
    connection = connect(body=5)
    connection.protocol.data_received(HEAD + b"\r\n")
    for _ in range(3):
        connection.wire.left = 70_000
        connection.protocol.pause_writing()
        connection.loop.pass_time(4)
        connection.wire.left = 16_000
        connection.protocol.resume_writing()
    connection.wire.left = 70_000
    connection.protocol.pause_writing()
    connection.loop.pass_time(4.9)
    assert not connection.wire.closed
    connection.loop.pass_time(0.1)
    assert connection.wire.closed


async def test_a_head_and_its_body_are_sent_in_one_piece(connect: Connect) -> None:
    connection = connect()
    for count in (1, 2):
        connection.protocol.data_received(HEAD + b"\r\n")
        await connection.answer()
        assert connection.wire.pieces == count
        assert connection.wire.written.count(b"HTTP/1.1 200 OK") == count
        assert connection.wire.written.endswith(b"\r\n\r\n" + ANSWER)


@pytest.mark.parametrize(
    ("method", "status", "ended"), [(b"HEAD", 200, True), (b"GET", 204, True), (b"GET", 200, False)]
)
async def test_a_head_without_a_body_is_not_kept(connect: Connect, method: bytes, status: int, ended: bool) -> None:
    """A stream of events has a head long before it has events."""
    started = asyncio.Event()

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        if ended:
            await send({"type": "http.response.body", "body": b""})
        started.set()
        if not ended:
            await asyncio.Event().wait()

    connection = connect(app)
    connection.protocol.data_received(HEAD.replace(b"GET", method) + b"\r\n")
    await started.wait()
    assert connection.wire.written.endswith(b"\r\n\r\n")
    for task in connection.protocol.tasks:
        task.cancel()


async def test_nothing_is_written_to_who_has_gone_since_the_head(connect: Connect) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        connection.wire.closed = True
        await asyncio.sleep(0)
        passed.set()

    connection, passed = connect(app), asyncio.Event()
    connection.protocol.data_received(HEAD + b"\r\n")
    await passed.wait()
    assert connection.wire.written == b""


@pytest.mark.parametrize("body", [b"", b"short", b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 404 Not Found\r\n\r\n" * 3])
async def test_a_connection_is_closed_after_its_last_answer(connect: Connect, body: bytes) -> None:
    done = asyncio.Event()

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        length = [(b"content-length", str(2 * len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": length})
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": body})
        done.set()

    connection = connect(app)
    connection.protocol.data_received(HEAD + b"Connection: close\r\n\r\n")
    await done.wait()
    assert connection.wire.closed
    assert connection.wire.written.endswith(b"connection: close\r\n\r\n" + body * 2)


async def test_a_body_is_asked_for_at_once(connect: Connect) -> None:
    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        await receive()

    connection = connect(app)
    connection.protocol.data_received(HEAD + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    await asyncio.sleep(0)
    assert connection.wire.written == b"HTTP/1.1 100 Continue\r\n\r\n"


async def test_how_idle_a_connection_is(connect: Connect) -> None:
    connection = connect()
    protocol = connection.protocol
    found = [protocol.idleness]
    for part in (HEAD, b"Content-Length: 2\r\n\r\n", b"1", b"2"):
        protocol.data_received(part)
        found.append(protocol.idleness)
    await connection.answer()
    found.append(protocol.idleness)
    assert found == [2, 2, 1, 1, 0, 2]


async def test_connections_are_counted_until_they_are_gone(connect: Connect) -> None:
    connection = connect()
    open_ones = connection.protocol.config.connections
    assert len(open_ones) == 1
    open_ones.opened(connection.protocol, "192.0.2.1")
    connection.protocol.connection_lost(None)
    assert len(open_ones) == 0
    connection.protocol.drop()
    assert connection.wire.closed
