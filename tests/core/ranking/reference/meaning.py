"""Nearness of meaning between a query and memories: plain, and from what all candidates have in common.

Vectors that are means of word vectors share a large part, whatever their texts say; without it, what is left tells
texts apart (Arora et al., ICLR 2017; Mu and Viswanath, ICLR 2018). Here that part is the mean of the candidates.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from memhost.ranking.meaning import _DECIMALS, _FEW
from memhost.ranking.types import Candidate, Floats, Vector


def cosines(candidates: Sequence[Candidate], query_vector: Vector | None, floor: float) -> tuple[Floats, Floats]:
    """Return the cosine of each candidate and the query, and the same with both counted from the candidates' mean.

    Args:
        candidates: Memories; those without a vector of the query's length get 0.
        query_vector: The embedding of the query, of length one; None gives 0 for all, and so does a vector of zeros.
        floor: What the plain cosine is counted from, in [0, 1); it is divided by the rest.
    """
    plain, centred = np.zeros(len(candidates)), np.zeros(len(candidates))
    if query_vector is None or not query_vector.any():
        return plain, centred
    size = len(query_vector)
    vectors = [(i, c.vector) for i, c in enumerate(candidates) if c.vector is not None and len(c.vector) == size]
    if not vectors:
        return plain, centred
    at = [i for i, _ in vectors]
    rows = np.concatenate([vector for _, vector in vectors]).reshape(len(at), size).astype(np.float64)
    asked = query_vector.astype(np.float64)
    mean = np.add.reduce(rows, axis=0) / (len(at) + _FEW)
    products = np.round(rows @ np.stack([asked, mean], axis=1), _DECIMALS)
    plain[at] = (products[:, 0] - floor) / (1.0 - floor)
    shared, to_mean = float(mean @ mean), float(asked @ mean)
    squares = np.round(np.einsum("ij,ij->i", rows, rows), _DECIMALS)
    lengths = np.maximum(squares - 2.0 * products[:, 1] + shared, 1e-9)
    lengths *= max(float(asked @ asked) - 2.0 * to_mean + shared, 1e-9)
    inner = products[:, 0] - products[:, 1] - to_mean + shared
    centred[at] = np.where(squares > 0.0, np.round(inner / np.sqrt(lengths), _DECIMALS), 0.0)
    return plain, centred
