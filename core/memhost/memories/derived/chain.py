"""The chain of a memory: what it was made from, and what was made from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from memhost.errors import NotFound
from memhost.memories import aliases
from memhost.memories.derived import former
from memhost.memories.derived.cascade import turns_of
from memhost.memories.derived.kept_turns import turn_of
from memhost.memories.derived.support import Lost, Support
from memhost.memories.enabled import require_long_term_memory
from memhost.memories.records import derived_id, unique
from memhost.memories.trash import find_trashed
from memhost.models import TURN_STRATEGY, MemoryRecord, Scope, SessionKey, StoredMemory
from memhost.operations.long_term import (
    ChainRun,
    ExplainMemory,
    MemoryChain,
    RelatedMemory,
    SourceTurn,
    ViewOfMemory,
)
from memhost.operations.responses import SummaryView
from memhost.operations.table import Call
from memhost.ports import Clock, Store
from memhost.settings.schema import MemorySettings

_LONGEST_CHAIN = 20
"""Newer facts that are followed, each replaced by the next."""


class Runs(Protocol):
    """The records of runs."""

    async def made(self, key: SessionKey, memory_id: str, now: datetime) -> ChainRun | None:
        """The run of the session that made the memory, while its record is kept."""
        ...


class ViewResults(Protocol):
    """The results of summary views."""

    async def results_with(
        self, bounds: Scope, record: MemoryRecord, now: datetime
    ) -> Sequence[tuple[SummaryView, Mapping[str, str]]]:
        """The views inside the bounds, with the group of each stored result that counts the memory."""
        ...


class Chains:
    """Explains memories."""

    def __init__(
        self,
        *,
        store: Store,
        support: Support,
        runs: Runs,
        views: ViewResults,
        settings: MemorySettings,
        clock: Clock,
    ) -> None:
        self._store = store
        self._support = support
        self._runs = runs
        self._views = views
        self._settings = settings
        self._clock = clock

    async def explain(self, call: Call, request: ExplainMemory) -> MemoryChain:
        """The chain of a memory, also of one in the trash; inside the caller's bounds.

        Raises:
            NotFound: There is no such memory.
        """
        require_long_term_memory(self._settings)
        bounds, now, name = call.caller.bounds, self._clock.now(), request.memory_id
        memory = await aliases.find(self._store, bounds, name, now)
        reason = None
        if memory is None:
            gone = await find_trashed(self._store, bounds, name, now)
            if gone is None:
                raise NotFound(f"Memory {name} not found.")
            record, reason = gone
            memory = StoredMemory(record=record)
        record = memory.record
        owner = bounds.narrow(namespace=record.namespace or "", user=record.user_id or "")
        key = SessionKey(bounds.tenant, record.namespace or "", record.user_id or "", record.session_id or "")
        turns, sources = await self._sources(bounds, key, record, now)
        return MemoryChain(
            memory=record,
            state="stored" if reason is None else "trash",
            reason=reason,
            asked_for=name if name != record.id else None,
            made_by=record.extractor or "client",
            run=await self._runs.made(key, record.id, now) if record.extractor and bounds.covers(key) else None,
            turns=turns,
            before=[*sources, *await self._merged(bounds, owner, record, now), *await self._replaced(owner, record)],
            after=[*await self._newer(bounds, record), *await self._derived(owner, key, memory, now)],
            views=[
                ViewOfMemory(view_id=view.id, name=view.name, group=dict(group))
                for view, group in await self._views.results_with(bounds, record, now)
            ],
            in_summary=await self._in_summary(bounds, key, memory, now),
        )

    async def _sources(
        self, bounds: Scope, key: SessionKey, record: MemoryRecord, now: datetime
    ) -> tuple[list[SourceTurn], list[RelatedMemory]]:
        """The turns, and the memories, that the record was made from."""
        ids = [] if record.extraction_strategy == TURN_STRATEGY else unique(record.source_ids or record.extracted_from)
        if not ids:
            return [], []
        own = {name: derived_id(key.tenant, key.namespace, key.user, key.session, name) for name in ids}
        owner = bounds.narrow(namespace=key.namespace, user=key.user)
        found = {each.record.id: each for each in await self._store.get_memories(owner, [*own.values(), *ids])}
        session = await self._store.get_session(bounds, key, now) if key.session else None
        said = {message.id: message for message in session.content.messages} if session is not None else {}
        turns: list[SourceTurn] = []
        others: list[RelatedMemory] = []
        for name in ids:
            memory = found.get(own[name]) or found.get(name)
            if memory is not None and memory.record.extraction_strategy != TURN_STRATEGY:
                others.append(_related(memory.record, "source", memory.record.created_at))
            elif memory is not None:
                message = turn_of(memory).message
                turns.append(
                    SourceTurn(
                        id=name,
                        memory_id=memory.record.id,
                        session_id=memory.record.session_id,
                        role=message.role,
                        speaker=memory.speaker,
                        text=message.content,
                        created_at=message.created_at,
                    )
                )
            elif name in said:
                kept = said[name]
                turns.append(
                    SourceTurn(
                        id=name,
                        session_id=key.session,
                        role=kept.role,
                        text=kept.content,
                        created_at=kept.created_at,
                    )
                )
            else:
                turns.append(SourceTurn(id=name))
        return sorted(turns, key=lambda turn: (turn.created_at is None, turn.created_at or now)), others

    async def _merged(self, bounds: Scope, owner: Scope, record: MemoryRecord, now: datetime) -> list[RelatedMemory]:
        """Memories that went into the record, and its former texts; those that the caller may see."""
        states = (await former.read(self._store, owner, [record], now))[record.id]
        found: list[RelatedMemory] = []
        for kept in states:
            state = kept.state
            if state.how == "joined":
                parts = [part for part in state.parts if bounds.allows(part.namespace, part.user_id, part.session_id)]
                found += [_related(part, "merged", state.changed_at) for part in parts]
                if state.memory.text != record.text:
                    found.append(_related(state.memory, "earlier", state.changed_at))
        return found

    async def _replaced(self, owner: Scope, record: MemoryRecord) -> list[RelatedMemory]:
        ended = await former.replaced_by(self._store, owner, [record.id])
        return [_related(memory.record, "replaced", memory.record.valid_to) for memory in ended]

    async def _newer(self, bounds: Scope, record: MemoryRecord) -> list[RelatedMemory]:
        found: list[RelatedMemory] = []
        seen = {record.id}
        while record.superseded_by is not None and record.superseded_by not in seen and len(found) < _LONGEST_CHAIN:
            read = await self._store.get_memories(bounds, [record.superseded_by])
            if not read:
                break
            found.append(_related(read[0].record, "newer", record.valid_to))
            record = read[0].record
            seen.add(record.id)
        return found

    async def _derived(self, owner: Scope, key: SessionKey, memory: StoredMemory, now: datetime) -> list[RelatedMemory]:
        lost = [Lost(key=of, ids=frozenset(ids), within=owner) for of, ids in turns_of(key.tenant, [memory]).items()]
        alone = SessionKey(key.tenant, key.namespace, key.user, "")
        lost.append(Lost(key=alone, ids=frozenset({memory.record.id}), within=owner))
        found: dict[str, RelatedMemory] = {}
        for each in lost:
            for made in await self._support.resting(each, now):
                relation = "summary" if self._support.is_digest(made.record) else "statement"
                found.setdefault(made.record.id, _related(made.record, relation, made.record.created_at))
        return list(found.values())

    async def _in_summary(self, bounds: Scope, key: SessionKey, memory: StoredMemory, now: datetime) -> bool:
        ids: Iterable[str] = next(iter(turns_of(key.tenant, [memory]).values()), ())
        session = await self._store.get_session(bounds, key, now) if ids else None
        if session is None:
            return False
        return any(name in session.turns and session.turns[name].summarized for name in ids)


def _related(record: MemoryRecord, relation: str, at: datetime | None) -> RelatedMemory:
    return RelatedMemory(id=record.id, text=record.text, relation=relation, at=at, extractor=record.extractor)
