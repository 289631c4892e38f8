"""Tells which messages of a write are new or changed, and keeps the server's knowledge of the others."""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Sequence
from datetime import datetime
from operator import is_

import msgspec
from msgspec import UNSET, UnsetType

from memhost.errors import InvalidRequest, Problem
from memhost.messages.concurrent_writes import Missed
from memhost.models import SENT_FIELDS, Message, StoredSession, Trust, TurnMark, new_id
from memhost.models.trust import by_role, lowest, of_turn, rank
from memhost.operations.limits import MAX_ITEMS, MAX_MESSAGE_LENGTH, too_deep, too_many
from memhost.operations.requests import MessageInput
from memhost.ports import Turn
from memhost.storekit import from_micros, to_micros
from memhost.text.conversation import brought_by, is_text, says_something, spoken

_SHORTEST_WINDOW = 3
"""Messages in a row by which a window over the history is recognised; shorter runs are easily repeated by chance."""

_REPEAT = "\x1f"
"""Separates an id from its number where one session holds the same message id several times."""


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """The messages of a session after a write, and what is new among them.

    Attributes:
        messages: All messages to store.
        marks: Marks of turns seen for the first time or changed, by name.
        turns: Those turns.
        retimed: Turns whose content is as before, but not their time.
        kept: Ids of messages that the write would have changed, and may not: who stored them is trusted more.
    """

    messages: list[Message]
    marks: dict[str, TurnMark]
    turns: list[Turn]
    retimed: list[Turn]
    kept: list[str]


def check_messages(
    messages: Sequence[MessageInput | Message], now: datetime, *, max_future_s: float, require_times: bool
) -> list[Problem]:
    """Messages whose content or times are refused."""
    problems = too_many(messages, MAX_ITEMS, ("messages",))  # which a change may have added to
    if problems and isinstance(messages[0], Message):
        sentence = f"A session holds at most {MAX_ITEMS:,} messages; begin another one, or delete older messages."
        problems = [Problem(where=("messages",), kind="too_long", message=sentence)]
    for index, message in enumerate(messages):
        if isinstance(message, Message):
            continue
        problems += _content_problems(message, ("messages", index, "content"))
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


def _content_problems(message: MessageInput, where: tuple[str | int, ...]) -> list[Problem]:
    content = message.content
    if isinstance(content, str) and is_text(message):
        return []
    if content is UNSET and not says_something(message, ""):
        return [Problem(where=where, kind="missing", message="Field required")]
    known = content is UNSET or isinstance(content, (str, list, dict))
    if not known and (content is not None or not says_something(message, "")):
        sentence = "Input should be a valid string, a list of parts, or null beside tool_calls"
        return [Problem(where=where, kind="string_type", message=sentence)]
    sent = {name: value for name in SENT_FIELDS if (value := getattr(message, name)) is not UNSET}
    if deep := too_deep([content, sent], where):
        return deep
    size = len(msgspec.json.encode([None if content is UNSET else content, sent]))
    if size <= MAX_MESSAGE_LENGTH:
        return []
    sentence = (
        f"Too large: {size:,} bytes as JSON; parts and calls of a message may have at most {MAX_MESSAGE_LENGTH:,}."
    )
    return [Problem(where=where, kind="too_long", message=sentence)]


def merge_turns(
    given: Sequence[MessageInput | Message],
    stored: StoredSession | None,
    now: datetime,
    missed: Missed,
    channel: Trust | None = None,
) -> Merged:
    """The messages to store, and what of them is new.

    A stored message among those given stays as it is. One that the session already holds, unchanged, keeps what the
    server knows of it (extraction flag, `persisted_at`, time), whatever the client sends. Which one that is: see
    `Recognition`. A changed message keeps its position. Messages that others have added or changed since the client
    read the session (`missed`) stay so, the added ones in front of those that this write adds. `channel` bounds how far
    new and changed messages are trusted (`Caller.channel`); what somebody stored who is trusted more stays as it is.

    Raises:
        InvalidRequest: A message has no visible content.
    """
    start = _handed_on(given, stored)
    messages: list[Message] = list(stored.content.messages) if stored and start else []
    known = named_messages(stored.content.messages) if stored and not start else {}
    marks = stored.turns if stored else {}
    position = stored.next_position if stored else 0
    seen: Counter[str] = Counter()
    merged = Merged(messages=messages, marks={}, turns=[], retimed=[], kept=[])
    first_new: int | None = None
    ids = _own_ids(given[start:]) if start else Recognition(given, stored).ids()
    for number, (item, message_id) in enumerate(zip(given[start:], ids, strict=True), start):
        seen[message_id] += 1
        if isinstance(item, Message):  # a change of the session leaves it as it is
            messages.append(item)
            continue
        name = turn_name(message_id, seen[message_id])
        mark, before = marks.get(name), known.get(name)
        if before is not None and mark is not None and _is_repeated(item, before):
            messages.append(before)
            continue
        message = _message(item, message_id, before, mark, now, _trust_of(item, before, channel))
        refuse_empty(item, message, number)
        fingerprint = fingerprint_of(message)
        if before is not None and mark is not None and missed.kept("turn", name, fingerprint):
            message, fingerprint = msgspec.structs.replace(before), mark.fingerprint
        if mark is not None and mark.fingerprint != fingerprint and _is_above(before, channel):
            merged.kept.append(message_id)
            message, fingerprint = message if before is None else msgspec.structs.replace(before), mark.fingerprint
        messages.append(message)
        if mark is not None and mark.fingerprint == fingerprint:
            _restore(message, before)
            if before is not None and before.created_at != message.created_at:
                merged.retimed.append(Turn(message=message, position=mark.position, occurrence=seen[message_id]))
            continue
        if mark is None:
            mark = TurnMark(position, fingerprint, to_micros(now))
            position += 1
            first_new = len(messages) - 1 if first_new is None else first_new
        merged.marks[name] = TurnMark(mark.position, fingerprint, mark.stored_at)
        merged.turns.append(Turn(message=message, position=mark.position, occurrence=seen[message_id]))
    place = len(messages) if first_new is None else first_new
    messages[place:place] = [] if start else unseen(stored, {message.id for message in messages}, missed.since)
    return merged


def _handed_on(given: Sequence[MessageInput | Message], stored: StoredSession | None) -> int:
    """Return the number of stored messages, if a write hands all of them on as they are, before others; else 0.

    There may be thousands of them, and an append is about none.
    """
    held = stored.content.messages if stored else []
    if len(given) < len(held) or not all(map(is_, given, held)):
        return 0
    names = {item.id for item in given[len(held) :]}
    return 0 if any(message.id in names for message in held) else len(held)


def _own_ids(given: Sequence[MessageInput | Message]) -> list[str]:
    return [item.id if isinstance(item.id, str) else new_id() for item in given]


def turn_name(message_id: str, occurrence: int) -> str:
    """The name of a turn in `StoredSession.turns`."""
    return message_id if occurrence == 1 else f"{message_id}{_REPEAT}{occurrence}"


def message_of(name: str) -> str:
    """The id of the message that a turn of that name is."""
    return name.partition(_REPEAT)[0]


def unseen(stored: StoredSession | None, given: set[str], since: int | None) -> list[Message]:
    """Stored messages that a client leaves out of a write because it cannot know of them: stored after `since`."""
    if stored is None or since is None:
        return []
    return [
        message
        for message in stored.content.messages
        if message.id not in given and message.id in stored.turns and stored.turns[message.id].stored_at > since
    ]


class Recognition:
    """Finds the stored messages that a write repeats, under their ids, new ids, or none.

    A message under an id that the session knows is that turn. One under another id is the stored message at the same
    place of the history, if role and content are equal, whatever its time: clients that rebuild their history for each
    request give it new ids and times. Where such a client sends a window that has moved on, three or more messages in a
    row at the end of what is stored are those at the beginning of the window. Elsewhere it is one with equal role,
    content and time. One without id is the first with equal role and content. No stored message is found twice, so that
    what was said twice stays twice.
    """

    def __init__(self, given: Sequence[MessageInput | Message], stored: StoredSession | None) -> None:
        self._given = given
        self._stored = stored.content.messages if stored else []
        self._marks = stored.turns if stored else {}
        held = {message.id for message in self._stored}
        self._found = [
            item.id if isinstance(item.id, str) and (item.id in held or item.id in self._marks) else None
            for item in given
        ]
        self._taken = {found for found in self._found if found is not None}

    def ids(self) -> list[str]:
        """The id under which each message is stored; new ones for those that are not found and have none."""
        if None not in self._found:
            return [found for found in self._found if found is not None]
        if len(self._taken) < len(self._stored):
            self._by_window()
            self._by_place()
            self._by_content()
        return [
            found if found is not None else item.id if isinstance(item.id, str) else new_id()
            for item, found in zip(self._given, self._found, strict=True)
        ]

    def _by_place(self) -> None:
        for index, (item, message) in enumerate(zip(self._given, self._stored, strict=False)):
            free = self._is_free(index) and message.id not in self._taken
            if free and fingerprint_of(item) == fingerprint_of(message):
                self._take(index, message.id)

    def _by_window(self) -> None:
        """Find the messages of a window that has moved on, behind those in their places (a system prompt)."""
        pairs = list(zip(self._given, self._stored, strict=False))
        start = next((index for index, pair in enumerate(pairs) if not self._same(index, *pair)), len(pairs))
        if start == len(pairs):
            return
        stored = self._stored[start:]
        given = self._given[start : start + len(stored)]
        length = _overlap([fingerprint_of(each) for each in stored], [fingerprint_of(each) for each in given])
        in_place = sum(self._same(start + index, *pair) for index, pair in enumerate(zip(given, stored, strict=False)))
        found = stored[len(stored) - length :]
        if length < max(_SHORTEST_WINDOW, in_place + 1) or any(message.id in self._taken for message in found):
            return
        if all(self._is_free(start + index) for index in range(length)):
            for index, message in enumerate(found):
                self._take(start + index, message.id)

    def _same(self, index: int, item: MessageInput | Message, message: Message) -> bool:
        return self._found[index] == message.id or fingerprint_of(item) == fingerprint_of(message)

    def _is_free(self, index: int) -> bool:
        return self._found[index] is None and isinstance(self._given[index].id, str)

    def _by_content(self) -> None:
        same: dict[tuple[bytes, datetime | None], deque[str]] = {}
        for message in self._stored:
            if message.id not in self._taken:
                fingerprint = fingerprint_of(message)
                for moment in (None, message.created_at):
                    same.setdefault((fingerprint, moment), deque()).append(message.id)
        for index, item in enumerate(self._given):
            if self._found[index] is not None:
                continue
            moment = item.created_at if isinstance(item.created_at, datetime) else None
            if isinstance(item.id, str) and moment is None:
                continue
            waiting = same.get((fingerprint_of(item), moment if isinstance(item.id, str) else None), deque())
            while waiting:
                message_id = waiting.popleft()
                if message_id not in self._taken:
                    self._take(index, message_id)
                    break

    def _take(self, index: int, message_id: str) -> None:
        self._found[index] = message_id
        self._taken.add(message_id)


def _overlap(text: Sequence[bytes], start: Sequence[bytes]) -> int:
    """Return the number of items at the end of `text` that are also the beginning of `start`.

    The algorithm is the linear one of Knuth, Morris and Pratt.
    """
    borders = [0] * len(start)
    length = 0
    for index in range(1, len(start)):
        while length and start[index] != start[length]:
            length = borders[length - 1]
        length += start[index] == start[length]
        borders[index] = length
    length = 0
    for item in text:
        while length and (length == len(start) or item != start[length]):
            length = borders[length - 1]
        length += bool(start) and item == start[length]
    return length


def received(item: MessageInput, message_id: str, created_at: datetime) -> Message:
    """A message as it is stored: its text, and beside it what was sent in another form."""
    content = None if item.content is UNSET else item.content
    text = spoken(item, content)
    return Message(
        role=item.role,
        content=text,
        id=message_id,
        created_at=created_at,
        parts=UNSET if content == text else content,
        **{name: getattr(item, name) for name in SENT_FIELDS},
    )


def refuse_empty(item: MessageInput, message: Message, number: int) -> None:
    """Refuse a message with which nothing is said, called or given back.

    Raises:
        InvalidRequest: It is one.
    """
    if not says_something(message, message.content if message.parts is UNSET else message.parts):
        name = item.id if isinstance(item.id, str) else f"number {number}"
        raise InvalidRequest(f"Message {name} has no content; send text or leave the message out.")


def named_messages(messages: Sequence[Message]) -> dict[str, Message]:
    """The messages of a session by the names of their turns."""
    seen: Counter[str] = Counter()
    found = {}
    for message in messages:
        seen[message.id] += 1
        found[turn_name(message.id, seen[message.id])] = message
    return found


def _message(
    item: MessageInput, message_id: str, before: Message | None, mark: TurnMark | None, now: datetime, level: Trust
) -> Message:
    """The message as it is stored; who is trusted less than before (`level`) does not change when it was said."""
    created_at = item.created_at
    if before is not None:
        lower = rank(level) < rank(before.trust or by_role(before.role))
        if isinstance(created_at, UnsetType) or lower or not _is_correction(item, before, mark):
            created_at = before.created_at
    message = received(item, message_id, now if isinstance(created_at, UnsetType) else created_at)
    message.trust = level
    if before is not None and _is_plain_copy(message, before):
        structure = {name: getattr(before, name) for name in ("parts", *SENT_FIELDS)}
        return msgspec.structs.replace(message, **structure)
    return message


def _is_above(before: Message | None, channel: Trust | None) -> bool:
    """Tell whether a turn is trusted more than who would change it (`channel`).

    Of one that has left the session nothing is known; a person may have said it.
    """
    level = "user" if before is None else before.trust or by_role(before.role)
    return channel is not None and rank(level) > rank(channel)


def _trust_of(item: MessageInput, before: Message | None, channel: Trust | None) -> Trust:
    """Tell how far a message is trusted that a caller with that channel writes.

    Never further than what it replaces, nor than results of tools and documents in it.
    """
    said = of_turn(item.role, channel)
    brought = brought_by(item, item.content)
    levels = [said] if brought is None else [said, brought]
    return lowest(levels if before is None else [before.trust or by_role(before.role), *levels])


def _is_repeated(item: MessageInput, before: Message) -> bool:
    """Tell whether this is plainly the stored message (same text, no other time), as most of a history is."""
    return (
        item.content == before.content
        and item.role == before.role
        and (item.created_at is UNSET or item.created_at == before.created_at)
        and is_text(item)
    )


def _is_correction(item: MessageInput, before: Message, mark: TurnMark | None) -> bool:
    """Tell whether the time that a client sends is better than the stored one.

    A message found by its content has the time of the request. Nor was one said after it was stored: such a time is
    that of a client which stamps its whole history with new times.
    """
    if item.id != before.id or not isinstance(item.created_at, datetime):
        return False
    return mark is None or not mark.stored_at or to_micros(item.created_at) <= mark.stored_at


def _is_plain_copy(message: Message, before: Message) -> bool:
    """Tell whether this is the text of a structured message, as clients return it that know plain text only."""
    plain = message.parts is UNSET and is_text(message)
    return plain and (message.role, message.content) == (before.role, before.content)


def _restore(message: Message, before: Message | None) -> None:
    """An unchanged turn keeps its flags; one that had left the session was dealt with before it left."""
    if before is not None:
        message.trust = before.trust
    message.discrete_memory_extracted = before.discrete_memory_extracted if before is not None else "t"
    message.persisted_at = before.persisted_at if before is not None else None


def fingerprint_of(message: Message | MessageInput) -> bytes:
    """Return the digest of role and content, 8 bytes, by which a changed message is recognised."""
    if isinstance(message, MessageInput):
        message = received(message, "", from_micros(0))
    text = f"{message.role}\x00{message.content}".encode("utf-8", "surrogatepass")
    if message.parts is not UNSET or not is_text(message):
        structure = {name: value for name in ("parts", *SENT_FIELDS) if (value := getattr(message, name)) is not UNSET}
        text += b"\x00" + msgspec.json.encode(structure, order="deterministic")
    return hashlib.blake2b(text, digest_size=8).digest()
