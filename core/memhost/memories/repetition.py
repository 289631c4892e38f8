"""When a memory repeats another: the one rule by which memories are joined without asking a language model.

Two memories are one only if nothing that carries meaning differs. Of their texts only what no reader sees or hears is
set aside: how Unicode spells a letter (NFC), how wide a gap is, and one full stop at the end of a sentence. Letter
case, signs, digits, units, superscripts, accents and every word count, and so does the layout of lines, columns and
text in quotes: gaps are set aside in a line of prose alone. Of their other fields one may only add to the other; where
both say something and it is not the same, both stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from unicodedata import category

import msgspec

from memhost.extraction.kinds import may_relate
from memhost.extraction.retry_prompt import UNGROUNDED
from memhost.memories.trust import CLAIMED, CONTRADICTS, DOUBTS, SAID_BY, SUSPICIOUS, TRUST, level_of, vouched_for
from memhost.models import MAX_ACCESSES, MemoryRecord, StoredMemory
from memhost.models.memory import MOST_SAYINGS
from memhost.models.trust import lowest, rank
from memhost.ranking import traits_of
from memhost.text.analysis import index_terms
from memhost.text.recalled.own_text import found_by
from memhost.text.unicode_forms import normal_form

FULL_STOPS = ".。．।۔።։"
"""Signs that do nothing but end a sentence: Latin, CJK, Devanagari, Urdu, Ethiopic, Armenian."""

_QUOTES = "\"'()[]«»“”„‘’"

_QUOTING = re.compile("[\"'`«»‹›“”„‘’「」『』]")

RESTORED = "restored_at"
"""Metadata key of memories that were brought back: they are not merged again, and age from that time."""

SUPERSEDED_BY = "superseded_by"
"""Metadata key that repeats the record's field, for clients that know no such field."""

PROMPT_KEY = "prompt_sha256"
"""Metadata key under which memories keep the hashes of the custom prompts that brought them about."""

STALE = "stale_since"
"""Metadata key of memories whose sources changed or were deleted since they were made: when that was."""

ADDS_TO = "adds_to"
"""Metadata key of a memory that tells more about the matter of others: their ids."""

NOTES = frozenset(
    {
        SUSPICIOUS,
        RESTORED,
        SUPERSEDED_BY,
        TRUST,
        PROMPT_KEY,
        UNGROUNDED,
        *DOUBTS,
        SAID_BY,
        CONTRADICTS,
        CLAIMED,
        STALE,
        ADDS_TO,
    }
)
"""Metadata keys under which the server notes how a memory came about; they say nothing of what it tells."""


_EVENT = ("event_date", "event_end", "event_precision")

MAX_COMPARED = 100
"""Memories of one statement that a repetition is compared with: what differs so often is not one thing said twice."""


def statement(text: str) -> str:
    """The text without what no reader sees: equal for texts that are the same statement.

    A final full stop is set aside only after a word of letters: "the 3." (third) and "abc.de." are not the same as
    without it. Gaps count where they may be layout (see `_without_gaps`).
    """
    plain = _without_gaps(normal_form("NFC", text).strip())
    if len(plain) > 1 and plain[-1] in FULL_STOPS and _ends_a_sentence(plain[:-1]):
        return plain[:-1]
    return plain


def compatible(stored: MemoryRecord, record: MemoryRecord) -> bool:
    """Tell whether `record` can be merged into `stored` without losing anything, if their texts make one `statement`.

    Both must be of one owner and hold for the same time; dates of events and metadata must not contradict each other.
    What is trusted less adds nothing to what is trusted more, and what is trusted more stays a memory of its own. One
    statement made in two sessions is one memory. What a strategy extracted may be called another type; what a client
    wrote stays of the type that the client gave.
    """
    # One of the two may lack a field, but both must not differ in it: "Ana saw the dentist" of 3 May and of 9 June are
    # two visits; with a date in one only, the merged memory has that date, and nothing is lost.
    return (
        (stored.namespace or "", stored.user_id or "") == (record.namespace or "", record.user_id or "")
        and (stored.valid_to, stored.superseded_by) == (record.valid_to, record.superseded_by)
        and _may_take_in(stored, record)
        and _since_the_same(stored, record)
        and all(_adds(getattr(stored, name), getattr(record, name)) for name in _EVENT)
        and may_relate(stored, record)
        and (record.extractor is not None or stored.memory_type is record.memory_type)
        and (record.extractor is not None or _agree(stored.metadata, record.metadata))
    )


def _may_take_in(stored: MemoryRecord, record: MemoryRecord) -> bool:
    """Tell whether trust lets a record go into a stored memory: no further, or it says what nobody had said."""
    more = rank(level_of(record)) - rank(level_of(stored))
    if more > 0:
        return any(mark in stored.metadata for mark in DOUBTS) and not any(mark in record.metadata for mark in DOUBTS)
    return not more or _adds_nothing(stored, record)


def _adds_nothing(stored: MemoryRecord, record: MemoryRecord) -> bool:
    told = {key: value for key, value in record.metadata.items() if key not in NOTES}
    return (
        set(record.topics) <= set(stored.topics)
        and set(record.entities) <= set(stored.entities)
        and all(getattr(record, name) in (None, getattr(stored, name)) for name in (*_EVENT, "valid_from"))
        and (stored.pinned or not record.pinned)
        and (record.extractor is not None or told.keys() <= stored.metadata.keys())
    )


def _adds(one: object, other: object) -> bool:
    """Tell whether two values of a field can be one: they are equal, or only one of the two is there."""
    return one is None or other is None or one == other


def _since_the_same(stored: MemoryRecord, record: MemoryRecord) -> bool:
    """Tell whether both hold since the same time. What a strategy made may know it where the other does not."""
    if stored.valid_from == record.valid_from:
        return True
    known, other = (stored, record) if record.valid_from is None else (record, stored)
    if known.valid_from is None or other.valid_from is not None or known.extractor is None:
        return False
    return known.valid_from <= other.held_from


def clusters(memories: Sequence[StoredMemory]) -> list[list[StoredMemory]]:
    """The memories, put together where they repeat each other; each two of a cluster do, with what the cluster knows.

    What a client wrote and what a strategy extracted are put together only if they are of one type: whichever stays,
    the client finds the type that it gave. Memories that are alike in all that could keep them apart are put together
    first; then each such group is compared with at most `MAX_COMPARED` clusters of its statement.
    """
    alike: dict[tuple[object, ...], list[StoredMemory]] = {}
    for memory in sorted(memories, key=lambda each: (each.record.created_at, each.record.id)):
        alike.setdefault(_kind_of(memory.record), []).append(memory)
    found: list[list[StoredMemory]] = []
    known: dict[object, list[tuple[MemoryRecord, list[StoredMemory]]]] = {}
    for (text, *_), group in alike.items():
        record = united(group[0].record, [memory.record for memory in group], group[0].record.updated_at)
        rivals = known.setdefault(text, [])
        # Compared with all that the cluster knows, not with its first member. "Ana saw the dentist" without a date
        # repeats the one of 3 May, and also the one of 9 June; one by one the three would be merged, and a visit lost.
        for index, (whole, members) in enumerate(rivals[:MAX_COMPARED]):
            if compatible(whole, record) and (whole.extractor is not None or whole.memory_type is record.memory_type):
                members += group
                rivals[index] = united(whole, [whole, record], record.updated_at), members
                break
        else:
            rivals.append((record, group))
            found.append(group)
    return found


def _kind_of(record: MemoryRecord) -> tuple[object, ...]:
    """The statement of a memory, and all that could keep it apart from another with the same."""
    told = {key: value for key, value in record.metadata.items() if key not in NOTES}
    return (
        statement(record.text),
        (record.namespace or "", record.user_id or ""),
        (record.valid_from, record.valid_to, record.superseded_by),
        *(getattr(record, name) for name in _EVENT),
        record.memory_type,
        record.extractor is None,
        rank(level_of(record)),
        msgspec.json.encode(told, order="deterministic"),
    )


def united(kept: MemoryRecord, records: Sequence[MemoryRecord], now: datetime) -> MemoryRecord:
    """The record kept, with what all of them know. Of metadata with one key the earlier record's counts."""
    metadata: dict[str, Any] = {}
    for record in reversed(records):
        metadata |= record.metadata
    dated = [record for record in records if record.event_date is not None]
    event = min(dated, key=lambda record: (record.event_date, record is not kept), default=kept)
    same = [event, *(record for record in dated if record.event_date == event.event_date)]
    said = _sayings(records)
    return msgspec.structs.replace(
        kept,
        topics=_union(record.topics for record in records),
        entities=_union(record.entities for record in records),
        source_ids=_union(record.source_ids for record in records),
        extracted_from=_union(record.extracted_from for record in records),
        pinned=any(record.pinned for record in records),
        access_count=min(MAX_ACCESSES, sum(record.access_count for record in records)),
        created_at=min(record.created_at for record in records),
        last_accessed=max(record.last_accessed for record in records),
        event_date=event.event_date,
        event_end=next((record.event_end for record in same if record.event_end is not None), None),
        event_precision=next((record.event_precision for record in same if record.event_precision is not None), None),
        said_at=said[-1] if said else None,
        said_before=[*said[:1], *said[1:-1][1 - MOST_SAYINGS :]] if len(said) > 1 else [],
        valid_from=kept.valid_from or min((each.valid_from for each in records if each.valid_from), default=None),
        metadata={**metadata, **kept.metadata},
        trust=kept.trust if len({level_of(each) for each in (kept, *records)}) == 1 else lowest(map(level_of, records)),
        updated_at=now,
    )


def _sayings(records: Sequence[MemoryRecord]) -> list[datetime]:
    """All times at which one of them was said, oldest first; none if nobody has told of any."""
    if all(record.said_at is None for record in records):
        return []
    return sorted({moment for record in records for moment in record.sayings})


def completed(stored: MemoryRecord, record: MemoryRecord, now: datetime) -> MemoryRecord | None:
    """The stored record with what its repetition adds, None if that is nothing.

    What is trusted less adds nothing. The notes that a strategy made of a repetition are not added: they are about its
    own text. A memory that nobody had
    said is one that somebody said from now on, if the repetition was.
    """
    if rank(level_of(record)) < rank(level_of(stored)):
        return None
    more = record if record.extractor is None else msgspec.structs.replace(record, metadata={})
    home = vouched_for(stored, record)
    found = united(home, [home, more], now)
    same = msgspec.structs.replace(
        found, access_count=stored.access_count, last_accessed=stored.last_accessed, updated_at=stored.updated_at
    )
    return None if same == stored else msgspec.structs.replace(found, access_count=stored.access_count)


def indexed_anew(kept: StoredMemory, record: MemoryRecord) -> StoredMemory:
    """The memory with this record; its words hold its date, its vector only its text."""
    body = found_by(replace(kept, record=record))
    when = (record.event_date or record.told_at).timestamp()
    terms = tuple(index_terms(body, kept.speaker, when))
    return replace(kept, record=record, terms=terms, traits=traits_of(body, terms))


def _without_gaps(text: str) -> str:
    """The text with one space for each gap, if it is a line of prose.

    Lists, code, tables and verse live by their lines, indentation and tabs, and a name or a password in quotes by each
    of its spaces: there nothing is set aside but the white space at the ends of lines.
    """
    lines = text.splitlines()
    if len(lines) > 1 or "\t" in text:
        return "\n".join(line.rstrip() for line in lines)
    if len(_QUOTING.findall(text)) > 1:
        return "".join(" " if sign.isspace() else sign for sign in text)
    return " ".join(text.split())


def _ends_a_sentence(text: str) -> bool:
    """Tell whether the last word consists of letters, so that a full stop after it can only end a sentence."""
    word = text.rpartition(" ")[2].strip(_QUOTES)
    return bool(word) and (
        (word.isascii() and word.isalpha()) or all(sign in "-'’" or category(sign)[0] in "LM" for sign in word)
    )


def _agree(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Tell whether each key of metadata has the same value in both. 1 and true are two values, 1 and 1.0 are one."""
    shared = (one.keys() & other.keys()) - NOTES
    return all(_told(one[key]) == _told(other[key]) for key in shared)


def _told(value: Any) -> Any:
    """The value as JSON tells it apart."""
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, dict):
        return {key: _told(item) for key, item in value.items()}
    return [_told(item) for item in value] if isinstance(value, (list, tuple)) else value


def _union(lists: Iterable[Sequence[str]]) -> list[str]:
    return list(dict.fromkeys(item for values in lists for item in values))
