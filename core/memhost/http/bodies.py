"""Counts the memory that a process uses for bodies which clients are sending, and the bodies that it waits for."""

from __future__ import annotations

from collections import Counter

from memhost.credentials import Visitor
from memhost.host.login_throttle import network

STRANGERS = 16
"""The part of all bytes that may be held for callers who are not known yet: one in so many."""
SHARE = 2
"""The part that one address may take of all bytes, and of all waiting bodies: one in so many."""


class Bodies:
    """Counts of one process. Addresses of IPv6 count by their /64 network.

    Args:
        most_bytes: Bytes held at once; 0 does not limit them.
        most_waiting: Bodies waited for at once; 0 does not limit them.
    """

    def __init__(self, most_bytes: int, most_waiting: int) -> None:
        self._most_bytes = most_bytes
        self._most_waiting = most_waiting
        self._bytes = 0
        self._strangers = 0
        self._waiting = 0
        self._bytes_of: Counter[str] = Counter()
        self._waiting_of: Counter[str] = Counter()

    @property
    def held(self) -> int:
        """Bytes held."""
        return self._bytes

    @property
    def waiting(self) -> int:
        """Bodies waited for."""
        return self._waiting

    def of(self, peer: str) -> Body:
        """The body of a request from that address; release it when the request is over."""
        return Body(self, network(peer))

    def take(self, address: str, size: int, *, stranger: bool) -> bool:
        """Count this many more bytes if the limits allow it; tell whether they do."""
        most = self._most_bytes
        if most and (
            self._bytes + size > most
            or self._bytes_of[address] + size > most // SHARE
            or (stranger and self._strangers + size > most // STRANGERS)
        ):
            return False
        self._bytes += size
        self._bytes_of[address] += size
        self._strangers += size if stranger else 0
        return True

    def give(self, address: str, size: int, strange: int) -> None:
        """Release bytes; `strange` of them counted as a stranger's."""
        self._bytes -= size
        self._strangers -= strange
        _less(self._bytes_of, address, size)

    def wait(self, address: str) -> bool:
        """Count one more body to wait for if the limits allow it; tell whether they do."""
        most = self._most_waiting
        if most and (self._waiting >= most or self._waiting_of[address] >= max(1, most // SHARE)):
            return False
        self._waiting += 1
        self._waiting_of[address] += 1
        return True

    def waited(self, address: str) -> None:
        """Stop waiting for a body."""
        self._waiting -= 1
        _less(self._waiting_of, address, 1)


class Body:
    """The body of one request."""

    __slots__ = ("_address", "_bodies", "_size", "_strange", "visitor")

    def __init__(self, bodies: Bodies, address: str) -> None:
        self.visitor = Visitor()
        self._bodies = bodies
        self._address = address
        self._size = 0
        self._strange = 0

    @property
    def size(self) -> int:
        """Bytes that have come."""
        return self._size

    def take(self, size: int) -> bool:
        """Count this many more bytes if the limits allow it; tell whether they do."""
        if self.visitor.known and self._strange:
            self._bodies.give(self._address, 0, self._strange)
            self._strange = 0
        if not self._bodies.take(self._address, size, stranger=not self.visitor.known):
            return False
        self._size += size
        self._strange += 0 if self.visitor.known else size
        return True

    def wait(self) -> bool:
        """Tell whether the server may wait for the rest."""
        return self._bodies.wait(self._address)

    def waited(self) -> None:
        """The wait is over."""
        self._bodies.waited(self._address)

    def release(self) -> None:
        """The request is over."""
        self._bodies.give(self._address, self._size, self._strange)
        self._size = self._strange = 0


def _less(counter: Counter[str], key: str, by: int) -> None:
    counter[key] -= by
    if counter[key] <= 0:
        del counter[key]
