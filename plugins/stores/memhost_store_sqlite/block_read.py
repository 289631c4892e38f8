"""Reads all memories of owners at once, checked, as a `Block`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any

import apsw
import numpy as np

from memhost.integrity import SIZE
from memhost.models import TURN_STRATEGY, MemoryRecord, MemoryType
from memhost.storekit import to_micros_or_none
from memhost_store_sqlite.batch_read import broken, decode_bodies, decode_words
from memhost_store_sqlite.blocks import ALWAYS, NEVER, SOURCES, TURN, Block, Numbers
from memhost_store_sqlite.codec import pack_ids, parse_ids
from memhost_store_sqlite.memories import RID_BITS, RID_MASK
from memhost_store_sqlite.sealing import Reading

_ROWS = (
    "SELECT group_concat(rid), group_concat(session), group_concat(length(body)), "  # noqa: S608
    "CAST(group_concat(body, '') AS BLOB), CAST(group_concat(seal, '') AS BLOB), group_concat(length(words)), "
    "CAST(group_concat(words, '') AS BLOB), group_concat(vector IS NOT NULL), CAST(group_concat(vector, '') AS BLOB) "
    "FROM (SELECT m.rid, m.session, CAST(c.body AS BLOB) AS body, CAST(c.words AS BLOB) AS words, v.vector, "
    f"CASE WHEN length(c.seal) = {SIZE} THEN c.seal ELSE zeroblob({SIZE}) END AS seal "
    "FROM carray(?) o CROSS JOIN contents c "
    f"ON c.vid BETWEEN ((o.value << {RID_BITS}) | ?) AND ((o.value << {RID_BITS}) | {RID_MASK}) "
    f"CROSS JOIN memories m ON m.rid = (c.vid & {RID_MASK}) LEFT JOIN vectors v ON v.vid = c.vid ORDER BY m.rid)"
)


@dataclass(frozen=True, slots=True)
class _Packed:
    """Values of all rows, one behind the other, and where each ends."""

    joined: bytes
    sizes: list[int]

    def cut(self) -> list[bytes]:
        """The values."""
        ends = np.cumsum([0, *self.sizes]).tolist()
        return [self.joined[start:end] for start, end in pairwise(ends)]


def read_block(connection: apsw.Connection, reading: Reading, owners: Sequence[int], after: int) -> Block | None:
    """The memories of these owners whose row numbers are above `after`.

    Returns:
        None if any of them is not what the server wrote for that owner.
    """
    rows: list[Any] = connection.execute(_ROWS, (apsw.carray(pack_ids(owners)), after + 1)).fetchall()
    listed, sessions, body_sizes, joined, seals, word_sizes, joined_words, embedded, vectors = rows[0]
    rids = parse_ids(listed)
    bodies = _Packed(joined or b"", parse_ids(body_sizes).tolist())
    words = _Packed(joined_words or b"", parse_ids(word_sizes).tolist())
    known = rids.tolist()
    if broken(known, bodies.sizes, bodies.joined, seals or b"", reading):
        return None
    decoded, found = decode_bodies(len(known), bodies.joined), decode_words(len(known), words.joined)
    allowed = _names(connection, owners)
    if found is None or any(
        (body.record.namespace or "", body.record.user_id or "") not in allowed for body in decoded
    ):
        return None
    lengths = np.fromiter((len(word.terms) for word in found), dtype=np.int64, count=len(found))
    signs = np.fromiter(
        map(hash, chain.from_iterable(word.terms for word in found)), dtype=np.int64, count=int(lengths.sum())
    )
    has = parse_ids(embedded).astype(np.bool_)
    return Block(
        rids=rids,
        names=[word.id for word in found],
        bodies=bodies.cut(),
        words=words.cut(),
        vectors=_spread(vectors or b"", has),
        embedded=has,
        sessions=parse_ids(sessions),
        positions=_whole((body.position for body in decoded), -1),
        since=_whole((to_micros_or_none(body.record.valid_from) for body in decoded), NEVER),
        until=_whole((to_micros_or_none(body.record.valid_to) for body in decoded), ALWAYS),
        traits=np.fromiter((body.traits for body in decoded), dtype=np.int64, count=len(decoded)),
        kinds=np.fromiter((_kind(body.record) for body in decoded), dtype=np.uint8, count=len(decoded)),
        trusts=[body.record.trust for body in decoded],
        lengths=lengths,
        signs=signs,
        ends=(signs & 0xFFFF).astype(np.uint16),
        rows=np.repeat(np.arange(len(found), dtype=np.int32), lengths),
    )


def _spread(vectors: bytes, has: np.typing.NDArray[np.bool_]) -> np.typing.NDArray[np.float16]:
    """The vectors as a matrix with rows of zeros for those that have none."""
    count = int(has.sum())
    dense = np.frombuffer(vectors, dtype=np.float16).reshape(count, -1) if count else np.empty((0, 0), np.float16)
    if count == len(has):
        return dense
    spread = np.zeros((len(has), dense.shape[1]), dtype=np.float16)
    spread[has] = dense
    return spread


def _names(connection: apsw.Connection, owners: Sequence[int]) -> set[tuple[str, str]]:
    """Namespace and user of each owner."""
    rows: Iterable[Any] = connection.execute(
        "SELECT s.namespace, s.user FROM carray(?) o CROSS JOIN scopes s ON s.id = o.value",
        (apsw.carray(pack_ids(owners)),),
    )
    return {(row[0], row[1]) for row in rows}


def _kind(record: MemoryRecord) -> int:
    turn = record.memory_type is MemoryType.MESSAGE and record.extraction_strategy == TURN_STRATEGY
    return TURN * turn + SOURCES * bool(record.source_ids)


def _whole(values: Iterable[int | None], absent: int) -> Numbers:
    return np.array([absent if value is None else value for value in values], dtype=np.int64)
