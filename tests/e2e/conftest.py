"""Real servers for end-to-end tests: one per store and test module."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from agent_memory_client import MemoryAPIClient, MemoryClientConfig

from memhost.testing.server import ServerProcess, WorkerProcess
from tests.support.redis_server import redis_space

_OTHER = pytest.mark.full(
    "the same over a server on another store; make test holds it on SQLite, and each store by its conformance suite"
)
STORES = ("sqlite", pytest.param("memory", marks=_OTHER), pytest.param("redis", marks=_OTHER))
"""Each is a whole server: one process on SQLite or in memory; two on Redis, with two arq workers for their jobs."""


class Servers:
    """The servers that the tests of one pytest process share; each starts when the first test needs it."""

    def __init__(self, folder: Path, redis_url: str, closing: ExitStack) -> None:
        self._folder = folder
        self._redis_url = redis_url
        self._closing = closing
        self._started: dict[str, ServerProcess] = {}

    def on(self, store: str) -> ServerProcess:
        """The server on that store."""
        if store not in self._started:
            self._started[store] = self._on_redis() if store == "redis" else self._start({"STORE": store})
        return self._started[store]

    def _on_redis(self) -> ServerProcess:
        space = self._closing.enter_context(redis_space(self._redis_url))
        environment = {**space.environment(), "STORE": "redis", "BACKEND": "arq", "TASK_QUEUE_NAME": space.name}
        server = self._start(environment | {"WORKERS": "2"})
        for _ in range(2):
            self._closing.enter_context(WorkerProcess(server.data_dir, environment=environment))
        return server

    def _start(self, environment: dict[str, str]) -> ServerProcess:
        folder = self._folder / environment["STORE"]
        folder.mkdir()
        return self._closing.enter_context(ServerProcess(folder, environment=environment))


@pytest.fixture(scope="session")
def servers(redis_server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Servers by store."""
    with ExitStack() as closing:
        yield Servers(tmp_path_factory.mktemp("servers"), redis_server_url, closing)


@pytest.fixture(scope="module", params=STORES)
def server(request: pytest.FixtureRequest, servers: Servers) -> ServerProcess:
    """A running server; what it holds is of all tests, each of which uses names of its own."""
    return servers.on(request.param)


@pytest.fixture(scope="module")
def any_server(servers: Servers) -> ServerProcess:
    """One server, for what the store behind it does not change."""
    return servers.on("sqlite")


@pytest.fixture
async def client(server: ServerProcess) -> AsyncIterator[MemoryAPIClient]:
    """The official client of Agent Memory Server; whatever it sends is understood."""
    async with MemoryAPIClient(MemoryClientConfig(base_url=server.url)) as opened:
        opened._client.event_hooks["response"].append(_understood)
        yield opened


async def _understood(answer: httpx.Response) -> None:
    assert "ignored:" not in answer.headers.get("x-memhost-notice", "")


@pytest.fixture
async def http(server: ServerProcess) -> AsyncIterator[httpx.AsyncClient]:
    """Plain HTTP, for what the client cannot send."""
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as opened:
        yield opened


@pytest.fixture
def fresh(request: pytest.FixtureRequest) -> str:
    """A name that no other test uses."""
    name: str = request.node.name
    return name.replace("[", "-").replace("]", "")
