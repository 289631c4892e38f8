"""Failed attempts to get in, limited per address."""

from __future__ import annotations

import hashlib
import ipaddress
import math
import secrets
from datetime import datetime, timedelta
from functools import lru_cache

from memhost.errors import TooManyRequests
from memhost.ports import Clock, Credentials

WINDOW_S = 60.0
_MAX_ADDRESSES = 10_000
_MAX_CREDENTIALS = 10_000
_LONGEST = 64
"""Letters of the longest address whose network is remembered: proxies may send longer ones."""


class LoginThrottle:
    """Counts failed attempts of each address in this process, and turns an address away that has made too many.

    Credentials that were valid before are still checked for such an address, so that one bad client does not lock
    out others behind the same proxy. Addresses of IPv6 count by their /64 network.
    """

    def __init__(self, limit: int, clock: Clock) -> None:
        """Count.

        Args:
            limit: Attempts that may fail within a minute; 0 does not limit.
            clock: Time.
        """
        self._limit = limit
        self._clock = clock
        self._failures: dict[str, tuple[datetime, int]] = {}
        self._valid: dict[bytes, None] = {}
        self._key = secrets.token_bytes(16)

    def check(self, credentials: Credentials) -> None:
        """Return if the credentials may be tried.

        Raises:
            TooManyRequests: The address has failed too often.
        """
        if not self._failures or not credentials.token:
            return
        start, count = self._failures.get(network(credentials.peer), (None, 0))
        if start is None or count < self._limit or self._digest(credentials) in self._valid:
            return
        left = WINDOW_S - (self._clock.now() - start).total_seconds()
        if 0 < left <= WINDOW_S:
            raise TooManyRequests(
                "Too many failed logins from this address; wait before the next attempt.",
                retry_after_s=math.ceil(left),
            )

    def failed(self, credentials: Credentials) -> None:
        """Count an attempt; without credentials it is none."""
        if not self._limit or not credentials.token or not credentials.peer:
            return
        self._valid.pop(self._digest(credentials), None)
        now, address = self._clock.now(), network(credentials.peer)
        start, count = self._failures.pop(address, (now, 0))
        if not timedelta() <= now - start < timedelta(seconds=WINDOW_S):
            start, count = now, 0
        if len(self._failures) >= _MAX_ADDRESSES:
            del self._failures[next(iter(self._failures))]
        self._failures[address] = (start, count + 1)

    def passed(self, credentials: Credentials) -> None:
        """Remember valid credentials (a digest of them)."""
        if not self._limit or not credentials.token:
            return
        digest = self._digest(credentials)
        if digest not in self._valid:
            if len(self._valid) >= _MAX_CREDENTIALS:
                del self._valid[next(iter(self._valid))]
            self._valid[digest] = None

    def _digest(self, credentials: Credentials) -> bytes:
        return hashlib.blake2b(credentials.token.encode(), key=self._key, digest_size=16).digest()


def network(peer: str) -> str:
    """Return the part of an address that counts as one client: all of IPv4, the /64 network of IPv6."""
    if ":" not in peer:
        return peer
    return (_network if len(peer) <= _LONGEST else _network.__wrapped__)(peer)


@lru_cache(maxsize=1_000)
def _network(peer: str) -> str:
    try:
        address = ipaddress.IPv6Address(peer.partition("%")[0])
    except ValueError:
        return peer
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address), 64), strict=False))
