"""The part of a long text that says most about a query."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from memhost.text.unicode_forms import fold
from memhost.text.words import STOP_WORDS

CUT = "…"
"""Stands where a text was cut."""

_MAX_WORDS = 24
_MAX_PLACES = 20_000
"""Places of words of the query that are looked at; a text that repeats them more often is not searched further."""
_SENTENCE_END = re.compile(r"[.!?…][\"'”’)\]]*\s+|[。！？]|\n+")
_REACH = 0.35
"""Share of the size by which a border of a sentence may lie away from where the passage would be cut."""
_SHORTEST_STEM = 4
_MAX_QUERY = 2_000
"""Characters of a query whose words are looked for."""
_WORD = re.compile(r"\d+(?:[.,]\d+)*|\w+")
_NO_SPACES = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\ud7ff\uf900-\ufaff]")
"""Signs of scripts that are written without spaces."""


class Passage(NamedTuple):
    """A part of a text, by its places: `text[start:end]`."""

    start: int
    end: int

    def shown(self, text: str) -> str:
        """The passage, with a mark on each side where something was left out."""
        before = f"{CUT} " if self.start > 0 else ""
        behind = f" {CUT}" if self.end < len(text) else ""
        return before + text[self.start : self.end].strip() + behind


def best_passage(text: str, query: str, most: int) -> Passage:
    """The passage of at most `most` characters that holds the most, and the rarest, words of the query.

    It begins and ends between sentences where one ends near. Without a word of the query it is the beginning.

    Args:
        text: Any text; of one with `most` characters or fewer the passage is the whole.
        query: What is sought, in any language.
        most: Characters, at least 1.
    """
    if len(text) <= most:
        return Passage(0, len(text))
    places = _places(text, query)
    if not places:
        return Passage(0, _end(text, 0, most))
    first, last = _densest(places, most)
    start = _start(text, max(0, first - (most - (last - first)) // 3), first, most)
    return Passage(start, min(start + most, max(last, _end(text, start, most))))


def _places(text: str, query: str) -> list[tuple[int, int, str]]:
    """Where words of the query stand: beginning, end, and the word; in order."""
    words = _words(query)
    if not words:
        return []
    patterns = {f"w{number}": _pattern(word) for number, word in enumerate(words)}
    either = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in patterns.items()), re.IGNORECASE)
    found = []
    for match in either.finditer(text):
        found.append((match.start(), match.end(), str(match.lastgroup)))
        if len(found) == _MAX_PLACES:
            break
    return found


def _words(query: str) -> list[str]:
    """The words of the query that say something, in small letters; of scripts without spaces pairs of signs."""
    found: dict[str, None] = {}
    for word in _WORD.findall(query[:_MAX_QUERY].lower()):
        if _NO_SPACES.search(word):
            found.update(dict.fromkeys(word[at : at + 2] for at in range(len(word) - 1)))
        elif (len(word) > 1 or word.isdigit()) and fold(word) not in STOP_WORDS:
            found[word] = None
    return list(found)[:_MAX_WORDS]


def _pattern(word: str) -> str:
    """A word in its forms: its beginning, and up to four other letters; numbers and signs as they are."""
    if word[0].isdigit():
        return rf"(?<![\d.,]){re.escape(word)}(?![.,]?\d)"
    if _NO_SPACES.search(word):
        return re.escape(word)
    if len(word) <= _SHORTEST_STEM:
        return rf"\b{re.escape(word)}s?\b"
    return rf"\b{re.escape(word[: max(_SHORTEST_STEM, len(word) - 2)])}\w{{0,4}}\b"


def _densest(places: Sequence[tuple[int, int, str]], most: int) -> tuple[int, int]:
    """The stretch of at most `most` characters whose different words weigh most; a word weighs less the more often."""
    often = Counter(word for _, _, word in places)
    best, best_weight = (places[0][0], min(places[0][1], places[0][0] + most)), 0.0
    inside: Counter[str] = Counter()
    weight, low = 0.0, 0
    for start, end, word in places:
        inside[word] += 1
        weight += 1.0 / often[word] if inside[word] == 1 else 0.0
        while low < len(places) and end - places[low][0] > most and places[low][0] < start:
            gone = places[low][2]
            inside[gone] -= 1
            weight -= 1.0 / often[gone] if inside[gone] == 0 else 0.0
            low += 1
        while inside[places[low][2]] > 1:  # it comes again further on: the stretch needs not begin here
            inside[places[low][2]] -= 1
            low += 1
        if weight > best_weight + 1e-9 and end - places[low][0] <= most:
            best, best_weight = (places[low][0], end), weight
    return best


def _start(text: str, start: int, first: int, most: int) -> int:
    """A place at or behind `start`, and not behind `first`, where a sentence or at least a word begins."""
    if start == 0:
        return 0
    ends = [match.end() for match in _SENTENCE_END.finditer(text, max(0, start - 2), first)]
    if ends and ends[0] - start <= _REACH * most:
        return ends[0]
    blank = text.find(" ", start, first)
    return blank + 1 if blank >= 0 else start


def _end(text: str, start: int, most: int) -> int:
    """Where a passage of at most `most` characters ends: behind a sentence, else behind a word."""
    limit = min(len(text), start + most)
    if limit == len(text):
        return limit
    least = limit - int(_REACH * most)
    ends = [match.end() for match in _SENTENCE_END.finditer(text, least, limit)]
    if ends:
        return ends[-1]
    blank = text.rfind(" ", least, limit)
    return blank if blank > start else limit
