"""The newer of two statements that answer a question of the present alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from memhost.ranking.recent import _ALIKE
from memhost.ranking.types import Candidate, Floats
from memhost.text.analysis import AnalysedQuery


def newness(query: AnalysedQuery, candidates: Sequence[Candidate], coverage: Floats) -> Floats:
    """Return from -0.5 to 0.5 how new each statement is among those of its speaker that hold as much of the query.

    All are 0 unless the query asks of the present; so is each that stands alone. The steps are equal, whatever the time
    between statements: of two homes the later one holds, after a week as well.
    """
    found = np.zeros(len(candidates))
    most = float(coverage.max(initial=0.0))
    if not query.of_now or most <= 0.0:
        return found
    groups: dict[tuple[str | None, ...], list[int]] = {}
    for i in np.flatnonzero(coverage >= _ALIKE * most).tolist():
        candidate = candidates[i]
        if candidate.when is not None:
            groups.setdefault((candidate.owner, candidate.speaker, _teller(candidate)), []).append(i)
    for members in groups.values():
        times = sorted({candidates[i].when or 0.0 for i in members})
        if len(times) > 1:
            for i in members:
                found[i] = times.index(candidates[i].when or 0.0) / (len(times) - 1) - 0.5
    return found


def _teller(candidate: Candidate) -> str | None:
    """The role of a turn; of other memories none."""
    return candidate.role if candidate.position is not None else None
