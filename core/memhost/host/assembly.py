"""Puts the services on top of what was opened."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

import msgspec

from memhost.admin.audit import AuditTrail
from memhost.admin.erasure import Erasure
from memhost.consolidation.compaction import CompactionService
from memhost.consolidation.forgetting import ForgettingService
from memhost.consolidation.semantic_duplicates import SemanticDeduplication
from memhost.events import ExtractionDue
from memhost.extraction import PromptPolicy
from memhost.extraction.pipeline.contexts import ExtractionContexts
from memhost.extraction.pipeline.extraction_queue import PendingTurns
from memhost.extraction.pipeline.extractor_calls import Asking
from memhost.extraction.pipeline.immediate import ImmediateExtraction
from memhost.extraction.pipeline.log import ExtractionLogs
from memhost.extraction.pipeline.runs import ExtractionRuns
from memhost.extraction.pipeline.store_drafts import ExtractedMemories
from memhost.extraction.pipeline.strategy_choice import StrategyChoice
from memhost.hooks import Need
from memhost.host.maintenance import core_tasks
from memhost.jobs import (
    Dispatcher,
    JobService,
    Schedules,
    WaitingForModels,
    Workers,
    intervals,
)
from memhost.jobs.maintenance import MaintenanceTasks
from memhost.jobs.outbox import Outbox
from memhost.jobs.tasks import LongWork
from memhost.memories.enrichment import Enrichment
from memhost.memories.job_context import StagedContext
from memhost.memories.missing_vectors import MissingVectors
from memhost.memories.service import MemoryService
from memhost.memories.trash import TrashService
from memhost.metrics import Metrics
from memhost.models import Job, SessionKey
from memhost.plugins import EventHook, PluginManager
from memhost.plugins.health import PluginWatch
from memhost.plugins.request_hooks import RequestHooks
from memhost.ports import Authenticator, Clock, Embedder, LanguageModel, LaterStrategy, Store, Strategy
from memhost.ranking import RankingWeights
from memhost.search.access_tracking import AccessTracker
from memhost.search.memory_prompt import PromptService
from memhost.search.query_rewriting import QueryOptimizer
from memhost.search.retrieval import Retriever
from memhost.search.service import SearchService
from memhost.sessions.extraction_on_request import ExtractionRequests
from memhost.sessions.patch import SessionChanges
from memhost.sessions.running_summary import RunningSummary
from memhost.sessions.service import SessionService
from memhost.sessions.summaries import SessionSummaries
from memhost.sessions.writer import SessionWriter
from memhost.settings import Settings
from memhost.storage.leases import Leases
from memhost.usage.ledger import LateMeter, UsageLedger
from memhost.usage.model_calls import ChargedModel, ModelCalls
from memhost.usage.model_health import ModelHealth
from memhost.usage.reports import UsageReports
from memhost.usage.tenants import Tenants
from memhost.views.model_summarizer import ModelSummaries
from memhost.views.partitions import ViewPartitions
from memhost.views.runs import ViewRuns
from memhost.views.service import ViewService
from memhost.views.summarizer import JoinedTexts


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The opened parts, which close with the stack."""

    stack: AsyncExitStack
    settings: Settings
    weights: RankingWeights
    plugins: PluginManager
    clock: Clock
    outbox: Outbox
    store: Store
    embedder: Embedder
    llm: LanguageModel | None
    health: ModelHealth
    authenticator: Authenticator
    strategies: Mapping[str, Strategy | LaterStrategy]
    meter: LateMeter
    sections: Mapping[str, msgspec.Struct]


@dataclass(kw_only=True)
class Services:
    """The services that operations, interfaces and commands call."""

    sessions: SessionService
    session_changes: SessionChanges
    memories: MemoryService
    search: SearchService
    prompts: PromptService
    extraction: ExtractionRequests
    forgetting: ForgettingService
    compaction: CompactionService
    trash: TrashService
    views: ViewService
    view_runs: ViewRuns
    erasure: Erasure
    audit: AuditTrail
    model_calls: ModelCalls
    model_health: ModelHealth
    usage: UsageLedger
    usage_reports: UsageReports
    jobs: JobService
    workers: Workers
    tenants: Tenants
    schedules: Schedules
    dispatcher: Dispatcher
    metrics: Metrics
    watch: PluginWatch


def assemble(parts: Parts) -> Services:
    """All services of a host."""
    store, embedder, outbox, clock = parts.store, parts.embedder, parts.outbox, parts.clock
    settings, memory = parts.settings, parts.settings.memory
    metrics, tenants, workers = Metrics(), Tenants(store), Workers(store, clock)
    ledger = _ledger(parts, tenants, metrics)
    calls = _calls(parts, ledger, tenants)
    outbox.use(_needs_met(parts))
    watch = PluginWatch(clock, settings.server.plugin_suspend_after, settings.server.plugin_suspend_s)
    metrics.add(watch)
    hooks = _hooks(parts, watch, metrics)
    search = _search(parts, calls, hooks)
    prompts = PromptPolicy(mode=settings.extraction.custom_prompts, approved=settings.extraction.approved_prompts)
    deduplication = SemanticDeduplication(store=store, embedder=embedder, calls=calls, settings=memory)
    extraction = _extraction(parts, calls, hooks, prompts, deduplication)
    summaries = _summaries(parts, calls)
    sessions = _sessions(parts, hooks, extraction, summaries)
    forgetting = ForgettingService(store=store, outbox=outbox, settings=memory, clock=clock)
    leases = Leases(store, clock, settings.server.job_lease_s)
    long_work = LongWork(store=store, leases=leases, tenants=tenants, clock=clock)
    parts.stack.push_async_callback(long_work.aclose)
    compaction = _compaction(parts, deduplication, long_work, leases)
    views = _views(parts, calls, prompts)
    view_runs = ViewRuns(store=store, views=views, outbox=outbox, long_work=long_work, clock=clock)
    maintenance = _maintenance(parts, calls, forgetting, compaction, view_runs, extraction.runs, summaries)
    schedules = Schedules(plugins=parts.plugins, store=store, tenants=tenants, every_s=intervals(settings))
    return Services(
        sessions=sessions,
        session_changes=SessionChanges(sessions, clock),
        memories=_memories(parts, hooks),
        search=search,
        prompts=PromptService(sessions, search, clock),
        extraction=_requests(parts, sessions, extraction),
        forgetting=forgetting,
        compaction=compaction,
        trash=TrashService(store=store, embedder=embedder, outbox=outbox, settings=memory, clock=clock),
        views=views,
        view_runs=view_runs,
        erasure=_erasure(parts, ledger),
        audit=AuditTrail(store, outbox, clock),
        model_calls=calls,
        model_health=parts.health,
        usage=ledger,
        usage_reports=UsageReports(store=store, ledger=ledger, settings=settings.llm, clock=clock),
        jobs=JobService(store=store, workers=workers, clock=clock, plugins=parts.plugins),
        workers=workers,
        tenants=tenants,
        schedules=schedules,
        dispatcher=_dispatcher(parts, calls, hooks, maintenance, schedules, metrics, watch, long_work),
        metrics=metrics,
        watch=watch,
    )


def _hooks(parts: Parts, watch: PluginWatch, metrics: Metrics) -> RequestHooks:
    return RequestHooks(
        plugins=parts.plugins,
        timeout_s=parts.settings.server.hook_timeout_s,
        watch=watch,
        settings=parts.sections,
        metrics=metrics,
    )


def _memories(parts: Parts, hooks: RequestHooks) -> MemoryService:
    return MemoryService(
        store=parts.store,
        embedder=parts.embedder,
        hooks=hooks,
        outbox=parts.outbox,
        settings=parts.settings.memory,
        clock=parts.clock,
    )


def _compaction(
    parts: Parts, deduplication: SemanticDeduplication, long_work: LongWork, leases: Leases
) -> CompactionService:
    return CompactionService(
        store=parts.store,
        outbox=parts.outbox,
        deduplication=deduplication,
        long_work=long_work,
        leases=leases,
        settings=parts.settings.memory,
        clock=parts.clock,
    )


def _erasure(parts: Parts, ledger: UsageLedger) -> Erasure:
    erasure = Erasure(store=parts.store, outbox=parts.outbox, ledger=ledger, clock=parts.clock)
    parts.stack.push_async_callback(erasure.aclose)
    return erasure


def _ledger(parts: Parts, tenants: Tenants, metrics: Metrics) -> UsageLedger:
    ledger = UsageLedger(
        store=parts.store, tenants=tenants, settings=parts.settings.llm, clock=parts.clock, metrics=metrics
    )
    parts.stack.push_async_callback(ledger.aclose)
    parts.meter.bind(ledger.meter)
    return ledger


def _calls(parts: Parts, ledger: UsageLedger, tenants: Tenants) -> ModelCalls:
    waiting = WaitingForModels(store=parts.store, tenants=tenants, outbox=parts.outbox, clock=parts.clock)
    parts.health.on_answer = waiting.answered
    parts.stack.push_async_callback(waiting.aclose)
    return ModelCalls(llm=parts.llm, settings=parts.settings.llm, ledger=ledger, health=parts.health)


def _search(parts: Parts, calls: ModelCalls, hooks: RequestHooks) -> SearchService:
    settings, memory = parts.settings, parts.settings.memory
    access = AccessTracker(parts.store, parts.clock, memory.access_interval_s)
    parts.stack.push_async_callback(access.aclose)
    retriever = Retriever(store=parts.store, embedder=parts.embedder, settings=settings.search, weights=parts.weights)
    optimizer = QueryOptimizer(calls, settings.llm)
    return SearchService(
        store=parts.store,
        retriever=retriever,
        optimizer=optimizer,
        hooks=hooks,
        access=access,
        settings=memory,
        clock=parts.clock,
    )


@dataclass(frozen=True, kw_only=True)
class _Extraction:
    """The parts that extract memories from turns in the background."""

    choice: StrategyChoice
    pending: PendingTurns
    contexts: ExtractionContexts
    extracted: ExtractedMemories
    asking: Asking
    runs: ExtractionRuns


def _extraction(
    parts: Parts,
    calls: ModelCalls,
    hooks: RequestHooks,
    prompts: PromptPolicy,
    deduplication: SemanticDeduplication,
) -> _Extraction:
    store, embedder, outbox, settings = parts.store, parts.embedder, parts.outbox, parts.settings.extraction
    specs = {entry.spec.name: entry.spec for entry in parts.plugins.strategies}
    choice = StrategyChoice(
        strategies=parts.strategies,
        default=parts.settings.memory.default_strategy,
        settings=settings,
        specs=specs,
        prompts=prompts,
    )
    logs = ExtractionLogs(store)
    pending = PendingTurns(store=store, logs=logs, choice=choice, outbox=outbox, settings=settings)
    contexts = ExtractionContexts(store, settings)
    extracted = ExtractedMemories(
        store=store,
        embedder=embedder,
        choice=choice,
        deduplication=deduplication,
        hooks=hooks,
        outbox=outbox,
        settings=settings,
        kept=parts.settings.memory,
    )
    asking = Asking(calls, embedder, settings.extraction_max_tokens)
    runs = ExtractionRuns(
        store=store,
        choice=choice,
        pending=pending,
        logs=logs,
        contexts=contexts,
        asking=asking,
        memories=extracted,
        outbox=outbox,
        settings=settings,
        clock=parts.clock,
    )
    return _Extraction(choice=choice, pending=pending, contexts=contexts, extracted=extracted, asking=asking, runs=runs)


def _summaries(parts: Parts, calls: ModelCalls) -> SessionSummaries:
    running = RunningSummary(calls, parts.settings.llm)
    summaries = SessionSummaries(
        store=parts.store, summary=running, outbox=parts.outbox, settings=parts.settings.memory, clock=parts.clock
    )
    parts.stack.push_async_callback(summaries.aclose)
    return summaries


def _views(parts: Parts, calls: ModelCalls, prompts: PromptPolicy) -> ViewService:
    summarizer = ModelSummaries(calls, parts.settings.llm) if calls.available else JoinedTexts()
    partitions = ViewPartitions(parts.store, summarizer, parts.clock)
    return ViewService(
        store=parts.store, partitions=partitions, prompts=prompts, settings=parts.settings.memory, clock=parts.clock
    )


def _requests(parts: Parts, sessions: SessionService, extraction: _Extraction) -> ExtractionRequests:
    return ExtractionRequests(
        sessions=sessions,
        choice=extraction.choice,
        runs=extraction.runs,
        contexts=extraction.contexts,
        memories=extraction.extracted,
        asking=extraction.asking,
        settings=parts.settings,
        clock=parts.clock,
    )


def _sessions(
    parts: Parts, hooks: RequestHooks, extraction: _Extraction, summaries: SessionSummaries
) -> SessionService:
    store, memory, clock = parts.store, parts.settings.memory, parts.clock
    choice, pending = extraction.choice, extraction.pending
    immediate = ImmediateExtraction(choice, index_messages=memory.index_all_messages)
    writer = SessionWriter(
        store=store,
        embedder=parts.embedder,
        extraction=immediate,
        choice=choice,
        pending=pending,
        summaries=summaries,
        hooks=hooks,
        outbox=parts.outbox,
        settings=memory,
        clock=clock,
    )
    return SessionService(
        store=store,
        writer=writer,
        summaries=summaries,
        pending=pending,
        extraction=extraction.runs,
        settings=memory,
        clock=clock,
    )


def _maintenance(parts: Parts, calls: ModelCalls, *services: object) -> MaintenanceTasks:
    """The tasks of core and plugins, with these services and those that nothing but tasks uses."""
    store, embedder, outbox, clock = parts.store, parts.embedder, parts.outbox, parts.clock
    vectors = MissingVectors(store=store, embedder=embedder, outbox=outbox, clock=clock)
    enrichment = Enrichment(store=store, calls=calls, outbox=outbox, settings=parts.settings.extraction, clock=clock)
    return MaintenanceTasks(
        core_tasks(),
        parts.plugins.maintenance_tasks,
        services=(*services, vectors, enrichment),
        sections=parts.sections,
    )


def _needs_met(parts: Parts) -> list[Need]:
    """Which of the models that hooks may need are configured."""
    found: list[Need] = [] if parts.llm is None else ["language_model"]
    return found if parts.embedder.local else [*found, "remote_embedder"]


def _dispatcher(
    parts: Parts,
    calls: ModelCalls,
    hooks: RequestHooks,
    maintenance: MaintenanceTasks,
    schedules: Schedules,
    metrics: Metrics,
    watch: PluginWatch,
    long_work: LongWork,
) -> Dispatcher:
    def make_context(job: Job, hook: EventHook) -> StagedContext:
        context = StagedContext(
            job=job,
            store=parts.store,
            embedder=parts.embedder,
            llm=ChargedModel(calls, SessionKey(job.tenant, "", "", "")) if calls.available else None,
            hooks=hooks,
            outbox=parts.outbox,
            extractor=f"{hook.plugin}/{hook.version}",
            now=parts.clock.now(),
            settings=parts.settings,
            tasks=maintenance,
        )
        context.plugin_settings = parts.sections.get(hook.plugin)
        return context

    async def given_up(job: Job, reason: str) -> None:
        await maintenance.service(ViewRuns).given_up(job, reason)
        if job.event == "extraction_due":
            event = msgspec.msgpack.decode(job.payload, type=ExtractionDue)
            await maintenance.service(ExtractionRuns).given_up(event.session, reason)

    return Dispatcher(
        store=parts.store,
        plugins=parts.plugins,
        settings=parts.settings.server,
        clock=parts.clock,
        make_context=make_context,
        schedules=schedules,
        outbox=parts.outbox,
        watch=watch,
        metrics=metrics,
        given_up=given_up,
        sweep=long_work.settle,
    )
