"""Counts tokens for a budget that must be kept: exactly with the tokenizer of the model, else never too few.

The files of OpenAI's encodings are used where they already are: in tiktoken's cache, or in LiteLLM's package, which
brings copies of them. Nothing is ever downloaded, and a file that is not what tiktoken publishes is not used.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import logging
import os
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from memhost.messages.tokens import cached_file, can_load_offline
from memhost.text.words import STOP_WORDS

logger = logging.getLogger(__name__)

_ADDRESS = "https://openaipublic.blob.core.windows.net/encodings/{name}.tiktoken"
_SHA256 = {
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
}
"""The encodings of models that can be counted exactly, with the digests that tiktoken checks."""
TOKENS_AROUND_A_MESSAGE = 4
"""Tokens around each message of a chat (OpenAI Cookbook, "How to count tokens with tiktoken")."""
_UNNAMED = "cl100k_base"
"""Encoding that counts where no model is named: what windows of sessions are counted with as well."""
_MAX_EXACT_LENGTH = 200_000
"""Characters up to which a text is counted exactly; the encoder's time grows faster than long texts do."""


class TokenCount(msgspec.Struct, frozen=True):
    """A way to count tokens.

    Attributes:
        count: Tokens of a text, 0 for the empty one.
        encoding: Name of the tokenizer; empty where `count` is an upper bound.
    """

    count: Callable[[str], int]
    encoding: str = ""

    @property
    def exact(self) -> bool:
        """Tell whether the numbers are those of the model's own tokenizer."""
        return bool(self.encoding)


async def counter_for(model: str | None) -> TokenCount:
    """As `count_for`; a tokenizer that has to be loaded first is loaded in a thread."""
    if _named(model) in _loaded:
        return count_for(model)
    found = await asyncio.to_thread(count_for, model)
    _loaded.add(_named(model))
    return found


_loaded: set[str | None] = set()
"""Encodings that have been looked for already."""


def count_for(model: str | None) -> TokenCount:
    """The counter for a model: exactly where its tokenizer is known and here, else by `upper_bound`.

    Args:
        model: Name of the model, with or without its provider in front; None counts as `cl100k_base` does, where it is.
    """
    name = _named(model)
    exact = _exact(name) if name else None
    return TokenCount(upper_bound) if exact is None or name is None else TokenCount(exact, name)


def _named(model: str | None) -> str | None:
    """Encoding that counts for a model, None if none is known for it."""
    bare = (model or "").rpartition("/")[2].lower()
    return _encoding_of(bare) if bare else _UNNAMED


def _encoding_of(model: str) -> str | None:
    """Encoding of a model of OpenAI, as tiktoken lists them; None for models of others."""
    if importlib.util.find_spec("tiktoken") is None:
        return None
    from tiktoken.model import encoding_name_for_model

    try:
        name: str = encoding_name_for_model(model)
    except KeyError:
        return None
    return name if name in _SHA256 else None


@cache
def _exact(name: str) -> Callable[[str], int] | None:
    """The counter of an encoding whose file is on this machine; loading it takes some tenths of a second."""
    if importlib.util.find_spec("tiktoken") is None:
        return None
    file = next((file for file in _files(name) if can_load_offline(file, _SHA256[name])), None)
    if file is None:
        return None
    try:
        encoding = _load(name, file)
    except Exception as error:  # noqa: BLE001 - a foreign library; the upper bound is always possible
        logger.warning("tokens.estimated", extra={"fields": {"error": f"{type(error).__name__}: {error}"}})
        return None

    def count(text: str) -> int:
        if len(text) > _MAX_EXACT_LENGTH:
            return upper_bound(text)
        return len(encoding.encode_ordinary(text))

    return remembering(count)


_MOST_REMEMBERED = 20_000
"""Texts whose tokens are remembered, for each encoding: about 2 MB of digests and numbers."""


def remembering(count: Callable[[str], int], most: int = _MOST_REMEMBERED) -> Callable[[str], int]:
    """The same counter, which counts a text once: a prompt asks for the turns of its session again with each message.

    It keeps digests of texts and no texts. When so many are known it forgets them all.

    Args:
        count: Counts tokens, of equal texts equally many.
        most: Numbers that are kept at most.
    """
    known: dict[bytes, int] = {}

    def remembered(text: str) -> int:
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        tokens = known.get(digest)
        if tokens is None:
            tokens = count(text)
            if len(known) >= most:
                known.clear()
            known[digest] = tokens
        return tokens

    return remembered


def most_tokens(text: str) -> int:
    """Tokens that a text has at most by any counter of this module, at hardly any cost: a token for each byte.

    A token of the encodings has one byte at least, and `upper_bound` counts few more than bytes.
    """
    return (len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))) + _SPARE


def _files(name: str) -> Iterator[Path]:
    """Where the file of an encoding may be."""
    address = hashlib.sha1(_ADDRESS.format(name=name).encode(), usedforsecurity=False).hexdigest()
    in_cache = cached_file()
    if in_cache is not None:
        yield in_cache.with_name(address)
    found = importlib.util.find_spec("litellm")
    for folder in (found.submodule_search_locations or ()) if found is not None else ():
        yield Path(folder) / "litellm_core_utils" / "tokenizers" / address


def _load(name: str, file: Path) -> Any:
    """Load the encoding from that file, through the cache that tiktoken looks into first."""
    import tiktoken

    before = os.environ.get("TIKTOKEN_CACHE_DIR")
    os.environ["TIKTOKEN_CACHE_DIR"] = str(file.parent)
    try:
        return tiktoken.get_encoding(name)
    finally:
        if before is None:
            del os.environ["TIKTOKEN_CACHE_DIR"]
        else:
            os.environ["TIKTOKEN_CACHE_DIR"] = before


# -- the upper bound ---------------------------------------------------------------------------------------------

_PIECE = re.compile(
    r"(?P<word>[A-Za-z]+)|(?P<digits>[0-9]+)|(?P<lines>\s*[\r\n]\s*)|(?P<blanks>[ \t]{2,})|(?P<blank> )"
    r"|(?P<signs>[!-/:-@\[-`{-~]+)|(?P<others>[^\x00-\x7f]+)|(?P<control>.)",
    re.DOTALL,
)
_UNSPEAKABLE = re.compile(r"[bcdfghjklmnpqrstvwxz]{5}|^[bcdfghjklmnpqrstvwxz]{4,}$", re.IGNORECASE)
"""Runs of consonants that no English word has: keys, hashes, names of files."""
_ENGLISH = 0.25
"""Share of English stop words among the words of English prose, at least."""
_SPARE = 3


def upper_bound(text: str) -> int:
    """Tokens that a text has at most in the tokenizers of today's models; 0 for the empty text.

    Words are counted by their letters, fewer tokens a letter in English prose than in other languages and in keys;
    digits and signs one by one, other scripts by their bytes. Compared with `cl100k_base`, `o200k_base`, and the
    published tokenizers of Anthropic and DeepSeek on chats, articles in seven languages, code, hashes, emoji and random
    letters: 1.3 times the tokens of English chat, twice those of German, never fewer (`tests/core/messages`).
    """
    if not text:
        return 0
    pieces = [(piece.lastgroup, piece.group()) for piece in _PIECE.finditer(text)]
    words = [piece for kind, piece in pieces if kind == "word"]
    english = sum(word.lower() in STOP_WORDS for word in words) >= _ENGLISH * len(words)
    return _SPARE + sum(_of_word(piece, english) if kind == "word" else _of(kind, piece) for kind, piece in pieces)


def _of_word(word: str, english: bool) -> int:
    length = len(word)
    if length <= 2:
        return 1 if word.islower() or length == 1 else 2
    if not word[1:].islower():
        return -(-length * 2 // 3)
    if not english or _UNSPEAKABLE.search(word):
        return -(-length * 3 // 5)
    if length <= 5 or word.lower() in STOP_WORDS:
        return 1
    return 2 if length <= 9 else -(-length // 3)


def _of(kind: str | None, piece: str) -> int:
    length = len(piece)
    if kind == "blank":
        return 0
    if kind == "lines":
        return 1 + length // 3
    if kind == "blanks":
        return 1 + length // 4
    if kind == "others":
        return -(-len(piece.encode("utf-8", "surrogatepass")) * 4 // 5)
    return length
