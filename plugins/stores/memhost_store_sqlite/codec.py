"""Forms of values inside the file: times, records, vectors, full-text tokens, lists of numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from memhost.models import MemoryRecord, StoredMemory, Vector

_PLAIN = re.compile(r"[a-z0-9\u0080-\ud7ff\uf900-\uffff]+(?: [a-z0-9\u0080-\ud7ff\uf900-\uffff]+)*")
_LIFTED = {code: chr(0xE000 + code) for code in range(0x80) if not (chr(code).islower() or chr(code).isdigit())}
_LIFTED |= {code: "\ue080" + chr(code) for code in range(0xE000, 0xE082)}
_EMPTY = "\ue081"

SOUND_VECTOR = (
    "typeof(v.vector) = 'blob' AND length(v.vector) = "
    "coalesce((SELECT 2 * value FROM settings WHERE key = 'dimensions'), length(v.vector))"
)
"""The condition of the vectors that have the length of all. Others somebody damaged: one would shift all behind it."""

Ids = npt.NDArray[np.int64]


class Body(msgspec.Struct, array_like=True, gc=False):
    """The data of a memory beside the columns."""

    record: MemoryRecord
    speaker: str | None
    role: str | None
    lead: int
    traits: int
    position: int | None
    version: int = 0


class Words(msgspec.Struct, array_like=True, gc=False):
    """The data for scoring a memory by its text."""

    id: str
    terms: tuple[str, ...]


encode = msgspec.msgpack.Encoder().encode
decode_body = msgspec.msgpack.Decoder(Body).decode
decode_words = msgspec.msgpack.Decoder(Words).decode


def encode_body(memory: StoredMemory, record: MemoryRecord, version: int) -> bytes:
    """The body of a memory with this record and version, for `decode_body`."""
    return encode(Body(record, memory.speaker, memory.role, memory.lead, memory.traits, memory.position, version))


def encode_words(memory: StoredMemory) -> bytes:
    """Id and terms of a memory."""
    return encode(Words(memory.record.id, memory.terms))


def encode_vector(vector: Vector) -> bytes:
    """A vector as float16: half the reading, and a cosine to three digits."""
    return np.asarray(vector, dtype=np.float16).tobytes()


def decode_vectors(blob: bytes, rows: int) -> Vector:
    """The float32 matrix of `rows` encoded vectors of equal length, one behind the other."""
    if not rows:
        return np.empty((0, 0), dtype=np.float32)
    return np.frombuffer(blob, dtype=np.float16).reshape(rows, -1).astype(np.float32)


def finite_rows(matrix: Vector) -> npt.NDArray[np.bool_]:
    """For each row of a matrix tell whether it consists of numbers: bytes that somebody damaged may be none."""
    every = np.isfinite(matrix)
    finite: npt.NDArray[np.bool_] = np.logical_and.reduce(every, axis=1)
    return finite


def encode_terms(terms: Sequence[str]) -> str:
    """Terms as a text that FTS5's `ascii` tokenizer takes apart into exactly these terms.

    That tokenizer folds A-Z and separates at ASCII punctuation. Such characters are lifted into the private
    use area, one for one, so that any string is one token and no two terms become the same.
    """
    joined = " ".join(terms)
    if _PLAIN.fullmatch(joined) and joined.count(" ") == len(terms) - 1:
        return joined
    return " ".join(term.translate(_LIFTED) or _EMPTY for term in terms)


def phrase_query(terms: Sequence[str]) -> str:
    """An FTS5 phrase that matches these terms next to each other."""
    return f'"{encode_terms(terms)}"'


def parse_ids(listed: str | None) -> Ids:
    """The numbers of a `group_concat`. One string is far cheaper to fetch than a row a number."""
    if not listed:
        return np.empty(0, dtype=np.int64)
    return np.fromstring(listed, dtype=np.int64, sep=",")


def pack_ids(ids: Iterable[int]) -> Ids:
    """Numbers as an array that can be bound with `apsw.carray`."""
    return np.fromiter(ids, dtype=np.int64)


def among(ids: Ids, ascending: Ids) -> npt.NDArray[np.bool_]:
    """For each of `ids` tell whether it is in the ascending array; far cheaper than `np.isin` for short arrays."""
    if not len(ascending):
        return np.zeros(len(ids), dtype=bool)
    places = np.searchsorted(ascending, ids)
    places[places == len(ascending)] = 0
    found: npt.NDArray[np.bool_] = ascending[places] == ids
    return found
