"""Tells texts that set aside the rules that an assistant has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

from memhost.extraction.screening.obfuscation import decoded_parts, plain_text
from memhost.extraction.screening.prefilter import Patterns
from memhost.extraction.screening.rules import RULES

WINDOW, _OVERLAP = 32_768, 1_024
"""Characters that are read at once, and how many of them are read again with the next ones."""
_INSIDE = ", "

_OBEYED = frozenset(
    ("override-instructions", "disclosure", "jailbreak", "foreign-data", "control-marks", "obey-hidden")
)


def takes_over(text: str) -> bool:
    """Tell whether a text sets aside the rules that an assistant has, or says whom to obey.

    No honest wish of a user has a use for it: rules as "never mention prices" or "always answer in English", do not.
    """
    return takes_over_in(text, None, [hidden for _, _, hidden in decoded_parts(text)])


def takes_over_in(text: str, shown: str | None, hidden: Sequence[str]) -> bool:
    """`takes_over` of a text of which more is known.

    Args:
        text: The text.
        shown: Its `plain_text`, if the text is short enough to be read at once (`WINDOW`).
        hidden: What its decoded parts say.
    """
    if shown is not None and len(text) <= WINDOW:
        if _obeyed().occur_in(shown):
            return True
    elif any(_takes_over(part) for part in _windows(text)):
        return True
    return any(map(_takes_over, hidden))


@cache
def _obeyed() -> Patterns:
    return Patterns(tuple(pattern for rule in RULES if rule.id in _OBEYED for pattern in rule.patterns))


def _takes_over(text: str) -> bool:
    return _obeyed().occur_in(plain_text(text))


def _windows(text: str) -> Iterator[str]:
    """A long text in parts that overlap by more than an order is long, so that no step takes long."""
    start = 0
    while len(text) - start > WINDOW:
        end = start + WINDOW
        yield _part(text, start, end)
        start = end - _OVERLAP
    yield _part(text, start, len(text))


def _part(text: str, start: int, end: int) -> str:
    """A part, which does not begin like a sentence where none begins."""
    return text[start:end] if not start or text[start - 1] in "\n.!;:" else _INSIDE + text[start:end]
