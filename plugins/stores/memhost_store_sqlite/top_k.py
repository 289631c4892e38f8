"""Taking the best of a ranking, with conditions checked from the top down.

Checking in the order of the scores reads only as many rows as are needed, whatever the scope's size, and
gives the same rows as filtering first.
"""

from __future__ import annotations

import apsw
import numpy as np
import numpy.typing as npt

from memhost.storekit.legs import top
from memhost_store_sqlite.codec import Ids, among, parse_ids
from memhost_store_sqlite.scopes import Sql


class Admission:
    """Which rows satisfy the conditions of a query.

    Asked row by row, or, where all rows in reach have been asked already, looked up among `known`.
    """

    def __init__(self, connection: apsw.Connection, conditions: Sql, known: Ids | None = None) -> None:
        self._connection = connection
        self._conditions = conditions
        self._known = None if known is None else np.sort(known)
        self._asked = np.empty(0, dtype=np.int64)
        self._admitted = self._asked

    @property
    def open(self) -> bool:
        """Tell whether there are no conditions at all."""
        return not self._conditions[0]

    def existing(self) -> Admission:
        """The same, also refusing rows that do not exist (any more)."""
        return Admission(self._connection, ("1", [])) if self.open else self

    def of(self, rids: Ids) -> npt.NDArray[np.bool_]:
        """For each of the rows whether it satisfies the conditions."""
        if self.open or not len(rids):
            return np.ones(len(rids), dtype=bool)
        if self._known is not None:
            return among(rids, self._known)
        fresh = rids[~among(rids, self._asked)]  # the legs and their steps ask for much the same rows
        if len(fresh):
            self._asked = np.union1d(self._asked, fresh)
            self._admitted = np.union1d(self._admitted, self._ask(fresh))
        return among(rids, self._admitted)

    def count(self, rids: Ids) -> int:
        """Return the number of rows that satisfy the conditions."""
        return int(self.of(rids).sum())

    def _ask(self, rids: Ids) -> Ids:
        where, bindings = self._conditions
        listed = self._connection.execute(
            f"SELECT group_concat(m.rid) FROM carray(?) c CROSS JOIN memories m ON m.rid = c.value WHERE {where}",  # noqa: S608
            [apsw.carray(np.ascontiguousarray(rids)), *bindings],
        ).get
        return np.sort(parse_ids(listed))


def best(rids: Ids, scores: npt.NDArray[np.floating], admission: Admission, wanted: int) -> Ids:
    """Indices of the `wanted` best rows that satisfy the conditions, best first.

    Rows that tie with the last one are returned too, so that the caller can break ties by id.
    """
    if wanted <= 0 or not len(rids):
        return np.empty(0, dtype=np.int64)
    if admission.open:
        return top(scores, wanted)
    count = 2 * wanted
    while True:
        order = top(scores, count)
        kept = order[admission.of(rids[order])]
        if len(kept) >= wanted or len(order) == len(rids):
            break
        count *= 8
    if len(kept) > wanted:
        kept = kept[scores[kept] >= scores[kept[wanted - 1]]]
    return kept
