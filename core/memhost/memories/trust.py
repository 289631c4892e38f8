"""Tells how far a memory is trusted, and which memories stay out of contexts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from memhost.errors import Forbidden
from memhost.extraction.screening.evidence import UNSUPPORTED
from memhost.models import MemoryRecord, Message, Trust
from memhost.models.trust import TRUSTS, by_role, lowest, rank
from memhost.text.speakers import is_assistant

TRUST = "trust"
"""Metadata key under which release 0.1.0 kept the level; clients cannot set it, and `MemoryRecord.trust` has it now."""

SUSPICIOUS = "suspicious"
"""Metadata key: true for turns of others that say what only the user may; earlier versions marked orders so."""

UNCONFIRMED = "unconfirmed"
"""Metadata key: true for what the assistant alone said, and nobody took up."""

DOUBTS = (UNSUPPORTED, UNCONFIRMED)
"""Metadata keys of memories that the user may never have said: they end no fact, join none, and are in no context."""

CONTRADICTS = "contradicts"
"""Metadata key: ids of memories that are trusted more, and that it would have ended or corrected."""

CLAIMED = "claimed_trust"
"""Metadata key: how far a memory is trusted as the file says that brought it; it has no effect."""

SAID_BY = "said_by"
"""Metadata key: the name of who said it, where one named speaker said all of it."""

CLAIMS = frozenset({TRUST, SUSPICIOUS, CONTRADICTS, CLAIMED})
"""Metadata keys by which a client would say how far its own text is trusted; they are left out of what it writes."""


def level_of(record: MemoryRecord) -> Trust:
    """Tell how far a memory is trusted. Of one that release 0.1.0 stored, its label tells if a strategy made it."""
    if record.trust is not None:
        return record.trust
    told = record.metadata.get(TRUST) if record.extractor is not None else None
    return told if told in TRUSTS else "agent"


def is_above(record: MemoryRecord, channel: Trust | None) -> bool:
    """Tell whether the memory is trusted more than a caller who is bound to that channel; nothing is, without one."""
    return channel is not None and rank(level_of(record)) > rank(channel)


def refuse_lower(records: Iterable[MemoryRecord], channel: Trust | None, doing: str) -> None:
    """Return if a caller with that channel may do to the memories what cannot wait for a review.

    Args:
        records: The memories.
        channel: What bounds the caller (`Caller.channel`), None if nothing does.
        doing: What is to be done, as in "redacting".

    Raises:
        Forbidden: One of them is trusted more than the channel.
    """
    above = [record for record in records if is_above(record, channel)]
    if above:
        level = max((level_of(record) for record in above), key=rank)
        raise Forbidden(
            f"This credential is bound to the channel `{channel}`, and {doing} needs one that is trusted as far as the "
            f"memory, `{level}`: {', '.join(sorted({record.id for record in above})[:20])}. Use a credential with the "
            f"channel `{level}`, or an operator's (memhost token create)."
        )


def trusts_of(messages: Iterable[Message]) -> dict[str, Trust]:
    """Tell how far each message is trusted, by id: as was noted when it was stored, else by its role."""
    found: dict[str, Trust] = {}
    for message in messages:
        level = message.trust or by_role(message.role)
        found[message.id] = lowest((found[message.id], level)) if message.id in found else level
    return found


def label(record: MemoryRecord, source_ids: Sequence[str], trusts: Mapping[str, Trust]) -> None:
    """Write into a memory how far it is trusted; `external` if it says what nobody said (`UNSUPPORTED`).

    Args:
        record: The memory, which is changed.
        source_ids: Messages that it was made of; all of them if none are named.
        trusts: How far each message that was read is trusted, by id.
    """
    known: list[Trust] = [trusts.get(source, "external") for source in source_ids] or list(trusts.values())
    record.trust = lowest(() if UNSUPPORTED in record.metadata else known)


def bounded(record: MemoryRecord, most: Trust) -> MemoryRecord:
    """The memory, trusted at most as far as that."""
    level = lowest((level_of(record), most))
    return record if record.trust == level else msgspec.structs.replace(record, trust=level)


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


def waits(record: MemoryRecord, against: Iterable[str]) -> MemoryRecord:
    """The memory as one that waits for a review: it contradicts memories that are trusted more.

    Args:
        record: The memory.
        against: Ids of what it contradicts.
    """
    before = record.metadata.get(CONTRADICTS) or ()
    names = list(dict.fromkeys([*before, *against]))
    return msgspec.structs.replace(record, metadata={**record.metadata, CONTRADICTS: names})


def is_of_others(record: MemoryRecord) -> bool:
    """Tell whether the memory comes from the assistant, a tool or a third person.

    What a client stored as a memory, or a file brought, counts as its owner's.
    """
    return level_of(record) in ("assistant", "tool", "external")


def why_held_back(record: MemoryRecord) -> Literal["instruction", "unsupported", "unconfirmed"] | None:
    """Tell why a memory stays out of contexts and memory prompts; None if it does not.

    It says what only the user may, and somebody else does (`SUSPICIOUS`); it says what nobody said; or only the
    assistant said it.
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
    return msgspec.structs.replace(record, metadata=kept, trust=level_of(by))
