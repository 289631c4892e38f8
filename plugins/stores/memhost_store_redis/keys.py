"""Keys of the hashes. Every part is encoded, so no two of them run into each other."""

from __future__ import annotations

from memhost.models import SessionKey
from memhost_store_redis.codec import encode_tag
from memhost_store_redis.scopes import token

SEPARATOR = "!"
"""Between parts of an id; it sorts before every other character of an encoded value."""


def memory_base(prefix: str, tenant: str) -> str:
    """Return the beginning of the keys of a tenant's memories; the encoded id follows."""
    return f"{prefix}:m:{token('T', tenant)}:"


def access_key(prefix: str, tenant: str) -> str:
    """The hash of a tenant that tells when its memories were found since they were written, by encoded id."""
    return f"{prefix}:acc:{token('T', tenant)}"


def state_base(prefix: str, tenant: str) -> str:
    """Return the beginning of the keys of a tenant's sessions and documents; `session_id` or `document_id` follows."""
    return f"{prefix}:s:{token('T', tenant)}:"


def session_id(key: SessionKey) -> str:
    """A session within its tenant, in the order of the keys."""
    return SEPARATOR.join(("s", encode_tag(key.namespace), encode_tag(key.user), encode_tag(key.session)))


def document_id(kind: str, identity: str) -> str:
    """A document within its tenant, in the order of (kind, id)."""
    return SEPARATOR.join(("d", encode_tag(kind), encode_tag(identity)))
