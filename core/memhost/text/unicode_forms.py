"""Unicode normal forms in time that grows with the text."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

_MAX_RUN_LENGTH = 30
"""Combining marks in a row that stay together (UAX #15, section 13: Stream-Safe Text Format)."""

_STEADY = "\u3041-\u3096\u30a1-\u30fa\u3400-\u9fff\uac00-\ud7a3\U00020000-\U0002f7ff\U00030000-\U000323af"
"""Kana, Han and Hangul: letters without case, none of which is a mark; alone they are in the forms NFC and NFKC."""

ARE_STEADY = re.compile(f"[{_STEADY}]+").fullmatch
"""Tells whether a text has only such letters: it stays as it is when it is folded, and so do most words of Chinese,
Japanese and Korean, of which a message may have a million."""

_MAY_BE_LONG = re.compile(rf"[^\x00-\u02ff{_STEADY}]{{{_MAX_RUN_LENGTH + 1}}}")
"""As many characters in a row as make a run too long, if all are marks; most texts have none, which is told at once."""

_JOINER = "\u034f"  # COMBINING GRAPHEME JOINER: invisible, and no mark is ordered across it

_HIDDEN_MARKS = "\u0f73\u0f75\u0f81"
"""Characters that are no marks by their class, and decompose into marks alone."""

_LATIN_ACCENTS = re.compile("[\u0300-\u036f]")

Form = Literal["NFC", "NFD", "NFKC", "NFKD"]


def normal_form(form: Form, text: str) -> str:
    """The text in a Unicode normal form, in linear time.

    Ordering the combining marks of one letter takes time that grows with the square of their number. No language
    writes more than 30 of them; a longer run is cut with an invisible sign, as UAX #15 (section 13) has it.
    """
    return text if text.isascii() else unicodedata.normalize(form, _with_short_runs(text))


def _with_short_runs(text: str) -> str:
    if _MAY_BE_LONG.search(text) is None:
        return text
    parts: list[str] = []
    start = run = 0
    for index, sign in enumerate(text):
        if sign < "\u0300" or not (unicodedata.combining(sign) or sign in _HIDDEN_MARKS):
            run = 0
        elif run == _MAX_RUN_LENGTH:
            parts.append(text[start:index])
            start, run = index, 1
        else:
            run += 1
    return _JOINER.join([*parts, text[start:]])


def fold(text: str) -> str:
    """Return ``text`` in the form in which it is compared: NFKC, case folded, Latin accents removed."""
    if text.isascii():
        return text.lower()
    if ARE_STEADY(text):
        return text
    text = normal_form("NFKD", normal_form("NFKC", text).casefold())
    return normal_form("NFKC", _LATIN_ACCENTS.sub("", text)).replace("\u2019", "'").replace("\u02bc", "'")
