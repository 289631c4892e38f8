"""Tells which messages of a write are new or changed, and keeps the server's knowledge of the others."""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from msgspec import UnsetType

from memhost.errors import InvalidRequest, Problem
from memhost.models import Message, StoredSession, TurnMark, new_id
from memhost.operations.requests import MessageInput
from memhost.ports import Turn
from memhost.services.limits import MOST_ITEMS, too_many

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CLIENT_CLOCK_TRUST_US = 10_000_000

_REPEAT = "\x1f"
"""Separates an id from its number where one session holds the same message id several times."""


def check_messages(
    messages: Sequence[MessageInput], now: datetime, *, max_future_s: float, require_times: bool
) -> list[Problem]:
    """Messages whose times are refused.

    Raises:
        InvalidRequest: A message has no content but white space.
    """
    problems = too_many(messages, MOST_ITEMS, ("messages",))  # which a change may have added to
    for index, message in enumerate(messages):
        if not message.content.strip():
            name = message.id if isinstance(message.id, str) else f"number {index}"
            raise InvalidRequest(f"Message {name} has no content; send text or leave the message out.")
        where = ("messages", index, "created_at")
        if isinstance(message.created_at, UnsetType):
            if require_times:
                problems.append(Problem(where=where, kind="missing", message="Field required"))
        elif (message.created_at - now).total_seconds() > max_future_s:
            problems.append(
                Problem(
                    where=where,
                    message=f"created_at is more than {max_future_s:g} s in the future",
                    value=message.created_at.isoformat(),
                )
            )
    return problems


def merge_turns(
    given: Sequence[MessageInput],
    stored: StoredSession | None,
    now: datetime,
    seen_at: datetime | None = None,
) -> tuple[list[Message], dict[str, TurnMark], list[Turn]]:
    """Messages to store, marks of turns seen for the first time or changed, and those turns.

    A message that the session already holds, unchanged, keeps what the server knows of it (extraction flag,
    `persisted_at`, time), whatever the client sends; so does one sent without id that repeats a stored message's
    role and content. A changed message keeps its position. Messages that others have added since the client
    last read the session (`seen_at`, see `unseen`) stay, in front of those that this write adds.
    """
    known = {message.id: message for message in stored.content.messages} if stored else {}
    nameless = _Nameless(known, given)
    marks = stored.turns if stored else {}
    position = stored.next_position if stored else 0
    seen: Counter[str] = Counter()
    messages: list[Message] = []
    changed: dict[str, TurnMark] = {}
    turns: list[Turn] = []
    first_new: int | None = None
    for item in given:
        message = _message(item, known, nameless, now)
        messages.append(message)
        seen[message.id] += 1
        name = turn_name(message.id, seen[message.id])
        fingerprint = fingerprint_of(message)
        mark = marks.get(name)
        if mark is not None and mark.fingerprint == fingerprint:
            _restore(message, known.get(message.id))
            continue
        if mark is None:
            mark = TurnMark(position, fingerprint, micros(now))
            position += 1
            first_new = len(messages) - 1 if first_new is None else first_new
        changed[name] = TurnMark(mark.position, fingerprint, mark.stored_at)
        message.discrete_memory_extracted = "f"
        message.persisted_at = None
        turns.append(Turn(message=message, position=mark.position, occurrence=seen[message.id]))
    added = unseen(stored, {message.id for message in messages}, seen_at, now)
    place = len(messages) if first_new is None else first_new
    return [*messages[:place], *added, *messages[place:]], changed, turns


def turn_name(message_id: str, occurrence: int) -> str:
    """The name of a turn in `StoredSession.turns`."""
    return message_id if occurrence == 1 else f"{message_id}{_REPEAT}{occurrence}"


def unseen(stored: StoredSession | None, given: set[str], seen_at: datetime | None, now: datetime) -> list[Message]:
    """Stored messages that a client leaves out of a write because it cannot know of them.

    Clients read a session, change it and send it back whole, and what they send tells when they read it: what was
    stored later is new to them. A time that is not one of the session's own is the client's clock; it is trusted
    for a few seconds only, so that a clock that is slow does not bring back what a client replaced on purpose.
    """
    if stored is None or seen_at is None:
        return []
    since = micros(seen_at)
    if since not in stored.writes:
        since = max(since, micros(now) - _CLIENT_CLOCK_TRUST_US)
    return [
        message
        for message in stored.content.messages
        if message.id not in given and message.id in stored.turns and stored.turns[message.id].stored_at > since
    ]


def from_micros(value: int) -> datetime:
    """The moment of `micros`."""
    return _EPOCH + timedelta(microseconds=value)


def micros(moment: datetime) -> int:
    """Whole microseconds since 1970, UTC."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


class _Nameless:
    """Finds the stored message that a message sent without id repeats, each at most once."""

    def __init__(self, known: dict[str, Message], given: Sequence[MessageInput]) -> None:
        named = {item.id for item in given if isinstance(item.id, str)}
        self._ids: dict[tuple[str, str], deque[str]] = {}
        for message in known.values():
            if message.id not in named:
                self._ids.setdefault((message.role, message.content), deque()).append(message.id)

    def take(self, item: MessageInput) -> str:
        waiting = self._ids.get((item.role, item.content))
        return waiting.popleft() if waiting else new_id()


def _message(item: MessageInput, known: dict[str, Message], nameless: _Nameless, now: datetime) -> Message:
    message_id = item.id if isinstance(item.id, str) else nameless.take(item)
    before = known.get(message_id)
    if not isinstance(item.created_at, UnsetType):
        created_at = item.created_at
    else:
        created_at = before.created_at if before is not None else now
    return Message(role=item.role, content=item.content, id=message_id, created_at=created_at)


def _restore(message: Message, before: Message | None) -> None:
    """An unchanged turn keeps its flags; one that had left the session was dealt with before it left."""
    message.discrete_memory_extracted = before.discrete_memory_extracted if before is not None else "t"
    message.persisted_at = before.persisted_at if before is not None else None


def fingerprint_of(message: Message | MessageInput) -> bytes:
    """What tells whether a message has changed: a digest of role and content, 8 bytes."""
    text = f"{message.role}\x00{message.content}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=8).digest()
