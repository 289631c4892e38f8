"""Text analysis shared by every store and by the ranking.

One place decides what a term is, so that an index written by one store and a query answered by another agree.
Everything here is pure: no input, no output, no clock.

The index keeps every token, stop words included, so that phrases can match; stop words are dropped from queries only.
Two kinds of marked terms accompany the stems. They are letters and digits only, so that any full-text engine keeps them
whole, and no text of a user yields them by accident:

* date terms, ``zdt2023``, ``zdt202305``, ``zdt20230508``: year, month and day of the turn, or asked for by a query;
* speaker terms, ``zspada``: each word of the speaker's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from itertools import pairwise

import msgspec

from memhost.text.languages import (
    ACCENTED,
    function_words,
    language_of,
    possible_languages,
    stem_in,
    stems_of,
    unaccented,
)
from memhost.text.perspective import Perspective, perspective_of
from memhost.text.temporal.asked import NOWHERE, AskedSpan, Here, asked_times
from memhost.text.tenses import asks_of_now
from memhost.text.tokens import characters, lone_characters, stems, tokenize, without_spaceless_function_words
from memhost.text.unicode_forms import ARE_STEADY, fold
from memhost.text.words import SPEAKER_LABELS, STOP_WORDS

DATE_MARK = "zdt"
"""Prefix of date terms."""
SPEAKER_MARK = "zsp"
"""Prefix of speaker terms."""

_MARKS = ('""', "\u201c\u201d", "\u201e\u201c\u201d", "\u00ab\u00bb", "\u300c\u300d", "\u300e\u300f", "\u201d\u201d")
"""Quotation marks: the one in front, and those that can end what it began."""
_BEGINS = ("", r"(?<!\d)")
"""Marks that open and close alike are inches behind a number."""
_QUOTED = re.compile(
    "|".join(f"{_BEGINS[marks[0] == marks[1]]}{marks[0]}([^{marks[1:]}\n]{{2,200}})[{marks[1:]}]" for marks in _MARKS)
)
# A name in front of a colon: one to four words that each begin with a capital (or an uncased script's letter).
_NAME_WORD = r"[^\W\d_][^\s:,;!?()\[\]{}<>\"/\\|@#]{0,29}"
_SPEAKER = re.compile(
    rf"\s*[\[(*]*(?P<name>{_NAME_WORD}(?:[ _]{_NAME_WORD}){{0,3}})[\])*]*\s?[:\uff1a]\**(?P<body>\s.*)",
    re.S,
)


class AnalysedQuery(msgspec.Struct, frozen=True):
    """A question or search text, taken apart once and used by candidate generation and by ranking.

    Attributes:
        text: the query as asked.
        language: ISO 639-1 code of its language; ``en`` where that cannot be told.
        terms: stems in the order asked, stop words left out (all are kept if nothing else is left), each once.
        others: for each of ``terms``, the stems that the word has in other languages which the query may be in.
        all_terms: stems of every word in order, with repeats.
        words: the surface form of each entry of ``terms``, for embedding single words.
        phrases: quoted phrases as tuples of stems; a hit that holds one verbatim ranks higher.
        names: stems of capitalised words which do not open the query: likely names.
        dates: dates that the query names, each a (year, month, day) with 0 for a part left open.
        date_terms: marked index terms of these dates and spans.
        wants: the kind of answer asked for: ``"time"``, ``"person"``, ``"place"``, ``"price"``,
            ``"number"`` or ``""``.
        spans: other times that it asks about: spans, relative ones, second readings of ambiguous dates.
        utc_offset: seconds by which the clocks of who asks are ahead of UTC.
        perspective: whose words are asked for: ``"own"`` (of the one who asks), ``"other"`` or ``""``.
        of_now: it asks how things are now.
    """

    text: str
    language: str
    terms: tuple[str, ...]
    others: tuple[tuple[str, ...], ...]
    all_terms: tuple[str, ...]
    words: tuple[str, ...]
    phrases: tuple[tuple[str, ...], ...]
    names: frozenset[str]
    dates: tuple[tuple[int, int, int], ...]
    date_terms: tuple[str, ...]
    wants: str
    spans: tuple[AskedSpan, ...] = ()
    utc_offset: float = 0.0
    perspective: Perspective = ""
    of_now: bool = False

    @property
    def embedding_text(self) -> str:
        """The words of the query without its stop words: what to embed with a static (bag of words) embedder."""
        return " ".join(self.words)


def split_speaker(text: str) -> tuple[str | None, str]:
    """Split ``"Name: what was said"`` into the name and the rest; ``(None, text)`` where no speaker is named.

    Judged by form: one to four words in front of the first colon, each beginning with a capital (or in a script
    without case), a space after the colon, something said behind it. Common labels (``Note:``, ``Subject:``), clock
    times and addresses do not count.
    """
    match = _SPEAKER.match(text[:4096]) if ":" in text[:140] or "\uff1a" in text[:140] else None
    if match is None:
        return None, text
    name = match.group("name").strip("*_ ")
    words = name.replace("_", " ").split()
    if not words or not match.group("body").strip() or not all(_name_word(word) for word in words):
        return None, text
    if any(fold(word).strip(".") in SPEAKER_LABELS for word in (words[0], words[-1])):
        return None, text
    if len(words) > 1 and any(fold(word) in STOP_WORDS for word in words[1:]):
        return None, text
    return name, text[match.start("body") :].strip()


def _name_word(word: str) -> bool:
    first = word[0]
    return (
        first.isupper() or (first.isalpha() and not first.islower()) or fold(word) in ("user", "assistant", "de", "van")
    )


def date_terms(when: float | None) -> list[str]:
    """Return the marked year, month and day terms of ``when`` (Unix seconds, taken as UTC); empty without a time."""
    if when is None:
        return []
    try:
        moment = datetime.fromtimestamp(when, UTC)
    except (OverflowError, OSError, ValueError):
        return []
    return list(_terms_of_day(moment.toordinal()))


@lru_cache(maxsize=1024)
def _terms_of_day(ordinal: int) -> tuple[str, ...]:
    day = date.fromordinal(ordinal)
    return (
        f"{DATE_MARK}{day:%Y}",
        f"{DATE_MARK}{day:%Y%m}",
        f"{DATE_MARK}{day:%Y%m%d}",
        f"{DATE_MARK}m{day:%m}",
        f"{DATE_MARK}m{day:%m%d}",
    )


def speaker_terms(speaker: str | None) -> list[str]:
    """Return one marked term for each word of a speaker's name, in order."""
    return [SPEAKER_MARK + token for token in tokenize(speaker)] if speaker else []


def index_terms(
    text: str, speaker: str | None = None, when: float | None = None, language: str | None = None
) -> list[str]:
    """Return what a store puts into its full-text index for one memory.

    Args:
        text: what was said or remembered, without the speaker's prefix.
        speaker: the speaker's name, where known.
        when: time of the turn in Unix seconds (UTC), where known.
        language: ``language_of(text)``, where it is known already (``languages_of``).

    Returns:
        The stems of ``text`` in order, the characters that can be words (Chinese, Korean), forms without accents
        (Vietnamese), then the marked terms of speaker and date.
    """
    language = language or language_of(text)
    tokens = tokenize(text, language)
    own = stems_of(tokens, language)
    return own + characters(tokens) + unaccented(own, language) + speaker_terms(speaker) + date_terms(when)


def query_terms(query: AnalysedQuery) -> list[str]:
    """Return the terms that a store looks up for ``query`` (any of them): stems, then speaker and date terms."""
    marked = [SPEAKER_MARK + name for name in sorted(query.names)]
    others = [term for group in query.others for term in group]
    return list(dict.fromkeys([*query.terms, *others, *marked, *query.date_terms]))


def _query_date_terms(dates: Iterable[tuple[int, int, int]]) -> list[str]:
    terms: list[str] = []
    for year, month, day in dates:
        if year:
            terms.append(f"{DATE_MARK}{year:04d}")
            if month:
                terms.append(f"{DATE_MARK}{year:04d}{month:02d}")
                if day:
                    terms.append(f"{DATE_MARK}{year:04d}{month:02d}{day:02d}")
        elif month:
            terms.append(f"{DATE_MARK}m{month:02d}")
            if day:
                terms.append(f"{DATE_MARK}m{month:02d}{day:02d}")
    return terms


_SPAN_FORMS = ((10, "%Y%m%d"), (6, "%Y%m"), (4, "%Y"))
"""Most days, months or years of a span whose terms are looked up."""
_LONG_SPAN = 4 * 366


def _span_terms(span: AskedSpan) -> list[str]:
    """The terms of a span's days, or months, or years, whichever are few enough; none of an open or long one."""
    if (span.end - span.start).days > _LONG_SPAN:
        return []
    days = [date.fromordinal(day) for day in range(span.start.toordinal(), span.end.toordinal())]
    named = (list(dict.fromkeys(f"{DATE_MARK}{day:{form}}" for day in days)) for _, form in _SPAN_FORMS)
    return next((terms for terms, (most, _) in zip(named, _SPAN_FORMS, strict=False) if len(terms) <= most), [])


_WANTS = (
    (
        "number",
        re.compile(r"\bhow (?:many|much|often|old|tall|far|big|large)\b|\bwhat (?:number|age|percentage|amount)\b"),
    ),
    (
        "time",
        re.compile(r"\bwhen\b|\b(?:what|which|whose) (?:day|date|month|year|time|week|season)\b|\bhow (?:long|soon)\b"),
    ),
    ("person", re.compile(r"\b(?:who|whom|whose)\b")),
    (
        "place",
        re.compile(r"\bwhere\b|\b(?:what|which) (?:city|country|place|state|town|location|area|region)\b"),
    ),
)


_HOW_MUCH = re.compile(
    r"\bhow (?:much|many)\b|\bwhat\b|\bwie ?viel\b|\bcombien\b|\b[cq]uanto\b|\bquel\b|сколько|\bkac\b"
    r"|多少|いくら|얼마|كم|بكم"
)
_MONEY = re.compile(
    r"\b(?:costs?|pa(?:y|ys|id)|spen[dt]|earns?|owes?|charged?|price|rent|salary|fees?|wages?|refund(?:ed)?"
    r"|s(?:ell|old) for"
    r"|kost\w+|(?:be|ge)?zahl\w+|miete|preis|cout\w*|paye\w*|prix|loyer|cuest\w+|costo\w*|costa\w*|cust[ao]\w*|pag\w+"
    r"|prezzo|precio|preco|para|lira)\b|сто[ия]\w+|плат\w+|цен[аы]\b|钱|錢|いくら|얼마|بكم|سعر|ثمن|تكلف"
)
_HOW_DEAR = re.compile(r"\bhow (?:expensive|pricey)\b|\bwie teuer\b")


def _wanted(text: str) -> str:
    lowered = fold(text)
    if _HOW_DEAR.search(lowered) or (_HOW_MUCH.search(lowered) and _MONEY.search(lowered)):
        return "price"
    for kind, pattern in _WANTS:
        if pattern.search(lowered):
            return kind
    return ""


def analyse_query(text: str, here: Here = NOWHERE) -> AnalysedQuery:
    """Take a query apart: terms, quoted phrases, likely names, dates and the kind of answer asked for.

    Args:
        text: The query.
        here: Where and when it is asked, to which its times are relative.
    """
    return _known_query(text, here) if len(text) <= _REMEMBERED else _analysed(text, here)


_REMEMBERED = 200
"""Queries of up to so many characters are remembered: pages of one search, and its repetitions, are many. A thousand
questions take about a megabyte; 23 if each is 200 Chinese characters."""


@lru_cache(maxsize=1024)
def _known_query(text: str, here: Here) -> AnalysedQuery:
    return _analysed(text, here)


def _analysed(text: str, here: Here) -> AnalysedQuery:
    languages = possible_languages(text)
    language = languages[0]
    bare = without_spaceless_function_words(text, language)
    tokens = tokenize(bare, language) or tokenize(text, language)
    if language == "ja":
        tokens += lone_characters(bare)
    idle = function_words(language) - _name_like(text, language)
    kept = [token for token in tokens if token not in idle] or tokens
    by_stem: dict[str, str] = {}
    for stem, token in zip(stems_of(kept, language), kept, strict=True):
        by_stem.setdefault(stem, token)
    words = tuple(map(fold, by_stem.values()))
    phrases = (tuple(stems(next(filter(None, match.groups())), language)) for match in _QUOTED.finditer(text))
    asked = asked_times(text, here)
    return AnalysedQuery(
        text=text,
        language=language,
        terms=tuple(by_stem),
        others=tuple(_other_stems(token, languages) for token in by_stem.values()),
        all_terms=tuple(stems_of(tokens, language)),
        words=words,
        phrases=tuple(phrase for phrase in phrases if phrase),
        names=_names(text.split(), frozenset(words)),
        dates=asked.dates,
        date_terms=tuple(
            dict.fromkeys(
                [*_query_date_terms(asked.dates), *(term for span in asked.spans for term in _span_terms(span))]
            )
        ),
        wants=_wanted(text),
        spans=asked.spans,
        utc_offset=here.utc_offset,
        perspective=perspective_of(text, language),
        of_now=not (asked.dates or asked.spans) and asks_of_now(text),
    )


_POLITE = frozenset(["sie", "ihr", "ihre", "ihrem", "ihren", "ihrer", "ihres", "ihnen"])
"""German words that have a capital out of politeness."""


def _name_like(text: str, language: str) -> frozenset[str]:
    """Return the words with a capital inside of a query, as tokens: a name may be a function word (Will, Mia, Art).

    None where capitals tell nothing: in titles and in capitals throughout.
    """
    words = text.split()
    inside = {
        bare
        for before, word in pairwise(words)
        if (bare := word.strip(_AROUND)) and bare[0].isupper() and bare != "I" and before[-1] not in ".?!:…"
    }
    if 2 * len(inside) > len(words) - 1:
        return frozenset()
    found = frozenset(token for word in inside for token in tokenize(word, language))
    return found - _POLITE if language == "de" else found


_AROUND = ".,;:!?…\"'()[]{}<>\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb*¿¡"


def _other_stems(token: str, languages: Sequence[str]) -> tuple[str, ...]:
    first, *rest = languages
    if first in ACCENTED or ARE_STEADY(token):
        return ()
    own = stem_in(token, first)
    return tuple(sorted({stem_in(token, language) for language in rest} - {own}))


def wholly_quoted(text: str) -> str:
    """The text without the quotation marks around all of it; empty if there are none."""
    match = _QUOTED.fullmatch(text.strip())
    return "" if match is None else next(filter(None, match.groups()))


def without_quoted(text: str) -> str:
    """The text with its quoted phrases left out."""
    return _QUOTED.sub(" ", text)


def _names(raw_words: Sequence[str], words: frozenset[str]) -> frozenset[str]:
    """Return the capitalised words among those that are kept, folded as speakers' names are."""
    names: set[str] = set()
    for raw in raw_words:
        bare = raw.strip("\"'([{<\u201c\u2018\u00ab*")
        if bare and bare[0].isalpha() and not bare[0].islower():
            names.update(token for token in tokenize(bare)[:1] if token in words)
    return frozenset(names)
