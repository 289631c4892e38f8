"""The words of a query in candidates: as they are, as one that begins alike, as one that means alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from memhost.ranking.matches import Matches
from memhost.ranking.types import Ints

_FORM = ("utf-8", "surrogatepass")
_HEAD = 8
"""Bytes at the start of a word that are compared at once, as one number."""
_MASKS = np.array([(1 << (8 * size)) - 1 for size in range(_HEAD + 1)], dtype=np.uint64)
_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 divided by the golden ratio: Knuth's multiplicative hashing
_SHIFT = np.uint64(64 - 16)
_SPACE = 32


def matches(
    groups: Sequence[tuple[str, Sequence[str]]], near: Sequence[Mapping[str, float]], joined: Sequence[str]
) -> Matches:
    """Find the terms of a query in candidates.

    A word begins alike if it shares all but the last two letters of the stem (four at least), or if it has five or six
    letters that a longer stem begins with.

    Args:
        groups: Each term with its other forms.
        near: For each term the stems near in meaning, with their nearness from 0 to 1.
        joined: The terms of each candidate, with a space before each and behind the last.
    """
    words = _Words(joined)
    sought = _Sought(groups, near)
    shape = (len(joined), len(groups))
    counts, variants, alike = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for row, word in words.among(sought.all):
        for j in sought.forms.get(word, ()):
            counts[row, j] += 1.0
        for j in sought.shorter.get(word, ()):
            variants[row, j] = 1.0
        for j, nearness in sought.near.get(word, ()):
            alike[row, j] = max(alike[row, j], nearness)
    for j, (term, _) in enumerate(groups):
        if _varies(term):
            variants[words.beginning(term[: max(4, len(term) - 2)]), j] = 1.0
    missing = counts == 0
    return Matches(counts, np.where(missing, variants, 0.0), np.where(missing, alike, 0.0))


class _Words:
    """All words of all candidates, in one buffer: looking for many of them takes less time than in strings."""

    def __init__(self, joined: Sequence[str]) -> None:
        encoded = [terms.encode(*_FORM) for terms in joined]
        self._text = b"".join(encoded) + b" " * _HEAD
        self._ends: Ints = np.cumsum([len(terms) for terms in encoded])
        signs = np.frombuffer(self._text, dtype=np.uint8)
        spaces = np.flatnonzero(signs[: len(self._text) - _HEAD + 1] == _SPACE)
        self._starts = spaces[:-1] + 1
        self._sizes = np.diff(spaces) - 1
        every: npt.NDArray[np.uint64] = np.ndarray(
            (len(self._text) - _HEAD + 1,), dtype="<u8", buffer=self._text, strides=(1,)
        )
        self._heads = every[self._starts]

    def among(self, sought: Iterable[str]) -> list[tuple[int, str]]:
        """Return each place of the words: the candidate's number, and the word."""
        table = np.zeros(1 << 16, dtype=np.bool_)
        table[_hashed(np.array([_head(word.encode(*_FORM)) for word in sought], dtype=np.uint64))] = True
        heads = self._heads & _MASKS[np.minimum(self._sizes, _HEAD)]
        at = np.flatnonzero(table[_hashed(heads)])
        starts = self._starts[at]
        ends = (starts + self._sizes[at]).tolist()
        rows = np.searchsorted(self._ends, starts, side="right").tolist()
        found = zip(rows, starts.tolist(), ends, strict=True)
        return [(row, self._text[start:end].decode(*_FORM)) for row, start, end in found]

    def beginning(self, letters: str) -> Ints:
        """Return the numbers of the candidates that hold a word with that beginning, some of them several times."""
        start = letters.encode(*_FORM)
        size = min(len(start), _HEAD)
        starts = self._starts[np.flatnonzero((self._heads & _MASKS[size]) == np.uint64(_head(start)))]
        if len(start) > size:
            starts = np.array([at for at in starts.tolist() if self._text.startswith(start, at)], dtype=np.int64)
        return np.searchsorted(self._ends, starts, side="right")


def _head(word: bytes) -> int:
    return int.from_bytes(word[:_HEAD], "little")


def _hashed(heads: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return the number of each head's place in a table of 2^16."""
    return (heads * _SPREAD) >> _SHIFT


class _Sought:
    """Words to look for, each with the numbers of the terms that it stands for."""

    def __init__(self, groups: Sequence[tuple[str, Sequence[str]]], near: Sequence[Mapping[str, float]]) -> None:
        self.forms: dict[str, list[int]] = defaultdict(list)
        self.shorter: dict[str, list[int]] = defaultdict(list)
        self.near: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for j, ((term, others), alike) in enumerate(zip(groups, near, strict=True)):
            for form in (term, *others):
                self.forms[form].append(j)
            for length in (5, 6):
                if _varies(term) and len(term) > length + 1:
                    self.shorter[term[:length]].append(j)
            for word, nearness in alike.items():
                self.near[word].append((j, nearness))
        self.all = {*self.forms, *self.shorter, *self.near}


def _varies(term: str) -> bool:
    return len(term) > 3 and term.isalpha()
