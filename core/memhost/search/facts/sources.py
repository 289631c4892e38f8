"""Which memories are turns, which are statements made from turns, and which turns belong to a statement."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from memhost.models import TURN_STRATEGY, MemoryRecord, MemoryType, StoredMemory

Source = tuple[str | None, str | None, str | None, str]
"""Namespace, user, session and id of a message."""

MOST_SOURCES = 6
"""Turns of a memory that is a statement; one of more turns is a digest of a conversation.

In the answers of models that the rules were measured with a fact names 1.4 turns on average and 3 at most, and merging
joins two facts at a time. A summary names every turn of its session.
"""
Digests = Collection[str]
"""Names of the strategies whose memories sum up (`StrategySpec.digests`)."""


def is_turn(record: MemoryRecord) -> bool:
    """Tell whether the memory is a turn that a session stored."""
    return record.memory_type is MemoryType.MESSAGE and record.extraction_strategy == TURN_STRATEGY


def is_statement(record: MemoryRecord, digests: Digests) -> bool:
    """Tell whether the memory states what a few turns say, so that it can stand for them.

    A digest says less than its turns, and each of them something else: it stands for none and none stands for it.
    """
    return (
        record.memory_type is not MemoryType.MESSAGE
        and record.extraction_strategy not in digests
        and 0 < len(record.source_ids) <= MOST_SOURCES
    )


def states(memory: StoredMemory, digests: Digests) -> bool:
    """Tell the same of a stored memory, without looking at the record of what was made from nothing."""
    return memory.has_sources and not memory.is_turn and is_statement(memory.record, digests)


def sources_of(record: MemoryRecord) -> Iterator[Source]:
    """The messages that the memory was made from, or the one that it is."""
    for name in record.source_ids:
        yield (record.namespace, record.user_id, record.session_id, name)
