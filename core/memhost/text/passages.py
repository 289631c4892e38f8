"""Cuts long texts into passages, between sentences where it can, without losing a character."""

from __future__ import annotations

import re
from collections.abc import Callable

_BORDER = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+|(?<=[。！？])|\n+")
_SAFE_SHARE = 0.9
"""Share of a size that pieces cut by letters take up, since letters do not weigh the same."""


def passages(text: str, most: int, size: Callable[[str], int] = len) -> list[str]:
    """The text in pieces of at most `most`, which together are the text; cut at sentences, else words, else letters.

    Args:
        text: Any text.
        most: Size of a piece, at least 1.
        size: Size of a text, about the sum of those of its parts: letters, or tokens.

    Returns:
        At least one piece; a single letter may be larger than `most`.
    """
    pieces: list[str] = []
    held = 0
    for sentence in _sentences(text):
        weight = size(sentence)
        if pieces and held + weight <= most:
            pieces[-1] += sentence
            held += weight
            continue
        parts = [sentence] if weight <= most else _by_words(sentence, most, size)
        pieces += parts
        held = weight if len(parts) == 1 else size(parts[-1])
    return pieces or [text]


def _sentences(text: str) -> list[str]:
    ends = [match.end() for match in _BORDER.finditer(text)] + [len(text)]
    starts = [0, *ends[:-1]]
    return [text[start:end] for start, end in zip(starts, ends, strict=True) if start < end]


def _by_words(text: str, most: int, size: Callable[[str], int]) -> list[str]:
    """Pieces of about equal length, cut behind a blank where there is one in their second half."""
    length = max(1, int(len(text) * most / size(text) * _SAFE_SHARE))
    pieces = []
    start = 0
    while start < len(text):
        end = min(len(text), start + length)
        blank = text.rfind(" ", start + length // 2, end) if end < len(text) else -1
        end = end if blank < 0 else blank + 1
        piece = text[start:end]
        pieces += [piece] if len(piece) < 2 or size(piece) <= most else _by_words(piece, most, size)
        start = end
    return pieces
