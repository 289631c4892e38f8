"""Seals of hashes: of memories, checked when they are read, and of sessions and documents.

A memory has a `stamp` that no other state has, and a `seal` over stamp, place (the encoded id) and body. `proof` covers
what it is found by; times of access change in place and are not covered. Tenants go by their tokens, as keys do.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from memhost.errors import ConfigurationError
from memhost.integrity import Seals, TenantSeals
from memhost.models import MemoryRecord, Scope
from memhost.storekit import encode
from memhost_store_redis.codec import readable
from memhost_store_redis.scopes import token

_FOUND_BY, _STATE = b"findable", b"a state "
_CHANGING = frozenset({"access_count", "last_accessed", "persisted_at", "stamp", "seal", "proof", "body"})


def new_stamp() -> bytes:
    """8 bytes that no other state of a memory has."""
    return secrets.token_bytes(8)


def placed(identity: str | bytes, body: bytes) -> bytes:
    """The body of a memory with its place, as the seal covers it and as former states are kept."""
    return (identity.encode() if isinstance(identity, str) else identity) + b"\0" + body


def proof_of(seals: TenantSeals, stamp: bytes, fields: Mapping[Any, Any]) -> bytes:
    """The proof of all fields of a hash that do not change in place."""
    plain = {_bytes(name): _bytes(value) for name, value in fields.items()}
    fixed = sorted((name, value) for name, value in plain.items() if name.decode("latin-1") not in _CHANGING)
    return seals.seal(_FOUND_BY, stamp + encode(fixed))


def proves(seals: TenantSeals, stamp: bytes, fields: Mapping[bytes, bytes], proof: bytes) -> bool:
    """Tell whether a proof covers a hash as it is."""
    fixed = sorted((name, value) for name, value in fields.items() if name.decode("latin-1") not in _CHANGING)
    return seals.holds(_FOUND_BY, stamp + encode(fixed), proof)


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def state_content(identity: str, expires_at: int | None, body: bytes) -> bytes:
    """Return the bytes that the seal of a session or document covers."""
    return encode((identity, expires_at)) + body


def state_seal(seals: TenantSeals, content: bytes) -> bytes:
    """Seal of a session or document."""
    return seals.seal(_STATE, content)


def state_holds(seals: TenantSeals, content: bytes, seal: bytes | None) -> bool:
    """Tell whether the server sealed that session or document."""
    return seal is not None and seals.holds(_STATE, content, seal)


def seals_of(seals: Seals, tenant: str) -> TenantSeals:
    """Seals of a tenant's data."""
    return seals.of(token("T", tenant))


class Reading:
    """One read inside a scope: what may leave, and what had to be left out.

    Attributes:
        seals: Of the scope's tenant.
        left_out: Ids of what is not what the server wrote.
    """

    def __init__(self, scope: Scope, seals: Seals) -> None:
        self.scope = scope
        self.seals = seals_of(seals, scope.tenant)
        self.left_out: list[str] = []

    def owns(self, record: MemoryRecord) -> bool:
        """Tell whether the record's own words put it inside the scope."""
        return self.scope.whole or self.scope.allows(record.namespace, record.user_id, record.session_id)

    def leave_out(self, identity: bytes) -> None:
        """Note what is left out."""
        self.left_out.append(readable(identity.decode("utf-8", "replace")))


def lost_key(seals: Seals, mark: str) -> ConfigurationError:
    """The error for a store that was sealed with a key which this server does not have."""
    have = f"this server has the key {seals.key_id}" if seals.key_id else "this server has no key"
    return ConfigurationError(
        f"The Redis store is sealed with the key {mark}, but {have}: name the secret of that key in INTEGRITY_KEY. If "
        "it is lost, accept what is stored as it stands with: memhost verify --adopt"
    )
