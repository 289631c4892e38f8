"""Keep stored memories as they were before a resolution, and carry its changes on to memories made from them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from memhost.consolidation.semantic_duplicates import Resolution
from memhost.memories.derived import former
from memhost.memories.derived.cascade import Cascade
from memhost.models import Scope, StoredMemory, WriteBatch
from memhost.ports import Store
from memhost.settings.schema import MemorySettings


async def note_changes(
    store: Store,
    cascade: Cascade,
    batch: WriteBatch,
    scope: Scope,
    found: Resolution,
    fresh: Sequence[StoredMemory],
    settings: MemorySettings,
    now: datetime,
) -> None:
    """Add to a batch what stored memories that it joins or replaces are before it, and what follows from that.

    Args:
        store: Where they are.
        cascade: Finds what was made from them.
        batch: The batch, which holds the resolution already.
        scope: Scope of the memories.
        found: The resolution.
        fresh: New memories, which it may have joined with others.
        settings: How long former states are kept.
        now: The current time.
    """
    names = [name for join in found.joins for name in join.goes]
    there = {memory.record.id: memory.record for memory in fresh}
    there |= {memory.record.id: memory.record for memory in (await store.get_memories(scope, names) if names else ())}
    parts = {join.stays: [there[name] for name in join.goes if name in there] for join in found.joins}
    await former.note_changes(store, batch, scope, now, keep_days=settings.superseded_keep_days, parts=parts)
    touched = {*found.superseded, *found.updated}
    changed = [memory.record for memory in found.put if memory.record.id in touched]
    changed += [there[name] for name in found.delete if name in there]
    await cascade.changed(batch, scope.tenant, changed, now)
