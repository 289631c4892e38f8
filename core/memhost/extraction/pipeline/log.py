"""The result of a session's extraction: its state, what the provider declined, and which turns are done."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

import msgspec

from memhost.jobs.outbox import session_name
from memhost.models import Document, Message, Scope, SessionKey
from memhost.ports import Store

_KIND = "extraction"
_KEPT = timedelta(days=90)
_REFUSED_KEPT = 1000
_DONE_KEPT = 4096
_MARK_BYTES = 8


class ExtractionLog(msgspec.Struct, kw_only=True):
    """The log of one session; it outlives the session.

    `refused` are ids of messages that the provider declined. `done` holds the marks of the latest turns that were
    dealt with, so that a client that sends an expired session again does not pay for it again. `deleted` are ids of
    messages whose memories were deleted: no strategy is shown them any more. `runs` counts the runs whose records were
    kept.
    """

    state: str = "idle"
    tried_at: datetime | None = None
    last_run_at: datetime | None = None
    last_error: str | None = None
    waiting_since: datetime | None = None
    refused: list[str] = []
    done: bytes = b""
    deleted: list[str] = []
    runs: int = 0

    def knows(self, message: Message) -> bool:
        """Tell whether the message, in its present form, was processed."""
        mark = mark_of(message)
        return any(self.done[at : at + _MARK_BYTES] == mark for at in range(0, len(self.done), _MARK_BYTES))

    def finished(self, messages: Iterable[Message], now: datetime) -> None:
        """A run dealt with these messages."""
        self.done = (self.done + b"".join(mark_of(message) for message in messages))[-_DONE_KEPT * _MARK_BYTES :]
        self.last_run_at, self.waiting_since = now, None
        if self.state != "refused":
            self.state, self.last_error = "idle", None

    def left_out(self, ids: Collection[str]) -> None:
        """The memories of these messages were deleted."""
        self.deleted = list(dict.fromkeys([*self.deleted, *sorted(ids)]))[-_REFUSED_KEPT:]

    def said_again(self, ids: Collection[str]) -> None:
        """These messages have a new content."""
        self.deleted = [name for name in self.deleted if name not in ids]

    def declined(self, message: Message, reason: str, now: datetime) -> None:
        """The provider declined a message."""
        self.finished([message], now)
        self.refused = [*self.refused, message.id][-_REFUSED_KEPT:]
        self.state, self.last_error, self.tried_at = "refused", reason, now

    def declined_in_part(self, reason: str, now: datetime) -> None:
        """The provider declined parts of long messages that were dealt with otherwise."""
        self.state, self.last_error, self.tried_at = "refused", reason, now

    def failed(self, state: str, reason: str, now: datetime) -> None:
        """Note that an attempt failed; waiting messages continue to wait."""
        self.waiting_since = (self.waiting_since or now) if state == "waiting" else None
        self.state, self.last_error, self.tried_at = state, reason, now


class ExtractionLogs:
    """The logs in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def read(self, key: SessionKey, now: datetime) -> ExtractionLog:
        """The log of a session, an empty one if there is none."""
        found = await self._store.get_document(Scope(tenant=key.tenant), _KIND, session_name(key), now)
        return msgspec.msgpack.decode(found.body, type=ExtractionLog) if found is not None else ExtractionLog()

    def document(self, key: SessionKey, log: ExtractionLog, now: datetime) -> Document:
        """The log, to commit."""
        return Document(
            kind=_KIND,
            id=session_name(key),
            tenant=key.tenant,
            namespace=key.namespace,
            user=key.user,
            body=msgspec.msgpack.encode(log),
            updated_at=now,
            expires_at=now + _KEPT,
        )


def mark_of(message: Message) -> bytes:
    """Return eight bytes that identify a message's id and content."""
    text = f"{message.id}\x00{message.role}\x00{message.content}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=_MARK_BYTES).digest()
