"""Selects the memories that a language model may compare."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import numpy as np

from memhost.consolidation.wording import holds_facts_of
from memhost.extraction.kinds import may_relate, subject_of
from memhost.memories.nearest import STATEMENTS_ONLY
from memhost.memories.repetition import RESTORED
from memhost.memories.trust import CONTRADICTS, DOUBTS, level_of
from memhost.models import MemoryRecord, MemoryType, StoredMemory
from memhost.models.trust import rank
from memhost.text.analysis import DATE_MARK, SPEAKER_MARK, index_terms
from memhost.text.words import STOP_WORDS

MAX_TEXT_LENGTH = 2000
"""Characters of the longest text that is compared."""

NEAR = 0.35
"""Cosine distance within which statements without a word in common may be about one matter; by the built-in embedder 11
of 2,450 pairs about different things are."""

FAR = 0.75
"""Cosine distance beyond which statements without a word in common are hardly about one matter: of 50 facts and their
changes, by the built-in embedder, all are nearer."""

SAME_EVENT = timedelta(days=1)
"""Greatest distance between two dates of one event."""

_USER = frozenset(index_terms("User users user's"))
"""Words that nearly every statement has."""


def can_merge(memory: StoredMemory) -> bool:
    """Tell whether memhost may merge the memory with another, unasked."""
    return memory.record.valid_to is None and memory.record.superseded_by is None and can_change(memory)


def can_change(memory: StoredMemory) -> bool:
    """Tell whether memhost may say, unasked, until when the memory held; also of one that has ended already.

    What the user may never have said (`DOUBTS`) changes nothing and is changed by nothing; nor what waits because it
    contradicts something that is trusted more.
    """
    record = memory.record
    return (
        not record.pinned
        and (record.superseded_by is None or record.valid_to is not None)
        and record.extraction_strategy not in STATEMENTS_ONLY.values
        and record.memory_type is not MemoryType.MESSAGE
        and RESTORED not in record.metadata
        and not any(record.metadata.get(mark) for mark in (*DOUBTS, CONTRADICTS))
        and len(record.text) <= MAX_TEXT_LENGTH
        and memory.vector is not None
        and bool(np.any(memory.vector))
    )


def restored_at(record: MemoryRecord) -> datetime | None:
    """When the memory was brought back from the trash, None if it never was."""
    value = record.metadata.get(RESTORED)
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None


def comparable(first: StoredMemory, second: StoredMemory) -> bool:
    """Tell whether two memories have the same owner, kind and time of an event."""
    one, other = first.record, second.record
    return (
        one.id != other.id
        and (one.namespace or "", one.user_id or "") == (other.namespace or "", other.user_id or "")
        and one.memory_type is other.memory_type
        and may_relate(one, other)
        and _same_time(one, other)
    )


def joinable(first: StoredMemory, second: StoredMemory) -> bool:
    """Tell whether two memories can become one: comparable ones that hold now, and since the same time."""
    return (
        comparable(first, second)
        and first.record.valid_from == second.record.valid_from
        and can_merge(first)
        and can_merge(second)
    )


def is_late(record: MemoryRecord, stored: StoredMemory) -> bool:
    """Tell whether a new record was said before all that is known of a stored memory which says the same."""
    other = stored.record
    alike = all(getattr(record, name) == getattr(other, name) for name in ("memory_type", "event_date", "valid_from"))
    return alike and record.told_at < other.held_from and can_merge(stored)


def distance(first: StoredMemory, second: StoredMemory) -> float:
    """Cosine distance (0..2) of two memories that have vectors."""
    if first.vector is None or second.vector is None:
        return 2.0
    return min(2.0, max(0.0, 1.0 - float(np.dot(first.vector, second.vector))))


def content_words(memory: StoredMemory) -> list[str]:
    """The analysed words of a memory that carry its content, in order."""
    marks = (DATE_MARK, SPEAKER_MARK)
    return [term for term in memory.terms if term not in STOP_WORDS and not term.startswith(marks)]


def may_be_one(memory: StoredMemory, other: StoredMemory) -> bool:
    """Tell whether two statements that a judge calls the same may become one.

    One of them has all numbers, dates and names of both, both deny or none does, and they are about one matter.
    """
    texts = (memory.record.text, other.record.text)
    alike = _share_a_word(memory, other) or distance(memory, other) <= NEAR
    return alike and any(holds_facts_of(text, texts) for text in texts)


def has_something_in_common(memory: StoredMemory, other: StoredMemory) -> bool:
    """Tell whether two statements may be about one matter: they share a word or a subject, or are not far apart."""
    subject = subject_of(memory.record)
    same_subject = bool(subject) and subject == subject_of(other.record)
    return same_subject or _share_a_word(memory, other) or distance(memory, other) <= FAR


def may_end(memory: StoredMemory, other: StoredMemory) -> bool:
    """Tell whether a statement may end another: what is trusted less ends nothing that is trusted more."""
    return rank(level_of(memory.record)) >= rank(level_of(other.record))


def same_trust(memories: Iterable[StoredMemory]) -> bool:
    """Tell whether the memories are trusted equally far."""
    return len({rank(level_of(memory.record)) for memory in memories}) < 2


def _share_a_word(memory: StoredMemory, other: StoredMemory) -> bool:
    return not (set(content_words(memory)) & set(content_words(other))) <= _USER


def _same_time(one: MemoryRecord, other: MemoryRecord) -> bool:
    if one.event_date is not None and other.event_date is not None:
        return abs(one.event_date - other.event_date) <= SAME_EVENT
    return one.memory_type is not MemoryType.EPISODIC or one.event_date == other.event_date
