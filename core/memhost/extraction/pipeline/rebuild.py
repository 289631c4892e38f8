"""Rebuilding: what strategies made of turns is removed, and the turns wait to be read again."""

from __future__ import annotations

import logging
from datetime import datetime

from memhost.errors import Forbidden, InvalidRequest
from memhost.events import MemoriesDeleted
from memhost.extraction.pipeline.answer_journal import AnswerJournal
from memhost.extraction.pipeline.extraction_queue import ExtractionQueue
from memhost.extraction.pipeline.log import ExtractionLogs
from memhost.extraction.pipeline.strategy_choice import StrategyChoice
from memhost.jobs.outbox import Outbox
from memhost.jobs.shared_work import SharedWork
from memhost.jobs.tasks import LongWork
from memhost.memories.derived.cascade import Cascade
from memhost.memories.derived.kept_turns import as_edited, keeps_turn, turn_of
from memhost.memories.derived.support import TURNS, Support, Withdrawn
from memhost.memories.enabled import require_long_term_memory
from memhost.messages.turns import fingerprint_of, turn_name
from memhost.models import (
    Message,
    Scope,
    SessionKey,
    StoredMemory,
    StoredSession,
    StrategyConfig,
    WriteBatch,
)
from memhost.models.roles import OPERATORS
from memhost.operations.maintenance import RebuildMemories
from memhost.operations.responses import RebuildAck, RebuildReport, Task
from memhost.operations.table import Call
from memhost.ports import Clock, Store, Turn
from memhost.settings import Settings
from memhost.storage.paging import scan, session_keys, walk

logger = logging.getLogger(__name__)


class Rebuilding:
    """Makes what strategies derive from turns again."""

    def __init__(
        self,
        *,
        store: Store,
        choice: StrategyChoice,
        queue: ExtractionQueue,
        logs: ExtractionLogs,
        support: Support,
        cascade: Cascade,
        long_work: LongWork,
        outbox: Outbox,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._store = store
        self._choice = choice
        self._queue = queue
        self._logs = logs
        self._support = support
        self._cascade = cascade
        self._shared: SharedWork[RebuildReport] = SharedWork(long_work, "rebuild", clock)
        self._outbox = outbox
        self._settings = settings
        self._clock = clock

    async def rebuild(self, call: Call, request: RebuildMemories) -> RebuildAck:
        """Rebuild the scope of a request; return the report, or the task if the caller does not wait that long.

        Raises:
            LongTermMemoryDisabled: Long-term memory is off.
            Forbidden: The caller may not rebuild what belongs to more than users that are named.
            InvalidRequest: A strategy needs a language model, and none is configured; nothing was changed.
            TooManyRequests: The caller has too many rebuilds under way.
        """
        require_long_term_memory(self._settings.memory)
        scope = call.caller.bounds.narrow(
            namespace=request.namespace or None,
            user=request.user_id or None,
            session=request.session_id or None,
        )
        if scope.users is None and call.caller.roles.isdisjoint(OPERATORS):
            raise Forbidden("Only an operator or admin may rebuild the memories of all users; give a user_id.")
        done = await self._shared.run(
            call.caller.bounds,
            (scope, request.dry_run),
            lambda: self.apply(scope, dry_run=request.dry_run),
            request.wait_s,
        )
        if isinstance(done, Task):
            return RebuildAck(status="running", task_id=done.id)
        return RebuildAck(status="ok", report=done)

    async def apply(self, scope: Scope, *, dry_run: bool = False) -> RebuildReport:
        """Rebuild a scope, session by session, each in one commit; return the report. Can be repeated at any point.

        Raises:
            InvalidRequest: A strategy needs a language model, and none is configured; nothing was changed.
        """
        keys = [key for key in await self._sessions(scope) if await self._is_read(key)]
        sessions = turns = removed = kept = 0
        for key in keys:
            waiting, gone, stays = await self._session(key, dry_run=dry_run)
            sessions += bool(waiting)
            turns += waiting
            removed += gone
            kept += stays
        report = RebuildReport(sessions=sessions, turns=turns, removed=removed, kept=kept, dry_run=dry_run)
        if not dry_run and turns:
            fields = {"tenant": scope.tenant, "sessions": sessions, "turns": turns, "removed": removed}
            logger.info("memories.rebuilding", extra={"fields": fields})
        return report

    # -- parts -----------------------------------------------------------------------------------------

    async def _sessions(self, scope: Scope) -> list[SessionKey]:
        """The sessions inside the scope that are there, or of which long-term memory keeps turns."""
        keys = dict.fromkeys(await session_keys(self._store, scope, self._clock.now()))
        async for memory in walk(self._store, scope, [TURNS]):
            record = memory.record
            if record.session_id:
                keys[SessionKey(scope.tenant, record.namespace or "", record.user_id or "", record.session_id)] = None
        return list(keys)

    async def _is_read(self, key: SessionKey) -> bool:
        """Tell whether a strategy reads the session in the background.

        Raises:
            InvalidRequest: One would, with a language model.
        """
        wanted = _wanted(await self._stored(key))
        if self._choice.with_model(key, wanted) is not None:
            return self._outbox.wants("extraction_due")
        if self._choice.lacks_model(key, wanted):
            told = self._choice.why_without_model(key, wanted)
            raise InvalidRequest(f"Session {key.session} cannot be read again, so nothing was removed. {told}")
        return False

    async def _session(self, key: SessionKey, *, dry_run: bool) -> tuple[int, int, int]:
        """Rebuild one session; return the numbers of turns that wait, and of memories that went and that stay."""
        now = self._clock.now()
        session = await self._stored(key)
        turns = await self._turns(key, session, now)
        if not turns:
            return 0, 0, 0
        names = {turn.message.id for turn in turns}
        gone, stays = await self._support.renewable(key, names, self._reads, now)
        if dry_run:
            return len(turns), len(gone), stays
        batch = WriteBatch()
        owner = Scope(tenant=key.tenant, namespaces=(key.namespace,), users=(key.user,))
        found = Withdrawn(gone=gone)
        await self._support.remove(batch, owner, found, now, reason="rebuilt")
        batch.add_jobs = self._outbox.memory_jobs(
            "memories_deleted", MemoriesDeleted, batch.delete_memories, tenant=key.tenant, now=now
        )
        await self._cascade.changed(batch, key.tenant, [memory.record for memory in found.memories], now)
        batch.delete_documents.append(AnswerJournal(self._store, self._clock, key).name)
        wanted = _wanted(session)
        edited = {entry.item.message.id for entry in await self._queue.list_all(key, now) if entry.item.edited}
        for turn in turns:
            name = turn.message.id
            mark = session.turns.get(turn_name(name, turn.occurrence)) if session is not None else None
            fingerprint = mark.fingerprint if mark is not None else fingerprint_of(turn.message)
            document = self._queue.waiting_document(key, wanted, turn, fingerprint, now, edited=name in edited)
            batch.put_documents.append(document)
        batch.add_jobs += self._queue.jobs(key, now, now)
        await self._store.commit(Scope(tenant=key.tenant), batch)
        self._outbox.committed(batch.add_jobs)
        return len(turns), len(gone), stays

    async def _turns(self, key: SessionKey, session: StoredSession | None, now: datetime) -> list[Turn]:
        """The turns that can be read: those of the session, and those that long-term memory keeps.

        Of both the session's counts, with the text of its memory if that was edited since.
        """
        deleted = set((await self._logs.read(key, now)).deleted)
        scope = Scope(tenant=key.tenant, namespaces=(key.namespace,), users=(key.user,), sessions=(key.session,))
        kept: dict[str, StoredMemory] = {}
        async for memory in scan(self._store, scope, [TURNS]):
            if keeps_turn(memory.record):
                kept[turn_of(memory).message.id] = memory
        found = {name: turn_of(memory) for name, memory in kept.items()}
        for message in session.content.messages if session is not None else ():
            mark = session.turns.get(message.id) if session is not None else None
            if mark is not None and message.content:
                if message.id in kept and _is_newer(kept[message.id], message):
                    message = as_edited(message, kept[message.id])
                found[message.id] = Turn(message=message, position=mark.position)
        left = [turn for turn in found.values() if turn.message.id not in deleted]
        return sorted(left, key=lambda turn: (turn.position, turn.message.created_at, turn.message.id))

    async def _stored(self, key: SessionKey) -> StoredSession | None:
        return await self._store.get_session(Scope(tenant=key.tenant), key, self._clock.now())

    def _reads(self, strategy: str) -> bool:
        return self._choice.in_background(strategy)


def _wanted(session: StoredSession | None) -> StrategyConfig:
    return session.content.long_term_memory_strategy if session is not None else StrategyConfig()


def _is_newer(memory: StoredMemory, message: Message) -> bool:
    """Tell whether the memory of a message was changed after it was made."""
    return message.persisted_at is not None and memory.record.updated_at > message.persisted_at
