"""Memories that a store keeps in the process as columns, and which of them satisfy conditions on times."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from memhost.models import MAX_ACCESSES, TURN_STRATEGY, Condition, MemoryRecord, MemoryType, Op, StoredMemory, Trust
from memhost.ranking import Columns
from memhost.storekit.values import from_micros, to_micros

NEVER, ALWAYS = np.iinfo(np.int64).min, np.iinfo(np.int64).max
"""Times of memories that hold from ever, or for ever."""

TURN, SOURCES = 1, 2
"""Kinds of memories: a turn of a session; made from turns or memories."""

Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class HeldBody(Protocol):
    """A memory without its terms and its vector; see `StoredMemory`."""

    record: MemoryRecord
    speaker: str | None
    role: str | None
    lead: int
    traits: int
    position: int | None
    version: int


class HeldBlock(Protocol):
    """n memories; what is not an array is decoded row by row, where somebody looks at it."""

    @property
    def names(self) -> Sequence[str]:
        """Ids, n."""
        ...

    @property
    def columns(self) -> Columns:
        """Values that the ranking reads of them; their words and vectors, n."""
        ...

    @property
    def kinds(self) -> bytes:
        """`TURN`, `SOURCES`: what each is, n."""
        ...

    @property
    def trusts(self) -> Sequence[Trust | None]:
        """Levels of trust, n."""
        ...

    def decoded(self, row: int) -> HeldBody:
        """The memory in a row, a new one with each call."""
        ...


class Held(StoredMemory):
    """A memory of a block; its fields are decoded when somebody first looks at one of them."""

    __slots__ = ("_block", "_marks", "_row")

    _block: HeldBlock
    _row: int
    _marks: tuple[int, int]

    @classmethod
    def of(cls, block: HeldBlock, row: int, marks: tuple[int, int]) -> Held:
        """The memory in that row of a block; `marks` are its number of accesses and the time of the last one."""
        held = cls.__new__(cls)
        held._block, held._row, held._marks = block, row, marks
        return held

    @property
    def id(self) -> str:
        """Id of the memory."""
        return self._block.names[self._row]

    @property
    def is_turn(self) -> bool:
        """True for a turn that a session stored."""
        return bool(self._block.kinds[self._row] & TURN)

    @property
    def has_sources(self) -> bool:
        """True for what was made from turns or memories."""
        return bool(self._block.kinds[self._row] & SOURCES)

    @property
    def trust(self) -> Trust | None:
        """Its level of trust; None if none was noted."""
        return self._block.trusts[self._row]

    def __getattr__(self, name: str) -> Any:
        """Decode what was asked for; Python calls this for fields that have no value yet."""
        if name.startswith("_"):
            raise AttributeError(name)
        block, row = self._block, self._row
        if name == "terms":
            self.terms = block.columns.words.terms(row)
        elif name == "vector":
            self.vector = block.columns.vector(row)
        elif name == "traits":
            self.traits = int(block.columns.traits[row])
        else:
            self._decode(block.decoded(row))
        return getattr(self, name)

    def _decode(self, body: HeldBody) -> None:
        self.record, self.speaker, self.role = body.record, body.speaker, body.role
        self.lead, self.traits, self.position, self.version = body.lead, body.traits, body.position, body.version
        count, accessed = self._marks
        if body.record.access_count != count or count == MAX_ACCESSES:  # marked since it was written
            body.record.last_accessed = from_micros(accessed)
            body.record.access_count = count


def kind_of(record: MemoryRecord) -> int:
    """The kind of a memory, of `TURN` and `SOURCES`."""
    turn = record.memory_type is MemoryType.MESSAGE and record.extraction_strategy == TURN_STRATEGY
    return TURN * turn + SOURCES * bool(record.source_ids)


def any_made(kinds: bytes, rows: Numbers) -> bool:
    """Tell whether any of these rows, by the kinds of all, was made from turns or memories (`Candidates.made`)."""
    return bool((np.frombuffer(kinds, dtype=np.uint8)[rows] == SOURCES).any())


def hold_at(since: Numbers, until: Numbers, conditions: Sequence[Condition]) -> tuple[Flags | None, list[Condition]]:
    """Which memories satisfy the usual conditions on when they hold (None: all), and the other conditions.

    Args:
        since: From when each memory holds, microseconds, or `NEVER`.
        until: Until when each holds, or `ALWAYS`.
        conditions: The conditions.
    """
    allowed: Flags | None = None
    others = []
    for condition in conditions:
        moment = condition.values[0] if condition.values else None
        if isinstance(moment, datetime) and (condition.field, condition.op) == ("valid_to", Op.NOT_LTE):
            holds = until > to_micros(moment)
        elif isinstance(moment, datetime) and (condition.field, condition.op) == ("valid_from", Op.NOT_GT):
            holds = since <= to_micros(moment)
        else:
            others.append(condition)
            continue
        allowed = holds if allowed is None else allowed & holds
    return allowed, others
