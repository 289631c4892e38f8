"""Makes memories: from what clients send, from what strategies draft, and ready for the indexes."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType
from ulid import ULID

from memhost.errors import PluginFailure, Problem, UnsafePrompt, ValidationFailed
from memhost.extraction.screening.sensitive.kinds import kinds_of
from memhost.memories.repetition import statement
from memhost.memories.trust import CLAIMS, SUSPICIOUS, is_of_others
from memhost.models import TURN_STRATEGY, MemoryRecord, MemoryType, SessionKey, StoredMemory, Trust, Vector
from memhost.operations.ams_compat import unreadable_tags, without_commas
from memhost.operations.requests import RecordFields
from memhost.ports import Draft, Embedder, Turn
from memhost.ranking import traits_of
from memhost.text.analysis import index_terms, split_speaker
from memhost.text.conversation import is_blank
from memhost.text.languages import languages_of
from memhost.text.recalled.own_text import found_by
from memhost.text.speakers import same_name
from memhost.text.unicode_forms import normal_form
from memhost.usage.ledger import charged_to_owners

_OF_THE_SERVER = ("memory_hash", "persisted_at", "discrete_memory_extracted")
_GIVEN = tuple(
    name
    for name in RecordFields.__struct_fields__
    if name in MemoryRecord.__struct_fields__ and name not in _OF_THE_SERVER
)
"""Fields that a memory takes from a client as they are, where the client says something."""
_of = attrgetter(*_GIVEN)
_in_json = json.encoder.encode_basestring_ascii


def content_hash(record: MemoryRecord) -> str:
    """Hex SHA-256 over the owner and the statement, equal for exact repetitions (`repetition.statement`).

    Session, type and dates are left out: whether they keep two memories apart, `repetition.compatible` says.
    """
    return _hash_of(record, statement(record.text))


def hashes_of(record: MemoryRecord) -> tuple[str, ...]:
    """Hashes under which repetitions of the record may be stored: its own, and that of release 0.1.0.

    That release set aside letter case, compatibility forms and all final punctuation. Its hashes are still in stores;
    memories found by them have to be compared with `repetition.compatible`.
    """
    text = normal_form("NFKC", record.text).casefold()
    return record.memory_hash or content_hash(record), _hash_of(
        record, " ".join(text.split()).rstrip(" .!?…。！？") or record.text
    )


def _hash_of(record: MemoryRecord, text: str) -> str:
    namespace, user = (_in_json(name) if name is not None else "null" for name in (record.namespace, record.user_id))
    # As `json.dumps` writes it with sorted keys, in a third of the time.
    owner = f'{{"namespace": {namespace}, "text": {_in_json(text)}, "user_id": {user}}}'
    return hashlib.sha256(owner.encode()).hexdigest()


def record_from_input(
    given: RecordFields, memory_id: str, now: datetime, *, default_type: MemoryType, trust: Trust
) -> MemoryRecord:
    """Return a memory made of a client's fields; fields that the server owns (hash, `persisted_at`) are set again.

    What the client says under keys of metadata that are the server's own (`CLAIMS`) is left out.
    """
    fields: dict[str, Any] = {"last_accessed": now, "created_at": now, "updated_at": now, "memory_type": default_type}
    fields |= {name: value for name, value in zip(_GIVEN, _of(given), strict=True) if value is not UNSET}
    for name in ("session_id", "user_id", "namespace"):
        fields[name] = fields[name] or None
    for name in ("topics", "entities", "extracted_from"):
        fields[name] = unique(fields[name] or ())
    fields["said_before"] = sorted(fields["said_before"] or ())
    metadata = fields.get("metadata") or {}
    if not CLAIMS.isdisjoint(metadata):
        fields["metadata"] = {key: value for key, value in metadata.items() if key not in CLAIMS}
    record = MemoryRecord(id=memory_id, trust=trust, **fields)
    record.memory_hash = content_hash(record)
    return record


def record_from_draft(
    draft: Draft,
    owner: SessionKey,
    memory_id: str,
    extractor: str,
    now: datetime,
    turns: Sequence[Turn] = (),
) -> MemoryRecord:
    """A memory from a strategy's draft, owned by the session; `turns` are those that the draft was made from."""
    record = MemoryRecord(
        id=memory_id,
        text=draft.text,
        session_id=owner.session or None,
        user_id=owner.user or None,
        namespace=owner.namespace or None,
        last_accessed=draft.created_at or now,
        created_at=draft.created_at or now,
        updated_at=now,
        topics=unique([without_commas(tag) for tag in draft.topics]),
        entities=unique([without_commas(tag) for tag in draft.entities]),
        extracted_from=[source.replace(",", " ") for source in draft.source_ids],
        memory_type=draft.memory_type,
        persisted_at=now,
        event_date=draft.event_date,
        event_end=draft.event_end,
        event_precision=draft.event_precision,
        said_at=_said_at(draft, turns),
        valid_from=draft.valid_from,
        valid_to=draft.valid_to,
        extraction_strategy=extractor.split("/", 1)[0],
        metadata=draft.metadata,
        source_ids=list(draft.source_ids),
        extractor=extractor,
    )
    if draft.memory_type is MemoryType.MESSAGE:
        record.extraction_strategy = "message"
    record.memory_hash = content_hash(record)
    return record


def _said_at(draft: Draft, turns: Sequence[Turn]) -> datetime | None:
    """When it was said: as the draft tells, else when the latest of its sources was; None for turns."""
    if draft.said_at is not None or draft.memory_type is MemoryType.MESSAGE:
        return draft.said_at
    sources = set(draft.source_ids)
    named = [turn.message.created_at for turn in turns if turn.message.id in sources]
    return max(named or [turn.message.created_at for turn in turns], default=None)


def check_records(records: Sequence[RecordFields], ids: Sequence[str | UnsetType]) -> list[Problem]:
    """Return the problems of a request's records beyond their types."""
    problems: list[Problem] = []
    for index, (record, memory_id) in enumerate(zip(records, ids, strict=True)):
        if isinstance(memory_id, str) and not memory_id:
            problems.append(Problem(message=f"memories[{index}]: 'id' must not be empty"))
        if is_blank(record.text):
            problems.append(Problem(message=f"memories[{index}]: 'text' must not be empty"))
        for name in ("topics", "entities", "extracted_from"):
            if tags := getattr(record, name):
                problems += tag_problems(tags, ("memories", index, name))
    return problems


def tag_problems(tags: Sequence[str] | None, where: tuple[str | int, ...]) -> list[Problem]:
    """Return the problems of tags: official clients cannot read a comma in them."""
    return [
        Problem(
            where=(*where, index),
            message=f"{where[-1]} must not contain commas: {tag!r}",
            value=tag,
        )
        for index, tag in unreadable_tags(tags or ())
    ]


def refuse(problems: Sequence[Problem]) -> None:
    """Raise `ValidationFailed` if there are problems, `UnsafePrompt` if all of them are of prompts."""
    if problems:
        unsafe = all(problem.kind == "unsafe_prompt" for problem in problems)
        raise UnsafePrompt(problems) if unsafe else ValidationFailed(problems)


_AT_ONCE = 10_000
"""Characters that are analysed on the event loop: some milliseconds. More are in a thread."""


async def index_records(
    records: Sequence[MemoryRecord],
    embedder: Embedder,
    drafts: Sequence[Draft | None] = (),
    *,
    in_request: bool = False,
    vectors: Mapping[str, Sequence[float]] | None = None,
) -> list[StoredMemory]:
    """The records with terms and vectors; turns also with speaker, role and position (from their drafts).

    Turns of others than the user that say what only the user may (`sensitive.kinds_of`) are marked (`SUSPICIOUS`):
    they are evidence, and shown as facts nowhere.

    With `in_request` an embedder that is not local is not waited for: vectors come from a background job, which
    follows the event of the write (see `memories.missing_vectors`).

    Args:
        records: The records.
        embedder: The embedder.
        drafts: What the records were made of.
        in_request: Do not wait for an embedder that is not local.
        vectors: Vectors of texts that are known already, by text.

    Raises:
        ModelUnavailable: The embedder does not answer.
        PluginFailure: A given vector is not one of this embedder.
    """
    for record in records:
        record.memory_hash = record.memory_hash or content_hash(record)
    if sum(len(record.text) for record in records) <= _AT_ONCE:
        stored, bodies = _analysed(records, drafts)
    else:
        stored, bodies = await asyncio.to_thread(_analysed, records, drafts)
    known = {text: _checked(vector, embedder) for text, vector in (vectors or {}).items()}
    for memory, body in zip(stored, bodies, strict=True):
        memory.vector = known.get(body) if body else np.zeros(embedder.dimensions, dtype=np.float32)
    without = [index for index, memory in enumerate(stored) if memory.vector is None]
    if without and (embedder.local or not in_request):
        with charged_to_owners((records[index].namespace, records[index].user_id) for index in without):
            made = await embedder.embed([bodies[index] for index in without])
        for index, vector in zip(without, made, strict=True):
            stored[index].vector = vector
    return stored


def _analysed(records: Sequence[MemoryRecord], drafts: Sequence[Draft | None]) -> tuple[list[StoredMemory], list[str]]:
    """The records with terms, speaker, role and position, and the texts they are found by; changes nothing."""
    found = []
    for index, record in enumerate(records):
        draft = drafts[index] if drafts else None
        memory = StoredMemory(record=record)
        if draft is not None:
            memory.speaker, memory.role, memory.position = draft.speaker, draft.role, draft.position
            memory.lead = _lead(record.text, draft)
        if record.extraction_strategy == TURN_STRATEGY and is_of_others(record):
            # The text before a colon is read as well, whether it is a name or not.
            memory.record = _marked(record, bool(kinds_of(record.text[_role_lead(record.text, draft) :])))
        found.append(memory)
    bodies = [found_by(memory) for memory in found]
    for memory, body, language in zip(found, bodies, languages_of(bodies), strict=True):
        when = (memory.record.event_date or memory.record.told_at).timestamp()
        memory.terms = tuple(index_terms(body, memory.speaker, when, language))
        memory.traits = traits_of(body, memory.terms)
    return found, bodies


def _marked(record: MemoryRecord, sensitive: bool) -> MemoryRecord:
    if sensitive == (record.metadata.get(SUSPICIOUS) is True):
        return record
    metadata = {name: value for name, value in record.metadata.items() if name != SUSPICIOUS}
    return msgspec.structs.replace(record, metadata={**metadata, SUSPICIOUS: True} if sensitive else metadata)


def given_vectors(drafts: Sequence[Draft]) -> dict[str, Sequence[float]]:
    """Vectors that strategies bring with their drafts, by text."""
    return {draft.text: draft.embedding for draft in drafts if draft.embedding is not None}


def _checked(given: Sequence[float], embedder: Embedder) -> Vector:
    vector = np.asarray(given, dtype=np.float32)
    if vector.shape != (embedder.dimensions,) or not np.isfinite(vector).all():
        raise PluginFailure(
            f"An extractor returned an embedding that is not from {embedder.name} ({embedder.dimensions} finite "
            "numbers); return the result of `await self.embed(text)`, or no embedding."
        )
    length = float(np.linalg.norm(vector))
    return vector / np.float32(length) if length else vector


def _lead(text: str, draft: Draft) -> int:
    """Return the number of characters before the message itself: role and speaker's name with their colons."""
    lead = _role_lead(text, draft)
    if draft.speaker is not None:
        label, body = split_speaker(text[lead:])
        if label is not None and same_name(label, draft.speaker):
            lead = len(text.rstrip()) - len(body)  # the body has no space at its ends
    return lead


def _role_lead(text: str, draft: Draft | None) -> int:
    """Return the number of characters that the role at the beginning takes, with its colon."""
    named = draft is not None and draft.role is not None and text.startswith(f"{draft.role}: ")
    return len(draft.role) + 2 if named and draft is not None and draft.role is not None else 0


def derived_id(*parts: str) -> str:
    """An id that follows from its parts: 26 characters of the ULID alphabet, the same for the same parts."""
    digest = hashlib.sha256(msgspec.msgpack.encode(parts)).digest()
    return str(ULID.from_bytes(digest[:16]))


def unique(values: Sequence[str]) -> list[str]:
    """The values in order, each once."""
    return list(dict.fromkeys(values))
