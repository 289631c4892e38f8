"""Compaction: memories that repeat each other word by word become one (contract/rest.md 6.7 and 11.8)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec

from memhost.analysis import index_terms
from memhost.events import MemoriesDeleted, MemoriesUpdated
from memhost.models import MOST_ACCESSES, Condition, MemoryRecord, Op, Scope, StoredMemory, WriteBatch
from memhost.operations.maintenance import CompactMemories
from memhost.operations.table import Call
from memhost.ports import Clock, Store
from memhost.ranking import traits_of
from memhost.services.deduplication import TURN_STRATEGY
from memhost.services.guards import require_long_term_memory
from memhost.services.outbox import Outbox
from memhost.services.paging import count, scan
from memhost.services.records import content_hash, unique
from memhost.settings.schema import MemorySettings

logger = logging.getLogger(__name__)

_GROUPS_A_COMMIT = 50

NOT_TURNS = Condition("extraction_strategy", Op.NONE, (TURN_STRATEGY,))
"""Turns of conversations are evidence, and never merged."""

_Key = tuple[str, str, str]


class CompactionService:
    """Merges exact repetitions inside one owner. Merging what only means the same needs a language model."""

    def __init__(self, store: Store, outbox: Outbox, settings: MemorySettings, clock: Clock) -> None:
        self._store = store
        self._outbox = outbox
        self._settings = settings
        self._clock = clock
        self._turn = asyncio.Lock()

    async def compact(self, call: Call, request: CompactMemories) -> int:
        """Compact the scope; how many memories it holds afterwards.

        Raises:
            LongTermMemoryDisabled: Long-term memory is off.
        """
        require_long_term_memory(self._settings)
        scope = call.caller.bounds.narrow(
            namespace=request.namespace or None,
            user=request.user_id or None,
            session=request.session_id or None,
        )
        await self.apply(scope)
        return await count(self._store, scope)

    async def apply(self, scope: Scope) -> int:
        """Merge the exact repetitions inside a scope; how many memories went. Can be repeated at any point."""
        async with self._turn:
            groups: dict[_Key, list[str]] = {}
            async for memory in scan(self._store, scope, [NOT_TURNS]):
                if not memory.record.pinned:
                    groups.setdefault(_key(memory.record), []).append(memory.record.id)
            repeated = [ids for ids in groups.values() if len(ids) > 1]
            removed = 0
            for start in range(0, len(repeated), _GROUPS_A_COMMIT):
                removed += await self._merge(scope, repeated[start : start + _GROUPS_A_COMMIT])
        if removed:
            logger.info("memories.compacted", extra={"fields": {"tenant": scope.tenant, "removed": removed}})
        return removed

    async def _merge(self, scope: Scope, groups: Sequence[Sequence[str]]) -> int:
        """Merge each group as it is now, in one commit."""
        now = self._clock.now()
        ids = [memory_id for group in groups for memory_id in group]
        # Read anew, directly before the commit: a memory may have been edited, pinned or deleted since the scan.
        current: dict[_Key, list[StoredMemory]] = {}
        for memory in await self._store.get_memories(scope, ids):
            if not memory.record.pinned and memory.record.extraction_strategy != TURN_STRATEGY:
                current.setdefault(_key(memory.record), []).append(memory)
        batch = WriteBatch()
        for repeated in current.values():
            for group in _same_event(repeated):
                if len(group) > 1:
                    kept = merged(group, now)
                    batch.put_memories.append(kept)
                    batch.delete_memories += [item.record.id for item in group if item.record.id != kept.record.id]
        if not batch.delete_memories:
            return 0
        kept_ids = [memory.record.id for memory in batch.put_memories]
        batch.add_jobs = [
            *self._outbox.memory_jobs("memories_updated", MemoriesUpdated, kept_ids, tenant=scope.tenant, now=now),
            *self._outbox.memory_jobs(
                "memories_deleted", MemoriesDeleted, batch.delete_memories, tenant=scope.tenant, now=now
            ),
        ]
        result = await self._store.commit(scope, batch)
        self._outbox.committed(batch.add_jobs)
        return len(result.deleted)


def _key(record: MemoryRecord) -> _Key:
    """What repetitions have in common: the owner, the text, and the time in which it held."""
    held = msgspec.json.encode([record.valid_from, record.valid_to, record.superseded_by]).decode()
    return f"{record.memory_hash or content_hash(record)} {held}", record.namespace or "", record.user_id or ""


def _same_event(group: Sequence[StoredMemory]) -> Iterable[list[StoredMemory]]:
    """The group, split where its memories tell of events on different dates."""
    dates = {memory.record.event_date for memory in group} - {None}
    if len(dates) < 2:
        return [list(group)]
    by_date: dict[Any, list[StoredMemory]] = {}
    for memory in group:
        by_date.setdefault(memory.record.event_date, []).append(memory)
    return by_date.values()


def merged(group: Sequence[StoredMemory], now: datetime) -> StoredMemory:
    """The memory accessed last, with what the others know beside it."""
    ordered = sorted(
        group,
        key=lambda memory: (memory.record.last_accessed, memory.record.access_count, memory.record.id),
        reverse=True,
    )
    kept = ordered[0]
    records = [memory.record for memory in ordered]
    metadata: dict[str, Any] = {}
    for record in reversed(records):
        metadata |= record.metadata
    record = msgspec.structs.replace(
        kept.record,
        topics=_union(record.topics for record in records),
        entities=_union(record.entities for record in records),
        source_ids=_union(record.source_ids for record in records),
        extracted_from=_union(record.extracted_from for record in records),
        access_count=min(MOST_ACCESSES, sum(record.access_count for record in records)),
        created_at=min(record.created_at for record in records),
        event_date=next((record.event_date for record in records if record.event_date is not None), None),
        metadata=metadata,
        updated_at=now,
    )
    return _indexed_anew(kept, record)


def _indexed_anew(kept: StoredMemory, record: MemoryRecord) -> StoredMemory:
    """The memory with this record; its words hold its date, its vector only its text."""
    body = record.text[kept.lead :]
    when = (record.event_date or record.created_at).timestamp()
    terms = tuple(index_terms(body, kept.speaker, when))
    return replace(kept, record=record, terms=terms, traits=traits_of(body, terms))


def _union(lists: Iterable[Sequence[str]]) -> list[str]:
    return unique([item for values in lists for item in values])
