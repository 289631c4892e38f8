"""The index terms of memories as numbers, one for each distinct word: words are then sought by comparing numbers."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import chain, islice

import numpy as np
import numpy.typing as npt

from memhost.ranking.types import Flags, Ints

Numbers = npt.NDArray[np.int32]


class _Shared:
    """The lock and the ordered words of a vocabulary and its extensions."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.in_order: list[str] = []


class Vocabulary:
    """The distinct words of some memories, numbered from 0.

    Attributes:
        numbers: The number of each word. What was made of this vocabulary (`extended`) may add words of its own.
    """

    def __init__(self, numbers: dict[str, int], shared: _Shared | None = None) -> None:
        self.numbers = numbers
        self._shared = _Shared() if shared is None else shared

    def __len__(self) -> int:
        return len(self.numbers)

    def extended(self, words: Iterable[str]) -> Vocabulary:
        """Return a vocabulary with these words as well, which gives the numbers to the others that they have here."""
        with self._shared.lock:
            for word in words:
                self.numbers.setdefault(word, len(self.numbers))
        return Vocabulary(self.numbers, self._shared)

    @cached_property
    def words(self) -> list[str]:
        """The words in the order of their numbers."""
        return list(self.numbers)

    @cached_property
    def spelled(self) -> Flags:
        """The words that begin with a letter or a digit."""
        return np.array([word[:1].isalnum() for word in self.words], dtype=np.bool_)

    def beginning(self, letters: str) -> list[int]:
        """Return the numbers of the words that begin with these letters."""
        words = self._in_order()
        at, found = bisect_left(words, letters), []
        while at < len(words) and words[at].startswith(letters):
            found.append(self.numbers[words[at]])
            at += 1
        return found

    def _in_order(self) -> list[str]:
        """The words in order; those that came since they were last asked for are put among the others."""
        if len(self._shared.in_order) < len(self.numbers):
            with self._shared.lock:
                known = self._shared.in_order
                self._shared.in_order = sorted([*known, *islice(self.numbers, len(known), None)])
        return self._shared.in_order


class Words:
    """The words of n memories, in order.

    Attributes:
        vocabulary: What the numbers mean.
        starts: Place of each memory's first word in the stream that all slices share, shape (n,).
        sizes: How many words each memory has, shape (n,).
    """

    def __init__(self, vocabulary: Vocabulary, stream: Numbers, starts: Ints, sizes: Ints) -> None:
        self.vocabulary = vocabulary
        self.starts = starts
        self.sizes = sizes
        self._stream = stream

    @classmethod
    def of(cls, terms: Iterable[Sequence[str] | str]) -> Words:
        """Number the words of memories, each given as its terms, or as these joined by single spaces.

        A memory without terms has one word, the empty one: that is how its length is counted.
        """
        split = [each.split(" ") if isinstance(each, str) else each or ("",) for each in terms]
        every = list(chain.from_iterable(split))
        numbers = {word: number for number, word in enumerate(dict.fromkeys(every))}
        stream = np.fromiter(map(numbers.__getitem__, every), np.int32, len(every))
        sizes = np.fromiter(map(len, split), np.int64, len(split))
        return cls(Vocabulary(numbers), stream, np.cumsum(sizes) - sizes, sizes)

    @classmethod
    def concat(cls, parts: Sequence[Words]) -> Words:
        """Return the words of all parts behind each other, numbered by the vocabulary of the first, extended."""
        first, *others = parts
        vocabulary = first.vocabulary.extended(word for part in others for word in part.vocabulary.words)
        streams = [first.numbers]
        for part in others:
            new = [vocabulary.numbers[word] for word in part.vocabulary.words]
            streams.append(np.array(new, dtype=np.int32).take(part.numbers))
        sizes = np.concatenate([part.sizes for part in parts])
        return cls(vocabulary, np.concatenate(streams), np.cumsum(sizes) - sizes, sizes)

    def __len__(self) -> int:
        return len(self.sizes)

    def take(self, rows: Ints) -> Words:
        """Return the words of some of the memories, in the order of ``rows``."""
        return Words(self.vocabulary, self._stream, self.starts[rows], self.sizes[rows])

    @cached_property
    def _ends(self) -> Ints:
        return np.cumsum(self.sizes)

    def rows_of(self, places: Ints) -> Ints:
        """Return the memory of each of these places in ``numbers``."""
        return np.searchsorted(self._ends, places, side="right")

    @cached_property
    def numbers(self) -> Numbers:
        """The number of each word of each memory, one memory behind the other."""
        if np.array_equal(self.starts, self._ends - self.sizes) and len(self._stream) == int(self.sizes.sum()):
            return self._stream
        places = np.repeat(self.starts - self._ends + self.sizes, self.sizes)
        places += np.arange(len(places))
        return self._stream.take(places)

    @cached_property
    def lengths(self) -> Ints:
        """The number of terms of each memory: one less than words where these are the empty one alone."""
        empty = self.vocabulary.numbers.get("", -1)
        lengths: Ints = self.sizes - ((self.sizes == 1) & (self.at(0) == empty))
        return lengths

    def terms(self, row: int) -> tuple[str, ...]:
        """Return the words of a memory."""
        start, size = int(self.starts[row]), int(self.sizes[row])
        words = self.vocabulary.words
        found = tuple(words[number] for number in self._stream[start : start + size].tolist())
        return () if found == ("",) else found

    def at(self, place: int) -> Ints:
        """Return the number of each memory's word at that place, from 0; -1 where it has fewer words."""
        found = np.full(len(self), -1, dtype=np.int64)
        longer = np.flatnonzero(self.sizes > place)
        found[longer] = self._stream[self.starts[longer] + place]
        return found

    def count(self, words: Iterable[str]) -> Ints:
        """Return how many words of each memory are among these."""
        known = self.vocabulary.numbers
        among = np.zeros(len(known), dtype=np.bool_)
        among[[known[word] for word in words if word in known]] = True
        before = np.concatenate(([0], np.cumsum(among[self.numbers])))
        counted: Ints = before[self._ends] - before[self._ends - self.sizes]
        return counted

    def holding(self, phrase: Sequence[str]) -> Flags:
        """Tell which memories hold these words, at least one, next to each other."""
        found = np.zeros(len(self), dtype=np.bool_)
        sought = [self.vocabulary.numbers.get(word, -1) for word in phrase]
        behind = len(sought) - 1
        if -1 in sought or len(self.numbers) <= behind:
            return found
        places = np.flatnonzero(self.numbers[: len(self.numbers) - behind] == sought[0])
        for offset, number in enumerate(sought[1:], start=1):
            places = places[self.numbers[places + offset] == number]
        rows = self.rows_of(places)
        found[rows[rows == self.rows_of(places + behind)]] = True
        return found
