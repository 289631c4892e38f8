"""Each registration hook, one test a hook: what it returns is there by its name, and works in a host.

One plugin, `acme`, offers something of every kind, and the host uses it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import EntryPoints
from typing import Annotated, Any

import click
import httpx
import msgspec
import pytest
import pytest_asyncio
from click.testing import CliRunner
from litestar import get

from memhost.cli import cli
from memhost.errors import Forbidden, Unauthorized
from memhost.events import ScheduleDue
from memhost.host import Host, open_host
from memhost.http.app import build_app
from memhost.jobs import JobLoop
from memhost.models import Caller
from memhost.operations import Operation
from memhost.plugins import PluginManager
from memhost.ports import Credentials, Draft
from memhost.ports import Host as PublicHost
from memhost.settings import load_configuration, setting
from memhost.specs import (
    AuthSpec,
    CommandSpec,
    EmbedderSpec,
    InterfaceSpec,
    LanguageModelSpec,
    MaintenanceTask,
    Mount,
    RerankerSpec,
    RunnerSpec,
    ScheduleSpec,
    SettingsSpec,
    StoreSpec,
    StrategySpec,
)
from memhost.testing.clock import FakeClock
from memhost.testing.models import ScriptedModel, WordEmbedder, WordReranker
from memhost.testing.polling import until
from memhost_store_memory.store import MemoryStore
from tests.support import plugin_factory
from tests.support.fakes import with_bundled
from tests.support.hosts import run

pytestmark = pytest.mark.asyncio(loop_scope="module")

HEARD: list[str] = []
DONE: list[Any] = []
SEEN: list[Any] = []


class AcmeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A section of its own."""

    volume: Annotated[int, setting("How loud.", ge=0, le=11)] = 3


class AcmeStore(MemoryStore):
    """A store of its own."""


class AcmeRunner(JobLoop):
    """A runner of its own."""


class Length(msgspec.Struct, kw_only=True):
    text: str


class Shout:
    """Keeps messages in capitals."""

    name, version, immediate = "acme", "1", True

    async def extract(self, turns: Any, context: Any) -> list[Draft]:
        return [Draft(text=turn.message.content.upper(), source_ids=[turn.message.id]) for turn in turns]


class Door:
    """Lets in who knows the word."""

    open = False

    async def authenticate(self, credentials: Credentials) -> Caller:
        if credentials.token != "sesame":
            raise Unauthorized("The word is wrong.")
        return Caller(subject="ali", roles=frozenset({"reader"}))


def opening(make: Callable[[Any, Any], Any], stop: bool = False) -> Any:
    """The `open` of a spec."""

    @asynccontextmanager
    async def opened(settings: Any, context: Any) -> AsyncIterator[Any]:
        part = make(settings, context)
        yield part
        if stop:
            await part.stop()

    return opened


def interface(host: PublicHost, _settings: Any) -> Mount:
    @get("/acme")
    async def page() -> dict[str, int]:
        return {"volume": 11}

    return Mount(handlers=[page])


async def length(host: Any, call: Any, request: Length) -> dict[str, int]:
    return {"length": len(request.text)}


@click.command("acme")
def greeting() -> None:
    click.echo("Hello from acme")


async def shorten(context: Any, arguments: Length) -> tuple[int, Any]:
    return len(arguments.text), context.plugin_settings


async def due(event: ScheduleDue, context: Any) -> None:
    DONE.append(await context.run("acme_shorten", text=event.name))
    HEARD.append(event.name)


async def search(search: Any, context: Any) -> None:
    SEEN.append(context.plugin_settings)


def store(settings: Any, context: Any) -> AcmeStore:
    return AcmeStore(context.clock, embedder=context.embedder, dimensions=context.dimensions)


OFFERED: dict[str, Callable[..., Any]] = {
    "memhost_stores": lambda: [StoreSpec(name="acme", summary="x", open=opening(store))],
    "memhost_strategies": lambda: [StrategySpec(name="acme", summary="x", build=lambda _: Shout())],
    "memhost_models": lambda: [
        EmbedderSpec(name="acme", summary="x", open=opening(lambda *_: WordEmbedder())),
        LanguageModelSpec(name="acme", summary="x", open=opening(lambda *_: ScriptedModel())),
        RerankerSpec(name="acme", summary="x", open=opening(lambda *_: WordReranker())),
    ],
    "memhost_auth_providers": lambda: [AuthSpec(name="acme", summary="x", open=opening(lambda *_: Door()))],
    "memhost_runners": lambda: [
        RunnerSpec(name="acme", summary="x", open=opening(lambda *_: AcmeRunner(2, 0.02, 1.0), stop=True))
    ],
    "memhost_interfaces": lambda: [InterfaceSpec(name="acme", summary="x", build=interface)],
    "memhost_operations": lambda: [
        Operation(
            name="acme_length",
            request=Length,
            response=dict[str, int],
            handler=length,
            summary="x",
            access="write",
            tag="Acme",
        )
    ],
    "memhost_settings": lambda: [SettingsSpec(name="acme", settings=AcmeSettings)],
    "memhost_commands": lambda: [CommandSpec(name="acme", summary="Greet.", load=lambda: greeting)],
    "memhost_schedules": lambda: [ScheduleSpec(name="acme-often", summary="x", every_s=10.0)],
    "memhost_maintenance_tasks": lambda: [
        MaintenanceTask(name="acme_shorten", summary="x", arguments=Length, run=shorten)
    ],
    "memhost_schedule_due": due,
    "memhost_before_search": search,
}
CHOSEN = dict.fromkeys(("STORE", "EMBEDDER", "LLM", "RERANKER", "AUTH", "BACKEND", "INTERFACES"), "acme")


@pytest.fixture(scope="module")
def points() -> list[Any]:
    bundled = [point for point in with_bundled() if not point.name.startswith("pipeline-")]
    return [*bundled, plugin_factory.make_plugin("acme", OFFERED)]


@pytest.fixture(scope="module")
def clock() -> FakeClock:
    return FakeClock()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host(tmp_path_factory: pytest.TempPathFactory, points: list[Any], clock: FakeClock) -> AsyncIterator[Host]:
    plugins = PluginManager.load(entry_points=points)
    environment = {**CHOSEN, "ACME_VOLUME": "11", "DATA_DIR": str(tmp_path_factory.mktemp("acme"))}
    configuration = load_configuration(environ=environment, env_file=None, sections=plugins.sections())
    async with open_host(configuration, plugins, clock=clock) as opened:
        yield opened


async def test_stores(host: Host) -> None:
    assert isinstance(host.store, AcmeStore)
    await run(host, "create_memories", memories=[{"id": "a", "text": "kept by acme"}])
    assert (await run(host, "get_memory", memory_id="a")).text == "kept by acme"


async def test_strategies(host: Host) -> None:
    await run(
        host,
        "put_session",
        session_id="s",
        messages=[{"role": "user", "content": "quiet", "id": "m"}],
        long_term_memory_strategy={"strategy": "acme", "config": {}},
    )
    found = await run(host, "search_memories", session_id={"eq": "s"}, text="quiet")
    assert ("QUIET", "acme") in [(hit.text, hit.extraction_strategy) for hit in found.memories]


async def test_models(host: Host) -> None:
    assert isinstance(host.embedder, WordEmbedder)
    assert isinstance(host.llm, ScriptedModel)
    assert isinstance(host.reranker, WordReranker)


async def test_auth_providers(host: Host) -> None:
    assert (await host.authenticate(Credentials(scheme="bearer", token="sesame"))).subject == "ali"
    with pytest.raises(Unauthorized, match="The word is wrong"):
        await host.authenticate(Credentials(scheme="bearer", token="other"))


async def test_runners(host: Host) -> None:
    assert host.runner == "acme"
    await until(heard)  # by a job


async def heard() -> bool:
    return "acme-often" in HEARD


async def test_interfaces(host: Host) -> None:
    app: Any = build_app(host)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://memhost") as client:
        assert (await client.get("/acme")).json() == {"volume": 11}


async def test_operations(host: Host) -> None:
    assert await run(host, "acme_length", text="four") == {"length": 4}
    reader = await host.authenticate(Credentials(scheme="bearer", token="sesame"))
    with pytest.raises(Forbidden):
        await run(host, "acme_length", reader, text="four")


async def test_settings(host: Host) -> None:
    SEEN.clear()
    await run(host, "search_memories", text="loud")
    assert [AcmeSettings(volume=11)] == SEEN


async def test_commands(points: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.entry_points", lambda: EntryPoints(points))
    monkeypatch.setattr("memhost.plugins.discovery.entry_points", lambda **_: points)
    assert CliRunner().invoke(cli, ["acme"]).output == "Hello from acme\n"
    assert "Greet." in CliRunner().invoke(cli, ["--help"]).output


async def test_schedules(host: Host, clock: FakeClock) -> None:
    await until(heard)
    HEARD.clear()
    clock.advance(10)
    await until(heard)
    assert HEARD == ["acme-often"]


async def test_maintenance_tasks(host: Host) -> None:
    assert host.plugins.maintenance_tasks.names() == ["acme_shorten"]
    await until(heard)
    assert DONE[0] == (len("acme-often"), AcmeSettings(volume=11))
