"""A worker process: it runs background jobs until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from memhost import logs
from memhost.host import startup
from memhost.host.running import open_host
from memhost.host.selection import automatic
from memhost.plugins import PluginManager
from memhost.settings import Configuration, export_provider_keys, peek

logger = logging.getLogger(__name__)


async def work(configuration: Configuration, plugins: PluginManager) -> None:
    """Open the host with its job runner, and let it run jobs until a signal comes."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, ended.set)
    async with open_host(configuration, plugins, worker=True) as host, host.services.workers.reporting(host.runner):
        logs.log(logger, logging.INFO, "worker.started", runner=host.runner)
        await ended.wait()
        logs.log(logger, logging.INFO, "worker.stopping")
    logs.log(logger, logging.INFO, "worker.stopped")


def run_worker(
    *, concurrency: int | None = None, options: Mapping[str, Any] | None = None, config_file: Path | None = None
) -> None:
    """Run background jobs in this process until a signal comes.

    Args:
        concurrency: Jobs at the same time; by default what the runner's settings say.
        options: Values of command-line options by the setting's path.
        config_file: The configuration file.

    Raises:
        MemhostError: It cannot start.
    """
    logs.configure("WARNING")
    chosen = dict(options or {})
    if concurrency is not None:
        runner = automatic(peek("server.runner", config_file=config_file), "inline")
        chosen[f"runners.{runner}.concurrency"] = concurrency
    configuration, plugins = startup.load(options=chosen, config_file=config_file)
    server = configuration.settings.server
    logs.configure(server.log_level, server.log_format)
    for warning in configuration.warnings:
        logs.log(logger, logging.WARNING, "configuration.warning", detail=warning)
    export_provider_keys()
    asyncio.run(work(configuration, plugins))
