"""Real servers for end-to-end tests: one per store and test module."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from agent_memory_client import MemoryAPIClient, MemoryClientConfig

from memhost.testing.server import ServerProcess

STORES = ("sqlite", "memory")


@pytest.fixture(scope="module", params=STORES)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A freshly started server process."""
    folder = tmp_path_factory.mktemp("server")
    with ServerProcess(folder, environment={"STORE": request.param}) as running:
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
