"""Tokens and stems of a text: what a word, a number, a sign is to the index.

Everything here is pure: no input, no output, no clock.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from memhost.text.languages import ENGLISH, language_of, stem_in, stems_of
from memhost.text.unicode_forms import fold, normal_form
from memhost.text.words import SPACELESS_FUNCTION_WORDS

CURRENCY_MARK = "zcu"
"""Prefix of the terms of currencies."""
SYMBOL_MARK = "zem"
"""Prefix of the terms of emoji and other pictures, with the code point in hexadecimal."""

_PIECE = 32_768
"""Longer texts are analysed piece by piece."""
_RUN = re.compile("[\u3041-\u3096\u30a1-\u30fa\u3400-\u9fff\uac00-\ud7a3]{3}(?![\u3099\u309a])")
"""Three characters of scripts without spaces, none of which changes with the next."""
_MAX_TERM = 64  # longer runs (base64, hashes) are cut: they would only bloat the index
# Scripts written without spaces: kana, Han, Hangul, Thai, Lao, Myanmar, Khmer. They are cut into character bigrams.
_NO_SPACE = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
_ONE_CHARACTER_WORDS = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]")
"""Han and Hangul, where one character can be a word. It is found by itself inside of a run."""
_LONE_CHARACTER = re.compile(
    "(?<![\u3005\u3400-\u9fff])(?![私僕俺君人日年月時事方今])[\u4e00-\u9fff](?![\u3005\u3400-\u9fff])"
)
"""But for pronouns and words that say little."""
# Indic scripts carry vowel signs that \w leaves out, so their whole blocks (less the dandas) count as letters.
_MARKS = "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff"
_LETTER = rf"(?:(?![{_NO_SPACE}])[^\W_]|[{_MARKS}])"
_CURRENCIES = {
    "$": "usd",
    "€": "eur",
    "£": "gbp",
    "¥": "jpy",
    "₹": "inr",
    "₽": "rub",
    "₩": "krw",
    "₺": "try",
    "₴": "uah",
    "₪": "ils",
    "₫": "vnd",
    "฿": "thb",
    "eur": "eur",
    "euro": "eur",
    "euros": "eur",
    "usd": "usd",
    "dollar": "usd",
    "dollars": "usd",
}
"""Currency of each sign, and of the words that name only one currency. `$` is taken for the commonest."""
_SIGNS = "".join(sign for sign in _CURRENCIES if len(sign) == 1)
_UNITS = "mg|kg|g|ml|cl|l|cm|mm|km|m|mi|ft|lb|lbs|oz|min|h|ms|s|kb|mb|gb|tb|kwh|kw|eur|usd|kr"
_CODE = r"(?P<code>(?<![^\W_])[a-z](?:\#|\+\+)(?![^\W_]))"  # C#, F#, C++
_VERSION = r"(?P<mark>(?<![^\W_])v(?=\d+\.\d))"  # v3.12 is 3.12
_TOKEN = re.compile(
    rf"(?P<cjk>[{_NO_SPACE}]+)|{_CODE}|{_VERSION}"
    rf"|(?P<num>\d+(?:[.,]\d+)*(?=(?:{_UNITS})(?![^\W\d_])|[{_NO_SPACE}]|(?![^\W\d_])))"
    rf"|(?P<word>{_LETTER}+(?:['\u2019\u02bc]{_LETTER}+)*)"
    rf"|(?P<sign>[{re.escape(_SIGNS)}](?=\s?\d)|(?<=\d)\s?[{re.escape(_SIGNS)}])"
    r"|(?P<other>[^\s\w!-/:-@\[-`{-~])"
)
_ASCII_TOKEN = re.compile(
    rf"{_CODE}|{_VERSION}|(?P<num>\d+(?:[.,]\d+)*(?=(?:{_UNITS})(?![a-z])|(?![a-z])))|(?P<word>[a-z0-9]+(?:'[a-z0-9]+)*)"
    r"|(?P<sign>\$(?=\s?\d)|(?<=\d)\s?\$)"
)
_BESIDE_WORDS = re.compile(r"[0-9$#+']")
"""Without these signs a folded text in ASCII has only words of letters (`_WORDS`) for tokens."""
_WORDS = re.compile("[a-z]+")
_GROUPED = re.compile(r"\d{1,3}(?:([.,])\d{3})(?:\1\d{3})*")
_NARROW_SPACE = re.compile("(?<=\\d)[\u00a0\u202f\u2009](?=\\d{3}(?!\\d))")


def _folded(text: str, language: str) -> str:
    """The text folded for the stemmer of its language: with its accents, which Snowball's algorithms look at."""
    if language == ENGLISH:
        return fold(text)
    if language == "tr":  # the only language whose small letters differ: I is the capital of dotless i
        text = text.replace("I", "\u0131").replace("\u0130", "i")
    if text.isascii():
        return text.lower()
    return normal_form("NFKC", normal_form("NFKC", text).casefold()).replace("\u2019", "'").replace("\u02bc", "'")


def pieces(text: str, size: int = _PIECE) -> Iterator[str]:
    """Cut a long text so that its tokens are those of its pieces, in order: no step of the analysis takes long.

    It is cut in front of white space. Where there is none, as in Chinese, it is cut inside of a run of characters that
    are tokens themselves, one of which then belongs to both pieces, as it does to two bigrams. Where there is neither,
    a piece is longer.

    Args:
        text: any text.
        size: length of a piece in characters, about.
    """
    start = 0
    while len(text) - start > size:
        least, most = start + size // 2, start + size
        cut = max(text.rfind(" ", least, most), text.rfind("\n", least, most))
        run = _RUN.search(text, most - 64, most) if cut < 0 else None
        if run is not None:
            yield text[start : run.start() + 2]
            start = run.start() + 1
            continue
        if cut < 0:
            following = [place for place in (text.find(" ", most), text.find("\n", most)) if place >= 0]
            if not following:
                break
            cut = min(following)
        yield text[start:cut]
        start = cut
    yield text[start:]


def tokenize(text: str, language: str = ENGLISH) -> list[str]:
    """Split ``text`` into folded tokens, in order and with repeats.

    A possessive ``'s`` is dropped and other apostrophes are closed up (``don't`` gives ``dont``); hyphens and
    underscores separate. Numbers are written in one way (``1,200.00`` and ``1.200,00`` give ``1200``, ``2,5`` gives
    ``2.5``), without the unit that follows them; what can be a decimal or a number of thousands (``1.250``) gives both.
    Emoji and signs of currencies give marked terms, C# and C++ ``csharp`` and ``cplusplus``. Runs of a script written
    without spaces give character bigrams (a lone character gives itself).

    Args:
        text: any text.
        language: its ISO 639-1 code; accents stay in the tokens of all languages but English.
    """
    if len(text) > _PIECE:
        return [token for piece in pieces(text) for token in _tokens(piece, language)]
    return _tokens(text, language)


def _tokens(text: str, language: str) -> list[str]:
    if not text.isascii():
        text = _NARROW_SPACE.sub("", text.replace("\u00ad", ""))
    folded = _folded(text, language)
    if folded.isascii() and not _BESIDE_WORDS.search(folded):
        words = _WORDS.findall(folded)
        if _CURRENCIES.keys().isdisjoint(words):  # nothing but words of letters, as in most sentences
            return [word[:_MAX_TERM] for word in words]
    tokens: list[str] = []
    for match in (_ASCII_TOKEN if folded.isascii() else _TOKEN).finditer(folded):
        kind, token = match.lastgroup, match.group()
        if kind == "word":
            tokens.append(_plain(token))
            if token in _CURRENCIES:
                tokens.append(CURRENCY_MARK + _CURRENCIES[token])
        elif kind == "cjk":
            tokens.extend([token[i : i + 2] for i in range(len(token) - 1)] or [token])
        elif kind == "num":
            tokens.extend(_number(token, language))
        elif kind == "sign":
            tokens.append(CURRENCY_MARK + _CURRENCIES[token.strip()])
        elif kind == "code":
            tokens.append(token[0] + ("sharp" if token[1] == "#" else "plusplus"))
        elif kind == "other" and unicodedata.category(token) == "So":
            tokens.append(f"{SYMBOL_MARK}{ord(token):x}")
    return tokens


def _plain(token: str) -> str:
    if "'" in token:
        token = token.removesuffix("'s").replace("'", "")
    return token if len(token) <= _MAX_TERM else token[:_MAX_TERM]


def _number(written: str, language: str) -> list[str]:
    """The forms of a number, of which a query and a memory must share one: with a decimal point, without groups."""
    if written.isdigit():
        return [written[:_MAX_TERM]]
    last = max(written.rfind(","), written.rfind("."))
    whole, decimals, sign = written[:last], written[last + 1 :], written[last]
    if "," in written and "." in written:
        if whole.isdigit() or not _GROUPED.fullmatch(whole) or sign in whole:
            return [_plain(part) for part in re.split("[.,]", written)]
        return [_decimal(re.sub("[.,]", "", whole), decimals)]
    if _GROUPED.fullmatch(written):
        joined = written.replace(sign, "")
        if sign == "," and language == ENGLISH:
            return [joined[:_MAX_TERM]]
        return [joined[:_MAX_TERM], written.replace(",", ".")[:_MAX_TERM]]
    if sign == ".":
        return [written[:_MAX_TERM] if "." in whole else _decimal(whole, decimals)]
    return written.split(",") if "," in whole else [_decimal(whole, decimals)]


def _decimal(whole: str, decimals: str) -> str:
    return (whole if decimals == "00" else f"{whole}.{decimals}")[:_MAX_TERM]


def stem(word: str) -> str:
    """Return the Snowball (Porter 2) English stem of one folded word; words of other scripts get their script's.

    Source: M. Porter, Snowball, https://snowballstem.org/algorithms/english/stemmer.html.
    """
    return stem_in(word, ENGLISH)


def stems(text: str, language: str | None = None) -> list[str]:
    """Return the stems of all tokens of ``text``, in order and with repeats.

    Args:
        text: any text.
        language: its ISO 639-1 code; found if it is not given.
    """
    language = language or language_of(text)
    return stems_of(tokenize(text, language), language)


def characters(tokens: list[str]) -> list[str]:
    """The characters among bigrams that can be words by themselves, each once in order."""
    found = dict.fromkeys("".join([token for token in tokens if len(token) == 2 and not token.isascii()]))
    return [sign for sign in found if _ONE_CHARACTER_WORDS.match(sign)]


def lone_characters(text: str) -> list[str]:
    """The Han characters of a Japanese query that are words, or stems of verbs, by themselves: each between kana."""
    return list(dict.fromkeys(_LONE_CHARACTER.findall(text)))


def without_spaceless_function_words(text: str, language: str) -> str:
    """A query with spaces in place of the function words of a language that writes none between words."""
    for word in SPACELESS_FUNCTION_WORDS.get(language, ()):
        text = text.replace(word, " ")
    return text
