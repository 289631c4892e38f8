"""Reading many memories at once.

The engine hands over one row for all of them: numbers as lists, and the msgpack of the memories one behind the other,
which becomes an array by putting an array's header in front. So neither the rows nor the decoding pass through
Python one by one, and most of the work is done without its lock.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from hashlib import blake2b
from typing import Any

import apsw
import msgspec

from memhost.integrity import SIZE
from memhost.models import MAX_ACCESSES, MemoryRecord, StoredMemory, Vector
from memhost.storekit import from_micros
from memhost_store_sqlite.codec import (
    SOUND_VECTOR,
    Body,
    Ids,
    Words,
    decode_body,
    decode_vectors,
    finite_rows,
    pack_ids,
    parse_ids,
)
from memhost_store_sqlite.codec import decode_words as decode_one_words
from memhost_store_sqlite.history import LATEST, is_behind
from memhost_store_sqlite.memories import VID
from memhost_store_sqlite.sealing import Reading, stamp_of

_WORDS = (
    "SELECT group_concat(rid), CAST(group_concat(words, '') AS BLOB) FROM ("  # noqa: S608
    "SELECT m.rid, c.words FROM carray(?) r CROSS JOIN memories m ON m.rid = r.value "
    f"CROSS JOIN contents c ON c.vid = {VID})"
)
_ALL = (
    "SELECT group_concat(rid), group_concat(access_count), group_concat(last_accessed), "  # noqa: S608
    "group_concat(latest), group_concat(length(body)), CAST(group_concat(body, '') AS BLOB), "
    "CAST(group_concat(seal, '') AS BLOB), CAST(group_concat(words, '') AS BLOB), "
    "group_concat(vector IS NOT NULL), CAST(group_concat(vector, '') AS BLOB) FROM ("
    "SELECT m.rid, m.access_count, m.last_accessed, CAST(c.body AS BLOB) AS body, c.words, v.vector, "
    f"CASE WHEN length(c.seal) = {SIZE} THEN c.seal ELSE zeroblob({SIZE}) END AS seal, {LATEST} AS latest "
    "FROM carray(?) r CROSS JOIN memories m ON m.rid = r.value "
    f"CROSS JOIN contents c ON c.vid = {VID} LEFT JOIN vectors v ON v.vid = {VID} AND {SOUND_VECTOR})"
)
_decode_bodies = msgspec.msgpack.Decoder(list[Body]).decode
_decode_words = msgspec.msgpack.Decoder(list[Words]).decode


def _array(size: int, items: bytes) -> bytes:
    return b"\xdd" + size.to_bytes(4, "big") + items


def load_words(connection: apsw.Connection, rids: Ids) -> tuple[dict[int, Words], set[int]]:
    """Ids and terms by row number, of those of the rows that exist; and the rows whose terms somebody damaged."""
    bad: set[int] = set()
    if not len(rids):
        return {}, bad
    found: list[Any] = connection.execute(_WORDS, (apsw.carray(rids),)).fetchall()
    listed, words = found[0]
    known = parse_ids(listed).tolist()
    terms = zip(known, _terms(connection, known, words or b"", bad), strict=True)
    return {rid: word for rid, word in terms if word is not None}, bad


def load(
    connection: apsw.Connection,
    wanted: Iterable[int],
    reading: Reading,
    passes: Callable[[MemoryRecord], bool] | None = None,
    tested: Container[int] = (),
) -> dict[int, StoredMemory]:
    """Memories by row number, of those of the rows that exist and are what the server wrote.

    Args:
        connection: Where to read.
        wanted: Row numbers.
        reading: Decides what may leave, and notes what may not.
        passes: A test that records must pass, or else their rows are not what they say.
        tested: The row numbers that it is for.
    """
    rids = pack_ids(wanted)
    if not len(rids):
        return {}
    tenant = reading.scope.tenant
    found: list[Any] = connection.execute(_ALL, (tenant, tenant, apsw.carray(rids))).fetchall()
    listed, counts, accesses, latest, sizes, bodies, seals, words, embedded, blob = found[0]
    known = parse_ids(listed).tolist()
    flags = parse_ids(embedded)
    matrix = decode_vectors(blob or b"", int(flags.sum()))
    vectors = zip(matrix, finite_rows(matrix), strict=True)
    bad = broken(known, parse_ids(sizes).tolist(), bodies or b"", seals or b"", reading)
    memories: dict[int, StoredMemory] = {}
    for rid, body, word, count, accessed, last, has_vector in zip(
        known,
        _bodies(known, parse_ids(sizes).tolist(), bodies or b"", bad),
        _terms(connection, known, words or b"", bad),
        parse_ids(counts).tolist(),
        parse_ids(accesses).tolist(),
        parse_ids(latest).tolist(),
        flags.tolist(),
        strict=True,
    ):
        vector, finite = next(vectors) if has_vector else (None, False)
        if body is None or word is None or (bad and rid in bad):
            continue
        record = body.record
        if (
            is_behind(body.version, last)
            or not reading.owns(record)
            or (passes is not None and rid in tested and not passes(record))
        ):
            bad.add(rid)
            continue
        if record.access_count != count or count == MAX_ACCESSES:  # marked since it was written
            record.last_accessed = from_micros(accessed)
            record.access_count = count
        memories[rid] = stored_of(body, word, vector if finite else None)
    if bad:
        leave_out(connection, bad, reading)
    return memories


def stored_of(body: Body, words: Words, vector: Vector | None) -> StoredMemory:
    """The memory whose parts these are."""
    return StoredMemory(
        record=body.record,
        terms=words.terms,
        vector=vector,
        speaker=body.speaker,
        role=body.role,
        position=body.position,
        lead=body.lead,
        traits=body.traits,
        version=body.version,
    )


def leave_out(connection: apsw.Connection, rids: Iterable[int], reading: Reading) -> None:
    """Note which memories are left out, by the ids that their rows have."""
    names = connection.execute("SELECT id FROM memories WHERE rid IN carray(?)", (apsw.carray(pack_ids(rids)),))
    reading.left_out += [str(row[0]) for row in names]


def broken(known: list[int], sizes: list[int], bodies: bytes, seals: bytes, reading: Reading) -> set[int]:
    """The rows whose seal does not hold. All seals are compared at once: nearly always all of them hold."""
    key, start, made = reading.seals.record_key, 0, []
    for rid, size in zip(known, sizes, strict=True):
        end = start + size
        made.append(blake2b(rid.to_bytes(8, "big") + bodies[start:end], key=key, digest_size=SIZE).digest())
        start = end
    if b"".join(made) == seals:
        return set()
    bad, start = set(), 0
    for number, (rid, size) in enumerate(zip(known, sizes, strict=True)):
        end = start + size
        if not reading.seals.holds(stamp_of(rid), bodies[start:end], seals[number * SIZE : (number + 1) * SIZE]):
            bad.add(rid)
        start = end
    return bad


def decode_bodies(count: int, joined: bytes) -> list[Body]:
    """So many bodies, one behind the other."""
    return _decode_bodies(_array(count, joined))


def decode_words(count: int, joined: bytes) -> list[Words] | None:
    """So many words, one behind the other; None if somebody damaged them."""
    try:
        return _decode_words(_array(count, joined))
    except msgspec.MsgspecError:
        return None


def _bodies(known: list[int], sizes: list[int], bodies: bytes, bad: set[int]) -> list[Body | None]:
    """The bodies; None for the broken ones, which might not even be bodies."""
    if not bad:
        return _decode_bodies(_array(len(known), bodies))  # type: ignore[return-value]
    found: list[Body | None] = []
    start = 0
    for rid, size in zip(known, sizes, strict=True):
        found.append(None if rid in bad else decode_body(bodies[start : start + size]))
        start += size
    return found


def _terms(connection: apsw.Connection, known: list[int], words: bytes, bad: set[int]) -> list[Words | None]:
    """The words; None for those that somebody damaged, whose rows are added to `bad`."""
    try:
        return _decode_words(_array(len(known), words))  # type: ignore[return-value]
    except msgspec.MsgspecError:
        found: list[Words | None] = []
        for rid in known:
            packed = connection.execute(
                f"SELECT CAST(c.words AS BLOB) FROM memories m CROSS JOIN contents c ON c.vid = {VID} WHERE m.rid = ?",  # noqa: S608
                (rid,),
            ).get
            try:
                found.append(decode_one_words(packed))
            except msgspec.MsgspecError:
                found.append(None)
                bad.add(rid)
        return found
