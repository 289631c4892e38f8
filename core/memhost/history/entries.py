"""Entries of the log as operations show them, and the stores that keep one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from memhost.errors import Unsupported
from memhost.models import Change, Entry, Scope
from memhost.operations.history import MemoryChange
from memhost.ports import KeepsHistory, Store
from memhost.storekit import from_micros

PAGE = 500


def keeping(store: Store) -> KeepsHistory:
    """The store as one that keeps its history.

    Raises:
        Unsupported: It keeps none.
    """
    if not isinstance(store, KeepsHistory):
        raise Unsupported(
            "This store keeps no history: use one that does (memory, sqlite, redis) for versions and proof."
        )
    return store


async def entries_of(store: KeepsHistory, scope: Scope, memory_id: str, after: int = 0) -> AsyncIterator[Entry]:
    """The entries inside the scope about a memory, the newest first, before the one of the number `after` (0: all)."""
    while True:
        page = await store.list_entries(scope, memory=memory_id, newest=True, after=after, limit=PAGE)
        for entry in page:
            yield entry
        if len(page) < PAGE:
            return
        after = page[-1].seq


def fields_of(entry: Entry) -> dict[str, Any]:
    """The fields of `MemoryChange` for an entry."""
    fields: dict[str, Any] = {"seq": entry.seq, "kind": None, "link": entry.link.hex()}
    if (change := entry.change) is None:
        return fields
    actor = change.actor
    namespace, user, session = change.owner
    return fields | {
        "kind": change.kind,
        "at": from_micros(change.at),
        "memory_id": change.memory or None,
        "version": change.version or None,
        "namespace": namespace or None,
        "user_id": user or None,
        "session_id": session or None,
        "subject": actor.subject or None,
        "credential": actor.credential or None,
        "door": actor.door or None,
        "operation": actor.operation or None,
        "request_id": actor.request_id or None,
        "note": _note(change),
    }


def shown(entry: Entry) -> MemoryChange:
    """The entry as operations show it."""
    return MemoryChange(**fields_of(entry))


def _note(change: Change) -> str | None:
    if not change.places:
        return change.note or None
    runs = ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in change.places[:20])
    more = f" and {len(change.places) - 20} more runs" if len(change.places) > 20 else ""
    return f"{change.note + ': ' if change.note else ''}entries {runs}{more}"
