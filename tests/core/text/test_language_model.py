"""The model of languages read word by word tells what the library tells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memhost.text import languages
from memhost.text.languages import language_of, languages_of
from memhost.text.matching.language_model import LanguageModel, NotReadableError

DATA = Path(__file__).parents[2] / "data" / "sensitive"
TEXTS = [
    text
    for name in ("held.json", "left_alone.json")
    for texts in json.loads((DATA / name).read_text(encoding="utf-8")).values()
    for text in texts
]
STRANGE = [
    *("", " ", "3.14 / 2", "🍣", "x" * 9999, "def f(x): return x", "Ana", "ok ツ", "鍵はどこ？"),
    *("ein\0wort mit einer Null darin", "</s> das ist ein Satz", "das ist </s> ein Satz", "__label__fr ein Satz"),
    *("ein\u00a0Satz\u2003mit\x1fLücken", "tel quel, l’été", "ÉTÉ à Nice", "нет, не надо", "अच्छा है", "집에 가요"),
]


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return LanguageModel(languages._model_file())


def test_the_installed_model_can_be_read_by_word() -> None:
    assert languages._model_by_word() is not None


@pytest.mark.parametrize("at_once", [1, 2, 7, 500])
def test_languages_of_many_texts_are_those_of_each(at_once: int) -> None:
    texts = [*STRANGE, *TEXTS]
    expected = [language_of(text) for text in texts]
    for _ in range(3):  # its words are new, then some of them, then none
        parts = [languages_of(texts[start : start + at_once]) for start in range(0, len(texts), at_once)]
        assert [language for part in parts for language in part] == expected


def test_guesses_are_those_of_the_library(model: LanguageModel) -> None:
    told = 0
    for _ in range(3):
        for text, guess in zip(TEXTS, model.guesses([text.split() for text in TEXTS]), strict=True):
            if guess is None:
                continue
            library = dict(languages._guesses(text))
            assert library.get("en", guess.english) == pytest.approx(guess.english, abs=1e-5)
            if guess.chance > 0.5:
                told += 1
                assert library[guess.language] == pytest.approx(guess.chance, abs=1e-5)
    assert told > len(TEXTS)


def test_more_words_than_are_remembered_change_nothing(model: LanguageModel) -> None:
    before = model.guesses([text.split() for text in TEXTS[:50]])
    for number in range(0, 40_000, 1_000):
        model.guesses([[f"wort{number + each}"] for each in range(1_000)])
    after = [guess for _ in range(6) for guess in model.guesses([text.split() for text in TEXTS[:50]])][-50:]
    assert any(before)
    assert all(one == other for one, other in zip(before, after, strict=True) if one and other)
    assert len(model._places) <= 16_384


@given(st.lists(st.one_of(st.text(max_size=30), st.sampled_from(TEXTS)), min_size=4, max_size=8))
def test_any_texts(texts: list[str]) -> None:
    tellable = [text for text in texts if text.isascii() or text.encode(errors="ignore").decode() == text]
    assert languages_of(tellable) == [language_of(text) for text in tellable]


@pytest.mark.parametrize("cut", [0, 4, 60, 5_000, 200_000, 930_000])
def test_another_file_is_refused(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "model.ftz"
    path.write_bytes(languages._model_file().read_bytes()[:cut])
    with pytest.raises(NotReadableError):
        LanguageModel(path)


def test_a_model_of_another_kind_is_left_to_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.ftz"
    path.write_bytes(b"another")
    monkeypatch.setattr(languages, "_model_file", lambda: path)
    monkeypatch.setattr(languages, "_model_by_word", languages._model_by_word.__wrapped__)
    languages._model()  # loaded before, from the installed file
    assert languages_of(TEXTS[:9]) == [language_of(text) for text in TEXTS[:9]]
