"""Question sets: conversations, and questions with the turns that answer them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from memhost.errors import InvalidRequest

LOCOMO_CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop", 5: "adversarial"}
_SHOWN_MISSING = 3


class Turn(msgspec.Struct, frozen=True):
    """A message as it is written to the server. `id` is unique in its conversation."""

    id: str
    role: str
    text: str
    at: datetime


class Question(msgspec.Struct, frozen=True):
    """A question and the ids of the turns that answer it.

    `outdated` are turns that were true before `evidence` was: they should rank below it.
    """

    text: str
    evidence: tuple[str, ...]
    category: str = "all"
    outdated: tuple[str, ...] = ()


class Conversation(msgspec.Struct, frozen=True):
    """The sessions of one user, and the questions about them."""

    id: str
    sessions: tuple[tuple[Turn, ...], ...]
    questions: tuple[Question, ...]
    language: str = "en"

    @property
    def turns(self) -> list[Turn]:
        """The turns of all sessions, in order."""
        return [turn for session in self.sessions for turn in session]


class EvalSet(msgspec.Struct, frozen=True):
    """A named set of conversations."""

    name: str
    conversations: tuple[Conversation, ...]

    @property
    def questions(self) -> list[Question]:
        """The questions of all conversations, in order."""
        return [question for each in self.conversations for question in each.questions]


class _Turn(msgspec.Struct):
    id: str
    text: str
    role: str = "user"
    speaker: str | None = None


class _Session(msgspec.Struct):
    time: datetime
    turns: list[_Turn]


class _Question(msgspec.Struct):
    text: str
    evidence: list[str]
    category: str = "all"
    outdated: list[str] = []


class _Conversation(msgspec.Struct):
    id: str
    sessions: list[_Session]
    questions: list[_Question]
    named: bool = False
    language: str | None = None


class _Simple(msgspec.Struct):
    name: str
    conversations: list[_Conversation]
    language: str = "en"


class _LocomoQuestion(msgspec.Struct):
    question: str
    category: int
    evidence: list[str] = []


class _Locomo(msgspec.Struct):
    sample_id: str
    conversation: dict[str, Any]
    qa: list[_LocomoQuestion]


class _LocomoTurn(msgspec.Struct):
    dia_id: str
    speaker: str
    text: str
    blip_caption: str | None = None


def read_set(path: Path) -> EvalSet:
    """The set in a file: a list is taken as LoCoMo's format, an object as the simple form.

    Raises:
        InvalidRequest: The file is neither, or has no question with evidence; the sentence says where it is wrong.
    """
    try:
        raw = msgspec.json.decode(path.read_bytes())
        found = _locomo(path.stem, raw) if isinstance(raw, list) else _simple(raw)
    except (msgspec.DecodeError, ValueError) as error:  # validation errors of msgspec are of both kinds
        raise InvalidRequest(f"{path} is neither LoCoMo's format nor the simple form: {error}") from error
    if not found.questions:
        raise InvalidRequest(f"{path} has no question whose evidence exists.")
    return found


def _simple(raw: Any) -> EvalSet:
    given = msgspec.convert(raw, _Simple)
    return EvalSet(given.name, tuple(_conversation(each, given.language) for each in given.conversations))


def _conversation(given: _Conversation, language: str) -> Conversation:
    sessions = []
    for session in given.sessions:
        start = session.time if session.time.tzinfo else session.time.replace(tzinfo=UTC)
        turns = [
            Turn(
                each.id,
                each.role,
                f"{each.speaker}: {each.text}" if given.named and each.speaker else each.text,
                start + timedelta(seconds=second),
            )
            for second, each in enumerate(session.turns)
        ]
        sessions.append(tuple(turns))
    questions = tuple(
        Question(each.text, tuple(each.evidence), each.category, tuple(each.outdated)) for each in given.questions
    )
    made = Conversation(given.id, tuple(sessions), questions, given.language or language)
    _check(made)
    return made


def _check(made: Conversation) -> None:
    ids = [turn.id for turn in made.turns]
    if len(set(ids)) < len(ids):
        raise ValueError(f"conversation {made.id} has two turns of one id")
    known = set(ids)
    for question in made.questions:
        missing = [each for each in (*question.evidence, *question.outdated) if each not in known]
        if missing or not question.evidence:
            named = ", ".join(missing[:_SHOWN_MISSING])
            what = f"names the turns {named}, which do not exist" if missing else "has no evidence"
            raise ValueError(f"conversation {made.id}: the question {question.text!r} {what}")


def _locomo(name: str, raw: list[Any]) -> EvalSet:
    return EvalSet(name, tuple(_locomo_conversation(each) for each in msgspec.convert(raw, list[_Locomo])))


def _locomo_conversation(item: _Locomo) -> Conversation:
    """Each turn says who spoke and, where a picture was shared, what it shows.

    Of evidence, what matches `D<session>:<turn>` and exists counts; questions without any are left out.
    """
    sessions = []
    for number in sorted(int(key[8:]) for key in item.conversation if re.fullmatch(r"session_\d+", key)):
        written = str(item.conversation.get(f"session_{number}_date_time"))
        start = datetime.strptime(written, "%I:%M %p on %d %B, %Y").replace(tzinfo=UTC)
        turns = msgspec.convert(item.conversation[f"session_{number}"], list[_LocomoTurn])
        speaker = item.conversation.get("speaker_a")
        sessions.append(tuple(_locomo_turn(each, speaker, start, second) for second, each in enumerate(turns)))
    known = {turn.id for session in sessions for turn in session}
    questions = []
    for entry in item.qa:
        ids = (turn for text in entry.evidence for turn in re.findall(r"D\d+:\d+", text))
        evidence = tuple(turn for turn in dict.fromkeys(ids) if turn in known)
        if evidence:
            category = LOCOMO_CATEGORIES.get(entry.category, str(entry.category))
            questions.append(Question(entry.question, evidence, category))
    return Conversation(item.sample_id, tuple(sessions), tuple(questions))


def _locomo_turn(turn: _LocomoTurn, user: Any, start: datetime, second: int) -> Turn:
    caption = f" [shares a photo: {turn.blip_caption}]" if turn.blip_caption else ""
    role = "user" if turn.speaker == user else "assistant"
    return Turn(turn.dia_id, role, f"{turn.speaker}: {turn.text}{caption}", start + timedelta(seconds=second))
