"""Opens a host: plugins, services and jobs are put together, and closed in reverse order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from memhost.host.assembly import assemble
from memhost.host.host import Host
from memhost.host.login_throttle import LoginThrottle
from memhost.host.open_resources import ResourceOpener
from memhost.host.operations import core_operations
from memhost.jobs import EMBED_MEMORIES
from memhost.operations import OperationTable
from memhost.plugins import PluginManager
from memhost.plugins.loop_watchdog import LoopWatch
from memhost.ports import Clock, JobRunner, SystemClock
from memhost.settings import Configuration


@asynccontextmanager
async def open_host(
    configuration: Configuration,
    plugins: PluginManager,
    *,
    clock: Clock | None = None,
    run_jobs: bool = True,
    worker: bool = False,
    reindex: bool = False,
    adopt: bool = False,
) -> AsyncIterator[Host]:
    """A running host; everything it opened is closed at the end, in reverse order.

    Args:
        configuration: The settings.
        plugins: The plugins.
        clock: Time; the machine's by default.
        run_jobs: Whether this process runs background jobs, or tells workers of them where the runner has some.
        worker: This process is a worker.
        reindex: Open the store although its vectors are another embedder's, to replace them.
        adopt: Accept what is stored as it stands, whatever its seals, and seal it again.

    Raises:
        ConfigurationError: A selected plugin is missing or cannot be opened.
        Unavailable: The store does not answer.
    """
    anew = configuration.settings.server.reindex
    opener = ResourceOpener(configuration, plugins, clock or SystemClock(), reindex=reindex or anew, adopt=adopt)
    async with AsyncExitStack() as stack:
        resources = await opener.open(stack)
        host = Host(
            configuration=configuration,
            plugins=plugins,
            operations=OperationTable((*core_operations(), *(entry.spec for entry in plugins.operations))),
            store=resources.store,
            embedder=resources.embedder,
            llm=resources.llm,
            reranker=resources.reranker,
            authenticator=resources.authenticator,
            attempts=LoginThrottle(configuration.settings.server.auth_failures_per_minute, resources.clock),
            strategies=resources.strategies,
            clock=resources.clock,
            tampered=resources.tampered,
            services=assemble(resources),
            keys=resources.keys,
        )
        await stack.enter_async_context(resources.heads.publishing(str(configuration.data_dir), adopt=adopt))
        loop_watch = LoopWatch(plugins, host.services.watch, configuration.settings.server.plugin_blocked_s)
        await stack.enter_async_context(loop_watch.watching())
        if run_jobs:
            if anew and not worker:
                await host.services.schedules.start(EMBED_MEMORIES, host.clock.now())
            runner: JobRunner = await opener.enter(stack, plugins.runners, "runners", host.runner)
            resources.outbox.attach(runner)
            host.services.jobs.attach(runner)
            if worker or not host.has_workers:
                await host.services.schedules.start_due(host.clock.now())
                await runner.start(host.services.dispatcher)
        yield host
