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
    ordered: Sequence[Scored], sought: Collection[str], end: int, crowded: Collection[str] | None = None
) -> list[Scored]:
    """The matches, best first, by relevance and trust.

    A text loses score for repeating the words of the query, though not so much that it comes behind what has nothing
    to do with it, and for a source that is not verified. Of two texts that tell of the same the one that is trusted
    less comes behind the other, whichever is newer.

    Args:
        ordered: The matches, best first.
        sought: Terms of the query.
        end: Matches that are asked for, from the first one on; those far behind stay as they are.
        crowded: Ids of the memories that hold many words of the query (`crowded_in`); None: any may.
    """
    wanted, rest, terms = max(end, _FIRST), len(ordered), frozenset(sought)
    kept: list[Scored] = []
    lower: list[Scored] = []
    for at, item in enumerate(ordered):
        if len(kept) == wanted:
            rest = at
            break
        score = _score(item, terms if crowded is None or item.id in crowded else frozenset())
        if score < item.score:
            lower.append(msgspec.structs.replace(item, score=score, dist=1.0 - score))
        else:
            kept.append(item)
    found = [*kept, *ordered[rest:]]
    for item in lower:
        found.insert(bisect_right(found, -item.score, key=lambda other: -other.score), item)
    return _weaker_behind(found)


def crowded_in(found: Candidates, sought: Collection[str]) -> frozenset[str] | None:
    """The ids of candidates that hold more words of a query than a sentence must; None if the store kept no columns."""
    if found.columns is None:
        return None
    many = np.flatnonzero(found.columns.words.count(sought) > FEWEST)
    return frozenset(found.hits[row].memory.id for row in many.tolist())


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


def _weaker_behind(ordered: list[Scored]) -> list[Scored]:
    """The matches, each behind the first ones that tell of the same and are trusted further."""
    first = ordered[:_FIRST]
    ranks = [rank(_level(item.memory)) for item in first]
    if len(set(ranks)) < 2:
        return ordered
    same = _tell_of_the_same([_words(item.memory) for item in first])
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


def _tell_of_the_same(texts: Sequence[frozenset[str]]) -> npt.NDArray[np.bool_]:
    """Tell of each pair of texts, given as their words, whether both tell of the same."""
    numbers: dict[str, int] = {}
    for text in texts:
        for word in text:
            numbers.setdefault(word, len(numbers))
    held = np.zeros((len(texts), len(numbers)), dtype=np.float32)
    for row, text in enumerate(texts):
        held[row, [numbers[word] for word in text]] = 1.0
    common = held @ held.T  # whole numbers, which float32 adds up exactly
    sizes = held.sum(axis=1, dtype=np.float64)
    same: npt.NDArray[np.bool_] = (common >= _COMMON) & (common >= _ALIKE * np.maximum(sizes[:, None], sizes[None, :]))
    return same
