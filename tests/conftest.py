"""Fixtures for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.model_server import ModelServer
from tests.support.redis_server import RedisSpace, redis_space, redis_url


@pytest.fixture
def model_server() -> Iterator[ModelServer]:
    """A model provider on loopback; see `tests.support.model_server`."""
    with ModelServer() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis with the query engine, one for all tests; see `tests.support.redis_server`."""
    with redis_url(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def redis_part(redis_server_url: str) -> Iterator[RedisSpace]:
    """A part of that Redis for one test."""
    with redis_space(redis_server_url) as part:
        yield part
