"""Summaries of many memories: what a summarizer is, what it is given, and the one that needs no model."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from memhost.memories.trust import level_of
from memhost.models import MemoryRecord, SessionKey, Trust
from memhost.models.trust import lowest
from memhost.operations.responses import SummaryView
from memhost.text.recalled.fence import one_line


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """A summary, and texts it was made of which may spare work next time, by digests of what they tell of."""

    text: str
    parts: dict[str, str] = {}


class Summarizer(Protocol):
    """Makes one text of a group's memories.

    Attributes:
        limit: Most memories that it reads; of more it gets the newest. None: any number.
    """

    limit: int | None

    def identity(self, view: SummaryView) -> str:
        """Return what the text depends on beside the memories: as long as both stay, so does the summary."""
        ...

    def line(self, view: SummaryView, record: MemoryRecord) -> str:
        """A memory as the summarizer reads it."""
        ...

    async def summarize(
        self,
        owner: SessionKey,
        view: SummaryView,
        group: Mapping[str, str],
        lines: Sequence[str],
        total: int,
        known: Mapping[str, str],
    ) -> Summary:
        """The summary of the memories.

        Args:
            owner: Who pays (the session is empty).
            view: The view.
            group: Values of its `group_by` fields.
            lines: The memories, in order of time; at least one.
            total: Number of memories, with those left out.
            known: `Summary.parts` of the last summary of this group.

        Raises:
            ModelUnavailable: The model does not answer.
            ModelRefused: The provider declines the content.
            BudgetExceeded: A budget is used up.
            AnswerUnusable: The model gives no summary.
        """
        ...


class JoinedTexts:
    """Needs no model: a line per memory, with its date. The same memories always give the same text."""

    limit: int | None = 50

    def identity(self, view: SummaryView) -> str:
        """Joining knows no options."""
        return "joined"

    def line(self, view: SummaryView, record: MemoryRecord) -> str:
        """Date and text."""
        return f"{when(record):%Y-%m-%d}: {one_line(record.text)}"

    async def summarize(
        self,
        owner: SessionKey,
        view: SummaryView,
        group: Mapping[str, str],
        lines: Sequence[str],
        total: int,
        known: Mapping[str, str],
    ) -> Summary:
        """The texts, a line each; where some were left out the first line says so."""
        left_out = [f"The newest {len(lines)} of {total} memories:"] if total > len(lines) else []
        return Summary(text="\n".join([*left_out, *lines]))


def when(record: MemoryRecord) -> datetime:
    """The time that a memory tells of: of its event if that is known, else when it was said."""
    return record.event_date or record.told_at


class Gathered:
    """The memories of one group as they come, in any order: their lines, and what tells whether they changed."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._heap: list[tuple[datetime, str, str]] = []
        self.state = GroupState()

    def add(self, record: MemoryRecord, line: str) -> None:
        """Take note of a memory; ids are unique."""
        self.state.add(record)
        item = (when(record), record.id, line)
        if self._limit is None:
            self._heap.append(item)
        elif len(self._heap) < self._limit:
            heapq.heappush(self._heap, item)
        else:
            heapq.heappushpop(self._heap, item)

    def lines(self) -> list[str]:
        """The lines kept, in order of time."""
        return [line for _, _, line in sorted(self._heap)]


class GroupState:
    """A group's memories in any order: their number, the lowest trust, and a digest of ids, texts and changes.

    `left_out` counts those that a summary must not tell of.
    """

    def __init__(self) -> None:
        self.total = 0
        self.left_out = 0
        self.trust: Trust | None = None
        self._sum = 0

    def add(self, record: MemoryRecord) -> None:
        """Take note of a memory."""
        self.total += 1
        level = level_of(record)
        self.trust = level if self.trust is None else lowest((self.trust, level))
        content = msgspec.msgpack.encode((record.id, record.text, record.updated_at, level))
        self._sum += int.from_bytes(hashlib.blake2b(content, digest_size=16).digest())

    def fingerprint(self, identity: str) -> bytes:
        """Digest of the memories and of how they are summarised."""
        content = msgspec.msgpack.encode((self.total, (self._sum % 2**128).to_bytes(16), identity))
        return hashlib.blake2b(content, digest_size=16).digest()
