"""Facts that newer ones replaced, and whose turns are still found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from memhost.models import TURN_STRATEGY, Condition, MemoryRecord, Op, Scope, StoredMemory
from memhost.ports import Store
from memhost.search.facts.sources import Digests, is_statement, sources_of, states

_MOST = 200
"""Facts looked at, the newest: of the sessions of the turns that were found."""
_LONGEST_CHAIN = 4
"""Times that the newest fact of a chain is looked for; what is still unknown then counts as not replaced."""


class Replaced(msgspec.Struct, frozen=True):
    """Replaced facts that concern the candidates of a search.

    Attributes:
        facts: Facts that newer ones replaced.
        heads: The newest fact instead of each, by the id of the replaced one.
        added: Newest facts that the store did not give as candidates.
    """

    facts: Sequence[StoredMemory] = ()
    heads: Mapping[str, MemoryRecord] = {}
    added: Sequence[StoredMemory] = ()


NOTHING = Replaced()


async def find_replaced(
    store: Store, scope: Scope, candidates: Sequence[StoredMemory], moment: datetime | None, digests: Digests
) -> Replaced:
    """The facts that were replaced at that moment, and of which turns or the newest facts are among the candidates.

    Only language models replace facts: without a statement among the candidates the store is not asked.
    """
    made = any(states(memory, digests) and memory.record.extractor is not None for memory in candidates)
    turns = [memory.record for memory in candidates if memory.is_turn] if made else []
    if moment is None or not turns:
        return NOTHING
    sessions = tuple(dict.fromkeys(turn.session_id or "" for turn in turns))
    ended, _ = await store.list_memories(
        scope,
        [
            Condition("valid_to", Op.LTE, (moment,)),
            Condition("extraction_strategy", Op.NONE, (TURN_STRATEGY,)),
            Condition("session_id", Op.ANY, sessions),
        ],
        limit=_MOST,
    )
    facts = [
        memory for memory in ended if memory.record.superseded_by is not None and is_statement(memory.record, digests)
    ]
    if not facts:
        return NOTHING
    known = {memory.id: memory for memory in (*candidates, *facts)}
    fetched = await _missing(store, scope, facts, known, moment)
    heads = {fact.record.id: head for fact in facts if (head := _head(fact.record, known, moment)) is not None}
    there = {memory.id for memory in candidates}
    said = {source for turn in turns for source in sources_of(turn)}
    kept = [
        fact
        for fact in facts
        if fact.record.id in heads
        and fact.record.id not in there
        and (heads[fact.record.id].id in there or not said.isdisjoint(sources_of(fact.record)))
    ]
    named = {heads[fact.record.id].id for fact in kept}
    return Replaced(
        facts=kept,
        heads={fact.record.id: heads[fact.record.id] for fact in kept},
        added=[memory for memory in fetched if memory.record.id in named],
    )


async def _missing(
    store: Store, scope: Scope, facts: Sequence[StoredMemory], known: dict[str, StoredMemory], moment: datetime
) -> list[StoredMemory]:
    """Read the newer facts that are not known yet, and those that replaced these in turn; add them to the known."""
    found: list[StoredMemory] = []
    waiting = [fact.record for fact in facts]
    for _ in range(_LONGEST_CHAIN):
        names = {_next(record, moment) for record in waiting} - {None} - known.keys()
        read = await store.get_memories(scope, sorted(name for name in names if name)) if names else []
        if not read:
            break
        known |= {memory.record.id: memory for memory in read}
        found += read
        waiting = [memory.record for memory in read]
    return found


def _head(fact: MemoryRecord, known: Mapping[str, StoredMemory], moment: datetime) -> MemoryRecord | None:
    """The newest fact instead of one; None if it is gone or holds no longer itself."""
    seen = {fact.id}
    record = fact
    while (name := _next(record, moment)) is not None:
        if name in seen or name not in known:
            return None
        seen.add(name)
        record = known[name].record
    return None if record.valid_to is not None and record.valid_to <= moment else record


def _next(record: MemoryRecord, moment: datetime) -> str | None:
    """The id of what replaced it by then."""
    ended = record.valid_to is not None and record.valid_to <= moment
    return record.superseded_by if ended else None
