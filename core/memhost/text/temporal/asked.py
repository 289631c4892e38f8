"""The times that a question asks about: dates, spans between dates, and times relative to now.

Relative expressions are read by `dates` in its nine languages and by the phrases of `date_names` and `date_phrases` in
others; calendar dates by `written`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from functools import lru_cache
from typing import Literal, cast

import msgspec

from memhost.text.temporal import date_names, date_phrases
from memhost.text.temporal.calendar_words import WORDS, Unit
from memhost.text.temporal.dates import QUOTED, Period, find_relative, months_later, whole_unit
from memhost.text.temporal.seasons import Season, find_seasons
from memhost.text.temporal.thai import relative_times
from memhost.text.temporal.written import YMD, Order, Written, days_of, find_written, likely_languages, real
from memhost.text.unicode_forms import fold

Direction = Literal["in", "before", "until", "after", "since"]
AskedPrecision = Literal["day", "week", "weekend", "month", "year", "around", "span"]

OPEN_START, OPEN_END = date.min, date.max
"""Bounds of spans that have none."""

_SECOND_READING = 0.7
"""Weight of the less likely reading of `3/4/2026`."""
_LONGEST = 2_000
"""Characters in which relative times are sought: a longer text was pasted, and its `yesterday` is not today's."""
_MAX_SPANS = 8
_YEARS = (1000, 9000)
"""Years of a clock that can be right: to others nothing is relative."""
_MAX_UNITS = 200


class AskedSpan(msgspec.Struct, frozen=True, kw_only=True):
    """Days that a question asks about.

    Attributes:
        start: The first day; `OPEN_START` if it is open.
        end: The day after the last; `OPEN_END` if it is open.
        precision: How exactly it was said; `span` for what has two ends, or one and a direction.
        direction: How the days lie to the date that was named.
        peak: The likeliest day: a month ago is likelier thirty days than two days ago. None if all are alike.
        weight: 1, or less for the second reading of an ambiguous date.
        said: The words.
    """

    start: date
    end: date
    precision: AskedPrecision
    said: str
    direction: Direction = "in"
    peak: date | None = None
    weight: float = 1.0


class Here(msgspec.Struct, frozen=True):
    """Where and when a question is asked.

    Attributes:
        today: The day, on the calendar of who asks; None: nothing is relative to it.
        utc_offset: Seconds by which the clocks of who asks are ahead of UTC.
        order: Order of day and month in `3/4/2026` for who asks, where known.
    """

    today: date | None = None
    utc_offset: float = 0.0
    order: Order | None = None


class Asked(msgspec.Struct, frozen=True):
    """The times that a question names.

    Attributes:
        dates: Dates that are named as such, with 0 for open parts.
        spans: Everything else.
        named: The days of those dates that have a year.
    """

    dates: tuple[YMD, ...] = ()
    spans: tuple[AskedSpan, ...] = ()
    named: tuple[AskedSpan, ...] = ()


NOWHERE = Here()
"""Nothing is known of who asks."""


def asked_times(text: str, here: Here = NOWHERE) -> Asked:
    """Return the times that a question asks about, as of where and when it is asked."""
    return _known(text, here) if len(text) <= _LONGEST else _read(text, here)


@lru_cache(maxsize=1024)
def _known(text: str, here: Here) -> Asked:
    return _read(text, here)


def _read(text: str, here: Here) -> Asked:
    order = here.order
    today = here.today if here.today is not None and _YEARS[0] < here.today.year < _YEARS[1] else None
    folded = fold(text)
    seasons = find_seasons(text, today)
    written = [each for each in find_written(text, order) if not any(_overlap(each, one) for one in seasons)]
    dates: list[YMD] = []
    spans = [_of_season(each, folded, likely_languages(text)) for each in seasons]
    named: list[AskedSpan] = []
    place = 0
    while place < len(written):
        one = written[place]
        joined = _joined(one, written[place + 1], folded, today) if place + 1 < len(written) else None
        if joined is not None:
            spans.append(joined)
            place += 2
            continue
        place += 1
        if one.alone:
            continue
        direction = _direction(folded, one.start, one.end, one.languages or likely_languages(text))
        beside = _unit_beside(one, direction, folded)
        if beside is not None:
            dates.append(one.date)  # on that day people told of it
        span = beside or _directed(one, direction, folded, today)
        if span is not None:
            spans.append(span)
            continue
        dates.append(one.date)
        said = folded[one.start : one.end]
        if _placed(one.date):
            named.append(_span_of(one.date, said))
        if one.other is not None:
            start, end = days_of(one.other)
            spans.append(AskedSpan(start=start, end=end, precision="day", said=said, weight=_SECOND_READING))
    if today is not None:
        known = " ".join(span.said for span in spans)
        spans += [span for span in _relative(text[:_LONGEST], today) if fold(span.said) not in known]
    return Asked(tuple(dict.fromkeys(dates)), tuple(spans[:_MAX_SPANS]), tuple(named[:_MAX_SPANS]))


def _overlap(one: Written, other: Season) -> bool:
    return one.start < other.behind and other.at < one.end


def _of_season(one: Season, folded: str, languages: Iterable[str]) -> AskedSpan:
    said = folded[one.at : one.behind]
    direction = _direction(folded, one.at, one.behind, languages)
    if direction != "in":
        return _bounded(one.start, one.end, direction, said)
    return AskedSpan(start=one.start, end=one.end, precision="span", said=said)


def _span_of(reading: YMD, said: str) -> AskedSpan:
    start, end = days_of(reading)
    precision: AskedPrecision = "day" if reading[2] else "month" if reading[1] else "year"
    return AskedSpan(start=start, end=end, precision=precision, said=said)


# -- bounds ------------------------------------------------------------------------------------------------


def _joined(first: Written, second: Written, folded: str, today: date | None) -> AskedSpan | None:
    """The span from one date to another, if the words say so: `between March and May 2025`."""
    between = folded[first.end : second.start].strip()
    opened = _OPENER.search(folded[max(0, first.start - 24) : first.start]) is not None
    dash = between in ("-", "\u2013", "\u2014", "~", "\u301c")
    if not dash and not (_JOINER.fullmatch(between) and (opened or between in _TO)):
        return None
    if second.alone and not (opened or first.date[0] or first.date[1]):
        return None
    start, end = first.date, second.date
    if not start[0] and end[0]:
        start = (end[0] - (start[1] > end[1] > 0), *start[1:])
    elif not end[0] and start[0]:
        end = (start[0] + (0 < end[1] < start[1]), *end[1:])
    elif not start[0]:
        if today is None or not start[1] or not end[1]:
            return None
        end = _latest(end, today)
        start = (end[0] - (start[1] > end[1]), *start[1:])
    if not (_placed(start) and _placed(end)):
        return None
    low, high = next(days_of(start)), [*days_of(end)][1]
    said = folded[first.start : second.end]
    return AskedSpan(start=low, end=high, precision="span", said=said) if low < high else None


def _placed(reading: YMD) -> bool:
    """Tell whether it is a date of the calendar, with a year that is not at its very end."""
    return 0 < reading[0] < date.max.year and real(*reading)


def _latest(reading: YMD, today: date) -> YMD:
    """A date without a year in the year in which it last began."""
    _, month, day = reading
    return (today.year - ((month, day or 1) > (today.month, today.day)), month, day)


def _directed(one: Written, direction: Direction, folded: str, today: date | None) -> AskedSpan | None:
    """The days before or after a date; None where it is just the date."""
    reading = one.date
    if direction == "in":
        return None
    if not reading[0]:
        if today is None:
            return None
        reading = _latest(reading, today)
        if not _placed(reading):
            return None
    start, end = days_of(reading)
    return _bounded(start, end, direction, folded[one.start : one.end])


def _unit_beside(one: Written, direction: Direction, folded: str) -> AskedSpan | None:
    """The unit just before or after a date, `the week before 16 November 2023`, or so many units before or after it."""
    match = (
        _unit_pattern().search(folded[max(0, one.start - 48) : one.start]) if direction in ("before", "after") else None
    )
    if match is None or not one.date[2] or not one.date[0]:
        return None
    unit = _last()[2][match["u"]]
    said = match["n"]
    number = 1 if said is None else int(said) if said.isdigit() else _last()[1][said]
    first = date(*one.date)
    sign = -1 if direction == "before" else 1
    far = _back(first, unit, -sign * number)
    if far is None or number > _MAX_UNITS:
        return None
    words = match[0].strip() + " " + folded[one.start : one.end]
    if said is None and unit != "weekend":
        start, end = (far, first) if sign < 0 else (first + timedelta(1), far + timedelta(1))
        return AskedSpan(start=start, end=end, precision="span", said=words)
    margin = timedelta({"day": 0, "week": 3, "weekend": 3, "month": 15, "year": 180}[unit])
    precision: AskedPrecision = "day" if unit == "day" else "around"
    return AskedSpan(start=far - margin, end=far + margin + timedelta(1), precision=precision, said=words, peak=far)


def _bounded(start: date, end: date, direction: Direction, said: str) -> AskedSpan:
    low, high = {
        "before": (OPEN_START, start),
        "until": (OPEN_START, end),
        "after": (end, OPEN_END),
        "since": (start, OPEN_END),
    }[direction]
    return AskedSpan(start=low, end=high, precision="span", said=said, direction=direction)


def _direction(folded: str, start: int, end: int, languages: Iterable[str]) -> Direction:
    before, behind = folded[max(0, start - 28) : start], folded[end : end + 20]
    if match := _BEHIND.match(behind):
        return _named_group(match)
    patterns = _directions()
    for language in languages:
        if (pattern := patterns.get(language)) is not None and (match := pattern.search(before)):
            return _named_group(match)
    return "in"


def _named_group(match: re.Match[str]) -> Direction:
    return cast("Direction", match.lastgroup)


_BEHIND = re.compile(
    r"\s?(?:" + "|".join(rf"(?P<{name}>{fold(words)})" for name, words in date_phrases.BEHIND.items()) + ")"
)
_ARTICLES = "the|le|el|il|dem|den|o"
_OPENER = re.compile(rf"(?:^|[^\w]|[\u3040-\u9fff])(?:{fold(date_phrases.OPENERS)})\s*(?:(?:{_ARTICLES}) )?$")
_JOINER = re.compile(rf"(?:{fold(date_phrases.JOINERS)})(?: (?:{_ARTICLES}))?")
_TO = frozenset(("to", "until", "till", "through", "thru", "bis", "до", "到", "至", "から", "부터", "hasta", "fino a"))


@lru_cache(maxsize=1)
def _unit_pattern() -> re.Pattern[str]:
    _, numbers, units = _last()
    words = [
        word for table in (date_phrases.BEFORE, date_phrases.AFTER) for word in "|".join(table.values()).split("|")
    ]
    number, unit, bound = ("|".join(sorted(each, key=len, reverse=True)) for each in (numbers, units, map(fold, words)))
    return re.compile(
        rf"(?<!\w)(?:last\s)?(?:(?P<n>\d{{1,3}}|{number})\s)?(?P<u>{unit})\s(?:{bound})\s(?:(?:{_ARTICLES}) )?$"
    )


@lru_cache(maxsize=1)
def _directions() -> dict[str, re.Pattern[str]]:
    """For each language the words in front of a date that bound a time."""
    kinds = {
        "before": date_phrases.BEFORE,
        "until": date_phrases.UNTIL,
        "after": date_phrases.AFTER,
        "since": date_phrases.SINCE,
    }
    found = {}
    for language in sorted({language for words in kinds.values() for language in words}):
        said = "|".join(f"(?P<{name}>{fold(words[language])})" for name, words in kinds.items() if language in words)
        article = r"(?:\s(?:the|the year|year|start of|end of|about|around|mes de|mois de|anno|ano|ano de|el|il|le|r))?"
        found[language] = re.compile(rf"(?:^|[^\w])(?:{said}){article}\s*$")
    return found


# -- relative times ----------------------------------------------------------------------------------------


def _relative(text: str, today: date) -> Iterator[AskedSpan]:
    folded = fold(text)
    lasting = list(_last_units(folded, today))
    yield from lasting
    found = [] if lasting else find_relative(text, today) or find_relative(_LATIN.sub(" ", text), today)
    if not lasting and not found and _HAN.search(text):
        found = [each for each in find_relative(text, today, "ja") if not _NAME.match(text, each.start)]
    for each in found:
        if each.period is not None and not _GREETED.search(text[: each.start].lower()):
            direction = _direction(
                fold(text[: each.start]) + "\0" + fold(text[each.end :]),
                len(fold(text[: each.start])),
                len(fold(text[: each.start])) + 1,
                likely_languages(text),
            )
            yield _of_period(each.period, each.text, direction)
    if not found and not lasting:
        yield from _phrases(QUOTED.sub(" ", text), today)


def _of_period(period: Period, said: str, direction: Direction = "in") -> AskedSpan:
    start, end = period.first, period.last + timedelta(1)
    if direction != "in":
        return _bounded(start, end, direction, said)
    peak = period.value if period.precision == "around" or period.value != period.first else None
    return AskedSpan(start=start, end=end, precision=period.precision, said=said, peak=peak)


def _last_units(folded: str, today: date) -> Iterator[AskedSpan]:
    """`In the last five days`: from so many units ago until today."""
    pattern, numbers, units = _last()
    for match in pattern.finditer(folded):
        said = match["n"] or match["nf"]
        number = int(said) if said.isdigit() else numbers[said]
        unit = units[match["u"] or match["uf"]]
        if not 0 < number <= _MAX_UNITS:
            continue
        start = _back(today, unit, number)
        if start is not None:
            yield AskedSpan(start=start, end=today + timedelta(1), precision="span", said=match[0].strip())


def _back(today: date, unit: Unit, number: int) -> date | None:
    try:
        if unit in ("day", "week", "weekend"):
            return today - timedelta(number * (1 if unit == "day" else 7))
        return months_later(today, -number * (12 if unit == "year" else 1))
    except (ValueError, OverflowError):
        return None


@lru_cache(maxsize=1)
def _last() -> tuple[re.Pattern[str], dict[str, int], dict[str, Unit]]:
    numbers: dict[str, int] = {}
    for calendar in WORDS.values():
        numbers |= {fold(word): number for word, number in calendar.numbers.items()}
    for said in date_phrases.NUMBERS.values():
        numbers |= _counted(said)
    units: dict[str, Unit] = {}
    for unit, words in date_phrases.UNITS.items():
        units |= dict.fromkeys(fold(words).split("|"), unit)
    prefix = fold("|".join(dict.fromkeys("|".join(date_phrases.LAST.values()).split("|"))))
    number = "|".join(sorted(map(re.escape, numbers), key=len, reverse=True))
    unit_words = "|".join(sorted(map(re.escape, units), key=len, reverse=True))
    amount = rf"(?P<n>\d{{1,3}}|{number})\s?(?P<u>{unit_words})(?:間|間に)?"
    french = rf"(?P<nf>\d{{1,3}}|{number}) derni(?:er|ere)s (?P<uf>{unit_words})"
    pattern = (
        rf"(?:(?<!\w)|(?<=[\u3040-\u9fff]))(?:(?:{prefix})\s?{amount}|{french})(?![^\W\u3040-\u9fff\uac00-\ud7a3])"
    )
    return re.compile(pattern), numbers, units


def _counted(words: str) -> dict[str, int]:
    return {fold(word): number for number, group in enumerate(words.split(), 1) for word in group.split("|")}


_LATIN = re.compile("[A-Za-z\u00c0-\u024f]")
"""Letters that are left out to find a time in another script: the language is that of most letters."""
_HAN = re.compile("[\u4e00-\u9fff]")
"""Without kana a text counts as Chinese, and may be Japanese all the same."""
_NAME = re.compile("[今明昨]日[\u4e00-\u9fff]")
"""Days that begin a name in Chinese: a newspaper, a song, a game."""
_GREETED = re.compile(r"\b(?:goede|goeie|guten|good)\s$")
"""Words that make a greeting of `morgen`."""
_WORDS = re.compile(
    "\\d+|(?:[^\\W\\d_]|[\u0300-\u036f\u0591-\u05bd\u064b-\u065f\u0670\u0900-\u0903\u093a-\u094f\u0962\u0963])+"
)
_Phrase = tuple[tuple[str, ...], str, Unit, str]
"""The words (`#` for a number), the language, the unit and how many lie ahead (`-1`, `-1~`, `#`, `-#`)."""
_DOUBTFUL = frozenset({"morgen", "dun", "azi", "maine", "ieri"})
"""Phrases of one language that are words of others."""


@lru_cache(maxsize=1)
def _phrase_table() -> dict[str, list[_Phrase]]:
    table: dict[str, list[_Phrase]] = {}
    language = ""
    for line in (date_phrases.MORE_RELATIVE + date_names.RELATIVE[1:]).split("\n")[1:-1]:
        if ":" not in line:
            language = line
            continue
        head, _, said = line.partition(": ")
        unit, _, shift = head.partition(" ")
        for phrase in said.split(", "):
            words = tuple(re.findall(r"#|" + _WORDS.pattern, fold(phrase)))
            table.setdefault(words[0], []).append((words, language, cast("Unit", unit), shift))
    for phrases in table.values():
        phrases.sort(key=lambda each: -len(each[0]))
    return table


@lru_cache(maxsize=1)
def _numbers_of() -> dict[str, dict[str, int]]:
    return {language: _counted(words) for language, words in date_phrases.NUMBERS.items()}


@lru_cache(maxsize=1)
def _number_words() -> frozenset[str]:
    return frozenset(word for numbers in _numbers_of().values() for word in numbers)


def _phrases(text: str, today: date) -> Iterator[AskedSpan]:
    """Relative times of the languages that `dates` does not know."""
    folded = fold(text)
    for said in relative_times(folded):
        shift = f"{said.ahead}~" if said.counted and said.unit != "day" else str(said.ahead)
        period = _shifted(((), "th", said.unit, shift), abs(said.ahead), today)
        if period is not None:
            yield _of_period(period, folded[said.start : said.end])
    table = _phrase_table()
    matches = list(_WORDS.finditer(folded))
    words = [match[0] for match in matches]
    place = 0
    while place < len(words):
        for phrase in _starting_with(table, words[place]):
            number = _said(phrase, words[place : place + len(phrase[0])])
            if number is None or not _trusted(phrase, text):
                continue
            front = words[place - 1] if place else ""
            if (phrase[0][0] == "#" or phrase[1] == "vi") and _is_part(
                folded, matches[place].start(), front, phrase[1]
            ):
                continue
            if _GREETED.search(folded[: matches[place].start()]):
                continue
            period = _shifted(phrase, number, today)
            if period is not None:
                start, end = matches[place].start(), matches[place + len(phrase[0]) - 1].end()
                direction = _direction(folded, start, end, (phrase[1],))
                yield _of_period(period, folded[start:end], direction)
                place += len(phrase[0]) - 1
                break
        place += 1


def _starting_with(table: dict[str, list[_Phrase]], word: str) -> Iterator[_Phrase]:
    yield from table.get(word, ())
    if "\uac00" <= word[0] <= "\ud7a3":  # Korean appends particles
        for length in range(len(word) - 1, 1, -1):
            yield from (phrase for phrase in table.get(word[:length], ()) if len(phrase[0]) == 1)
    if word.isdigit() or word in _number_words():
        yield from table.get("#", ())


def _said(phrase: _Phrase, words: Sequence[str]) -> int | None:
    """The number that the words say where the phrase has one (1 where it has none); None if they are other words."""
    pattern, language, _, _ = phrase
    if len(words) < len(pattern):
        return None
    number = 1
    for wanted, word in zip(pattern, words, strict=False):
        if wanted == "#":
            given = int(word) if word.isdigit() and len(word) < 4 else _numbers_of()[language].get(word)
            if given is None:
                return None
            number = given
        elif wanted != word and not (language == "ko" and word.startswith(wanted) and len(word) <= len(wanted) + 2):
            return None
    return number


def _is_part(folded: str, start: int, front: str, language: str) -> bool:
    """Tell whether the number that starts there is the end of a larger or finer one: `2,5 jaar`, `yirmi iki`.

    In Vietnamese `last year` is the word for `years ago`, and a number in front makes the difference.
    """
    if re.search(r"\d[.,]$", folded[max(0, start - 2) : start]):
        return True
    if front.isdigit():
        return folded[start - 1] == " "
    return front in _TENS or front in _numbers_of()[language]


_TENS = frozenset(fold(date_phrases.TENS).split())


def _trusted(phrase: _Phrase, text: str) -> bool:
    likely = likely_languages(text)
    if phrase[1] in likely and (len(likely) < 6 or not _DOUBTFUL.intersection(phrase[0])):
        return True
    return len(phrase[0]) > 1 and "en" not in likely


def _shifted(phrase: _Phrase, number: int, today: date) -> Period | None:
    _, _, unit, shift = phrase
    counted = "#" in shift or "~" in shift
    amount = (-1 if shift.startswith("-") else 1) * number if counted else int(shift)
    try:
        if unit == "day":
            day = today + timedelta(amount)
            return Period(day, day, day, "day")
        if not counted:
            return whole_unit(unit, today, amount)
        if unit == "week":
            value = today + timedelta(7 * amount)
            return Period(value, value - timedelta(3), value + timedelta(3), "around")
        value = months_later(today, amount * (12 if unit == "year" else 1))
        whole = whole_unit(unit, value, 0)
        return None if whole is None else Period(value, whole.first, whole.last, whole.precision)
    except (ValueError, OverflowError):
        return None
