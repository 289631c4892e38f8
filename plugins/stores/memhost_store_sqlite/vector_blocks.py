"""Rounded vectors of large owners in the file, `BLOCK` to a row: a process has them in its memory after few reads.

A block holds the vectors of one owner in the order of their keys, up to the key `last`. Keys rise with every write, so
whatever is above the last block was written since: readers take it from `vectors`, and the writer makes a block of it
once there is enough. What is deleted is overwritten in its block in the same transaction; a trigger notes it, so that
processes of an older version that have the file open do so too.

Blocks say which vectors may be near. What is found is read from `vectors` and `contents`.
"""

from __future__ import annotations

from typing import Any

import apsw
import numpy as np

from memhost.models import Vector
from memhost_store_sqlite.codec import SOUND_VECTOR, Ids, decode_vectors, pack_ids, parse_ids
from memhost_store_sqlite.memories import RID_BITS, RID_MASK
from memhost_store_sqlite.quantised import Basis, Rows

BLOCK = 4096
"""Vectors of a block; owners with fewer have none."""

_NEXT = (
    f"SELECT v.vid, v.vector FROM vectors v WHERE v.vid > ? AND v.vid <= ? AND {SOUND_VECTOR} "  # noqa: S608
    "ORDER BY v.vid LIMIT ?"
)
_OF_OWNER = "last BETWEEN ? AND ?"


def owner_range(owner: int) -> tuple[int, int]:
    """The lowest and the highest key that a vector of the owner can have."""
    return owner << RID_BITS, (owner << RID_BITS) | RID_MASK


def read_vectors(connection: apsw.Connection, source: str, bindings: Any) -> tuple[Ids, Vector]:
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


def next_vectors(connection: apsw.Connection, after: int, last: int, limit: int) -> tuple[Ids, Vector]:
    """Keys and vectors above `after`, up to `last`, at most `limit`."""
    return read_vectors(connection, _NEXT, (after, last, limit))


def basis_of(connection: apsw.Connection, dimensions: int) -> Basis | None:
    """The axes of the blocks with vectors of that length; None before there is a block."""
    found = connection.execute("SELECT mean, axes FROM vector_axes WHERE dimensions = ?", (dimensions,)).fetchone()
    if found is None:
        return None
    mean, axes = (np.frombuffer(each, dtype=np.float32) for each in found)
    plain = Basis.plain(dimensions)
    if not len(axes):
        return plain
    turned: Vector = axes.reshape(dimensions, dimensions)
    return Basis(mean, turned, dimensions, plain.head)


def read_blocks(connection: apsw.Connection, owner: int, basis: Basis, documents: int) -> tuple[Rows, int, float]:
    """The owner's blocks as one, with room for so many rows in all; the number of rows, and their error."""
    sizes: list[Any] = connection.execute(
        f"SELECT last, count, error FROM vector_blocks WHERE {_OF_OWNER} AND dimensions = ? ORDER BY last",  # noqa: S608
        (*owner_range(owner), basis.length),
    ).fetchall()
    total = sum(row[1] for row in sizes)
    rows, start = Rows.empty(max(total, documents), basis), 0
    for last, count, _ in sizes:
        found: Any = connection.execute(
            "SELECT keys, heads, tails, scales FROM vector_blocks WHERE last = ?", (last,)
        ).fetchone()
        rows.part(start, start + count).assign(_unpacked(found, count))
        start += count
    return rows, total, max((row[2] for row in sizes), default=0.0)


def _unpacked(blobs: Any, count: int) -> Rows:
    keys, heads, tails, scales = blobs
    return Rows(
        keys=np.frombuffer(keys, dtype=np.int64),
        heads=np.frombuffer(heads, dtype=np.int8).reshape(count, -1),
        tails=np.frombuffer(tails, dtype=np.int8).reshape(count, -1) if count else np.empty((0, 0), dtype=np.int8),
        scales=np.frombuffer(scales, dtype=np.float32).reshape(count, 3),
    )


def owners_behind(connection: apsw.Connection) -> list[int]:
    """Owners with enough memories outside of blocks for another one."""
    rows = connection.execute(
        "SELECT s.id FROM scopes s WHERE s.kind = 3 AND s.documents >= ?1 AND s.documents - ("  # noqa: S608
        "SELECT coalesce(sum(b.count - b.dead), 0) FROM vector_blocks b "
        f"WHERE b.last BETWEEN s.id << {RID_BITS} AND ((s.id << {RID_BITS}) | {RID_MASK})) >= ?1",
        (BLOCK,),
    )
    return [int(row[0]) for row in rows]


def add_block(connection: apsw.Connection, owner: int) -> bool:
    """Make the owner's next block, in a transaction that writes; False if there are not enough vectors for one."""
    first, end = owner_range(owner)
    last = connection.execute(f"SELECT max(last) FROM vector_blocks WHERE {_OF_OWNER}", (first, end)).get  # noqa: S608
    keys, vectors = next_vectors(connection, first - 1 if last is None else int(last), end, BLOCK)
    if len(keys) < BLOCK:
        return False
    basis = basis_of(connection, vectors.shape[1])
    if basis is None:
        basis = Basis.of(vectors)
        axes = b"" if basis.axes is None else basis.axes.tobytes()
        connection.execute("INSERT INTO vector_axes VALUES(?, ?, ?)", (basis.length, basis.mean.tobytes(), axes))
    _write(connection, int(keys[-1]), keys, vectors, basis)
    return True


def _write(connection: apsw.Connection, last: int, keys: Ids, vectors: Vector, basis: Basis) -> None:
    rows, error = Rows.rounded(keys, vectors, basis)
    connection.execute(
        "INSERT OR REPLACE INTO vector_blocks(last, dimensions, count, dead, error, keys, heads, tails, scales) "
        "VALUES(?, ?, ?, 0, ?, ?, ?, ?, ?)",
        (
            last,
            basis.length,
            len(keys),
            error,
            *(each.tobytes() for each in (rows.keys, rows.heads, rows.tails, rows.scales)),
        ),
    )


def forget_deleted(connection: apsw.Connection) -> None:
    """Overwrite what was deleted from `vectors` in its blocks. The caller has opened a transaction."""
    gone: list[Any] = connection.execute("SELECT vid FROM vectors_gone ORDER BY vid").fetchall()
    if not gone:
        return
    keys = pack_ids(row[0] for row in gone)
    connection.execute("DELETE FROM vectors_gone")
    while len(keys):
        found: Any = connection.execute(
            "SELECT last, dimensions, count, dead, keys FROM vector_blocks WHERE last BETWEEN ? AND ? LIMIT 1",
            (int(keys[0]), int(keys[0]) | RID_MASK),
        ).fetchone()
        if found is None:  # the block went meanwhile
            keys = keys[1:]
            continue
        last, dimensions, count, dead, held = found
        inside = np.searchsorted(keys, last, side="right")
        mine, keys = keys[:inside], keys[inside:]
        known = np.frombuffer(held, dtype=np.int64)
        places = np.flatnonzero(np.isin(known, mine))
        if 2 * (dead + len(places)) > count:
            _rebuild(connection, last, dimensions)
        else:
            _overwrite(connection, last, count, places)


def _overwrite(connection: apsw.Connection, last: int, count: int, places: Ids) -> None:
    connection.execute("UPDATE vector_blocks SET dead = dead + ? WHERE last = ?", (len(places), last))
    for column in ("heads", "tails", "scales"):
        with connection.blob_open("main", "vector_blocks", column, last, True) as blob:
            size = blob.length() // count
            for place in places.tolist() if size else ():
                blob.seek(place * size)
                blob.write(bytes(size))


def _rebuild(connection: apsw.Connection, last: int, dimensions: int) -> None:
    """Make a block again of the vectors that are left."""
    first = (last >> RID_BITS) << RID_BITS
    before = connection.execute("SELECT max(last) FROM vector_blocks WHERE last >= ? AND last < ?", (first, last)).get
    keys, vectors = next_vectors(connection, first - 1 if before is None else int(before), last, BLOCK)
    basis = basis_of(connection, dimensions)
    if len(keys) and basis is not None and vectors.shape[1] == dimensions:
        _write(connection, last, keys, vectors, basis)
    else:
        connection.execute("DELETE FROM vector_blocks WHERE last = ?", (last,))
