"""The static model's `characters.json`: what the tokenizer of its vocabulary makes of each character.

`distill_static.py` writes it beside the model. The library is asked about every code point, so that the plugin needs
neither the library nor the Unicode tables of the Python that it runs on.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

_SURROGATES = range(0xD800, 0xE000)
_HANGUL = range(0xAC00, 0xD7A4)
_LAST = 0x110000


def table(folder: Path) -> dict[str, Any]:
    """What becomes of every character, in the form that the plugin reads."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    kinds: dict[str, list[int]] = {"dropped": [], "spaces": [], "alone": []}
    forms: dict[str, str] = {}
    for code in range(_LAST):
        if code in _SURROGATES or code in _HANGUL:
            continue
        character = chr(code)
        became = "".join(placed(tokenizer, each) for each in tokenizer.normalizer.normalize_str(character))
        if became == character:
            continue
        simple = {"": "dropped", " ": "spaces", f" {character} ": "alone"}
        tidy = f" {character} " if became.split() == [character] else became
        if tidy in simple:
            kinds[simple[tidy]].append(code)
        else:
            forms[character] = became
    return {**{kind: ranges(codes) for kind, codes in kinds.items()}, "forms": forms}


def placed(tokenizer: Tokenizer, character: str) -> str:
    """The character with spaces where words end: none, both sides of it, or in its place."""
    pieces = [piece for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(f"a{character}a")]
    if pieces == ["a", "a"]:
        return " "
    return f" {character} " if pieces == ["a", character, "a"] else character


def ranges(codes: Iterable[int]) -> list[tuple[int, int]]:
    """The runs among sorted numbers, first and last of each."""
    found: list[list[int]] = []
    for code in codes:
        if found and found[-1][1] == code - 1:
            found[-1][1] = code
        else:
            found.append([code, code])
    return [(first, last) for first, last in found]
