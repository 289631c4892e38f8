"""Words of a query in candidates: the same as by looking at each word of each candidate."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from memhost.ranking.columns.words import Words
from memhost.ranking.matches import matches

WORDS = (
    *("a", "photo", "photograph", "photographi", "run", "running", "abcdefgh", "abcdefghi", "abcdefgz", "zdt2023"),
    *("фото", "фотограф", "фотография", "東京", "京都", "x" * 12, "xxxxxxxxxyz", "3.5", "caffè", "\ud800"),
)
Groups = Sequence[tuple[str, tuple[str, ...]]]


def found(groups: Groups, near: Sequence[Mapping[str, float]], terms: str) -> list[tuple[int, bool, float]]:
    """Of one candidate, for each term: how often it is there, whether one that begins alike is, the nearest."""
    words = terms.split()
    out = []
    for (term, others), alike in zip(groups, near, strict=True):
        count = sum(words.count(form) for form in (term, *others))
        shorter = {term[:length] for length in (5, 6) if len(term) > length + 1}
        start = term[: max(4, len(term) - 2)]
        varied = len(term) > 3 and term.isalpha() and any(w.startswith(start) or w in shorter for w in words)
        nearest = max((nearness for word, nearness in alike.items() if word in words), default=0.0)
        out.append((count, varied and not count, 0.0 if count else nearest))
    return out


@pytest.mark.parametrize("seed", range(200))
def test_counts_variants_and_words_alike_are_those_of_each_word(seed: int) -> None:
    chance = random.Random(seed)
    joined = [" ".join(chance.choices(WORDS, k=chance.randint(0, 7))) for _ in range(chance.randint(1, 6))]
    terms = chance.sample(WORDS, chance.randint(1, 5))
    groups = [(term, tuple({chance.choice(WORDS)} - {term})) for term in terms]
    near = [dict.fromkeys(chance.sample(WORDS, 2), chance.random()) for _ in groups]
    result = matches(groups, near, Words.of(joined))
    for i, candidate in enumerate(joined):
        for j, (count, varied, nearest) in enumerate(found(groups, near, candidate)):
            assert result.counts[i, j] == count
            assert result.variants[i, j] == varied
            assert result.alike[i, j] == nearest


def test_without_terms_nothing_is_found() -> None:
    assert all(np.shape(part) == (2, 0) for part in matches([], [], Words.of(["one two", ""])))


def test_words_that_begin_alike_are_found_in_what_was_added_since_as_well() -> None:
    parts = [" ".join(WORDS[:7]), "photon photo", " ".join(WORDS[7:]), "фотон zz"]
    words = Words.of(parts[:1])
    for part in parts[1:]:
        before = words.vocabulary
        words = Words.concat([words, Words.of([part])])
        for letters in ("phot", "фото", "abcd", "xxxx", "東", "z", "\ud800", "none"):
            numbers = words.vocabulary.numbers
            expected = sorted(number for word, number in numbers.items() if word.startswith(letters))
            assert sorted(words.vocabulary.beginning(letters)) == expected
            assert set(before.beginning(letters)) <= set(expected)
