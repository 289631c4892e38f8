"""The order of matches by trust: what is trusted less, and what was made to be found, does not come first."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from memhost.memories.trust import level_of
from memhost.models import Candidates, StoredMemory, Trust
from memhost.models.trust import rank
from memhost.ranking import Columns
from memhost.ranking.stuffing import FEWEST, stuffed
from memhost.search.scoring import Scored

_PRICES: Mapping[Trust, float] = {"import": 0.5, "tool": 1.0, "external": 1.5}
"""The price of a source that is not verified, in logits of the score."""
_FIRST = 50
"""Matches that are compared with each other, whatever the page: pages must not repeat or skip any."""
_ALIKE, _COMMON = 0.6, 3
"""Share of the words of the shorter of two texts, and number of them, that make both tell of the same."""
_SURE = 0.98
_UNRELATED = 0.15
"""Score that memories which have nothing to do with a query stay below: a text falls no further for its repetitions."""


def by_trust(
    ordered: Sequence[Scored], sought: Collection[str], end: int, found: Candidates | None = None
) -> list[Scored]:
    """The matches, best first, by relevance and trust.

    A text loses score for repeating the words of the query, though not so much that it comes behind what has nothing
    to do with it, and for a source that is not verified. Of two texts that tell of the same the one that is trusted
    less comes behind the other, whichever is newer.

    Args:
        ordered: The matches, best first.
        sought: Terms of the query.
        end: Matches that are asked for, from the first one on; those far behind stay as they are.
        found: The candidates that they were among; if a store kept their columns, words are compared in these.
    """
    wanted, rest, terms = max(end, _FIRST), len(ordered), frozenset(sought)
    columns = None if found is None else _Rows.of(found, ordered)
    crowded = None if columns is None else columns.crowded(terms)
    if crowded == () and _are_all_trusted_alike(ordered[:wanted]):
        return list(ordered)
    kept: list[Scored] = []
    lower: list[Scored] = []
    for at, item in enumerate(ordered):
        if len(kept) == wanted:
            rest = at
            break
        score = _score(item, terms if crowded is None or item.row in crowded else frozenset())
        if score < item.score:
            lower.append(msgspec.structs.replace(item, score=score, dist=1.0 - score))
        else:
            kept.append(item)
    matches = [*kept, *ordered[rest:]]
    for item in lower:
        matches.insert(bisect_right(matches, -item.score, key=lambda other: -other.score), item)
    return _weaker_behind(matches, columns)


class _Rows:
    """The words of candidates, in the columns that the store kept."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns

    @classmethod
    def of(cls, found: Candidates, ordered: Sequence[Scored]) -> _Rows | None:
        """The rows of these matches; None if the store kept no columns, or not of all of them."""
        if found.columns is None or any(item.row < 0 for item in ordered):
            return None
        return cls(found.columns)

    def crowded(self, sought: Collection[str]) -> Collection[int]:
        """The rows of memories that hold more words of a query than a sentence must; mostly none, which is `()`."""
        return tuple(np.flatnonzero(self._columns.words.count(sought) > FEWEST).tolist())

    def held(self, items: Sequence[Scored]) -> npt.NDArray[np.float32]:
        """As `_held` of the words of these."""
        words = self._columns.words.take(np.array([item.row for item in items], dtype=np.int64))
        spelled = words.vocabulary.spelled[words.numbers]
        numbers = words.numbers[spelled]
        there = np.zeros(len(words.vocabulary), dtype=np.bool_)
        there[numbers] = True
        places = np.cumsum(there) - 1  # of each word among those that are there
        held = np.zeros((len(items), int(places[-1]) + 1 if len(places) else 0), dtype=np.float32)
        held[words.rows_of(np.flatnonzero(spelled)), places[numbers]] = 1.0
        return held


def _are_all_trusted_alike(items: Sequence[Scored]) -> bool:
    """Tell whether all have one level of trust, which has no price."""
    levels = {_level(item.memory) for item in items}
    return len(levels) < 2 and levels.isdisjoint(_PRICES)


def _level(memory: StoredMemory) -> Trust:
    return memory.trust or level_of(memory.record)


def _score(item: Scored, sought: frozenset[str]) -> float:
    level, score = _level(item.memory), item.score
    if sought:
        loss = stuffed(item.memory.terms, sought, lambda: item.record.text, trusted=rank(level) >= rank("user"))
        score = max(min(score, _UNRELATED), _lower(score, loss))
    return _lower(score, _PRICES.get(level, 0.0))


def _lower(score: float, loss: float) -> float:
    if not loss:
        return score
    odds = min(score, _SURE) / (1.0 - min(score, _SURE)) * math.exp(-loss)
    return odds / (1.0 + odds)


def _weaker_behind(ordered: list[Scored], columns: _Rows | None) -> list[Scored]:
    """The matches, each behind the first ones that tell of the same and are trusted further."""
    first = ordered[:_FIRST]
    ranks = [rank(_level(item.memory)) for item in first]
    if len(set(ranks)) < 2:
        return ordered
    same = _tell_of_the_same(_held(first) if columns is None else columns.held(first))
    trusts = np.array(ranks)
    # Each match with every later one that is trusted further.
    pairs = np.triu(same & (trusts[None, :] > trusts[:, None]), 1)
    behind: dict[int, list[int]] = {}
    for at in np.flatnonzero(pairs.any(axis=1)).tolist():
        behind.setdefault(int(np.flatnonzero(pairs[at])[-1]), []).append(at)
    if not behind:
        return ordered
    moved = {at for several in behind.values() for at in several}
    found: list[Scored] = []

    def add(at: int, score: float) -> None:
        item = first[at]
        found.append(item if item.score <= score else msgspec.structs.replace(item, score=score, dist=1.0 - score))
        for other in behind.get(at, ()):
            add(other, found[-1].score)

    for at in range(len(first)):
        if at not in moved:
            add(at, 1.0)
    return [*found, *ordered[_FIRST:]]


def _words(memory: StoredMemory) -> frozenset[str]:
    return frozenset(term for term in memory.terms if term[:1].isalnum())


def _held(items: Sequence[Scored]) -> npt.NDArray[np.float32]:
    """The words of memories, a row each: 1 where it holds the word that the column stands for."""
    texts = [_words(item.memory) for item in items]
    numbers: dict[str, int] = {}
    for text in texts:
        for word in text:
            numbers.setdefault(word, len(numbers))
    held = np.zeros((len(texts), len(numbers)), dtype=np.float32)
    for row, text in enumerate(texts):
        held[row, [numbers[word] for word in text]] = 1.0
    return held


def _tell_of_the_same(held: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Tell of each pair of texts, given by the words that they hold, whether both tell of the same."""
    common = held @ held.T  # whole numbers, which float32 adds up exactly
    sizes = held.sum(axis=1, dtype=np.float64)
    same: npt.NDArray[np.bool_] = (common >= _COMMON) & (common >= _ALIKE * np.maximum(sizes[:, None], sizes[None, :]))
    return same
