"""Stored memories as the ranking reads them."""

from __future__ import annotations

from memhost.models import StoredMemory
from memhost.ranking.types import Candidate


def candidate_of(memory: StoredMemory) -> Candidate:
    """Return what the ranking reads of a memory."""
    record = memory.record
    when = record.event_date or record.told_at
    return Candidate(
        record.id,
        record.text[memory.lead :],
        memory.terms,
        memory.speaker,
        memory.role,
        None if memory.position is None else f"{record.namespace}\x00{record.user_id}\x00{record.session_id}",
        memory.position,
        when.timestamp(),
        memory.vector,
        record.memory_type,
        memory.traits,
        record.user_id,
    )
