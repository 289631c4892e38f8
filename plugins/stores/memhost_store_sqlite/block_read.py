"""Reads all memories of owners at once, checked, as a `Block`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import apsw
import numpy as np

from memhost.integrity import SIZE
from memhost.ranking import Columns, candidate_of
from memhost.storekit import to_micros_or_none
from memhost.storekit.held import ALWAYS, NEVER, Numbers, kind_of
from memhost_store_sqlite.batch_read import broken, decode_bodies, decode_words, stored_of
from memhost_store_sqlite.blocks import Block, text_of
from memhost_store_sqlite.codec import SOUND_VECTOR, decode_vectors, finite_rows, pack_ids, parse_ids
from memhost_store_sqlite.history import LATEST, is_behind
from memhost_store_sqlite.memories import RID_BITS, RID_MASK
from memhost_store_sqlite.sealing import Reading

_ROWS = (
    "SELECT group_concat(rid), group_concat(session), group_concat(length(body)), "  # noqa: S608
    "CAST(group_concat(body, '') AS BLOB), CAST(group_concat(seal, '') AS BLOB), group_concat(length(words)), "
    "CAST(group_concat(words, '') AS BLOB), group_concat(vector IS NOT NULL), CAST(group_concat(vector, '') AS BLOB), "
    "group_concat(latest) FROM ("
    "SELECT m.rid, m.session, CAST(c.body AS BLOB) AS body, CAST(c.words AS BLOB) AS words, v.vector, "
    f"CASE WHEN length(c.seal) = {SIZE} THEN c.seal ELSE zeroblob({SIZE}) END AS seal, {LATEST} AS latest "
    "FROM carray(?) o CROSS JOIN contents c "
    f"ON c.vid BETWEEN ((o.value << {RID_BITS}) | ?) AND ((o.value << {RID_BITS}) | {RID_MASK}) "
    f"CROSS JOIN memories m ON m.rid = (c.vid & {RID_MASK}) LEFT JOIN vectors v ON v.vid = c.vid AND {SOUND_VECTOR} "
    "ORDER BY m.rid)"
)


_TERMS, _BESIDE = 4, 400
"""Bytes in the process for a byte of packed terms, and for a memory beside its body, terms and vector (measured)."""


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
    tenant = reading.scope.tenant
    rows: list[Any] = connection.execute(_ROWS, (tenant, tenant, apsw.carray(pack_ids(owners)), after + 1)).fetchall()
    listed, sessions, body_sizes, joined, seals, word_sizes, joined_words, embedded, vectors, latest = rows[0]
    rids = parse_ids(listed)
    bodies = _Packed(joined or b"", parse_ids(body_sizes).tolist())
    words = _Packed(joined_words or b"", parse_ids(word_sizes).tolist())
    known = rids.tolist()
    if broken(known, bodies.sizes, bodies.joined, seals or b"", reading):
        return None
    decoded, found = decode_bodies(len(known), bodies.joined), decode_words(len(known), words.joined)
    allowed = _names(connection, owners)
    if found is None or any(
        (body.record.namespace or "", body.record.user_id or "") not in allowed or is_behind(body.version, last)
        for body, last in zip(decoded, parse_ids(latest).tolist(), strict=True)
    ):
        return None
    has = parse_ids(embedded).astype(np.bool_)
    dense = decode_vectors(vectors or b"", int(has.sum()))  # halves again would take longer than the whole search
    at = np.cumsum(has) - 1
    has[has] = finite_rows(dense)
    packed = bodies.cut()
    candidates = [
        candidate_of(stored_of(body, word, dense[at[row]] if has[row] else None))
        for row, (body, word) in enumerate(zip(decoded, found, strict=True))
    ]
    return Block(
        rids=rids,
        names=[word.id for word in found],
        bodies=packed,
        columns=Columns.of(candidates, text_of=text_of(packed)),
        sessions=parse_ids(sessions),
        since=_whole((to_micros_or_none(body.record.valid_from) for body in decoded), NEVER),
        until=_whole((to_micros_or_none(body.record.valid_to) for body in decoded), ALWAYS),
        kinds=bytes(kind_of(body.record) for body in decoded),
        trusts=[body.record.trust for body in decoded],
        size=dense.nbytes + len(bodies.joined) + _TERMS * len(words.joined) + _BESIDE * len(known),
    )


def _names(connection: apsw.Connection, owners: Sequence[int]) -> set[tuple[str, str]]:
    """Namespace and user of each owner."""
    rows: Iterable[Any] = connection.execute(
        "SELECT s.namespace, s.user FROM carray(?) o CROSS JOIN scopes s ON s.id = o.value",
        (apsw.carray(pack_ids(owners)),),
    )
    return {(row[0], row[1]) for row in rows}


def _whole(values: Iterable[int | None], absent: int) -> Numbers:
    return np.array([absent if value is None else value for value in values], dtype=np.int64)
