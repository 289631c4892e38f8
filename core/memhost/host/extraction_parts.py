"""The parts that make memories of turns, and that follow what was made of them."""

from __future__ import annotations

from dataclasses import dataclass

from memhost.consolidation.semantic_duplicates import SemanticDeduplication
from memhost.extraction import PromptPolicy
from memhost.extraction.pipeline.contexts import ExtractionContexts
from memhost.extraction.pipeline.extraction_queue import ExtractionQueue
from memhost.extraction.pipeline.extractor_calls import ExtractorCalls
from memhost.extraction.pipeline.log import ExtractionLogs
from memhost.extraction.pipeline.rebuild import Rebuilding
from memhost.extraction.pipeline.rereading import ExtractionRereading
from memhost.extraction.pipeline.run_records import RunRecords
from memhost.extraction.pipeline.runs import ExtractionRuns
from memhost.extraction.pipeline.store_drafts import ExtractedMemories
from memhost.extraction.pipeline.strategy_choice import StrategyChoice
from memhost.host.resources import Resources
from memhost.jobs.tasks import LongWork
from memhost.memories.derived.cascade import Cascade
from memhost.memories.derived.chain import Chains
from memhost.memories.derived.support import Support
from memhost.memories.review.waiting import Waiting as Reviews
from memhost.plugins.request_hooks import RequestHooks
from memhost.sessions.extraction_on_request import ExtractionRequests
from memhost.sessions.service import SessionService
from memhost.sessions.summary_renewal import SummaryMarks
from memhost.usage.model_calls import ModelCalls
from memhost.views.marks import ViewMarks


@dataclass(frozen=True, kw_only=True)
class ExtractionParts:
    """The parts that extract memories from turns in the background."""

    choice: StrategyChoice
    pending: ExtractionQueue
    contexts: ExtractionContexts
    extracted: ExtractedMemories
    asking: ExtractorCalls
    runs: ExtractionRuns


@dataclass(frozen=True, kw_only=True)
class WaitingTurns:
    """The turns that wait, and which strategy reads them."""

    choice: StrategyChoice
    logs: ExtractionLogs
    pending: ExtractionQueue


def waiting_turns(resources: Resources, prompts: PromptPolicy) -> WaitingTurns:
    """The queue of turns, and the choice of what reads them."""
    store, settings = resources.store, resources.settings.extraction
    choice = StrategyChoice(
        strategies=resources.strategies,
        default=resources.settings.memory.default_strategy,
        settings=settings,
        specs={entry.spec.name: entry.spec for entry in resources.plugins.strategies},
        prompts=prompts,
    )
    logs = ExtractionLogs(store)
    pending = ExtractionQueue(store=store, logs=logs, choice=choice, outbox=resources.outbox, settings=settings)
    return WaitingTurns(choice=choice, logs=logs, pending=pending)


def support_of(resources: Resources) -> Support:
    """Finds what rests on turns and memories."""
    specs = [entry.spec for entry in resources.plugins.strategies]
    return Support(
        resources.store,
        resources.settings.memory,
        strategies=[spec.name for spec in specs],
        digests=[spec.name for spec in specs if spec.digests],
    )


def make_cascade(resources: Resources, queue: WaitingTurns) -> Cascade:
    """Carries deletions and changes on."""
    store = resources.store
    rereading = ExtractionRereading(
        store=store, queue=queue.pending, logs=queue.logs, choice=queue.choice, clock=resources.clock
    )
    return Cascade(
        store=store,
        support=support_of(resources),
        rereading=rereading,
        marks=ViewMarks(store, resources.outbox),
        running=SummaryMarks(store, resources.outbox),
        outbox=resources.outbox,
    )


def rebuilding(resources: Resources, queue: WaitingTurns, cascade: Cascade, long_work: LongWork) -> Rebuilding:
    """Makes memories again."""
    return Rebuilding(
        store=resources.store,
        choice=queue.choice,
        queue=queue.pending,
        logs=queue.logs,
        support=support_of(resources),
        cascade=cascade,
        long_work=long_work,
        outbox=resources.outbox,
        settings=resources.settings,
        clock=resources.clock,
    )


def chains(resources: Resources) -> Chains:
    """Explains memories."""
    store, settings = resources.store, resources.settings
    return Chains(
        store=store,
        support=support_of(resources),
        runs=RunRecords(store, settings.extraction.extraction_runs_keep_days),
        views=ViewMarks(store, resources.outbox),
        settings=settings.memory,
        clock=resources.clock,
    )


def extraction_parts(
    resources: Resources,
    calls: ModelCalls,
    hooks: RequestHooks,
    queue: WaitingTurns,
    cascade: Cascade,
    deduplication: SemanticDeduplication,
    reviews: Reviews,
) -> ExtractionParts:
    """All parts of the extraction in the background."""
    store, embedder, outbox, settings = (
        resources.store,
        resources.embedder,
        resources.outbox,
        resources.settings.extraction,
    )
    choice, logs, pending = queue.choice, queue.logs, queue.pending
    contexts = ExtractionContexts(store, embedder, settings)
    extracted = ExtractedMemories(
        store=store,
        embedder=embedder,
        choice=choice,
        deduplication=deduplication,
        hooks=hooks,
        cascade=cascade,
        reviews=reviews,
        outbox=outbox,
        settings=settings,
        kept=resources.settings.memory,
        masker=resources.secrets,
    )
    asking = ExtractorCalls(calls, embedder, settings.extraction_max_tokens)
    runs = ExtractionRuns(
        store=store,
        choice=choice,
        pending=pending,
        logs=logs,
        contexts=contexts,
        asking=asking,
        memories=extracted,
        records=RunRecords(store, settings.extraction_runs_keep_days),
        outbox=outbox,
        settings=settings,
        clock=resources.clock,
    )
    return ExtractionParts(
        choice=choice, pending=pending, contexts=contexts, extracted=extracted, asking=asking, runs=runs
    )


def requests(resources: Resources, sessions: SessionService, extraction: ExtractionParts) -> ExtractionRequests:
    """Answers requests about the extraction of a session."""
    return ExtractionRequests(
        sessions=sessions,
        choice=extraction.choice,
        runs=extraction.runs,
        contexts=extraction.contexts,
        memories=extraction.extracted,
        asking=extraction.asking,
        settings=resources.settings,
        clock=resources.clock,
    )
