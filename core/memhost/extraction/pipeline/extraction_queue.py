"""Turns that wait for extraction: kept beside the session, as documents, from the write to the extraction.

Each waiting turn is one document that holds a copy of the message, committed together with the session. A run of the
extraction commits what it made together with the removal of just these documents, and only if they are all still
there. So a turn is extracted once, whatever happens to its session meanwhile: it is trimmed, overwritten, deleted, or
expires.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from memhost.events import ExtractionDue
from memhost.extraction.pipeline.log import ExtractionLogs, mark_of
from memhost.extraction.pipeline.strategy_choice import StrategyChoice
from memhost.jobs.outbox import Outbox, session_name
from memhost.memories.derived.edits import same_words
from memhost.messages.turns import turn_name
from memhost.messages.windows import count_tokens
from memhost.models import Document, Job, Message, Scope, SessionKey, StoredSession, StrategyConfig
from memhost.ports import Store, Turn
from memhost.settings import ExtractionSettings

_BEFORE_EXPIRY = timedelta(seconds=5)


class WaitingTurn(msgspec.Struct, kw_only=True):
    """A turn that waits, with what is needed to extract it without its session.

    `edited`: it was read before, with another content.
    """

    message: Message
    position: int
    occurrence: int
    added_at: datetime
    tokens: int
    strategy: StrategyConfig
    edited: bool = False

    @property
    def turn(self) -> Turn:
        """The turn as strategies get it."""
        return Turn(message=self.message, position=self.position, occurrence=self.occurrence)


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A waiting turn and its document."""

    document: Document
    item: WaitingTurn

    @property
    def name(self) -> tuple[str, str]:
        """Kind and id of the document."""
        return self.document.kind, self.document.id


class Staged(msgspec.Struct, frozen=True, kw_only=True):
    """Additions that extraction makes to the batch of a session's write."""

    put_documents: list[Document] = []
    delete_documents: list[tuple[str, str]] = []
    jobs: list[Job] = []


class ExtractionQueue:
    """Keeps turns that wait for extraction, and decides when they are due."""

    def __init__(
        self,
        *,
        store: Store,
        logs: ExtractionLogs,
        choice: StrategyChoice,
        outbox: Outbox,
        settings: ExtractionSettings,
    ) -> None:
        self._store = store
        self._logs = logs
        self._choice = choice
        self._outbox = outbox
        self._settings = settings

    def used_by(self, session: StoredSession) -> bool:
        """Tell whether turns of this session wait for a model."""
        wanted = session.content.long_term_memory_strategy
        return self._choice.with_model(session.key, wanted) is not None and self._outbox.wants("extraction_due")

    async def list_all(self, key: SessionKey, now: datetime) -> list[Waiting]:
        """The waiting turns of a session in order of position."""
        documents = await self._store.list_documents(Scope(tenant=key.tenant), kind_of(key), now)
        return [
            Waiting(document=document, item=msgspec.msgpack.decode(document.body, type=WaitingTurn))
            for document in documents
        ]

    async def stage(
        self,
        before: StoredSession | None,
        session: StoredSession,
        turns: Sequence[Turn],
        now: datetime,
        *,
        at_once: bool = False,
    ) -> Staged:
        """Return what extraction commits with a write of the session that brought these turns.

        Args:
            before: The session as it was.
            session: The session as it will be.
            turns: Its new and changed turns.
            now: The current time.
            at_once: Do not wait for quiet.
        """
        turns = [turn for turn in turns if turn.message.content]  # nothing can be read from pictures and calls alone
        if not self.used_by(session) or not (turns or at_once):
            return Staged()
        waiting = await self.list_all(session.key, now)
        flags = {entry.document.id: entry.item.edited for entry in waiting}
        turns, edited = _to_read(before, session, turns, flags)
        unread = await self._unread(before, session, turns, waiting, now)
        fresh = [
            self._document(session, turn, now, edited.get(turn_name(turn.message.id, turn.occurrence), False))
            for turn in unread
        ]
        outdated = {*_outdated(before, edited), *_said_otherwise(before, waiting, unread)}
        outdated -= {document.id for _, document in fresh}
        items = [entry.item for entry in waiting if entry.document.id not in outdated] + [item for item, _ in fresh]
        return Staged(
            put_documents=[
                *(document for _, document in fresh),
                *await self._said_again(session.key, edited, turns, now),
            ],
            delete_documents=[(kind_of(session.key), document_id) for document_id in outdated],
            jobs=self.jobs(session.key, now, now if at_once else self._due(session, items, now)) if items else [],
        )

    async def _unread(
        self,
        before: StoredSession | None,
        session: StoredSession,
        turns: Sequence[Turn],
        waiting: Sequence[Waiting],
        now: datetime,
    ) -> list[Turn]:
        """The turns without those that an earlier session of this identity has left waiting or done."""
        if before is not None:
            return list(turns)
        log = await self._logs.read(session.key, now)
        known = {mark_of(entry.item.message) for entry in waiting}
        return [turn for turn in turns if mark_of(turn.message) not in known and not log.knows(turn.message)]

    async def _said_again(
        self, key: SessionKey, edited: Mapping[str, bool], turns: Sequence[Turn], now: datetime
    ) -> list[Document]:
        """Return the log of the session without edited messages among those whose memories were deleted."""
        ids = {turn.message.id for turn in turns if turn_name(turn.message.id, turn.occurrence) in edited}
        log = await self._logs.read(key, now) if ids else None
        if log is None or ids.isdisjoint(log.deleted):
            return []
        log.said_again(ids)
        return [self._logs.document(key, log, now)]

    def jobs(self, key: SessionKey, now: datetime, due_at: datetime) -> list[Job]:
        """The job that extracts the session's waiting turns; it takes the place of one that waits already."""
        delay_s = (due_at - now).total_seconds()
        event = ExtractionDue(session=key)
        return self._outbox.jobs(
            "extraction_due", event, tenant=key.tenant, now=now, delay_s=delay_s, key=session_name(key)
        )

    def _due(self, session: StoredSession, items: Sequence[WaitingTurn], now: datetime) -> datetime:
        settings = self._settings
        most, size = settings.extraction_threshold_messages, settings.extraction_threshold_tokens
        if (most and len(items) >= most) or (size and sum(item.tokens for item in items) >= size):
            return now
        first = min(item.added_at for item in items)
        due = min(
            now + timedelta(seconds=settings.extraction_debounce_seconds),
            first + timedelta(seconds=settings.extraction_max_wait_seconds),
        )
        if session.expires_at is not None:
            due = min(due, session.expires_at - _BEFORE_EXPIRY)
        return max(due, now)

    def waiting_turn(
        self, session: StoredSession, turn: Turn, now: datetime, *, edited: bool
    ) -> tuple[WaitingTurn, Document]:
        """A turn of the session that waits, and its document."""
        return self._document(session, turn, now, edited)

    def waiting_document(
        self, key: SessionKey, strategy: StrategyConfig, turn: Turn, fingerprint: bytes, now: datetime, *, edited: bool
    ) -> Document:
        """The document by which a turn waits, whether its session is there or not."""
        return _made(key, strategy, turn, fingerprint, now, edited=edited)[1]

    def _document(
        self, session: StoredSession, turn: Turn, now: datetime, edited: bool
    ) -> tuple[WaitingTurn, Document]:
        mark = session.turns[turn_name(turn.message.id, turn.occurrence)]
        strategy = session.content.long_term_memory_strategy
        return _made(session.key, strategy, turn, mark.fingerprint, now, edited=edited, place=mark.position)


def _made(
    key: SessionKey,
    strategy: StrategyConfig,
    turn: Turn,
    fingerprint: bytes,
    now: datetime,
    *,
    edited: bool,
    place: int | None = None,
) -> tuple[WaitingTurn, Document]:
    item = WaitingTurn(
        message=turn.message,
        position=turn.position,
        occurrence=turn.occurrence,
        added_at=now,
        tokens=count_tokens(turn.message),
        strategy=strategy,
        edited=edited,
    )
    document = Document(
        kind=kind_of(key),
        id=_document_id(turn.position if place is None else place, fingerprint),
        tenant=key.tenant,
        namespace=key.namespace,
        user=key.user,
        body=msgspec.msgpack.encode(item),
        updated_at=now,
    )
    return item, document


def kind_of(key: SessionKey) -> str:
    """Kind of the documents of one session's waiting turns."""
    return f"pending:{hashlib.sha256(session_name(key).encode()).hexdigest()[:32]}"


def _document_id(position: int, fingerprint: bytes) -> str:
    return f"{position:012d}:{fingerprint.hex()}"


def _said_otherwise(before: StoredSession | None, waiting: Sequence[Waiting], unread: Sequence[Turn]) -> set[str]:
    """Ids of documents of turns that an earlier session left waiting, and that say something else now."""
    if before is not None:
        return set()
    names = {(turn.message.id, turn.occurrence) for turn in unread}
    return {entry.document.id for entry in waiting if (entry.item.message.id, entry.item.occurrence) in names}


def edited_turns(before: StoredSession | None, session: StoredSession, turns: Sequence[Turn]) -> dict[str, bytes]:
    """Names of turns that were there with another content, and the fingerprints that they had."""
    names = [turn_name(turn.message.id, turn.occurrence) for turn in turns]
    earlier = {name: before.turns.get(name) for name in names} if before is not None else {}
    return {
        name: mark.fingerprint
        for name, mark in earlier.items()
        if mark is not None and mark.fingerprint != session.turns[name].fingerprint
    }


def rephrased(before: StoredSession | None, session: StoredSession, turns: Sequence[Turn]) -> dict[str, bytes]:
    """As `edited_turns`, without those that differ from the stored message in white space at most."""
    edited = edited_turns(before, session, turns)
    stored = {message.id: message for message in before.content.messages} if before is not None and edited else {}
    alike = {
        turn.message.id
        for turn in turns
        if turn.occurrence == 1
        and (earlier := stored.get(turn.message.id)) is not None
        and _alike(earlier, turn.message)
    }
    return {name: fingerprint for name, fingerprint in edited.items() if name not in alike}


def _alike(one: Message, other: Message) -> bool:
    return (one.role, one.name) == (other.role, other.name) and same_words(one.content, other.content)


def _to_read(
    before: StoredSession | None, session: StoredSession, turns: Sequence[Turn], waiting: Mapping[str, bool]
) -> tuple[list[Turn], dict[str, bool]]:
    """Return the turns to read, and by their names whether those that were there before have to be read again.

    A turn with other white space is read only if it still waits. `waiting` are the ids of the documents that wait, and
    whether each was edited.
    """
    edited = edited_turns(before, session, turns)
    anew = dict.fromkeys(rephrased(before, session, turns), True)
    for name in edited:
        if name not in anew and before is not None:
            mark = before.turns[name]
            document_id = _document_id(mark.position, mark.fingerprint)
            if document_id in waiting:
                anew[name] = waiting[document_id]
    kept = [
        turn for turn in turns if (name := turn_name(turn.message.id, turn.occurrence)) not in edited or name in anew
    ]
    return kept, anew


def _outdated(before: StoredSession | None, edited: Iterable[str]) -> list[str]:
    """Documents of turns that wait with an older content."""
    marks = [before.turns[name] for name in edited] if before is not None else []
    return [_document_id(mark.position, mark.fingerprint) for mark in marks]
