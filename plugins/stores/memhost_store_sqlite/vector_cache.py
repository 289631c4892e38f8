"""Rounded vectors in the process, for searches over many memories: those of the owners who were searched last.

Row numbers rise with every commit and are never reused, so what is kept is brought up to date by reading the rows above
the last one seen; rows that were deleted or replaced since stay in it until it is read again, and its users drop them
when looking the rows up. A rounded vector only decides which rows are read exactly.

Each owner has rows of their own, read from the blocks in the file. Where a search reaches many owners, those with few
memories share rows.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence

import apsw
import numpy as np

from memhost.models import Vector
from memhost_store_sqlite.codec import SOUND_VECTOR, Ids, pack_ids
from memhost_store_sqlite.memories import RID_BITS, RID_MASK, VID
from memhost_store_sqlite.quantised import Basis, Part, Rows, row_bytes
from memhost_store_sqlite.vector_blocks import BLOCK, basis_of, next_vectors, owner_range, read_blocks, read_vectors

_FEW_OWNERS = 64
"""In a search of no more owners each has rows of their own, however few."""
_SPARE = 256
"""Rows that can be added before all of an owner's rows are copied to where there is room for more."""
_EVERYBODY = 0
"""Stands for the owners with few memories; no owner has that number."""

Owners = Sequence[tuple[int, int]]
"""Number and memories of each."""


class VectorCache:
    """Shared by the reading threads. `limit_bytes` is the most it may hold; 0 switches it off."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, _Kept] = OrderedDict()

    def parts(self, connection: apsw.Connection, owners: Owners, dimensions: int) -> list[Part] | None:
        """All vectors of these owners in the reader's view, and perhaps more that are gone; None if they do not fit."""
        if sum(documents for _, documents in owners) * row_bytes(dimensions) > self._limit:
            return None
        newest = int(connection.execute("SELECT coalesce(max(rid), 0) FROM memories").get)
        own, shared, everybody = list(owners), list[int](), None
        if len(owners) > _FEW_OWNERS:
            everybody = self._of(_EVERYBODY)
            if not everybody.prepare(connection, dimensions, self._limit):
                return None
            apart = everybody.apart
            own = [each for each in owners if each[1] > BLOCK or each[0] in apart]
            shared = [number for number, documents in owners if documents <= BLOCK and number not in apart]
        parts = [self._of(number).read(connection, number, documents, newest, dimensions) for number, documents in own]
        if everybody is not None and shared:
            parts.append(_only(everybody.read_everybody(connection, newest, dimensions), shared))
        self._evict()
        return [part for part in parts if len(part)]

    def _of(self, number: int) -> _Kept:
        with self._lock:
            kept = self._kept.setdefault(number, _Kept())
            self._kept.move_to_end(number)
            return kept

    def _evict(self) -> None:
        with self._lock:
            size = sum(kept.size_bytes for kept in self._kept.values())
            while size > self._limit and len(self._kept) > 1:
                size -= self._kept.popitem(last=False)[1].size_bytes


def _only(part: Part, owners: Sequence[int]) -> Part:
    """Those of the rows that belong to one of the owners."""
    allowed = np.sort(pack_ids(owners))
    held = part.rows.keys >> RID_BITS
    highest = int(held.max(initial=0))
    table = np.zeros(highest + 1, dtype=np.bool_)
    table[allowed[allowed <= highest]] = True
    mask = table[held]
    return part if mask.all() else Part(part.rows, part.basis, part.error, np.flatnonzero(mask))


class _Kept:
    """Rows of one owner, or of all who have few; they grow. `apart` are owners who were left out as having many."""

    def __init__(self) -> None:
        self.apart: frozenset[int] = frozenset()
        self.size_bytes = 0
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._rows: Rows | None = None
        self._basis: Basis | None = None
        self._size, self._last, self._seen, self._error, self.size_bytes = 0, 0, 0, 0.0, 0

    def read(self, connection: apsw.Connection, owner: int, documents: int, newest: int, dimensions: int) -> Part:
        """The owner's rows, brought up to row number `newest`."""
        with self._lock:
            self._check(documents, dimensions)
            if self._rows is None and (basis := basis_of(connection, dimensions)) is not None:
                self._basis = basis
                self._rows, self._size, self._error = read_blocks(connection, owner, basis, documents)
                self._last = int(self._rows.keys[self._size - 1]) if self._size else 0
                self.size_bytes = len(self._rows.keys) * row_bytes(dimensions)
            if newest > self._seen:
                first, end = owner_range(owner)
                for keys, vectors in _above(connection, max(self._last, first - 1), end):
                    self._append(keys, vectors, documents)
                    self._last = int(keys[-1])
                self._seen = newest
            return self._part(dimensions)

    def prepare(self, connection: apsw.Connection, dimensions: int, limit: int) -> bool:
        """Read the vectors of all owners with few; False if that is too much."""
        with self._lock:
            found = connection.execute(
                "SELECT coalesce(sum(documents), 0) FROM scopes WHERE kind = 3 AND documents <= ?", (BLOCK,)
            )
            documents = int(found.get)
            if documents * row_bytes(dimensions) > limit:
                self._forget()
                return False
            self._check(documents, dimensions)
            if self._rows is None:
                many = connection.execute("SELECT id FROM scopes WHERE kind = 3 AND documents > ?", (BLOCK,))
                self.apart = frozenset(int(row[0]) for row in many)
                self._seen = int(connection.execute("SELECT coalesce(max(rid), 0) FROM memories").get)
                self._basis = basis_of(connection, dimensions)
                for keys, vectors in _without(connection, sorted(self.apart)):
                    self._append(keys, vectors, documents)
            return True

    def read_everybody(self, connection: apsw.Connection, newest: int, dimensions: int) -> Part:
        """The rows of owners with few, brought up to row number `newest`; some may be of owners who have many now."""
        with self._lock:
            if newest > self._seen:
                for keys, vectors in _written_since(connection, self._seen):
                    kept = ~np.isin(keys >> RID_BITS, pack_ids(self.apart))
                    self._append(keys[kept], vectors[kept], 0)
                self._seen = newest
            return self._part(dimensions)

    def _check(self, documents: int, dimensions: int) -> None:
        """Forget the rows where most of the rows are gone, or where the vectors are others."""
        grown = self._size > 1.3 * documents + 1000
        if grown or (self._basis is not None and self._basis.length != dimensions):
            self._forget()

    def _part(self, dimensions: int) -> Part:
        if self._rows is None or self._basis is None:
            basis = Basis.plain(dimensions)
            return Part(Rows.empty(0, basis), basis, 0.0)
        return Part(self._rows.part(0, self._size), self._basis, self._error)

    def _append(self, keys: Ids, vectors: Vector, expected: int) -> None:
        """Add rows; `expected` is how many there will be in the end. Views that were handed out are left alone."""
        if not len(keys):
            return
        if self._basis is None:
            self._basis = Basis.of(vectors)
        added, error = Rows.rounded(keys, vectors, self._basis)
        end = self._size + len(keys)
        if self._rows is None or end > len(self._rows.keys):
            grown = Rows.empty(max(end + _SPARE, expected, int(self._size * 1.25)), self._basis)
            if self._rows is not None:
                grown.part(0, self._size).assign(self._rows.part(0, self._size))
            self._rows = grown
        self._rows.part(self._size, end).assign(added)
        self._size, self._error = end, max(self._error, error)
        self.size_bytes = len(self._rows.keys) * row_bytes(self._basis.length)


def _above(connection: apsw.Connection, after: int, last: int) -> Iterator[tuple[Ids, Vector]]:
    """Vectors with keys above `after`, up to `last`."""
    while True:
        keys, vectors = next_vectors(connection, after, last, BLOCK)
        if not len(keys):
            return
        yield keys, vectors
        after = int(keys[-1])


def _without(connection: apsw.Connection, owners: Sequence[int]) -> Iterator[tuple[Ids, Vector]]:
    """All vectors but those of some owners, whose numbers ascend."""
    after = -1
    for owner in owners:
        first, end = owner_range(owner)
        yield from _above(connection, after, first - 1)
        after = end
    yield from _above(connection, after, (1 << 63) - 1)


def _written_since(connection: apsw.Connection, rid: int) -> Iterator[tuple[Ids, Vector]]:
    """Vectors of rows above that number."""
    source = (
        f"SELECT {VID} AS vid, v.vector FROM memories m CROSS JOIN vectors v "  # noqa: S608
        f"ON v.vid = {VID} AND {SOUND_VECTOR} WHERE m.rid > ? ORDER BY m.rid LIMIT ?"
    )
    while True:
        keys, vectors = read_vectors(connection, source, [rid, BLOCK])
        if not len(keys):
            return
        yield keys, vectors
        rid = int(keys[-1]) & RID_MASK
