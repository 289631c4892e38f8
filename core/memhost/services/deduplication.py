"""Exact repetitions: one statement of one owner is stored once (contract/strategies.md 7.2)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from memhost.models import AccessMark, Condition, MemoryRecord, Op, Scope
from memhost.ports import Store

TURN_STRATEGY = "message"
"""Strategy that records of conversation turns carry; turns are evidence and never dropped as repetitions."""

_CHUNK = 500


async def without_repetitions(
    store: Store, bounds: Scope, records: Sequence[MemoryRecord]
) -> tuple[list[MemoryRecord], list[str]]:
    """The records that repeat no stored memory and none before them, and the ids of the stored ones repeated.

    Records repeat each other if owner and normalised text are equal (`records.content_hash`). One whose id is
    stored already replaces that memory and is no repetition. Facts that newer ones replaced are not repeated.
    """
    first: dict[str | None, MemoryRecord] = {}
    for record in records:
        first.setdefault(record.memory_hash, record)
    fresh = list(first.values())
    hashes = [str(record.memory_hash) for record in fresh]
    stored: dict[str | None, str] = {}
    for start in range(0, len(hashes), _CHUNK):
        conditions = (
            Condition("memory_hash", Op.ANY, tuple(hashes[start : start + _CHUNK])),
            Condition("extraction_strategy", Op.NONE, (TURN_STRATEGY,)),
        )
        found, _ = await store.list_memories(bounds, conditions, limit=_CHUNK, order="oldest")
        for memory in found:
            if memory.record.superseded_by is not None:
                continue  # what was replaced may become true again
            stored.setdefault(memory.record.memory_hash, memory.record.id)
    doubtful = [record.id for record in fresh if stored.get(record.memory_hash, record.id) != record.id]
    replacing = {memory.record.id for memory in await store.get_memories(bounds, doubtful)} if doubtful else set()
    kept, repeated = [], []
    for record in fresh:
        if record.id in doubtful and record.id not in replacing:
            repeated.append(stored[record.memory_hash])
        else:
            kept.append(record)
    return kept, repeated


def repetition_mark(ids: Sequence[str], now: datetime) -> AccessMark | None:
    """Repeating a memory counts as using it."""
    return AccessMark(ids=tuple(ids), at=now, interval_s=0.0) if ids else None
