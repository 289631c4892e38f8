"""The turns that a hit was made from, as the hit shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec import UNSET

from memhost.memories.records import derived_id
from memhost.models import EvidenceTurn, MemoryHit, MemoryRecord, Scope, StoredMemory
from memhost.ports import Store
from memhost.search.facts.sources import Digests, Source, is_statement, is_turn, sources_of
from memhost.text.best_passage import best_passage

LONGEST_EVIDENCE = 2_000
"""Characters of a turn that a hit shows; of a longer one it shows the passage that says most about the query."""
_MARKS = 4


async def add_evidence(
    store: Store,
    scope: Scope,
    hits: Sequence[MemoryHit],
    candidates: Iterable[StoredMemory],
    query: str,
    newer: Mapping[str, MemoryRecord],
    digests: Digests,
) -> None:
    """Add to statements the turns that say them, oldest first, and when that was; date what they replaced by it.

    Most turns are among the candidates; the others of a page are read at once.

    Args:
        store: The store.
        scope: What the caller may read.
        hits: A page of hits, which is changed.
        candidates: Memories that are read already.
        query: What is sought.
        newer: The facts that the hits name as newer ones, by id.
        digests: Strategies whose memories stand for no turns.
    """
    statements: list[MemoryRecord] = [hit for hit in hits if is_statement(hit, digests)]
    named = {hit.superseded.by for hit in hits if hit.superseded is not UNSET}
    statements += [newer[name] for name in sorted(named) if name in newer and is_statement(newer[name], digests)]
    if not statements:
        return
    turns = await _turns(store, scope, statements, candidates)
    said = {name: found[-1].record.created_at for name, found in turns.items() if found}
    for hit in hits:
        if hit.id in said:
            hit.evidence = [_shown(turn, query) for turn in turns[hit.id]]
            if hit.said_at is None:  # an earlier version made it, and dated what it replaced by the server's clock
                hit.said_at = said[hit.id]
                if hit.replaces is not UNSET:
                    hit.replaces = [msgspec.structs.replace(each, until=said[hit.id]) for each in hit.replaces]
        if hit.superseded is not UNSET and (by := hit.superseded.by) in said and newer[by].said_at is None:
            hit.superseded = msgspec.structs.replace(hit.superseded, since=said[hit.superseded.by])


async def _turns(
    store: Store, scope: Scope, statements: Sequence[MemoryRecord], candidates: Iterable[StoredMemory]
) -> dict[str, list[StoredMemory]]:
    """The turns that each statement was made from, oldest first, by the statement's id."""
    known: dict[Source, StoredMemory] = {}
    _index(known, candidates)
    missing = [source for each in statements for source in sources_of(each) if source not in known]
    by_id: dict[str, StoredMemory] = {}
    if missing:
        # Of two sessions' messages of one id the second is stored under a derived one.
        names = [name for source in missing for name in (source[3], _derived(scope.tenant, source))]
        read = await store.get_memories(scope, list(dict.fromkeys(names)))
        _index(known, read)
        by_id = {memory.record.id: memory for memory in read if is_turn(memory.record)}
    found = {}
    for each in statements:
        turns = [turn for source in sources_of(each) if (turn := known.get(source) or _merged(by_id, source))]
        turns.sort(key=lambda turn: (turn.record.created_at, turn.position or 0, turn.record.id))
        found[each.id] = turns
    return found


def _index(known: dict[Source, StoredMemory], memories: Iterable[StoredMemory]) -> None:
    for memory in memories:
        if is_turn(memory.record):
            for source in sources_of(memory.record):
                known.setdefault(source, memory)


def _derived(tenant: str, source: Source) -> str:
    namespace, user, session, name = source
    return derived_id(tenant, namespace or "", user or "", session or "", name)


def _merged(by_id: dict[str, StoredMemory], source: Source) -> StoredMemory | None:
    """The turn of another session of the same owner: of a statement that was said in several sessions."""
    turn = by_id.get(source[3])
    if turn is None or (turn.record.namespace, turn.record.user_id) != source[:2]:
        return None
    return turn


def _shown(turn: StoredMemory, query: str) -> EvidenceTurn:
    record = turn.record
    text = record.text[turn.lead :]
    whole = len(text)
    if whole > LONGEST_EVIDENCE:
        text = best_passage(text, query, LONGEST_EVIDENCE - _MARKS).shown(text)
    return EvidenceTurn(
        id=record.id,
        text=text,
        role=turn.role,
        speaker=turn.speaker,
        created_at=record.created_at,
        session_id=record.session_id,
        cut_from=whole if whole > LONGEST_EVIDENCE else UNSET,
    )
