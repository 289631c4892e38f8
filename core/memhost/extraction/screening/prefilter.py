"""Finds which of many patterns are worth trying on a text: those of which a necessary word is in it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from memhost.text.matching.literals import required, telling


class Patterns:
    """Patterns over plain text (`disguises.plain_text`), tried only where the literals that they need occur.

    Args:
        patterns: Regular expressions in which a blank matches any white space.

    Raises:
        ValueError: A pattern has no literal that all of its matches contain.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._compiled = [re.compile(pattern.replace(" ", r"\s")) for pattern in patterns]
        self._needs = [required(pattern.pattern) for pattern in self._compiled]
        self._by_literal: defaultdict[str, list[int]] = defaultdict(list)
        for number, needs in enumerate(self._needs):
            for literal in max(needs, key=telling):
                self._by_literal[literal].append(number)
        self._in_ascii = {literal: those for literal, those in self._by_literal.items() if literal.isascii()}

    def occur_in(self, text: str) -> bool:
        """Tell whether any of the patterns matches somewhere."""
        by_literal = self._in_ascii if text.isascii() else self._by_literal
        found = [*filter(text.__contains__, by_literal)]
        if not found:
            return False
        numbers = {number for literal in found for number in by_literal[literal]}
        return any(self._may_match(number, text) and self._compiled[number].search(text) for number in numbers)

    def _may_match(self, number: int, text: str) -> bool:
        return all(any(literal in text for literal in one_of) for one_of in self._needs[number])
