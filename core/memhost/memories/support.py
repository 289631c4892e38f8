"""Memories whose evidence is gone: made from one turn alone, which now says something else."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime

from memhost.memories.exact_duplicates import TURN_STRATEGY
from memhost.memories.trash import entries
from memhost.models import Condition, Op, Scope, SessionKey, StoredMemory, WriteBatch
from memhost.ports import Store
from memhost.settings.schema import MemorySettings

_PAGE = 500


async def withdraw(
    store: Store,
    batch: WriteBatch,
    key: SessionKey,
    edited: Collection[str],
    made: Callable[[str], bool],
    now: datetime,
    settings: MemorySettings,
) -> list[str]:
    """Move memories without any support left into the trash; return their ids.

    These are the memories of the session that were made of edited turns alone, and that the batch, which holds what the
    turns say now, does not store again. What is pinned, or was edited or joined with others since, stays.

    Args:
        store: Where they are.
        batch: What is committed with it; it gets the removals.
        key: The session.
        edited: Ids of turns whose content has changed and that have been read again.
        made: Whether the strategy of a name is one of those that have read them again; memories of others stay.
        now: The current time.
        settings: How long the trash keeps them.
    """
    if not edited:
        return []
    confirmed = {memory.record.id for memory in batch.put_memories} | set(batch.access.ids if batch.access else ())
    gone = [
        memory
        for memory in await _derived(store, key)
        if _rests_on(memory, edited, confirmed) and made((memory.record.extractor or "").partition("/")[0])
    ]
    ids = [memory.record.id for memory in gone if memory.record.id not in batch.delete_memories]
    batch.delete_memories += ids
    batch.put_documents += entries(key.tenant, gone, "unsupported", now, settings)
    return ids


async def _derived(store: Store, key: SessionKey) -> list[StoredMemory]:
    scope = Scope(tenant=key.tenant, namespaces=(key.namespace,), users=(key.user,), sessions=(key.session,))
    conditions = (Condition("extraction_strategy", Op.NONE, (TURN_STRATEGY,)),)
    found: list[StoredMemory] = []
    while True:
        page, total = await store.list_memories(scope, conditions, limit=_PAGE, offset=len(found))
        found += page
        if not page or len(found) >= total:
            return found


def _rests_on(memory: StoredMemory, edited: Collection[str], confirmed: Collection[str]) -> bool:
    record = memory.record
    if record.id in confirmed or record.pinned or record.superseded_by is not None or record.extractor is None:
        return False
    as_made = record.persisted_at is None or record.updated_at <= record.persisted_at
    return as_made and bool(record.source_ids) and set(record.source_ids) <= set(edited)
