"""The requests that another service receives, over a real socket."""

import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from memhost.testing.hosts import call
from memhost.testing.polling import until


class Receiver(HTTPServer):
    """Keeps what it gets; answers 503 to so many requests first."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.got = []
        self.failures = 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/hook"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.server.failures:
            self.server.failures -= 1
            self.send_response(503)
        else:
            self.server.got.append((json.loads(body), body, self.headers["x-memhost-signature"]))
            self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def receiver():
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def open_host(memhost_host, receiver, memhost_clock):
    def opened(**settings):
        given = {"WEBHOOKS_URL": receiver.url, "INLINE_POLL_S": "0.02", **settings}
        return memhost_host(plugins={"webhooks": "webhooks"}, settings=given, run_jobs=True)

    return opened


async def arrived(receiver, *names):
    async def all_there():
        return {body["event"] for body, _, _ in receiver.got} >= set(names)

    await until(all_there)


async def test_what_happens_is_sent(open_host, receiver):
    async with open_host() as host:
        await call(host, "put_session", session_id="s", messages=[{"role": "user", "content": "hi", "id": "m"}])
        await call(host, "create_memories", memories=[{"id": "a", "text": "a boat"}])
        await call(host, "edit_memory", memory_id="a", text="a blue boat")
        await call(host, "delete_memories", memory_ids=["a"])
        await call(host, "delete_user", user_id="ann")
        names = ("session_updated", "memories_stored", "memories_updated", "memories_deleted", "administered")
        await arrived(receiver, *names)
    sent = [body for body, _, _ in receiver.got if body["event"] == "memories_deleted"]
    assert sent[0]["data"] == {"tenant": "default", "ids": ["a"]}


async def test_requests_are_signed_and_chosen(open_host, receiver):
    async with open_host(WEBHOOKS_SECRET="key", WEBHOOKS_EVENTS="memories_deleted") as host:
        await call(host, "create_memories", memories=[{"id": "a", "text": "a boat"}])
        await call(host, "delete_memories", memory_ids=["a"])
        await arrived(receiver, "memories_deleted")
    ((_, body, signature),) = receiver.got
    assert signature == hmac.digest(b"key", body, "sha256").hex()


async def test_a_receiver_that_is_away_gets_it_later(open_host, receiver):
    receiver.failures = 2
    async with open_host(WEBHOOKS_EVENTS="memories_stored") as host:
        await call(host, "create_memories", memories=[{"id": "a", "text": "a boat"}])
        await arrived(receiver, "memories_stored")
    assert len(receiver.got) == 1


async def test_without_an_address_nothing_is_sent(open_host, receiver):
    async with open_host(WEBHOOKS_URL="") as host:
        await call(host, "create_memories", memories=[{"id": "a", "text": "a boat"}])

        async def done():
            return not (await call(host, "list_jobs")).jobs

        await until(done)
    assert receiver.got == []
