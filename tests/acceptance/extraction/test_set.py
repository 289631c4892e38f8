"""The set itself: its languages, how much of it is about what must not happen, and how patterns match."""

from __future__ import annotations

from typing import get_args

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
    others = len(expected.one) + sum(len(ask.has) + len(ask.shown) + (ask.first is not None) for ask in asks)
    for each in (*expected.now, *expected.past, *expected.kept):
        others += 0 if isinstance(each, str) else sum(value is not None for value in _values(each))
    return guards, others + len(expected.now) + len(expected.past)


def _values(each: script.Statement) -> list[str | None]:
    return [each.said, each.since, each.until, each.event, each.end, each.precision, each.by, each.trust, each.kind]


def test_the_set_has_six_languages_and_every_topic() -> None:
    assert len({each.language for each in ALL}) >= 6
    assert {each.topic for each in ALL} <= set(get_args(script.Topic))
    assert len({each.about for each in ALL}) == len(ALL)


def test_a_third_of_the_checks_is_about_what_must_not_happen() -> None:
    guards, others = (sum(numbers) for numbers in zip(*(counts(each.expect) for each in ALL), strict=True))
    assert guards >= (guards + others) / 3


@pytest.mark.parametrize("conversation", ALL, ids=lambda each: each.name)
def test_every_conversation_says_what_must_not_happen(conversation: Conversation) -> None:
    guards, others = counts(conversation.expect)
    assert guards >= 3
    assert others >= 3


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
