"""The seals of the file: the data that they cover, and whether they hold.

A row of `contents` has two seals: `seal` covers the body under the row's number, and is checked whenever a body is
read; `proof` covers what the row is found by (terms, columns, facets, vector), and `memhost verify` checks it. Times
of access change in place and are not covered. Sessions and documents have one seal, over all that is in their row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from memhost.errors import ConfigurationError
from memhost.integrity import SIZE, Seals, TenantSeals
from memhost.models import Document, MemoryRecord, Scope, SessionKey
from memhost.storekit import encode, to_micros, to_micros_or_none
from memhost_store_sqlite.scopes import Value

_WORDS, _VECTOR, _SESSION, _DOCUMENT = b"findable", b"embedded", b"session ", b"document"

Row = Sequence[Any]
"""The columns of `memories` in their order."""


def stamp_of(rid: int) -> bytes:
    """The stamp of a row: no other ever has its number."""
    return rid.to_bytes(8, "big")


def fixed_of(row: Row) -> Row:
    """A row of `memories` without its times of access."""
    return (*row[:11], *row[12:15], *row[16:])


def proof_of(seals: TenantSeals, row: Row, words: bytes, facets: Sequence[Row], vector: bytes | None) -> bytes:
    """The proof of what a row is found by, SIZE bytes, or twice as many with a vector.

    Args:
        seals: The tenant's.
        row: Its columns in `memories`; times of access are left out.
        words: Its words in `contents`.
        facets: Its rows in `facets`, by key and number.
        vector: Its vector, None if it has none.
    """
    stamp = stamp_of(row[0])
    fixed = encode((fixed_of(row)[1:], facets))
    proof = seals.seal(_WORDS, stamp + fixed + words)
    return proof if vector is None else proof + seals.seal(_VECTOR, stamp + vector)


def proves(
    seals: TenantSeals, proof: bytes, row: Row, words: bytes, facets: Sequence[Row], vector: bytes | None
) -> str:
    """Say what a proof does not cover as it is; empty if it covers everything."""
    stamp = stamp_of(row[0])
    fixed = encode((fixed_of(row)[1:], facets))
    if not seals.holds(_WORDS, stamp + fixed + words, proof[:SIZE]):
        return "What it is filtered, sorted and found by is not what the server wrote."
    if vector is None and len(proof) > SIZE:
        return "Its vector is missing."
    if vector is not None and not seals.holds(_VECTOR, stamp + vector, proof[SIZE:]):
        return "Its vector is not the one that the server stored."
    return ""


def session_content(key: SessionKey, version: int, updated_at: int, expires_at: int | None, body: bytes) -> bytes:
    """Return the bytes that the seal of a session covers."""
    return encode((key.namespace, key.user, key.session, version, updated_at, expires_at)) + body


def session_seal(seals: TenantSeals, content: bytes) -> bytes:
    """Seal of a session."""
    return seals.seal(_SESSION, content)


def session_holds(seals: TenantSeals, content: bytes, seal: bytes | None) -> bool:
    """Tell whether the server sealed that session."""
    return seal is not None and seals.holds(_SESSION, content, seal)


def document_content(document: Document) -> bytes:
    """Return the bytes that the seal of a document covers."""
    times = (to_micros(document.updated_at), to_micros_or_none(document.expires_at))
    return encode((document.kind, document.id, document.namespace, document.user, *times)) + document.body


def document_seal(seals: TenantSeals, document: Document) -> bytes:
    """Seal of a document."""
    return seals.seal(_DOCUMENT, document_content(document))


def document_holds(seals: TenantSeals, document: Document, seal: Value) -> bool:
    """Tell whether the server sealed that document."""
    return isinstance(seal, bytes) and seals.holds(_DOCUMENT, document_content(document), seal)


class Reading:
    """One read inside a scope: what may leave, and what had to be left out.

    Attributes:
        seals: Of the scope's tenant.
        left_out: Ids of memories that are not what the server wrote.
    """

    def __init__(self, scope: Scope, seals: Seals) -> None:
        self.scope = scope
        self.seals = seals.of(scope.tenant)
        self.left_out: list[str] = []
        self._bounds = (scope.namespaces, scope.users, scope.sessions)
        self._bound = not scope.whole

    def owns(self, record: MemoryRecord) -> bool:
        """Tell whether the record's own words put it inside the scope."""
        if not self._bound:
            return True
        namespaces, users, sessions = self._bounds
        return (
            (users is None or (record.user_id or "") in users)
            and (namespaces is None or (record.namespace or "") in namespaces)
            and (sessions is None or (record.session_id or "") in sessions)
        )


def lost_key(seals: Seals, mark: str, where: str) -> ConfigurationError:
    """The error for a store that was sealed with a key which this server does not have."""
    have = f"this server has the key {seals.key_id}" if seals.key_id else "this server has no key"
    return ConfigurationError(
        f"{where} is sealed with the key {mark}, but {have}: name the secret of that key in INTEGRITY_KEY. If it is "
        "lost, accept what is stored as it stands with: memhost verify --adopt"
    )
