"""Finds which of many patterns are worth trying on a text: those of which the necessary words are in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache, reduce
from operator import or_

from memhost.text.matching.literals import required

_LONGEST_WORD, _WORDS, _SETS = 24, 8_192, 4_096
"""Characters of a word of which is remembered what is in it, such words, and sets of literals: 5 MB at most."""


class Patterns:
    """Patterns over plain text (`disguises.plain_text`), tried only where the literals that they need occur.

    A literal has no white space, so it stands inside of one word of the text; and words come again and again.

    Args:
        patterns: Regular expressions in which a blank matches any white space.

    Raises:
        ValueError: A pattern has no literal that all of its matches contain, or one with white space in it.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._compiled = [re.compile(pattern.replace(" ", r"\s")) for pattern in patterns]
        needs = [required(pattern.pattern) for pattern in self._compiled]
        literals = sorted({literal for of_one in needs for one_of in of_one for literal in one_of})
        if spaced := [literal for literal in literals if literal.split() != [literal]]:
            raise ValueError(f"A pattern needs {spaced[0]!r}, which is in no single word.")
        self._bits = {literal: 1 << place for place, literal in enumerate(literals)}
        self._needs = [[sum(map(self._bits.__getitem__, one_of)) for one_of in of_one] for of_one in needs]
        self._in_short = lru_cache(_WORDS)(self._in_word)
        self._worth_trying = lru_cache(_SETS)(self._with_needs)

    def occur_in(self, text: str) -> bool:
        """Tell whether any of the patterns matches somewhere."""
        words = text.split()
        look_into = self._in_short if max(map(len, words), default=0) <= _LONGEST_WORD else self._literals_of
        found = reduce(or_, filter(None, map(look_into, words)), 0)  # most words have none
        return found != 0 and any(pattern.search(text) for pattern in self._worth_trying(found))

    def _literals_of(self, word: str) -> int:
        return self._in_short(word) if len(word) <= _LONGEST_WORD else self._in_word(word)

    def _in_word(self, word: str) -> int:
        """The literals in a word, as a set of bits."""
        return sum(bit for literal, bit in self._bits.items() if literal in word)

    def _with_needs(self, found: int) -> tuple[re.Pattern[str], ...]:
        """The patterns of which all needs are among these literals."""
        pairs = zip(self._compiled, self._needs, strict=True)
        return tuple(pattern for pattern, needs in pairs if all(found & one_of for one_of in needs))
