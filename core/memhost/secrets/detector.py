"""Finds secrets in a text: by their shape, by the name in front of them, by their check digits."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from typing import Literal, NamedTuple

from memhost.secrets import numbers
from memhost.secrets.named import changes, named
from memhost.secrets.placeholders import is_monotone
from memhost.secrets.shapes import BREAKABLE, BROKEN, BY_HINT, PREFIXED

Extra = Literal["iban", "national_id"]

_SHORTEST = 6
_LONG = 16
"""Characters without a gap: shorter words are no tokens."""
_DIGITS = re.compile(r"[0-9][0-9 -]{12}")
_DATA_ADDRESS = re.compile(r"data:[\w.+/-]{1,80};base64,[A-Za-z0-9+/=_-]*")
_WINDOW = 400
_WRAPPED = re.compile(
    r"(?<=[A-Za-z0-9_-])(?:\\?\r?\n[ \t>]{0,8}|[\u00ad\u200b-\u200d\u2060\ufeff]{1,8})(?=[A-Za-z0-9_-])"
)
_INVISIBLE = "\u00ad\u200b\u200c\u200d\u2060\ufeff"
_WIDE = {0x3000: " ", **{0xFF01 + place: chr(0x21 + place) for place in range(94)}}
"""Letters of ASCII in the width of East Asian ones, of which each is one letter too."""


_WIDE_LETTER = re.compile("[\uff01-\uff5e]")


MASKS = re.compile(r"\[secret(?::[0-9a-f]{6})?\]")
"""Masks, which stay as they are."""


class Secret(NamedTuple):
    """A secret in a text.

    Attributes:
        start: Where it begins.
        end: Where it ends.
        kind: What it is, in a word or two: `password`, `github token`.
        value: The secret itself, without the gaps that people write into it: equal for equal secrets.
    """

    start: int
    end: int
    kind: str
    value: str


def find_secrets(text: str, extras: frozenset[Extra] = frozenset()) -> list[Secret]:
    """The secrets of a text, in order, none overlapping another. The work grows with the length of the text alone.

    Args:
        text: Any text: chat, code, logs, JSON.
        extras: Further kinds to find: `iban`, `national_id`.
    """
    if len(text) < _SHORTEST:
        return []
    if not text.isascii() and _WIDE_LETTER.search(text):
        text = text.translate(_WIDE)
    found = sorted(_all(text, extras), key=lambda secret: (secret.start, -secret.end))
    if found and "[secret" in text:
        found = _outside(found, [mask.span() for mask in MASKS.finditer(text)])
    kept: list[Secret] = []
    for secret in found:
        if not kept or secret.start >= kept[-1].end:
            kept.append(secret)
    if kept and ";base64," in text:
        kept = _outside(kept, [match.span() for match in _DATA_ADDRESS.finditer(text)])
    return kept


def _outside(found: list[Secret], spans: list[tuple[int, int]]) -> list[Secret]:
    """The secrets that lie in none of the spans, which are in order."""
    starts = [start for start, _ in spans]
    before = [(secret, bisect_left(starts, secret.end) - 1) for secret in found]
    return [secret for secret, place in before if place < 0 or spans[place][1] <= secret.start]


def _all(text: str, extras: frozenset[Extra]) -> Iterator[Secret]:
    longest = max(map(len, text.split()), default=0) if len(text) >= _LONG else 0
    if longest >= _LONG or "PRIVATE KEY" in text:
        found = [*_shaped(text)]
        if longest >= 2 * _LONG:
            found += [*_prefixed(text)]
        yield from found
        broken = "\n" in text or any(map(text.__contains__, _INVISIBLE))
        if broken and any(map(text.__contains__, BREAKABLE)):
            yield from _over_lines(text, frozenset(secret.start for secret in found))
    yield from (Secret(*found) for found in named(text))
    if _DIGITS.search(text):
        for start, end, value in numbers.cards(text):
            yield Secret(start, end, "card number", value)
    if "iban" in extras:
        for start, end, value in numbers.ibans(text):
            yield Secret(start, end, "iban", value)
    if "national_id" in extras:
        for start, end, value in numbers.national_ids(text):
            yield Secret(start, end, "national id", value)


def _shaped(text: str) -> Iterator[Secret]:
    for hint, shapes in BY_HINT.items():
        if hint not in text:
            continue
        for kind, pattern in shapes:
            for found in pattern.finditer(text):
                start = found.start()
                if start and text[start - 1].isalnum() and text[start - 1].isascii():
                    continue
                group = 1 if pattern.groups and found[1] is not None else 0
                value = found[group]
                if not is_monotone(value[-20:]):
                    yield Secret(*found.span(group), kind, "".join(value.replace("\\n", "").split()))


def _prefixed(text: str) -> Iterator[Secret]:
    for found in PREFIXED.finditer(text):
        if _is_mixed(found[1]):
            yield Secret(*found.span(), "token", found[0])


def _is_mixed(word: str) -> bool:
    """Tell whether capitals, small letters and digits are mixed as in a random word of many."""
    digits = sum(sign.isdigit() for sign in word)
    capitals = sum(sign.isupper() for sign in word)
    small = len(word) - digits - capitals
    return min(capitals, small) >= 4 and digits >= 2 and changes(word) * 3 >= len(word)


def _over_lines(text: str, known: frozenset[int]) -> Iterator[Secret]:
    """Tokens that line ends break in two, as mail programs and terminals do, unless they begin where known ones do."""
    for broken in BROKEN.finditer(text):
        if broken.start() in known:
            continue
        window = text[broken.start() : broken.start() + _WINDOW]
        gaps = [gap.span() for gap in _WRAPPED.finditer(window)]
        whole = _WRAPPED.sub("", window)
        secret = next((each for each in _shaped(whole) if each.start == 0), None)
        if secret is None:
            continue
        end = secret.end
        for start, stop in gaps:
            if start < end:
                end += stop - start
        yield Secret(broken.start(), broken.start() + end, secret.kind, secret.value)
