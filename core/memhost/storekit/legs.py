"""Both legs, neighbours and statistics of a search over memories that a store keeps as columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from memhost.models import CandidateQuery, TextMatch, Vector
from memhost.ranking import Columns
from memhost.storekit.matching import K1, B, Phrase, rarity, required_phrases, scored_phrases

Rows = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Places = tuple[Rows, Rows]
"""Rows of the memories that hold a phrase, ascending, and how often each does."""

_SPAN = 1 << 32
"""More than a session can have positions, so that sessions and positions together are one number."""


@dataclass(frozen=True, slots=True)
class Legs:
    """The rows that a query finds in columns.

    Attributes:
        text: Scores of the text leg by row.
        near: Distances of the vector leg by row, 0 to 2.
        rows: Rows of both legs and of the turns around, ascending.
        total: As `Candidates.total`.
        frequencies: As `Candidates.frequencies`.
    """

    text: dict[int, float]
    near: dict[int, float]
    rows: list[int]
    total: int
    frequencies: dict[str, int]


def search_columns(
    columns: Columns, names: Sequence[str], query: CandidateQuery, allowed: Flags | None, *, length: int
) -> Legs:
    """Answer a query over all memories of a scope.

    Args:
        columns: The n memories, n at least 1.
        names: Their ids.
        query: The query; whoever asks has dealt with its conditions.
        allowed: Which memories satisfy the conditions, n; None if all do.
        length: Number of terms of all memories.
    """
    units = [] if query.text is None else scored_phrases(query.text)
    required = [] if query.text is None else required_phrases(query.text)
    words = _Words(columns, [*units, *required, *((term,) for term in query.statistics_for)])
    scores: dict[int, float] = {}
    near: dict[int, float] = {}
    total = 0
    if query.text is not None:
        scores, found = _text(columns, names, words, query.text, query, allowed, length)
        total = found if query.count and query.vector is None else 0
    if query.vector is not None:
        near, within = _nearest(columns, names, query, allowed)
        total = within if query.count and query.max_distance is not None else total
    both_or_none = query.text is None or query.vector is not None
    if query.count and both_or_none and (query.vector is None or query.max_distance is None):
        total = len(columns) if allowed is None else int(allowed.sum())
    chosen = list(scores.keys() | near.keys())
    return Legs(
        scores,
        near,
        sorted([*chosen, *_around(columns, chosen, query.neighbours)]),
        total,
        {term: len(words.of((term,))[0]) for term in query.statistics_for},
    )


def top(scores: npt.NDArray[np.floating], wanted: int) -> Rows:
    """Indices of the `wanted` highest scores and of all that tie with the last of them, highest first."""
    if wanted >= len(scores):
        chosen = np.arange(len(scores))
    else:
        lowest = np.partition(scores, len(scores) - wanted)[len(scores) - wanted]
        chosen = np.flatnonzero(scores >= lowest)
    return chosen[np.argsort(-scores[chosen], kind="stable")]


def cosines(matrix: Vector, vector: Vector) -> npt.NDArray[np.float32]:
    """Row by row in one order of addition, so that equal vectors get exactly equal scores."""
    with np.errstate(invalid="ignore"):  # of vectors that somebody damaged
        scores: npt.NDArray[np.float32] = np.einsum("ij,j->i", matrix, vector)
    return scores


class _Words:
    """Where the terms of a query occur: all of them are looked for at once."""

    def __init__(self, columns: Columns, phrases: Iterable[Phrase]) -> None:
        self._words = words = columns.words
        known = words.vocabulary.numbers
        sought = {number for phrase in phrases for term in phrase if (number := known.get(term)) is not None}
        self._at = np.empty(0, dtype=np.int64)
        if sought:
            table = np.zeros(len(known), dtype=np.bool_)
            table[list(sought)] = True
            self._at = np.flatnonzero(table[words.numbers])
        self._numbers = words.numbers[self._at]
        self._rows = words.rows_of(self._at)
        self._known: dict[Phrase, Places] = {}

    def of(self, phrase: Phrase) -> Places:
        """The memories that hold a phrase."""
        if phrase not in self._known:
            self._known[phrase] = self._find(phrase)
        return self._known[phrase]

    def _find(self, phrase: Phrase) -> Places:
        sought = [self._words.vocabulary.numbers.get(term, -1) for term in phrase]
        rows = self._rows[self._numbers == sought[0]] if len(sought) == 1 else self._following(sought)
        if -1 in sought or not len(rows):
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        first = np.flatnonzero(np.concatenate(([True], rows[1:] != rows[:-1])))
        return rows[first], np.diff(first, append=len(rows))

    def _following(self, sought: Sequence[int]) -> Rows:
        """The memory of each place where the terms follow each other."""
        numbers, behind = self._words.numbers, len(sought) - 1
        at = self._at[self._numbers == sought[0]]
        at = at[at + behind < len(numbers)]
        for offset, number in enumerate(sought[1:], 1):
            at = at[numbers[at + offset] == number]
        rows = self._words.rows_of(at)
        found: Rows = rows[rows == self._words.rows_of(at + behind)]
        return found


def _text(
    columns: Columns,
    names: Sequence[str],
    words: _Words,
    match: TextMatch,
    query: CandidateQuery,
    allowed: Flags | None,
    length: int,
) -> tuple[dict[int, float], int]:
    """The best memories by BM25 of their words, and the number of all that match."""
    weights = np.zeros(len(columns))
    holds = np.zeros(len(columns), dtype=np.bool_)
    average = length / len(columns) if length else 1.0
    norms = K1 * (1 - B + B * columns.words.lengths / average)
    for unit in scored_phrases(match):
        rows, counts = words.of(unit)
        weight = rarity(len(columns), len(rows))
        holds[rows] = True
        weights[rows] += weight if query.rough_text else weight * (K1 + 1) * counts / (counts + norms[rows])
    for phrase in required_phrases(match):
        there = np.zeros(len(columns), dtype=np.bool_)
        there[words.of(phrase)[0]] = True
        holds &= there
    if allowed is not None:
        holds &= allowed
    found = np.flatnonzero(holds)
    best = _best(names, found, weights[found], query.text_limit, exact=not query.rough_text)
    return dict(zip(found[best].tolist(), weights[found[best]].tolist(), strict=True)), len(found)


def _best(names: Sequence[str], rows: Rows, scores: npt.NDArray[np.floating], wanted: int, *, exact: bool) -> Rows:
    """Places of the best among rows, best first, ties by id (or, where that does not count, in the order of rows)."""
    if wanted <= 0 or not len(rows):
        return np.empty(0, dtype=np.int64)
    chosen = top(scores, wanted)
    ordered = scores[chosen]
    if exact and (len(chosen) > wanted or (ordered[1:] == ordered[:-1]).any()):
        chosen = np.array(sorted(chosen.tolist(), key=lambda at: (-scores[at], names[int(rows[at])])), dtype=np.int64)
    return chosen[:wanted]


def _nearest(
    columns: Columns, names: Sequence[str], query: CandidateQuery, allowed: Flags | None
) -> tuple[dict[int, float], int]:
    """The nearest memories by cosine, and the number of those within the greatest distance."""
    assert query.vector is not None
    vectors = columns.vectors.get(len(query.vector))
    if vectors is None:
        return {}, 0
    embedded = vectors.at >= 0
    rows = np.flatnonzero(embedded if allowed is None else embedded & allowed)
    if not len(rows):
        return {}, 0
    matrix = vectors.matrix if len(rows) == len(vectors.matrix) else vectors.matrix[vectors.at[rows]]
    scores = cosines(matrix.astype(np.float32, copy=False), np.ascontiguousarray(query.vector, dtype=np.float32))
    if query.max_distance is not None:
        near = 1.0 - scores.astype(np.float64) <= query.max_distance
        rows, scores = rows[near], scores[near]
    best = _best(names, rows, scores, query.vector_limit, exact=True)
    distances = np.clip(1.0 - scores[best].astype(np.float64), 0.0, 2.0)
    return dict(zip(rows[best].tolist(), distances.tolist(), strict=True)), len(rows)


def _around(columns: Columns, chosen: list[int], reach: int) -> list[int]:
    """Turns of the same sessions at most `reach` positions away from what was chosen."""
    if reach <= 0 or not chosen:
        return []
    rows = np.array(chosen, dtype=np.int64)
    positions = columns.position
    rows = rows[positions[rows] >= 0]
    if not len(rows):
        return []
    steps = np.arange(-reach, reach + 1)
    wanted = (columns.session[rows] * _SPAN + positions[rows])[:, None] + steps
    wanted = np.sort(wanted[(positions[rows][:, None] + steps) >= 0])
    turns = np.flatnonzero(positions >= 0)
    places = columns.session[turns] * _SPAN + positions[turns]
    beside = np.zeros(len(positions), dtype=np.bool_)
    beside[turns[wanted[np.minimum(wanted.searchsorted(places), len(wanted) - 1)] == places]] = True
    beside[rows] = False
    around: list[int] = np.flatnonzero(beside).tolist()
    return around
