"""All bundled stores pass the conformance suite of the port."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.support.redis_server import RedisSpace

from memhost.ports import Store, SystemClock
from memhost.specs import OpenContext
from memhost.testing.factories import DIMENSIONS, EMBEDDER
from memhost.testing.store import StoreConformance
from memhost_store_memory.store import MemoryStore
from memhost_store_redis.settings import RedisSettings
from memhost_store_redis.store import open_redis
from memhost_store_sqlite.settings import SqliteSettings
from memhost_store_sqlite.store import open_sqlite


class TestMemoryStore(StoreConformance):
    lacks = ("durability",)

    @pytest.fixture
    def store(self) -> Store:
        return MemoryStore()


class SqliteStoreConformance(StoreConformance):
    settings = SqliteSettings(synchronous="normal")

    @pytest.fixture
    async def stack(self) -> AsyncIterator[AsyncExitStack]:
        async with AsyncExitStack() as stack:
            yield stack

    @pytest.fixture
    def context(self, tmp_path: Path) -> OpenContext:
        return OpenContext(data_dir=tmp_path, clock=SystemClock(), embedder=EMBEDDER, dimensions=DIMENSIONS)

    @pytest.fixture
    async def store(self, stack: AsyncExitStack, context: OpenContext) -> Store:
        return await stack.enter_async_context(open_sqlite(self.settings, context))

    @pytest.fixture
    def reopen_with(self, store: Store, stack: AsyncExitStack, context: OpenContext) -> Callable[..., Awaitable[Store]]:
        async def reopen(**given: Any) -> Store:
            await stack.aclose()
            changed = msgspec.structs.replace(context, **given)
            return await stack.enter_async_context(open_sqlite(self.settings, changed))

        return reopen

    @pytest.fixture
    def reopen(self, reopen_with: Callable[..., Awaitable[Store]]) -> Callable[[], Awaitable[Store]]:
        return reopen_with


class TestSqliteStore(SqliteStoreConformance):
    pass


class TestSqliteStoreWithVectorCache(SqliteStoreConformance):
    """Every vector search goes through the cache, however small the scope."""

    settings = SqliteSettings(synchronous="normal", scan_rows=0)


class RedisStoreConformance(StoreConformance):
    lacks = ("folder",)
    algorithm = "hnsw"

    @pytest.fixture
    async def stack(self) -> AsyncIterator[AsyncExitStack]:
        async with AsyncExitStack() as stack:
            yield stack

    @pytest.fixture
    def settings(self, redis_part: RedisSpace) -> RedisSettings:
        return RedisSettings(**redis_part.settings(algorithm=self.algorithm))

    @pytest.fixture
    def context(self, tmp_path: Path) -> OpenContext:
        return OpenContext(data_dir=tmp_path, clock=SystemClock(), embedder=EMBEDDER, dimensions=DIMENSIONS)

    @pytest.fixture
    async def store(self, stack: AsyncExitStack, settings: RedisSettings, context: OpenContext) -> Store:
        return await stack.enter_async_context(open_redis(settings, context))

    @pytest.fixture
    def reopen_with(
        self, store: Store, stack: AsyncExitStack, settings: RedisSettings, context: OpenContext
    ) -> Callable[..., Awaitable[Store]]:
        async def reopen(**given: Any) -> Store:
            await stack.aclose()
            return await stack.enter_async_context(open_redis(settings, msgspec.structs.replace(context, **given)))

        return reopen

    @pytest.fixture
    def reopen(self, reopen_with: Callable[..., Awaitable[Store]]) -> Callable[[], Awaitable[Store]]:
        return reopen_with


class TestRedisStore(RedisStoreConformance):
    pass
