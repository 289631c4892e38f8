"""Who speaks in a session: which labels of its messages are names, and of which older messages a write tells that."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from memhost.models import StoredSession
from memhost.ports import Turn
from memhost.text.speakers import Labels, labels_of, said_by

_BEFORE = 40
"""Messages before those of a write that are read for the names of speakers."""


class Speakers(msgspec.Struct, frozen=True, kw_only=True):
    """Who speaks in a session after a write.

    Attributes:
        labels: Words in front of its messages that are names of speakers.
        found: Names of those who said older messages, by id, where this write has told that they are names.
    """

    labels: Labels
    found: dict[str, str]


def speakers_in(session: StoredSession, turns: Sequence[Turn]) -> Speakers:
    """Return who speaks in a session, by its latest messages.

    A name in front of a message counts from the write on in which it comes back (`labels_of`); the messages under that
    name which were stored before are then of that speaker too.

    Args:
        session: The session after the write.
        turns: The turns that are new or changed in it.
    """
    if not turns:
        return Speakers(labels=frozenset(), found={})
    messages = session.content.messages
    new = {turn.message.id for turn in turns}
    first = next((place for place, message in enumerate(messages) if message.id in new), 0)
    messages = messages[max(0, first - _BEFORE) :]
    older = [message for message in messages if message.id not in new]
    labels = labels_of(messages, session.key.user)
    known = labels_of(older, session.key.user) if labels and older else labels
    if labels <= known:
        return Speakers(labels=labels | known, found={})
    said = [(message.id, said_by(message, labels)[0], said_by(message, known)[0]) for message in older]
    return Speakers(labels=labels | known, found={name: now for name, now, before in said if now and before is None})
