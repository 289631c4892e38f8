"""Turns of which the memories were deleted or changed by hand: what the extraction of their session makes of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from memhost.extraction.pipeline.answer_journal import AnswerJournal
from memhost.extraction.pipeline.extraction_queue import ExtractionQueue, kind_of
from memhost.extraction.pipeline.log import ExtractionLogs
from memhost.extraction.pipeline.run_records import naming
from memhost.extraction.pipeline.strategy_choice import StrategyChoice
from memhost.memories.derived.kept_turns import as_edited, keeps_turn, messages_of
from memhost.messages.turns import turn_name
from memhost.models import TURN_STRATEGY, Document, MemoryRecord, Scope, SessionKey, StoredMemory, WriteBatch
from memhost.ports import Clock, Store, Turn


class ExtractionRereading:
    """A `memhost.memories.derived.cascade.Rereading` for strategies that work in the background."""

    def __init__(
        self, *, store: Store, queue: ExtractionQueue, logs: ExtractionLogs, choice: StrategyChoice, clock: Clock
    ) -> None:
        self._store = store
        self._queue = queue
        self._logs = logs
        self._choice = choice
        self._clock = clock

    async def deleted(
        self, batch: WriteBatch, key: SessionKey, ids: Collection[str], now: datetime, *, again: bool
    ) -> None:
        """Add to a batch that no strategy is shown these messages any more.

        Args:
            batch: The batch.
            key: Their session.
            ids: Ids of the messages.
            now: The current time.
            again: A summary told of them: the last message that is left waits, so that the summary is made again.
        """
        waiting = await self._queue.list_all(key, now)
        batch.delete_documents += [entry.name for entry in waiting if entry.item.message.id in ids]
        batch.delete_documents.append(AnswerJournal(self._store, self._clock, key).name)
        log = await self._logs.read(key, now)
        log.left_out(ids)
        batch.put_documents.append(self._logs.document(key, log, now))
        if again:
            await self._read_last(batch, key, now, without=log.deleted)

    async def forget(self, batch: WriteBatch, tenant: str, records: Sequence[MemoryRecord], now: datetime) -> None:
        """Add to a batch the removal of the records of runs that hold these memories, which are deleted for good."""
        owners: dict[tuple[str, str], list[MemoryRecord]] = {}
        for record in records:
            owners.setdefault((record.namespace or "", record.user_id or ""), []).append(record)
        for (namespace, user), theirs in owners.items():
            scope = Scope(tenant=tenant, namespaces=(namespace,), users=(user,))
            names = [name for record in theirs for name in (record.id, *_own_message(record))]
            batch.delete_documents += await naming(self._store, scope, names, [*map(_said, theirs)], now)

    async def edited(self, batch: WriteBatch, key: SessionKey, turn: StoredMemory, now: datetime) -> bool:
        """Add to a batch that the turn waits with the text that its memory has; False if no strategy reads it."""
        session = await self._store.get_session(Scope(tenant=key.tenant), key, now)
        name = messages_of(turn.record)[0]
        message = next((each for each in session.content.messages if each.id == name), None) if session else None
        if session is None or message is None or name not in session.turns or not self._queue.used_by(session):
            return False
        said = as_edited(message, turn)
        mark = session.turns[name]
        _, document = self._queue.waiting_turn(session, Turn(message=said, position=mark.position), now, edited=True)
        self._wait(batch, key, document, now)
        return True

    async def _read_last(self, batch: WriteBatch, key: SessionKey, now: datetime, *, without: Collection[str]) -> None:
        session = await self._store.get_session(Scope(tenant=key.tenant), key, now)
        if session is None or not self._queue.used_by(session):
            return
        if not self._choice.sums_up(key, session.content.long_term_memory_strategy):
            return
        left = [
            message
            for message in session.content.messages
            if message.id not in without and message.content and turn_name(message.id, 1) in session.turns
        ]
        if left:
            mark = session.turns[left[-1].id]
            _, document = self._queue.waiting_turn(
                session, Turn(message=left[-1], position=mark.position), now, edited=False
            )
            self._wait(batch, key, document, now)

    def _wait(self, batch: WriteBatch, key: SessionKey, document: Document, now: datetime) -> None:
        batch.put_documents.append(document)
        batch.delete_documents = [name for name in batch.delete_documents if name != (kind_of(key), document.id)]
        batch.add_jobs += self._queue.jobs(key, now, now)


def _own_message(record: MemoryRecord) -> Sequence[str]:
    """Return the id of the message that the memory is, if it is one."""
    return messages_of(record) if keeps_turn(record) else ()


def _said(record: MemoryRecord) -> str:
    """Return the text of the memory as prompts show it: of a turn without its role."""
    lead, _, said = record.text.partition(": ")
    return said if record.extraction_strategy == TURN_STRATEGY and lead and " " not in lead else record.text
