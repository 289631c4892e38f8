"""Recognises words that refer to something outside the text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memhost.extraction import unresolved


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("He likes tea.", ["He"]),
        ("User met her at the station.", ["her"]),
        ("User said she is vegetarian.", ["she"]),
        ("I like my tea hot.", ["I", "my"]),
        ("User will go there next week.", ["there", "next week"]),
        ("User liked the café over there.", ["over there", "there"]),
        ("User ate at that restaurant.", ["at that restaurant"]),
        ("User moved recently.", ["recently"]),
        ("User meets Ana next Friday.", ["next Friday"]),
        ("Er mag Tee.", ["Er"]),
        ("User wohnt dort.", ["dort"]),
        ("User hat gestern gekündigt.", ["gestern"]),
        ("Ich mag Tee.", ["Ich"]),
        ("Elle habite à Lyon.", ["Elle"]),
        ("User habite là-bas.", ["là-bas"]),
        ("Hier User est allé chez Paul.", ["Hier"]),
        ("User vive allí.", ["allí"]),
        ("User viajó a Lima ayer.", ["ayer"]),
    ],
)
def test_pointing_words_are_found(text: str, words: list[str]) -> None:
    assert unresolved(text) == words


@pytest.mark.parametrize(
    "text",
    [
        "User likes tea.",
        "User sold his car.",
        "User's brother said he will come.",
        "User's colleague Anna told him that he should rest.",
        "Bob met Ana and likes her.",
        "User moved to Lyon and works there.",
        "There is a cat in User's flat.",
        "User met Bob on 2026-03-01.",
        "User's parents said they will visit.",
        'User\'s favourite song is "I will survive yesterday".',
        "User hat seinen Bruder besucht.",
        "Anna sagt, dass er kommt.",
        "Marie habite à Lyon et elle aime le thé.",
        "User a vendu sa voiture.",
        "Ana dijo que ella viene.",
        "User vendió su coche.",
        "ユーザーは昨日会った。",
        "",
        "42",
    ],
)
def test_what_stands_alone_passes(text: str) -> None:
    assert unresolved(text) == []


@given(st.text())
def test_any_text(text: str) -> None:
    for word in unresolved(text):
        assert word in text
