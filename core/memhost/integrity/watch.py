"""Telling of stored things that are not what the server wrote."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime

from memhost.logs import log
from memhost.metrics import Metrics
from memhost.models.during import During

logger = logging.getLogger(__name__)

_NAMED = 3

MAX_SEEN = 10_000
"""Things of one sort that are told apart; whoever edits a store can damage any number of them."""

LeftOut = defaultdict[str, set[str]]
"""Ids of what was left out, by sort."""

_LEFT_OUT: ContextVar[LeftOut | None] = ContextVar("memhost_left_out", default=None)


def noting_left_out() -> During[LeftOut]:
    """Note by sort and id what reads inside the block had to leave out."""
    return During(_LEFT_OUT, defaultdict(set))


@contextmanager
def asking_for(prefixes: Sequence[str]) -> Iterator[None]:
    """Of what reads inside the block leave out, tell the request only of ids that begin with one of these.

    For reads that meet more than they ask for: what else they met says nothing about their answer.
    """
    with noting_left_out() as met:
        yield
    outer, beginnings = _LEFT_OUT.get(), tuple(prefixes)
    for what, ids in met.items():
        if outer is not None and (asked := {name for name in ids if name.startswith(beginnings)}):
            outer[what] |= asked


class TamperWatch:
    """Tells of what stores leave out: log, metrics, and the request that it was read for.

    Args:
        now: Tells the time.

    Attributes:
        seen: Ids of what was left out since the start, by sort, the first `MAX_SEEN` of each.
        last: When the last of it was.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self.seen: LeftOut = defaultdict(set)
        self.last: datetime | None = None
        self.metrics: Metrics | None = None

    def __call__(self, what: str, ids: Sequence[str]) -> None:
        """Tell of things of one sort that were left out."""
        if len(self.seen[what]) < MAX_SEEN:
            self.seen[what].update(ids)
        self.last = self._now()
        if (noted := _LEFT_OUT.get()) is not None:
            noted[what].update(ids)
        if self.metrics is not None:
            self.metrics.tampered(what, len(ids))
        log(logger, logging.ERROR, "integrity.tampered", what=what, count=len(ids), ids=",".join(ids[:_NAMED]))


def counted(found: LeftOut, between: str = ", ") -> str:
    """Numbers of things by sort, in words: "1 entry, 2 memories"."""
    return between.join(_number(what, len(ids)) for what, ids in sorted(found.items()))


def _number(what: str, count: int) -> str:
    least = "at least " if count >= MAX_SEEN else ""
    return f"{least}{count} {what if count == 1 else _plural(what)}"


def _plural(what: str) -> str:
    return f"{what.removesuffix('y')}ies" if what.endswith("y") else f"{what}s"


def left_out_notice(found: LeftOut) -> str:
    """The sentence about what an answer lacks."""
    things = counted(found, " and ")
    return f"{things} left out: what is stored is not what the server wrote (memhost verify tells what was changed)."
