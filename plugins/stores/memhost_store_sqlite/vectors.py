"""The vector leg: the nearest memories of a scope by cosine.

Up to `scan_rows` memories are read from the file, where the vectors of one owner lie side by side; larger
scopes go through rounded vectors, which propose rows whose vectors are then read exactly. Both give the same rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import apsw
import numpy as np
import numpy.typing as npt

from memhost.models import CandidateQuery, Scope, Vector
from memhost.storekit.legs import cosines
from memhost_store_sqlite.codec import SOUND_VECTOR, Ids, among, pack_ids, parse_ids
from memhost_store_sqlite.memories import RID_BITS, RID_MASK, VID
from memhost_store_sqlite.quantised import Part, Scan
from memhost_store_sqlite.scopes import Reach, owners_of
from memhost_store_sqlite.top_k import Admission, best
from memhost_store_sqlite.vector_blocks import next_vectors, owner_range, read_vectors
from memhost_store_sqlite.vector_cache import VectorCache

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
    parts = cache.parts(connection, owners_of(connection, scope), len(vector)) if cache else None
    if parts is not None:
        rids, scores = _propose(connection, reach, vector, query, admission, parts)
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


def _propose(
    connection: apsw.Connection,
    reach: Reach,
    vector: Vector,
    query: CandidateQuery,
    admission: Admission,
    parts: list[Part],
) -> tuple[Ids, Scores]:
    """Rows that may be among the nearest, with exact scores."""
    scan = Scan(parts, vector)
    rids = scan.keys & RID_MASK
    places = None if reach.column != "session" else np.flatnonzero(among(rids, _in_session(connection, reach)))
    every = query.count and query.max_distance is not None
    existing = admission.existing()  # the rows may be gone
    slack = scan.slack + np.float32(scan.error)
    places = _near(rids, scan.scores, slack, places, query, None if every else existing)
    if scan.rough:
        fine = scan.refined(places)
        slack = np.full(len(places), scan.error, dtype=np.float32)
        places = places[_near(rids[places], fine, slack, None, query, None if every else existing)]
    return _exact(connection, scan.keys[places], vector)


def _near(
    rids: Ids, scores: Scores, slack: Scores, places: Ids | None, query: CandidateQuery, admission: Admission | None
) -> Ids:
    """The ascending places of the rows that may be near enough, or with an admission among the nearest.

    Args:
        rids: Row numbers, n.
        scores: Estimated cosines, n.
        slack: By how much they may be wrong, n.
        places: The rows in question, ascending; None for all.
        query: What is searched for.
        admission: Which rows are there and satisfy the conditions; None if all that are near enough are wanted.
    """
    if query.max_distance is not None:
        near = np.flatnonzero(scores + slack >= 1.0 - query.max_distance)
        places = near if places is None else np.intersect1d(places, near, assume_unique=True)
    if places is not None:
        rids, scores, slack = rids[places], scores[places], slack[places]
    within = None
    if admission is not None:
        lowest = scores - slack
        chosen = best(rids, lowest, admission, query.vector_limit)
        if len(chosen) >= query.vector_limit > 0:
            within = np.flatnonzero(scores + slack >= lowest[chosen[query.vector_limit - 1]])
        else:
            within = np.sort(chosen)
    if within is None:
        return np.arange(len(rids)) if places is None else places
    return within if places is None else places[within]


def _in_session(connection: apsw.Connection, reach: Reach) -> Ids:
    """The row numbers in reach, ascending."""
    where, bindings = reach.where()
    listed: Any = connection.execute(f"SELECT group_concat(m.rid) FROM memories m WHERE {where}", bindings).get  # noqa: S608
    return np.sort(parse_ids(listed))


_NAMED = f"SELECT v.vid, v.vector FROM carray(?) c CROSS JOIN vectors v ON v.vid = c.value AND {SOUND_VECTOR}"  # noqa: S608
_OWNERS = (
    "SELECT v.vid, v.vector FROM carray(?) o CROSS JOIN vectors v "  # noqa: S608
    f"ON v.vid BETWEEN (o.value << {RID_BITS}) AND ((o.value << {RID_BITS}) | {RID_MASK}) AND {SOUND_VECTOR}"
)


def _exact(connection: apsw.Connection, keys: Ids, vector: Vector) -> tuple[Ids, Scores]:
    """Those of the rows that exist and have a vector, with exact scores."""
    parts = [np.ascontiguousarray(keys[at : at + _BLOCK]) for at in range(0, len(keys), _BLOCK)]
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
    first, end = owner_range(owner)
    last = first - 1
    while True:
        keys, vectors = next_vectors(connection, last, end, _BLOCK)
        if not len(keys):
            return
        yield keys, vectors
        last = int(keys[-1])
