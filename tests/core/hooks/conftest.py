"""A host with two plugins whose event hooks do what the test sets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from memhost.hooks import event_options
from memhost.host import Host, open_host
from memhost.models import JobState, Scope
from memhost.plugins import PluginManager
from memhost.settings import load_configuration
from memhost.specs import ScheduleSpec
from memhost.testing.clock import FakeClock
from memhost.testing.polling import until
from tests.support import plugin_factory, scripted
from tests.support.fakes import with_bundled

SCOPE = Scope()


class Plugins:
    """What the plugins `a-first` and `b-second` heard, and what they answer."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[tuple[str, str], Callable[..., Any]] = {}

    def hook(self, plugin: str, name: str) -> Callable[..., Any]:
        """An implementation that notes its arguments."""

        @event_options(max_tries=1)
        async def implementation(**given: Any) -> Any:
            self.heard.append((plugin, given))
            answer = self.answers.get((plugin, name))
            return await answer(**given) if answer is not None else None

        return implementation

    def does(self, plugin: str, name: str, answer: Callable[..., Any]) -> None:
        """The plugin's hook answers so from now on."""
        self.answers[plugin, name] = answer

    async def events(self, kind: type[Any], count: int = 2) -> list[tuple[str, Any, Any]]:
        """Plugin, event and context of each call with an event of that kind; waits until there are so many."""

        async def enough() -> bool:
            return len(self._events(kind)) >= count

        await until(enough)
        found = self._events(kind)
        assert len(found) == count, found
        return sorted(found, key=lambda each: each[0])

    def _events(self, kind: type[Any]) -> list[tuple[str, Any, Any]]:
        return [
            (plugin, given["event"], given["context"])
            for plugin, given in self.heard
            if isinstance(given.get("event"), kind)
        ]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def _opened(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Host, Plugins, FakeClock]]:
    plugins, clock = Plugins(), FakeClock()
    points = [point for point in with_bundled() if not point.name.startswith("pipeline-")]
    for name in ("b-second", "a-first"):
        hooks: dict[str, Callable[..., Any]] = {hook: plugins.hook(name, hook) for hook in plugin_factory.EVENTS}
        hooks["memhost_schedules"] = _schedules(name)
        points.append(plugin_factory.make_plugin(name, hooks))
    scripted.reset()
    loaded = PluginManager.load(entry_points=[*points, scripted.POINT])
    environment = {
        "STORE": "memory",
        "INLINE_POLL_S": "0.02",
        "LLM": "scripted",
        "EMBEDDER": "remote",
        "EXTRACTION_DEBOUNCE_SECONDS": "0",
        "SUMMARIZATION_WAIT_SECONDS": "0",
        "DATA_DIR": str(tmp_path_factory.mktemp("hooks")),
    }
    configuration = load_configuration(environ=environment, env_file=None, sections=loaded.sections())
    async with open_host(configuration, loaded, clock=clock) as host:
        yield host, plugins, clock


def _schedules(name: str) -> Callable[[], list[ScheduleSpec]]:
    return lambda: [ScheduleSpec(name=f"{name}-daily", summary="Every day.", every_s=86_400.0)]


@pytest.fixture
def host(_opened: tuple[Host, Plugins, FakeClock]) -> Host:
    """The host, with the two plugins beside the bundled ones."""
    return _opened[0]


@pytest.fixture
def clock(_opened: tuple[Host, Plugins, FakeClock]) -> FakeClock:
    """The host's clock."""
    return _opened[2]


@pytest_asyncio.fixture(loop_scope="module")
async def plugins(_opened: tuple[Host, Plugins, FakeClock]) -> Plugins:
    """The two plugins, which have heard nothing and answer nothing: jobs of the test before have run to their end."""
    host, plugins, _ = _opened

    async def settled() -> bool:
        due = await host.store.next_due()
        if due is not None and due <= host.clock.now():
            return False
        _, running = await host.store.list_jobs(SCOPE, JobState.RUNNING, limit=1)
        return running == 0

    await until(settled)
    plugins.heard.clear()
    plugins.answers.clear()
    return plugins
