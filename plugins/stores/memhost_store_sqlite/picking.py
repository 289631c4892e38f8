"""Taking the best of a ranking, with conditions checked from the top down.

Checking in the order of the scores reads only as many rows as are needed, whatever the scope's size, and
gives the same rows as filtering first.
"""

from __future__ import annotations

import apsw
import numpy as np
import numpy.typing as npt

from memhost_store_sqlite.codec import Ids, parse_ids
from memhost_store_sqlite.scopes import Sql


def top(scores: npt.NDArray[np.floating], wanted: int) -> Ids:
    """Indices of the `wanted` highest scores and of all that tie with the last of them, highest first."""
    if wanted >= len(scores):
        chosen = np.arange(len(scores))
    else:
        lowest = np.partition(scores, len(scores) - wanted)[len(scores) - wanted]
        chosen = np.flatnonzero(scores >= lowest)
    return chosen[np.argsort(-scores[chosen], kind="stable")]


def best(
    connection: apsw.Connection,
    rids: Ids,
    scores: npt.NDArray[np.floating],
    conditions: Sql,
    wanted: int | None,
) -> Ids:
    """Indices of the `wanted` best rows (all of them for None) that satisfy the conditions, best first.

    Rows that tie with the last one are returned too, so that the caller can break ties by id.
    """
    if wanted is None:
        wanted = len(rids)
    if wanted <= 0 or not len(rids):
        return np.empty(0, dtype=np.int64)
    if not conditions[0]:
        return top(scores, wanted)
    count = 2 * wanted
    while True:
        order = top(scores, count)
        kept = order[np.isin(rids[order], _admitted(connection, rids[order], conditions))]
        if len(kept) >= wanted or len(order) == len(rids):
            break
        count *= 8
    if len(kept) > wanted:
        kept = kept[scores[kept] >= scores[kept[wanted - 1]]]
    return kept


def _admitted(connection: apsw.Connection, rids: Ids, conditions: Sql) -> Ids:
    where, bindings = conditions
    listed = connection.execute(
        f"SELECT group_concat(m.rid) FROM carray(?) c CROSS JOIN memories m ON m.rid = c.value WHERE {where}",  # noqa: S608
        [apsw.carray(np.ascontiguousarray(rids)), *bindings],
    ).get
    return parse_ids(listed)
