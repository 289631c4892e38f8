"""The vector leg: the nearest memories of a scope by cosine.

Up to `scan_rows` memories are read from the file, where the vectors of one owner lie side by side; larger
scopes go through the cache, which proposes rows whose vectors are then read exactly. Both give the same rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import apsw
import numpy as np
import numpy.typing as npt

from memhost.models import CandidateQuery, Scope, Vector
from memhost_store_sqlite.codec import SOUND_VECTOR, Ids, pack_ids, parse_ids
from memhost_store_sqlite.memories import RID_BITS, RID_MASK, VID
from memhost_store_sqlite.scopes import Reach, owners_of
from memhost_store_sqlite.top_k import Admission, best
from memhost_store_sqlite.vector_cache import Rows, Snapshot, VectorCache, read_vectors

_BLOCK = 8192
Scores = npt.NDArray[np.float32]


@dataclass(slots=True)
class VectorLeg:
    """Distances of the nearest by row number, and how many are near enough."""

    distances: dict[int, float]
    total: int


def search(
    connection: apsw.Connection,
    scope: Scope,
    reach: Reach,
    query: CandidateQuery,
    admission: Admission,
    cache: VectorCache | None,
) -> VectorLeg:
    """The nearest `vector_limit` memories that satisfy the conditions; `cache` if it should be used."""
    assert query.vector is not None
    vector = np.ascontiguousarray(query.vector, dtype=np.float32)
    snapshot = cache.snapshot(connection, len(vector)) if cache else None
    if snapshot is not None:
        rids, scores = _propose(connection, scope, reach, vector, query, admission, snapshot)
    else:
        rids, scores = _scan(connection, scope, reach, vector)
    if query.max_distance is not None:
        # in double precision, as the distances are reported
        near = 1.0 - scores.astype(np.float64) <= query.max_distance
        rids, scores = rids[near], scores[near]
    chosen = best(rids, scores, admission, query.vector_limit)
    if len(chosen) > query.vector_limit:
        chosen = _by_id(connection, rids, scores, chosen)[: query.vector_limit]
    distances = np.clip(1.0 - scores[chosen].astype(np.float64), 0.0, 2.0)
    total = 0
    if query.count and query.max_distance is not None:
        total = admission.count(rids)
    return VectorLeg(dict(zip(rids[chosen].tolist(), distances.tolist(), strict=True)), total)


def _by_id(connection: apsw.Connection, rids: Ids, scores: Scores, chosen: Ids) -> Ids:
    """Chosen indices with ties broken by id."""
    rows = connection.execute(
        "SELECT m.rid, m.id FROM carray(?) c CROSS JOIN memories m ON m.rid = c.value", (apsw.carray(rids[chosen]),)
    )
    names: dict[Any, Any] = {row[0]: row[1] for row in rows}
    return np.array(
        sorted(chosen.tolist(), key=lambda index: (-scores[index], names[int(rids[index])])), dtype=np.int64
    )


def cosines(matrix: Vector, vector: Vector) -> Scores:
    """Row by row in one order of addition, so that equal vectors get exactly equal scores."""
    with np.errstate(invalid="ignore"):  # of vectors that somebody damaged
        scores: Scores = np.einsum("ij,j->i", matrix, vector)
    return scores


def _propose(
    connection: apsw.Connection,
    scope: Scope,
    reach: Reach,
    vector: Vector,
    query: CandidateQuery,
    admission: Admission,
    snapshot: Snapshot,
) -> tuple[Ids, Scores]:
    """Rows that may be among the nearest, with exact scores."""
    every = snapshot.rows
    rows = _rows(connection, scope, reach, every)
    rids = every.rids if rows is None else every.rids[rows]
    rough = snapshot.scores(vector, rows)
    margin = 2 * snapshot.error
    if query.max_distance is not None:
        keep = rough >= 1.0 - query.max_distance - margin
        rids, rough = rids[keep], rough[keep]
    if not (query.count and query.max_distance is not None):
        chosen = best(rids, rough, admission.existing(), query.vector_limit)  # the cache may hold rows that are gone
        if len(chosen) >= query.vector_limit > 0:
            within = np.flatnonzero(rough >= rough[chosen[query.vector_limit - 1]] - margin)
        else:
            within = chosen
        rids = rids[within]
    return _exact(connection, rids, vector)


def _rows(connection: apsw.Connection, scope: Scope, reach: Reach, every: Rows) -> Ids | None:
    """Indices of the cached rows in reach; None for all of them."""
    if reach.column == "session":
        where, bindings = reach.where()
        listed: Any = connection.execute(
            f"SELECT group_concat(m.rid) FROM memories m WHERE {where}",  # noqa: S608
            bindings,
        ).get
        return np.flatnonzero(np.isin(every.rids, parse_ids(listed)))
    highest = int(every.owners.max(initial=0))
    allowed = np.zeros(highest + 1, dtype=bool)
    owners = pack_ids(owner for owner, _ in owners_of(connection, scope) if owner <= highest)
    allowed[owners] = True
    mask = allowed[every.owners]
    return None if mask.all() else np.flatnonzero(mask)


_NAMED = (
    f"SELECT {VID} AS vid, v.vector FROM carray(?) c "  # noqa: S608
    f"CROSS JOIN memories m ON m.rid = c.value CROSS JOIN vectors v ON v.vid = {VID} AND {SOUND_VECTOR}"
)
_OWNERS = (
    "SELECT v.vid, v.vector FROM carray(?) o CROSS JOIN vectors v "  # noqa: S608
    f"ON v.vid BETWEEN (o.value << {RID_BITS}) AND ((o.value << {RID_BITS}) | {RID_MASK}) AND {SOUND_VECTOR}"
)
_RANGE = (
    f"SELECT v.vid, v.vector FROM vectors v WHERE v.vid > ? AND v.vid <= ? AND {SOUND_VECTOR} "  # noqa: S608
    "ORDER BY v.vid LIMIT ?"
)


def _exact(connection: apsw.Connection, rids: Ids, vector: Vector) -> tuple[Ids, Scores]:
    """Those of the rows that exist and have a vector, with exact scores."""
    parts = [np.ascontiguousarray(rids[at : at + _BLOCK]) for at in range(0, len(rids), _BLOCK)]
    return _score((read_vectors(connection, _NAMED, [apsw.carray(part)]) for part in parts), vector)


def _scan(connection: apsw.Connection, scope: Scope, reach: Reach, vector: Vector) -> tuple[Ids, Scores]:
    """Exact scores of every vector in reach."""
    return _score(_blocks(connection, scope, reach), vector)


def _score(blocks: Iterable[tuple[Ids, Vector]], vector: Vector) -> tuple[Ids, Scores]:
    found, scores = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.float32)]
    for keys, matrix in blocks:
        if len(keys):
            near = cosines(matrix, vector)
            finite = np.isfinite(near)
            found.append((keys & RID_MASK)[finite])
            scores.append(near[finite])
    return np.concatenate(found), np.concatenate(scores)


def _blocks(connection: apsw.Connection, scope: Scope, reach: Reach) -> Iterator[tuple[Ids, Vector]]:
    if reach.column == "session":
        where, bindings = reach.where()
        join = f"memories m CROSS JOIN vectors v ON v.vid = {VID} AND {SOUND_VECTOR}"
        source = f"SELECT {VID} AS vid, v.vector FROM {join} WHERE {where}"  # noqa: S608
        yield read_vectors(connection, source, bindings)
        return
    small: list[int] = []
    pending = 0
    for owner, documents in owners_of(connection, scope):
        if documents > _BLOCK:
            yield from _large_owner(connection, owner)
            continue
        small.append(owner)
        pending += documents
        if pending >= _BLOCK:
            yield read_vectors(connection, _OWNERS, [apsw.carray(pack_ids(small))])
            small, pending = [], 0
    if small:
        yield read_vectors(connection, _OWNERS, [apsw.carray(pack_ids(small))])


def _large_owner(connection: apsw.Connection, owner: int) -> Iterator[tuple[Ids, Vector]]:
    last, end = (owner << RID_BITS) - 1, (owner << RID_BITS) | RID_MASK
    while True:
        keys, vectors = read_vectors(connection, _RANGE, [last, end, _BLOCK])
        if not len(keys):
            return
        yield keys, vectors
        last = int(keys[-1])
