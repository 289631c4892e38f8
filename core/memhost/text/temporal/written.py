"""Calendar dates written in a text, in many languages and spellings.

Months are known by their names in `date_names`; the rest is form. What only looks like a date is left out: versions,
prices, phone numbers, times of day, amounts, and words that are months in one language and something else in the
language of the text (`Mars`, `set`, `may`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from functools import lru_cache
from typing import Literal, NamedTuple

import msgspec

from memhost.text.temporal import date_names
from memhost.text.temporal.date_phrases import ALONE, ALONE_BEHIND, COMMON, MORE_MONTHS
from memhost.text.temporal.languages import languages_of
from memhost.text.temporal.thai import written_dates
from memhost.text.unicode_forms import fold
from memhost.text.words import word_set

Order = Literal["mdy", "dmy"]
YMD = tuple[int, int, int]
"""Year, month and day, with 0 for a part that is left open."""


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """A date of a text.

    Attributes:
        start, end: Where it stands in the folded text.
        date: The year, month and day, 0 for what is left open.
        other: The second reading of `3/4/2026`, where neither the sign nor the caller tells the order.
        languages: Languages of the month's name; empty for numbers.
        alone: A month without day, year or a preposition: a date only where it is one end of a span.
    """

    start: int
    end: int
    date: YMD
    other: YMD | None = None
    languages: frozenset[str] = frozenset()
    alone: bool = False


class _Token(NamedTuple):
    text: str
    start: int
    end: int


_YEAR = r"(?:19|20)\d\d"
_G = r"(?<![a-z0-9_.,/:+#$€£¥₹-])"
_E = r"(?!\d|_|[a-su-z]|t(?!\d)|[./:-]\d|,\d|\s?%)"
_NUMERIC = (
    re.compile(rf"{_G}(?P<y>{_YEAR})(?P<s>[-/.])(?P<b>\d{{1,2}})(?P=s)(?P<a>\d{{1,2}}){_E}"),
    re.compile(rf"{_G}(?P<a>\d{{1,2}})(?P<s>\.\s?|/|-)(?P<b>\d{{1,2}})(?P=s)(?P<y>{_YEAR}){_E}"),
    re.compile(rf"{_G}(?P<a>\d\d)(?P<s>\.)(?P<b>\d\d)\.(?P<y>\d\d){_E}"),
    re.compile(rf"{_G}(?P<a>\d{{1,2}})(?P<s>/)(?P<b>\d{{1,2}})/(?P<y>\d\d){_E}"),
    re.compile(r"\b(?:am|vom|bis|seit|ab|dem|den|zum|dne|od|do)\s(?P<a>\d{1,2})(?P<s>\.)\s?(?P<b>\d{1,2})\.(?!\d)"),
    re.compile(rf"{_G}(?P<y>{_YEAR})[-/](?P<b>0[1-9]|1[0-2]){_E}"),
)
_HAN_DAY = "[一二三四五六七八九十]{1,3}"
_CJK = (
    re.compile(
        rf"(?P<y>{_YEAR})\s?(?:年|년)(?![前间間来來])(?:\s?(?P<m>1[0-2]|0?[1-9])\s?[月월](?:\s?(?P<d>\d{{1,2}})\s?[日号號일])?)?"
    ),
    re.compile(r"(?<!\d)(?P<m>1[0-2]|0?[1-9])\s?[月월]\s?(?P<d>3[01]|[12]\d|0?[1-9])\s?[日号號일]"),
    re.compile(rf"(?<![{_HAN_DAY[1:-6]}])(?P<hm>[一二三四五六七八九十]{{1,2}})月(?P<hd>{_HAN_DAY})[日号號]"),
    re.compile(r"(?<![\d.])(?P<m>1[0-2]|0?[1-9])[月월](?![\d号號刊分间間曜])"),
)
_VIETNAMESE_DATE = re.compile(
    rf"(?<![\w.,])(?:(?:ngay\s)?(?P<d>3[01]|[12]\d|0?[1-9])\s)?thang\s(?P<m>1[0-2]|0?[1-9])"
    rf"(?:(?:,?\snam\s|,?\s|/)(?P<y>{_YEAR}))?(?![\d.,]\d|\d|\s(?:lan|ngay|tuan|nguoi)\b)"
)
_HAN = {sign: number for number, sign in enumerate("一二三四五六七八九", 1)}
_AMOUNT = fold(
    r"%|[€$£¥₹]|(?:usd|eur|gbp|euros?|dollars?|dollar|pounds?|rubles?|yen|yuan|km|kg|kcal|cal(?:ories)?|kilometers?|meters?"
    r"|miles?|m|mm|cm|ml|mg|g|px|hz|kwh|steps?|people|persons?|users?|books?|words?|points?|times?|hours?|minutes?|seconds?"
    r"|days?|weeks?|months?|years?|kinder|leute|schritte|menschen|personnes?|pas|passos|pages?|seiten|paginas?|personas?|pasos|passi|persone|рублей|руб|шагов"
    r"|человек|adım|kişi|lira)\b"
)
_YEAR_ALONE = re.compile(
    rf"(?<![a-z_.,/:+#@$€£¥₹0-9])(?<!\d\s)(?:(?<!-)|(?<=[12]\d\d\d-)|(?<=[a-z]-))(?P<y>{_YEAR})"
    rf"(?!\d|_|[a-z]|[.:]\d|/\w|,\d|-\d(?!\d\d\d)|\s\d{{2}}|\s?(?:{_AMOUNT})|\s?[元円원])"
)
_AFTER_NUMBER = re.compile(rf"\s?(?:{_AMOUNT}|[ap]\.?m\b|:\d|\.\d|,\d(?!\d\d\d\b)|uhr\b|元|円|원)")
_NO_DATE = re.compile(
    r"(?:^|[^a-zа-я])(?:v|ver|versione?s?|versie|versao|верси[ияюей]|release|build|rev|firmware|python|ubuntu|ip|tel|phone|call"
    r"|fax|telefon\w*|nummer|number|no|nr|n|room|route|highway|section|chapter|kapitel|page|seite|article|model|windows|office"
    r"|code|pin|zip|plz|zimmer|raum|chambre|sala|habitacion|комната|кабинет|iphone|galaxy)(?:[.:]|\sis|\sist|\sest|\ses)?\s*$|(?:版本|バージョン|버전|版)\s*$"
)
_TOKENS = re.compile(
    "\\d+|(?:[^\\W\\d_]|[\u0300-\u036f\u0591-\u05bd\u064b-\u065f\u0670\u0900-\u0903\u093a-\u094f\u0962\u0963])+|[^\\s\\w]"
)
_BETWEEN_DAY = word_set(". st nd rd th er o a ° of de di do den the del des da -")
_BETWEEN_YEAR = word_set(", . of de del di do г - ' an 'an")
_ORDINALS = word_set("st nd rd th er o a")
_LOOKALIKES = word_set(
    """
    mars mart set out ago led elo mag gen ott lug ene maj sty lut wrz gru lis eki oca sie cze may mar mai mei jun jul
    dec sec juni juli mac des nov oct avg sep kas mes jan abr dic fev avr brez agos ian iun iul noi pro
    """
)
"""Names of months that are words or names in another language, in English above all."""
_MAY = re.compile(r"\bMay\b|\bMAY\b")


def find_dates(text: str, order: Order | None = None) -> list[YMD]:
    """Return the dates of a text in order, each by its likelier reading.

    Args:
        text: Any text.
        order: Order of day and month in `3/4/2026` for the caller, where known.
    """
    return [each.date for each in find_written(text, order) if not each.alone]


def find_written(text: str, order: Order | None = None) -> list[Written]:
    """Return the dates of a text in order, without overlaps, and months named alone (marked)."""
    folded = fold(text)
    digits = any(sign.isdigit() for sign in folded)
    found = _Found(len(folded))
    if digits or "月" in folded:
        found.add(_numeric(folded, order, text))
        found.add(_in_cjk(folded))
    found.add(_in_thai(folded))
    if digits:
        found.add(_in_vietnamese(folded))
    found.add(_named(folded, text, found))
    if digits:
        found.add(_years(folded))
    return sorted(found.dates, key=lambda each: each.start)


def likely_languages(text: str) -> frozenset[str]:
    """Return the languages that the text may be in, by its letters and commonest words; several if it is short."""
    return _languages(text[:_ENOUGH])


@lru_cache(maxsize=256)
def _languages(text: str) -> frozenset[str]:
    known: set[str] = set(languages_of(text))
    folded = fold(text)
    if any("\u0370" <= sign <= "\u03ff" for sign in folded):
        return frozenset({"el"})
    if any("\u0400" <= sign <= "\u04ff" for sign in folded):
        return frozenset({"ru", "uk", "bg"})
    if _VIETNAMESE.search(text):
        return frozenset({"vi"})
    for first, last, names in _SCRIPTS:
        if any(first <= sign <= last for sign in folded):
            return frozenset({*names})
    if not known.isdisjoint({"zh", "ja"}):
        return frozenset(known)
    words = set(re.findall(r"[^\W\d_]+", folded))
    counts = {language: len(words & common) for language, common in _common().items()}
    most = max(counts.values())
    here = len(words & _ENGLISH) if known == {"en"} else max(1 if len(known) < 6 else 0, most)
    if most > here or (most and most >= here and known != {"en"}):
        known |= {language for language, count in counts.items() if count == most}
    if len(known) >= 6:
        known |= _LATIN
    return frozenset(known)


_SCRIPTS = (
    ("\u0590", "\u05ff", ("he",)),
    ("\u0600", "\u06ff", ("ar",)),
    ("\u0900", "\u097f", ("hi",)),
    ("\u0e00", "\u0e7f", ("th",)),
    ("\uac00", "\ud7a3", ("ko",)),
)
_ENOUGH = 1_000
"""Characters that tell the language of a text."""
_LATIN = word_set("en de fr es it pt nl tr pl ro sv da nb fi cs hu id vi")
_VIETNAMESE = re.compile("[ơưƠƯ\u1ea0-\u1ef9]")
"""Letters that no other language with names of months has."""
_ENGLISH = word_set("the a an and or of to is was are did do does my i you what when where who how in on at for with")


@lru_cache(maxsize=1)
def _common() -> dict[str, frozenset[str]]:
    return {language: frozenset(fold(words).split()) for language, words in COMMON.items()}


@lru_cache(maxsize=1)
def _months() -> dict[str, dict[int, frozenset[str]]]:
    """The months of each folded name, with the languages in which it means that month."""
    found: dict[str, dict[int, frozenset[str]]] = {}
    language, number = "", 0
    for line in date_names.MONTHS.split("\n")[1:-1]:
        if re.fullmatch("[a-z]{2}", line):
            language, number = line, 0
            continue
        number += 1
        for name in filter(None, fold(line).split(", ")):
            months = found.setdefault(name.strip("'"), {})
            months[number] = months.get(number, frozenset()) | {language}
    for language, names in MORE_MONTHS:
        for number, name in enumerate(fold(names).split(), 1):
            found.setdefault(name, {}).setdefault(number, frozenset({language}))
    return found


class _Found:
    """Dates that do not overlap; which places of the text they take."""

    def __init__(self, length: int) -> None:
        self.dates: list[Written] = []
        self._taken = bytearray(length)

    def add(self, more: Iterable[Written]) -> None:
        """Add those that overlap with none before."""
        for each in more:
            if self._taken.find(1, each.start, each.end) < 0:
                self._taken[each.start : each.end] = b"\1" * (each.end - each.start)
                self.dates.append(each)

    def has(self, place: int) -> bool:
        """Tell whether a date stands there."""
        return bool(self._taken[place])


def real(year: int, month: int, day: int) -> bool:
    """Tell whether the calendar has this date (of an open year: whether some year has it)."""
    if not month:
        return not day
    try:
        date(year or 2000, month, day or 1)
    except ValueError:
        return False
    return True


def _numeric(folded: str, order: Order | None, text: str) -> Iterator[Written]:
    for pattern in _NUMERIC:
        for match in pattern.finditer(folded):
            if _NO_DATE.search(folded[max(0, match.start() - 24) : match.start()]):
                continue
            readings = [reading for reading in _readings(match, order, text) if real(*reading)]
            if readings:
                other = readings[1] if len(readings) > 1 else None
                yield Written(start=match.start(), end=match.end(), date=readings[0], other=other)


def _readings(match: re.Match[str], order: Order | None, text: str) -> list[YMD]:
    part = match.groupdict()
    year = int(part.get("y") or 0)
    if 0 < year < 100:
        year += 2000 if year < 70 else 1900
    second = int(part["b"])
    if part.get("a") is None:
        return [(year, second, 0)]
    first = int(part["a"])
    if part["s"].startswith(".") or match[0].startswith(part["y"]):
        return [(year, second, first)]
    by_order = [(year, first, second), (year, second, first)]
    if order is None and first != second and max(first, second) <= 12:
        likely = likely_languages(text)
        return by_order if likely == {"en"} or likely >= _LATIN else by_order[::-1]
    return [next((each for each in (by_order if order == "mdy" else by_order[::-1]) if real(*each)), (year, 13, 0))]


def _in_cjk(folded: str) -> Iterator[Written]:
    for pattern in _CJK:
        for match in pattern.finditer(folded):
            part = match.groupdict()
            month = int(part.get("m") or 0) or _han(part.get("hm"))
            day = int(part.get("d") or 0) or _han(part.get("hd"))
            reading = (int(part.get("y") or 0), month, day)
            if real(*reading):
                yield Written(start=match.start(), end=match.end(), date=reading)


def _in_thai(folded: str) -> Iterator[Written]:
    for start, end, reading in written_dates(folded):
        if real(*reading):
            yield Written(start=start, end=end, date=reading, languages=frozenset({"th"}))


def _in_vietnamese(folded: str) -> Iterator[Written]:
    for match in _VIETNAMESE_DATE.finditer(folded):
        reading = (int(match["y"] or 0), int(match["m"]), int(match["d"] or 0))
        if real(*reading):
            yield Written(start=match.start(), end=match.end(), date=reading, languages=frozenset({"vi"}))


def _han(text: str | None) -> int:
    """The number that Han numerals up to 99 write; 0 for none."""
    if not text:
        return 0
    tens, ten, ones = text.rpartition("十")
    if not ten:
        return _HAN.get(text, 99)
    return (_HAN.get(tens, 99) if tens else 1) * 10 + (_HAN.get(ones, 99) if ones else 0)


def _years(folded: str) -> list[Written]:
    return [
        Written(start=match.start(), end=match.end(), date=(int(match["y"]), 0, 0))
        for match in _YEAR_ALONE.finditer(folded)
        if not _NO_DATE.search(folded[max(0, match.start() - 24) : match.start()])
    ]


def _named(folded: str, text: str, taken: _Found) -> Iterator[Written]:
    """Dates with a month's name."""
    months = _months()
    tokens = [_Token(match[0], match.start(), match.end()) for match in _TOKENS.finditer(folded)]
    for place, token in enumerate(tokens):
        meanings = months.get(token.text)
        if not meanings or taken.has(token.start):
            continue
        for month, languages in meanings.items():
            reading = _around(tokens, place, month, languages, folded, text)
            if reading is not None:
                yield reading
                break


def _around(
    tokens: Sequence[_Token], place: int, month: int, languages: frozenset[str], folded: str, text: str
) -> Written | None:
    """The date that a month's name and its neighbours make; None where the word is no month here."""
    token = tokens[place]
    day, first = _day_before(tokens, place, folded)
    year, last = _year_after(tokens, place)
    if not day:
        day, last_of_day = _day_after(tokens, place, folded)
        if day:
            year, last = _year_after(tokens, last_of_day)
            last = max(last, last_of_day)
    if not year:
        year, first = _year_before(tokens, first)
    if not _is_month(token, languages, folded, text, day=day, year=year):
        return None
    alone = not day and not year and not _has_preposition(token, languages, folded, text)
    if not real(year, month, day):
        return None
    return Written(
        start=tokens[first].start, end=tokens[last].end, date=(year, month, day), languages=languages, alone=alone
    )


def _is_month(token: _Token, languages: frozenset[str], folded: str, text: str, *, day: int, year: int) -> bool:
    """Tell whether a name of a month is meant as one, where it may be another word."""
    name = token.text
    if name not in _LOOKALIKES and len(name) > 3:
        return True
    if "en" in languages:
        return bool(day or year) or len(name) > 3 or name == "may"
    likely = likely_languages(text)
    if likely.isdisjoint(languages):
        return bool(day and year and name != "set")
    if likely >= _LATIN and name in _LOOKALIKES:
        return bool(day and year) or _has_preposition(token, languages, folded, text) or (bool(day) and len(name) > 3)
    return True


def _has_preposition(token: _Token, languages: frozenset[str], folded: str, text: str) -> bool:
    before, behind = folded[max(0, token.start - 24) : token.start], folded[token.end : token.end + 16]
    if token.text == "may" and (not _MAY.search(text) or re.search(r"\b(?:this|of|by|next)\s+$", before)):
        return False
    patterns = _prepositions()
    likely = likely_languages(text) if token.text in _LOOKALIKES else languages
    for language in languages & (likely | ({"en"} if "en" in languages else set())):
        if (pattern := patterns.get(language)) is not None and pattern.search(before):
            return True
        if (words := ALONE_BEHIND.get(language)) and re.match(rf"\s+(?:{fold(words)})(?!\w)", behind):
            return True
    return False


@lru_cache(maxsize=1)
def _prepositions() -> dict[str, re.Pattern[str]]:
    return {
        language: re.compile(rf"(?:^|[^\w])(?:{fold(words)})[\s-]+(?:the\s|le\s|la\s|el\s|del?\s)?$")
        for language, words in ALONE.items()
    }


def _day_before(tokens: Sequence[_Token], place: int, folded: str) -> tuple[int, int]:
    """The day in front of a month (0 for none) and the first token of the date."""
    at = place - 1
    for _ in range(3):
        if at >= 0 and tokens[at].text in _BETWEEN_DAY:
            at -= 1
    if at < 0 or not _is_day(tokens[at].text):
        return 0, place
    if any(each.text in _ORDINALS and each.start != tokens[at].end for each in tokens[at + 1 : at + 2]):
        return 0, place
    if tokens[at].start and folded[tokens[at].start - 1] in ".,:/+#$€£¥₹":
        return 0, place
    return int(tokens[at].text), at


def _day_after(tokens: Sequence[_Token], place: int, folded: str) -> tuple[int, int]:
    """The day behind a month (0 for none) and the last token of the date."""
    at = place + 1
    for _ in range(2):
        if at < len(tokens) and tokens[at].text in (".", "the", "-"):
            at += 1
    if at >= len(tokens) or not _is_day(tokens[at].text):
        return 0, place
    last = at
    if at + 1 < len(tokens) and tokens[at + 1].text in _ORDINALS and tokens[at + 1].start == tokens[at].end:
        last = at + 1
    end = tokens[last].end
    if _AFTER_NUMBER.match(folded, end) or (end < len(folded) and folded[end].isalnum()):
        return 0, place
    return int(tokens[at].text), last


def _year_after(tokens: Sequence[_Token], place: int) -> tuple[int, int]:
    at = place + 1
    for _ in range(3):
        if at < len(tokens) and tokens[at].text in _BETWEEN_YEAR:
            at += 1
    if at < len(tokens) and re.fullmatch(_YEAR, tokens[at].text):
        return int(tokens[at].text), at
    return 0, place


def _year_before(tokens: Sequence[_Token], first: int) -> tuple[int, int]:
    at = first - 1
    if at >= 0 and tokens[at].text in (".", ","):
        at -= 1
    if at >= 0 and re.fullmatch(_YEAR, tokens[at].text):
        return int(tokens[at].text), at
    return 0, first


def _is_day(text: str) -> bool:
    return len(text) <= 2 and text.isdigit() and 1 <= int(text) <= 31


def days_of(reading: YMD) -> Iterator[date]:
    """The first day of a date with a year, and the first day behind it."""
    year, month, day = reading
    start = date(year, month or 1, day or 1)
    yield start
    if day:
        yield date.fromordinal(start.toordinal() + 1)
    elif month:
        yield date(year + month // 12, month % 12 + 1, 1)
    else:
        yield date(year + 1, 1, 1)
