"""A plugin that is broken in any way, in every hook in turn: the host serves others and names the plugin."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest
import pytest_asyncio

from memhost.events import (
    EVENTS,
    Administered,
    BackgroundEvent,
    ExtractionDue,
    HeadSigned,
    ReviewDecided,
    ScheduleDue,
    SessionIdle,
    SessionOverfull,
    SessionUpdated,
    ViewDue,
)
from memhost.host import Host, open_host
from memhost.jobs.outbox import Outbox
from memhost.models import Scope, SessionKey, WriteBatch
from memhost.plugins import PluginManager, calling
from memhost.settings import load_configuration
from memhost.specs import SettingsSpec
from memhost.testing.polling import until
from tests.support import broken, plugin_factory
from tests.support.fakes import with_bundled
from tests.support.hosts import run

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = SessionKey("default", "", "", "s")
EXAMPLES: dict[str, BackgroundEvent] = {
    "session_updated": SessionUpdated(session=KEY, version=1),
    "session_idle": SessionIdle(session=KEY, version=1),
    "session_overfull": SessionOverfull(session=KEY, window=100),
    "extraction_due": ExtractionDue(session=KEY),
    "review_decided": ReviewDecided(tenant="default", memory_id="known", decision="approved"),
    "view_due": ViewDue(tenant="default", view_id="v"),
    "schedule_due": ScheduleDue(name="x", due_at=NOW),
    "head_signed": HeadSigned(tenant="default", seq=1, link="00", at="2026-01-01", key="k", signature="00"),
    "administered": Administered(tenant="default", subject="a", action="b", target="c", at=NOW, request_id="r"),
}
GOOD: dict[str, int] = {}
SETTINGS = {
    "STORE": "sqlite",
    "HOOK_TIMEOUT_S": "5",
    "INLINE_POLL_S": "0.02",
    "JOB_MAX_TRIES": "1",
    "PLUGIN_BLOCKED_S": "0.05",
    "PLUGIN_SUSPEND_AFTER": "0",
}
WORKS = SettingsSpec(name="works", settings=broken.Empty)
STARTS = [(hook, behaviour) for hook, behaviour in product(plugin_factory.REGISTRATION, broken.REGISTRATION)]


class Heard(logging.Handler):
    """Keeps the fields of log lines, by event and plugin."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[tuple[str, str], dict[str, Any]] = {}
        self.failed: dict[str, dict[str, Any]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        fields = getattr(record, "fields", {})
        self.lines[record.getMessage(), str(fields.get("plugin"))] = fields
        if record.getMessage() == "plugin.failed":  # at the start, once for all tests
            self.failed[str(fields.get("plugin"))] = fields
        if record.getMessage() == "loop.blocked":
            broken.TOLD.set()


@pytest.fixture(scope="module")
def heard() -> Iterator[Heard]:
    """What is logged."""
    handler = Heard()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


def name_of(hook: str, behaviour: str = "event") -> str:
    return f"broken-{hook.removeprefix('memhost_').replace('_', '-')}-{behaviour}"


def good_event(hook: str) -> Any:
    async def implementation(**_: Any) -> None:
        GOOD[hook] = GOOD.get(hook, 0) + 1

    return implementation


@pytest.fixture(scope="module")
def plugins(heard: Heard) -> Iterator[PluginManager]:
    """Every broken plugin at once, between plugins that work."""
    points = [point for point in with_bundled() if not point.name.startswith("pipeline-")]
    points += [
        plugin_factory.make_plugin(name_of(hook, behaviour), {hook: broken.registration(behaviour)})
        for hook, behaviour in STARTS
    ]
    points += [plugin_factory.make_plugin(name_of(hook), {hook: broken.event(hook)}) for hook in plugin_factory.EVENTS]
    good = {hook: good_event(hook) for hook in plugin_factory.EVENTS}
    points.append(plugin_factory.make_plugin("z-works", good))
    points.append(plugin_factory.make_plugin("a-works", {**good, "memhost_settings": lambda: [WORKS]}))
    yield PluginManager.load(entry_points=points, start_s=0.03)
    broken.RELEASED.set()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host(plugins: PluginManager, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Host]:
    """One server with all of them."""
    calling._GRACE_S, usual = 0.02, calling._GRACE_S
    environment = {**SETTINGS, "DATA_DIR": str(tmp_path_factory.mktemp("broken"))}
    configuration = load_configuration(environ=environment, env_file=None, sections=plugins.sections(), lenient=True)
    async with open_host(configuration, plugins) as opened:
        await run(opened, "create_memories", memories=[{"id": "known", "text": "a blue boat"}])
        yield opened
    calling._GRACE_S = usual


@pytest.mark.parametrize(("hook", "behaviour"), STARTS)
async def test_registration(host: Host, heard: Heard, hook: str, behaviour: str) -> None:
    name = name_of(hook, behaviour)
    rows = {row.name: row for row in (await run(host, "list_plugins")).plugins}
    row, told = rows[name], heard.failed[name]
    assert (row.status, row.distribution, row.version) == ("failed", f"{name}-dist", plugin_factory.VERSION)
    assert broken.REGISTRATION[behaviour][1] in (row.error or "")
    assert (told["distribution"], told["version"], told["error"]) == (row.distribution, row.version, row.error)
    assert rows["a-works"].status == "ok"
    assert "works" in host.plugins.settings_sections


async def answers(host: Host) -> None:
    """Requests that have nothing to do with the hook are answered."""
    assert (await run(host, "get_memory", memory_id="known")).text == "a blue boat"
    assert (await run(host, "health")).now


async def request(host: Host, hook: str) -> None:
    """A request in which the hook is called, and what must come of it whatever the hook does."""
    if hook == "memhost_before_session_write":
        written = await run(
            host, "put_session", session_id="s", messages=[{"role": "user", "content": "hi", "id": "m"}]
        )
        assert [message.content for message in written.messages] == ["hi"]
    elif hook == "memhost_before_memories_stored":
        await run(host, "create_memories", memories=[{"id": "new", "text": "a red car"}])
        found = await run(host, "search_memories", limit=100)
        assert [hit.id for hit in found.memories].count("new") == 1
    else:
        found = await run(host, "search_memories", text="blue boat", limit=50)
        assert [hit.id for hit in found.memories].count("known") == 1


async def background(host: Host, hook: str, name: str) -> Any:
    """The plugin's job when the others of an event are done, None if it is done too."""
    event = hook.removeprefix("memhost_")
    example: Any = EXAMPLES.get(event) or EVENTS[event](tenant="default", ids=("known",))
    jobs = Outbox(host.plugins).jobs(event, example, tenant="default", now=host.clock.now())
    await host.store.commit(Scope(), WriteBatch(add_jobs=jobs))

    ids = {job.id for job in jobs}

    async def rest() -> Any:
        return {row.plugin: row for row in (await run(host, "list_jobs", limit=500)).jobs if row.id in ids}

    async def settled() -> bool:
        return all(row.state == "dead" for row in (await rest()).values())

    await until(settled)
    left = await rest()
    assert set(left) <= {name}
    return left.get(name)


async def check_named(host: Host, heard: Heard, hook: str, behaviour: str, before: int) -> None:
    """The log and the report of the plugin say who it was."""
    name = name_of(hook)
    line = {"blocks": "loop.blocked", "leaks": "plugin.leaks"}.get(behaviour)
    if line is None:
        line = "hook.failed" if hook in plugin_factory.IN_REQUESTS else "job.buried"

    async def told() -> bool:
        return (line, name) in heard.lines

    await until(told)
    fields = heard.lines[line, name]
    assert (fields["distribution"], fields["version"]) == (f"{name}-dist", plugin_factory.VERSION)

    async def counted() -> bool:
        health = host.services.watch.report(name)
        return behaviour == "leaks" or health.failures + health.failed_jobs > before

    await until(counted)
    report = await run(host, "get_plugin", name=name)
    assert report.plugin.distribution == f"{name}-dist"
    assert ("leaves tasks behind" if behaviour == "leaks" else hook) in (report.health.last_error or "")


@pytest.mark.parametrize(("hook", "behaviour"), list(product(plugin_factory.EVENTS, broken.EVENT)))
async def test_event(host: Host, heard: Heard, hook: str, behaviour: str) -> None:
    name, calls = name_of(hook), GOOD.get(hook, 0)
    health = (await run(host, "get_plugin", name=name)).health
    heard.lines.clear()
    broken.TOLD.clear()
    broken.NOW[hook] = behaviour
    try:
        if hook in plugin_factory.IN_REQUESTS:
            await asyncio.gather(request(host, hook), *(answers(host) for _ in range(3)))
        else:
            job, *_ = await asyncio.gather(background(host, hook, name), *(answers(host) for _ in range(3)))
            harmless = ("blocks", "leaks")
            assert (job is None) == (behaviour in harmless)
            assert job is None or job.distribution == f"{name}-dist {plugin_factory.VERSION}"
        await check_named(host, heard, hook, behaviour, health.failures + health.failed_jobs)
    finally:
        broken.NOW.clear()
        await broken.end_leaks()
    assert GOOD[hook] >= calls + 2, "the plugins before and after it were called"
    if hook in plugin_factory.IN_REQUESTS:
        await request(host, hook)
