"""The memories that a session holds: what a write leaves of them, and what of it reaches long-term memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET

from memhost.errors import IdTaken
from memhost.memories.derived.edits import adds_nothing, edited
from memhost.memories.records import content_hash, derived_id, index_records, record_from_input, unique
from memhost.memories.repetition import indexed_anew
from memhost.memories.review.waiting import Held, Waiting
from memhost.memories.trust import bounded, is_above, level_of
from memhost.messages.concurrent_writes import Missed, record_digest
from memhost.models import (
    TURN_STRATEGY,
    Condition,
    MemoryRecord,
    MemoryType,
    Op,
    Scope,
    SessionKey,
    StoredMemory,
    StoredSession,
    StrategyConfig,
    Trust,
    new_id,
)
from memhost.models.trust import lowest, of_memory
from memhost.operations.requests import RecordFields, SessionRecordInput
from memhost.ports import Draft, Embedder, Store, Turn
from memhost.text.analysis import index_terms
from memhost.text.recalled.own_text import found_by

_NOT_SAID = (
    "last_accessed",
    "updated_at",
    "access_count",
    "memory_hash",
    "discrete_memory_extracted",
    "persisted_at",
    "extraction_strategy",
    "extraction_strategy_config",
)
_SAID = tuple(name for name in RecordFields.__struct_fields__ if name not in _NOT_SAID)
"""Fields of a memory that clients set: a change of one in the session reaches long-term memory."""

_MOST_MADE = 1000
"""Memories made from turns of one moment that get the time to which it is corrected."""

_KEPT_UNSAID = (*_SAID, "last_accessed", "access_count")


class SessionRecords(msgspec.Struct, frozen=True, kw_only=True):
    """The session's memories after a write.

    Attributes:
        kept: Those that the session holds.
        promoted: Those to store in long-term memory.
        corrected: What the session said before of some of these, by id.
        left: Ids of those that stay as they were, because who stored them is trusted more than who writes.
    """

    kept: list[MemoryRecord]
    promoted: list[MemoryRecord]
    corrected: dict[str, MemoryRecord]
    left: list[str]


def merge_records(
    given: Sequence[SessionRecordInput],
    before: StoredSession | None,
    key: SessionKey,
    strategy: StrategyConfig,
    now: datetime,
    missed: Missed,
    *,
    promote: bool,
    channel: Trust | None,
    taken: Set[str] = frozenset(),
) -> SessionRecords:
    """Return the memories of a session after a write.

    Of a memory that the session holds a client may leave out what it does not know: that stays. Memories that others
    have added or changed since the client read the session (`missed`) stay so.

    Args:
        given: The memories of the write.
        before: The session as it was.
        key: The session; owner of memories that name none.
        strategy: Strategy of the session, which its memories carry.
        now: Time of the write.
        missed: What others changed.
        promote: Whether there is a long-term memory to store them in.
        channel: What bounds the caller (`Caller.channel`): how far new memories are trusted, and changed ones at most.
        taken: Ids that another owner uses there.
    """
    known = {record.id: record for record in before.content.memories} if before else {}
    found = SessionRecords(kept=[], promoted=[], corrected={}, left=[])
    trust = of_memory(channel)
    written = dict.fromkeys(missed.names("memory"))
    for item in given:
        memory_id = item.id if isinstance(item.id, str) else new_id()
        earlier = known.get(memory_id)
        record = record_from_input(item, memory_id, now, default_type=MemoryType.MESSAGE, trust=trust)
        if earlier is not None:
            record = _filled(record, item, earlier)
            same = _says_the_same(record, earlier)
            record.trust = level_of(earlier) if same else lowest((level_of(earlier), trust))
            if memory_id in written and missed.kept("memory", memory_id, record_digest(record)):
                found.kept.append(earlier)
                continue
        found.kept.append(_kept(record, earlier, channel, found.left))
        if not promote or memory_id in taken or (earlier is None and isinstance(item.persisted_at, datetime)):
            record.persisted_at = item.persisted_at
            continue
        _own(record, key, strategy)
        if earlier is not None and earlier.persisted_at is not None:
            if _says_the_same(record, earlier):
                record.persisted_at = earlier.persisted_at
                continue
            found.corrected[memory_id] = earlier
        record.persisted_at = now
        found.promoted.append(record)
    named = {record.id for record in found.kept}
    unseen = [name for name in written if name not in named and missed.kept("memory", name, b"")]
    found.kept[:0] = [known[name] for name in unseen if name in known]
    return found


def _kept(record: MemoryRecord, earlier: MemoryRecord | None, channel: Trust | None, left: list[str]) -> MemoryRecord:
    """The record, or what the session held if that is trusted more than the caller; `left` takes its id then."""
    if earlier is None or not is_above(earlier, channel) or _says_the_same(record, earlier):
        return record
    left.append(earlier.id)
    return earlier


def _says_the_same(record: MemoryRecord, earlier: MemoryRecord) -> bool:
    return all(getattr(record, name) == getattr(earlier, name) for name in _SAID)


def not_promoted(taken: Set[str]) -> str:
    """The sentence about memories that long-term memory could not take."""
    return f"not in long-term memory, only in the session: {IdTaken(sorted(taken)).message}"


def _own(record: MemoryRecord, key: SessionKey, strategy: StrategyConfig) -> None:
    """Give a memory that goes to long-term memory the session's owner, where it names none, and its strategy."""
    record.namespace = record.namespace or key.namespace or None
    record.user_id = record.user_id or key.user or None
    record.session_id = record.session_id or key.session
    record.extraction_strategy = strategy.strategy
    record.extraction_strategy_config = strategy.config
    record.memory_hash = content_hash(record)


def _filled(record: MemoryRecord, item: SessionRecordInput, earlier: MemoryRecord) -> MemoryRecord:
    unsaid = [name for name in _KEPT_UNSAID if getattr(item, name) in (None, UNSET)]
    return msgspec.structs.replace(record, **{name: getattr(earlier, name) for name in unsaid})


async def corrections(store: Store, bounds: Scope, found: SessionRecords) -> list[MemoryRecord]:
    """The memories to store, where one was corrected as long-term memory holds it now with just that changed.

    One that takes the place of another is trusted no further than that.
    """
    ids = [record.id for record in found.promoted]
    held = {memory.record.id: memory for memory in await store.get_memories(bounds, ids)} if ids else {}
    return [_instead(held[record.id], record, found) if record.id in held else record for record in found.promoted]


def _instead(stored: StoredMemory, record: MemoryRecord, found: SessionRecords) -> MemoryRecord:
    earlier = found.corrected.get(record.id)
    if earlier is not None:
        return _corrected(stored, record, earlier)
    return bounded(record, level_of(stored.record))


def _corrected(stored: StoredMemory, record: MemoryRecord, earlier: MemoryRecord) -> MemoryRecord:
    held = stored.record
    changes: dict[str, Any] = {
        name: getattr(record, name) for name in _SAID if getattr(record, name) != getattr(earlier, name)
    }
    if "metadata" in changes:  # what the server noted there stays
        noted = {name: value for name, value in held.metadata.items() if name not in earlier.metadata}
        changes["metadata"] = {**noted, **record.metadata}
    new = msgspec.structs.replace(held, **changes, updated_at=record.updated_at, persisted_at=record.persisted_at)
    new = edited(stored, new, level_of(record))
    new.memory_hash = content_hash(new)
    return new


class Parted(msgspec.Struct, frozen=True, kw_only=True):
    """Memories of a write: those to store, those that wait for a review, and ids of turns that stay as stored."""

    records: list[MemoryRecord]
    held: list[Held]
    left: list[str]


async def part_from_higher(
    store: Store,
    waiting: Waiting,
    bounds: Scope,
    key: SessionKey,
    records: Sequence[MemoryRecord],
    channel: Trust | None,
) -> Parted:
    """Part what may be stored from what would take the place of memories that are trusted more than the caller.

    A memory waits for a review then. A turn is left out: one under its id was stored in this session before.
    """
    if channel is None or not records:
        return Parted(records=list(records), held=[], left=[])
    others = {  # the id of a turn whose message id was taken
        each.id: derived_id(key.tenant, key.namespace, key.user, key.session, each.id)
        for each in records
        if each.extraction_strategy == TURN_STRATEGY
    }
    names = [*(each.id for each in records), *others.values()]
    there = {memory.record.id: memory.record for memory in await store.get_memories(bounds, names)}
    found = Parted(records=[], held=[], left=[])
    for record in records:
        places = [there[name] for name in (record.id, others.get(record.id)) if name in there]
        if record.id in others:
            places = [each for each in places if _is_of(each, key)]
        held = [(waiting.of_lower(record, each, channel), each) for each in places]
        lower = next(((each, place) for each, place in held if each is not None), None)
        if lower is None:
            found.records.append(record)
        elif adds_nothing(lower[1], record):  # nothing is to be done, and its trust stays
            continue
        elif record.id in others:
            found.left.append(record.id)
        else:
            found.held.append(lower[0])
    return found


def _is_of(record: MemoryRecord, key: SessionKey) -> bool:
    return (record.namespace or "", record.user_id or "", record.session_id) == (key.namespace, key.user, key.session)


def left_as_they_are(ids: Sequence[str], channel: Trust | None) -> str:
    """The sentence about messages and memories of a session that who stored them alone may change."""
    names = unique(ids)
    named = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return (
        f"Left as they are, because this credential is bound to the channel `{channel}`, and who stored them is "
        f"trusted more: {named}. Send the change with a credential of the channel `user`, or with one that is bound to "
        "none."
    )


async def changed_turns(
    store: Store,
    key: SessionKey,
    retimed: Sequence[Turn],
    speakers: Mapping[str, str],
    embedder: Embedder,
    now: datetime,
) -> list[StoredMemory]:
    """The memories of stored turns that have another time, or a speaker, from now on, each once."""
    found = await retimed_memories(store, key, retimed, now)
    named = await named_memories(store, key, speakers, embedder, found)
    # Of one that is in both, the one with its speaker: it has the new time as well.
    return list({memory.record.id: memory for memory in (*found, *named)}.values())


async def retimed_memories(store: Store, key: SessionKey, turns: Sequence[Turn], now: datetime) -> list[StoredMemory]:
    """The memories of turns whose time was corrected, and those made from them, with that time."""
    times = {turn.message.id: turn.message.created_at for turn in turns if turn.occurrence == 1}
    if not times:
        return []
    names = {derived_id(key.tenant, key.namespace, key.user, key.session, name): name for name in times}
    scope = Scope(tenant=key.tenant, namespaces=(key.namespace,), users=(key.user,), sessions=(key.session,))
    held = await store.get_memories(scope, [*times, *names])
    kept = [memory for memory in held if memory.record.extraction_strategy == TURN_STRATEGY]
    made = await _made_then(store, scope, {memory.record.created_at for memory in kept}, times)
    return [*(_retimed(memory, times[names.get(memory.record.id, memory.record.id)], now) for memory in kept), *made]


async def _made_then(
    store: Store, scope: Scope, moments: Collection[datetime], times: Mapping[str, datetime]
) -> list[StoredMemory]:
    """Memories that count as said at one of the moments, made from turns whose times are known now, with these.

    Where another source has a time that is not known here, that of the memory stays.
    """
    found = []
    for moment in moments:
        page, _ = await store.list_memories(scope, [Condition("said_at", Op.EQ, (moment,))], limit=_MOST_MADE)
        for memory in page:
            record = memory.record
            if record.extractor is not None and record.source_ids and times.keys() >= set(record.source_ids):
                said = max(times[name] for name in record.source_ids)
                found.append(indexed_anew(memory, msgspec.structs.replace(record, said_at=said)))
    return found


async def named_memories(
    store: Store, key: SessionKey, speakers: Mapping[str, str], embedder: Embedder, retimed: Sequence[StoredMemory]
) -> list[StoredMemory]:
    """The memories of turns whose speaker has become known since they were stored, with that speaker.

    Args:
        store: The store.
        key: Whose session.
        speakers: Names of the speakers, by the id of the message.
        embedder: Makes the vectors of what they said, which the names are no part of.
        retimed: Memories of the session that the write changes anyhow; they are found as they will be.
    """
    if not speakers:
        return []
    derived = {derived_id(key.tenant, key.namespace, key.user, key.session, name): name for name in speakers}
    scope = Scope(tenant=key.tenant, namespaces=(key.namespace,), users=(key.user,), sessions=(key.session,))
    held = {memory.record.id: memory for memory in await store.get_memories(scope, [*speakers, *derived])}
    held |= {memory.record.id: memory for memory in retimed if memory.record.id in held}
    found = [
        memory
        for memory in held.values()
        if memory.record.extraction_strategy == TURN_STRATEGY
        and memory.speaker is None
        and memory.record.edited_from is None
    ]
    names = [speakers[derived.get(memory.record.id, memory.record.id)] for memory in found]
    drafts = [
        Draft(text=memory.record.text, speaker=name, role=memory.role, position=memory.position)
        for memory, name in zip(found, names, strict=True)
    ]
    return await index_records([memory.record for memory in found], embedder, drafts, in_request=True)


def _retimed(memory: StoredMemory, moment: datetime, now: datetime) -> StoredMemory:
    record = msgspec.structs.replace(memory.record, created_at=moment, updated_at=now)
    when = (record.event_date or record.told_at).timestamp()
    return replace(memory, record=record, terms=tuple(index_terms(found_by(memory), memory.speaker, when)))


def rename_turns(taken: IdTaken, stored: Sequence[StoredMemory], guarded: set[str], key: SessionKey) -> None:
    """Give turns whose message id is another session's memory an id of their own; raise if it is not a turn's."""
    if not set(taken.ids) <= guarded:
        raise taken
    for memory in stored:
        if memory.record.id in taken.ids:
            guarded.discard(memory.record.id)
            memory.record.id = derived_id(key.tenant, key.namespace, key.user, key.session, memory.record.id)
            guarded.add(memory.record.id)
