"""Forms of values inside Redis: times, tags, full-text tokens, records, vectors."""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b

import msgspec
import numpy as np

from memhost.models import MemoryRecord, StoredMemory, Vector
from memhost.storekit import from_micros

MAX_TAG_LENGTH = 3000
"""Characters of an encoded value that are indexed as they are; RediSearch cuts tags at 4096."""
MAX_TERM_LENGTH = 200
MARK = "x"
"""Starts every encoded value, so that the empty string has a tag as well."""

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


MEMORY_FIELDS = ("body", "access_count", "last_accessed", "persisted_at", "terms")
"""Hash fields that `decode_memories` wants, followed by that of the vector."""

encode = msgspec.msgpack.Encoder().encode
_decode_bodies = msgspec.msgpack.Decoder(list[Body]).decode


def encode_body(memory: StoredMemory) -> tuple[bytes, str]:
    """The body of a memory and its terms as indexed text."""
    indexed = " ".join([encode_term(term) for term in memory.terms])
    plain = indexed == " ".join(memory.terms) and indexed.count(" ") == max(len(memory.terms) - 1, 0)
    terms = None if plain and "" not in memory.terms else memory.terms
    body = Body(memory.record, memory.speaker, memory.role, memory.lead, memory.traits, memory.position, terms)
    return encode(body), indexed


def decode_memories(rows: Sequence[Sequence[bytes | None]], dimensions: int | None) -> list[StoredMemory | None]:
    """Memories from rows of `MEMORY_FIELDS` and vector; None where there is no such memory."""
    bodies = [row[0] for row in rows if row[0] is not None]
    decoded = iter(_decode_bodies(b"\xdd" + len(bodies).to_bytes(4, "big") + b"".join(bodies)))
    return [None if row[0] is None else _assemble(next(decoded), row, dimensions) for row in rows]


def note_accesses(memories: Sequence[StoredMemory | None], accessed: Sequence[bytes | None]) -> None:
    """Put in what was entered later of times of access: count and last, for each memory."""
    for memory, packed in zip(memories, accessed, strict=True):
        if packed is not None and memory is not None:
            count, last = packed.split()
            memory.record.access_count, memory.record.last_accessed = int(count), from_micros(last)


def _assemble(body: Body, row: Sequence[bytes | None], dimensions: int | None) -> StoredMemory:
    _, count, accessed, persisted, terms, vector = row
    record = body.record
    if accessed is not None and count != b"0":  # once it was found, the hash knows more than the body
        record.access_count = int(count or 0)
        record.last_accessed = from_micros(accessed)
    if persisted and record.persisted_at is None:
        record.persisted_at = from_micros(persisted)
    fits = vector is not None and dimensions is not None and len(vector) == 4 * dimensions
    return StoredMemory(
        record=record,
        terms=body.terms if body.terms is not None else tuple((terms or b"").decode().split()),
        vector=np.frombuffer(vector, dtype=np.float32) if fits and vector is not None else None,
        speaker=body.speaker,
        role=body.role,
        position=body.position,
        lead=body.lead,
        traits=body.traits,
    )


def encode_vector(vector: Vector) -> bytes:
    """A vector as float32."""
    return np.asarray(vector, dtype=np.float32).tobytes()
