"""Fixtures for all tests."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import settings

from memhost.testing.server import HostProcess
from tests.support import tiers
from tests.support.forking import Nurseries
from tests.support.model_server import ModelServer
from tests.support.redis_server import RedisSpace, redis_space, redis_url

FOLDER = Path(__file__).parent
FIRST = ("e2e/test_crash", "test_tutorial", "test_examples", "e2e", "security", "")


def pytest_collection_finish() -> None:
    """Have the collector leave the thousands of tests alone, which stay; they are what it mostly looked at."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--tier`."""
    tiers.add_option(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Keep the chosen tier."""
    tiers.configure(config)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out other tiers. Long modules come first, so that no process is left with one of them at the end."""
    tiers.select(config, items)

    def rank(item: pytest.Item) -> int:
        path = item.path.relative_to(FOLDER).as_posix()
        return next(number for number, start in enumerate(FIRST) if path.startswith(start))

    items.sort(key=rank)


# How long an example takes says something of the machine and nothing of memhost.
settings.register_profile("memhost", deadline=None)
settings.load_profile("memhost")


@pytest.fixture(autouse=True, scope="session")
def own_configurations(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The server's key, which hosts and processes of tests make for their user, goes into a folder of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.getbasetemp() / "configurations"))
        yield


EXECUTED = staticmethod(HostProcess.spawn)


@pytest.fixture(autouse=True, scope="session")
def forked_processes() -> Iterator[None]:
    """Servers and workers of tests are forked where that can be done."""
    with closing(Nurseries()) as nurseries, pytest.MonkeyPatch.context() as patch:
        if sys.platform == "linux":
            patch.setattr(HostProcess, "spawn", staticmethod(nurseries.spawn))
        yield


@pytest.fixture
def executed_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here they are not, since the test is about what a process imports and needs."""
    monkeypatch.setattr(HostProcess, "spawn", EXECUTED)


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """What commands of the CLI do to the process's logging ends with the test, or with the fixture that ran them."""
    _restore_logging()
    yield
    _restore_logging()  # fixtures of the next module come before its first test


def _restore_logging() -> None:
    root = logging.getLogger()
    root.setLevel(logging.WARNING)
    root.handlers[:] = [each for each in root.handlers if each.get_name() != "memhost"]
    logging.getLogger("uvicorn.access").disabled = False
    logging.captureWarnings(False)


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


@pytest.fixture
def space(request: pytest.FixtureRequest) -> dict[str, str]:
    """Settings of the store of a test with `tests.support.stores.STORES`: of redis a part of that Redis, else none."""
    store = request.node.callspec.params.get("store")
    return request.getfixturevalue("redis_part").environment() if store == "redis" else {}
