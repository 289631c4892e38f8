"""Times, keys, copies and bodies: what every store makes of the structs that it keeps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import TypeVar

import msgspec
import numpy as np

from memhost.errors import InvalidRequest
from memhost.models import Change, Document, MemoryRecord, Scope, SessionKey, StoredMemory, StoredSession, Vector

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Owner = tuple[str, str, str]
"""Namespace, user and session; absent ones are empty."""

Kept = TypeVar("Kept", bound=msgspec.Struct)

_MICROSECOND = timedelta(microseconds=1)

encode = msgspec.msgpack.Encoder().encode
_decode_memory = msgspec.msgpack.Decoder(StoredMemory).decode


@contextmanager
def keepable() -> Iterator[None]:
    """Inside it, values that msgpack cannot write (lone surrogates, integers beyond 64 bits) are `InvalidRequest`."""
    try:
        yield
    except (UnicodeEncodeError, OverflowError) as error:
        raise _unkeepable(error) from error


def _unkeepable(error: Exception) -> InvalidRequest:
    return InvalidRequest(f"The store cannot keep this value: {error}.")


def to_micros(moment: datetime) -> int:
    """Whole microseconds since 1970; a naive time counts as UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - EPOCH) // _MICROSECOND


def to_micros_or_none(moment: datetime | None) -> int | None:
    """The same for a time that may be missing."""
    return None if moment is None else to_micros(moment)


def from_micros(value: int | bytes) -> datetime:
    """The moment of `to_micros`, as a number or in digits; in UTC."""
    return EPOCH + timedelta(microseconds=int(value))


def digest(*parts: str | float) -> bytes:
    """Return 16 bytes that identify these parts, for keys and tags; equal numbers count as the same.

    With digests, values of any length and with any character are compared exactly, whatever the engine's rules.

    Raises:
        InvalidRequest: A part has lone surrogates.
    """
    try:
        packed = encode([part if isinstance(part, str) else part + 0.0 for part in parts])
    except UnicodeEncodeError as error:
        raise _unkeepable(error) from error
    return blake2b(packed, digest_size=16).digest()


def owner_of(record: MemoryRecord) -> Owner:
    """Namespace, user and session of a record."""
    return record.namespace or "", record.user_id or "", record.session_id or ""


_MARKS = ("discrete_memory_extracted", "access_count", "last_accessed", "persisted_at", "updated_at")
"""Fields of a record that the server keeps for itself: a change of them alone makes no new version."""


def only_marks_differ(before: MemoryRecord, after: MemoryRecord) -> bool:
    """Tell whether two records differ in marks of the server alone, which say nothing of what is remembered."""
    marks = {name: getattr(before, name) for name in _MARKS}
    return msgspec.structs.replace(after, **marks) == before


def holds(scope: Scope, document: Document) -> bool:
    """Tell whether the document is inside the scope."""
    return document.tenant == scope.tenant and scope.allows(document.namespace, document.user, None)


def is_alive(expires_at: datetime | None, now: datetime) -> bool:
    """Tell whether something with that end still exists."""
    return expires_at is None or expires_at > now


def copy_struct(value: Kept) -> Kept:
    """A copy that shares nothing with the original.

    Raises:
        InvalidRequest: A durable store could not keep the value.
    """
    with keepable():
        return msgspec.msgpack.decode(encode(value), type=type(value))


def copy_memory(memory: StoredMemory) -> StoredMemory:
    """A copy that shares nothing with the original; its vector is float32.

    Raises:
        InvalidRequest: A durable store could not keep the record.
    """
    vector = None if memory.vector is None else np.array(memory.vector, dtype=np.float32)
    return replace(memory, record=copy_struct(memory.record), terms=tuple(memory.terms), vector=vector)


def encode_memory(memory: StoredMemory) -> bytes:
    """A memory without its vector, in msgpack; for `decode_memory`."""
    return encode(replace(memory, vector=None))


def decode_memory(body: bytes, last_accessed: int, access_count: int, vector: Vector | None) -> StoredMemory:
    """The memory of `encode_memory`, with what columns of their own hold.

    Args:
        body: What `encode_memory` gave.
        last_accessed: In microseconds, as access marks left it.
        access_count: As access marks left it.
        vector: Its vector, or None while it is not embedded.
    """
    memory = _decode_memory(body)
    memory.record.last_accessed = from_micros(last_accessed)
    memory.record.access_count = access_count
    memory.vector = None if vector is None else np.asarray(vector, dtype=np.float32)
    return memory


SHORT_LIVED = timedelta(hours=1)
"""The chain leaves out documents that live no longer: leases, reports of workers, renewed every few seconds."""


def lasting(updated_at: int, expires_at: int | None) -> bool:
    """Tell whether the chain tells of a document with these times, in microseconds."""
    return expires_at is None or expires_at - updated_at > SHORT_LIVED // _MICROSECOND


def state_name(*parts: str) -> str:
    """Return `Change.name` of what has that name in the store: 24 hexadecimal digits."""
    return blake2b(encode(parts), digest_size=12).hexdigest()


def session_change(key: SessionKey, name: str, session: StoredSession | None = None, seal: bytes = b"") -> Change:
    """The entry for a session that is written, or removed (None)."""
    change = Change(kind="session", at=0, owner=(key.namespace, key.user, key.session), name=name, after=seal)
    if session is not None:
        change.expires = to_micros_or_none(session.expires_at) or 0
    return change


def document_change(owner: tuple[str, str], name: str, expires_at: int | None = None, seal: bytes = b"") -> Change:
    """The entry for a document that is written, or removed (without a seal).

    Args:
        owner: Its namespace and user.
        name: As `state_name` gives it.
        expires_at: When it expires, in microseconds.
        seal: Its seal.
    """
    return Change(kind="document", at=0, owner=(*owner, ""), name=name, after=seal, expires=expires_at or 0)
