"""Memories whose evidence is gone: what they were made from was deleted, or says something else now."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

import msgspec

from memhost.events import MemoriesDeleted, MemoriesUpdated
from memhost.jobs.outbox import Outbox
from memhost.memories import aliases
from memhost.memories.derived import former
from memhost.memories.derived.kept_turns import messages_of, read_memories
from memhost.memories.repetition import STALE, statement
from memhost.memories.trash import Reason, entries
from memhost.models import TURN_STRATEGY, Condition, Job, MemoryRecord, Op, Scope, SessionKey, StoredMemory, WriteBatch
from memhost.operations.ams_compat import KNOWN_STRATEGIES
from memhost.ports import Store
from memhost.settings.schema import MemorySettings
from memhost.storage.paging import scan

TURNS = Condition("extraction_strategy", Op.ANY, (TURN_STRATEGY,))
NOT_TURNS = Condition("extraction_strategy", Op.NONE, (TURN_STRATEGY,))


class Lost(msgspec.Struct, frozen=True, kw_only=True):
    """Sources that are gone, or say something else now.

    Attributes:
        key: Owner and session of the turns. Without a session the sources are memories of the owner, from which only
            plugins make others: strategies read turns, whose ids may be the same.
        ids: Ids of the messages, or of the memories.
        within: Where to look; without it everything of the owner.
    """

    key: SessionKey
    ids: frozenset[str]
    within: Scope | None = None

    @property
    def owner(self) -> Scope:
        """Where what rests on them is."""
        key = self.key
        if self.within is not None:
            return self.within
        return Scope(tenant=key.tenant, namespaces=(key.namespace,), users=(key.user,))


class Withdrawn(msgspec.Struct, frozen=True, kw_only=True):
    """Removals and changes of a batch because evidence is gone.

    Attributes:
        gone: Memories without any support left.
        changed: Memories that lost a source, were marked as stale, or are no longer replaced.
        stale: Ids of those that were marked.
    """

    gone: list[StoredMemory] = []
    changed: list[StoredMemory] = []
    stale: list[str] = []

    @property
    def memories(self) -> list[StoredMemory]:
        """All of them."""
        return [*self.gone, *self.changed]

    def jobs(self, outbox: Outbox, tenant: str, now: datetime) -> list[Job]:
        """The jobs that tell plugins."""
        gone, changed = ([memory.record.id for memory in part] for part in (self.gone, self.changed))
        return [
            *outbox.memory_jobs("memories_deleted", MemoriesDeleted, gone, tenant=tenant, now=now),
            *outbox.memory_jobs("memories_updated", MemoriesUpdated, changed, tenant=tenant, now=now),
        ]


class Support:
    """Finds what rested on sources that are gone, and removes or changes it.

    Args:
        store: Where the memories are.
        settings: How long the trash keeps what goes.
        strategies: Names of all strategies that read turns.
        digests: Names of those whose memories sum up many turns.
    """

    def __init__(
        self,
        store: Store,
        settings: MemorySettings,
        *,
        strategies: Collection[str] = (),
        digests: Collection[str] = (),
    ) -> None:
        self._store = store
        self._settings = settings
        self._strategies = tuple(sorted({*strategies, *KNOWN_STRATEGIES}))
        self._digests = frozenset(digests)

    async def withdraw(self, batch: WriteBatch, lost: Lost, made: Callable[[str], bool], now: datetime) -> Withdrawn:
        """Add to a batch what becomes of the memories that were made from lost sources.

        A memory that the batch stores or confirms stays as it is there. Others lose the source; without any left they
        go to the trash, and facts that they had replaced hold again. A summary of many turns is marked as stale. What a
        client stored, changed or repeated, and what is pinned, stays.

        Args:
            batch: What is committed; it gets the removals and changes.
            lost: The sources.
            made: Whether the memories of a strategy of that name are concerned.
            now: The current time.
        """
        found = Withdrawn()
        confirmed = {memory.record.id for memory in batch.put_memories} | set(batch.access.ids if batch.access else ())
        confirmed |= set(batch.delete_memories)
        resting = [
            memory
            for memory in (await self.resting(lost, now) if lost.ids else ())
            if memory.record.id not in confirmed and (made(_maker(memory.record)) or self.is_digest(memory.record))
        ]
        if not resting:
            return found
        untouched = await self._untouched(lost.owner, resting, now)
        repeated = await aliases.led_to(self._store, lost.owner, now)
        for memory in resting:
            record = memory.record
            left = [name for name in record.source_ids if name not in lost.ids]
            if self.is_digest(record):
                if left or record.pinned:
                    found.changed.append(replace(memory, record=marked_stale(record, now)))
                    found.stale.append(record.id)
                else:
                    found.gone.append(memory)
            elif record.id in untouched and left:
                record = _with_sources(record, left, await self._said(lost.key, left))
                if await self._says_more(lost, record, now):
                    record = marked_stale(record, now)
                    found.stale.append(record.id)
                found.changed.append(replace(memory, record=record))
            elif record.id in untouched and record.id not in repeated:
                found.gone.append(memory)
        batch.put_memories += found.changed
        await self.remove(batch, lost.owner, found, now)
        return found

    async def renewable(
        self, key: SessionKey, turns: Collection[str], made: Callable[[str], bool], now: datetime
    ) -> tuple[list[StoredMemory], int]:
        """The session's memories that can be made again from these turns alone, and how many others it has.

        What a client stored, changed or repeated, and what is pinned or rests on anything else, is among the others.

        Args:
            key: The session.
            turns: Ids of the messages that can be read again.
            made: Whether a strategy of that name reads turns again.
            now: The current time.
        """
        owner = Lost(key=key, ids=frozenset()).owner
        scope = msgspec.structs.replace(owner, sessions=(key.session,))
        there = [memory async for memory in scan(self._store, scope, [NOT_TURNS])]
        able = [
            memory
            for memory in there
            if memory.record.extractor is not None
            and made(_maker(memory.record))
            and memory.record.source_ids
            and set(memory.record.source_ids) <= set(turns)
        ]
        untouched = await self._untouched(owner, able, now)
        untouched |= {each.record.id for each in able if self.is_digest(each.record) and not each.record.pinned}
        repeated = await aliases.led_to(self._store, owner, now) if able else set()
        gone = [memory for memory in able if memory.record.id in untouched and memory.record.id not in repeated]
        return gone, len(there) - len(gone)

    async def remove(
        self, batch: WriteBatch, owner: Scope, found: Withdrawn, now: datetime, *, reason: Reason = "unsupported"
    ) -> None:
        """Add to a batch that the memories `gone` leave, and that what they had replaced holds again."""
        if not found.gone:
            return
        batch.delete_memories += [memory.record.id for memory in found.gone]
        batch.put_documents += entries(owner.tenant, found.gone, reason, now, self._settings)
        back = await former.give_back(self._store, batch, owner, found.gone, now)
        names = {memory.record.id for memory in back}
        found.changed[:] = [memory for memory in found.changed if memory.record.id not in names] + back

    async def outdated(self, batch: WriteBatch, lost: Lost, now: datetime) -> Withdrawn:
        """Add to a batch that what was made from memories which have changed is stale; nothing is removed."""
        handled = {memory.record.id for memory in batch.put_memories} | set(batch.delete_memories)
        found = [
            replace(memory, record=marked_stale(memory.record, now))
            for memory in await self.resting(lost, now)
            if memory.record.id not in handled and not memory.record.pinned
        ]
        batch.put_memories += found
        return Withdrawn(changed=found, stale=[memory.record.id for memory in found])

    async def resting(self, lost: Lost, now: datetime) -> list[StoredMemory]:
        """The memories that strategies and plugins made from one of the sources."""
        others_than = (TURN_STRATEGY,) if lost.key.session else (TURN_STRATEGY, *self._strategies)
        conditions = (Condition("extraction_strategy", Op.NONE, others_than),)
        found = [
            memory
            async for memory in scan(self._store, lost.owner, conditions)
            if memory.record.extractor is not None and not lost.ids.isdisjoint(memory.record.source_ids)
        ]
        if not lost.key.session:
            return found
        here = [memory for memory in found if (memory.record.session_id or "") == lost.key.session]
        others = [memory for memory in found if (memory.record.session_id or "") != lost.key.session]
        return here + await self._merged_from(lost, others, now)

    def is_digest(self, record: MemoryRecord) -> bool:
        """Tell whether the memory sums up many turns."""
        return record.extractor is not None and record.extraction_strategy in self._digests

    # -- parts -----------------------------------------------------------------------------------------

    async def _says_more(self, lost: Lost, record: MemoryRecord, now: datetime) -> bool:
        """Tell whether memories were merged into it, and none of those that still have a source says what it says."""
        kept = (await former.read(self._store, lost.owner, [record], now))[record.id]
        joined = [each.state for each in kept if each.state.how == "joined" and each.state.parts]
        if not joined:
            return False
        said = statement(record.text)
        parts = [joined[0].memory, *(part for state in joined for part in state.parts)]
        left = [part for part in parts if not part.source_ids or not set(part.source_ids) <= lost.ids]
        return all(statement(part.text) != said for part in left)

    async def _said(self, key: SessionKey, names: Sequence[str]) -> list[datetime]:
        """Times at which these turns were said, oldest first; none if one of them is not kept in the session."""
        turns = await read_memories(self._store, key, names) if key.session else []
        times = {messages_of(turn.record)[0]: turn.record.created_at for turn in turns}
        return sorted(times.values()) if times.keys() >= set(names) else []

    async def _merged_from(self, lost: Lost, memories: Sequence[StoredMemory], now: datetime) -> list[StoredMemory]:
        """Those of other sessions' memories into which one of this session went.

        Ids of messages are unique in their session only: a source counts as this session's if the memory's own session
        is there and never held such a message.
        """
        known: dict[str, Collection[str]] = {}
        found = []
        for memory in memories:
            name = memory.record.session_id or ""
            if name not in known:
                key = msgspec.structs.replace(lost.key, session=name)
                session = await self._store.get_session(lost.owner, key, now) if name else None
                known[name] = session.turns.keys() if session is not None else lost.ids
            if not lost.ids.intersection(memory.record.source_ids).intersection(known[name]):
                found.append(memory)
        return found

    async def _untouched(self, owner: Scope, memories: Iterable[StoredMemory], now: datetime) -> set[str]:
        """Ids of those that nobody but the server has changed since they were made, and that are not pinned."""
        records = [memory.record for memory in memories if not memory.record.pinned]
        changed = [
            record for record in records if record.persisted_at is not None and record.updated_at > record.persisted_at
        ]
        states = await former.read(self._store, owner, changed, now)
        by_client = {
            record.id
            for record in changed
            if record.updated_at not in {each.state.changed_at for each in states[record.id]}
        }
        return {record.id for record in records} - by_client


def marked_stale(record: MemoryRecord, now: datetime) -> MemoryRecord:
    """The record with the note that what it was made from has changed at that time."""
    return msgspec.structs.replace(record, metadata={**record.metadata, STALE: now.isoformat()})


def _maker(record: MemoryRecord) -> str:
    return (record.extractor or "").partition("/")[0]


def _with_sources(record: MemoryRecord, left: Sequence[str], times: Sequence[datetime]) -> MemoryRecord:
    """The record with the sources that are left, and, where their times are known, said at these."""
    names = {name.replace(",", " ") for name in left}
    gone = {name.replace(",", " ") for name in record.source_ids} - names
    extracted = [name for name in record.extracted_from if name not in gone]
    changed = msgspec.structs.replace(record, source_ids=list(left), extracted_from=extracted)
    if record.said_at is None or not times:
        return changed
    earlier = [moment for moment in record.said_before if moment in times[:-1]]
    return msgspec.structs.replace(changed, said_at=times[-1], said_before=earlier)
