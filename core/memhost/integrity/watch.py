"""Telling of stored things that are not what the server wrote."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime

from memhost.logs import log
from memhost.metrics import Metrics

logger = logging.getLogger(__name__)

_NAMED = 3

_LEFT_OUT: ContextVar[Counter[str] | None] = ContextVar("memhost_left_out", default=None)


@contextmanager
def noting_left_out() -> Iterator[Counter[str]]:
    """Count by sort what reads inside the block had to leave out."""
    found: Counter[str] = Counter()
    token = _LEFT_OUT.set(found)
    try:
        yield found
    finally:
        _LEFT_OUT.reset(token)


class TamperWatch:
    """Tells of what stores leave out: log, metrics, and the request that it was read for.

    Args:
        now: Tells the time.

    Attributes:
        seen: How often something of each sort was left out since the start.
        last: When the last of it was.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self.seen: Counter[str] = Counter()
        self.last: datetime | None = None
        self.metrics: Metrics | None = None

    def __call__(self, what: str, ids: Sequence[str]) -> None:
        """Tell of things of one sort that were left out."""
        self.seen[what] += len(ids)
        self.last = self._now()
        if (noted := _LEFT_OUT.get()) is not None:
            noted[what] += len(ids)
        if self.metrics is not None:
            self.metrics.tampered(what, len(ids))
        log(logger, logging.ERROR, "integrity.tampered", what=what, count=len(ids), ids=",".join(ids[:_NAMED]))


def counted(found: Counter[str], between: str = ", ") -> str:
    """Numbers of things by sort, in words: "1 entry, 2 memories"."""
    return between.join(f"{count} {what if count == 1 else _plural(what)}" for what, count in sorted(found.items()))


def _plural(what: str) -> str:
    return f"{what.removesuffix('y')}ies" if what.endswith("y") else f"{what}s"


def left_out_notice(found: Counter[str]) -> str:
    """The sentence about what an answer lacks."""
    things = counted(found, " and ")
    return f"{things} left out: what is stored is not what the server wrote (memhost verify tells what was changed)."
