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
from memhost.host.maintenance import TenantUpkeep, UpkeepServices
from memhost.jobs import (
    Dispatcher,
    JobService,
    Schedules,
    WaitingForModels,
    Workers,
    intervals,
)
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
    """What was opened, and closes with the stack."""

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
    """What operations, interfaces and commands call."""

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
    hooks = RequestHooks(parts.plugins, settings.server.hook_timeout_s, watch, parts.sections, metrics)
    search = _search(parts, calls, hooks)
    prompts = PromptPolicy(mode=settings.extraction.custom_prompts, approved=settings.extraction.approved_prompts)
    deduplication = SemanticDeduplication(store, embedder, calls, memory)
    extraction = _extraction(parts, calls, hooks, prompts, deduplication)
    summaries = _summaries(parts, calls)
    sessions = _sessions(parts, hooks, extraction, summaries)
    forgetting = ForgettingService(store, outbox, memory, clock)
    leases = Leases(store, clock, settings.server.job_lease_s)
    long_work = LongWork(store, leases, tenants, clock)
    parts.stack.push_async_callback(long_work.aclose)
    compaction = CompactionService(store, outbox, deduplication, long_work, leases, memory, clock)
    views = _views(parts, calls, prompts)
    view_runs = ViewRuns(store, views, outbox, long_work, clock)
    upkeep = UpkeepServices(
        forgetting=forgetting,
        compaction=compaction,
        views=view_runs,
        extraction=extraction.runs,
        summaries=summaries,
        vectors=MissingVectors(store, embedder, outbox, clock),
        enrichment=Enrichment(store, calls, outbox, settings.extraction, clock),
    )
    schedules = Schedules(parts.plugins, store, tenants, intervals(settings))
    return Services(
        sessions=sessions,
        session_changes=SessionChanges(sessions, clock),
        memories=MemoryService(store, embedder, hooks, outbox, memory, clock),
        search=search,
        prompts=PromptService(sessions, search, clock),
        extraction=_requests(parts, sessions, extraction),
        forgetting=forgetting,
        compaction=compaction,
        trash=TrashService(store, embedder, outbox, memory, clock),
        views=views,
        view_runs=view_runs,
        erasure=_erasure(parts, ledger),
        audit=AuditTrail(store, outbox, clock),
        model_calls=calls,
        model_health=parts.health,
        usage=ledger,
        usage_reports=UsageReports(store, ledger, settings.llm, clock),
        jobs=JobService(store, workers, clock, parts.plugins),
        workers=workers,
        tenants=tenants,
        schedules=schedules,
        dispatcher=_dispatcher(parts, calls, hooks, upkeep, schedules, metrics, watch, long_work),
        metrics=metrics,
        watch=watch,
    )


def _erasure(parts: Parts, ledger: UsageLedger) -> Erasure:
    erasure = Erasure(parts.store, parts.outbox, ledger, parts.clock)
    parts.stack.push_async_callback(erasure.aclose)
    return erasure


def _ledger(parts: Parts, tenants: Tenants, metrics: Metrics) -> UsageLedger:
    ledger = UsageLedger(parts.store, tenants, parts.settings.llm, parts.clock, metrics)
    parts.stack.push_async_callback(ledger.aclose)
    parts.meter.bind(ledger.meter)
    return ledger


def _calls(parts: Parts, ledger: UsageLedger, tenants: Tenants) -> ModelCalls:
    waiting = WaitingForModels(parts.store, tenants, parts.outbox, parts.clock)
    parts.health.on_answer = waiting.answered
    parts.stack.push_async_callback(waiting.aclose)
    return ModelCalls(parts.llm, parts.settings.llm, ledger, parts.health)


def _search(parts: Parts, calls: ModelCalls, hooks: RequestHooks) -> SearchService:
    settings, memory = parts.settings, parts.settings.memory
    access = AccessTracker(parts.store, parts.clock, memory.access_interval_s)
    parts.stack.push_async_callback(access.aclose)
    retriever = Retriever(parts.store, parts.embedder, settings.search, parts.weights)
    optimizer = QueryOptimizer(calls, settings.llm)
    return SearchService(parts.store, retriever, optimizer, hooks, access, memory, parts.clock)


@dataclass(frozen=True, kw_only=True)
class _Extraction:
    """What makes memories of turns in the background."""

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
    choice = StrategyChoice(parts.strategies, parts.settings.memory.default_strategy, settings, specs, prompts)
    logs = ExtractionLogs(store)
    pending = PendingTurns(store, logs, choice, outbox, settings)
    contexts = ExtractionContexts(store, settings)
    extracted = ExtractedMemories(
        store, embedder, choice, deduplication, hooks, outbox, settings, parts.settings.memory
    )
    asking = Asking(calls, embedder, settings.extraction_max_tokens)
    runs = ExtractionRuns(store, choice, pending, logs, contexts, asking, extracted, outbox, settings, parts.clock)
    return _Extraction(choice=choice, pending=pending, contexts=contexts, extracted=extracted, asking=asking, runs=runs)


def _summaries(parts: Parts, calls: ModelCalls) -> SessionSummaries:
    running = RunningSummary(calls, parts.settings.llm)
    summaries = SessionSummaries(parts.store, running, parts.outbox, parts.settings.memory, parts.clock)
    parts.stack.push_async_callback(summaries.aclose)
    return summaries


def _views(parts: Parts, calls: ModelCalls, prompts: PromptPolicy) -> ViewService:
    summarizer = ModelSummaries(calls, parts.settings.llm) if calls.available else JoinedTexts()
    partitions = ViewPartitions(parts.store, summarizer, parts.clock)
    return ViewService(parts.store, partitions, prompts, parts.settings.memory, parts.clock)


def _requests(parts: Parts, sessions: SessionService, extraction: _Extraction) -> ExtractionRequests:
    return ExtractionRequests(
        sessions,
        extraction.choice,
        extraction.runs,
        extraction.contexts,
        extraction.extracted,
        extraction.asking,
        parts.settings,
        parts.clock,
    )


def _sessions(
    parts: Parts, hooks: RequestHooks, extraction: _Extraction, summaries: SessionSummaries
) -> SessionService:
    store, memory, clock = parts.store, parts.settings.memory, parts.clock
    choice, pending = extraction.choice, extraction.pending
    immediate = ImmediateExtraction(choice, index_messages=memory.index_all_messages)
    writer = SessionWriter(
        store, parts.embedder, immediate, choice, pending, summaries, hooks, parts.outbox, memory, clock
    )
    return SessionService(store, writer, summaries, pending, extraction.runs, memory, clock)


def _needs_met(parts: Parts) -> list[Need]:
    """Which of the models that hooks may need are configured."""
    found: list[Need] = [] if parts.llm is None else ["language_model"]
    return found if parts.embedder.local else [*found, "remote_embedder"]


def _dispatcher(
    parts: Parts,
    calls: ModelCalls,
    hooks: RequestHooks,
    upkeep: UpkeepServices,
    schedules: Schedules,
    metrics: Metrics,
    watch: PluginWatch,
    long_work: LongWork,
) -> Dispatcher:
    def make_context(job: Job, hook: EventHook) -> StagedContext:
        context = StagedContext(
            job,
            parts.store,
            parts.embedder,
            ChargedModel(calls, SessionKey(job.tenant, "", "", "")) if calls.available else None,
            hooks,
            parts.outbox,
            f"{hook.plugin}/{hook.version}",
            parts.clock.now(),
            parts.settings,
            TenantUpkeep(job.tenant, upkeep),
        )
        context.plugin_settings = parts.sections.get(hook.plugin)
        return context

    async def given_up(job: Job, reason: str) -> None:
        await upkeep.views.given_up(job, reason)
        if job.event == "extraction_due":
            event = msgspec.msgpack.decode(job.payload, type=ExtractionDue)
            await upkeep.extraction.given_up(event.session, reason)

    return Dispatcher(
        parts.store,
        parts.plugins,
        parts.settings.server,
        parts.clock,
        make_context,
        schedules,
        parts.outbox,
        watch,
        metrics,
        given_up,
        long_work.settle,
    )
