"""Puts the services on top of what was opened."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from memhost.admin.audit import AuditTrail
from memhost.admin.erasure import Erasure
from memhost.admin.user_export import UserExports
from memhost.consolidation.compaction import CompactionService
from memhost.consolidation.forgetting import ForgettingService
from memhost.consolidation.semantic_duplicates import SemanticDeduplication
from memhost.context.memory_prompt import PromptService
from memhost.context.service import ContextService
from memhost.context.standing import Standing
from memhost.events import ExtractionDue
from memhost.extraction import PromptPolicy
from memhost.extraction.pipeline.immediate import ImmediateExtraction
from memhost.extraction.pipeline.rebuild import Rebuilding
from memhost.extraction.pipeline.runs import ExtractionRuns
from memhost.history.last_verification import IntegrityState
from memhost.history.retention import Retention
from memhost.history.rewriting import Rewriting
from memhost.history.verifying import Verifying
from memhost.history.versions import Versions
from memhost.hooks import Need
from memhost.host.extraction_parts import (
    ExtractionParts,
    chains,
    extraction_parts,
    make_cascade,
    rebuilding,
    requests,
    waiting_turns,
)
from memhost.host.maintenance import core_tasks
from memhost.host.resources import Resources
from memhost.jobs import (
    Dispatcher,
    JobService,
    Schedules,
    WaitingForModels,
    Workers,
    intervals,
)
from memhost.jobs.maintenance import MaintenanceTasks
from memhost.jobs.tasks import LongWork
from memhost.memories.derived.cascade import Cascade
from memhost.memories.derived.chain import Chains
from memhost.memories.enrichment import Enrichment
from memhost.memories.job_context import StagedContext
from memhost.memories.missing_vectors import MissingVectors
from memhost.memories.review.service import ReviewService
from memhost.memories.review.waiting import Waiting
from memhost.memories.service import MemoryService
from memhost.memories.trash import TrashService
from memhost.metrics import Metrics
from memhost.models import Job, SessionKey
from memhost.plugins import EventHook
from memhost.plugins.health import PluginWatch
from memhost.plugins.request_hooks import RequestHooks
from memhost.profile.service import ProfileService
from memhost.search.access_tracking import AccessTracker
from memhost.search.query_rewriting import QueryOptimizer
from memhost.search.reranking import Reranking
from memhost.search.retrieval import Retriever
from memhost.search.service import SearchService
from memhost.secrets import Masker
from memhost.sessions.extraction_on_request import ExtractionRequests
from memhost.sessions.patch import SessionChanges
from memhost.sessions.running_summary import RunningSummary
from memhost.sessions.service import SessionService
from memhost.sessions.summaries import SessionSummaries
from memhost.sessions.writer import SessionWriter
from memhost.settings.addresses import is_loopback
from memhost.storage.leases import Leases
from memhost.usage.ledger import UsageLedger
from memhost.usage.model_calls import ChargedModel, ModelCalls
from memhost.usage.model_health import ModelHealth
from memhost.usage.quotas import Quotas
from memhost.usage.reports import UsageReports
from memhost.usage.tenants import Tenants
from memhost.views.model_summarizer import ModelSummaries
from memhost.views.partitions import ViewPartitions
from memhost.views.runs import ViewRuns
from memhost.views.service import ViewService
from memhost.views.summarizer import JoinedTexts


@dataclass(kw_only=True)
class Services:
    """The services that operations, interfaces and commands call."""

    sessions: SessionService
    session_changes: SessionChanges
    memories: MemoryService
    quotas: Quotas
    chains: Chains
    search: SearchService
    prompts: PromptService
    context: ContextService
    profile: ProfileService
    extraction: ExtractionRequests
    forgetting: ForgettingService
    compaction: CompactionService
    rebuilding: Rebuilding
    trash: TrashService
    versions: Versions
    verifying: Verifying
    reviews: ReviewService
    views: ViewService
    view_runs: ViewRuns
    erasure: Erasure
    user_exports: UserExports
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
    secrets: Masker


def assemble(resources: Resources) -> Services:
    """All services of a host."""
    store, embedder, outbox, clock = resources.store, resources.embedder, resources.outbox, resources.clock
    settings, memory = resources.settings, resources.settings.memory
    metrics, tenants, workers = Metrics(), Tenants(store), Workers(store, clock)
    resources.tampered.metrics, ledger = metrics, _ledger(resources, tenants, metrics)
    calls, watch = _calls(resources, ledger, tenants), _watch(resources, metrics)
    hooks, quotas = _hooks(resources, watch, metrics), _quotas(resources)
    search, summaries = _search(resources, calls, hooks, metrics), _summaries(resources, calls)
    prompts = PromptPolicy(mode=settings.extraction.custom_prompts, approved=settings.extraction.approved_prompts)
    deduplication = SemanticDeduplication(store=store, embedder=embedder, calls=calls, settings=memory)
    queue, views = waiting_turns(resources, prompts), _views(resources, calls, prompts)
    cascade, held = make_cascade(resources, queue), _held(resources, metrics)
    extraction = extraction_parts(resources, calls, hooks, queue, cascade, deduplication, held)
    sessions = _sessions(resources, hooks, extraction, summaries, cascade, held, quotas)
    forgetting, reviews = _forgetting(resources), _reviews(resources, cascade, held, metrics)
    leases = Leases(store, clock, settings.server.job_lease_s)
    long_work = _long_work(resources, leases, tenants)
    compaction = _compaction(resources, deduplication, cascade, held, long_work, leases)
    view_runs = ViewRuns(store=store, views=views, outbox=outbox, long_work=long_work, clock=clock)
    maintenance = _maintenance(resources, calls, forgetting, compaction, view_runs, extraction.runs, summaries, reviews)
    trash, profile = _trash(resources), _profile(resources)
    memory_prompts, context = _reading(resources, sessions, search, profile)
    schedules = Schedules(plugins=resources.plugins, store=store, tenants=tenants, every_s=intervals(settings))
    return Services(
        sessions=sessions,
        session_changes=SessionChanges(sessions, clock),
        memories=_memories(resources, hooks, cascade, held, quotas),
        quotas=quotas,
        reviews=reviews,
        chains=chains(resources),
        search=search,
        prompts=memory_prompts,
        context=context,
        profile=profile,
        extraction=requests(resources, sessions, extraction),
        forgetting=forgetting,
        compaction=compaction,
        rebuilding=rebuilding(resources, queue, cascade, long_work),
        trash=trash,
        versions=_versions(resources, hooks, cascade, held, quotas),
        verifying=_verifying(resources),
        views=views,
        view_runs=view_runs,
        erasure=_erasure(resources, ledger),
        user_exports=UserExports(store=store, ledger=ledger, profile=profile, settings=memory, clock=clock),
        audit=AuditTrail(store, outbox, clock, resources.keys),
        model_calls=calls,
        model_health=resources.health,
        usage=ledger,
        usage_reports=_usage_reports(resources, ledger, quotas, reviews),
        jobs=JobService(store=store, workers=workers, clock=clock, plugins=resources.plugins),
        workers=workers,
        tenants=tenants,
        schedules=schedules,
        dispatcher=_dispatcher(resources, calls, hooks, held, maintenance, schedules, metrics, watch, long_work),
        metrics=metrics,
        watch=watch,
        secrets=resources.secrets,
    )


def _usage_reports(resources: Resources, ledger: UsageLedger, quotas: Quotas, reviews: ReviewService) -> UsageReports:
    return UsageReports(
        store=resources.store,
        ledger=ledger,
        quotas=quotas,
        reviews=reviews.counts.of if resources.settings.memory.long_term_memory else None,
        settings=resources.settings.llm,
        clock=resources.clock,
    )


def _trash(resources: Resources) -> TrashService:
    return TrashService(
        store=resources.store,
        embedder=resources.embedder,
        outbox=resources.outbox,
        settings=resources.settings.memory,
        clock=resources.clock,
    )


def _watch(resources: Resources, metrics: Metrics) -> PluginWatch:
    server = resources.settings.server
    operations = {entry.spec.name: entry.plugin for entry in resources.plugins.operations}
    watch = PluginWatch(resources.clock, server.plugin_suspend_after, server.plugin_suspend_s, operations)
    metrics.add(watch)
    return watch


def _hooks(resources: Resources, watch: PluginWatch, metrics: Metrics) -> RequestHooks:
    return RequestHooks(
        plugins=resources.plugins,
        timeout_s=resources.settings.server.hook_timeout_s,
        watch=watch,
        settings=resources.sections,
        metrics=metrics,
        masker=resources.secrets,
    )


def _long_work(resources: Resources, leases: Leases, tenants: Tenants) -> LongWork:
    long_work = LongWork(store=resources.store, leases=leases, tenants=tenants, clock=resources.clock)
    resources.stack.push_async_callback(long_work.aclose)
    return long_work


def _quotas(resources: Resources) -> Quotas:
    server = resources.settings.server
    quotas = Quotas(
        store=resources.store,
        settings=resources.settings.quotas,
        private=resources.authenticator.open and is_loopback(server.host),
        clock=resources.clock,
    )
    resources.stack.push_async_callback(quotas.aclose)
    return quotas


def _memories(
    resources: Resources, hooks: RequestHooks, cascade: Cascade, held: Waiting, quotas: Quotas
) -> MemoryService:
    return MemoryService(
        store=resources.store,
        embedder=resources.embedder,
        hooks=hooks,
        cascade=cascade,
        held=held,
        quotas=quotas,
        outbox=resources.outbox,
        settings=resources.settings.memory,
        clock=resources.clock,
    )


def _forgetting(resources: Resources) -> ForgettingService:
    return ForgettingService(
        store=resources.store, outbox=resources.outbox, settings=resources.settings.memory, clock=resources.clock
    )


def _held(resources: Resources, metrics: Metrics) -> Waiting:
    settings = resources.settings.memory
    return Waiting(store=resources.store, outbox=resources.outbox, settings=settings, metrics=metrics)


def _reviews(resources: Resources, cascade: Cascade, held: Waiting, metrics: Metrics) -> ReviewService:
    return ReviewService(
        store=resources.store,
        embedder=resources.embedder,
        waiting=held,
        cascade=cascade,
        outbox=resources.outbox,
        metrics=metrics,
        settings=resources.settings.memory,
        clock=resources.clock,
    )


def _versions(resources: Resources, hooks: RequestHooks, cascade: Cascade, held: Waiting, quotas: Quotas) -> Versions:
    rewriting = Rewriting(
        store=resources.store,
        embedder=resources.embedder,
        hooks=hooks,
        cascade=cascade,
        outbox=resources.outbox,
        quotas=quotas,
        held=held,
        clock=resources.clock,
    )
    versions = Versions(store=resources.store, rewriting=rewriting, settings=resources.settings.memory)
    resources.stack.push_async_callback(versions.aclose)
    return versions


def _profile(resources: Resources) -> ProfileService:
    return ProfileService(
        store=resources.store,
        settings=resources.settings.memory,
        clock=resources.clock,
        has_model=resources.llm is not None,
    )


def _verifying(resources: Resources) -> Verifying:
    state = IntegrityState(store=resources.store, watch=resources.tampered, clock=resources.clock)
    return Verifying(store=resources.store, keys=resources.keys, heads=resources.heads, state=state)


def _compaction(
    resources: Resources,
    deduplication: SemanticDeduplication,
    cascade: Cascade,
    held: Waiting,
    long_work: LongWork,
    leases: Leases,
) -> CompactionService:
    return CompactionService(
        store=resources.store,
        outbox=resources.outbox,
        deduplication=deduplication,
        cascade=cascade,
        reviews=held,
        long_work=long_work,
        leases=leases,
        settings=resources.settings.memory,
        clock=resources.clock,
    )


def _erasure(resources: Resources, ledger: UsageLedger) -> Erasure:
    erasure = Erasure(
        store=resources.store, outbox=resources.outbox, ledger=ledger, clock=resources.clock, keys=resources.keys
    )
    resources.stack.push_async_callback(erasure.aclose)
    return erasure


def _ledger(resources: Resources, tenants: Tenants, metrics: Metrics) -> UsageLedger:
    ledger = UsageLedger(
        store=resources.store, tenants=tenants, settings=resources.settings.llm, clock=resources.clock, metrics=metrics
    )
    resources.stack.push_async_callback(ledger.aclose)
    resources.meter.bind(ledger.meter)
    return ledger


def _calls(resources: Resources, ledger: UsageLedger, tenants: Tenants) -> ModelCalls:
    resources.outbox.use(_needs_met(resources))
    waiting = WaitingForModels(store=resources.store, tenants=tenants, outbox=resources.outbox, clock=resources.clock)
    resources.health.on_answer = waiting.answered
    resources.stack.push_async_callback(waiting.aclose)
    return ModelCalls(
        llm=resources.llm,
        settings=resources.settings.llm,
        ledger=ledger,
        health=resources.health,
        masker=resources.secrets,
    )


def _search(resources: Resources, calls: ModelCalls, hooks: RequestHooks, metrics: Metrics) -> SearchService:
    settings, memory = resources.settings, resources.settings.memory
    access = AccessTracker(resources.store, resources.clock, memory.access_interval_s)
    resources.stack.push_async_callback(access.aclose)
    reranking = None
    if resources.reranker is not None:
        reranking = Reranking(
            reranker=resources.reranker,
            settings=settings.search,
            health=resources.health,
            metrics=metrics,
            clock=resources.clock,
        )
    retriever = Retriever(
        store=resources.store,
        embedder=resources.embedder,
        reranking=reranking,
        settings=settings.search,
        weights=resources.weights,
        digests=frozenset(entry.spec.name for entry in resources.plugins.strategies if entry.spec.digests),
    )
    optimizer = QueryOptimizer(calls, settings.llm)
    return SearchService(
        store=resources.store,
        retriever=retriever,
        optimizer=optimizer,
        hooks=hooks,
        access=access,
        settings=memory,
        clock=resources.clock,
        zone=settings.extraction.default_timezone,
    )


def _reading(
    resources: Resources, sessions: SessionService, search: SearchService, profile: ProfileService
) -> tuple[PromptService, ContextService]:
    """Return what agents read: memory prompts and contexts."""
    store, clock, settings = resources.store, resources.clock, resources.settings
    zone, standing = settings.extraction.default_timezone, Standing(profile, clock)
    prompts = PromptService(
        store=store,
        sessions=sessions,
        search=search,
        clock=clock,
        least=settings.memory.context_min_trust,
        zone=zone,
        standing=standing,
    )
    context = ContextService(
        store=store,
        search=search,
        sessions=sessions,
        settings=settings.memory,
        clock=clock,
        zone=zone,
        standing=standing,
    )
    return prompts, context


def _summaries(resources: Resources, calls: ModelCalls) -> SessionSummaries:
    running = RunningSummary(calls, resources.settings.llm)
    summaries = SessionSummaries(
        store=resources.store,
        summary=running,
        outbox=resources.outbox,
        settings=resources.settings.memory,
        clock=resources.clock,
        zone=resources.settings.extraction.default_timezone,
    )
    resources.stack.push_async_callback(summaries.aclose)
    return summaries


def _views(resources: Resources, calls: ModelCalls, prompts: PromptPolicy) -> ViewService:
    summarizer = ModelSummaries(calls, resources.settings.llm) if calls.available else JoinedTexts()
    partitions = ViewPartitions(
        resources.store, summarizer, resources.clock, least=resources.settings.memory.view_min_trust
    )
    return ViewService(
        store=resources.store,
        partitions=partitions,
        prompts=prompts,
        settings=resources.settings.memory,
        clock=resources.clock,
    )


def _sessions(
    resources: Resources,
    hooks: RequestHooks,
    extraction: ExtractionParts,
    summaries: SessionSummaries,
    cascade: Cascade,
    held: Waiting,
    quotas: Quotas,
) -> SessionService:
    store, memory, clock = resources.store, resources.settings.memory, resources.clock
    choice, pending = extraction.choice, extraction.pending
    immediate = ImmediateExtraction(choice, index_messages=memory.index_all_messages)
    writer = SessionWriter(
        store=store,
        embedder=resources.embedder,
        extraction=immediate,
        choice=choice,
        pending=pending,
        summaries=summaries,
        cascade=cascade,
        held=held,
        hooks=hooks,
        outbox=resources.outbox,
        quotas=quotas,
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


def _maintenance(resources: Resources, calls: ModelCalls, *services: object) -> MaintenanceTasks:
    """The tasks of core and plugins, with these services and those that nothing but tasks uses."""
    store, embedder, outbox, clock = resources.store, resources.embedder, resources.outbox, resources.clock
    vectors = MissingVectors(store=store, embedder=embedder, outbox=outbox, clock=clock)
    enrichment = Enrichment(
        store=store, calls=calls, outbox=outbox, settings=resources.settings.extraction, clock=clock
    )
    retention = Retention(store=store, settings=resources.settings.memory, clock=clock)
    return MaintenanceTasks(
        core_tasks(),
        resources.plugins.maintenance_tasks,
        services=(*services, vectors, enrichment, retention),
        sections=resources.sections,
    )


def _needs_met(resources: Resources) -> list[Need]:
    """Which of the models that hooks may need are configured."""
    found: list[Need] = [] if resources.llm is None else ["language_model"]
    return found if resources.embedder.local else [*found, "remote_embedder"]


def _dispatcher(
    resources: Resources,
    calls: ModelCalls,
    hooks: RequestHooks,
    held: Waiting,
    maintenance: MaintenanceTasks,
    schedules: Schedules,
    metrics: Metrics,
    watch: PluginWatch,
    long_work: LongWork,
) -> Dispatcher:
    def make_context(job: Job, hook: EventHook) -> StagedContext:
        context = StagedContext(
            job=job,
            store=resources.store,
            embedder=resources.embedder,
            llm=ChargedModel(calls, SessionKey(job.tenant, "", "", "")) if calls.available else None,
            hooks=hooks,
            held=held,
            outbox=resources.outbox,
            extractor=f"{hook.plugin}/{hook.version}",
            now=resources.clock.now(),
            settings=resources.settings,
            tasks=maintenance,
        )
        context.plugin_settings = resources.sections.get(hook.plugin)
        return context

    async def given_up(job: Job, reason: str) -> None:
        await maintenance.service(ViewRuns).given_up(job, reason)
        if job.event == "extraction_due":
            event = msgspec.msgpack.decode(job.payload, type=ExtractionDue)
            await maintenance.service(ExtractionRuns).given_up(event.session, reason)

    return Dispatcher(
        store=resources.store,
        plugins=resources.plugins,
        settings=resources.settings.server,
        clock=resources.clock,
        make_context=make_context,
        schedules=schedules,
        outbox=resources.outbox,
        watch=watch,
        metrics=metrics,
        given_up=given_up,
        sweep=long_work.settle,
    )
