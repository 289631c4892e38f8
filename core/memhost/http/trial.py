"""Tries plugins as a server would use them, on a folder that is gone afterwards."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from memhost.errors import MemhostError, MissingExtra, Unavailable
from memhost.host import Host, startup
from memhost.host.open_resources import PORTS, check_kind
from memhost.http.app import serving
from memhost.plugins import SECTIONS, PluginManager, Registered
from memhost.plugins.blame import at_start
from memhost.settings import Configuration
from memhost.specs import OpenContext

_ALONE = {
    "server.store": "memory",
    "server.runner": "inline",
    "server.auth": "none",
    "server.llm": "none",
    "server.reranker": "none",
    "server.integrity_key": "none",
}
"""Settings of a server that concerns nobody else."""


class Trial(msgspec.Struct):
    """The problems that were found, and what was not tried and why."""

    problems: list[str] = []
    untried: list[str] = []


@asynccontextmanager
async def tried_server(config_file: Path | None = None) -> AsyncIterator[tuple[Configuration, PluginManager, Host]]:
    """A server in a folder of its own, with all its interfaces; foreign plugins that fail are left out of it.

    Args:
        config_file: The configuration file, whose store, model, runner and authentication do not count.

    Raises:
        MemhostError: It cannot start.
    """
    hosts: list[Host] = []

    async def opened(host: Host) -> None:
        hosts.append(host)

    with tempfile.TemporaryDirectory(prefix="memhost-") as folder:
        configuration, plugins = startup.load(options={**_ALONE, "server.data_dir": folder}, config_file=config_file)
        async with serving(configuration, plugins, opened=opened, run_jobs=False):
            yield configuration, plugins, hosts[-1]


async def try_plugin(name: str, config_file: Path | None = None) -> Trial:
    """Start a server with the plugin, build and open everything that it offers, and say what fails."""
    trial = Trial()
    try:
        async with tried_server(config_file) as (configuration, plugins, host):
            row = next(row for row in plugins.rows if row.name == name)
            if row.error is not None:
                trial.problems.append(row.error)
            elif row.status == "ok":
                parts = _Parts(trial, configuration=configuration, plugins=plugins, host=host, module=row.module)
                await parts.open_all(name)
    except MemhostError as error:
        trial.problems.append(f"the server does not start with it: {error.message}")
    return trial


class _Parts:
    """Opens the parts of one plugin that a server does not open unasked."""

    def __init__(
        self, trial: Trial, *, configuration: Configuration, plugins: PluginManager, host: Host, module: str
    ) -> None:
        self._trial = trial
        self._configuration = configuration
        self._plugins = plugins
        self._host = host
        self._module = module

    async def open_all(self, plugin: str) -> None:
        for attribute, section in SECTIONS.items():
            registry = getattr(self._plugins, attribute)
            for entry in registry:
                if entry.plugin == plugin:
                    await self._try(registry.kind, section, entry)
        for entry in self._plugins.commands:
            if entry.plugin == plugin:
                await self._try("command", "", entry)

    async def _try(self, kind: str, section: str, entry: Registered[Any]) -> None:
        what = f"the {kind} {entry.spec.name}"
        try:
            if reason := self._reason_against(kind, section, entry):
                self._trial.untried.append(f"{what}: {reason}")
            else:
                await self._open(kind, section, entry, what)
        except (Unavailable, MissingExtra) as error:
            self._trial.untried.append(f"{what}: {error.message}")
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, that is what to tell
            self._trial.problems.append(f"{what} cannot be opened: {at_start(error, self._module)}")

    def _reason_against(self, kind: str, section: str, entry: Registered[Any]) -> str:
        """Why a part is not opened; empty if it is."""
        missing = self._configuration.missing(section, entry.spec.name)
        if missing:
            return " ".join(missing)
        if getattr(entry.spec, "shared", False) or getattr(entry.spec, "separate", False):
            return "it works with others outside of this process"
        if getattr(entry.spec, "any_model", False):
            return "it needs the name of a model"
        return ""

    async def _open(self, kind: str, section: str, entry: Registered[Any], what: str) -> None:
        if kind == "command":
            import click

            command = entry.spec.load()
            if not isinstance(command, click.Command):
                raise TypeError(f"load must return a click.Command, not {type(command).__name__}")
        elif kind == "strategy":
            check_kind(entry.spec.build(self._configuration.section(section, entry.spec.name)), what, *PORTS[kind])
        elif kind in PORTS:
            settings = self._configuration.section(section, entry.spec.name)
            async with entry.spec.open(settings, self._context(kind)) as opened:
                check_kind(opened, what, *PORTS[kind])

    def _context(self, kind: str) -> OpenContext:
        folder = self._configuration.data_dir / "tried"
        folder.mkdir(exist_ok=True)
        model = kind in ("embedder", "language model", "reranker")
        return OpenContext(
            data_dir=folder,
            clock=self._host.clock,
            embedder=None if kind == "embedder" else self._host.embedder.name,
            dimensions=None if kind == "embedder" else self._host.embedder.dimensions,
            store=None if model or kind == "store" else self._host.store,
            setting=self._configuration.value,
        )
