"""A write that hands on all stored messages is an append: it looks at what it adds, with the same result."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from memhost.messages import turns
from memhost.messages.concurrent_writes import Missed
from memhost.messages.turns import Merged, merge_turns
from memhost.models import Message, StoredSession, TurnMark
from memhost.operations.requests import MessageInput
from memhost.testing.factories import make_session

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def stored(*ids: str, folded: tuple[str, ...] = ()) -> StoredSession:
    session = make_session()
    session.content.messages = [Message(role="user", content=f"text {name}", id=name, created_at=NOW) for name in ids]
    session.turns = {
        name: TurnMark(
            place, turns.fingerprint_of(Message(role="user", content=f"text {name}", id=name, created_at=NOW)), 1
        )
        for place, name in enumerate((*folded, *ids))
    }
    session.next_position = len(session.turns)
    return session


def merged(session: StoredSession, new: list[MessageInput], *, copied: bool) -> Merged:
    held = [msgspec.structs.replace(each) if copied else each for each in session.content.messages]
    return merge_turns([*held, *new], session, NOW, Missed(session, None, NOW))


def shown(found: Merged) -> Any:
    return (
        [(each.id, each.content, each.created_at) for each in found.messages],
        {name: (mark.position, mark.fingerprint) for name, mark in found.marks.items()},
        [(turn.message.id, turn.position, turn.occurrence) for turn in found.turns],
    )


@pytest.mark.parametrize(
    "new",
    [
        [],
        [MessageInput(role="user", content="new", id="n1", created_at=NOW)],
        [MessageInput(role="user", content="text a", id="n1", created_at=NOW)],
        [MessageInput(role="user", content=text, id=name, created_at=NOW) for text, name in (("x", "n"), ("y", "n"))],
        [MessageInput(role="user", content="again", id="a", created_at=NOW)],
        [MessageInput(role="user", content="text gone", id="gone", created_at=NOW)],
        [MessageInput(role="user", content="edited", id="gone", created_at=NOW)],
    ],
)
@pytest.mark.parametrize("ids", [("a", "b", "c"), ("a",), ("a", "b", "a")])
def test_the_result_is_that_of_a_whole_write(ids: tuple[str, ...], new: list[MessageInput]) -> None:
    session = stored(*ids, folded=("gone",))
    assert shown(merged(session, new, copied=False)) == shown(merged(session, new, copied=True))


def test_stored_messages_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    session = stored("a", "b", "c")
    seen: list[str] = []
    whole = turns.fingerprint_of

    def counted(message: Message) -> bytes:
        seen.append(message.id)
        return whole(message)

    monkeypatch.setattr(turns, "fingerprint_of", counted)
    monkeypatch.setattr(turns, "Recognition", None)
    found = merged(session, [MessageInput(role="user", content="new", id="n", created_at=NOW)], copied=False)
    assert ([each.id for each in found.messages], seen) == (["a", "b", "c", "n"], ["n"])


def test_fewer_messages_are_no_append() -> None:
    session = stored("a", "b")
    found = merge_turns(session.content.messages[:1], session, NOW, Missed(session, None, NOW))
    assert [each.id for each in found.messages] == ["a"]
