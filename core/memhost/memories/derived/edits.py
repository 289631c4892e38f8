"""The trust and the sources of a memory that was edited. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from memhost.extraction.kinds import ATTRIBUTED_TO, KIND, POLARITY, SCOPE, SUBJECT
from memhost.memories.trust import SAID_BY, level_of
from memhost.models import TURN_STRATEGY, EditedFrom, MemoryRecord, MemoryType, StoredMemory, Trust
from memhost.models.trust import lowest
from memhost.text.analysis import split_speaker
from memhost.text.speakers import same_name

_WEIGHTY = (
    *("topics", "entities", "memory_type", "namespace", "user_id", "session_id"),
    *("event_date", "event_end", "event_precision", "valid_from", "valid_to"),
)
"""Fields beside the text by which a memory says what it says, of whom, and when that holds."""

_MEANING = (KIND, SUBJECT, SCOPE, POLARITY, ATTRIBUTED_TO)
"""Keys of metadata that the server reads."""


def same_words(one: str, other: str) -> bool:
    """Tell whether two texts differ in white space at most."""
    return one == other or one.split() == other.split()


def edited(before: StoredMemory, record: MemoryRecord, editor: Trust) -> MemoryRecord:
    """The record as an editor changed it.

    What changes its meaning makes it trusted no further than the editor is; the rest of the metadata and `pinned` do
    not. With other words it claims no source any longer: not the messages that it was made from, nor who said them and
    when. What these were stands in `edited_from`; role and speaker in front of a turn's text go.

    Args:
        before: The memory as it was.
        record: The record with the new values.
        editor: How far the editor is trusted.
    """
    old = before.record
    reworded = not same_words(old.text, record.text)
    if reworded or _means_another(old, record):
        record = msgspec.structs.replace(record, trust=lowest((level_of(old), editor)))
    return _without_sources(before, record) if reworded else record


def adds_nothing(before: MemoryRecord, record: MemoryRecord) -> bool:
    """Tell whether a record with the id of a stored one says what that says, and sets nothing beside."""
    same = before.text == record.text and before.pinned == record.pinned and not _means_another(before, record)
    return same and all(before.metadata.get(name) == value for name, value in record.metadata.items())


def _without_speaker(text: str, before: StoredMemory) -> str:
    """The text of a turn without role and speaker in front of it, where an edit left these: they did not say it."""
    if before.role is not None:
        text = text.removeprefix(f"{before.role}: ")
    label, body = split_speaker(text)
    named = label is not None and before.speaker is not None and same_name(label, before.speaker)
    return body if named and body.strip() else text


def _means_another(old: MemoryRecord, new: MemoryRecord) -> bool:
    return any(getattr(old, name) != getattr(new, name) for name in _WEIGHTY) or _meaning(old.metadata) != _meaning(
        new.metadata
    )


def _meaning(metadata: Mapping[str, Any]) -> list[Any]:
    return [metadata.get(name) for name in _MEANING]


def _without_sources(before: StoredMemory, record: MemoryRecord) -> MemoryRecord:
    old = before.record
    if not (old.source_ids or old.extracted_from or old.extractor or before.position is not None):
        return record
    turn = old.extraction_strategy == TURN_STRATEGY
    return msgspec.structs.replace(
        record,
        text=_without_speaker(record.text, before) if turn else record.text,
        source_ids=[],
        extracted_from=[] if record.extracted_from == old.extracted_from else record.extracted_from,
        extractor=None,
        said_at=None if record.said_at == old.said_at else record.said_at,
        said_before=[] if record.said_before == old.said_before else record.said_before,
        memory_type=MemoryType.SEMANTIC if turn and record.memory_type is MemoryType.MESSAGE else record.memory_type,
        metadata={name: value for name, value in record.metadata.items() if name != SAID_BY},
        edited_from=old.edited_from
        or EditedFrom(
            source_ids=old.source_ids or old.extracted_from,
            extractor=old.extractor,
            said_at=old.said_at,
            role=before.role,
            speaker=before.speaker,
            position=before.position,
        ),
    )
