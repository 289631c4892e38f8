"""Hosts inside the test process.

    async with running_host(tmp_path, plugins={"acme": "acme_notes"}) as host:
        await call(host, "create_memories", memories=[{"id": "a", "text": "hello"}])

The plugins are those that are installed, the named ones, and those of `memhost.testing`: the language model `scripted`
(which is used), the embedder `words` (which is used) and the authentication provider `testing`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import msgspec

from memhost.errors import InvalidRequest
from memhost.hooks import PROJECT
from memhost.host import Host, open_host, startup
from memhost.models import Caller
from memhost.operations import Call
from memhost.plugins import PluginManager
from memhost.ports import Clock
from memhost.settings import load_configuration
from memhost.testing.callers import CALLERS
from memhost.testing.models import ScriptedModel

OWN = {"testing-callers": "memhost.testing.callers", "testing-models": "memhost.testing.models"}
DEFAULTS = {
    "EMBEDDER": "words",
    "LLM": "scripted",
    "ENABLE_DISCRETE_MEMORY_EXTRACTION": "true",
    "EXTRACTION_DEBOUNCE_SECONDS": "0",
    "JOB_BACKOFF_S": "0.05,0.05,0.05",
    "STORE": "memory",
}
"""Settings of a host for tests, where a test says nothing else."""


def load_plugins(plugins: Mapping[str, str] | None = None) -> PluginManager:
    """The installed plugins, those of `memhost.testing`, and these (entry-point name to module or `module:class`).

    A plugin that is installed under the same name is replaced.

    Raises:
        AssertionError: One of the named plugins does not load; the message says why.
    """
    named = {**OWN, **(plugins or {})}
    points = [point for point in entry_points(group=PROJECT) if point.name not in named]
    points += [EntryPoint(name=name, value=value, group=PROJECT) for name, value in named.items()]
    manager = startup.load_plugins(entry_points=points)
    broken = [f"{row.name}: {row.error}" for row in manager.rows if row.name in named and row.error]
    assert not broken, f"the plugin does not load; {'; '.join(broken)}"
    return manager


@asynccontextmanager
async def running_host(
    folder: Path,
    *,
    plugins: Mapping[str, str] | PluginManager | None = None,
    settings: Mapping[str, str] | None = None,
    clock: Clock | None = None,
    run_jobs: bool = False,
) -> AsyncIterator[Host]:
    """A host on a folder of its own.

    Args:
        folder: For its data.
        plugins: Plugins beside the installed ones, as for `load_plugins`; or all plugins, loaded.
        settings: Settings as in the environment, over `DEFAULTS`.
        clock: Time; the machine's by default.
        run_jobs: Whether background jobs run. Without, nothing happens that the test does not start.
    """
    manager = plugins if isinstance(plugins, PluginManager) else load_plugins(plugins)
    environment = {**DEFAULTS, "DATA_DIR": str(folder), **(settings or {})}
    configuration = load_configuration(environ=environment, env_file=None, sections=manager.sections())
    async with open_host(configuration, manager, clock=clock, run_jobs=run_jobs) as host:
        yield host


async def call(host: Host, operation: str, caller: Caller = CALLERS["admin"], /, **fields: Any) -> Any:
    """The answer of an operation, with the request made of the fields.

    Raises:
        InvalidRequest: The fields do not fit.
        MemhostError: What the operation raises.
    """
    try:
        request = msgspec.convert(fields, host.operations[operation].request)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"{error}.") from error
    return await host.execute(operation, Call(caller=caller, request_id="test"), request)


def model_of(host: Host) -> ScriptedModel:
    """The scripted model of a host."""
    assert isinstance(host.llm, ScriptedModel), "the host was started with another LLM"
    return host.llm
