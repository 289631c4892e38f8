"""Masks secrets in memories."""

from __future__ import annotations

from memhost.models import MemoryRecord
from memhost.secrets.masking import Findings, Masker


def masked_record(record: MemoryRecord, masker: Masker, findings: Findings | None = None) -> MemoryRecord:
    """The memory with its secrets masked; the very same if there are none.

    Where its text changes it has no `memory_hash` any more: whoever indexes it makes that of the new text.
    """
    masked = masker.value(record, findings)
    if masked.text != record.text:
        masked.memory_hash = None
    return masked
