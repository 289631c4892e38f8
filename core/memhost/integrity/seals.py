"""Seals of stored states, and the links of the chain: keyed BLAKE2b, so that only the server can make them.

Without a key they are plain digests: they show damage, and what was edited by somebody who did not know of them.
"""

from __future__ import annotations

import hmac
from functools import partial
from hashlib import blake2b

from memhost.integrity.keys import Keyring

SIZE = 16
"""Bytes of a seal, a digest and a link."""

_MOST_TENANTS = 10_000


class TenantSeals:
    """Seals of one tenant's data under one secret, or under none.

    Attributes:
        record_key: Key of the seals of states, for loops that cannot afford a call for each.
    """

    def __init__(self, tenant: str, ring: Keyring | None, former: TenantSeals | None = None) -> None:
        name = tenant.encode("utf-8", "surrogatepass")
        self.record_key = blake2b(b"r" + name, key=ring.key("mac") if ring else b"").digest()
        key = blake2b(b"c" + name, key=ring.key("chain") if ring else b"").digest()
        self._chain = partial(blake2b, key=key, digest_size=SIZE)
        self._former = former

    def seal(self, stamp: bytes, body: bytes) -> bytes:
        """Seal of a state in its place.

        Args:
            stamp: 8 bytes that no other state of the store has.
            body: What is kept.
        """
        return blake2b(stamp + body, key=self.record_key, digest_size=SIZE).digest()

    def holds(self, stamp: bytes, body: bytes, seal: bytes) -> bool:
        """Tell whether the server sealed that, with this secret or a former one."""
        if hmac.compare_digest(self.seal(stamp, body), seal):
            return True
        return self._former is not None and self._former.holds(stamp, body, seal)

    def digest(self, entry: bytes) -> bytes:
        """Digest of an entry, which its link covers."""
        return self._chain(entry).digest()

    def wrote(self, entry: bytes, digest: bytes) -> bool:
        """Tell whether that is the digest of the entry, with this secret or a former one."""
        if hmac.compare_digest(self.digest(entry), digest):
            return True
        return self._former is not None and self._former.wrote(entry, digest)

    def link(self, before: bytes, digest: bytes) -> bytes:
        """The link of an entry behind the link `before` (empty for the first one)."""
        return self._chain(before + b"\0" + digest).digest()

    def linked(self, before: bytes, digest: bytes, link: bytes) -> bool:
        """Tell whether the server linked the entry there, with this secret or a former one."""
        if hmac.compare_digest(self.link(before, digest), link):
            return True
        return self._former is not None and self._former.linked(before, digest, link)


class Seals:
    """Seals by tenant.

    Attributes:
        key_id: Id of the current secret; empty without one.
        known: Ids of all secrets that count.
    """

    def __init__(self, keys: Keyring | None = None) -> None:
        self._rings = (keys, *keys.former) if keys else (None,)
        self.key_id = keys.id if keys else ""
        self.known = {ring.id for ring in self._rings if ring}
        self._tenants: dict[str, TenantSeals] = {}

    def of(self, tenant: str) -> TenantSeals:
        """The seals of a tenant's data."""
        found = self._tenants.get(tenant)
        if found is None:
            for ring in reversed(self._rings):
                found = TenantSeals(tenant, ring, found)
            assert found is not None
            if len(self._tenants) >= _MOST_TENANTS:
                self._tenants.clear()
            self._tenants[tenant] = found
        return found
