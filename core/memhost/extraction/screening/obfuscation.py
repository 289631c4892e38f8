"""Sees through ways to write a text so that a word list misses it."""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

import msgspec

_KEPT_FORMAT = frozenset("\u200c\u200d\ufe0f")
"""Joiners that scripts and emoji need; they are left out of the plain text but not reported."""

_LOOKALIKES = dict(
    zip(
        "аеорсухіјѕԁһӏвкмтнгпαεορυικντχβ0134578$@",
        "aeopcyxijsdhlbkmthrnaeopuikvtxboieastbsa",
        strict=True,
    )
)
_SPACED = re.compile(r"(?<!\w)[^\W\d_](?:([ .\-_*])[^\W\d_](?!\w))(?:\1[^\W\d_](?!\w)){2,}")
_LONE_LETTER = re.compile(r"[ .\-_*][^\W\d_][ .\-_*]")
"""Stands in whatever `_SPACED` matches, and is looked for in half the time."""
_WORD = re.compile(r"[\w$@]+")
_MASK = re.compile(r"[\d$@]")
_ODD_BLANK = re.compile(r"[^\S \n]")
_BLANK = re.compile(r"[^\S\n]")
_AFTER_BLANK = re.compile(r"(?<=[ \n]) ")
_SHORTEST_CODED = 24
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{24,}={0,2}")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2}[\s:]?+){16,}+")  # nothing follows it: no memory of where to go back to


class Plain(msgspec.Struct, frozen=True, kw_only=True):
    """A text in plain lower-case letters; `positions` maps each of its characters to where it came from."""

    text: str
    positions: list[int]


def plain(text: str) -> Plain:
    """The text without compatibility forms, accents, invisible and look-alike letters, spacing between letters."""
    letters: list[str] = []
    positions: list[int] = []
    for index, letter in enumerate(text):
        for part in _parts(letter):
            letters.append(part)
            positions.append(index)
    letters, positions = _squeezed(*_joined(letters, positions))
    return Plain(text=_unmasked("".join(letters)), positions=positions)


def plain_text(text: str) -> str:
    """The text of `plain`, in a tenth of the time."""
    shown = text.lower() if text.isascii() else "".join(map(_parts, text))
    if _LONE_LETTER.search(shown):
        shown = _SPACED.sub(lambda match: match[0][::2], shown)
    # What is printable has no odd blank but those beyond ASCII.
    odd = not (shown.isascii() and shown.isprintable()) and _ODD_BLANK.search(shown) is not None
    if odd or "  " in shown or "\n " in shown:
        shown = _AFTER_BLANK.sub("", _BLANK.sub(" ", shown))
    if shown.isascii() and not _MASK.search(shown):
        return shown
    return _WORD.sub(lambda match: _latin(match[0]), shown)


def hidden_letters(text: str) -> list[int]:
    """Return the positions of characters that are invisible and that no script needs."""
    if text.isascii():
        return []
    return [
        index
        for index, letter in enumerate(text)
        if unicodedata.category(letter) == "Cf"
        and letter not in _KEPT_FORMAT
        and not (index == 0 and letter == "\ufeff")
    ]


def decoded_parts(text: str) -> Iterator[tuple[int, int, str]]:
    """Parts in base64 or hex that hold readable text: position, length and what they say."""
    if len(text) < _SHORTEST_CODED:
        return
    # The signs of a part in base64 stand in one word; most texts have no word that long.
    coded = max(map(len, text.split()), default=0) >= _SHORTEST_CODED
    for match in _BASE64.finditer(text) if coded else ():
        body = match[0].rstrip("=").replace("-", "+").replace("_", "/")
        yield from _readable(match, lambda body=body: base64.b64decode(body + "=" * (-len(body) % 4)))
    for match in _HEX.finditer(text):
        body = re.sub(r"[\s:]", "", match[0])
        yield from _readable(match, lambda body=body: bytes.fromhex(body))


def _readable(match: re.Match[str], decode: object) -> Iterator[tuple[int, int, str]]:
    assert callable(decode)
    try:
        said = decode().decode()
    except (binascii.Error, ValueError):
        return
    if said.isprintable():
        yield match.start(), len(match[0]), said


@lru_cache(maxsize=4096)
def _parts(letter: str) -> str:
    if letter.isascii():
        return letter.lower()
    parts = unicodedata.normalize("NFKC", letter).lower()
    return "".join(_bare(part) for part in parts if unicodedata.category(part) != "Cf")


def _bare(letter: str) -> str:
    """Return a Latin letter without its accents; an accent without a letter gives nothing."""
    if "\u0300" <= letter <= "\u036f":
        return ""
    base = unicodedata.normalize("NFD", letter)[0]
    return base if base.isascii() else letter


def _joined(letters: list[str], positions: list[int]) -> tuple[list[str], list[int]]:
    """Join words with gaps between their letters: `i g n o r e` becomes `ignore`."""
    text = "".join(letters)
    drop: set[int] = set()
    for match in _SPACED.finditer(text):
        drop.update(range(match.start() + 1, match.end(), 2))
    return (
        [letter for index, letter in enumerate(letters) if index not in drop],
        [position for index, position in enumerate(positions) if index not in drop],
    )


def _squeezed(letters: list[str], positions: list[int]) -> tuple[list[str], list[int]]:
    """Runs of blanks as one blank, lines kept."""
    kept: list[str] = []
    places: list[int] = []
    for letter, position in zip(letters, positions, strict=True):
        blank = "\n" if letter == "\n" else " " if letter.isspace() else letter
        if blank == " " and kept and kept[-1] in (" ", "\n"):
            continue
        kept.append(blank)
        places.append(position)
    return kept, places


def _unmasked(text: str) -> str:
    """Letters of other scripts and digits inside Latin words as the letters that they look like."""
    return _WORD.sub(lambda match: _latin(match[0]), text)


def _latin(word: str) -> str:
    if word.isascii() and word.isalpha():
        return word
    ascii_letters = sum(letter.isascii() and letter.isalpha() for letter in word)
    if ascii_letters < 2 or ascii_letters == len(word):
        return word
    return "".join(_LOOKALIKES.get(letter, letter) for letter in word)
