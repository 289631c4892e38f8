"""Recency reranking: mixes the semantic score with how recent a memory is; `Recency` has the formula."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

from memhost.models import MemoryHit, MemoryRecord
from memhost.operations.requests import SearchFields

_SHORTEST_HALF_LIFE_DAYS = 0.001
_DAY_S = 86_400.0


class Recency:
    """The formula with the weights of one request.

    freshness falls with the time since the last access, novelty with the time since it was said, each by its half
    life in days; rank = semantic weight x (1 - dist) + recency weight x (freshness and novelty, weighted,
    clipped to 0..1).
    """

    def __init__(self, request: SearchFields, now: datetime) -> None:
        self._now = now
        self._semantic = _or(request.recency_semantic_weight, 0.8)
        self._recency = _or(request.recency_recency_weight, 0.2)
        self._freshness = _or(request.recency_freshness_weight, 0.6)
        self._novelty = _or(request.recency_novelty_weight, 0.4)
        self._access_days = max(_SHORTEST_HALF_LIFE_DAYS, _or(request.recency_half_life_last_access_days, 7.0))
        self._created_days = max(_SHORTEST_HALF_LIFE_DAYS, _or(request.recency_half_life_created_days, 30.0))

    def score(self, record: MemoryRecord, dist: float) -> float:
        """Rank of a hit, higher is better."""
        fresh = math.exp2(-self._days(record.last_accessed) / self._access_days)
        novel = math.exp2(-self._days(record.told_at) / self._created_days)
        recency = min(1.0, max(0.0, self._freshness * fresh + self._novelty * novel))
        return self._semantic * (1.0 - dist) + self._recency * recency

    def reorder(self, hits: Sequence[MemoryHit]) -> list[MemoryHit]:
        """The hits by rank; equal ranks keep their order."""
        return sorted(hits, key=lambda hit: self.score(hit, hit.dist), reverse=True)

    def _days(self, moment: datetime) -> float:
        return max(0.0, (self._now - moment).total_seconds() / _DAY_S)


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
