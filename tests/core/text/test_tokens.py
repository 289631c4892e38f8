"""Numbers, signs, versions and single characters: what must match, and what must not."""

from __future__ import annotations

import pytest

from memhost.text.analysis import analyse_query, index_terms, query_terms
from memhost.text.tokens import tokenize


def shared(query: str, memory: str) -> set[str]:
    """Terms by which the query finds the memory, dates aside."""
    return set(query_terms(analyse_query(query))) & set(index_terms(memory))


@pytest.mark.parametrize(
    ("query", "memory", "term"),
    [
        ("2,5 mg", "takes 2.5 mg of it", "2.5"),
        ("0.5", "nimmt 0,5 Tabletten", "0.5"),
        ("€1200", "The sofa costs €1.200,00", "1200"),
        ("1200 euros", "The sofa costs €1.200,00", "zcueur"),
        ("$1,200.00", "it was 1200 dollars", "zcuusd"),
        ("1,200", "paid 1200 for it", "1200"),
        ("1200", "a flight of 1\u202f200 km", "1200"),
        ("1.250", "Das Regal kostet 1.250 Euro", "1250"),
        ("1.250.000", "1250000 people", "1250000"),
        ("25 mg", "a tablet of 25mg", "25"),
        ("v3.12", "Python 3.12 runs", "3.12"),
        ("C#", "We write C# here", "csharp"),
        ("c++", "Bjarne made C++.", "cplusplus"),
        ("🍣", "Friday dinner 🍣", "zem1f363"),
        ("鸟", "树上有一只鸟", "鸟"),
        ("물", "나는 물을 마셔요", "물"),
        ("кошке", "Моя кошка любит рыбу", "кошк"),
        ("كتاب", "الكتاب على الطاولة", "كتاب"),
        ("ירושלים", "עברתי לירושלים", "ירושלים"),
        ("הכלב", "יש לי כלב", "כלב"),
        ("phở bò", "Tôi thích ăn phở bò vào buổi sáng", "phở"),
        ("pho bo", "Tôi thích ăn phở bò vào buổi sáng", "pho"),
        ("umgezogen", "Wir sind vor zwei Wochen in die neue Wohnung umgezogen", "umgezog"),
    ],
)
def test_the_same_written_differently_matches(query: str, memory: str, term: str) -> None:
    assert term in shared(query, memory)


@pytest.mark.parametrize(
    ("query", "memory"),
    [
        ("2,5 mg", "takes 25 of it"),
        ("2.5", "the score was 2 to 5"),
        ("25", "0,25 Liter"),
        ("1,25", "takes 125 mg"),
        ("12", "the list is 1,2,3"),
        ("123", "the list is 1,2,3"),
        ("1200", "it costs $12.00"),
        ("12", "it costs €1.200,00"),
        ("1.2", "paid 1,200 for it"),
        ("3.1", "Python 3.10 runs"),
        ("3.10", "Python 3.1 runs"),
        ("10.0.0.1", "10001 nights"),
        ("€", "no price here"),
        ("$HOME", "a house of dollars"),
        ("dollars", "set $HOME first"),
        ("C", "We write C# here"),
        ("C#", "vitamin C"),
        ("C++", "grade C"),
        ("C#", "in F# minor"),
        ("v3", "verse 3"),
        ("5s", "five of us were late"),
        ("3d", "3 days"),
        ("mp3", "3 songs"),
        ("b12", "12 bees"),
        ("🍣", "Friday dinner 🍕"),
        ("🍣", "Friday dinner 🍔 🥗"),
        ("❤", "a red heart"),
        ("☎", "call me by phone"),
        ("鸟", "我们看见了很多花"),
        ("花", "树上有一只鸟"),
        ("花", "はなが咲いた"),
        ("물", "나는 술을 마셔요"),
        ("кот", "моя карта"),
        ("дом", "это идея"),
        ("كتاب", "السيارة حمراء"),
        ("بيت", "الكتاب على الطاولة"),
        ("כלב", "יש לי חתול"),
        ("לב", "יש לי כלב"),
        ("Haus", "Die Maus ist hier"),
        ("casa", "la cosa es así"),
        ("1.5", "Kapitel 15"),
        ("Nó ở trong hộp màu đỏ", "Đó là cái hóp mầu dỏ"),
        ("mã số", "mà sổ của má tôi ở đâu"),
        ("0,5", "50 Prozent"),
    ],
)
def test_different_things_do_not_match(query: str, memory: str) -> None:
    assert not shared(query, memory)


def test_marked_terms_are_letters_and_digits() -> None:
    for text in ("€5", "🍣🍕", "C++ and C#", "1.250,00", "♥"):
        assert all(term.replace(".", "").isalnum() for term in index_terms(text))


@pytest.mark.parametrize(
    ("text", "language", "tokens"),
    [
        ("IŞIK", "tr", ["ışık"]),
        ("ISIK", "en", ["isik"]),
        ("Été", "fr", ["été"]),
        ("Été", "en", ["ete"]),
        ("don't Ana's", "en", ["dont", "ana"]),
    ],
)
def test_case_and_accents_are_the_languages(text: str, language: str, tokens: list[str]) -> None:
    assert tokenize(text, language) == tokens


def test_soft_hyphens_part_no_words() -> None:
    assert tokenize("soft\u00adhyphens") == ["softhyphens"]
    for sign in ("-", "\u2010", "\u200b", " "):
        assert tokenize(f"soft{sign}hyphens") == ["soft", "hyphens"]
