"""Metrics of one question's hits, and bootstrap intervals over questions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from memhost.evaluation.sets import Question

Floats = npt.NDArray[np.float64]

DEPTHS = (1, 5, 10, 25)
"""Hits among which evidence is counted."""
BUDGETS = (250, 500, 750, 1500)
"""Tokens of context within which evidence is counted."""
RANKING = (*(f"recall@{depth}" for depth in DEPTHS), "all@5", "all@10", "mrr")
TIMELINE = ("winner_first", "stale_above")
MEASURES = (*RANKING, *(f"evidence@{budget}" for budget in BUDGETS), *TIMELINE)
"""The measures of a question, each from 0 to 1.

`recall@k` is the share of the evidence among the first k hits, `all@k` whether all of it is there, `mrr` the reciprocal
rank of the first hit with evidence (0 behind the 25th), `evidence@t` the share of the evidence within t tokens. Only of
questions with outdated statements: `winner_first`, whether the first hit is evidence, and `stale_above`, whether an
outdated statement ranks above the evidence.
"""

_DRAWS = 2000
_SEED = 7


class Interval(NamedTuple):
    """A mean with its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float


def measures(hits: Sequence[Sequence[str]], kept: Sequence[float], question: Question) -> list[float]:
    """The value of each of `MEASURES`; not a number where it does not apply.

    Args:
        hits: For each hit, best first, the turns that it is or was made from.
        kept: Share of the evidence within each of `BUDGETS`.
        question: What was asked.
    """
    wanted = frozenset(question.evidence)
    shares = {depth: share(wanted, hits[:depth]) for depth in {*DEPTHS, 5, 10}}
    first = _first(hits[: DEPTHS[-1]], wanted)
    return [
        *(shares[depth] for depth in DEPTHS),
        float(shares[5] == 1.0),
        float(shares[10] == 1.0),
        1.0 / first if first < math.inf else 0.0,
        *kept,
        *_timeline(hits, wanted, frozenset(question.outdated)),
    ]


def share(wanted: frozenset[str], hits: Iterable[Sequence[str]]) -> float:
    """The share of the wanted turns that the hits hold, 0 to 1."""
    return len(wanted & {turn for hit in hits for turn in hit}) / len(wanted)


def _first(hits: Sequence[Sequence[str]], wanted: frozenset[str]) -> float:
    return next((rank for rank, hit in enumerate(hits, 1) if not wanted.isdisjoint(hit)), math.inf)


def _timeline(hits: Sequence[Sequence[str]], wanted: frozenset[str], outdated: frozenset[str]) -> tuple[float, float]:
    if not outdated:
        return math.nan, math.nan
    return float(_first(hits, wanted) == 1), float(_first(hits, outdated) < _first(hits, wanted))


def interval(values: Floats) -> Interval | None:
    """The mean and its percentile interval over resampled questions (Efron, 1979); None if nothing was measured.

    The draws depend on the number of values alone, so that equal runs print equal intervals.
    """
    held = values[~np.isnan(values)]
    if not held.size:
        return None
    draws = np.random.default_rng(_SEED).integers(0, held.size, (_DRAWS, held.size), dtype=np.int32)
    means = held[draws].mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return Interval(float(held.mean()), float(low), float(high))


def difference(values: Floats, others: Floats) -> Interval | None:
    """The excess of the others, with the interval of the paired differences of the same questions."""
    return interval(others - values)
