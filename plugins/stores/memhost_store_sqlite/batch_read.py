"""Reading many memories at once.

The engine hands over one row for all of them: numbers as lists, and the msgpack of the memories one behind the other,
which becomes an array by putting an array's header in front. So neither the rows nor the decoding pass through
Python one by one, and most of the work is done without its lock.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import apsw
import msgspec

from memhost.models import MAX_ACCESSES, StoredMemory
from memhost.storekit import from_micros
from memhost_store_sqlite.codec import Body, Ids, Words, decode_vectors, pack_ids, parse_ids
from memhost_store_sqlite.memories import VID

_WORDS = (
    "SELECT group_concat(rid), CAST(group_concat(words, '') AS BLOB) FROM ("  # noqa: S608
    "SELECT m.rid, c.words FROM carray(?) r CROSS JOIN memories m ON m.rid = r.value "
    f"CROSS JOIN contents c ON c.vid = {VID})"
)
_ALL = (
    "SELECT group_concat(rid), group_concat(access_count), group_concat(last_accessed), "  # noqa: S608
    "CAST(group_concat(body, '') AS BLOB), CAST(group_concat(words, '') AS BLOB), "
    "group_concat(vector IS NOT NULL), CAST(group_concat(vector, '') AS BLOB) FROM ("
    "SELECT m.rid, m.access_count, m.last_accessed, c.body, c.words, v.vector "
    "FROM carray(?) r CROSS JOIN memories m ON m.rid = r.value "
    f"CROSS JOIN contents c ON c.vid = {VID} LEFT JOIN vectors v ON v.vid = {VID})"
)
_decode_bodies = msgspec.msgpack.Decoder(list[Body]).decode
_decode_words = msgspec.msgpack.Decoder(list[Words]).decode


def _array(size: int, items: bytes) -> bytes:
    return b"\xdd" + size.to_bytes(4, "big") + items


def load_words(connection: apsw.Connection, rids: Ids) -> dict[int, Words]:
    """Ids and terms by row number, of those of the rows that exist."""
    if not len(rids):
        return {}
    found: list[Any] = connection.execute(_WORDS, (apsw.carray(rids),)).fetchall()
    listed, words = found[0]
    known = parse_ids(listed).tolist()
    return dict(zip(known, _decode_words(_array(len(known), words or b"")), strict=True))


def load(connection: apsw.Connection, wanted: Iterable[int]) -> dict[int, StoredMemory]:
    """Memories by row number, of those of the rows that exist."""
    rids = pack_ids(wanted)
    if not len(rids):
        return {}
    found: list[Any] = connection.execute(_ALL, (apsw.carray(rids),)).fetchall()
    listed, counts, accesses, bodies, words, embedded, blob = found[0]
    known = parse_ids(listed).tolist()
    flags = parse_ids(embedded)
    vectors = iter(decode_vectors(blob or b"", int(flags.sum())))
    memories: dict[int, StoredMemory] = {}
    for rid, body, word, count, accessed, has_vector in zip(
        known,
        _decode_bodies(_array(len(known), bodies or b"")),
        _decode_words(_array(len(known), words or b"")),
        parse_ids(counts).tolist(),
        parse_ids(accesses).tolist(),
        flags.tolist(),
        strict=True,
    ):
        if body.record.access_count != count or count == MAX_ACCESSES:  # marked since it was written
            body.record.last_accessed = from_micros(accessed)
            body.record.access_count = count
        memories[rid] = StoredMemory(
            record=body.record,
            terms=word.terms,
            vector=next(vectors) if has_vector else None,
            speaker=body.speaker,
            role=body.role,
            position=body.position,
            lead=body.lead,
            traits=body.traits,
        )
    return memories
