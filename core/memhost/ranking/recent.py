"""The newer of two statements that answer a question of the present alike."""

from __future__ import annotations

import numpy as np

from memhost.ranking.columns import Columns
from memhost.ranking.types import Floats
from memhost.text.analysis import AnalysedQuery

_ALIKE = 0.95
"""Share of the best coverage from which on statements answer alike (by judgement)."""


def newness(query: AnalysedQuery, columns: Columns, coverage: Floats) -> Floats:
    """Return from -0.5 to 0.5 how new each statement is among those of its speaker that hold as much of the query.

    All are 0 unless the query asks of the present; so is each that stands alone. The steps are equal, whatever the time
    between statements: of two homes the later one holds, after a week as well.
    """
    found = np.zeros(len(columns))
    most = float(coverage.max(initial=0.0))
    if not query.of_now or most <= 0.0:
        return found
    rows = np.flatnonzero((coverage >= _ALIKE * most) & ~np.isnan(columns.when))
    if len(rows) < 2:
        return found
    when = columns.when[rows]
    teller = np.where(columns.position >= 0, columns.role, -1)[rows]  # the role of a turn; of other memories none
    told_by = np.stack([columns.owner[rows], columns.speaker[rows], teller])
    order = np.lexsort((when, *told_by))
    changes = (np.diff(told_by[:, order]) != 0).any(axis=0)
    groups = np.concatenate(([0], np.cumsum(changes)))
    steps = np.concatenate(([0], np.cumsum(changes | (np.diff(when[order]) != 0))))
    starts = np.concatenate(([0], np.flatnonzero(changes) + 1))
    first, last = np.minimum.reduceat(steps, starts)[groups], np.maximum.reduceat(steps, starts)[groups]
    found[rows[order]] = np.where(last > first, (steps - first) / np.maximum(last - first, 1) - 0.5, 0.0)
    return found
