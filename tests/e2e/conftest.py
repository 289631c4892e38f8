"""Real servers for end-to-end tests: one per store and test module."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import httpx
import pytest
from agent_memory_client import MemoryAPIClient, MemoryClientConfig

from memhost.testing.server import ServerProcess
from tests.support.redis_server import redis_space

STORES = ("sqlite", "memory", "redis")


@contextmanager
def store_environment(request: pytest.FixtureRequest, store: str) -> Iterator[dict[str, str]]:
    """Settings that choose a store; in the Redis of all tests a part of its own, cleared at the end."""
    if store != "redis":
        yield {"STORE": store}
        return
    with redis_space(request.getfixturevalue("redis_server_url")) as space:
        yield {"STORE": store, **space.environment()}


@pytest.fixture(scope="module", params=STORES)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A freshly started server process."""
    folder = tmp_path_factory.mktemp("server")
    with store_environment(request, request.param) as chosen, ServerProcess(folder, environment=chosen) as running:
        yield running


@pytest.fixture
async def client(server: ServerProcess) -> AsyncIterator[MemoryAPIClient]:
    """The official client of Agent Memory Server."""
    async with MemoryAPIClient(MemoryClientConfig(base_url=server.url)) as opened:
        yield opened


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
