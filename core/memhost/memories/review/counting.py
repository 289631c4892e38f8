"""Counts what waits for a review, at a bounded cost: it reads so many documents at most, and many of them seldom."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Sequence
from datetime import datetime

from memhost.memories.review.waiting import KIND, Waiting
from memhost.models import Scope
from memhost.operations.usage import ReviewsWaiting
from memhost.ports import Clock, Store
from memhost.storage.bound_documents import document_scope

MAX_COUNTED = 10_000
_PAGE = 1_000
_SHARE, _SLOW_S = 20, 0.05
"""A count that took longer than so many seconds is good for so many times as long."""
_MOST_KNOWN = 1_000


class ReviewCounts:
    """Counts what waits inside a scope.

    Args:
        store: Where it waits.
        waiting: Reads what waits.
        clock: Time.
    """

    def __init__(self, *, store: Store, waiting: Waiting, clock: Clock) -> None:
        self._store = store
        self._waiting = waiting
        self._clock = clock
        self._known: OrderedDict[Scope | None, tuple[ReviewsWaiting, float, float]] = OrderedDict()

    async def of(self, bounds: Scope) -> ReviewsWaiting:
        """Count the memories that wait inside the bounds, each by its first reason; since when the oldest does."""
        return await self._lately(bounds, [bounds])

    async def of_tenants(self, tenants: Sequence[str]) -> ReviewsWaiting:
        """The same of all of these tenants together."""
        return await self._lately(None, [Scope(tenant=tenant) for tenant in tenants])

    async def _lately(self, name: Scope | None, parts: Sequence[Scope]) -> ReviewsWaiting:
        """Count the parts together; or tell what was counted under that name, while that is good."""
        known = self._known.get(name)
        begun = self._clock.now().timestamp()
        if known is not None and known[2] > _SLOW_S and 0 <= begun - known[1] < _SHARE * known[2]:
            return known[0]
        found = _sum([await self._count(part) for part in parts])
        now = self._clock.now().timestamp()
        self._known[name] = (found, now, now - begun)
        self._known.move_to_end(name)
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        return found

    async def _count(self, bounds: Scope) -> ReviewsWaiting:
        reasons: Counter[str] = Counter()
        since: datetime | None = None
        now, after, read = self._clock.now(), "", 0
        while read < MAX_COUNTED:
            documents = await self._store.list_documents(document_scope(bounds), KIND, now, after=after, limit=_PAGE)
            for each in self._waiting.inside(bounds, documents, now):
                reasons[each.entry.reasons[0]] += 1
                since = min(since or each.entry.held_at, each.entry.held_at)
            read += len(documents)
            if len(documents) < _PAGE:
                break
            after = documents[-1].id
        return ReviewsWaiting(waiting=reasons.total(), reasons=dict(reasons), since=since)


def _sum(found: Sequence[ReviewsWaiting]) -> ReviewsWaiting:
    reasons: Counter[str] = Counter()
    for each in found:
        reasons.update(each.reasons)
    since = min((each.since for each in found if each.since is not None), default=None)
    return ReviewsWaiting(waiting=reasons.total(), reasons=dict(reasons), since=since)
