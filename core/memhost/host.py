"""The host: settings and plugins become a running server, which interfaces and commands use."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import msgspec

from memhost.errors import ConfigurationError, Forbidden, MemhostError, Unauthorized, Unavailable
from memhost.jobs import Dispatcher, JobService, Schedules, StagedContext, Tenants, intervals
from memhost.metrics import Metrics
from memhost.models import Caller, Job
from memhost.operations import Call, Operation, OperationTable, core_operations
from memhost.operations.responses import ComponentHealth, MemoryHits, MemoryPrompt, Readiness
from memhost.plugins import EventHook, PluginManager, Registry
from memhost.ports import (
    Authenticator,
    Clock,
    Credentials,
    Embedder,
    JobRunner,
    LanguageModel,
    Store,
    Strategy,
    SystemClock,
)
from memhost.ranking import RankingWeights
from memhost.services.access import AccessTracker
from memhost.services.compaction import CompactionService
from memhost.services.extraction import ImmediateExtraction
from memhost.services.forgetting import ForgettingService
from memhost.services.hooks import RequestHooks
from memhost.services.memories import MemoryService
from memhost.services.outbox import Outbox
from memhost.services.prompts import PromptService
from memhost.services.retrieval import Retriever
from memhost.services.search import SearchService
from memhost.services.session_writes import SessionWriter
from memhost.services.sessions import SessionService
from memhost.services.summaries import JoinedTexts
from memhost.services.upkeep import TenantUpkeep
from memhost.services.view_runs import ViewRuns
from memhost.services.views import ViewService
from memhost.settings import Configuration, Settings
from memhost.specs import OpenContext

logger = logging.getLogger(__name__)

ROLES: dict[str, frozenset[str]] = {
    "read": frozenset({"reader", "writer", "operator", "admin"}),
    "write": frozenset({"writer", "operator", "admin"}),
    "delete": frozenset({"writer", "operator", "admin"}),
    "admin": frozenset({"operator", "admin"}),
}
"""Roles that hold each right."""


@dataclass(kw_only=True)
class Host:
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
    strategies: Mapping[str, Strategy]
    clock: Clock
    sessions: SessionService
    memories: MemoryService
    search: SearchService
    prompts: PromptService
    forgetting: ForgettingService
    compaction: CompactionService
    views: ViewService
    view_runs: ViewRuns
    jobs: JobService
    tenants: Tenants
    schedules: Schedules
    dispatcher: Dispatcher
    metrics: Metrics = field(default_factory=Metrics)

    @property
    def settings(self) -> Settings:
        """The host's own settings."""
        return self.configuration.settings

    async def authenticate(self, credentials: Credentials) -> Caller:
        """The caller behind the credentials.

        Raises:
            Unauthorized: The provider does not let them in, for whatever reason.
            Unavailable: The provider cannot tell now.
        """
        try:
            return await self.authenticator.authenticate(credentials)
        except (Unauthorized, Unavailable):
            raise
        except Exception as error:
            # A provider that fails in an unexpected way lets nobody in.
            logger.exception("auth.failed")
            raise Unauthorized("The credentials could not be checked.") from error

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
            _check_access(operation, call.caller)
            if operation.access != "open":
                await self.tenants.note(call.caller.bounds.tenant, self.clock.now())
            result = await operation.handler(self, call, request)
            code = "ok"
            if (hits := _hits_of(result)) is not None:
                metrics.search_answered(name, hits)
            return result
        except MemhostError as error:
            code = error.code
            raise
        except Exception as error:
            code = MemhostError.code
            logger.exception(
                "operation.failed",
                extra={"fields": {"operation": name, "request_id": call.request_id}},
            )
            raise MemhostError("The server failed; its log tells why under the request id.") from error
        finally:
            metrics.operation_finished(name, code, perf_counter() - started)

    async def readiness(self) -> Readiness:
        """Whether the store answers within a second, and how fast."""
        started = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(1.0):
                await self.store.ping()
            ok, detail = True, "answers"
        except TimeoutError:
            ok, detail = False, "does not answer within 1 s"
        except MemhostError as error:
            ok, detail = False, error.message
        latency = (asyncio.get_running_loop().time() - started) * 1000
        return Readiness(
            ready=ok,
            components=[ComponentHealth(name="store", ok=ok, detail=detail, latency_ms=round(latency, 3))],
        )


def _check_access(operation: Operation, caller: Caller) -> None:
    if operation.access != "open" and not caller.roles & ROLES[operation.access]:
        raise Forbidden(f"This credential has not the right to {operation.access}.")


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
    reindex: bool = False,
) -> AsyncIterator[Host]:
    """A running host; everything it opened is closed at the end, in reverse order.

    Args:
        configuration: The settings.
        plugins: The plugins.
        clock: Time; the machine's by default.
        run_jobs: Whether this process runs background jobs.
        reindex: Open the store although its vectors are another embedder's, to replace them.

    Raises:
        ConfigurationError: Something selected is not there or cannot be opened.
        Unavailable: The store does not answer.
    """
    opener = _Opener(configuration, plugins, clock or SystemClock(), reindex=reindex)
    async with AsyncExitStack() as stack:
        host = await opener.build(stack)
        if run_jobs:
            runner: JobRunner = await opener.enter(
                stack,
                plugins.runners,
                "runners",
                _auto(configuration.settings.server.runner, "inline"),
            )
            opener.outbox.attach(runner)
            host.jobs = JobService(host.store, runner, host.clock)
            await host.schedules.start_due(host.clock.now())
            await runner.start(host.dispatcher)
        yield host


class _Opener:
    """Opens what the configuration selects."""

    def __init__(self, configuration: Configuration, plugins: PluginManager, clock: Clock, *, reindex: bool) -> None:
        self._configuration = configuration
        self._plugins = plugins
        self._clock = clock
        self._reindex = reindex
        self._data_dir = configuration.data_dir
        self._context = OpenContext(data_dir=self._data_dir, clock=clock, reindex=reindex)
        self.outbox = Outbox(plugins)

    async def build(self, stack: AsyncExitStack) -> Host:
        """Open store, models and auth, and put the services on top of them."""
        settings = self._configuration.settings
        plugins = self._plugins
        self._make_data_dir()
        authenticator: Authenticator = await self.enter(stack, plugins.auth_providers, "auth", settings.server.auth)
        embedder: Embedder = await self.enter(stack, plugins.embedders, "models", settings.server.embedder)
        self._context = msgspec.structs.replace(self._context, embedder=embedder.name, dimensions=embedder.dimensions)
        llm: LanguageModel | None = None
        if settings.server.llm != "none":
            llm = await self.enter(stack, plugins.language_models, "models", settings.server.llm)
        store: Store = await self.enter(stack, plugins.stores, "stores", _auto(settings.server.store, "sqlite"))
        return await self._assemble(stack, authenticator, embedder, llm, store)

    async def _assemble(
        self,
        stack: AsyncExitStack,
        authenticator: Authenticator,
        embedder: Embedder,
        llm: LanguageModel | None,
        store: Store,
    ) -> Host:
        settings, plugins, clock = self._configuration.settings, self._plugins, self._clock
        strategies = {
            entry.spec.name: entry.spec.build(self._configuration.section("strategies", entry.spec.name))
            for entry in plugins.strategies
            if llm is not None or not entry.spec.needs_model
        }
        metrics = Metrics()
        hooks = RequestHooks(plugins, settings.server.hook_timeout_s, metrics)
        access = AccessTracker(store, clock, settings.memory.access_interval_s)
        stack.push_async_callback(access.aclose)
        extraction = ImmediateExtraction(strategies, index_messages=settings.memory.index_all_messages)
        retriever = Retriever(store, embedder, settings.search, self._weights())
        writer = SessionWriter(store, embedder, extraction, hooks, self.outbox, settings.memory, clock)
        sessions = SessionService(store, writer, settings.memory, clock)
        search = SearchService(store, retriever, hooks, access, settings.memory, clock)
        forgetting = ForgettingService(store, self.outbox, settings.memory, clock)
        compaction = CompactionService(store, self.outbox, settings.memory, clock)
        views = ViewService(store, JoinedTexts(), settings.memory, clock)
        view_runs = ViewRuns(store, views, self.outbox, clock)

        def make_context(job: Job, hook: EventHook) -> StagedContext:
            extractor = f"{hook.plugin}/{hook.version}"
            upkeep = TenantUpkeep(job.tenant, forgetting, compaction, view_runs)
            return StagedContext(
                job, store, embedder, llm, hooks, self.outbox, extractor, clock.now(), settings, upkeep
            )

        tenants = Tenants(store)
        schedules = Schedules(plugins, store, tenants, intervals(settings))
        return Host(
            configuration=self._configuration,
            plugins=plugins,
            operations=core_operations(),
            store=store,
            embedder=embedder,
            llm=llm,
            authenticator=authenticator,
            strategies=strategies,
            clock=clock,
            sessions=sessions,
            memories=MemoryService(store, embedder, hooks, self.outbox, settings.memory, clock),
            search=search,
            prompts=PromptService(sessions, search, clock),
            forgetting=forgetting,
            compaction=compaction,
            views=views,
            view_runs=view_runs,
            jobs=JobService(store, None, clock),
            tenants=tenants,
            schedules=schedules,
            dispatcher=Dispatcher(
                store,
                plugins,
                settings.server,
                clock,
                make_context,
                schedules,
                self.outbox,
                metrics,
                view_runs.given_up,
            ),
            metrics=metrics,
        )

    async def enter(self, stack: AsyncExitStack, registry: Registry[Any], section: str, name: str) -> Any:
        """Open the selected spec of a kind for the life of the stack."""
        entry = registry.get(name)
        if entry is None:
            raise ConfigurationError(self._plugins.explain_missing(registry, name))
        settings = self._configuration.section(section, name)
        return await stack.enter_async_context(entry.spec.open(settings, self._context))

    def _weights(self) -> RankingWeights:
        try:
            return msgspec.convert(self._configuration.settings.search.weights, RankingWeights)
        except msgspec.ValidationError as error:
            names = ", ".join(RankingWeights.__struct_fields__)
            raise ConfigurationError(f"search.weights: {error}. Its names are: {names}.") from error

    def _make_data_dir(self) -> None:
        try:
            self._data_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"The data folder {self._data_dir} cannot be made ({error.strerror}); name another with --data."
            ) from error


def _auto(name: str, default: str) -> str:
    return default if name == "auto" else name
