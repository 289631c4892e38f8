"""Nearness of meaning between a query and memories: plain, and from what all candidates have in common.

Vectors that are means of word vectors share a large part, whatever their texts say; without it, what is left tells
texts apart (Arora et al., ICLR 2017; Mu and Viswanath, ICLR 2018). Here that part is the mean of the candidates.
"""

from __future__ import annotations

import numpy as np

from memhost.ranking.columns import Columns
from memhost.ranking.types import Floats, Vector

_FEW = 30.0
"""Candidates whose mean counts half: of a few there is no telling what is common to all (by judgement)."""
_DECIMALS = 9
"""Equal memories get equal values: a matrix product may give equal rows sums that differ in the last bit."""


def cosines(columns: Columns, query_vector: Vector | None, floor: float) -> tuple[Floats, Floats]:
    """Return the cosine of each candidate and the query, and the same with both counted from the candidates' mean.

    Args:
        columns: Memories; those without a vector of the query's length get 0.
        query_vector: The embedding of the query, of length one; None gives 0 for all, and so does a vector of zeros.
        floor: What the plain cosine is counted from, in [0, 1); it is divided by the rest.
    """
    plain, centred = np.zeros(len(columns)), np.zeros(len(columns))
    if query_vector is None or not query_vector.any():
        return plain, centred
    kept = columns.vectors.get(len(query_vector))
    at = np.flatnonzero(kept.at >= 0) if kept is not None else ()
    if kept is None or not len(at):
        return plain, centred
    places = kept.at[at]
    rows = kept.matrix.take(places, axis=0).astype(np.float64)
    asked = query_vector.astype(np.float64)
    mean = np.add.reduce(rows, axis=0) / (len(at) + _FEW)
    products = np.round(rows @ np.array([asked, mean]).T, _DECIMALS)
    plain[at] = (products[:, 0] - floor) / (1.0 - floor)
    shared, to_mean = float(mean @ mean), float(asked @ mean)
    squares = np.round(kept.squares[places], _DECIMALS)
    lengths = np.maximum(squares - 2.0 * products[:, 1] + shared, 1e-9)
    lengths *= max(float(asked @ asked) - 2.0 * to_mean + shared, 1e-9)
    inner = products[:, 0] - products[:, 1] - to_mean + shared
    centred[at] = np.where(squares > 0.0, np.round(inner / np.sqrt(lengths), _DECIMALS), 0.0)
    return plain, centred
