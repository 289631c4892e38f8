"""Tells what every match of a pattern must contain, and tries patterns only on texts that contain it.

It is read off the pattern itself, as in Russ Cox, "Regular Expression Matching with a Trigram Index"
(https://swtch.com/~rsc/regexp/regexp4.html) and RE2's FilteredRE2.
"""

from __future__ import annotations

import re
from re import _constants as codes  # type: ignore[attr-defined]  # the parser of patterns, since Python 3.11
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any, NamedTuple

_LEAST = 2
"""Shorter literals are in nearly every text."""
_FEW_SIGNS = 8
"""Most signs of a set that are looked for one by one."""


class Screened:
    """A pattern that is tried only where the literals and signs that each match needs occur.

    A tenth of the time of the bare pattern on a text that has none of them: `str.find` against a step of the matcher
    at each letter.

    Attributes:
        compiled: The bare pattern.
        any_case: Letter case counts for nothing.

    Args:
        pattern: A regular expression.
        flags: Its flags.
        optional: A pattern that needs nothing is tried on every text, instead of refused.

    Raises:
        ValueError: The pattern has nothing that all of its matches contain.
    """

    def __init__(self, pattern: str, flags: re.RegexFlag = re.NOFLAG, *, optional: bool = False) -> None:
        self.compiled = re.compile(pattern, flags)
        self.any_case = bool(self.compiled.flags & re.IGNORECASE)  # which the pattern itself may say: (?i)
        needs = _of_sequence(parser.parse(pattern, flags), _Reading(1, self.any_case))
        if not needs and not optional:
            raise ValueError(f"Nothing that each match contains could be found in {pattern!r}.")
        self._needs = tuple(tuple(sorted(one_of)) for one_of in sorted(needs, key=len))

    def search(self, text: str) -> re.Match[str] | None:
        """Return the first match in the text."""
        read = small(text) if self.any_case else text
        return self.compiled.search(text) if self.may_match(read) else None

    def may_match(self, read: str) -> bool:
        """Tell whether the literals are there, in a text as it is read: `small` letters for a pattern of any case."""
        for one_of in self._needs:
            for literal in one_of:
                if literal in read:
                    break
            else:
                return False
        return True


def small(text: str) -> str:
    """The text in small letters, also those that only a pattern without case takes for letters of ASCII."""
    if not text.isascii():
        text = text.translate(_EQUAL_LETTERS)
    return text.lower()


_EQUAL_LETTERS = {0x130: "i", 0x131: "i", 0x17F: "s", 0x212A: "k"}


class _Reading(NamedTuple):
    """Tells how literals are read off a pattern: their least length, and whether letter case counts for nothing."""

    least: int
    any_case: bool = False

    def of(self, letter: str) -> str:
        """The letter as texts are compared with it; empty if they cannot be."""
        if not self.any_case:
            return letter
        return letter.lower() if letter.isascii() else ""


Needs = tuple[frozenset[str], ...]
"""Sets of literals; of each set every match contains at least one."""


def required(pattern: str) -> Needs:
    """Return the literals of two letters or more that every match of the pattern contains.

    Raises:
        ValueError: There is no such literal.
    """
    found = _of_sequence(parser.parse(pattern), _Reading(_LEAST))
    if not found:
        raise ValueError(f"Nothing that each match contains could be found in {pattern!r}.")
    return found


def telling(one_of: frozenset[str]) -> tuple[int, int]:
    """Longer literals and fewer of them occur in fewer texts."""
    return min(map(len, one_of)), -len(one_of)


def _of_sequence(items: Any, how: _Reading) -> Needs:
    found: list[frozenset[str]] = []
    run = ""
    for operation, argument in items:
        letter = how.of(chr(argument)) if operation is codes.LITERAL else ""
        if letter:
            run += letter
            continue
        found += (frozenset((run,)), *_of_item(operation, argument, how))
        run = ""
    return tuple(each for each in (*found, frozenset((run,))) if min(map(len, each)) >= how.least)


def _of_item(operation: Any, argument: Any, how: _Reading) -> Needs:
    if operation is codes.SUBPATTERN:
        _, added, removed, items = argument
        return () if added or removed else _of_sequence(items, how)
    if operation in (codes.MAX_REPEAT, codes.MIN_REPEAT):
        return _of_sequence(argument[2], how) if argument[0] > 0 else ()
    if operation is codes.BRANCH:
        branches = [_of_sequence(branch, how) for branch in argument[1]]
        if all(branches):
            longest = frozenset[str]().union(*(max(needs, key=telling) for needs in branches))
            fewest = frozenset[str]().union(*(min(needs, key=len) for needs in branches))
            return (longest,) if fewest == longest or how.least > 1 else (fewest, longest)
    if operation is codes.IN and len(argument) <= _FEW_SIGNS:
        signs = frozenset(how.of(chr(sign)) if kind is codes.LITERAL else "" for kind, sign in argument)
        return (signs,) if all(signs) else ()
    return ()
