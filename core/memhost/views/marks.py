"""Marks of summary views of which memories have changed, so that their usual job computes them again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from memhost.events import ViewDue
from memhost.jobs.outbox import Outbox
from memhost.models import MemoryRecord, Scope, WriteBatch, matches
from memhost.operations.responses import SummaryView
from memhost.ports import Store
from memhost.storage.bound_documents import BoundDocuments
from memhost.views.filters import compile_view_filters
from memhost.views.partitions import BoundView, StoredPartition, kind_of, value_of


class ViewMarks:
    """Finds the views that tell of memories.

    Args:
        store: Where the views are.
        outbox: Makes the jobs of continuous views.
    """

    def __init__(self, store: Store, outbox: Outbox) -> None:
        self._store = store
        self._outbox = outbox
        self._views = BoundDocuments(store, "view", SummaryView)

    async def mark(self, batch: WriteBatch, tenant: str, memories: Sequence[MemoryRecord], now: datetime) -> None:
        """Add to a batch that the results that may tell of these memories are stale; continuous views become due."""
        if not memories:
            return
        for found in await self._views.list_all(Scope(tenant=tenant), now):
            told = [record for record in memories if _sees(found, record)]
            if told and await self._mark(batch, found, told, now) and found.content.continuous:
                event = ViewDue(tenant=tenant, view_id=found.content.id)
                batch.add_jobs += self._outbox.jobs("view_due", event, tenant=tenant, now=now, key=found.content.id)

    async def results_with(
        self, bounds: Scope, record: MemoryRecord, now: datetime
    ) -> list[tuple[SummaryView, Mapping[str, str]]]:
        """The views that a caller of those bounds may see, with the group of each stored result that counts it."""
        found: list[tuple[SummaryView, Mapping[str, str]]] = []
        for view in await self._views.list_all(bounds, now):
            if _sees(view, record):
                for document in await self._store.list_documents(
                    Scope(tenant=bounds.tenant), kind_of(view.content.id), now
                ):
                    group = msgspec.msgpack.decode(document.body, type=StoredPartition).group
                    if _in_group(group, record):
                        found.append((view.content, group))
        return found

    async def _mark(self, batch: WriteBatch, found: BoundView, memories: Sequence[MemoryRecord], now: datetime) -> bool:
        kind = kind_of(found.content.id)
        marked = False
        for document in await self._store.list_documents(Scope(tenant=found.bounds.tenant), kind, now):
            result = msgspec.msgpack.decode(document.body, type=StoredPartition)
            if any(_in_group(result.group, record) for record in memories):
                marked = True
                if not result.stale:
                    body = msgspec.msgpack.encode(msgspec.structs.replace(result, stale=True))
                    batch.put_documents.append(msgspec.structs.replace(document, body=body, updated_at=now))
        return marked


def _sees(found: BoundView, record: MemoryRecord) -> bool:
    return found.bounds.allows(record.namespace, record.user_id, record.session_id) and matches(
        record, compile_view_filters(found.content.filters)
    )


def _in_group(group: Mapping[str, Any], record: MemoryRecord) -> bool:
    return all(value_of(record, name) == value for name, value in group.items())
