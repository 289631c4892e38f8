"""Both bundled runners pass the conformance suite of the port; and features of arq alone."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from tests.support.redis_server import RedisSpace

from memhost.ports import JobRunner, Store, SystemClock
from memhost.specs import OpenContext
from memhost.testing.runner import OpenRunner, RunnerConformance
from memhost_runner_arq import open_arq
from memhost_runner_arq.settings import ArqSettings
from memhost_runner_inline import InlineSettings, open_inline
from memhost_store_memory.store import MemoryStore


class MemoryOutbox:
    @pytest.fixture
    def store(self) -> Store:
        return MemoryStore()


class TestInlineRunner(MemoryOutbox, RunnerConformance):
    @pytest.fixture
    def open_runner(self, tmp_path: Path) -> OpenRunner:
        context = OpenContext(data_dir=tmp_path, clock=SystemClock())

        def open_runner(concurrency: int, look_s: float, grace_s: float) -> AbstractAsyncContextManager[JobRunner]:
            return open_inline(InlineSettings(concurrency=concurrency, poll_s=look_s, grace_s=grace_s), context)

        return open_runner


class TestArqRunner(MemoryOutbox, RunnerConformance):
    @pytest.fixture
    def open_runner(self, tmp_path: Path, redis_part: RedisSpace) -> OpenRunner:
        def open_runner(concurrency: int, look_s: float, grace_s: float) -> AbstractAsyncContextManager[JobRunner]:
            values: dict[str, Any] = {"stores.redis.url": redis_part.url, "server.shutdown_grace_s": grace_s}
            context = OpenContext(data_dir=tmp_path, clock=SystemClock(), setting=values.get)
            settings = ArqSettings(queue=redis_part.name, concurrency=concurrency, sweep_s=look_s, poll_s=0.02)
            return open_arq(settings, context)

        return open_runner
