"""Consequences of deleted and changed memories: everything that was made from them follows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from memhost.jobs.outbox import Outbox
from memhost.memories.derived.edits import same_words
from memhost.memories.derived.kept_turns import keeps_turn, messages_of
from memhost.memories.derived.support import Lost, Support, Withdrawn
from memhost.models import MemoryRecord, Scope, SessionKey, StoredMemory, WriteBatch
from memhost.ports import Store

_MOST_STEPS = 8
"""Number of steps in which memories made from removed ones are followed: from turns, from memories of these, and on."""


class Rereading(Protocol):
    """Has turns of a session read again, or no longer."""

    async def deleted(
        self, batch: WriteBatch, key: SessionKey, ids: Collection[str], now: datetime, *, again: bool
    ) -> None:
        """Add to a batch that these messages are not read any more; `again`: what sums up the session is made again."""
        ...

    async def forget(self, batch: WriteBatch, tenant: str, records: Sequence[MemoryRecord], now: datetime) -> None:
        """Add to a batch the removal of what else is kept of memories that are deleted for good."""
        ...

    async def edited(self, batch: WriteBatch, key: SessionKey, turn: StoredMemory, now: datetime) -> bool:
        """Add to a batch that the turn waits, as its memory has it now; return whether something will read it."""
        ...


class RunningSummaries(Protocol):
    """Marks running summaries of sessions."""

    async def outdate(self, batch: WriteBatch, key: SessionKey, ids: Collection[str], now: datetime) -> None:
        """Add to a batch that the session's summary is made again, if it covers one of these messages."""
        ...


class SummaryMarks(Protocol):
    """Marks summaries of which memories have changed."""

    async def mark(self, batch: WriteBatch, tenant: str, memories: Sequence[MemoryRecord], now: datetime) -> None:
        """Add to a batch that the summaries that may tell of these memories are out of date."""
        ...


class Cascade:
    """Carries deletions and changes of memories on to what was made from them.

    Args:
        store: Where everything is.
        support: Finds what rests on memories.
        rereading: Turns that wait for extraction.
        marks: Summaries of many memories.
        running: Running summaries of sessions.
        outbox: Makes jobs.
    """

    def __init__(
        self,
        *,
        store: Store,
        support: Support,
        rereading: Rereading,
        marks: SummaryMarks,
        running: RunningSummaries,
        outbox: Outbox,
    ) -> None:
        self._store = store
        self._support = support
        self._rereading = rereading
        self._marks = marks
        self._running = running
        self._outbox = outbox

    async def deleted(
        self,
        tenant: str,
        memories: Sequence[StoredMemory],
        now: datetime,
        messages: Mapping[SessionKey, Collection[str]] | None = None,
    ) -> None:
        """Commit what follows from the deletion of these memories, which comes next.

        What was made from a deleted turn alone goes to the trash; what has other sources loses this one.

        Args:
            tenant: Whose memories they are.
            memories: The memories.
            now: The current time.
            messages: Ids of further messages that are deleted, of which there may be no memories, by session.
        """
        batch = WriteBatch(delete_memories=[memory.record.id for memory in memories])
        leaving = len(batch.delete_memories)
        changed = [memory.record for memory in memories]
        turns = turns_of(tenant, memories)
        for key, names in (messages or {}).items():
            turns.setdefault(key, set()).update(names)
        for key, ids in turns.items():
            found = await self._support.withdraw(batch, Lost(key=key, ids=frozenset(ids)), _anyone, now)
            await self._rereading.deleted(batch, key, ids, now, again=bool(found.stale))
            await self._running.outdate(batch, key, ids, now)
            changed += [memory.record for memory in found.memories]
            batch.add_jobs += found.jobs(self._outbox, tenant, now)
        changed += await self._made_from(batch, tenant, changed, now)
        await self._marks.mark(batch, tenant, changed, now)
        await self._rereading.forget(batch, tenant, [memory.record for memory in memories], now)
        batch.delete_memories = batch.delete_memories[leaving:]
        await self._commit(tenant, batch)

    async def edited(self, tenant: str, before: StoredMemory, after: StoredMemory, now: datetime) -> None:
        """Commit what follows from another text of a memory, which is stored next.

        A turn is read again as it is now; what was made from any other memory is marked as stale.
        """
        batch = WriteBatch()
        changed = [before.record, after.record]
        if not same_words(before.record.text, after.record.text):
            for key, ids in turns_of(tenant, [before]).items():
                lost = Lost(key=key, ids=frozenset(ids))
                if await self._rereading.edited(batch, key, after, now):
                    found = await self._support.withdraw(batch, lost, _nobody, now)
                else:
                    found = await self._support.outdated(batch, lost, now)
                changed += [memory.record for memory in found.memories]
                batch.add_jobs += found.jobs(self._outbox, tenant, now)
            changed += await self.outdate(batch, tenant, [before.record], now)
        await self._marks.mark(batch, tenant, changed, now)
        await self._commit(tenant, batch)

    async def turns_edited(
        self, batch: WriteBatch, lost: Lost, made: Callable[[str], bool], turns: Sequence[MemoryRecord], now: datetime
    ) -> Withdrawn:
        """Add to a batch what follows from turns that a session's write or an extraction has read again.

        Summary views are marked at once, by a commit of its own: they may be of wider scope than the write.

        Args:
            batch: The batch, with what the turns give now.
            lost: What the turns said before.
            made: Whether the memories of a strategy of that name were read again.
            turns: The memories of the turns themselves.
            now: The current time.
        """
        if not lost.ids:
            return Withdrawn()
        tenant = lost.key.tenant
        found = await self._support.withdraw(batch, lost, made, now)
        batch.add_jobs += found.jobs(self._outbox, tenant, now)
        marks = WriteBatch()
        await self._running.outdate(batch, lost.key, lost.ids, now)
        await self._marks.mark(marks, tenant, [*turns, *(memory.record for memory in found.memories)], now)
        await self._commit(tenant, marks)
        return found

    async def changed(self, batch: WriteBatch, tenant: str, memories: Sequence[MemoryRecord], now: datetime) -> None:
        """Add to a batch what follows from memories that it replaces, changes or removes."""
        if memories:
            more = await self.outdate(batch, tenant, memories, now)
            await self._marks.mark(batch, tenant, [*memories, *more], now)

    async def outdate(
        self, batch: WriteBatch, tenant: str, memories: Sequence[MemoryRecord], now: datetime
    ) -> list[MemoryRecord]:
        """Add to a batch that what plugins made from these memories is stale; return what is marked."""
        found = []
        for key, ids in _owners(tenant, memories).items():
            outdated = await self._support.outdated(batch, Lost(key=key, ids=frozenset(ids)), now)
            batch.add_jobs += outdated.jobs(self._outbox, tenant, now)
            found += [memory.record for memory in outdated.memories]
        return found

    async def _made_from(
        self, batch: WriteBatch, tenant: str, memories: Sequence[MemoryRecord], now: datetime
    ) -> list[MemoryRecord]:
        """Withdraw what plugins made from removed memories, and what was made from that in turn."""
        found: list[MemoryRecord] = []
        out = set(batch.delete_memories)
        waiting = [record for record in memories if record.id in out]
        for _ in range(_MOST_STEPS):
            step = waiting
            waiting = []
            for key, ids in _owners(tenant, step).items():
                withdrawn = await self._support.withdraw(batch, Lost(key=key, ids=frozenset(ids)), _anyone, now)
                batch.add_jobs += withdrawn.jobs(self._outbox, tenant, now)
                found += [memory.record for memory in withdrawn.memories]
                waiting += [memory.record for memory in withdrawn.gone]
            if not waiting:
                break
        return found

    async def _commit(self, tenant: str, batch: WriteBatch) -> None:
        if batch != WriteBatch():
            await self._store.commit(Scope(tenant=tenant), batch)
            self._outbox.committed(batch.add_jobs)


def turns_of(tenant: str, memories: Sequence[StoredMemory]) -> dict[SessionKey, set[str]]:
    """Ids of the messages of those memories that are turns of conversations, by session."""
    found: dict[SessionKey, set[str]] = {}
    for memory in memories:
        record = memory.record
        if keeps_turn(record) and record.session_id:
            key = SessionKey(tenant, record.namespace or "", record.user_id or "", record.session_id)
            found.setdefault(key, set()).update(messages_of(record))
    return found


def _owners(tenant: str, memories: Sequence[MemoryRecord]) -> dict[SessionKey, set[str]]:
    found: dict[SessionKey, set[str]] = {}
    for record in memories:
        found.setdefault(SessionKey(tenant, record.namespace or "", record.user_id or "", ""), set()).add(record.id)
    return found


def _anyone(_strategy: str) -> bool:
    return True


def _nobody(_strategy: str) -> bool:
    return False
