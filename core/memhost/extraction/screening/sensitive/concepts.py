"""Tells what a sentence speaks of: the words of `concepts.txt`, found in any of its languages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path

import msgspec

from memhost.extraction.screening.obfuscation import plain_text

_TOKEN = re.compile(
    r"[\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"  # a sign of a script without spaces, or of Hangul
    r"|[^\W_\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+"
)
_DENSE = re.compile(r"[\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_BEFORE_DENSE = "\u10ff"
_BREAK = re.compile(r"[!?。！？\n]+|\.(?=\s|$)")
LONGEST_PART = 400
"""Characters of one sentence that are read together; a longer one is read in parts."""
_REMEMBERED = 16_384
"""Words of which is remembered what begins with them."""
_SHORTEST, _LONGEST = 2, 18
"""Letters of the shortest beginning of a word, and of the longest word or beginning, that `concepts.txt` may have."""
_READ = _LONGEST + 1
"""Letters of a word that are looked at: more tell nothing, and would be remembered."""
_LONGEST_REMEMBERED = 24
"""Characters of a word, with the signs around it, of which is remembered what it may speak of: 4 MB at most."""


class Sentence(msgspec.Struct, frozen=True):
    """Concepts of a sentence.

    Attributes:
        text: It, as it was written.
        places: Where each concept stands, in words from its beginning; two signs of a dense script count as a word.
        length: Length in such words.
    """

    text: str
    places: dict[str, list[float]]
    length: float

    def has(self, *concepts: str) -> bool:
        """Tell whether all of the concepts stand in it."""
        return all(concept in self.places for concept in concepts)

    def any(self, *concepts: str) -> bool:
        """Tell whether one of the concepts stands in it."""
        return any(concept in self.places for concept in concepts)

    def near(self, one: str, other: str, words: float) -> bool:
        """Tell whether two concepts stand at most so many words from each other, and not in the same place."""
        first, second = self.places.get(one, ()), self.places.get(other, ())
        at = 0
        for place in first:  # both are sorted
            while at < len(second) and second[at] < place - words:
                at += 1
            ahead = at
            while ahead < len(second) and second[ahead] <= place + words:
                if second[ahead] != place:
                    return True
                ahead += 1
        return False

    def begins(self, concept: str, within: float = 0.0) -> bool:
        """Tell whether a concept stands within so many words of the beginning."""
        return concept in self.places and self.places[concept][0] <= within


class _Entry(msgspec.Struct, frozen=True):
    concept: str
    rest: tuple[tuple[str, bool], ...]


class _Table(msgspec.Struct, frozen=True):
    """Entries by their first word: whole words, and beginnings of words."""

    words: dict[str, list[_Entry]]
    beginnings: dict[str, list[_Entry]]


@cache
def _table() -> _Table:
    table = _Table(words={}, beginnings={})
    concept = ""
    for line in Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            concept = line[3:].strip()
        elif line and not line.startswith("#"):
            for entry in line.partition(":")[2].split(","):
                _add(table, concept, entry)
    return table


def _add(table: _Table, concept: str, entry: str) -> None:
    parts: list[tuple[str, bool]] = []
    for word in entry.split():
        tokens = _TOKEN.findall(_spelled(plain_text(word.rstrip("*"))))
        parts += [(token, False) for token in tokens[:-1]] + [(tokens[-1], word.endswith("*"))]
    if not parts:
        return
    first, is_beginning = parts.pop(0)
    assert _SHORTEST * is_beginning <= len(first) <= _LONGEST, entry
    where = table.beginnings if is_beginning else table.words
    where.setdefault(first, []).append(_Entry(concept, tuple(parts)))


def sentences(text: str, *, as_it_is: bool = False) -> Iterator[Sentence]:
    """Yield what is found in each sentence of a text, a long one in parts.

    Args:
        text: The text.
        as_it_is: In small letters it is its own plain text (`obfuscation.plain_text`).
    """
    start = 0
    for match in (*_BREAK.finditer(text), None):
        end = match.start() if match is not None else len(text)
        while end - start > LONGEST_PART:
            cut = text.rfind(" ", start + LONGEST_PART // 2, start + LONGEST_PART)
            cut = cut if cut > 0 else start + LONGEST_PART
            yield _sentence(text[start:cut], as_it_is)
            start = cut
        yield _sentence(text[start:end], as_it_is)
        start = match.end() if match is not None else end


def _spelled(text: str) -> str:
    """The text without what writers leave out as they like."""
    return text.replace("ё", "е")


def perhaps_in(shown: str) -> frozenset[str]:
    """All concepts of which the first word is in a plain text in ASCII: `concepts_in` has no other ones.

    No word of a sentence goes on behind white space, so each is looked at once however often it comes.
    """
    words = shown.split()
    look_into = _begun_by_short if max(map(len, words), default=0) <= _LONGEST_REMEMBERED else _begun_by
    return frozenset[str]().union(*filter(None, map(look_into, words)))


def _begun_by(word: str) -> frozenset[str]:
    return _begun_by_short(word) if len(word) <= _LONGEST_REMEMBERED else _begun(word)


@lru_cache(_REMEMBERED)
def _begun_by_short(word: str) -> frozenset[str]:
    return _begun(word)


def _begun(word: str) -> frozenset[str]:
    return frozenset(entry.concept for token in _TOKEN.findall(word) for entry in _entries(token[:_READ]))


def concepts_in(shown: str) -> frozenset[str]:
    """The concepts of a plain text of at most `LONGEST_PART` characters; each of its sentences has no other ones."""
    tokens = _TOKEN.findall(_spelled(shown))
    return frozenset(
        entry.concept
        for index, entries in enumerate(_entries(token[:_READ]) for token in tokens)
        if entries
        for entry in entries
        if _goes_on(tokens, index + 1, entry.rest)
    )


def _sentence(text: str, as_it_is: bool) -> Sentence:
    tokens = _TOKEN.findall(text.lower() if as_it_is else _spelled(plain_text(text)))
    places: dict[str, list[float]] = {}
    at = 0.0
    for index, token in enumerate(tokens):
        if entries := _entries(token[:_READ]):
            found = {entry.concept for entry in entries if _goes_on(tokens, index + 1, entry.rest)}
            for concept in found:
                places.setdefault(concept, []).append(at)
        at += 0.5 if token > _BEFORE_DENSE and _DENSE.match(token) else 1.0
    return Sentence(text, places, at)


@lru_cache(_REMEMBERED)
def _entries(token: str) -> tuple[_Entry, ...]:
    """The entries that a token begins, of which `_READ` letters are given; most begin none, and come repeatedly."""
    table = _table()
    found = [*table.words.get(token, ())]
    for length in range(_SHORTEST, min(len(token), _LONGEST) + 1):
        found += table.beginnings.get(token[:length], ())
    return tuple(found)


def _goes_on(tokens: list[str], index: int, rest: tuple[tuple[str, bool], ...]) -> bool:
    for offset, (word, is_beginning) in enumerate(rest):
        if index + offset >= len(tokens):
            return False
        token = tokens[index + offset]
        if token != word and not (is_beginning and token.startswith(word)):
            return False
    return True
