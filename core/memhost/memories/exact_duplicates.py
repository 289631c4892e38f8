"""Exact repetitions: one statement of one owner is stored once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from memhost.memories.records import content_hash, hashes_of
from memhost.memories.repetition import MAX_COMPARED, compatible, completed, indexed_anew
from memhost.models import TURN_STRATEGY, AccessMark, Condition, MemoryRecord, Op, Scope, StoredMemory
from memhost.ports import Store

_CHUNK = 250
_PAGE = 500
_FIRST = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True, kw_only=True)
class Repetitions:
    """The new records of a request, and the result for those that repeat others.

    Attributes:
        fresh: The records that repeat nothing stored and none before them, with what later ones add to them.
        stays: Id of each record that is a repetition, and of the memory that it repeats.
        confirmed: Stored memories that are repeated, unchanged.
        completed: Records of those that the repetition adds something to, with the addition, by id.
    """

    fresh: list[MemoryRecord] = field(default_factory=list)
    stays: dict[str, str] = field(default_factory=dict)
    confirmed: dict[str, StoredMemory] = field(default_factory=dict)
    completed: dict[str, MemoryRecord] = field(default_factory=dict)

    def access(self, now: datetime) -> AccessMark | None:
        """Repeating a memory counts as using it."""
        return AccessMark(ids=tuple(self.confirmed), at=now, interval_s=0.0) if self.confirmed else None

    def parted(self, records: Sequence[MemoryRecord]) -> tuple[list[MemoryRecord], list[StoredMemory]]:
        """Records that are to be indexed, and completed ones, whose text is as it was, as they are to be stored."""
        kept = {
            record.id: indexed_anew(self.confirmed[record.id], record)
            for record in records
            if record.id in self.completed and record.text == self.confirmed[record.id].record.text
        }
        return [record for record in records if record.id not in kept], list(kept.values())


async def find_repetitions(store: Store, bounds: Scope, records: Sequence[MemoryRecord], now: datetime) -> Repetitions:
    """Tell what is new from what repeats a stored memory or a record before it (`repetition.compatible`).

    A record whose id is stored already replaces that memory and is no repetition; nor is a turn of a conversation.
    Facts that newer ones replaced are not repeated (`compatible` tells them apart): they may become true again.
    """
    found = Repetitions()
    stored = await _stored_alike(store, bounds, [record for record in records if not _is_turn(record)])
    keys = [record.memory_hash or content_hash(record) for record in records]
    often = {key for key, times in Counter(keys).items() if times > 1}
    doubtful = [record.id for record, key in zip(records, keys, strict=True) if key in often or key in stored]
    replacing = {memory.record.id for memory in await store.get_memories(bounds, doubtful)} if doubtful else set()
    fresh: dict[str, list[int]] = {}
    for record, key in zip(records, keys, strict=True):
        if not _is_turn(record) and record.id not in replacing:
            if (memory := _repeated(record, stored.get(key, ()), found.completed)) is not None:
                found.stays[record.id] = memory.record.id
                found.confirmed[memory.record.id] = memory
                before = found.completed.get(memory.record.id, memory.record)
                if (after := completed(before, record, now)) is not None:
                    found.completed[memory.record.id] = after
                continue
            rivals = fresh.get(key, [])[:MAX_COMPARED]
            index = next((index for index in rivals if compatible(found.fresh[index], record)), None)
            if index is not None:
                found.stays[record.id] = found.fresh[index].id
                found.fresh[index] = completed(found.fresh[index], record, now) or found.fresh[index]
                continue
        if not _is_turn(record):
            fresh.setdefault(key, []).append(len(found.fresh))
        found.fresh.append(record)
    return found


async def _stored_alike(store: Store, bounds: Scope, records: Sequence[MemoryRecord]) -> dict[str, list[StoredMemory]]:
    """Stored memories, oldest first, by the hash of their statement, of those that the records may repeat."""
    found: dict[str, StoredMemory] = {}
    for start in range(0, len(records), _CHUNK):
        chunk = records[start : start + _CHUNK]
        page, total = await store.list_memories(bounds, _hashed(chunk), limit=_PAGE, order="oldest")
        for record in chunk if total > len(page) else ():  # one statement with many dates: each looked for by its own
            page += (await store.list_memories(bounds, _hashed([record]), limit=_PAGE, order="oldest"))[0]
        found |= {memory.record.id: memory for memory in page}
    alike: dict[str, list[StoredMemory]] = {}
    wanted = {record.memory_hash or content_hash(record) for record in records}
    for memory in sorted(found.values(), key=lambda each: (each.record.created_at, each.record.id)):
        stored_as = memory.record.memory_hash or ""
        key = stored_as if stored_as in wanted else content_hash(memory.record)
        alike.setdefault(key, []).append(memory)
    return alike


def _hashed(records: Sequence[MemoryRecord]) -> list[Condition]:
    """Conditions for memories that the records may repeat; for a single one also by the date of its event."""
    hashes = tuple(dict.fromkeys(name for record in records for name in hashes_of(record)))
    conditions = [
        Condition("memory_hash", Op.ANY, hashes),
        Condition("extraction_strategy", Op.NONE, (TURN_STRATEGY,)),
    ]
    if len(records) == 1 and (when := records[0].event_date) is not None:
        conditions.append(Condition("event_date", Op.NOT_GT, (when,)))
        if when > _FIRST:
            conditions.append(Condition("event_date", Op.NOT_LTE, (when - timedelta(microseconds=1),)))
    return conditions


def _repeated(
    record: MemoryRecord, stored: Sequence[StoredMemory], changed: Mapping[str, MemoryRecord]
) -> StoredMemory | None:
    """The stored memory that the record repeats: of several the one of the same date, then the oldest."""
    near = sorted(stored, key=lambda memory: memory.record.event_date != record.event_date)[:MAX_COMPARED]
    return next((memory for memory in near if compatible(changed.get(memory.record.id, memory.record), record)), None)


def _is_turn(record: MemoryRecord) -> bool:
    return record.extraction_strategy == TURN_STRATEGY
