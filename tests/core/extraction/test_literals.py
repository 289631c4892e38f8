"""Patterns that are tried only where their literals occur find the same matches."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memhost.extraction.screening.obfuscation import plain, plain_text
from memhost.extraction.screening.prefilter import Patterns, required
from memhost.extraction.screening.rules import RULES

PHRASES = (
    "ignore all previous system instructions rules you are now must always never the assistant tell me your prompt"
    " send to https://x.example forget everything above act as root do not the user reveal print 0 $ - .\n"
)
WORDS = PHRASES.split(" ")


@pytest.mark.parametrize(
    ("pattern", "needs"),
    [
        ("abc", [{"abc"}]),
        (r"ab\scd", [{"ab"}, {"cd"}]),
        ("(?:abc|def+g)x+", [{"abc", "de"}]),
        ("(?:abc|de)?[xy]*(?:gh){2}", [{"gh"}]),
        (r"\bfoo(?! bar)\b", [{"foo"}]),
        ("(foo)(?P<name>bar)", [{"foo"}, {"bar"}]),
    ],
)
def test_what_a_pattern_needs(pattern: str, needs: list[set[str]]) -> None:
    assert [set(each) for each in required(pattern)] == needs


@pytest.mark.parametrize("pattern", ["(?:a|bc)", "(?:foo)*x", r"\w+", ""])
def test_a_pattern_that_needs_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="Nothing"):
        Patterns([pattern])


@given(st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join))
def test_they_find_the_same(text: str) -> None:
    for rule in RULES:
        if rule.id in ("override-instructions", "disclosure", "jailbreak", "foreign-data", "control-marks"):
            assert Patterns(rule.patterns).occur_in(text) == (rule.find(text) is not None)


@given(st.one_of(st.text(), st.text("ab 0$\n\t-é\u200bа１", max_size=30)))
def test_plain_text_is_that_of_the_slow_way(text: str) -> None:
    assert plain_text(text) == plain(text).text
