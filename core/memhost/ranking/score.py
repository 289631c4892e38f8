"""From features to a ranking."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import NamedTuple

import numpy as np

from memhost.ranking.columns import Columns
from memhost.ranking.features import FEATURES, as_columns, feature_rows
from memhost.ranking.types import Candidate, CorpusStats, Flags, Floats, Ints, Ranked, Vector
from memhost.ranking.weights import RankingWeights
from memhost.text.analysis import AnalysedQuery

DEFAULT_WEIGHTS = RankingWeights()

_STAGES = {
    "lexical": ("lexical", "variants", "phrase"),
    "coverage": ("coverage",),
    "semantic": ("vector", "centred", "alike", "alike_near"),
    "context": tuple(name for name in FEATURES if name.startswith(("lexical_", "vector_", "answers"))),
    "session": ("session", "session_several"),
    "speaker": ("speaker", "first_person", "speaker_first_person"),
    "role": ("own_words", "others_words", "user_turn"),
    "date": ("date", "date_after", "newness"),
    "expected": tuple(name for name in FEATURES if name.startswith("expected_")),
    "form": ("question", "asks", "length", "opening", "question_assisted", "asks_assisted", "length_assisted"),
}
STAGES = (*_STAGES, "prior")
"""Names of the columns of `RankedRows.parts`."""
_ORDER = [name for members in _STAGES.values() for name in members]
_COLUMNS = np.array([FEATURES.index(name) for name in _ORDER])
"""The columns of the feature matrix, stage by stage."""
_STARTS = np.cumsum([0, *(len(members) for members in _STAGES.values())])[:-1]
_SHARED = [FEATURES.index(name) for name in ("coverage", "variants", "phrase", "date", "speaker")]
_NEARNESS = FEATURES.index("vector")
_DECIMALS = 9
"""Sums of logits that are equal to so many decimals are equal: beyond lies what processors round differently."""


class RankedRows(NamedTuple):
    """A ranking of m memories as arrays, best first.

    Attributes:
        rows: Rows of the columns that were ranked, shape (m,).
        scores: As `Ranked.score`, shape (m,).
        parts: What each stage added in logits, shape (m, len(STAGES)), columns as in `STAGES`.
        shares: As `Ranked.shares`, shape (m,).
        nearness: As `Ranked.nearness`, shape (m,).
    """

    rows: Ints
    scores: Floats
    parts: Floats
    shares: Flags
    nearness: Floats

    def only(self, kept: Flags) -> RankedRows:
        """Those of them for which `kept`, in their order, is true."""
        return RankedRows(self.rows[kept], self.scores[kept], self.parts[kept], self.shares[kept], self.nearness[kept])

    def with_parts(self, *, explain: bool) -> Iterator[tuple[int, float, dict[str, float]]]:
        """Row, score and, if they are to be explained, what each stage added, one after the other."""
        parts: Iterable[dict[str, float]] = repeat({})
        if explain:
            parts = [dict(zip(STAGES, row, strict=True)) for row in self.parts.tolist()]
        return zip(self.rows.tolist(), self.scores.tolist(), parts, strict=False)


def rank(
    query: AnalysedQuery,
    query_vector: Vector | None,
    candidates: Sequence[Candidate] | Columns,
    stats: CorpusStats,
    weights: RankingWeights = DEFAULT_WEIGHTS,
    *,
    limit: int | None = None,
    explain: bool = True,
) -> list[Ranked]:
    """Rank ``candidates`` for ``query``.

    Args:
        query: the query, taken apart by :func:`memhost.text.analysis.analyse_query`.
        query_vector: its embedding, of length one; None to rank by words alone.
        candidates: memories of the caller's scope in any order, keys unique. Columns that a
            store keeps save making them for each query.
        stats: counts over the scope.
        weights: weights of the stages.
        limit: return only so many of the best; None for all.
        explain: fill in the breakdowns.

    Returns:
        One entry for each candidate, best first; equal scores in the order of their keys. The order in which
        candidates are given changes nothing.
    """
    columns = as_columns(candidates, query_vector)
    found = rank_columns(query, query_vector, columns, stats, weights, limit=limit)
    keys = columns.keys_of(found.rows)
    parts = [dict(zip(STAGES, row, strict=True)) for row in found.parts.tolist()] if explain else [{} for _ in keys]
    values = zip(keys, found.scores.tolist(), parts, found.shares.tolist(), found.nearness.tolist(), strict=True)
    return [Ranked(*each) for each in values]


def rank_columns(
    query: AnalysedQuery,
    query_vector: Vector | None,
    columns: Columns,
    stats: CorpusStats,
    weights: RankingWeights = DEFAULT_WEIGHTS,
    *,
    limit: int | None = None,
) -> RankedRows:
    """Rank the rows of ``columns`` as :func:`rank` does, and return arrays."""
    features = feature_rows(query, query_vector, columns, stats, weights)
    parts = stage_values(features, weights)
    totals = parts.sum(axis=1).round(_DECIMALS)
    order = (-totals).argsort(kind="stable")
    ordered = totals[order]
    if (ordered[1:] == ordered[:-1]).any():
        order = np.lexsort((columns.place, -totals))
    order = order[:limit]
    scores = 1.0 / (1.0 + np.exp(-np.clip(totals[order], -60.0, 60.0)))
    shares = (features[_SHARED].max(axis=0) > 0)[order]
    return RankedRows(order, scores, parts[order], shares, features[_NEARNESS, order])


def stage_values(features: Floats, weights: RankingWeights) -> Floats:
    """Return what each stage adds to each candidate in logits, a row each; the last column is the intercept.

    Args:
        features: a row for each of ``FEATURES``.
        weights: weights of the stages.
    """
    factors = np.array([getattr(weights, name) for name in _ORDER]) * weights.slope
    parts = np.empty((len(STAGES), features.shape[1]))
    # Value by value, where a matrix product mixes rows.
    np.add.reduceat(features[_COLUMNS] * factors[:, None], _STARTS, axis=0, out=parts[:-1])
    parts[-1] = weights.intercept
    return parts.T
