"""Forms of values inside Redis: times, tags, full-text tokens, records, vectors."""

from __future__ import annotations

import base64
import math
import re
import struct
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Protocol

import msgspec
import numpy as np

from memhost.integrity import TenantSeals
from memhost.models import MemoryRecord, StoredMemory, Vector
from memhost.storekit import from_micros

MAX_TAG_LENGTH = 3000
"""Characters of an encoded value that are indexed as they are; RediSearch cuts tags at 4096."""
MAX_TERM_LENGTH = 200
MARK = "x"
"""Starts every encoded value, so that the empty string has a tag as well."""

_ESCAPE = re.compile(rb"[+=_~]([0-9A-F]{2})")
_PLAIN_TERM = re.compile(r"[a-z0-9]+")
_QUERY_ESCAPES = {ord(char): "\\" + char for char in "+=~!-"}


def _escape(byte: int) -> str:
    """A byte in letters, digits and four signs, such that the order of strings stays that of their bytes."""
    char = chr(byte)
    if byte < 0x80 and char.isalnum():
        return char
    sign = "+" if byte < ord("0") else "=" if byte < ord("A") else "_" if byte < ord("a") else "~"
    return f"{sign}{byte:02X}"


_ESCAPED = tuple(_escape(byte) for byte in range(256))


def encode_tag(value: str) -> str:
    """Any string as a tag of safe characters; equality, order and prefixes are those of the strings.

    Of strings that would be too long the end is replaced by a digest.
    """
    return MARK + bounded(escape(value), MAX_TAG_LENGTH)


def escape(value: str) -> str:
    """The string in letters, digits and the signs `+=_~`, each followed by two hex digits."""
    if value.isascii() and value.isalnum():
        return value
    return "".join([_ESCAPED[byte] for byte in value.encode()])


def readable(tag: str) -> str:
    """The string of an encoded tag; of one that was too long its beginning, and the digest."""
    data = _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), tag.removeprefix(MARK).encode())
    return data.decode("utf-8", "replace")


def bounded(escaped: str, longest: int) -> str:
    """The escaped string, or its beginning and a digest."""
    if len(escaped) <= longest:
        return escaped
    return escaped[:longest] + "~~" + digest(escaped.encode())


def digest(value: bytes) -> str:
    """120 bits as 24 letters and digits."""
    return base64.b32encode(blake2b(value, digest_size=15).digest()).decode()


def tags(values: Sequence[str]) -> str:
    """Encoded values as the braces of a tag query that any of them satisfies."""
    return "{" + "|".join(values).translate(_QUERY_ESCAPES) + "}"


@lru_cache(maxsize=8192)
def encode_term(term: str) -> str:
    """A term as a token that RediSearch keeps as it is."""
    if _PLAIN_TERM.fullmatch(term) and len(term) <= MAX_TERM_LENGTH:
        return term
    escaped = "_" + "".join(
        char if char in "abcdefghijklmnopqrstuvwxyz0123456789" else "".join(f"_{byte:02x}" for byte in char.encode())
        for char in term
    )
    if len(escaped) <= MAX_TERM_LENGTH:
        return escaped
    return "_z" + digest(term.encode()).lower()


def sortable_hex(number: float) -> str:
    """16 hex digits whose order is that of the numbers; equal numbers get equal digits."""
    (bits,) = struct.unpack(">Q", struct.pack(">d", number + 0.0))
    return f"{bits ^ (0xFFFFFFFFFFFFFFFF if bits >> 63 else 1 << 63):016X}"


class Body(msgspec.Struct, array_like=True, gc=False):
    """The part of a memory that is stored in one piece. `terms` is None if the indexed text contains them."""

    record: MemoryRecord
    speaker: str | None
    role: str | None
    lead: int
    traits: int
    position: int | None
    terms: tuple[str, ...] | None
    version: int = 0


MEMORY_FIELDS = ("body", "access_count", "last_accessed", "persisted_at", "terms", "stamp", "seal")
"""Hash fields that `decode_memories` wants, followed by that of the vector."""

encode = msgspec.msgpack.Encoder().encode
_decode_bodies = msgspec.msgpack.Decoder(list[Body]).decode
decode_body = msgspec.msgpack.Decoder(Body).decode


def encode_body(memory: StoredMemory) -> tuple[bytes, str]:
    """The body of a memory and its terms as indexed text."""
    indexed = " ".join([encode_term(term) for term in memory.terms])
    plain = indexed == " ".join(memory.terms) and indexed.count(" ") == max(len(memory.terms) - 1, 0)
    terms = None if plain and "" not in memory.terms else memory.terms
    beside = (memory.speaker, memory.role, memory.lead, memory.traits, memory.position)
    return encode(Body(memory.record, *beside, terms, memory.version)), indexed


class Checks(Protocol):
    """Decides which memories may leave (`memhost_store_redis.sealing.Reading`)."""

    @property
    def seals(self) -> TenantSeals:
        """Seals of the tenant."""
        ...

    def owns(self, record: MemoryRecord) -> bool:
        """Tell whether a record lies inside the scope."""
        ...

    def leave_out(self, identity: bytes) -> None:
        """Note what may not leave."""
        ...


def decode_memories(
    rows: Sequence[Sequence[bytes | None]], ids: Sequence[bytes], dimensions: int | None, checks: Checks
) -> list[StoredMemory | None]:
    """Memories from rows of `MEMORY_FIELDS` and vector.

    Args:
        rows: The rows.
        ids: Encoded ids, as the keys of the rows have them.
        dimensions: Length of vectors.
        checks: Decides which may leave.

    Returns:
        None where there is no such memory, or where it is not what the server wrote.
    """
    sound = [_holds(row, identity, checks) for row, identity in zip(rows, ids, strict=True)]
    bodies = [row[0] for row, holds in zip(rows, sound, strict=True) if holds and row[0] is not None]
    decoded = iter(_decode_bodies(b"\xdd" + len(bodies).to_bytes(4, "big") + b"".join(bodies)))
    found: list[StoredMemory | None] = []
    for row, identity, holds in zip(rows, ids, sound, strict=True):
        memory = _assemble(next(decoded), row, dimensions) if holds else None
        if (memory is None and row[0] is not None) or (memory is not None and not checks.owns(memory.record)):
            checks.leave_out(identity)
            memory = None
        found.append(memory)
    return found


def _holds(row: Sequence[bytes | None], identity: bytes, checks: Checks) -> bool:
    body, stamp, seal = row[0], row[5], row[6]
    if body is None or stamp is None or seal is None:
        return False
    return checks.seals.holds(stamp, identity + b"\0" + body, seal)


def note_accesses(memories: Sequence[StoredMemory | None], accessed: Sequence[bytes | None]) -> None:
    """Put in what was entered later of times of access: count and last, for each memory."""
    for memory, packed in zip(memories, accessed, strict=True):
        if packed is not None and memory is not None:
            count, last = packed.split()
            memory.record.access_count, memory.record.last_accessed = int(count), from_micros(last)


def _assemble(body: Body, row: Sequence[bytes | None], dimensions: int | None) -> StoredMemory:
    _, count, accessed, persisted, terms, _, _, vector = row
    record = body.record
    if accessed is not None and count != b"0":  # once it was found, the hash knows more than the body
        record.access_count = int(count or 0)
        record.last_accessed = from_micros(accessed)
    if persisted and record.persisted_at is None:
        record.persisted_at = from_micros(persisted)
    return StoredMemory(
        record=record,
        terms=body.terms if body.terms is not None else tuple((terms or b"").decode().split()),
        vector=None if vector is None else _decode_vector(vector, dimensions),
        speaker=body.speaker,
        role=body.role,
        position=body.position,
        lead=body.lead,
        traits=body.traits,
        version=body.version,
    )


def _decode_vector(packed: bytes, dimensions: int | None) -> Vector | None:
    """The vector; None if it is of another length, or somebody made something else than numbers of it."""
    if dimensions is None or len(packed) != 4 * dimensions:
        return None
    vector: Vector = np.frombuffer(packed, dtype=np.float32)
    with np.errstate(all="ignore"):
        return vector if math.isfinite(np.dot(vector, vector)) else None


def encode_vector(vector: Vector) -> bytes:
    """A vector as float32."""
    return np.asarray(vector, dtype=np.float32).tobytes()
