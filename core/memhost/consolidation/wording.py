"""Tells whether one text can stand for two: with all of both, and nothing beside."""

from __future__ import annotations

import re
from collections.abc import Sequence

from memhost.extraction.screening.spoken_numbers import LANGUAGES, Number, numbers_in
from memhost.text.languages import function_words, language_of, stem_in
from memhost.text.temporal.languages import languages_of
from memhost.text.temporal.written import find_written
from memhost.text.tokens import tokenize
from memhost.text.unicode_forms import fold
from memhost.text.words import word_set

_DENIALS = re.compile(
    r"\b(?:not?|never|none|nobody|nothing|neither|nor|without|cannot|\w+n't|nicht|nichts|kein\w*|nie|niemals|niemand|ohne"
    r"|ne|n'\w+|pas|jamais|rien|aucune?|sans|nunca|jamas|nada|nadie|ningun[oa]?|sin|non|mai|nessun\w*|niente|senza|nao|sem"
    r"|nenhum\w*|niet|geen|nooit|zonder|не|нет|никогда|ничего|никто|без)\b|[不没沒無无未非]|ない|ません|なし|ず(?:に|、)|않|없|못"
)
"""Words of denial, folded, in English, German, French, Spanish, Italian, Portuguese, Dutch, Russian, Chinese, Japanese
and Korean."""
_NAME = re.compile(r"(?<=[^\s.!?:;])\s+[\"'(]?([A-ZÀ-ÖØ-ÞА-ЯЁΑ-Ω][\w'’-]*)")
"""A word with a capital inside of a sentence; in German every noun."""
_HAN = re.compile("[\u2e80-\u303f\u30a0-\u30ff\u3400-\u9fff\uac00-\ud7ff]")
"""Signs of Chinese, Japanese (no hiragana, which hold the grammar) and Korean, whose words cannot be told apart."""
_LINKING = word_set(
    """
    called named both together also heisst heissen zusammen beide birthday geburtstag anniversaire cumpleanos compleanno
    user users nutzer
    """
)
"""Words that join two statements, or that a date and "born" say as well, beside the function words of each language."""

Day = tuple[int, int, int]


def holds_facts_of(text: str, others: Sequence[str]) -> bool:
    """Tell whether a text has the numbers, dates and names of all the others, and denies what they deny.

    Args:
        text: What would stay in place of the others.
        others: Statements, the text perhaps among them.
    """
    days = [day for other in others for day in _dates(other)]
    languages = frozenset(languages_of(" ".join((text, *others)))) & LANGUAGES
    counted = [_numbers(other, languages) for other in others]
    if not _same_days(_dates(text), days) or not _same_numbers(_numbers(text, languages), counted):
        return False
    if any(denies(text) is not denies(other) for other in others):
        return False
    language = language_of(" ".join((text, *others)))
    names = {stem for other in others for name in _NAME.findall(other) for stem in _stems(name, language)}
    return names <= set(_stems(text, language))


def stands_for(text: str, others: Sequence[str]) -> bool:
    """Tell whether a text may replace all the others: it says what they say, and nothing else.

    It has every number, every date (as exact as the most exact of them) and every word of content of each of the
    others, in the same order, and no number, no date and no word of content that none of them has. All of them deny
    something, or none does. When in doubt it may not, and the texts stay as they are.

    Args:
        text: What a model wrote in place of the others.
        others: Statements.
    """
    if not text.strip() or len(text) > 2 * sum(map(len, others)) or not holds_facts_of(text, others):
        return False
    language = language_of(" ".join((text, *others)))
    told = _stems(text, language)
    said = [_stems(other, language) for other in others]
    known = {stem for stems in said for stem in stems}
    if not all(_is_in_order(stems, told) for stems in said) or not set(told) <= known:
        return False
    return set(_HAN.findall(text)) == {sign for other in others for sign in _HAN.findall(other)}


def _dates(text: str) -> list[Day]:
    return [each.date for each in find_written(text)]


def denies(text: str) -> bool:
    """Tell whether a text has a word of denial, in the languages of `_DENIALS`."""
    return _DENIALS.search(fold(text)) is not None


def _numbers(text: str, languages: frozenset[str]) -> list[Number]:
    """The numbers of a text that are no part of a date: in digits, and in words but for "one", which is an article."""
    plain = _without_dates(text)
    found = numbers_in(plain, languages)
    return [each for each in found if each.values != {1.0} or plain[each.start].isdigit()]


def _without_dates(text: str) -> str:
    """The folded text, with blanks in place of its dates."""
    rest = list(fold(text))
    for each in find_written(text):
        rest[each.start : each.end] = " " * (each.end - each.start)
    return "".join(rest)


def _same_numbers(numbers: Sequence[Number], others: Sequence[Sequence[Number]]) -> bool:
    """Tell whether a text has the numbers that all the others together have."""
    known = [number for other in others for number in other]
    said, told = ({value for one in each for value in one.values} for each in (known, numbers))
    return all(one.values & said for one in numbers) and all(one.values & told for one in known)


def _same_days(dates: Sequence[Day], said: Sequence[Day]) -> bool:
    """Tell whether the dates are those that were said; a month or year of a date that is more exact may be missing."""
    if not set(dates) <= set(said):
        return False
    return all(any(_is_within(day, date) for date in dates) for day in said)


def _is_within(day: Day, date: Day) -> bool:
    """Tell whether a date says all that a day (0 for an unknown part) says."""
    return all(not part or part == other for part, other in zip(day, date, strict=True))


def says_all(text: str, other: str) -> bool:
    """Tell whether a text says all that another says, and of the same: it begins with the same word of content.

    "User's mother lives in Ulm" does not say that User lives in Ulm.
    """
    if not stands_for(text, (text, other)):
        return False
    language = language_of(f"{text} {other}")
    told, said = _stems(text, language), _stems(other, language)
    return told[:1] == said[:1] and (bool(told) or bool(_HAN.search(text)))


def _is_in_order(stems: Sequence[str], among: Sequence[str]) -> bool:
    """Tell whether the stems are among the others, in the same order."""
    rest = iter(among)
    return all(stem in rest for stem in stems)


def _stems(text: str, language: str) -> list[str]:
    """The stems of the words that carry content; no numbers, no dates and no words in scripts without spaces."""
    plain = _without_dates(text)
    counted = {word for each in numbers_in(plain, LANGUAGES) for word in plain[each.start : each.end].split()}
    idle = function_words(language) | counted | _LINKING
    words = (word for word in tokenize(plain, language) if word not in idle and not _HAN.search(word))
    return [stem_in(word, language) for word in words if not any(sign.isdigit() for sign in word)]
