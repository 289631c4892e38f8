"""The language of texts, stems of their words, and function words of queries."""

from __future__ import annotations

from importlib import import_module

import pytest
import snowballstemmer
import Stemmer
from stop_words import LANGUAGE_MAPPING, get_stop_words

from memhost.text.analysis import analyse_query
from memhost.text.languages import (
    _OF_SCRIPTS,
    _WITHOUT,
    STEMMERS,
    function_words,
    language_of,
    possible_languages,
    stem_in,
)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Where did we go on holiday last year?", "en"),
        ("Wann sind wir umgezogen?", "de"),
        ("¿Dónde vive mi hermana ahora?", "es"),
        ("Quel est le prix de la maison ?", "fr"),
        ("Josh Norman kaç tane top çalmıştır?", "tr"),
        ("Моя кошка любит рыбу", "ru"),
        ("我们在公园里看见了很多花", "zh"),
        ("الكتاب على الطاولة", "ar"),
    ],
)
def test_sentences_tell_their_language(text: str, language: str) -> None:
    assert language_of(text) == language
    assert possible_languages(text)[0] == language


@pytest.mark.parametrize(
    ("text", "language"), [("鍵はどこ？", "ja"), ("猫は", "ja"), ("집", "ko"), ("บ้าน", "th"), ("γάτα", "el")]
)
def test_short_texts_in_a_script_of_one_language_are_in_it(text: str, language: str) -> None:
    assert language_of(text) == language


@pytest.mark.parametrize(
    "text", ["π = 3", "α β test", "Ω", "5 µm", "the Ω loss and β", "ok ツ", "Δt", "θ is 3", "6 Ω", "a = πr2"]
)
def test_single_signs_of_it_are_not(text: str) -> None:
    assert language_of(text) not in ("ja", "ko", "th", "el")


@pytest.mark.parametrize(
    "text",
    ["", "  ", "2026-03-01", "🍣", "hey", "ok", "Felix allergic", "Thanks Mel! lol", "Ana", "x" * 9999, "3.14 / 2",
     "def f(x): return x", "lemon cake", "User moved to Berlin", "Bye for now", "Mr. Smith"],
)  # fmt: skip
def test_short_and_mixed_texts_are_not_taken_for_another_language(text: str) -> None:
    assert language_of(text) == "en"
    assert "en" in possible_languages(text)


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("de", ("Häuser", "häusern")),
        ("ru", ("кошка", "кошке")),
        ("es", ("gatos", "gato")),
        ("tr", ("evler", "evleri")),
        ("fr", ("étudié", "étudier")),
        ("en", ("running", "runs")),
    ],
)
def test_forms_of_a_word_share_a_stem(language: str, words: tuple[str, str]) -> None:
    first, second = (stem_in(word.casefold(), language) for word in words)
    assert first == second


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("de", ("haus", "maus")),
        ("de", ("schon", "schein")),
        ("ru", ("кошка", "собака")),
        ("ru", ("дом", "дым")),
        ("es", ("casa", "cosa")),
        ("tr", ("ev", "et")),
        ("fr", ("poisson", "poison")),
        ("en", ("police", "policy")),
        ("he", ("כלב", "חלב")),
        ("ar", ("كتاب", "باب")),
        ("vi", ("nha", "nho")),
        ("zh", ("东边", "西边")),
    ],
)
def test_different_words_do_not(language: str, words: tuple[str, str]) -> None:
    first, second = (stem_in(word, language) for word in words)
    assert first != second


def test_function_words_are_the_languages_own() -> None:
    assert analyse_query("Wo hat die Katze geschlafen?").words == ("katze", "geschlafen")
    assert analyse_query("What did the man die of?").words == ("man", "die")
    assert "die" in function_words("de")
    assert "die" not in function_words("en")
    assert not function_words("vi")


def test_a_query_of_an_unsure_language_is_sought_in_each() -> None:
    query = analyse_query("Wohnungen Berlin")
    everything = {*query.terms, *(term for others in query.others for term in others)}
    assert {stem_in("wohnungen", "de"), stem_in("wohnungen", "en")} <= everything


def test_every_stemmer_that_is_named_is_there() -> None:
    named = {*STEMMERS.values(), *(algorithm for _, _, algorithm in _OF_SCRIPTS)}
    assert named <= set(snowballstemmer.algorithms())


def test_the_stems_of_both_snowball_packages_are_the_same() -> None:
    """PyStemmer, in C, stands in for the package in Python: files hold stems that either of them made."""
    words = sorted({word for language in LANGUAGE_MAPPING for word in get_stop_words(language)})
    assert len(words) > 5_000
    for algorithm in sorted({*STEMMERS.values(), *(algorithm for *_, algorithm in _OF_SCRIPTS)}):
        module = import_module(f"snowballstemmer.{algorithm}_stemmer")
        slow, fast = getattr(module, f"{algorithm.capitalize()}Stemmer")(), snowballstemmer.stemmer(algorithm)
        assert isinstance(fast, Stemmer.Stemmer)
        assert [word for word in words[::7] if fast.stemWord(word) != slow.stemWord(word)] == [], algorithm
    assert not set(STEMMERS) & _WITHOUT


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("What does Will drink?", "will"),
        ("Where is the house of May?", "may"),
        ("Cosa beve Mia la mattina?", "mia"),
        ("Was trinkt Mia zum Essen?", "mia"),
        ("¿Qué bebe Sal por la noche?", "sal"),
        ("Que boit Elle MacPherson le matin ?", "elle"),
    ],
)
def test_a_name_that_is_a_function_word_stays(query: str, word: str) -> None:
    assert word in analyse_query(query).words


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("What will Ana drink?", "will"),
        ("Will Ana drink tea?", "will"),
        ("Did I tell you? Will it rain?", "will"),
        ("What Will Ana Drink", "will"),
        ("WHAT WILL ANA DRINK?", "will"),
        ("When did I say that I drink tea?", "i"),
        ("may I drink the tea", "may"),
        ("Cosa beve mia sorella?", "mia"),
        ("Mia sorella beve il tè ogni mattina?", "mia"),
        ("Wo haben Sie den Tee gekauft?", "sie"),
        ("Wann kommt Ihr Bruder nach Wien?", "ihr"),
        ("Que boit elle le matin ?", "elle"),
    ],
)
def test_function_words_go_wherever_a_capital_tells_nothing(query: str, word: str) -> None:
    assert word not in analyse_query(query).words
