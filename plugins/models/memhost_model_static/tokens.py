"""WordPiece tokens of a text, equal to those of the BERT tokenizer that the static model was distilled with.

The steps are those of Devlin et al., BERT (2019), uncased: characters are cleaned, brought to lower case, stripped of
accents; words end at spaces, and each punctuation mark and Chinese character is a word; a word is cut into the longest
pieces of the vocabulary from its start on. The model's ``characters.json`` says how each character is treated, written
by ``tools/distill_static.py`` from the ``tokenizers`` library, so it does not move with the Unicode version of Python.
"""

from __future__ import annotations

import bisect
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

import msgspec

UNKNOWN = "[UNK]"
_SPECIAL = re.compile(r"(\[PAD\]|\[UNK\])")
"""Tokens that are taken as such where a text holds their names."""
_MAX_WORD_LENGTH = 100  # characters, by the tokenizer's definition; a longer word is unknown
_INNER = "##"
_STRETCH = 8192  # characters
_KEPT_WORDS = 20_000  # about 5 MB
_KEPT_CHARACTERS = 20_000
_HANGUL = range(0xAC00, 0xD7A4)


class _Model(msgspec.Struct):
    vocab: dict[str, int]


class _Tokenizer(msgspec.Struct):
    model: _Model


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    """Treatment of characters; ranges are code points, first and last. Others stay unchanged.

    Attributes:
        dropped: they vanish.
        spaces: they end a word.
        alone: each is a word of its own.
        forms: another text takes the character's place.
    """

    dropped: list[tuple[int, int]]
    spaces: list[tuple[int, int]]
    alone: list[tuple[int, int]]
    forms: dict[str, str]


class Tokens:
    """The tokenizer of the model in ``folder``; safe to use from several threads.

    Attributes:
        unknown: id of the token for what is not in the vocabulary.
    """

    def __init__(self, folder: Path) -> None:
        """Read ``tokenizer.json`` and ``characters.json``.

        Raises:
            OSError: A file cannot be read.
            msgspec.DecodeError: It is not what it should be.
        """
        read = msgspec.json.decode((folder / "tokenizer.json").read_bytes(), type=_Tokenizer)
        table = msgspec.json.decode((folder / "characters.json").read_bytes(), type=_Table)
        self.unknown = read.model.vocab[UNKNOWN]
        self._characters = _Characters(table)
        self._words = _Words(read.model.vocab, self.unknown)
        self._vocabulary = read.model.vocab

    @cached_property
    def _pieces(self) -> dict[int, str]:
        """The piece of each token, turned round when it is first asked for: some milliseconds, not at every start."""
        return {token: piece for piece, token in self._vocabulary.items()}

    def ids(self, text: str, limit: int) -> list[int]:
        """The ids of the text's first ``limit`` tokens, in order, among them ``unknown``."""
        found: list[int] = []
        pieces = self._words
        if "[" not in text and len(text) <= _STRETCH:  # in one step, as nearly all texts can be
            words: Iterable[str] = filter(None, text.translate(self._characters).split(" "))
        else:
            words = self._split(text)
        for word in words:
            found += pieces[word]
            if len(found) >= limit:
                return found[:limit]
        return found

    def letters(self, token: int) -> int:
        """Return the number of characters of a token; a Korean syllable counts as one."""
        return len(unicodedata.normalize("NFC", self._pieces[token].removeprefix(_INNER)))

    def _split(self, text: str) -> Iterator[str]:
        """The words of a text, special tokens among them."""
        for part in _SPECIAL.split(text) if "[" in text else (text,):
            if _SPECIAL.fullmatch(part):
                yield part
            else:
                yield from self._split_plain(part)

    def _split_plain(self, text: str) -> Iterator[str]:
        """The words of a text without special tokens, stretch by stretch: other threads wait while one is read."""
        rest = ""
        for start in range(0, len(text), _STRETCH):
            words = (rest + text[start : start + _STRETCH].translate(self._characters)).split(" ")
            rest = words.pop()[: _MAX_WORD_LENGTH + 1]  # may go on in the next stretch; too long, it is unknown anyway
            yield from filter(None, words)
        if rest:
            yield rest


class _Characters(dict[int, str]):
    """Replacements of characters, looked up at the first use."""

    def __init__(self, table: _Table) -> None:
        super().__init__({ord(character): form for character, form in table.forms.items()})
        kinds = {"": table.dropped, " ": table.spaces, " {} ": table.alone}
        self._ranges = sorted((first, last, form) for form, ranges in kinds.items() for first, last in ranges)
        self._starts = [first for first, _, _ in self._ranges]
        self._most = len(self) + _KEPT_CHARACTERS

    def __missing__(self, code: int) -> str:
        character = chr(code)
        place = bisect.bisect_right(self._starts, code) - 1
        if place >= 0 and code <= self._ranges[place][1]:
            form = self._ranges[place][2].format(character)
        elif code in _HANGUL:  # 11,172 syllables, taken apart by arithmetic in every version of Unicode
            form = unicodedata.normalize("NFD", character)
        else:
            form = character
        if len(self) < self._most:
            self[code] = form
        return form


class _Words(dict[str, tuple[int, ...]]):
    """The tokens of each word, found when it is first met."""

    def __init__(self, vocabulary: Mapping[str, int], unknown: int) -> None:
        super().__init__({name: (vocabulary[name],) for name in ("[PAD]", UNKNOWN)})
        self._first = dict(vocabulary)
        inner = [piece for piece in vocabulary if piece.startswith(_INNER)]
        self._inner = {piece.removeprefix(_INNER): self._first.pop(piece) for piece in inner}
        self._longest = max(map(len, vocabulary))
        self._unknown = (unknown,)

    def __missing__(self, word: str) -> tuple[int, ...]:
        if len(word) > _MAX_WORD_LENGTH:  # not kept: it may have thousands of letters
            return self._unknown
        found = self._cut(word)
        if len(self) < _KEPT_WORDS:
            self[word] = found
        return found

    def _cut(self, word: str) -> tuple[int, ...]:
        """The longest pieces from the start on; the unknown token if any rest has none."""
        found, start, pieces = [], 0, self._first
        while start < len(word):
            for end in range(min(len(word), start + self._longest), start, -1):
                token = pieces.get(word[start:end])
                if token is not None:
                    break
            else:
                return self._unknown
            found.append(token)
            start, pieces = end, self._inner
        return tuple(found)
