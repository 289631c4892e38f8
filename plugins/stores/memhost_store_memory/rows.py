"""The rows of the memory store: sessions, documents and jobs in one dict, memories in another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import nsmallest
from itertools import chain
from typing import Any

from memhost.models import AccessMark, Scope, StoredMemory
from memhost.storekit import Row, RowQuery, copy_memory, owner_of, rules

_ORDERS: dict[str, Callable[[Row], Any]] = {
    "name": lambda row: row.name,
    "newest": lambda row: (-row.sorted_at, row.name),
    "oldest": lambda row: (row.sorted_at, row.name),
    "ending": lambda row: (row.ends_at is None, row.ends_at, row.name),
}


class MemoryRows:
    """The one transaction of the memory store, which is always open.

    No method waits for anything, so that no other task runs between those of a call; and everything that could fail
    comes before the first change.

    Attributes:
        states: Rows by `row_id`; also by kind and tenant, so that a query goes only through those it may find.
        memories_by_id: Memories by tenant and id; no other object holds them.
    """

    def __init__(self) -> None:
        self.states: dict[bytes, Row] = {}
        self._shelves: defaultdict[tuple[str, bytes], dict[bytes, Row]] = defaultdict(dict)
        self.memories_by_id: dict[tuple[str, str], StoredMemory] = {}

    async def select(self, query: RowQuery, *, lock: bool = False) -> list[Row]:
        """The rows in the order of the query."""
        return self._page(query)

    async def count(self, query: RowQuery) -> int:
        """Return the number of rows that match, regardless of the query's page."""
        return sum(1 for _ in self._fitting(query))

    async def delete(self, query: RowQuery) -> int:
        """Remove the rows of the page; return their number."""
        found = self._page(query)
        for row in found:
            self._take_away(row.row_id)
        return len(found)

    async def put(self, rows: Sequence[Row]) -> None:
        """Insert or replace by `row_id`."""
        for row in rows:
            self._take_away(row.row_id)
            self.states[row.row_id] = self._shelves[row.kind, row.tenant][row.row_id] = row

    async def lock_tenant(self, tenant: str) -> None:
        """There is nothing to wait for."""

    async def memories(self, scope: Scope, ids: Sequence[str]) -> list[StoredMemory]:
        """Copies of the memories inside the scope."""
        return [copy_memory(memory) for memory in self._inside(scope, ids)]

    async def change_memories(self, tenant: str, gone: Sequence[str], new: Sequence[StoredMemory]) -> None:
        """Remove memories, then insert copies of others."""
        copies = {(tenant, memory.record.id): copy_memory(memory) for memory in new}
        for memory_id in gone:
            del self.memories_by_id[tenant, memory_id]
        self.memories_by_id |= copies

    async def mark_memories(self, scope: Scope, mark: AccessMark) -> None:
        """Count that memories were found."""
        for memory in self._inside(scope, dict.fromkeys(mark.ids)):
            rules.mark_access(memory.record, mark)

    def _inside(self, scope: Scope, ids: Iterable[str]) -> list[StoredMemory]:
        found = [self.memories_by_id.get((scope.tenant, memory_id)) for memory_id in ids]
        return [memory for memory in found if memory and scope.allows(*owner_of(memory.record))]

    def _take_away(self, row_id: bytes) -> None:
        row = self.states.pop(row_id, None)
        if row is not None:
            shelf = self._shelves[row.kind, row.tenant]
            del shelf[row_id]
            if not shelf:
                del self._shelves[row.kind, row.tenant]

    def _page(self, query: RowQuery) -> list[Row]:
        found, order = self._fitting(query), _ORDERS[query.order]
        if query.limit is None:
            return sorted(found, key=order)
        return nsmallest(query.offset + query.limit, found, key=order)[query.offset :]

    def _fitting(self, query: RowQuery) -> Iterable[Row]:
        found: Iterable[Row]
        if query.row_ids is not None:
            found = [self.states[row_id] for row_id in dict.fromkeys(query.row_ids) if row_id in self.states]
        else:
            tenant = query.scope and query.scope.tenant.encode()
            shelves = [
                shelf.values()
                for (kind, owner), shelf in self._shelves.items()
                if (query.kinds is None or kind in query.kinds) and tenant in (None, owner)
            ]
            found = chain.from_iterable(shelves)
        for test in _tests(query):
            found = filter(test, found)
        return found


def _tests(query: RowQuery) -> Iterator[Callable[[Row], bool]]:
    """Yield the tests that a row must pass beside its id; only those that restrict, as each row runs all."""
    kinds, living_at, ended_by, late = query.kinds, query.living_at, query.ended_by, query.updated_after
    above, below, scope = query.above, query.below, query.scope
    if kinds is not None:
        yield lambda row: row.kind in kinds
    if living_at is not None:
        yield lambda row: row.ends_at is None or row.ends_at > living_at
    if ended_by is not None:
        yield lambda row: row.ends_at is not None and row.ends_at <= ended_by
    if late is not None:
        yield lambda row: row.sorted_at > late
    if above is not None:
        yield lambda row: row.name > above
    if below is not None:
        yield lambda row: row.name < below
    if scope is not None:
        tenant, bounds = scope.tenant.encode(), query.bounds()
        yield lambda row: row.tenant == tenant and all(getattr(row, part) in some for part, some in bounds.items())
