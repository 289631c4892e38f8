"""The host: settings and plugins become a running server, which interfaces and commands use."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import msgspec

from memhost.assembly import Services, assemble
from memhost.credentials import VISITOR
from memhost.errors import Forbidden, MemhostError, TooManyRequests, Unauthorized, Unavailable
from memhost.jobs import EMBED_MEMORIES
from memhost.models import Caller
from memhost.models.scope import OPERATORS
from memhost.opening import Opener, automatic
from memhost.operations import Access, Call, OperationTable, core_operations
from memhost.operations.responses import MemoryHits, MemoryPrompt, PluginReport, Readiness
from memhost.plugins import PluginManager
from memhost.ports import (
    Authenticator,
    Clock,
    Credentials,
    Embedder,
    JobRunner,
    LanguageModel,
    LaterStrategy,
    Store,
    Strategy,
    SystemClock,
)
from memhost.services.attempts import FailedAttempts
from memhost.services.limits import check_request
from memhost.services.loop_watch import LoopWatch
from memhost.services.plugin_health import report_plugin
from memhost.services.readiness import component, model_told, waiting_work
from memhost.services.usage import charged_to, payer_within
from memhost.settings import Configuration, Settings

logger = logging.getLogger(__name__)

ROLES: dict[str, frozenset[str]] = {
    "read": frozenset({"reader", "writer", "operator", "admin"}),
    "write": frozenset({"writer", "operator", "admin"}),
    "delete": frozenset({"writer", "operator", "admin"}),
    "admin": OPERATORS,
}
"""Roles that hold each right; that to administer is of those alone who are bound to nothing inside their tenant."""


@dataclass(kw_only=True)
class Host(Services):
    """A running server without any protocol.

    Interfaces call `authenticate` and `execute`; the rest is there for plugins that need more.
    """

    configuration: Configuration
    plugins: PluginManager
    operations: OperationTable
    store: Store
    embedder: Embedder
    llm: LanguageModel | None
    authenticator: Authenticator
    attempts: FailedAttempts
    strategies: Mapping[str, Strategy | LaterStrategy]
    clock: Clock

    @property
    def settings(self) -> Settings:
        """The host's own settings."""
        return self.configuration.settings

    @property
    def runner(self) -> str:
        """Name of the job runner."""
        return automatic(self.settings.server.runner, "inline")

    @property
    def has_workers(self) -> bool:
        """Whether jobs run in processes of their own."""
        entry = self.plugins.runners.get(self.runner)
        return entry is not None and entry.spec.separate

    async def authenticate(self, credentials: Credentials) -> Caller:
        """The caller behind the credentials.

        Raises:
            Unauthorized: The provider does not let them in, for whatever reason.
            Unavailable: The provider cannot tell now.
            TooManyRequests: Too many attempts from that address have failed.
        """
        self.attempts.check(credentials)
        try:
            caller = await self.authenticator.authenticate(credentials)
        except Unauthorized:
            self.attempts.failed(credentials)
            raise
        except (Unavailable, TooManyRequests):
            raise
        except Exception as error:  # a provider that fails in an unexpected way lets nobody in
            logger.exception("auth.failed")
            raise Unauthorized("The credentials could not be checked.") from error
        self.attempts.passed(credentials)
        if (visitor := VISITOR.get()) is not None:
            visitor.known = True
        return caller

    def allows(self, caller: Caller, access: Access) -> bool:
        """Whether the caller has the right that an operation needs."""
        if access == "admin":
            return caller.runs_tenant
        return access == "open" or bool(caller.roles & ROLES[access])

    def check_access(self, caller: Caller, access: Access) -> None:
        """Return if the caller has the right that an operation needs.

        Raises:
            Forbidden: They have not.
        """
        if not self.allows(caller, access):
            raise Forbidden(_lacking(caller, access))

    async def execute(self, name: str, call: Call, request: msgspec.Struct) -> Any:
        """Run an operation for a caller.

        Raises:
            Forbidden: The caller has not the right that the operation needs.
            MemhostError: What the operation raises; anything unexpected is logged and becomes code `internal`.
        """
        operation = self.operations[name]
        metrics, started, code = self.metrics, perf_counter(), "cancelled"
        metrics.operation_started(name)
        try:
            self.check_access(call.caller, operation.access)
            check_request(request)
            if operation.access != "open":
                await self.tenants.note(call.caller.bounds.tenant, self.clock.now())
            if operation.audited:
                await self.audit.record(call, name, str(getattr(request, operation.audited)))
            with charged_to(payer_within(call.caller.bounds)):
                result = await operation.handler(self, call, request)
            code = "ok"
            if (hits := _hits_of(result)) is not None:
                metrics.search_answered(name, hits)
            return result
        except MemhostError as error:
            code = error.code
            raise
        except Exception as error:  # a fault of ours: the caller gets a code, the log the place
            code = MemhostError.code
            logger.exception(
                "operation.failed",
                extra={"fields": {"operation": name, "request_id": call.request_id}},
            )
            raise MemhostError("The server failed; its log tells why under the request id.") from error
        finally:
            metrics.operation_finished(name, code, perf_counter() - started)

    async def report_plugin(self, name: str) -> PluginReport:
        """All about one plugin, as this process knows it.

        Raises:
            NotFound: There is no such plugin.
        """
        return await report_plugin(name, self.plugins, self.configuration, self.watch, self.store)

    async def readiness(self) -> Readiness:
        """Whether the store answers within a second, and how fast; how models and workers are, and what waits for them.

        Without a worker or a model the server is ready all the same: writes and searches go on, jobs wait.
        """
        now = self.clock.now()

        async def store() -> str:
            await self.store.ping()
            return "answers"

        async def workers() -> str:
            if alive := len(await self.workers.alive()):
                return f"{alive} at work"
            raise Unavailable("No worker has reported within 15 s and jobs wait; start one with: memhost worker")

        async def language_model() -> str:
            return model_told("language_model", self.model_health, now)

        async def embedder() -> str:
            return model_told("embedder", self.model_health, now)

        async def waiting() -> str:
            if (found := await waiting_work(self.store)).jobs:
                raise Unavailable(found.told(now))
            return "nothing waits"

        components = [await component("store", store)]
        if self.has_workers:
            components.append(await component("workers", workers))
        if self.llm is not None:
            components.append(await component("language_model", language_model))
        if not self.embedder.local:
            components.append(await component("embedder", embedder))
        if components[0].ok and not (jobs := await component("waiting_jobs", waiting)).ok:
            components.append(jobs)
        return Readiness(ready=components[0].ok, components=components)


def _lacking(caller: Caller, access: Access) -> str:
    if access == "admin" and caller.roles & ROLES[access]:
        return "Administration concerns the whole tenant; this credential is bound to a part of it."
    return f"This credential has not the right to {access}."


def _hits_of(result: Any) -> int | None:
    """How many hits an answer holds, None if it is not the answer to a search."""
    if isinstance(result, MemoryHits):
        return len(result.memories)
    return len(result.long_term_memories or ()) if isinstance(result, MemoryPrompt) else None


@asynccontextmanager
async def open_host(
    configuration: Configuration,
    plugins: PluginManager,
    *,
    clock: Clock | None = None,
    run_jobs: bool = True,
    worker: bool = False,
    reindex: bool = False,
) -> AsyncIterator[Host]:
    """A running host; everything it opened is closed at the end, in reverse order.

    Args:
        configuration: The settings.
        plugins: The plugins.
        clock: Time; the machine's by default.
        run_jobs: Whether this process runs background jobs, or tells workers of them where the runner has some.
        worker: This process is a worker.
        reindex: Open the store although its vectors are another embedder's, to replace them.

    Raises:
        ConfigurationError: Something selected is not there or cannot be opened.
        Unavailable: The store does not answer.
    """
    anew = configuration.settings.server.reindex
    opener = Opener(configuration, plugins, clock or SystemClock(), reindex=reindex or anew)
    async with AsyncExitStack() as stack:
        parts = await opener.open(stack)
        host = Host(
            configuration=configuration,
            plugins=plugins,
            operations=OperationTable((*core_operations(), *(entry.spec for entry in plugins.operations))),
            store=parts.store,
            embedder=parts.embedder,
            llm=parts.llm,
            authenticator=parts.authenticator,
            attempts=FailedAttempts(configuration.settings.server.auth_failures_per_minute, parts.clock),
            strategies=parts.strategies,
            clock=parts.clock,
            **vars(assemble(parts)),
        )
        loop_watch = LoopWatch(plugins, host.watch, configuration.settings.server.plugin_blocked_s)
        await stack.enter_async_context(loop_watch.watching())
        if run_jobs:
            if anew and not worker:
                await host.schedules.start(EMBED_MEMORIES, host.clock.now())
            runner: JobRunner = await opener.enter(stack, plugins.runners, "runners", host.runner)
            parts.outbox.attach(runner)
            host.jobs.attach(runner)
            if worker or not host.has_workers:
                await host.schedules.start_due(host.clock.now())
                await runner.start(host.dispatcher)
        yield host
