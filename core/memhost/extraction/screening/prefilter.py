"""Finds which of many patterns are worth trying on a text: those of which a necessary word is in it.

What every match of a pattern must contain is read off the pattern itself, as in Russ Cox, "Regular Expression Matching
with a Trigram Index" (https://swtch.com/~rsc/regexp/regexp4.html) and RE2's FilteredRE2.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from re import _constants as codes  # type: ignore[attr-defined]  # the parser of patterns, since Python 3.11
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

_LEAST = 2
"""Shorter literals are in nearly every text."""


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
            for literal in max(needs, key=_telling):
                self._by_literal[literal].append(number)

    def occur_in(self, text: str) -> bool:
        """Tell whether any of the patterns matches somewhere."""
        numbers = {number for literal, those in self._by_literal.items() if literal in text for number in those}
        return any(self._may_match(number, text) and self._compiled[number].search(text) for number in numbers)

    def _may_match(self, number: int, text: str) -> bool:
        return all(any(literal in text for literal in one_of) for one_of in self._needs[number])


Needs = tuple[frozenset[str], ...]
"""Sets of literals; of each set every match contains at least one."""


def required(pattern: str) -> Needs:
    """Return the literals of two letters or more that every match of the pattern contains.

    Raises:
        ValueError: There is no such literal.
    """
    found = _of_sequence(parser.parse(pattern))
    if not found:
        raise ValueError(f"Nothing that each match contains could be found in {pattern!r}.")
    return found


def _telling(one_of: frozenset[str]) -> tuple[int, int]:
    """Longer literals and fewer of them occur in fewer texts."""
    return min(map(len, one_of)), -len(one_of)


def _of_sequence(items: Any) -> Needs:
    found: list[frozenset[str]] = []
    run = ""
    for operation, argument in items:
        if operation is codes.LITERAL:
            run += chr(argument)
            continue
        found += (frozenset((run,)), *_of_item(operation, argument))
        run = ""
    return tuple(each for each in (*found, frozenset((run,))) if min(map(len, each)) >= _LEAST)


def _of_item(operation: Any, argument: Any) -> Needs:
    if operation is codes.SUBPATTERN:
        return _of_sequence(argument[3])
    if operation in (codes.MAX_REPEAT, codes.MIN_REPEAT):
        return _of_sequence(argument[2]) if argument[0] > 0 else ()
    if operation is codes.BRANCH:
        branches = [_of_sequence(branch) for branch in argument[1]]
        if all(branches):
            return (frozenset().union(*(max(needs, key=_telling) for needs in branches)),)
    return ()
