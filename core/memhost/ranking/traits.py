"""Traits of the form of a memory's text, whatever the query; a store may compute them once, when it writes."""

from __future__ import annotations

import re
from collections.abc import Collection
from zlib import crc32

from memhost.text.near_equal import ending
from memhost.text.tokens import stem
from memhost.text.words import NUMBER_WORDS, SELF_WORDS, TIME_WORDS

QUESTION = 1
"""Ends in a question (a bracketed remark behind it, such as a caption, aside)."""
ASKS = 2
"""Holds a question mark."""
TIME = 4
"""Holds an expression of time."""
NUMBER = 8
"""Holds a number or a number word."""
NAME = 16
"""Holds a capitalised word inside a sentence."""
FIRST_PERSON = 32
"""First of three bits: how many words of the first person, at most 4."""
FIRST_PERSON_MOST = 4
ENDING = 256
"""First of 30 bits: a fingerprint of how the text ends, equal for texts that say the same (`near_equal.ending`)."""

_FINGERPRINT = 0x3FFFFFFF
_SELF = frozenset(stem(word) for word in SELF_WORDS)
_TIME = frozenset(stem(word) for word in TIME_WORDS)
_NUMBER = frozenset(stem(word) for word in NUMBER_WORDS)
_DIGIT = re.compile(r"\d")
_CAPITAL_INSIDE = re.compile(r"[a-z,;] [\"']?[A-Z][a-z]")


def traits_of(text: str, terms: Collection[str]) -> int:
    """Return the traits of a memory as a sum of the bits above, less than 2 to the 38th.

    Args:
        text: what was said, without the speaker's prefix.
        terms: its ``analysis.index_terms``.
    """
    found = 0
    if "?" in text:
        tail = text.rstrip()
        if tail.endswith("]"):
            bracket = tail.rfind("[")
            if bracket >= 0 and "]" not in tail[bracket:-1]:
                tail = tail[:bracket].rstrip()
        found = ASKS | (QUESTION if tail.endswith("?") else 0)
    own = sum(map(_SELF.__contains__, terms))
    found += FIRST_PERSON * min(own, FIRST_PERSON_MOST) + ENDING * fingerprint(text)
    if not _TIME.isdisjoint(terms):
        found |= TIME
    if not _NUMBER.isdisjoint(terms) or _DIGIT.search(text) is not None:
        found |= NUMBER
    if not text[1:].islower() and _CAPITAL_INSIDE.search(text) is not None:
        found |= NAME
    return found


def fingerprint(text: str) -> int:
    """Return a number from 1 to 2^30 - 1 that is equal for texts with equal endings."""
    return (crc32(ending(text).encode("utf-8", "surrogatepass")) & _FINGERPRINT) or 1
