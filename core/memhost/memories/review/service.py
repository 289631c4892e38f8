"""Decides on memories that wait: approves, corrects and refuses them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import msgspec

from memhost.errors import DocumentGone, Forbidden, IdTaken, InvalidRequest, MemoryChanged, NotFound
from memhost.events import MemoriesStored, MemoriesUpdated, ReviewDecided
from memhost.jobs.outbox import Outbox
from memhost.memories.derived.cascade import Cascade
from memhost.memories.enabled import require_long_term_memory
from memhost.memories.records import content_hash, index_records, unique
from memhost.memories.review.counting import ReviewCounts
from memhost.memories.review.waiting import KIND, Reason, Waiting, Waits, hash_of, names_in, refusal, shown
from memhost.memories.trust import CONTRADICTS, level_of
from memhost.metrics import Metrics, ReviewOutcome
from memhost.models import Actor, Caller, Job, MemoryRecord, Review, Scope, StoredMemory, Trust, WriteBatch, acting
from memhost.operations.maintenance import (
    ApproveReviews,
    CorrectReview,
    GetReview,
    ListReviews,
    RefuseReviews,
    ReviewPage,
    ReviewsDecided,
    WaitingMemory,
)
from memhost.operations.table import Call
from memhost.ports import Clock, Draft, Embedder, Store
from memhost.settings.schema import MemorySettings
from memhost.storage.bound_documents import document_scope
from memhost.text.conversation import is_blank

_PAGE = 200
_WHO = (
    "Only operators decide on memories that wait for a review, and users whose credential has the channel `user` on "
    "their own; use such a credential (memhost token create --channel user --user NAME), or `memhost review` on the "
    "server's machine. Through MCP, operators need a token of `memhost token create` too, or the channel `operator`."
)


def decides_as(caller: Caller, door: str) -> Trust | None:
    """Tell how far what the caller approves through that door is trusted; None: the caller decides nothing.

    Operators decide who are not bound inside their tenant, and credentials with the channel `operator` or `user`.
    """
    if caller.channel in ("operator", "user"):
        return caller.channel
    # An agent on this machine reaches an open server as its administrator: that is nobody who looked at it.
    nobody = door == "mcp" and not caller.credential
    return "operator" if caller.runs_tenant and caller.channel is None and not nobody else None


class ReviewService:
    """Lists memories that wait, and decides on them; for operators, and for users about what is theirs."""

    def __init__(
        self,
        *,
        store: Store,
        embedder: Embedder,
        waiting: Waiting,
        cascade: Cascade,
        outbox: Outbox,
        metrics: Metrics,
        settings: MemorySettings,
        clock: Clock,
    ) -> None:
        self.counts = ReviewCounts(store=store, waiting=waiting, clock=clock)
        self._store = store
        self._embedder = embedder
        self._waiting = waiting
        self._cascade = cascade
        self._outbox = outbox
        self._metrics = metrics
        self._settings = settings
        self._clock = clock

    async def page(self, call: Call, request: ListReviews) -> ReviewPage:
        """A page of what waits inside the caller's bounds, by id.

        Raises:
            Forbidden: The caller may not decide.
            LongTermMemoryDisabled: Long-term memory is off.
        """
        self._reviewer(call)
        bounds, now = _narrowed(call.caller.bounds, request), self._clock.now()
        found: list[Waits] = []
        after = request.after
        while len(found) <= request.limit:
            documents = await self._store.list_documents(document_scope(bounds), KIND, now, after=after, limit=_PAGE)
            here = self._waiting.inside(bounds, documents, now)
            found += [each for each in here if request.reason in (None, *each.entry.reasons)]
            if len(documents) < _PAGE:
                break
            after = documents[-1].id
        page = found[: request.limit]
        return ReviewPage(
            memories=[self._shown(each) for each in page],
            next=page[-1].document.id if len(found) > request.limit and page else None,
        )

    async def get(self, call: Call, request: GetReview) -> WaitingMemory:
        """Return what waits under that id.

        Raises:
            Forbidden: The caller may not decide.
            NotFound: Nothing waits under it inside the caller's bounds.
        """
        self._reviewer(call)
        return self._shown(await self._one(call.caller.bounds, request.memory_id))

    async def approve(self, call: Call, request: ApproveReviews) -> ReviewsDecided:
        """Store memories that wait as facts, which are trusted as far as whoever approves them.

        What does not have the hash that the request names for it is not what was read: it goes on waiting (`changed`).

        Raises:
            Forbidden: The caller may not decide.
            ModelUnavailable: The embedder does not answer.
        """
        level = self._reviewer(call)
        found, missing = await self._all(call.caller.bounds, request.memory_ids)
        decided: list[str] = []
        taken: list[str] = []
        changed: list[str] = []
        for waits in found:
            name = waits.entry.memory.id
            if request.if_hash.get(name) != hash_of(waits.entry):
                changed.append(name)
                continue
            stored = await self._store_one(call, waits, waits.entry.memory, level, "approved")
            {"stored": decided, "taken": taken, "gone": missing}[stored].append(name)
        return ReviewsDecided(decided=decided, taken=taken, missing=missing, changed=changed, trust=level)

    async def correct(self, call: Call, request: CorrectReview) -> MemoryRecord:
        """Store what waits under an id with another text; return the stored memory.

        Raises:
            Forbidden: The caller may not decide.
            InvalidRequest: The text is blank.
            NotFound: Nothing waits under it inside the caller's bounds.
            MemoryChanged: It does not have the hash that the request names.
            IdTaken: Another owner uses its id by now.
            ModelUnavailable: The embedder does not answer.
        """
        level = self._reviewer(call)
        if is_blank(request.text):
            raise InvalidRequest("text must not be empty.")
        bounds = call.caller.bounds
        waits = await self._one(bounds, request.memory_id)
        if request.if_hash not in (None, hash_of(waits.entry)):
            raise MemoryChanged([request.memory_id])
        record = msgspec.structs.replace(waits.entry.memory, text=request.text)
        record.memory_hash = content_hash(record)
        result = await self._store_one(call, waits, record, level, "corrected")
        if result == "taken":
            raise IdTaken([record.id])
        found = await self._store.get_memories(bounds, [record.id])
        if result == "gone" or not found:
            raise _nothing(request.memory_id)
        return found[0].record

    async def refuse(self, call: Call, request: RefuseReviews) -> ReviewsDecided:
        """Throw away what waits; the same text is not kept again for as long as it could have waited.

        Raises:
            Forbidden: The caller may not decide.
        """
        self._reviewer(call)
        found, missing = await self._all(call.caller.bounds, request.memory_ids)
        decided: list[str] = []
        for waits in found:
            gone = await self._refuse_one(call.caller.bounds, waits, "refused")
            (missing if gone else decided).append(waits.entry.memory.id)
        return ReviewsDecided(decided=decided, missing=missing)

    async def expire(self, tenant: str) -> int:
        """Refuse what nobody decided on in time; return how many there were."""
        scope, now = Scope(tenant=tenant), self._clock.now()
        count, after = 0, ""
        while True:
            documents = await self._store.list_documents(scope, KIND, now, after=after, limit=_PAGE)
            for document in documents:
                waits = self._waiting.read(document)
                if self._waiting.is_over(waits.entry, now):
                    count += not await self._refuse_one(scope, waits, "expired")
            if len(documents) < _PAGE:
                return count
            after = documents[-1].id

    # -- parts -----------------------------------------------------------------------------------------

    def _reviewer(self, call: Call) -> Trust:
        """Tell how far what the caller approves is trusted.

        Raises:
            Forbidden: The caller may not decide.
            LongTermMemoryDisabled: Long-term memory is off.
        """
        require_long_term_memory(self._settings)
        level = decides_as(call.caller, call.door)
        if level is None:
            raise Forbidden(_WHO)
        return level

    async def _one(self, bounds: Scope, memory_id: str) -> Waits:
        found = await self._waiting.find(bounds, [memory_id], self._clock.now())
        if memory_id not in found:
            raise _nothing(memory_id)
        return found[memory_id]

    async def _all(self, bounds: Scope, ids: Sequence[str]) -> tuple[list[Waits], list[str]]:
        names = unique(ids)
        found = await self._waiting.find(bounds, names, self._clock.now())
        return [found[name] for name in names if name in found], [name for name in names if name not in found]

    async def _store_one(
        self, call: Call, waits: Waits, record: MemoryRecord, level: Trust, decision: ReviewOutcome
    ) -> str:
        """Store one memory: `stored`, `taken` by another owner, or `gone`: somebody else decided."""
        bounds, now = call.caller.bounds, self._clock.now()
        before = next(iter(await self._store.get_memories(bounds, [record.id])), None)
        approved = _approved(record, waits.entry.reasons, waits.entry.would_change, level, acting(), now)
        drafts = [_draft_of(before, approved)] if before is not None else ()
        (memory,) = await index_records([approved], self._embedder, drafts, in_request=True)
        event, kind = ("memories_stored", MemoriesStored) if before is None else ("memories_updated", MemoriesUpdated)
        jobs = self._outbox.memory_jobs(event, kind, [record.id], tenant=bounds.tenant, now=now)
        jobs += self._decided(bounds.tenant, record.id, decision, now)
        batch = WriteBatch(
            put_memories=[memory],
            require_documents=[(KIND, waits.document.id)],
            delete_documents=names_in(waits),
            add_jobs=jobs,
        )
        if before is None:
            batch.guarded_ids = frozenset({record.id})
        else:
            batch.moved_ids = frozenset({record.id})
            await self._cascade.edited(bounds.tenant, before, replace(memory), now)
        try:
            await self._store.commit(document_scope(bounds), batch)
        except IdTaken:
            return "taken"
        except DocumentGone:
            return "gone"
        self._outbox.committed(jobs)
        self._metrics.reviewed(decision, 1)
        return "stored"

    async def _refuse_one(self, bounds: Scope, waits: Waits, decision: ReviewOutcome) -> bool:
        """Refuse one memory; tell whether somebody else had decided before."""
        now = self._clock.now()
        jobs = self._decided(bounds.tenant, waits.entry.memory.id, decision, now)
        batch = WriteBatch(
            require_documents=[(KIND, waits.document.id)],
            delete_documents=[(KIND, waits.document.id)],
            put_documents=[refusal(waits, now)],
            add_jobs=jobs,
        )
        try:
            await self._store.commit(document_scope(bounds), batch)
        except DocumentGone:
            return True
        self._outbox.committed(jobs)
        self._metrics.reviewed(decision, 1)
        return False

    def _decided(self, tenant: str, memory_id: str, decision: str, now: datetime) -> list[Job]:
        subject = acting().subject if decision != "expired" else ""
        event = ReviewDecided(tenant=tenant, memory_id=memory_id, decision=decision, subject=subject)
        return self._outbox.jobs("review_decided", event, tenant=tenant, now=now)

    def _shown(self, waits: Waits) -> WaitingMemory:
        entry = waits.entry
        return WaitingMemory(
            memory=shown(entry),
            hash=hash_of(entry),
            held_at=entry.held_at,
            expires_at=self._waiting.deadline(entry),
            stored_by=entry.by.subject,
            credential=entry.by.credential,
            door=entry.by.door,
            operation=entry.by.operation,
        )


def _narrowed(bounds: Scope, request: ListReviews) -> Scope:
    return bounds.narrow(
        namespace=request.namespace or None, user=request.user_id or None, session=request.session_id or None
    )


def _approved(
    record: MemoryRecord, reasons: Sequence[Reason], changes: Sequence[str], level: Trust, by: Actor, now: datetime
) -> MemoryRecord:
    review = Review(
        state="approved",
        reasons=list(reasons),
        would_change=list(changes),
        by=by.subject or None,
        credential=by.credential or None,
        door=by.door or None,
        at=now,
        trust=level_of(record),
    )
    metadata = {name: value for name, value in record.metadata.items() if name != CONTRADICTS}
    return msgspec.structs.replace(
        record, trust=level, review=review, metadata=metadata, updated_at=now, persisted_at=record.persisted_at or now
    )


def _draft_of(stored: StoredMemory, record: MemoryRecord) -> Draft | None:
    """Return the data of a turn that the indexes hold beside its record, unless it has other words now."""
    if stored.position is None or stored.record.text != record.text:
        return None
    return Draft(text=record.text, speaker=stored.speaker, role=stored.role, position=stored.position)


def _nothing(memory_id: str) -> NotFound:
    return NotFound(f"No memory waits for a review under the id {memory_id}.")
