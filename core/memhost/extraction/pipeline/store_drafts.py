"""Stores the result of extraction: drafts become memories without repetitions, and raw turns retire as configured."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import msgspec

from memhost.consolidation.changes import note_changes
from memhost.consolidation.semantic_duplicates import Resolution, SemanticDeduplication
from memhost.consolidation.similarity import is_late
from memhost.events import MemoriesDeleted, MemoriesStored, MemoriesSuperseded, MemoriesUpdated, RequestContext
from memhost.extraction.kinds import ACTION, KIND
from memhost.extraction.pipeline.extraction_queue import Waiting
from memhost.extraction.pipeline.strategy_choice import StrategyChoice
from memhost.extraction.provenance import borrowed_from, unsupported_by
from memhost.jobs.outbox import Outbox
from memhost.memories import trust
from memhost.memories.derived.cascade import Cascade
from memhost.memories.derived.support import Lost
from memhost.memories.exact_duplicates import Repetitions, find_repetitions
from memhost.memories.records import derived_id, given_vectors, index_records, record_from_draft, unique
from memhost.memories.repetition import ADDS_TO, PROMPT_KEY
from memhost.memories.review.waiting import Held
from memhost.memories.review.waiting import Staged as StagedReviews
from memhost.memories.review.waiting import Waiting as Reviews
from memhost.models import (
    TURN_STRATEGY,
    Job,
    MemoryRecord,
    Message,
    Scope,
    SessionKey,
    StoredMemory,
    Trust,
    WriteBatch,
)
from memhost.models.trust import lowest
from memhost.operations.responses import Join
from memhost.plugins.request_hooks import RequestHooks
from memhost.ports import Draft, Embedder, ExtractionContext, LaterStrategy, Store, Turn
from memhost.secrets import Masker, is_masked
from memhost.settings import ExtractionSettings
from memhost.settings.schema import MemorySettings
from memhost.text.speakers import speaker_of


class StagedMemories(msgspec.Struct, frozen=True, kw_only=True):
    """The memories of a batch: ids of new, repeated and replaced ones, which became one, and what is to wait."""

    stored: list[str] = []
    repeated: list[str] = []
    superseded: list[str] = []
    merged: list[Join] = []
    count: int = 0
    reviews: StagedReviews = StagedReviews()

    @property
    def left_out(self) -> list[str]:
        """Why memories were left out, a sentence each: as many of their owner wait for a review as may."""
        return [f"too many wait for a review: {record.text}" for record in self.reviews.over.values()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The changes by the drafts of a run.

    Attributes:
        records: New memories, without those that repeat stored ones.
        stored: The same with terms and vectors.
        repeated: Memories that the drafts repeat.
        found: What has to be committed.
        held: Memories that are to wait for a review instead.
    """

    records: list[MemoryRecord]
    stored: list[StoredMemory]
    repeated: Repetitions
    found: Resolution
    held: list[Held] = field(default_factory=list)

    @property
    def new(self) -> list[MemoryRecord]:
        """The new memories that stay."""
        kept = set(self.fresh)
        return [memory.record for memory in self.found.put if memory.record.id in kept]

    @property
    def fresh(self) -> list[str]:
        """Ids of the new memories that stay."""
        known = {record.id for record in self.records} | set(self.found.made)
        return [memory.record.id for memory in self.found.put if memory.record.id in known]


class ExtractedMemories:
    """Turns drafts into what a batch writes."""

    def __init__(
        self,
        *,
        store: Store,
        embedder: Embedder,
        choice: StrategyChoice,
        deduplication: SemanticDeduplication,
        hooks: RequestHooks,
        cascade: Cascade,
        reviews: Reviews,
        outbox: Outbox,
        settings: ExtractionSettings,
        kept: MemorySettings,
        masker: Masker,
    ) -> None:
        self._store = store
        self._cascade = cascade
        self._reviews = reviews
        self._embedder = embedder
        self._choice = choice
        self._deduplication = deduplication
        self._hooks = hooks
        self._outbox = outbox
        self._settings = settings
        self._kept = kept
        self._masker = masker

    def acceptable(self, drafts: Sequence[Draft]) -> tuple[list[Draft], list[str]]:
        """The drafts that may be stored, and why others may not: sure enough, secrets dealt with."""
        kept, dropped = [], []
        for draft in drafts:
            if draft.confidence is not None and draft.confidence < self._settings.extraction_min_confidence:
                dropped.append(f"confidence too low ({draft.confidence:.2f}): {draft.text}")
                continue
            text = self._masker.text(draft.text)
            # Answers of models come here masked.
            if self._masker.policy == "refuse" and is_masked(text):
                dropped.append(f"contains a secret: {text}")
                continue
            if text != draft.text:
                draft = msgspec.structs.replace(draft, text=text, embedding=None)
            kept.append(draft)
        return kept, dropped

    def records(
        self,
        context: ExtractionContext,
        strategy: LaterStrategy,
        turns: Sequence[Turn],
        drafts: Sequence[Draft],
        now: datetime,
    ) -> list[MemoryRecord]:
        """The memories of the drafts, each once, in the order in which they were said.

        The same drafts always give the same ids. Of several memories the last is made at `now`, each one before it a
        microsecond earlier. Memories that a custom prompt brought about keep its hash, `prompt_sha256`.
        """
        key = context.session
        hashes = self._choice.prompt_hashes(strategy.name, context.config)
        known = _trusts(context)
        told: dict[str, list[Message]] = {}
        for turn in turns:
            told.setdefault(turn.message.id, []).append(turn.message)
        found: dict[str, MemoryRecord] = {}
        for memory_id, draft in self._by_id(context, strategy, drafts).items():
            extractor = f"{strategy.name}/{strategy.version}"
            record = record_from_draft(draft, key, memory_id, extractor, now, turns)
            trust.label(record, draft.source_ids or list(context.trusts), known)
            for bound in (borrowed_from(draft, turns, context), unsupported_by(draft, turns, context)):
                if bound is not None:
                    record.trust = lowest((trust.level_of(record), bound))
            sources = [message for name in draft.source_ids for message in told.get(name, ())]
            said = [(message.role, speaker_of(message, context.labels)) for message in sources]
            trust.name_speaker(record, said, action=record.metadata.get(KIND) == ACTION)
            if hashes:
                record.metadata = {**record.metadata, PROMPT_KEY: hashes}
            if draft.relation == "adds" and draft.known:
                record.metadata = {**record.metadata, ADDS_TO: list(draft.known)}
            found[memory_id] = record
        return _in_order(list(found.values()), turns, now)

    def _by_id(self, context: ExtractionContext, strategy: LaterStrategy, drafts: Sequence[Draft]) -> dict[str, Draft]:
        """The drafts by the ids of their memories; the first of those that have one id."""
        key = context.session
        # Sessions may number their messages alike, and a fact may become true again.
        owner = (key.tenant, key.namespace, key.user, key.session)
        found: dict[str, Draft] = {}
        for draft in drafts:
            made = derived_id(*owner, strategy.name, *sorted(draft.source_ids), draft.text)
            found.setdefault(draft.id or made, draft)
        return found

    async def plan(
        self,
        key: SessionKey,
        strategy: LaterStrategy,
        context: ExtractionContext,
        turns: Sequence[Turn],
        drafts: Sequence[Draft],
        now: datetime,
        *,
        hooks: bool = True,
    ) -> Plan:
        """Return what the drafts would change; nothing is written.

        Args:
            key: Whose session.
            strategy: What made the drafts.
            context: What it knew.
            turns: What it was asked about.
            drafts: The drafts.
            now: The current time.
            hooks: Whether plugins may change the memories first, as they may before memories are stored.

        Raises:
            ModelUnavailable: The embedder does not answer.
        """
        records = self.records(context, strategy, turns, drafts, now)
        scope = Scope(tenant=key.tenant)
        repeated = Repetitions()
        late: dict[str, StoredMemory] = {}
        target = strategy.target(context)
        if target is None:
            repeated, late = await self._repetitions(scope, records, now)
            records = repeated.fresh
        elif context.previous is not None:
            records = [_updated(record, context.previous) for record in records]
        if records and hooks:
            asked = RequestContext(scope=scope, subject=f"strategy:{strategy.name}", request_id=target or "", now=now)
            records = await self._hooks.before_memories_stored(records, asked)
        records, held = await self._reviews.part(key.tenant, records)
        stored = await index_records(records, self._embedder, vectors=given_vectors(drafts))
        if target is None:
            again = [(memory, late[memory.record.id]) for memory in stored if memory.record.id in late]
            more = {each.record.id: each for each in repeated.parted(list(repeated.completed.values()))[1]}
            said = self._by_id(context, strategy, drafts)
            seen = [memory.id for memory in context.known]
            found = await self._deduplication.resolve(key, stored, now, again, more, said, seen)
            held += await self._contradicting(key.tenant, found, {memory.record.id for memory in stored})
        else:
            found = Resolution(put=list(stored))
        return Plan(records=records, stored=stored, repeated=repeated, found=found, held=held)

    async def _contradicting(self, tenant: str, found: Resolution, fresh: Set[str]) -> list[Held]:
        """Take new memories that contradict what is trusted more out of what is stored; return them as what waits."""
        against = [
            each.record for each in found.put if each.record.id in fresh and trust.CONTRADICTS in each.record.metadata
        ]
        _, held = await self._reviews.part(tenant, against)
        names = {each.record.id for each in held}
        found.put = [each for each in found.put if each.record.id not in names]
        return held

    async def stage(
        self,
        batch: WriteBatch,
        key: SessionKey,
        strategy: LaterStrategy,
        context: ExtractionContext,
        turns: Sequence[Turn],
        drafts: Sequence[Draft],
        now: datetime,
    ) -> StagedMemories:
        """Add the memories of the drafts to the batch; return which they are.

        Raises:
            ModelUnavailable: The embedder does not answer.
        """
        if not drafts:
            return StagedMemories()
        plan = await self.plan(key, strategy, context, turns, drafts, now)
        found, scope = plan.found, Scope(tenant=key.tenant)
        if strategy.target(context) is None:
            batch.access = plan.repeated.access(now)
        found.add_to(batch)
        reviews = await self._reviews.stage(batch, key.tenant, plan.held, now)
        if strategy.target(context) is None:
            await note_changes(self._store, self._cascade, batch, scope, found, plan.stored, self._kept, now)
        fresh = plan.fresh
        if context.previous is not None:
            fresh = [memory_id for memory_id in fresh if memory_id != context.previous.id]
        changed = unique([*found.updated, *([context.previous.id] if context.previous is not None else [])])
        batch.add_jobs += self._jobs(key.tenant, fresh, changed, found, now)
        return StagedMemories(
            stored=plan.fresh,
            repeated=list(plan.repeated.confirmed),
            superseded=found.superseded,
            merged=found.joins,
            count=len(plan.records),
            reviews=reviews,
        )

    def committed(self, staged: StagedMemories) -> None:
        """Tell that what was staged is stored now."""
        self._reviews.committed(staged.reviews)

    async def _repetitions(
        self, scope: Scope, records: Sequence[MemoryRecord], now: datetime
    ) -> tuple[Repetitions, dict[str, StoredMemory]]:
        """The repetitions among the records; and records that say what a stored memory says, but were said before it.

        These are among the new ones: something else may have held between the two, and then they are two facts.
        """
        found = await find_repetitions(self._store, scope, records, now)
        if not (self._deduplication.enabled and self._deduplication.can_judge):
            return found, {}
        late = {
            record.id: stored
            for record in records
            if (stored := found.confirmed.get(found.stays.get(record.id, ""))) is not None and is_late(record, stored)
        }
        if late:
            found = await find_repetitions(self._store, scope, [each for each in records if each.id not in late], now)
            fresh = {record.id: record for record in found.fresh}
            found.fresh = [fresh.get(each.id, each) for each in records if each.id in fresh or each.id in late]
        return found, late

    async def retire(self, batch: WriteBatch, key: SessionKey, piece: Sequence[Waiting], now: datetime) -> None:
        """Add to the batch what becomes of the memories of the raw turns."""
        policy = self._settings.extracted_turns
        if policy == "keep":
            return
        ids = [entry.item.message.id for entry in piece]
        ids += [derived_id(key.tenant, key.namespace, key.user, key.session, message_id) for message_id in ids]
        scope = Scope(tenant=key.tenant, namespaces=(key.namespace,), users=(key.user,), sessions=(key.session,))
        turns = [
            memory
            for memory in await self._store.get_memories(scope, ids)
            if memory.record.extraction_strategy == TURN_STRATEGY
        ]
        if policy == "prune":
            batch.delete_memories += [memory.record.id for memory in turns]
        else:
            batch.put_memories += [_archived(memory, now) for memory in turns if memory.record.valid_to is None]

    async def withdraw(self, batch: WriteBatch, key: SessionKey, piece: Sequence[Waiting], now: datetime) -> list[str]:
        """Add to the batch the removal of what only older contents of these turns supported; return its ids."""
        edited = frozenset(entry.item.message.id for entry in piece if entry.item.edited)
        found = await self._cascade.turns_edited(batch, Lost(key=key, ids=edited), self._made, (), now)
        return [memory.record.id for memory in found.gone]

    def _made(self, strategy: str) -> bool:
        """Tell whether memories of a strategy are made here, and not in the write of the session."""
        return self._choice.immediate(strategy) is None

    def _jobs(
        self, tenant: str, fresh: Sequence[str], changed: Sequence[str], found: Resolution, now: datetime
    ) -> list[Job]:
        outbox = self._outbox
        return [
            *outbox.memory_jobs("memories_stored", MemoriesStored, fresh, tenant=tenant, now=now),
            *outbox.memory_jobs("memories_updated", MemoriesUpdated, changed, tenant=tenant, now=now),
            *outbox.memory_jobs("memories_superseded", MemoriesSuperseded, found.superseded, tenant=tenant, now=now),
            *outbox.memory_jobs("memories_deleted", MemoriesDeleted, found.delete, tenant=tenant, now=now),
        ]


def _in_order(records: Sequence[MemoryRecord], turns: Sequence[Turn], now: datetime) -> list[MemoryRecord]:
    """The memories of one answer as they were said, one after the other: by their last turns, then as they came."""
    places = {turn.message.id: turn.position for turn in turns}

    def said(record: MemoryRecord) -> tuple[datetime, int]:
        return record.told_at, max((places[name] for name in record.source_ids if name in places), default=-1)

    ordered = sorted(records, key=said)
    for before, record in enumerate(reversed(ordered)):
        if record.created_at == now:
            record.created_at = now - timedelta(microseconds=before)
    return ordered


def _trusts(context: ExtractionContext) -> dict[str, Trust]:
    """Tell how far each message is trusted that a memory may be made of; what is gone as far as what was made of it."""
    known = {**trust.trusts_of(context.messages), **context.trusts}
    if context.previous is not None:
        level = trust.level_of(context.previous)
        known |= {name: level for name in context.previous.source_ids if name not in known}
    return known


def _updated(record: MemoryRecord, previous: MemoryRecord) -> MemoryRecord:
    """The new text of a memory that is kept up to date, with what the server knows of the old one."""
    return msgspec.structs.replace(
        record,
        created_at=previous.created_at,
        last_accessed=previous.last_accessed,
        access_count=previous.access_count,
        pinned=previous.pinned,
        persisted_at=previous.persisted_at,
    )


def _archived(memory: StoredMemory, now: datetime) -> StoredMemory:
    """Out of search from now on, found as of earlier, readable and exported."""
    return replace(memory, record=msgspec.structs.replace(memory.record, valid_to=now, updated_at=now))
