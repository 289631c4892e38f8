"""Writing a former state of a memory again, and taking the words out of one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from memhost.errors import InvalidRequest
from memhost.events import MemoriesStored, MemoriesUpdated, RequestContext
from memhost.jobs.outbox import Outbox
from memhost.memories.derived import former
from memhost.memories.derived.cascade import Cascade
from memhost.memories.records import content_hash, index_records
from memhost.memories.repetition import NOTES
from memhost.memories.review import waiting
from memhost.memories.review.waiting import Held, Waiting
from memhost.memories.trash import names_of
from memhost.memories.trust import level_of
from memhost.models import MemoryRecord, Scope, StoredMemory, Trust, WriteBatch
from memhost.models.trust import lowest, of_memory
from memhost.operations.table import Call
from memhost.plugins.request_hooks import RequestHooks
from memhost.ports import Clock, Draft, Embedder, Store
from memhost.storage.bound_documents import document_scope
from memhost.storage.preconditions import Expected
from memhost.usage.quotas import Quotas, amounts_of

REDACTED = "[redacted]"
"""Text of a memory whose text was redacted."""


_DATES = ("event_date", "event_end", "event_precision")


class Rewriting:
    """Writes memories as they were, or without their words; indexes and what was made from them follow."""

    def __init__(
        self,
        *,
        store: Store,
        embedder: Embedder,
        hooks: RequestHooks,
        cascade: Cascade,
        outbox: Outbox,
        quotas: Quotas,
        held: Waiting,
        clock: Clock,
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._hooks = hooks
        self._cascade = cascade
        self._outbox = outbox
        self._quotas = quotas
        self._held = held
        self._clock = clock

    async def put_back(self, call: Call, state: StoredMemory, expected: Expected) -> MemoryRecord:
        """Store a former state as the newest version of its memory, which may have been deleted.

        It is trusted as it was then; unless the caller administers the tenant and has no channel, at most as what
        they write, and it waits for a review if such an edit would: then `review` of the answer says so.

        Raises:
            InvalidRequest: A plugin refused it.
            MemoryChanged: The memory is not as expected, or was changed in the meantime.
            IdTaken: Another owner uses the id now.
            QuotaExceeded: The owner may keep no more.
        """
        bounds, now, name = call.caller.bounds, self._clock.now(), state.record.id
        there = await self._store.get_memories(bounds, [name])
        stored = there[0] if there else None
        version = expected.check(name, stored)
        kept = await self._hooks.before_memories_stored(
            [_as_it_was(state, stored, now, _most(call))], self._context(call, now)
        )
        if not kept:
            raise InvalidRequest("A plugin refused the change.")
        if (waits := await self._waits(call, kept[0], stored, state.record)) is not None:
            return await self._hold(call, waits, now)
        if stored is None:
            await self._quotas.admit(bounds.tenant, amounts_of(kept))
        (updated,) = await index_records(kept, self._embedder, [_draft(state)], in_request=True)
        if stored is not None:
            await self._cascade.edited(bounds.tenant, stored, updated, now)
        batch = WriteBatch(put_memories=[updated], if_versions={name: version})
        if stored is None:
            batch.guarded_ids = frozenset({name})
        else:
            batch.moved_ids = frozenset({name})
        event, kind = ("memories_stored", MemoriesStored) if stored is None else ("memories_updated", MemoriesUpdated)
        batch.add_jobs = self._outbox.memory_jobs(event, kind, [name], tenant=bounds.tenant, now=now)
        await self._store.commit(bounds, batch)
        self._outbox.committed(batch.add_jobs)
        return updated.record

    async def _waits(
        self, call: Call, record: MemoryRecord, stored: StoredMemory | None, was: MemoryRecord
    ) -> Held | None:
        """The memory, if it is to wait: what it changes is judged as an edit of the caller's.

        `was` is the state that is written again, as it was trusted: of a deleted memory that is what it would lower.
        """
        editor = _most(call)
        if editor == "operator":
            return None
        gone = msgspec.structs.replace(was, text="", topics=[], entities=[], metadata={})
        return await self._held.of_edit(record, gone if stored is None else stored.record, editor, call.caller.channel)

    async def _hold(self, call: Call, held: Held, now: datetime) -> MemoryRecord:
        """Keep it until a review; the memory stays as it is."""
        bounds, batch = call.caller.bounds, WriteBatch()
        staged = await self._held.stage(batch, bounds.tenant, [held], now)
        self._held.require_room(staged)
        await self._store.commit(document_scope(bounds), batch)
        self._outbox.committed(batch.add_jobs)
        self._held.committed(staged)
        waiting.tell(call, staged)
        return staged.of(held.record.id)

    async def blank(self, call: Call, stored: StoredMemory) -> None:
        """Take everything out of a memory that says something; no plugin can refuse that.

        Raises:
            MemoryChanged: It was changed in the meantime.
        """
        bounds, now, record = call.caller.bounds, self._clock.now(), stored.record
        notes = {key: value for key, value in record.metadata.items() if key in NOTES}
        gone: dict[str, Any] = {
            "topics": [],
            "entities": [],
            "event_date": None,
            "event_end": None,
            "event_precision": None,
        }
        empty = msgspec.structs.replace(record, text=REDACTED, metadata=notes, updated_at=now, **gone)
        empty.memory_hash = content_hash(empty)
        draft = _draft(stored)
        drafts = [None if draft is None else Draft(text=REDACTED, role=draft.role, position=draft.position)]
        (updated,) = await index_records([empty], self._embedder, drafts, in_request=True)
        await self._cascade.edited(bounds.tenant, stored, updated, now)
        batch = WriteBatch(put_memories=[updated], if_versions={record.id: stored.version})
        batch.add_jobs = self._outbox.memory_jobs(
            "memories_updated", MemoriesUpdated, [record.id], tenant=bounds.tenant, now=now
        )
        await self._store.commit(bounds, batch)
        self._outbox.committed(batch.add_jobs)

    async def forget_copies(self, bounds: Scope, record: MemoryRecord) -> None:
        """Remove what is kept of a memory beside its versions: its entries in the trash, states before joins."""
        now = self._clock.now()
        trashed = await names_of(self._store, bounds, [record.id], now)
        documents = [each for found in trashed.values() for each in found]
        documents += await former.names_of(self._store, bounds, [record], now)
        if documents:
            await self._store.commit(document_scope(bounds), WriteBatch(delete_documents=documents))

    def _context(self, call: Call, now: datetime) -> RequestContext:
        caller = call.caller
        return RequestContext(scope=caller.bounds, subject=caller.subject, request_id=call.request_id, now=now)


def _most(call: Call) -> Trust:
    channel = call.caller.channel
    return "operator" if call.caller.runs_tenant and channel is None else of_memory(channel)


def _as_it_was(state: StoredMemory, stored: StoredMemory | None, now: datetime, most: Trust) -> MemoryRecord:
    record = msgspec.structs.replace(
        state.record, updated_at=now, trust=lowest((level_of(state.record), most)), metadata={**state.record.metadata}
    )
    if stored is not None:
        record.access_count, record.last_accessed = stored.record.access_count, stored.record.last_accessed
    return record


def _draft(stored: StoredMemory) -> Draft | None:
    """Return the data of a turn that the indexes hold beside its record."""
    if stored.position is None:
        return None
    return Draft(text=stored.record.text, speaker=stored.speaker, role=stored.role, position=stored.position)
