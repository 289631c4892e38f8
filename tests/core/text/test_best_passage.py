"""The passage of a long text that says most of a query."""

from __future__ import annotations

import random

import pytest

from memhost.text.best_passage import best_passage

SOUGHT = [
    ("Where are the spare keys?", "The spare key hangs behind the barometer.", "The club spoke about the budget. "),
    ("Wo ist der Ersatzschlüssel?", "Der Ersatzschlüssel hängt hinter dem Barometer.", "Es ging um den Haushalt. "),
    ("Où est la clé de secours ?", "La clé de secours est derrière le baromètre.", "On a parlé du budget. "),
    ("¿Dónde está la llave?", "La llave cuelga detrás del barómetro.", "Se habló del presupuesto. "),
    ("Где запасной ключ?", "Запасной ключ висит за барометром.", "Говорили о расходах клуба. "),
    ("备用钥匙在哪里？", "备用钥匙挂在气压计后面。", "花园俱乐部讨论了预算。"),
    ("予備の鍵はどこですか", "予備の鍵は気圧計の後ろにあります。", "予算について話しました。"),
    ("أين المفتاح؟", "المفتاح معلق خلف البارومتر.", "تحدثنا عن الميزانية. "),
    ("who takes 2.5 mg", "Anna takes 2.5 mg of the tablets.", "Others take 25 mg of them. "),
]


@pytest.mark.parametrize(("query", "sentence", "other"), SOUGHT)
@pytest.mark.parametrize("before", [0, 1, 700])
def test_the_sentence_sought_is_in_the_passage_wherever_it_stands(
    query: str, sentence: str, other: str, before: int
) -> None:
    text = other * before + sentence + " " + other * 700
    passage = best_passage(text, query, 150)
    assert sentence in text[passage.start : passage.end]
    assert passage.end - passage.start <= 150


def test_the_rarer_word_decides() -> None:
    text = "The garden club met. " * 50 + "In the garden a heron stood. " + "The garden club met again. " * 50
    assert "heron" in best_passage(text, "garden heron", 60).shown(text)


def test_a_short_text_stays_whole_and_unmarked() -> None:
    assert best_passage("A short text.", "text", 13).shown("A short text.") == "A short text."


def test_marks_stand_where_something_is_missing() -> None:
    text = "One two three. " * 20 + "Four heron five. " + "Six seven eight. " * 20
    assert best_passage(text, "One", 40).shown(text).startswith("One two")
    assert best_passage(text, "One", 40).shown(text).endswith(" …")
    shown = best_passage(text, "heron", 60).shown(text)
    assert shown.startswith("… ")
    assert shown.endswith(" …")


def test_without_a_word_of_the_query_it_is_the_beginning() -> None:
    text = "Alpha beta gamma. " * 30
    assert best_passage(text, "zebra", 40).start == 0
    assert best_passage(text, "", 40).start == 0
    assert best_passage(text, "the of and", 40).start == 0


def test_it_is_never_longer_and_never_empty() -> None:
    chance = random.Random(5)
    signs = "abc .!?\n。公園🍣é\u200d"
    for _ in range(400):
        text = "".join(chance.choice(signs) for _ in range(chance.randint(1, 300)))
        most = chance.randint(1, 80)
        passage = best_passage(text, "abc 公園 " + text[:5], most)
        assert 0 <= passage.start < passage.end <= len(text)
        assert passage.end - passage.start <= most


def test_a_million_characters_take_no_pattern_that_grows_faster_than_they_do() -> None:
    text = "budget " * 150_000
    assert best_passage(text, "budget meeting of the garden club", 400).end <= 400
