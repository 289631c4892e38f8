"""Where the text of a memory comes from, and so how far it may be trusted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from memhost.extraction.screening.evidence import UNSUPPORTED
from memhost.extraction.screening.injection import SUSPICIOUS
from memhost.models import MemoryRecord
from memhost.text.speakers import is_assistant

TRUST = "trust"
"""Metadata key: `user`, `assistant`, `tool` or `external`, the least trusted source of the memory."""

UNCONFIRMED = "unconfirmed"
"""Metadata key: true for what the assistant alone said, and nobody took up."""

DOUBTS = (UNSUPPORTED, UNCONFIRMED)
"""Metadata keys of memories that the user may never have said: they end no fact, join none, and are in no context."""

SAID_BY = "said_by"
"""Metadata key: the name of who said it, where one named speaker said all of it."""

LEVELS = ("user", "assistant", "tool", "external")
"""Levels of trust, from statements of the user to texts by nobody in the conversation."""

_BY_ROLE = {
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "tool": "tool",
    "function": "tool",
}


def label(record: MemoryRecord, source_ids: Sequence[str], roles: Mapping[str, str]) -> None:
    """Write into a memory how far it may be trusted; `external` if it says what nobody said (`UNSUPPORTED`).

    Args:
        record: The memory, which is changed.
        source_ids: Messages that it was made of; all of them if none are named.
        roles: Role of each message that was read, by id.
    """
    said_by = [roles.get(source, "") for source in source_ids] or list(roles.values())
    record.metadata = {**record.metadata, TRUST: trust_of([] if UNSUPPORTED in record.metadata else said_by)}


def name_speaker(record: MemoryRecord, said: Sequence[tuple[str, str | None]], *, action: bool) -> None:
    """Write into a memory who said it, and whether that was the assistant alone.

    What an assistant without a name says of the user counts only where somebody takes it up. What it did itself counts.

    Args:
        record: The memory, which is changed.
        said: Role and name, where known, of who said each of its sources.
        action: It tells what an agent did.
    """
    names = {name for _, name in said}
    if len(names) == 1 and (name := names.pop()) is not None:
        record.metadata = {**record.metadata, SAID_BY: name}
    elif said and not action and all(name is None and is_assistant(role) for role, name in said):
        record.metadata = {**record.metadata, UNCONFIRMED: True}


def is_of_others(record: MemoryRecord) -> bool:
    """Tell whether the memory comes from the assistant, a tool or a third person, not from the user.

    A memory that a client stored has no label: it is its owner's.
    """
    return record.metadata.get(TRUST) in LEVELS[1:]


def why_held_back(record: MemoryRecord) -> Literal["instruction", "unsupported", "unconfirmed"] | None:
    """Tell why a memory stays out of contexts and memory prompts; None if it does not.

    It looks like an order, and the user did not give it; it says what nobody said; or only the assistant said it.
    """
    if record.metadata.get(SUSPICIOUS) is True and is_of_others(record):
        return "instruction"
    if record.metadata.get(UNSUPPORTED) and is_of_others(record):
        return "unsupported"
    return "unconfirmed" if record.metadata.get(UNCONFIRMED) is True and is_of_others(record) else None


def is_held_back(record: MemoryRecord) -> bool:
    """Tell whether the memory stays out of contexts and memory prompts (`why_held_back`)."""
    return why_held_back(record) is not None


def vouched_for(record: MemoryRecord, by: MemoryRecord) -> MemoryRecord:
    """The memory without the marks of what nobody said, if a repetition of it was said."""
    gone = {mark for mark in DOUBTS if mark in record.metadata and mark not in by.metadata}
    if not gone or any(mark in by.metadata for mark in DOUBTS):
        return record
    kept = {key: value for key, value in record.metadata.items() if key not in (*gone, TRUST)}
    trust = {TRUST: by.metadata[TRUST]} if TRUST in by.metadata else {}
    return msgspec.structs.replace(record, metadata={**kept, **trust})


def trust_of(roles: Iterable[str]) -> str:
    """The label of a memory made from messages of those roles: that of the least trusted; `external` without any."""
    found = [_BY_ROLE.get(role.strip().lower(), "external") for role in roles]
    return max(found, key=LEVELS.index, default="external")
