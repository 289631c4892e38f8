"""Patterns that are tried only where their literals occur find the same matches."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memhost.extraction.screening.obfuscation import plain, plain_text
from memhost.extraction.screening.prefilter import Patterns
from memhost.extraction.screening.rules import RULES
from memhost.text.matching.literals import Screened, required

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


CASELESS = re.IGNORECASE
SHAPES = (
    (r"<\s{0,4}/?(?:system|admin)\b|<\||\[/?inst\b|role[\"']\s?:", CASELESS),
    (r"\bkub[ea]?ctl\s{1,4}delete\b|--insecure\b", re.NOFLAG),
    (r"(?:is|sı)_k(?:ey|ind)\s{0,2}[=:](?!=)", CASELESS),
    (r"(?<!\w)(?i:drop) table", re.NOFLAG),
    (r"(?i)(?:is|key)\s?[=:]", re.NOFLAG),
    (r"table  # a comment", re.VERBOSE),
)
LETTERS = "<|[:=/ role'\"system_insadm-k\u212a\u017f\u0131\u0130SYSTEMKIND=droptableубь\n"


@pytest.mark.parametrize(("pattern", "flags"), SHAPES)
@given(data=st.data())
def test_a_screened_pattern_finds_what_the_bare_one_finds(
    pattern: str, flags: re.RegexFlag, data: st.DataObject
) -> None:
    bare = re.compile(pattern, flags)
    text = data.draw(st.one_of(st.from_regex(bare), st.text(LETTERS), st.lists(st.sampled_from(WORDS)).map(" ".join)))
    found, expected = Screened(pattern, flags).search(text), bare.search(text)
    assert (found and found.span()) == (expected and expected.span())


@pytest.mark.parametrize("text", ["\u017fy\u017ftem = 1", "SYSTEM=1", "\u212aind: x", "\u0130s = 2", "\u0131s = 2"])
def test_letters_that_count_as_ascii_without_case_are_seen(text: str) -> None:
    pattern = r"(?:system|kind|is)\s?[=:]"
    assert re.search(pattern, text, CASELESS) is not None
    assert Screened(pattern, CASELESS).search(text) is not None


@pytest.mark.parametrize("pattern", [r"\w+", "(?:ab)*", "[^a]", "[a-z]", "(?i:ab)", ""])
def test_a_screened_pattern_needs_something(pattern: str) -> None:
    with pytest.raises(ValueError, match="Nothing"):
        Screened(pattern)


def test_a_pattern_that_needs_white_space_is_refused() -> None:
    with pytest.raises(ValueError, match="single word"):
        Patterns(["ab\ncd"])


@pytest.mark.parametrize(
    ("text", "occurs"), [("the needlework", True), ("x" * 90 + "-needle.", True), ("need le", False)]
)
def test_what_is_needed_is_found_inside_of_words_of_any_length(text: str, occurs: bool) -> None:
    patterns = Patterns(["needle", "nothing else"])
    assert [patterns.occur_in(text) for _ in range(2)] == [occurs, occurs]


@given(
    st.lists(st.sampled_from(WORDS), max_size=14).flatmap(
        lambda words: st.sampled_from(" -,\t").map(lambda gap: gap.join(words))
    )
)
def test_they_find_the_same(text: str) -> None:
    for rule in RULES:
        if rule.id in ("override-instructions", "disclosure", "jailbreak", "foreign-data", "control-marks"):
            assert Patterns(rule.patterns).occur_in(text) == (rule.find(text) is not None)


@given(st.one_of(st.text(), st.text("ab 0$\n\t-é\u200bа１", max_size=30)))
def test_plain_text_is_that_of_the_slow_way(text: str) -> None:
    assert plain_text(text) == plain(text).text
