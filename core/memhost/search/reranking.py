"""The reranker's place in a search: it puts the best matches of the pipeline in order, or leaves them as they are."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from time import perf_counter

import msgspec

from memhost.errors import MemhostError, ModelUnavailable
from memhost.logs import describe
from memhost.metrics import Metrics, RerankOutcome
from memhost.ports import Clock, Reranker
from memhost.search.scoring import Scored
from memhost.settings.schema import SearchSettings
from memhost.usage.model_health import ModelHealth

logger = logging.getLogger(__name__)

RERANKER, PIPELINE = "reranker", "pipeline"
"""Parts of a hit's score: what the reranker gave, and the score that the pipeline gave before."""

_REST_S = 10.0
"""Seconds for which a reranker that was away is not asked: during an outage one search waits for it, not all."""
_LONGEST = 4_000
"""Characters of a text that the reranker reads. Most read 512 tokens of query and text together."""


class Reranked(msgspec.Struct, frozen=True):
    """Matches in the reranker's order; `problem` says why it is not, empty if it is."""

    matches: list[Scored]
    problem: str = ""


class Reranking:
    """Asks the reranker within its time limit."""

    def __init__(
        self, *, reranker: Reranker, settings: SearchSettings, health: ModelHealth, metrics: Metrics, clock: Clock
    ) -> None:
        self._reranker = reranker
        self._settings = settings
        self._health = health
        self._metrics = metrics
        self._clock = clock
        self._rests_until: datetime | None = None
        self._reason = ""

    async def apply(self, query: str, matches: list[Scored]) -> Reranked:
        """The matches with the best of them reordered, or as they are if the reranker fails.

        Scores fall from first to last: those of the pool are the reranker's, and what lies behind the pool keeps its
        score as far as that is below the pool's lowest.
        """
        pool, rest = matches[: self._settings.rerank_pool], matches[self._settings.rerank_pool :]
        if not pool:
            return Reranked(matches)
        if self._rests_until is not None and self._clock.now() < self._rests_until:
            self._metrics.reranked(self._reranker.name, "suspended", 0.0)
            return Reranked(matches, self._told(self._reason))
        self._rests_until = None
        begun = perf_counter()
        outcome: RerankOutcome = "failed"
        try:
            async with asyncio.timeout(self._settings.rerank_timeout_s):
                given = await self._reranker.rerank(query, [item.text[:_LONGEST] for item in pool])
            scores = _checked(given, len(pool))
            outcome = "ok"
        except TimeoutError:
            outcome = "timeout"
            limit = f"it did not answer within {self._settings.rerank_timeout_s:g} s (RERANK_TIMEOUT_S)"
            return self._without(matches, ModelUnavailable(limit), limit)
        except MemhostError as error:
            return self._without(matches, error, error.message)
        except Exception as error:  # noqa: BLE001 - a foreign reranker may fail in any way; the search goes on
            return self._without(matches, error, describe(error))
        finally:
            self._metrics.reranked(self._reranker.name, outcome, perf_counter() - begun)
        self._health.answered("reranker", self._reranker.name)
        return Reranked(_reordered(pool, scores, rest))

    def _without(self, matches: list[Scored], error: Exception, reason: str) -> Reranked:
        name = self._reranker.name
        self._health.failed("reranker", name, error)
        logger.warning("rerank.failed", extra={"fields": {"model": name, "error": reason}})
        if isinstance(error, ModelUnavailable):
            self._rests_until, self._reason = self._clock.now() + timedelta(seconds=_REST_S), reason
        return Reranked(matches, self._told(reason))

    def _told(self, reason: str) -> str:
        sentence = reason if reason.endswith(".") else f"{reason}."
        return f"The hits are in the order without the reranker {self._reranker.name}: {sentence}"


def _checked(given: Sequence[float], count: int) -> list[float]:
    """The scores as plain numbers.

    Raises:
        ValueError: They are not one number from 0 to 1 for each text.
    """
    scores = [float(score) for score in given]
    if len(scores) != count:
        raise ValueError(f"it gave {len(scores)} scores for {count} texts")
    if not all(math.isfinite(score) and -1e-6 <= score <= 1 + 1e-6 for score in scores):
        raise ValueError("its scores are not numbers from 0 to 1")
    return [min(1.0, max(0.0, score)) for score in scores]


def _reordered(pool: Sequence[Scored], scores: Sequence[float], rest: Sequence[Scored]) -> list[Scored]:
    found = [_with_score(item, score, RERANKER, score) for item, score in zip(pool, scores, strict=True)]
    found.sort(key=lambda item: -item.score)  # equal ones keep the order of the pipeline
    lowest = found[-1].score
    return found + [
        item if item.score <= lowest else _with_score(item, lowest, "behind_reranked", lowest) for item in rest
    ]


def _with_score(item: Scored, score: float, part: str, value: float) -> Scored:
    parts = {**item.parts, PIPELINE: item.score, part: value} if item.parts else item.parts
    return msgspec.structs.replace(item, score=score, dist=1.0 - score, parts=parts)
