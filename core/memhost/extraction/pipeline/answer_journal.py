"""Answers of a language model that were paid for but not yet used: kept until what follows from them is stored."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta

import msgspec

from memhost.jobs.outbox import session_name
from memhost.models import Document, Message, Scope, SessionKey, WriteBatch
from memhost.ports import Clock, Completion, Store, Turn

_KIND = "answer"
_KEPT = timedelta(days=2)


class KeptAnswers(msgspec.Struct, kw_only=True):
    """The answers to a question about some waiting turns, oldest first.

    `strategy` is name and version of the strategy that asked, `documents` the ids of the turns' documents. Where it
    asked one question about all of them, `turns` are their marks in the order of the question, because an answer names
    turns by their place in it. Where it asked as it liked, `questions` are marks of what was asked, one for each
    answer.
    """

    strategy: str = ""
    documents: list[str] = []
    answers: list[Completion] = []
    questions: list[str] = []
    turns: list[str] = []


class AnswerJournal:
    """The unused answers of one session, over several attempts at what follows from them.

    Args:
        store: Where they are kept.
        clock: Time.
        owner: The session.
    """

    def __init__(self, store: Store, clock: Clock, owner: SessionKey) -> None:
        self._store = store
        self._clock = clock
        self._owner = owner
        self._id = session_name(owner)
        self.kept = KeptAnswers()

    @property
    def name(self) -> tuple[str, str]:
        """Kind and id of its document, to delete with the commit that uses the answers."""
        return _KIND, self._id

    async def read(self) -> KeptAnswers:
        """Return the answers that an earlier attempt has left; empty if there are none."""
        scope = Scope(tenant=self._owner.tenant)
        found = await self._store.get_document(scope, _KIND, self._id, self._clock.now())
        self.kept = msgspec.msgpack.decode(found.body, type=KeptAnswers) if found is not None else KeptAnswers()
        return self.kept

    def begin(self, strategy: str, documents: Sequence[str], *, whole: bool) -> None:
        """The next answers are about these turns; forget what was kept unless it tells of them.

        Args:
            strategy: Name and version of the strategy that asks.
            documents: Ids of the turns' documents.
            whole: The answers count only if they are about just these turns, not about further ones as well.
        """
        asked, known = set(documents), set(self.kept.documents)
        tells = asked == known or (not whole and asked <= known and bool(self.kept.questions or self.kept.turns))
        if self.kept.strategy != strategy or not tells:
            self.kept = KeptAnswers(strategy=strategy, documents=list(documents))

    def as_asked(self, turns: Sequence[Turn]) -> tuple[list[Turn], frozenset[str]]:
        """The turns in the order of the question that the kept answers are to, and the ids of those that are gone.

        A turn that was changed or deleted since stands there without a text, under an id that no message has. Without
        kept answers, the turns are returned as they are, and the next answers are to a question about them.
        """
        here = {_mark([turn]): turn for turn in turns}
        if not self.kept.answers or not here.keys() <= set(self.kept.turns):
            self.kept.answers = []
            self.kept.turns = [_mark([turn]) for turn in turns]
        asked = [here.get(mark) or _gone(place, turns[0]) for place, mark in enumerate(self.kept.turns)]
        return asked, frozenset(turn.message.id for turn in asked if _mark([turn]) not in here)

    async def forget(self) -> None:
        """Remove what is kept: what is asked next is another question."""
        if self.kept.answers:
            await self._store.commit(Scope(tenant=self._owner.tenant), WriteBatch(delete_documents=[self.name]))
        self.kept = KeptAnswers()

    def part(self, number: int, turns: Sequence[Turn]) -> PartJournal:
        """The answers to the question about one part of what is too long for one question."""
        return PartJournal(self, number, turns)

    async def write(self, answers: Sequence[Completion], questions: Sequence[str] = ()) -> None:
        """Keep these answers, and the marks of their questions."""
        now = self._clock.now()
        self.kept.answers, self.kept.questions = list(answers), list(questions)
        document = Document(
            kind=_KIND,
            id=self._id,
            tenant=self._owner.tenant,
            namespace=self._owner.namespace,
            user=self._owner.user,
            body=msgspec.msgpack.encode(self.kept),
            updated_at=now,
            expires_at=now + _KEPT,
        )
        await self._store.commit(Scope(tenant=self._owner.tenant), WriteBatch(put_documents=[document]))


def _gone(place: int, other: Turn) -> Turn:
    message = Message(role="user", content="", id=f"gone {place}", created_at=other.message.created_at)
    return Turn(message=message, position=other.position)


def _mark(turns: Sequence[Turn]) -> str:
    """A mark of turns that no others have, not even those of a session that was deleted, with positions from 0."""
    said = [(turn.position, turn.message.id, turn.message.content) for turn in turns]
    return hashlib.sha256(msgspec.msgpack.encode(said)).hexdigest()


class PartJournal:
    """The unused answers about one part of some turns, among those of the others in the session's journal.

    Args:
        whole: The session's journal.
        number: Of the part, from 0.
        turns: The part. Its answers are known by what it holds as well: parts are others when turns are changed.
    """

    def __init__(self, whole: AnswerJournal, number: int, turns: Sequence[Turn]) -> None:
        self._whole = whole
        self._mark = f"part {number} {_mark(turns)}:"

    def as_asked(self, turns: Sequence[Turn]) -> tuple[list[Turn], frozenset[str]]:
        """The turns as they are: kept answers are to just this question."""
        return list(turns), frozenset()

    @property
    def kept(self) -> KeptAnswers:
        """Return the answers that an earlier attempt has left for this part."""
        found = [(mark, answer) for mark, answer in self._pairs() if mark.startswith(self._mark)]
        return KeptAnswers(
            answers=[answer for _, answer in found], questions=[mark.removeprefix(self._mark) for mark, _ in found]
        )

    async def write(self, answers: Sequence[Completion], questions: Sequence[str] = ()) -> None:
        """Keep these answers about the part, and the marks of their questions."""
        marks = questions or [str(number) for number in range(len(answers))]
        pairs = [(mark, answer) for mark, answer in self._pairs() if not mark.startswith(self._mark)]
        pairs += [(self._mark + mark, answer) for mark, answer in zip(marks, answers, strict=True)]
        await self._whole.write([answer for _, answer in pairs], [mark for mark, _ in pairs])

    def _pairs(self) -> list[tuple[str, Completion]]:
        # Answers without marks are about a whole message, as an earlier version asked.
        kept = self._whole.kept
        return list(zip(kept.questions, kept.answers, strict=False))
