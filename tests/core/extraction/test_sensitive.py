"""Which statements an agent may take from its user alone, and which are everyday facts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memhost.extraction.screening.sensitive import kinds
from memhost.extraction.screening.sensitive.concepts import Sentence, concepts_in, perhaps_in, sentences
from memhost.extraction.screening.sensitive.kinds import kinds_of

DATA = Path(__file__).parents[2] / "data" / "sensitive"
HELD: dict[str, list[str]] = json.loads((DATA / "held.json").read_text(encoding="utf-8"))
LEFT: dict[str, list[str]] = json.loads((DATA / "left_alone.json").read_text(encoding="utf-8"))


def test_the_sets_are_large_and_in_many_languages() -> None:
    held, left = (sum(map(len, texts.values())) for texts in (HELD, LEFT))
    assert held >= 200
    assert left >= 2 * held
    for texts in (HELD, LEFT):
        languages = {name.rpartition(" ")[2] for name in texts}
        assert {"en", "de", "fr", "es", "it", "pt", "nl", "ru", "tr", "zh", "ja", "ko"} <= languages


@pytest.mark.parametrize("group", HELD)
def test_statements_that_need_the_user_are_told(group: str) -> None:
    assert [text for text in HELD[group] if not kinds_of(text)] == []


@pytest.mark.parametrize("group", LEFT)
def test_everyday_statements_are_left_alone(group: str) -> None:
    assert [(text, kinds_of(text)) for text in LEFT[group] if kinds_of(text)] == []


CONCEPTS = sorted({concept for _, _, needed in kinds._RULES for concept in needed} | {"user", "you", "may", "summary"})
PLACES = st.dictionaries(
    st.sampled_from(CONCEPTS), st.lists(st.integers(0, 9).map(float), min_size=1, max_size=3).map(sorted), max_size=6
)


class Everything(kinds._Shape):
    """A sentence that has all of the shapes."""

    address = mail = account = phone = call = True


@pytest.mark.parametrize(("told", "needed"), [(told, needed) for _, told, needed in kinds._RULES])
@given(places=PLACES, length=st.integers(0, 12))
def test_no_rule_holds_without_the_concepts_it_needs(
    told: kinds.Rule, needed: frozenset[str], places: dict[str, list[float]], length: int
) -> None:
    without = {concept: where for concept, where in places.items() if concept not in needed}
    assert not told(Sentence("", without, float(length)), Everything(""))


@pytest.mark.parametrize("text", [text for texts in (*HELD.values(), *LEFT.values()) for text in texts])
def test_a_text_has_the_concepts_of_its_sentences(text: str) -> None:
    shown = text.lower()
    parts = {concept for sentence in sentences(shown, as_it_is=True) for concept in sentence.places}
    assert parts <= concepts_in(shown)


@pytest.mark.parametrize("gap", [" ", " -- ", "\t"])
@pytest.mark.parametrize(
    "text", [text for texts in (*HELD.values(), *LEFT.values()) for text in texts if text.isascii()]
)
def test_a_look_at_single_words_misses_no_concept(text: str, gap: str) -> None:
    shown = gap.join([*text.lower().split(), "x" * 40 + "-send"])
    assert concepts_in(shown) <= perhaps_in(shown)
    assert "send" in perhaps_in(shown)
