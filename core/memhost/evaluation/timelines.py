"""Generated timelines: facts that change, so that the newest statement must rank above the outdated ones.

Everything is made by a seed from the few sentences of `timelines.json`: no data set is needed, and equal seeds
give equal conversations.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from memhost.evaluation.sets import Conversation, EvalSet, Question, Turn

CONVERSATIONS = 6
"""Conversations in each language."""
_START = datetime(2024, 1, 8, 9, tzinfo=UTC)
_FEWEST, _MOST = 2, 4
"""Statements of one fact."""
_SESSIONS = 8
_FILLERS = 3
_BETWEEN_SESSIONS_DAYS = (20, 50)


class Fact(msgspec.Struct, frozen=True):
    """The sentences about one fact: first, when it changes, its values, and the question about it."""

    question: str
    first: str
    change: str
    values: tuple[str, ...]


class Language(msgspec.Struct, frozen=True):
    """The sentences of a language; an answer of the assistant follows each statement."""

    facts: tuple[Fact, ...]
    fillers: tuple[str, ...]
    answers: tuple[str, ...]


def languages() -> dict[str, Language]:
    """The sentences of each language (`timelines.json`)."""
    return msgspec.json.decode(Path(__file__).with_name("timelines.json").read_bytes(), type=dict[str, Language])


def timelines(seed: int = 7, conversations: int = CONVERSATIONS) -> EvalSet:
    """Conversations in each language, in which each fact is stated and changes one to three times.

    The categories of the questions are the languages. Of a change every second statement says that something changed;
    of the others only the date tells.
    """
    made = [
        _conversation(seed, language, words, number)
        for language, words in languages().items()
        for number in range(conversations)
    ]
    return EvalSet("timelines", tuple(made))


def _conversation(seed: int, language: str, words: Language, number: int) -> Conversation:
    draw = random.Random(f"{seed}/{language}/{number}")  # noqa: S311 - a seeded choice, no secret
    said: list[list[tuple[int, str]]] = [[] for _ in range(_SESSIONS)]
    for place, fact in enumerate(words.facts):
        for session, text in _statements(draw, fact):
            said[session].append((place, text))
    sessions: list[tuple[Turn, ...]] = []
    statements: dict[int, list[str]] = {}
    start = _START
    for index, facts in enumerate(said):
        mixed: list[tuple[int | None, str]] = [*facts, *((None, text) for text in draw.sample(words.fillers, _FILLERS))]
        draw.shuffle(mixed)
        turns: list[Turn] = []
        for fact_place, text in mixed:
            if fact_place is not None:
                statements.setdefault(fact_place, []).append(f"{index}:{len(turns)}")
            for role, spoken in (("user", text), ("assistant", draw.choice(words.answers))):
                turns.append(Turn(f"{index}:{len(turns)}", role, spoken, start + timedelta(seconds=30 * len(turns))))
        sessions.append(tuple(turns))
        start += timedelta(days=draw.randint(*_BETWEEN_SESSIONS_DAYS))
    questions = tuple(
        Question(fact.question, (statements[place][-1],), language, tuple(statements[place][:-1]))
        for place, fact in enumerate(words.facts)
    )
    return Conversation(f"{language}-{number}", tuple(sessions), questions, language)


def _statements(draw: random.Random, fact: Fact) -> Iterator[tuple[int, str]]:
    """In which sessions the fact is stated, and how; no value comes twice."""
    values = draw.sample(fact.values, draw.randint(_FEWEST, _MOST))
    sessions = sorted(draw.sample(range(_SESSIONS), len(values)))
    for step, (session, value) in enumerate(zip(sessions, values, strict=True)):
        yield session, (fact.change if step and draw.random() < 0.5 else fact.first).format(value)
