"""Plugins that harm the whole process are suspended and reported, and their leaks are counted."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from memhost.hooks import event_options
from memhost.host import Host, open_host
from memhost.models import JobState, Scope
from memhost.plugins import PluginManager, discovery
from memhost.settings import load_configuration
from memhost.testing.clock import FakeClock
from memhost.testing.polling import until
from tests.support import plugin_factory, scripted
from tests.support.broken import LIMIT_S
from tests.support.fakes import with_bundled
from tests.support.hosts import run

SETTINGS = {
    "STORE": "sqlite",
    "EMBEDDER": "remote",
    "INLINE_POLL_S": "0.02",
    "JOB_BACKOFF_S": "3600",
    "PLUGIN_SUSPEND_AFTER": "1",
    "PLUGIN_SUSPEND_S": "60",
    "PLUGIN_BLOCKED_S": "0.05",
}


@asynccontextmanager
async def running(folder: Path, clock: FakeClock, **hooks: Callable[..., Any]) -> AsyncIterator[Host]:
    """A host with the plugin `harmful`."""
    points = [point for point in with_bundled() if not point.name.startswith("pipeline-")]
    plugins = PluginManager.load(entry_points=[*points, scripted.POINT, plugin_factory.make_plugin("harmful", hooks)])
    environment = {**SETTINGS, "DATA_DIR": str(folder)}
    configuration = load_configuration(environ=environment, env_file=None, sections=plugins.sections())
    async with open_host(configuration, plugins, clock=clock) as host:
        yield host


async def job(host: Host) -> Any:
    """The plugin's job, None if it is done."""
    jobs, _ = await host.store.list_jobs(Scope())
    return next((each for each in jobs if each.plugin == "harmful"), None)


@pytest.mark.parametrize("behaviour", ["hangs", "blocks"])
async def test_jobs_of_a_suspended_plugin_wait(tmp_path: Path, behaviour: str) -> None:
    clock, calls, well = FakeClock(), list[str](), asyncio.Event()

    @event_options(timeout_s=LIMIT_S)
    async def stored(event: Any, context: Any) -> None:
        calls.extend(event.ids)
        if not well.is_set() and behaviour == "hangs":
            await asyncio.sleep(60)
        while not well.is_set() and behaviour == "blocks" and not host.services.watch.report("harmful").last_error:
            time.sleep(0.005)  # noqa: ASYNC251 - until the thread has told of it

    async with running(tmp_path, clock, memhost_memories_stored=stored) as host:
        await run(host, "create_memories", memories=[{"id": "first", "text": "x"}])

        async def suspended() -> bool:
            return host.services.watch.report("harmful").suspended_until is not None

        await until(suspended)
        await run(host, "create_memories", memories=[{"id": "second", "text": "y"}])
        ready = clock.now().timestamp() + 60

        async def put_off() -> bool:
            jobs, _ = await host.store.list_jobs(Scope(), JobState.WAITING)
            return any(each.due_at.timestamp() == ready for each in jobs)

        await until(put_off)
        assert calls == ["first"]
        well.set()
        clock.advance(61)

        async def done() -> bool:
            return "second" in calls and host.services.watch.report("harmful").suspended_until is None

        await until(done)


async def test_threads_left_behind_are_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ended = threading.Event()
    threads: list[threading.Thread] = []

    async def search(search: Any, context: Any) -> None:
        wait = vars(sys.modules["made_harmful"])["wait"]
        threads.extend(threading.Thread(target=wait, daemon=True) for _ in range(100))
        for thread in threads:
            thread.start()

    async with running(tmp_path, FakeClock(), memhost_before_search=search) as host:
        vars(sys.modules["made_harmful"])["ended"] = ended
        exec("def wait():\n    ended.wait()\n", vars(sys.modules["made_harmful"]))
        await run(host, "search_memories", text="x")

        async def told() -> bool:
            return "leaves threads behind" in (host.services.watch.report("harmful").last_error or "")

        await until(told)
        ended.set()
        for thread in threads:
            thread.join()
    fields = next(getattr(each, "fields", {}) for each in caplog.records if each.message == "plugin.leaks")
    assert (fields["plugin"], fields["distribution"], fields["threads"]) == ("harmful", "harmful-dist", 100)


def test_import_that_takes_long_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    told = threading.Event()

    class Heard(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.set()

    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "slow_acme.py").write_text("import slow_acme_told\nassert slow_acme_told.told.wait(10)\n")
    shared = ModuleType("slow_acme_told")
    vars(shared)["told"] = told
    monkeypatch.setitem(sys.modules, shared.__name__, shared)
    handler = Heard()
    monkeypatch.setattr(discovery.logger, "handlers", [handler])
    PluginManager.load(entry_points=[EntryPoint(name="slow", value="slow_acme", group="memhost")], start_s=0.02)
    fields = next(getattr(each, "fields", {}) for each in caplog.records if each.message == "plugin.import_hangs")
    assert fields["plugin"] == "slow"
