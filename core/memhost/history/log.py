"""The log of all changes of a tenant, as its administrators read it."""

from __future__ import annotations

from memhost.history.entries import PAGE, keeping, shown
from memhost.models import Entry
from memhost.operations.history import ChangeList, ListChanges
from memhost.operations.table import Call
from memhost.ports import Store

MOST_LOOKED_AT = 10_000
"""Entries that one page looks at; where few of them fit, it is short, and `next` goes on."""


class ChangeLog:
    """Lists entries of the chain: changes of memories, erasures, administration."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def list_page(self, call: Call, request: ListChanges) -> ChangeList:
        """A page of the entries that fit, by number.

        Raises:
            Unsupported: The store keeps no log.
        """
        kept, scope = keeping(self._store), call.caller.bounds.narrow(user=request.user_id)
        found: list[Entry] = []
        place, looked_at = request.after, 0
        while looked_at < MOST_LOOKED_AT:
            page = await kept.list_entries(
                scope, memory=request.memory_id, newest=not request.oldest_first, after=place, limit=PAGE
            )
            for entry in page:
                place = entry.seq
                if _fits(entry, request):
                    found.append(entry)
                    if len(found) == request.limit:
                        return ChangeList(changes=[shown(each) for each in found], next=_next(place, request))
            if len(page) < PAGE:
                return ChangeList(changes=[shown(each) for each in found])
            looked_at += len(page)
        return ChangeList(changes=[shown(each) for each in found], next=_next(place, request))


def _next(place: int, request: ListChanges) -> int | None:
    return place if request.oldest_first or place > 1 else None


def _fits(entry: Entry, request: ListChanges) -> bool:
    change = entry.change
    if change is None:
        return request.change is None and request.subject is None
    if request.change is None and change.kind == "document":
        return False  # mostly the server's own notes: they would hide what people did
    return request.change in (None, change.kind) and request.subject in (None, change.actor.subject)
