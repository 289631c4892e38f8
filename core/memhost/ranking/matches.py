"""The words of a query in candidates: as they are, as one that begins alike, as one that means alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from memhost.ranking.columns import Vocabulary, Words
from memhost.ranking.types import Floats

_SAME, _BEGINS, _MEANS = range(3)


class Matches(NamedTuple):
    """Arrays of shape (candidates, terms)."""

    counts: Floats
    """Occurrences of each term in any of its forms."""
    variants: Floats
    """1 where the term is missing but a word that begins alike is there (``photo`` for ``photography``), else 0."""
    alike: Floats
    """Where the term is missing, the nearness of the word that is nearest to it in meaning, 0 to 1."""


def matches(groups: Sequence[tuple[str, Sequence[str]]], near: Sequence[Mapping[str, float]], words: Words) -> Matches:
    """Find the terms of a query in candidates.

    A word begins alike if it shares all but the last two letters of the stem (four at least), or if it has five or six
    letters that a longer stem begins with.

    Args:
        groups: Each term with its other forms.
        near: For each term the stems near in meaning, with their nearness from 0 to 1.
        words: The words of the candidates.
    """
    shape = (len(words), len(groups))
    counts, variants, alike = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    sought, worth = _sought(groups, near, words.vocabulary)
    # From the number of a word to its place among those sought, which ends with a place for all others.
    table = np.full(len(words.vocabulary), len(sought), dtype=np.int32)
    table[sought] = np.arange(len(sought))
    places = table.take(words.numbers)
    at = (places < len(sought)).nonzero()[0]
    if not len(at):
        return Matches(counts, variants, alike)
    rows, found = words.rows_of(at), worth.take(places.take(at), axis=0)
    firsts = np.concatenate(([0], (rows[1:] != rows[:-1]).nonzero()[0] + 1))
    holding, terms = rows[firsts], len(groups)
    counts[holding] = np.add.reduceat(found[:, :terms], firsts)
    best = np.maximum.reduceat(found[:, terms:], firsts)
    missing = counts[holding] == 0
    variants[holding] = missing * best[:, :terms]
    alike[holding] = missing * best[:, terms:]
    return Matches(counts, variants, alike)


def _sought(
    groups: Sequence[tuple[str, Sequence[str]]], near: Sequence[Mapping[str, float]], vocabulary: Vocabulary
) -> tuple[list[int], Floats]:
    """Return the numbers of the words to look for, and what each says of the terms, shape (words, 3 x terms)."""
    numbers, width = vocabulary.numbers, 3 * len(groups)
    places: dict[int, int] = {}
    worths: dict[int, float] = {}

    def cell(number: int, kind: int, j: int) -> int:
        return places.setdefault(number, len(places)) * width + kind * len(groups) + j

    for j, ((term, others), alike) in enumerate(zip(groups, near, strict=True)):
        for form in (term, *others):
            if form in numbers:
                at = cell(numbers[form], _SAME, j)
                worths[at] = worths.get(at, 0.0) + 1.0
        for word, nearness in alike.items():
            if word in numbers:
                worths[cell(numbers[word], _MEANS, j)] = nearness
        if _varies(term):
            for number in vocabulary.beginning(term[: max(4, len(term) - 2)]):
                worths[cell(number, _BEGINS, j)] = 1.0
            for length in (5, 6):
                if len(term) > length + 1 and (word := term[:length]) in numbers:
                    worths[cell(numbers[word], _BEGINS, j)] = 1.0
    worth = np.zeros(len(places) * width)
    worth[list(worths)] = list(worths.values())
    return list(places), worth.reshape(len(places), width)


def _varies(term: str) -> bool:
    return len(term) > 3 and term.isalpha()
