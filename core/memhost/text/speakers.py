"""Who said a message: a name that was sent with it, or one in front of what was said.

`Done: the tests pass` and `Evan: the tests pass` have one form. So a word with a colon is a speaker's name only if the
conversation says so: it was sent as a name, or it comes back as people's names do (`labels_of`). Until then it is part
of what was said.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from memhost.models import Message
from memhost.text.analysis import split_speaker
from memhost.text.tokens import tokenize
from memhost.text.unicode_forms import fold

BACKGROUND_ROLES = frozenset({"system", "tool"})
"""Roles whose messages are instructions and raw output, not evidence of what was said."""

PLAIN_ROLES = frozenset({"user", "assistant", "human", "ai", "model", "bot", "agent", "function", "developer"})
"""Roles that say what somebody is; any other role is taken for the speaker's name."""


def is_background(message: Message) -> bool:
    """Tell whether the message is an instruction or raw output.

    A role is stored as it was sent, and means the same in any letter case: `Tool` is `tool`.
    """
    return message.role.lower() in BACKGROUND_ROLES


USER_ROLES = frozenset({"user", "human"})
"""Roles of the person whom an assistant serves, in small letters."""

ASSISTANT_ROLES = frozenset({"assistant", "ai", "model", "bot", "agent"})
"""Roles of the assistant, in small letters."""


def is_user(role: str | None) -> bool:
    """Tell whether a role is the user's, in any letter case."""
    return role is not None and role.strip().lower() in USER_ROLES


def is_assistant(role: str | None) -> bool:
    """Tell whether a role is the assistant's, in any letter case."""
    return role is not None and role.strip().lower() in ASSISTANT_ROLES


class Label(NamedTuple):
    """A name with a colon that opens messages of a role.

    Attributes:
        side: `user`, `assistant`, or another role in small letters.
        name: The name, folded.
    """

    side: str
    name: str


Labels = frozenset[Label]
"""The labels of a conversation that are names of speakers."""

_NAMELESS = frozenset({"function", "developer"}) | BACKGROUND_ROLES
"""Roles whose messages nobody says: a name beside them is that of a function or a program."""

_NO_NAMES = (
    PLAIN_ROLES | BACKGROUND_ROLES | {"unknown", "anonymous", "none", "null", "me", "you", "api", "client", "server"}
)
"""Values of fields that name nobody."""

_NAME_KEYS = (
    *("speaker", "speaker_name", "speakerName", "sender_name", "senderName", "author_name", "authorName"),
    *("display_name", "displayName", "user_name", "userName", "username", "agent_name", "agentName"),
    *("sender", "author", "participant", "from"),
)
"""Fields beside the content in which clients send the name of who speaks, most telling first."""

_HOLDERS = ("metadata", "additional_kwargs", "meta", "extra")
"""Fields in which clients send such fields."""

_INNER_KEYS = ("name", "display_name", "displayName", "real_name", "first_name", "username")
_MAX_NAME = 64
_IDENTIFIER = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{20,}|[0-9a-f]{16,}|[0-9A-HJKMNP-TV-Z]{26}|[A-Z][A-Z0-9]{8,}", re.A)
"""UUIDs, hexadecimal numbers, ULIDs, ids of chat systems: they tell speakers apart but are no names."""


def declared_name(message: Message) -> str | None:
    """Return the name that was sent with a message: in a field, in its metadata, or as its role; None without one."""
    role = message.role.strip().lower()
    if role in _NAMELESS:
        return None
    for value in _sent_names(message):
        if isinstance(value, str) and _is_name(value):
            return value.strip()
    return message.role if role not in PLAIN_ROLES else None


def _sent_names(message: Message) -> Iterator[Any]:
    yield message.name
    beside = message.others if isinstance(message.others, dict) else {}
    if not beside:
        return
    holders = [held for name in _HOLDERS if isinstance(held := beside.get(name), dict)]
    for fields in (beside, *holders):
        for key in _NAME_KEYS:
            value = fields.get(key)
            yield from (value.get(inner) for inner in _INNER_KEYS) if isinstance(value, dict) else (value,)
    if isinstance(kwargs := beside.get("additional_kwargs"), dict):
        yield kwargs.get("name")


def _is_name(value: str) -> bool:
    """Tell whether what a field holds can be shown as a name."""
    value = value.strip()
    return (
        0 < len(value) <= _MAX_NAME
        and any(letter.isalpha() for letter in value)
        and value.isprintable()
        and value.lower() not in _NO_NAMES
        and _IDENTIFIER.fullmatch(value) is None
    )


def said_by(message: Message, labels: Collection[Label] = frozenset()) -> tuple[str | None, str]:
    """Return who said a message, None where nothing gives a name, and what was said without that name in front.

    Args:
        message: The message.
        labels: The labels of its conversation that are names, as `labels_of` finds them.
    """
    declared = declared_name(message)
    label, body = split_speaker(message.content)
    if label is not None and declared is not None and same_name(label, declared):
        return declared, body
    if declared is None and label is not None and _label(message, label) in labels:
        return label, body
    return declared, message.content


def speaker_of(message: Message, labels: Collection[Label] = frozenset()) -> str | None:
    """Return the name of who said it, None where nothing gives one; as `said_by`."""
    return said_by(message, labels)[0]


def same_name(one: str, other: str) -> bool:
    """Tell whether two names may be one person's: all words of one are words of the other (`evan_m`, `Evan`)."""
    words, others = set(tokenize(one.replace("_", " "))), set(tokenize(other.replace("_", " ")))
    return bool(words and others) and (words <= others or others <= words)


def labels_of(messages: Iterable[Message], user: str = "") -> Labels:
    """Return the labels of a conversation that are names of speakers.

    A label is one if messages of the same role were sent with that name, if it is the name of the session's user in
    front of what the user says, or if somebody else greets or thanks its bearer (`Hi Ana!`, `@Ana`). Others are names
    where names come back in the conversation, as a whole or without the assistant: three of four messages have a label,
    there are two labels, and one of them opens two messages. There

    - labels that open two messages are names if there is one label for each of two roles, if a question under one label
      is answered under another, or if somebody else says the name of one (`Ana, ...`, `the tent of Ana`):
      `Breakfast: ...` and `Lunch: ...` of a diary come back as well;
    - one that opens a single message is a name if somebody else says it.

    So the first messages of a conversation may be undecided, and a word that opens one message stays in its text.

    Args:
        messages: The conversation from its beginning, or from some message on, in order.
        user: Id of the user whose session it is.
    """
    found: set[Label] = set()
    told: list[tuple[Message, Label | None, str]] = []
    for message in messages:
        if message.role.strip().lower() in _NAMELESS or not message.content.strip():
            continue
        if (declared := declared_name(message)) is not None:
            found.add(_label(message, declared))
            continue
        name, body = split_speaker(message.content)
        label = None if name is None else _label(message, name)
        if label is not None and is_user(message.role) and user and same_name(label.name, user):
            found.add(label)
        told.append((message, label, body))
    return frozenset(found | _recurring(told)) if any(label for _, label, _ in told) else frozenset(found)


def _label(message: Message, name: str) -> Label:
    return Label(_side(message.role), fold(name.replace("_", " ")))


def _side(role: str) -> str:
    return "user" if is_user(role) else "assistant" if is_assistant(role) else role.strip().lower()


def _recurring(told: Sequence[tuple[Message, Label | None, str]]) -> set[Label]:
    """Return the labels that others greet, and those that come back, at some point of a conversation."""
    labels = list(dict.fromkeys(label for _, label, _ in told if label is not None))[:_MAX_LABELS]
    words = frozenset(word for label in labels for word in label.name.split())
    counted = frozenset(labels)
    everybody, people = _Counts(), _Counts()
    before: Label | None = None
    asked = False
    for message, given, body in told:
        label = given if given in counted else None
        answers = None not in (before, label) and before != label and asked and not _asks(body)
        before, asked = label, _asks(body)
        named = list(_named_in(body[:_READ], words))
        by = label.name if label is not None else ""
        everybody.hear(named, by)
        people.hear(named, by)
        everybody.add(label, answers=answers)
        if not is_assistant(message.role):
            people.add(label, answers=answers)
    return everybody.greeted | everybody.names | people.names


_RECURS = 2
"""Messages under a label from which on it may be a name, and labels of such a conversation."""

_MAX_LABELS = 64
"""Different labels of a conversation that are looked at; further ones are none."""

_Naming = dict[str, set[str]]
"""Words with which somebody is named, and the labels of those who do, all folded; an empty one for no label."""


class _Counts:
    """The labels of messages, and whom the messages name.

    Attributes:
        greeted: Labels whose bearers somebody else has greeted.
        names: Labels that have come back as names do.
    """

    def __init__(self) -> None:
        self.greeted: set[Label] = set()
        self.names: set[Label] = set()
        self._messages = 0
        self._labels: Counter[Label] = Counter()
        self._greeted: _Naming = defaultdict(set)
        self._named: _Naming = defaultdict(set)
        self._answered = False
        self._told = False  # something that may make a label a name, since that was last looked at

    def hear(self, named: Iterable[tuple[str, bool]], by: str) -> None:
        """Note whom a message under a label names, and whether it greets them."""
        for word, greets in named:
            for naming in (self._named, self._greeted)[: 1 + greets]:
                self._told |= by not in naming[word]
                naming[word].add(by)

    def add(self, label: Label | None, *, answers: bool) -> None:
        """Count a message.

        Args:
            label: Its label, None without one.
            answers: It answers the question of the message before, which has another label.
        """
        self._messages += 1
        self._told |= answers and not self._answered
        self._answered |= answers
        if label is not None:
            self._labels[label] += 1
            self._told |= self._labels[label] <= _RECURS
        if self._told:
            self.greeted.update(each for each in self._labels if self._is_named(each, self._greeted))
            if 4 * self._labels.total() >= 3 * self._messages:
                self.names.update(self._coming_back())
                self._told = False

    def _coming_back(self) -> list[Label]:
        again = [label for label, count in self._labels.items() if count >= _RECURS]
        if not again or len({label.name for label in self._labels}) < _RECURS:
            return []
        named = [label for label in self._labels if self._is_named(label, self._named)]
        sides = Counter(label.side for label in self._labels)
        of_two = len(sides) > 1 and max(sides.values()) == 1
        return [*named, *again] if named or of_two or self._answered else []

    def _is_named(self, label: Label, naming: _Naming) -> bool:
        """Tell whether somebody with another label, or none, uses a word of the label as a name.

        Not where it opens as many messages of another role: `Ana: ...` is then what an assistant tells Ana.
        """
        if not any(naming.get(word, set()) - {label.name} for word in label.name.split()):
            return False
        count = self._labels[label]
        return not any(
            other.name == label.name and other != label and self._labels[other] >= count for other in self._labels
        )


def _named_in(text: str, words: Collection[str]) -> Iterator[tuple[str, bool]]:
    """Yield those of the words, folded, that stand in a text as names do, and whether their bearer is greeted."""
    folded = fold(text)
    if not any(word in folded for word in words):
        return
    for match in _ADDRESS.finditer(text):
        greeted = match.group("mark") or match.group("greeted") or ""
        word = greeted or match.group("called") or match.group("last")
        if fold(word) in words and not word[0].islower():
            yield fold(word), bool(greeted)
    for match in _MENTION.finditer(text):
        word = match.group("name")
        if fold(word) in words and word[0].isupper() and fold(match.group("before")) not in _PLACES:
            yield fold(word), False


def _asks(text: str) -> bool:
    return any(mark in text for mark in "?？؟")


_WORD = r"[^\W\d_]+(?:['’][^\W\d_]+)?"
_ADDRESS = re.compile(
    rf"@(?P<mark>{_WORD})"
    r"|\b(?:hey|hi|hello|dear|thanks|thank you|welcome|sorry|hallo|liebe[r]?|danke|guten (?:morgen|tag|abend)"
    r"|servus|moin|bonjour|salut|merci|ch[eè]re?|hola|gracias|querid[ao]|ol[aá]|obrigad[ao]|ciao|grazie|car[ao]|hoi"
    r"|bedankt|dank je|merhaba|selam|te[sş]ekk[uü]rler|cze[sś][cć]|dzi[eę]ki|привет|здравствуй|спасибо)"
    rf"[ ,]+(?P<greeted>{_WORD})"
    rf"|^\s*(?P<called>{_WORD})(?=[,!] )|, (?P<last>{_WORD})(?=\s*[.!?])",
    re.IGNORECASE,
)
_MENTION = re.compile(rf"(?<![^\W\d_])(?P<before>[^\W\d_]+),? (?=(?P<name>{_WORD})(?:\W|$))")
"""A word behind another one of the same sentence; with a capital it is likely a name."""

_PLACES = frozenset(["in", "into", "inside", "nach", "aus", "en", "dans", "em", "в", "во", "из", "w", "ze"])
"""Words in front of names of places."""

_READ = 300
"""Characters of a message, from its beginning, that are read for names."""
