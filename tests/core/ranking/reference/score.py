"""From features to a ranking."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from memhost.ranking.features import FEATURES
from memhost.ranking.score import _COLUMNS, _DECIMALS, _NEARNESS, _SHARED, _STARTS, DEFAULT_WEIGHTS, STAGES
from memhost.ranking.types import Candidate, CorpusStats, Floats, Ranked, Vector
from memhost.ranking.weights import RankingWeights
from memhost.text.analysis import AnalysedQuery
from tests.core.ranking.reference.features import feature_matrix


def rank(
    query: AnalysedQuery,
    query_vector: Vector | None,
    candidates: Sequence[Candidate],
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
        candidates: memories of the caller's scope in any order, keys unique.
        stats: counts over the scope.
        weights: weights of the stages.
        limit: return only so many of the best; None for all.
        explain: fill in the breakdowns; False saves about a millisecond for 500 candidates.

    Returns:
        One entry for each candidate, best first; equal scores in the order of their keys. The order in which
        candidates are given changes nothing.
    """
    if not candidates:
        return []
    candidates = sorted(candidates, key=_place)
    features = feature_matrix(query, query_vector, candidates, stats, weights)
    parts = stage_values(features, weights)
    totals = np.round(parts.sum(axis=1), _DECIMALS)
    order = np.argsort(-totals, kind="stable")[:limit]
    scores = (1.0 / (1.0 + np.exp(-np.clip(totals[order], -60.0, 60.0)))).tolist()
    rows = parts[order].tolist() if explain else None
    shares = (features[order][:, _SHARED].max(axis=1) > 0).tolist()
    nearness = features[:, _NEARNESS][order].tolist()
    return [
        Ranked(
            candidates[i].key,
            scores[n],
            dict(zip(STAGES, rows[n], strict=True)) if rows else {},
            shares[n],
            nearness[n],
        )
        for n, i in enumerate(order)
    ]


def _place(candidate: Candidate) -> tuple[bool, int | str]:
    """Return the sort key of a candidate among equals: numbers first, then texts."""
    return isinstance(candidate.key, str), candidate.key


def stage_values(features: Floats, weights: RankingWeights) -> Floats:
    """Return what each stage adds to each candidate in logits; the last column is the intercept."""
    vector = np.array([getattr(weights, name) for name in FEATURES])
    weighted = features * (vector * weights.slope)
    stages = np.add.reduceat(weighted[:, _COLUMNS], _STARTS, axis=1)  # row by row, where a matrix product mixes rows
    return np.column_stack([stages, np.full(len(features), weights.intercept)])
