"""Long-term memory: creating, reading, editing and deleting records."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from memhost.errors import Forbidden, InvalidRequest, NotFound
from memhost.events import MemoriesDeleted, MemoriesStored, MemoriesUpdated, RequestContext
from memhost.extraction.suspicion import SUSPICIOUS
from memhost.models import (
    Condition,
    MemoryRecord,
    MemoryType,
    Op,
    Scope,
    StoredMemory,
    WriteBatch,
    new_id,
)
from memhost.operations.long_term import EditMemory
from memhost.operations.requests import RecordInput, SessionRecordInput
from memhost.operations.responses import StoredRecord
from memhost.operations.table import Call
from memhost.ports import Clock, Draft, Embedder, Store
from memhost.services.bound_documents import document_scope
from memhost.services.deduplication import repetition_mark, without_repetitions
from memhost.services.guards import require_long_term_memory
from memhost.services.hooks import RequestHooks
from memhost.services.outbox import Outbox
from memhost.services.records import (
    check_records,
    content_hash,
    index_records,
    record_from_input,
    refuse,
    tag_problems,
    unique,
)
from memhost.services.trash import names_of
from memhost.settings.schema import MemorySettings

EDITABLE = (
    "text",
    "topics",
    "entities",
    "memory_type",
    "namespace",
    "user_id",
    "session_id",
    "event_date",
    "pinned",
)
"""Fields that an edit can set."""


class MemoryService:
    """The rules of long-term records (contract/rest.md section 6)."""

    def __init__(
        self,
        store: Store,
        embedder: Embedder,
        hooks: RequestHooks,
        outbox: Outbox,
        settings: MemorySettings,
        clock: Clock,
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._hooks = hooks
        self._outbox = outbox
        self._settings = settings
        self._clock = clock

    async def create(self, call: Call, given: Sequence[RecordInput], *, deduplicate: bool = True) -> list[str]:
        """Store memories durably; they can be read and searched when this returns. The ids stored.

        A record with the id of a stored one of the same owner replaces it. With `deduplicate`, a record that
        repeats a stored memory of the same owner word by word is dropped, and the stored one counts as accessed.

        Raises:
            ValidationFailed: Fields are wrong.
            IdTaken: An id belongs to another owner.
            Forbidden: A record lies outside the caller's bounds.
        """
        return [record.id for record in await self._create(call, given, deduplicate=deduplicate)]

    async def store(self, call: Call, given: Sequence[SessionRecordInput]) -> list[StoredRecord]:
        """Store memories as `create` does, with new ids where none are given; what became of each, in order.

        Raises:
            As `create`.
        """
        inputs = [_with_id(item) for item in given]
        stored = {record.memory_hash: record for record in await self._create(call, inputs, deduplicate=True)}
        found = []
        for item in inputs:
            record = record_from_input(item, item.id, self._clock.now(), default_type=MemoryType.SEMANTIC)
            kept = stored.get(record.memory_hash) or await self._repeated(call.caller.bounds, record)
            if kept is None:  # what it repeats was deleted meanwhile, or a plugin refuses it
                kept = next(iter(await self._create(call, [item], deduplicate=True)), None)
            if kept is None:
                raise InvalidRequest(f"A plugin refused the memory {record.text[:50]!r}.")
            status: Literal["created", "duplicate"] = "created" if kept.id == record.id else "duplicate"
            found.append(StoredRecord(id=kept.id, status=status, memory=kept))
        return found

    async def _repeated(self, bounds: Scope, record: MemoryRecord) -> MemoryRecord | None:
        """The memory that an unstored record repeats; a hook may have changed the text of one that is stored."""
        if own := await self._store.get_memories(bounds, [record.id]):
            return own[0].record
        conditions = (Condition("memory_hash", Op.ANY, (str(record.memory_hash),)),)
        found, _ = await self._store.list_memories(bounds, conditions, limit=1, order="oldest")
        return found[0].record if found else None

    async def _create(self, call: Call, given: Sequence[RecordInput], *, deduplicate: bool) -> list[MemoryRecord]:
        self._check_enabled()
        refuse(check_records(given, [item.id for item in given]))
        now = self._clock.now()
        records = [record_from_input(item, item.id, now, default_type=MemoryType.SEMANTIC) for item in given]
        bounds = call.caller.bounds
        for record in records:
            if not bounds.allows(record.namespace, record.user_id, record.session_id):
                raise Forbidden(f"This credential must not write memory {record.id}: its owner is out of bounds.")
        records = list({record.id: record for record in records}.values())
        repeated: list[str] = []
        if deduplicate:
            records, repeated = await without_repetitions(self._store, bounds, records)
        records = await self._hooks.before_memories_stored(records, self._context(call, now)) if records else []
        batch = WriteBatch(put_memories=await index_records(records, self._embedder, in_request=True))
        ids = [record.id for record in records]
        batch.access = repetition_mark(repeated, now)
        batch.add_jobs = self._outbox.memory_jobs("memories_stored", MemoriesStored, ids, tenant=bounds.tenant, now=now)
        if ids or repeated:
            await self._store.commit(bounds, batch)
            self._outbox.committed(batch.add_jobs)
        return records

    async def get(self, call: Call, memory_id: str) -> MemoryRecord:
        """The memory of that id.

        Raises:
            NotFound: There is none inside the caller's bounds.
        """
        self._check_enabled()
        return (await self._stored(call.caller.bounds, memory_id)).record

    async def edit(self, call: Call, request: EditMemory) -> MemoryRecord:
        """Set the given fields; the rest stays. An empty string clears an owner, an empty list the tags.

        Raises:
            InvalidRequest: No field is given, or the text is blank.
            ValidationFailed: A tag has a comma.
            NotFound: There is no such memory.
            Forbidden: The new owner is out of bounds.
        """
        self._check_enabled()
        changes = {name: getattr(request, name) for name in EDITABLE if getattr(request, name) is not None}
        changes |= {name: [] if name in ("topics", "entities") else None for name in request.clear}
        if not changes:
            raise InvalidRequest("Give at least one field to change: " + ", ".join(EDITABLE) + ".")
        if "text" in changes and not changes["text"].strip():
            raise InvalidRequest("text must not be empty.")
        problems = tag_problems(request.topics, ("topics",)) + tag_problems(request.entities, ("entities",))
        refuse(problems)
        bounds = call.caller.bounds
        stored = await self._stored(bounds, request.memory_id)
        text, now = stored.record.text, self._clock.now()
        record = _changed(stored.record, changes, now)
        if not bounds.allows(record.namespace, record.user_id, record.session_id):
            raise Forbidden("This credential must not move memories to that owner.")
        kept = await self._hooks.before_memories_stored([record], self._context(call, now))
        if not kept:
            raise InvalidRequest("A plugin refused the change.")
        updated = (await index_records(kept, self._embedder, [_draft_of(stored)], in_request=True))[0]
        if updated.vector is None and (updated.record.text, updated.lead) == (text, stored.lead):
            updated.vector = stored.vector
        batch = WriteBatch(put_memories=[updated], moved_ids=frozenset({record.id}))
        batch.add_jobs = self._outbox.memory_jobs(
            "memories_updated", MemoriesUpdated, [record.id], tenant=bounds.tenant, now=now
        )
        await self._store.commit(bounds, batch)
        self._outbox.committed(batch.add_jobs)
        return updated.record

    async def delete(self, call: Call, ids: Sequence[str]) -> list[str]:
        """Delete the memories of those ids inside the caller's bounds, for good; the ids that really existed."""
        self._check_enabled()
        if not ids:
            return []
        bounds = call.caller.bounds
        now = self._clock.now()
        names = unique(ids)
        if trashed := await names_of(self._store, bounds, names, now):
            await self._store.commit(document_scope(bounds), WriteBatch(delete_documents=trashed))
        batch = WriteBatch(delete_memories=names)
        if self._outbox.wants("memories_deleted"):
            existing = [memory.record.id for memory in await self._store.get_memories(bounds, names)]
            batch.add_jobs = self._outbox.memory_jobs(
                "memories_deleted", MemoriesDeleted, existing, tenant=bounds.tenant, now=now
            )
        result = await self._store.commit(bounds, batch)
        self._outbox.committed(batch.add_jobs)
        return result.deleted

    # -- parts -----------------------------------------------------------------------------------------

    async def _stored(self, bounds: Scope, memory_id: str) -> StoredMemory:
        found = await self._store.get_memories(bounds, [memory_id])
        if not found:
            raise NotFound(f"Memory {memory_id} not found.")
        return found[0]

    def _check_enabled(self) -> None:
        require_long_term_memory(self._settings)

    def _context(self, call: Call, now: datetime) -> RequestContext:
        return RequestContext(
            scope=call.caller.bounds,
            subject=call.caller.subject,
            request_id=call.request_id,
            now=now,
        )


def _with_id(item: SessionRecordInput) -> RecordInput:
    fields = {name: getattr(item, name) for name in SessionRecordInput.__struct_fields__ if name != "id"}
    return RecordInput(**fields, id=item.id if isinstance(item.id, str) else new_id())


def _changed(record: MemoryRecord, changes: dict[str, Any], now: datetime) -> MemoryRecord:
    for name in ("namespace", "user_id", "session_id"):
        if name in changes:
            changes[name] = changes[name] or None
    for name in ("topics", "entities"):
        if name in changes:
            changes[name] = unique(changes[name])
    for name, value in changes.items():
        setattr(record, name, value)
    if "text" in changes:  # the mark was about the former text
        record.metadata = {name: value for name, value in record.metadata.items() if name != SUSPICIOUS}
    record.updated_at = now
    record.memory_hash = content_hash(record)
    return record


def _draft_of(stored: StoredMemory) -> Draft | None:
    """What the indexes know of a turn beside its record."""
    if stored.position is None:
        return None
    return Draft(text=stored.record.text, speaker=stored.speaker, role=stored.role, position=stored.position)
