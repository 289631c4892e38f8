"""Limits of what one caller does at once over MCP, where a single connection can carry any number of calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from memhost.errors import TooManyRequests
from memhost.models import Caller

CALLS = 256
"""Tools that one caller may have running."""
STREAMS = 64
"""Streams of server-sent events that one caller may hold open."""
ALL_STREAMS = 256
"""Streams of all callers together."""
_RETRY_S = 1


class Crowd:
    """Counts what runs, in all and for each caller.

    Args:
        what: What is counted, in the plural.
        most: For one caller.
        in_all: For all callers; 0 does not limit.
    """

    def __init__(self, what: str, most: int, in_all: int = 0) -> None:
        self._what = what
        self._most = most
        self._in_all = in_all
        self._of: Counter[str] = Counter()

    @contextmanager
    def entered(self, caller: Caller) -> Iterator[None]:
        """Count one of the caller while it runs.

        Raises:
            TooManyRequests: There are too many.
        """
        name = f"{caller.bounds.tenant}/{caller.subject}"
        if self._of[name] >= self._most or 0 < self._in_all <= self._of.total():
            raise TooManyRequests(
                f"Too many {self._what} at once; wait for one of them to end.", retry_after_s=_RETRY_S
            )
        self._of[name] += 1
        try:
            yield
        finally:
            self._of[name] -= 1
            if not self._of[name]:
                del self._of[name]
