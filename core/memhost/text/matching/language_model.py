"""fastText's model of languages, read word by word: what a word adds to a guess is worked out once, and remembered.

The model takes the mean of the vectors of all words of a text and of the n-grams of their letters, and goes down a tree
of languages with it (A. Joulin et al., "Bag of Tricks for Efficient Text Classification", 2016). The library works all
n-grams of each text out, which takes half a microsecond a letter. Here the words of many texts are added up from
a table. Sums can differ from the library's in the last digit; so only what is clear is decided here, and the caller
asks the library about everything else.

Format of the file: `FastText::saveModel` and `Dictionary::save` of https://github.com/facebookresearch/fastText.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, chain
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

_MAGIC, _VERSION, _TREE = 0x2F4F16BA, 12, 1
_END = b"</s>"
"""The word that the library puts behind each text."""
_LABEL = "__label__"

_LONGEST_WORD, _MOST_WORDS = 24, 16_384
"""Characters of a word that is remembered, and such words: 5 MB."""
_NEW = 4
"""New words of a text that are worked out at once; where there are more, the library is quicker."""
_AT_ONCE = 256
"""Texts that are added up together."""
CLEAR = 1e-3
"""Probabilities that are further apart are told apart, whatever rounding did to them: it does a thousandth of that."""

Vectors = npt.NDArray[np.float32]


class NotReadableError(Exception):
    """The file is not a model of the kind that is read here."""


class Guess(msgspec.Struct, frozen=True):
    """The likeliest language of a text.

    Attributes:
        language: ISO 639 code.
        chance: Its probability.
        english: That of English.
    """

    language: str
    chance: float
    english: float


class LanguageModel:
    """Guesses languages of texts; safe to use from several threads.

    Args:
        path: A quantised model with a tree of labels, among them English.

    Raises:
        NotReadableError: It is another file.
        OSError: It cannot be read.
    """

    def __init__(self, path: Path) -> None:
        read = _File(path.read_bytes())
        self._vocabulary, self._rows, self._outputs = read.words, read.rows, read.outputs
        self._grams, self._gram_rows = read.grams, read.gram_rows
        self._shortest, self._longest, self._bucket = read.shortest, read.longest, read.bucket
        self._labels = read.labels
        self._left, self._right = _tree(read.counts)
        self._english = _path(self._left, self._right, len(read.labels), read.labels.index("en"))
        self._lock = threading.Lock()
        self._places: dict[str, int] = {}
        self._sums = np.zeros((_MOST_WORDS, self._rows.shape[1]), dtype=np.float32)
        self._counts = np.zeros(_MOST_WORDS, dtype=np.float32)

    def guesses(self, texts: Sequence[Sequence[str]]) -> list[Guess | None]:
        """The guess of each text, given as its words; None where the library has to be asked.

        Where the likeliest language has half of the probability or more, or is far from it, the guess is right up to
        `CLEAR`; a language with less may be another than the library's.
        """
        found: list[Guess | None] = []
        for start in range(0, len(texts), _AT_ONCE):
            found += self._guesses(texts[start : start + _AT_ONCE])
        return found

    def _guesses(self, texts: Sequence[Sequence[str]]) -> list[Guess | None]:
        found: list[Guess | None] = [None] * len(texts)
        with self._lock:
            if len(self._places) + _NEW * len(texts) > _MOST_WORDS:
                self._places.clear()
            places = [self._places_of(words) for words in texts]
            known = [index for index, each in enumerate(places) if each]
            if not known:
                return found
            ends = [*accumulate(len(places[index]) for index in known)]
            at = np.fromiter(chain.from_iterable(places), dtype=np.int64, count=ends[-1])
            sums, counts = self._sums[at], self._counts[at]
        starts = [0, *ends[:-1]]
        total = np.add.reduceat(sums, starts, axis=0) + self._rows[self._vocabulary[_END]]
        hidden = total / (np.add.reduceat(counts, starts)[:, None] + 1)
        with np.errstate(over="ignore"):  # what is infinite makes a chance of 0
            right = 1 / (1 + np.exp(-(hidden @ self._outputs.T)))
        for row, index in enumerate(known):
            found[index] = self._guess(right[row].item)
        return found

    def _guess(self, right: Callable[[int], float]) -> Guess | None:
        """The likeliest language by the probability of going right at each fork; None if a fork is undecided."""
        leaves = len(self._labels)
        node, chance = 2 * leaves - 2, 1.0
        while node >= leaves:
            goes = right(node - leaves)
            if abs(goes - 0.5) < CLEAR:
                return None
            chance *= max(goes, 1 - goes) + _ADDED
            node = self._right[node] if goes > 0.5 else self._left[node]
        english = 1.0
        for fork, to_right in self._english:
            english *= (right(fork) if to_right else 1 - right(fork)) + _ADDED
        return Guess(self._labels[node], chance, english)

    def _places_of(self, words: Sequence[str]) -> list[int]:
        """Where the words of a text are in the table; empty if some are not, and will not all be now."""
        known = self._places
        try:
            return [*map(known.__getitem__, words)]
        except KeyError:
            new = [word for word in dict.fromkeys(words) if word not in known]
        if not all(map(self._learn, new[:_NEW])) or len(new) > _NEW:
            return []
        return [*map(known.__getitem__, words)]

    def _learn(self, word: str) -> bool:
        """Put a word into the table; False if it is one that the library takes for something else, or too long."""
        if len(word) > _LONGEST_WORD or "\0" in word or word.startswith(_LABEL):
            return False
        try:
            rows = self._rows_of(word)
        except UnicodeEncodeError:
            return False
        if word.encode() == _END:
            return False
        place = len(self._places)
        self._sums[place], self._counts[place] = np.add.reduce(self._rows[rows], axis=0), len(rows)
        self._places[word] = place
        return True

    def _rows_of(self, word: str) -> list[int]:
        """The rows of a word and of the n-grams of its letters, as `Dictionary::computeSubwords` finds them."""
        own = self._vocabulary.get(word.encode())
        letters = [letter.encode() for letter in f"<{word}>"]
        hashes = []
        for start in range(len(letters)):
            value = _FNV_START
            for length, letter in enumerate(letters[start : start + self._longest], 1):
                for byte in letter:
                    value = ((value ^ (byte if byte < 128 else byte | 0xFFFFFF00)) * _FNV_PRIME) & 0xFFFFFFFF
                if length >= self._shortest:
                    hashes.append(value % self._bucket)
        asked = np.array(hashes, dtype=np.int64)
        places = np.minimum(np.searchsorted(self._grams, asked), len(self._grams) - 1)
        found = self._gram_rows[places[self._grams[places] == asked]].tolist()
        return [*([] if own is None else [own]), *found]


_ADDED = 1e-5
"""The library adds it to each probability before it takes the logarithm (`std_log`)."""
_FNV_START, _FNV_PRIME = 2_166_136_261, 16_777_619
"""FNV-1a, of bytes with a sign."""


class _File:
    """The parts of a model's file."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0
        try:
            self._read()
        except (struct.error, ValueError, IndexError) as error:
            raise NotReadableError(f"It ends too early, or is of another kind: {error}.") from error

    def _read(self) -> None:
        magic, version = self._take("<ii")
        dimensions, _, _, _, _, word_ngrams, loss, _, self.bucket, self.shortest, self.longest, _, _ = self._take(
            "<12id"
        )
        if (magic, version, word_ngrams, loss) != (_MAGIC, _VERSION, 1, _TREE) or self.shortest < 2:
            raise NotReadableError("It is no fastText model of version 12 with a tree of labels.")
        self._read_dictionary()
        (quantised,) = self._take("<?")
        if not quantised:
            raise NotReadableError("It is not quantised.")
        self.rows = self._quantised(dimensions)
        (quantised,) = self._take("<?")
        height, width = self._take("<qq")
        if quantised or (height, width) != (len(self.labels), dimensions):
            raise NotReadableError("Its labels are not those of its output.")
        self.outputs = self._array("<f4", height * width).reshape(height, width)[: height - 1]

    def _read_dictionary(self) -> None:
        size, words, labels, _, pruned = self._take("<iiiqq")
        names, counts = [], []
        for _ in range(size):
            end = self._data.index(b"\0", self._at)
            names.append(self._data[self._at : end])
            self._at = end + 1
            counts.append(self._take("<qb")[0])
        pairs = self._array("<i4", 2 * max(pruned, 0)).reshape(-1, 2)
        if not len(pairs) or size != words + labels:
            raise NotReadableError("Its n-grams are not pruned.")
        self.words = {name: row for row, name in enumerate(names[:words])}
        self.labels = [name.decode().removeprefix(_LABEL) for name in names[words:]]
        self.counts = counts[words:]
        order = np.argsort(pairs[:, 0])
        self.grams = pairs[order, 0].astype(np.int64)
        self.gram_rows = pairs[order, 1].astype(np.int64) + words

    def _quantised(self, dimensions: int) -> Vectors:
        """The matrix of `QMatrix`: each row is a few numbers of centroids, and the number of its length."""
        has_norms, height, width, size = self._take("<?qqi")
        codes = self._array("u1", size).reshape(height, -1)
        directions = self._centroids()
        if not has_norms or width != dimensions or directions.shape[0] != codes.shape[1]:
            raise NotReadableError("Its vectors are kept in another way.")
        lengths = self._array("u1", height)
        norms = self._centroids()[0, :, 0]
        rows = directions[np.arange(codes.shape[1]), codes].reshape(height, -1)
        return np.ascontiguousarray(rows * norms[lengths][:, None])

    def _centroids(self) -> Vectors:
        dimensions, parts, width, last = self._take("<iiii")
        if width != last:
            raise NotReadableError("Its vectors are cut into unequal parts.")
        centroids: Vectors = self._array("<f4", dimensions * 256).reshape(parts, 256, width)
        return centroids

    def _take(self, form: str) -> tuple[Any, ...]:
        found = struct.unpack_from(form, self._data, self._at)
        self._at += struct.calcsize(form)
        return found

    def _array(self, kind: str, count: int) -> Any:
        found = np.frombuffer(self._data, dtype=kind, count=count, offset=self._at)
        self._at += found.nbytes
        return found


def _tree(counts: Sequence[int]) -> tuple[list[int], list[int]]:
    """Left and right child of each node of the tree, as `HierarchicalSoftmaxLoss::buildTree` builds it."""
    leaves = len(counts)
    weights = [*counts, *([10**15] * (leaves - 1))]
    left, right = [-1] * (2 * leaves - 1), [-1] * (2 * leaves - 1)
    leaf, node = leaves - 1, leaves
    for parent in range(leaves, 2 * leaves - 1):
        children = []
        for _ in range(2):
            if leaf >= 0 and weights[leaf] < weights[node]:
                children.append(leaf)
                leaf -= 1
            else:
                children.append(node)
                node += 1
        left[parent], right[parent] = children
        weights[parent] = weights[children[0]] + weights[children[1]]
    return left, right


def _path(left: Sequence[int], right: Sequence[int], leaves: int, leaf: int) -> list[tuple[int, bool]]:
    """The forks from the root to a leaf, and at which of them it goes right."""
    parents = {child: (node, False) for node, child in enumerate(left) if child >= 0}
    parents |= {child: (node, True) for node, child in enumerate(right) if child >= 0}
    return [*_up(parents, leaves, leaf)]


def _up(parents: dict[int, tuple[int, bool]], leaves: int, node: int) -> Iterator[tuple[int, bool]]:
    while node in parents:
        node, to_right = parents[node]
        yield node - leaves, to_right
