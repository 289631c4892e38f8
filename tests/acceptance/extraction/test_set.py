"""The set itself: its languages, how much of it is about what must not happen, and how patterns match."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from tests.acceptance.extraction import script
from tests.acceptance.extraction.checks import fits
from tests.acceptance.extraction.script import Conversation, Expected, conversations

ALL = conversations()


def counts(expected: Expected) -> tuple[int, int]:
    """Checks about what must not happen, and the others."""
    asks = expected.ask
    guards = len(expected.kept) + len(expected.apart) + len(expected.never) + len(expected.doubted)
    guards += sum(len(ask.hasnt) + len(ask.hidden) + (ask.not_first is not None) for ask in asks)
    guards += len(expected.profile_lacks) + len(expected.rules_lack)
    others = len(expected.one) + len(expected.profile) + len(expected.rules)
    others += sum(len(ask.has) + len(ask.shown) + (ask.first is not None) for ask in asks)
    for each in (*expected.now, *expected.past, *expected.kept):
        others += 0 if isinstance(each, str) else sum(value is not None for value in _values(each))
    return guards, others + len(expected.now) + len(expected.past)


def _values(each: script.Statement) -> list[object]:
    return [value for name, value in msgspec.structs.asdict(each).items() if name != "text"]


def test_the_set_has_sixty_conversations_in_six_languages_about_every_topic() -> None:
    assert len(ALL) >= 60
    assert len({each.language for each in ALL}) >= 6
    assert {each.topic for each in ALL} == set(get_args(script.Topic))
    assert len({each.about for each in ALL}) == len(ALL)


def test_a_third_of_the_checks_is_about_what_must_not_happen() -> None:
    guards, others = (sum(numbers) for numbers in zip(*(counts(each.expect) for each in ALL), strict=True))
    assert guards >= (guards + others) / 3


@pytest.mark.parametrize("conversation", ALL, ids=lambda each: each.name)
def test_every_conversation_says_what_must_not_happen(conversation: Conversation) -> None:
    guards, others = counts(conversation.expect)
    assert guards >= 3
    assert others >= 3


@pytest.mark.parametrize("conversation", ALL, ids=lambda each: each.name)
def test_every_pattern_is_about_something_in_its_conversation(conversation: Conversation) -> None:
    """A pattern of a text that nobody says would be met, or not, for no reason; what is never said may be anything."""
    expect = conversation.expect
    items = [text for step in conversation.steps for item in step.items for text in (item.text, item.whole or "")]
    turns = [turn.text for step in conversation.steps for turn in step.turns]
    edited = [text for step in conversation.steps for text in step.edit.values()]
    about = [each if isinstance(each, str) else each.text for each in (*expect.now, *expect.past, *expect.kept)]
    about += [pattern for pair in expect.apart for pattern in pair]
    about += [*expect.one, *expect.doubted, *expect.profile, *expect.rules]
    assert [pattern for pattern in about if not any(fits(pattern, text) for text in items)] == []
    asked = [pattern for ask in expect.ask for pattern in (*ask.has, *ask.hasnt, *ask.shown, *ask.hidden)]
    asked += [pattern for ask in expect.ask for pattern in (ask.first, ask.not_first) if pattern]
    assert [pattern for pattern in asked if not any(fits(pattern, text) for text in items + turns + edited)] == []


@pytest.mark.parametrize("conversation", ALL, ids=lambda each: each.name)
def test_what_must_not_be_found_was_not_said_before(conversation: Conversation) -> None:
    """Turns say for ever what was said: only what is said later can be kept out of an answer as of an earlier time."""
    zone, expect = conversation.zone, conversation.expect
    said = [
        (moment, turn) for step in conversation.steps for turn, moment in zip(step.turns, step.times(zone), strict=True)
    ]
    days = {moment.date().isoformat() for moment, _ in said}
    statements = [each for each in (*expect.now, *expect.past, *expect.kept) if isinstance(each, script.Statement)]
    assert [each.text for each in statements if each.said is not None and each.said not in days] == []
    for ask in expect.ask:
        before = [turn.text for moment, turn in said if ask.as_of and moment <= script.local(ask.as_of, zone)]
        assert [pattern for pattern in ask.hasnt if any(fits(pattern, text) for text in before)] == []


@pytest.mark.parametrize(
    ("pattern", "text", "right"),
    [
        ("harbour", "The Harbour is closed.", True),
        ("harbour … closed", "The harbour\nis closed.", True),
        ("closed … harbour", "The harbour is closed.", False),
        ("open | closed", "The harbour is closed.", True),
        ("4.50", "4150", False),
    ],
)
def test_patterns(pattern: str, text: str, right: bool) -> None:
    assert fits(pattern, text) is right
