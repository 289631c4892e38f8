"""Vectors of the whole file as int8 in the process, for searches over many memories.

Row numbers rise with every commit and are never reused, so the cache is brought up to date by reading the rows above
the last one seen; rows that were deleted or replaced since stay in it until it is rebuilt, and its users drop them when
looking the rows up. A rounded vector only decides which rows are read exactly.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import apsw
import numpy as np
import numpy.typing as npt

from memhost.models import Vector
from memhost_store_sqlite.codec import SOUND_VECTOR, Ids, decode_vectors, finite_rows, parse_ids
from memhost_store_sqlite.memories import RID_BITS, RID_MASK, VID
from memhost_store_sqlite.scopes import Binding

BLOCK = 4096
_STRIDE = 1024  # rows turned into float32 at a time: small enough for the processor's cache
_ROW_BYTES = 8 + 8 + 4


@dataclass(frozen=True, slots=True)
class Rows:
    """Row number, owner, factor and rounded components of each cached row."""

    rids: Ids
    owners: Ids
    factors: npt.NDArray[np.float32]
    codes: npt.NDArray[np.int8]

    @classmethod
    def empty(cls, capacity: int, dimensions: int) -> Rows:
        """Room for `capacity` rows."""
        return cls(
            rids=np.empty(capacity, dtype=np.int64),
            owners=np.empty(capacity, dtype=np.int64),
            factors=np.empty(capacity, dtype=np.float32),
            codes=np.empty((capacity, dimensions), dtype=np.int8),
        )

    def part(self, start: int, stop: int) -> Rows:
        """A view of some of the rows."""
        return Rows(
            self.rids[start:stop],
            self.owners[start:stop],
            self.factors[start:stop],
            self.codes[start:stop],
        )

    def assign(self, other: Rows) -> None:
        """Copy rows of another into these."""
        self.rids[...] = other.rids
        self.owners[...] = other.owners
        self.factors[...] = other.factors
        self.codes[...] = other.codes


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The cached rows of one moment; `error` bounds the rounding of a cosine."""

    rows: Rows
    error: float

    def scores(self, query: Vector, rows: Ids | None) -> npt.NDArray[np.float32]:
        """Approximate cosines with a unit vector, of all rows or of those given."""
        every = self.rows
        total = len(every.rids) if rows is None else len(rows)
        scores = np.empty(total, dtype=np.float32)
        buffer = np.empty((_STRIDE, every.codes.shape[1]), dtype=np.float32)
        for start in range(0, total, _STRIDE):
            stop = min(start + _STRIDE, total)
            part = buffer[: stop - start]
            part[...] = every.codes[start:stop] if rows is None else every.codes[rows[start:stop]]
            np.dot(part, query, out=scores[start:stop])
        scores *= every.factors if rows is None else every.factors[rows]
        return scores


class VectorCache:
    """Shared by the reading threads. `limit_bytes` is the most it may hold; 0 switches it off."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._lock = threading.Lock()
        self._last = 0
        self._size = 0
        self._error = 0.0
        self._rows: Rows | None = None

    def snapshot(self, connection: apsw.Connection, dimensions: int) -> Snapshot | None:
        """All vectors of the reader's view (and perhaps some that are gone); None if they do not fit."""
        documents = int(connection.execute("SELECT coalesce(sum(documents), 0) FROM scopes WHERE kind = 0").get)
        if documents * (dimensions + _ROW_BYTES) > self._limit:
            with self._lock:
                self._forget()
            return None
        with self._lock:
            if self._rows is not None and self._size > 1.3 * documents + 1000:
                self._forget()
            newest = int(connection.execute("SELECT coalesce(max(rid), 0) FROM memories").get)
            if newest > self._last:
                self._reserve(documents if self._rows is None else 0, dimensions)
                for rids, owners, vectors in _blocks(connection, self._last):
                    self._append(rids, owners, vectors)
                self._last = newest
            if self._rows is None:
                return None
            return Snapshot(self._rows.part(0, self._size), self._error)

    def _forget(self) -> None:
        self._rows, self._size, self._last, self._error = None, 0, 0, 0.0

    def _reserve(self, rows: int, dimensions: int) -> None:
        """Make room for `rows` more; views handed out before are left alone."""
        needed = self._size + rows
        if self._rows is not None and needed <= len(self._rows.rids):
            return
        grown = Rows.empty(max(needed, int(self._size * 1.25), BLOCK), dimensions)
        if self._rows is not None:
            grown.part(0, self._size).assign(self._rows.part(0, self._size))
        self._rows = grown

    def _append(self, rids: Ids, owners: Ids, vectors: Vector) -> None:
        self._reserve(len(rids), vectors.shape[1])
        assert self._rows is not None
        vectors = np.where(finite_rows(vectors)[:, None], vectors, np.float32(0))  # the exact reading drops the others
        factors = np.maximum(np.abs(vectors).max(axis=1) / 127, 1e-12).astype(np.float32)
        codes = np.rint(vectors / factors[:, None])
        residual = np.linalg.norm(codes * factors[:, None] - vectors, axis=1).max(initial=0.0)
        # Rounding is all but independent of a query: four standard deviations of a cosine's error.
        self._error = max(self._error, 4 * float(residual) / vectors.shape[1] ** 0.5)
        end = self._size + len(rids)
        self._rows.part(self._size, end).assign(Rows(rids, owners, factors, codes.astype(np.int8)))
        self._size = end


def _blocks(connection: apsw.Connection, last: int) -> Iterator[tuple[Ids, Ids, Vector]]:
    """Vectors of rows above `last`: all of them in the order of their keys, or the few new ones row by row."""
    if last == 0:
        inner = f"SELECT v.vid, v.vector FROM vectors v WHERE v.vid > ? AND {SOUND_VECTOR} ORDER BY v.vid LIMIT ?"  # noqa: S608
        mask = -1
    else:
        inner = (
            f"SELECT {VID} AS vid, v.vector FROM memories m CROSS JOIN vectors v "  # noqa: S608
            f"ON v.vid = {VID} AND {SOUND_VECTOR} WHERE m.rid > ? ORDER BY m.rid LIMIT ?"
        )
        mask = RID_MASK
    while True:
        keys, vectors = read_vectors(connection, inner, [last, BLOCK])
        if not len(keys):
            return
        yield keys & RID_MASK, keys >> RID_BITS, vectors
        last = int(keys[-1]) & mask


def read_vectors(connection: apsw.Connection, source: str, bindings: Sequence[Binding]) -> tuple[Ids, Vector]:
    """All rows of a query for (vid, vector), as arrays.

    The engine hands over one row instead of thousands, the keys as a list and the vectors as one BLOB, both in
    the order of the query (`group_concat` adds the bytes of a BLOB as they are), and works without Python's lock.
    """
    rows = connection.execute(
        f"SELECT group_concat(vid), CAST(group_concat(vector, '') AS BLOB) FROM ({source})",  # noqa: S608
        bindings,
    )
    found: list[Any] = rows.fetchall()
    listed, blob = found[0]
    keys = parse_ids(listed)
    return keys, decode_vectors(blob or b"", len(keys))
