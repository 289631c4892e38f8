"""Masks secrets in stored sessions, so that who sends the same messages again changes nothing."""

from __future__ import annotations

import msgspec

from memhost.messages.turns import fingerprint_of, named_messages
from memhost.models import StoredSession
from memhost.secrets import Findings, Masker, masked_record


def masked_session(session: StoredSession, masker: Masker, findings: Findings | None = None) -> StoredSession:
    """The session with the secrets in its content masked; the very same if there are none.

    The marks of its turns are those of the masked messages.
    """
    content = masker.value(session.content, findings)
    if content is session.content:
        return session
    content.memories = [masked_record(record, masker) for record in session.content.memories]
    turns = dict(session.turns)
    before = named_messages(session.content.messages)
    for name, message in named_messages(content.messages).items():
        if message is not before[name] and (mark := turns.get(name)) is not None:
            turns[name] = msgspec.structs.replace(mark, fingerprint=fingerprint_of(message))
    return msgspec.structs.replace(session, content=content, turns=turns)
