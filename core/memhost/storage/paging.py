"""Walking through many memories or sessions, a page at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from memhost.models import Condition, Op, Scope, SessionKey, StoredMemory
from memhost.ports import Store

PAGE = 2000
"""Memories or sessions read at once. Each page may sort all that is left, and holds some ten megabytes."""


async def scan(
    store: Store, scope: Scope, conditions: Sequence[Condition] = (), *, limit: int | None = None
) -> AsyncIterator[StoredMemory]:
    """The memories inside the scope that satisfy all conditions, oldest first, each once; at most `limit`.

    A memory written in the meantime may be missed; none is returned twice.
    """
    seen: set[str] = set()
    offset = 0
    while limit is None or offset < limit:
        size = PAGE if limit is None else min(PAGE, limit - offset)
        found, _ = await store.list_memories(scope, conditions, order="oldest", limit=size, offset=offset)
        for memory in found:
            if memory.record.id not in seen:
                seen.add(memory.record.id)
                yield memory
        if len(found) < size:
            return
        offset += size


async def walk(
    store: Store,
    scope: Scope,
    conditions: Sequence[Condition] = (),
    *,
    start: datetime | None = None,
    page: int = PAGE,
) -> AsyncIterator[StoredMemory]:
    """The memories inside the scope made at `start` or later, oldest first; each page starts where the last ended."""
    since, at_since = start, set[str]()
    while True:
        tests = [*conditions, *([Condition("created_at", Op.GTE, (since,))] if since is not None else [])]
        found, _ = await store.list_memories(scope, tests, order="oldest", limit=page, offset=len(at_since))
        for memory in found:
            if memory.record.id in at_since and memory.record.created_at == since:
                continue
            if memory.record.created_at != since:
                since = memory.record.created_at
                at_since = set()
            at_since.add(memory.record.id)
            yield memory
        if len(found) < page:
            return


async def session_keys(store: Store, scope: Scope, now: datetime) -> list[SessionKey]:
    """Keys of all living sessions inside the scope; those that move to the front in the meantime count once."""
    keys: dict[SessionKey, None] = {}
    offset = 0
    while True:
        page, total = await store.list_sessions(scope, now, limit=PAGE, offset=offset)
        keys.update(dict.fromkeys(page))
        offset += len(page)
        if not page or offset >= total:
            return list(keys)


async def count(store: Store, scope: Scope, conditions: Sequence[Condition] = ()) -> int:
    """Return the number of memories inside the scope that satisfy all conditions."""
    _, total = await store.list_memories(scope, conditions, limit=1)
    return total
