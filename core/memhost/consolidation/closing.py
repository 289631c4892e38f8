"""A newer fact ends an older one: when each of them held, by when they were said. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from itertools import groupby, pairwise, product
from operator import itemgetter
from typing import NamedTuple

import msgspec

from memhost.memories.records import derived_id
from memhost.memories.repetition import SUPERSEDED_BY, indexed_anew
from memhost.memories.trust import level_of
from memhost.models import MemoryRecord, MemoryType, StoredMemory


class Change(NamedTuple):
    """A fact that another one replaced, by their ids; `never`: the older one was wrong from its beginning."""

    older: str
    newer: str
    never: bool = False


def said_order(record: MemoryRecord) -> tuple[datetime, datetime, str]:
    """Sorts facts by when they were said last; of one moment, as they were stored."""
    return record.told_at, record.created_at, record.id


def closed(old: StoredMemory, new: MemoryRecord, now: datetime, *, since: datetime | None = None) -> StoredMemory:
    """The older fact as history, which a newer one ends: found only as of earlier times from now on.

    A fact that ended before stays as it is. So does one whose successor never held, or held only before it.

    Args:
        old: The older fact.
        new: The newer one.
        now: The current time.
        since: Since when the newer one holds instead; by default since its `held_from`. At or before the beginning of
            the older one it says that this one never held.
    """
    record, moment = old.record, since or new.held_from
    if new.valid_to is not None and new.valid_to <= max(new.held_from, record.held_from):
        return old
    if record.valid_to is not None and record.valid_to <= moment:
        return old
    return _ended(old, new.id, moment, now)


def corrected(wrong: StoredMemory, right: StoredMemory, now: datetime) -> tuple[StoredMemory, StoredMemory]:
    """Both facts, where the second says that the first was wrong: the first never held.

    What a strategy made holds since the wrong one was thought to, if nothing else is known.
    """
    since, record = wrong.record.held_from, right.record
    if record.extractor is not None and record.valid_from is None and since < record.held_from:
        right = replace(right, record=msgspec.structs.replace(record, valid_from=since, updated_at=now))
    if wrong.record.valid_to is None or wrong.record.valid_to > since:
        wrong = _ended(wrong, record.id, since, now)
    return wrong, right


def _ended(old: StoredMemory, successor: str, moment: datetime, now: datetime) -> StoredMemory:
    notes = {**old.record.metadata, SUPERSEDED_BY: successor}
    changes = {"superseded_by": successor, "valid_to": moment, "metadata": notes, "updated_at": now}
    return replace(old, record=msgspec.structs.replace(old.record, **changes))


def reclosed(ended: StoredMemory, wrong: str, right: StoredMemory, now: datetime) -> StoredMemory:
    """A fact that a wrong one (named by its id) or the right one had ended, as ended by what is right as it is now."""
    if ended.record.superseded_by not in (wrong, right.record.id):
        return ended
    record = msgspec.structs.replace(ended.record, valid_to=None, superseded_by=None)
    return closed(replace(ended, record=record), right.record, now)


def alternating(one: StoredMemory, other: StoredMemory, now: datetime) -> list[StoredMemory]:
    """Two facts of which only one holds at a time, as they are then; each holds from where it was said.

    Mostly the one that was said first ends. A fact that was said again after the other one holds again: its earlier
    time becomes a memory of its own, unless the other one is trusted less: that ends nothing.
    """
    facts = sorted((one, other), key=lambda memory: said_order(memory.record))
    said = sorted((moment, place) for place, fact in enumerate(facts) for moment in _sayings(fact.record))
    runs = [(place, [moment for moment, _ in run]) for place, run in groupby(said, key=itemgetter(1))]
    if len(runs) <= len(facts) or level_of(one.record) != level_of(other.record):
        return [closed(facts[0], facts[1].record, now), facts[1]]
    last = {place: number for number, (place, _) in enumerate(runs)}
    parts = [
        _part(facts[place], moments, now, whole=last[place] == number) for number, (place, moments) in enumerate(runs)
    ]
    return [*(closed(part, following.record, now) for part, following in pairwise(parts)), parts[-1]]


def settled(changes: Iterable[Change], memories: Mapping[str, StoredMemory], now: datetime) -> dict[str, StoredMemory]:
    """The memories that changes leave different, by id, and those that come of them.

    Args:
        changes: Which facts exclude each other, in any order.
        memories: The facts by id.
        now: The current time.
    """
    state = dict(memories)
    parts = {name: [name] for name in memories}
    ordered = sorted(changes, key=lambda change: min(said_order(memories[name].record) for name in change[:2]))
    right = {change.older: change.newer for change in ordered if change.never}
    for older, newer in right.items():
        state[older], state[newer] = corrected(state[older], state[newer], now)
    for change in ordered:
        # What a wrong fact replaced is replaced by the right one.
        older, newer, seen = change.older, change.newer, set[str]()
        while newer in right and newer not in seen:
            seen.add(newer)
            newer = right[newer]
        if change.never or older == newer:
            continue
        for one, other in product(list(parts[older]), list(parts[newer])):
            for memory in alternating(state[one], state[other], now):
                name = memory.record.id
                if name not in state:
                    parts[older if memory.record.text == state[one].record.text else newer].append(name)
                state[name] = memory
    return {name: memory for name, memory in state.items() if memory is not memories.get(name)}


def _sayings(record: MemoryRecord) -> list[datetime]:
    """When it was said, if each time tells that it holds; else only the last.

    An event that is told again has not happened again, and a fact with a known beginning has held since then.
    """
    lasting = record.memory_type is MemoryType.SEMANTIC and record.valid_from is None and record.event_date is None
    return record.sayings if lasting else [record.told_at]


def _part(fact: StoredMemory, moments: list[datetime], now: datetime, *, whole: bool) -> StoredMemory:
    """The fact as said at these moments; it keeps its id if they are the last."""
    if moments == _sayings(fact.record):
        return fact
    record = msgspec.structs.replace(fact.record, said_at=moments[-1], said_before=moments[:-1], updated_at=now)
    if not whole:
        record.id = derived_id("held", record.id, moments[0].isoformat())
    return indexed_anew(fact, record)
