"""Hosts inside the test process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import msgspec

from memhost.host import Host, open_host
from memhost.models import Caller, Scope
from memhost.operations import Call
from memhost.plugins import PluginManager
from memhost.ports import Clock
from memhost.settings import load_configuration
from tests.support.fakes import with_bundled

ADMIN = Caller(subject="test", roles=frozenset({"admin"}))


@asynccontextmanager
async def running_host(
    folder: Path,
    *,
    store: str = "sqlite",
    fakes: Sequence[str] = (),
    extra: Sequence[EntryPoint] = (),
    settings: Mapping[str, str] | None = None,
    clock: Clock | None = None,
    run_jobs: bool = True,
) -> AsyncIterator[Host]:
    """A host with the bundled plugins and the named fake ones, on a folder of its own."""
    plugins = PluginManager.load(entry_points=[*with_bundled(*fakes), *extra])
    environment = {"STORE": store, "DATA_DIR": str(folder), **(settings or {})}
    configuration = load_configuration(environ=environment, env_file=None, sections=plugins.sections())
    async with open_host(configuration, plugins, clock=clock, run_jobs=run_jobs) as host:
        yield host


async def run(host: Host, name: str, caller: Caller = ADMIN, /, **fields: Any) -> Any:
    """Run an operation with the request made of the fields."""
    request = msgspec.convert(fields, host.operations[name].request)
    return await host.execute(name, Call(caller=caller, request_id="test"), request)


def bound_to(**parts: tuple[str, ...]) -> Caller:
    """A caller who reaches only these namespaces, users or sessions."""
    return Caller(subject="bound", bounds=Scope(**parts), roles=frozenset({"writer"}))  # type: ignore[arg-type]
