"""`python -m memhost.worker`: runs background jobs until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys

from memhost import logs, startup
from memhost.errors import MemhostError
from memhost.host import open_host
from memhost.plugins import PluginManager
from memhost.settings import Configuration, export_provider_keys

logger = logging.getLogger(__name__)


async def work(configuration: Configuration, plugins: PluginManager) -> None:
    """Open the host with its job runner, and let it run jobs until a signal comes."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, ended.set)
    async with open_host(configuration, plugins):
        logs.log(logger, logging.INFO, "worker.started", runner=configuration.settings.server.runner)
        await ended.wait()
        logs.log(logger, logging.INFO, "worker.stopping")


def main() -> int:
    """Run until a signal comes; the exit code is the command line's."""
    from memhost.cli.failures import report

    try:
        logs.configure("WARNING")
        configuration, plugins = startup.load()
        server = configuration.settings.server
        logs.configure(server.log_level, server.log_format)
        export_provider_keys()
        asyncio.run(work(configuration, plugins))
    except (MemhostError, OSError) as error:
        return report(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
