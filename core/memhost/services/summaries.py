"""Summaries of many memories: the seam where a language model will take the place of joining."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from memhost.models import MemoryRecord
from memhost.operations.responses import SummaryView


class Summarizer(Protocol):
    """Makes one text of a group's memories.

    Attributes:
        limit: Most memories that it reads; of more it gets the newest.
    """

    limit: int

    async def summarize(
        self, view: SummaryView, group: Mapping[str, str], memories: Sequence[MemoryRecord], total: int
    ) -> str:
        """The summary of the memories, which come in order of time; `total` counts also those left out."""
        ...


class JoinedTexts:
    """Needs no model: a line per memory, with its date. The same memories always give the same text."""

    limit = 50

    async def summarize(
        self, view: SummaryView, group: Mapping[str, str], memories: Sequence[MemoryRecord], total: int
    ) -> str:
        """The texts, a line each; where some were left out the first line says so."""
        lines = [f"{when(record):%Y-%m-%d}: {' '.join(record.text.split())}" for record in memories]
        if total > len(memories):
            lines.insert(0, f"The newest {len(memories)} of {total} memories:")
        return "\n".join(lines)


def when(record: MemoryRecord) -> datetime:
    """The time that a memory tells of: of its event if that is known, else of its creation."""
    return record.event_date or record.created_at


class Newest:
    """Counts memories and keeps the newest `limit` of them, however many come."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._heap: list[tuple[datetime, str, MemoryRecord]] = []
        self.total = 0

    def add(self, record: MemoryRecord) -> None:
        """Take note of a memory; ids are unique."""
        self.total += 1
        item = (when(record), record.id, record)
        if len(self._heap) < self._limit:
            heapq.heappush(self._heap, item)
        else:
            heapq.heappushpop(self._heap, item)

    def in_order(self) -> list[MemoryRecord]:
        """The memories kept, in order of time."""
        return [record for _, _, record in sorted(self._heap, key=lambda item: item[:2])]
