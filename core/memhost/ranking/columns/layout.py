"""Where candidates stand: which session each belongs to, and which are the turns around it."""

from __future__ import annotations

import numpy as np

from memhost.ranking.columns.memories import Columns
from memhost.ranking.types import Flags, Floats, Ints

OFFSETS = {"before": -1, "after": 1, "before2": -2, "after2": 2}
"""The neighbours that are looked at, by the endings of the names of their features."""

_STEPS = np.array([[offset] for offset in OFFSETS.values()])


class Layout:
    """Position of n candidates.

    Attributes:
        turn: Whether each is a turn, shape (n,).
        position: Its index in its session; -1 where it is no turn.
        session: Number of its session, from 0; what is no turn is a session of its own.
        longest: Highest position in each session, at least 0.
    """

    def __init__(self, columns: Columns) -> None:
        count = len(columns)
        self.turn: Flags = (columns.session >= 0) & (columns.position >= 0)
        self.position: Ints = np.where(self.turn, columns.position, -1)
        alone = len(columns.sessions) + np.arange(count)
        place = np.where(self.turn, columns.session, alone) * (1 << 32) + self.position + 8
        order = place.argsort(kind="stable")
        ordered = place[order]
        if (ordered[1:] == ordered[:-1]).any():  # which of two at one place is the neighbour, their keys tell
            order = np.lexsort((columns.place, place))
        sessions = ordered >> 32
        changes = sessions[1:] != sessions[:-1]
        number = np.zeros(count, dtype=np.int64)
        np.cumsum(changes, out=number[1:])
        self.session: Ints = np.empty(count, dtype=np.int64)
        self.session[order] = number
        ends = np.append(changes, True).nonzero()[0]
        self.longest: Floats = np.maximum(self.position[order[ends]], 0).astype(np.float64)
        # For each offset the row of the neighbour, or ``count`` (a row of zeros) where there is none.
        wanted = place + _STEPS
        at = np.minimum(np.searchsorted(ordered, wanted), count - 1)
        self._near: Ints = np.where((ordered[at] == wanted) & self.turn, order[at], count)
        self._lone: Floats | None = None if self.turn.all() else np.where(self.turn, 0.0, 1.0)

    def near(self, values: Floats, alone: float = 0.0) -> Floats:
        """Return the values of the neighbours, the offsets in front: 0 where there is none.

        Args:
            values: A value of each candidate, or a row of values.
            alone: Share of its own value that what is no turn has for each neighbour.
        """
        out: Floats = np.concatenate((values, np.zeros((1, *values.shape[1:]))))[self._near]
        if self._lone is not None and alone:
            out += alone * (self._lone if values.ndim == 1 else self._lone[:, None]) * values
        return out

    def before(self, values: Floats) -> Floats:
        """Return the value of the turn before each candidate; 0 where there is none."""
        out: Floats = np.append(values, 0.0)[self._near[0]]
        return out
