"""Relative dates, computed from the day on which they were said."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from datetime import date, timedelta
from functools import lru_cache, partial
from typing import Literal

import msgspec

from memhost.extraction.calendar_words import WORDS, CalendarWords, Unit
from memhost.extraction.languages import Language, languages_of

Precision = Literal["day", "week", "weekend", "month", "year", "around"]


class Period(msgspec.Struct, frozen=True):
    """A date as exact as it was said: `value` stands for the days from `first` to `last`."""

    value: date
    first: date
    last: date
    precision: Precision


class Relative(msgspec.Struct, frozen=True, kw_only=True):
    """A relative expression of a text: where it stands, and what it means (None where nobody can tell)."""

    start: int
    end: int
    text: str
    period: Period | None


_AFTER = re.compile(r"\s+(?:of|de|du|del|des)\b", re.IGNORECASE)
_BEFORE = re.compile(r"\b(?:every|each|jede[nrs]?|chaque|cada|tou[ts]e?s?\s(?:les|la|le))\s+(?:the\s)?$", re.IGNORECASE)
"""What makes a recurring date, or a part of something, out of a relative one: `every last Friday of the month`."""

_Solve = Callable[[re.Match[str], date], Period | None]


def find_relative(text: str, today: date) -> list[Relative]:
    """The relative expressions of a text, in order, without overlaps.

    Args:
        text: What was said.
        today: The day on which it was said, on the speaker's calendar.
    """
    return _found(text, today)[1]


def replace_relative(text: str, today: date) -> str:
    """The text with relative expressions replaced by dates, where their meaning is certain."""
    words, found = _found(text, today)
    for each in reversed(found):
        if each.period is None or text[each.end : each.end + 1] in ("'", "’", "-"):
            continue
        before = _in_front(text, each.start).rsplit(None, 1)
        said = _worded(each.period, words, bare=bool(before) and before[-1].lower() in words.prepositions)
        if each.text[0].isupper():
            said = said[0].upper() + said[1:]
        text = text[: each.start] + said + text[each.end :]
    return text


def _found(text: str, today: date) -> tuple[CalendarWords, list[Relative]]:
    """The expressions in the language that finds most, where the text may be in several."""
    found = [(WORDS[language], _in_language(text, today, language)) for language in languages_of(text)]
    return max(found, key=lambda each: len(each[1]), default=(WORDS["en"], []))


def _in_language(text: str, today: date, language: Language) -> list[Relative]:
    found: list[Relative] = []
    for pattern, solve in _rules(language):
        for match in pattern.finditer(text):
            if _AFTER.match(text, match.end()) or _BEFORE.search(_in_front(text, match.start())):
                continue
            try:
                period = solve(match, today)
            except (OverflowError, ValueError):
                period = None
            found.append(Relative(start=match.start(), end=match.end(), text=match[0], period=period))
    found.sort(key=lambda each: (each.start, -each.end))
    kept: list[Relative] = []
    for each in found:
        if not kept or each.start >= kept[-1].end:
            kept.append(each)
    return kept


def _worded(period: Period, words: CalendarWords, *, bare: bool) -> str:
    shown = period.value.isoformat()
    if period.precision == "month":
        shown = shown[:7]
    elif period.precision == "year":
        shown = shown[:4]
    return words.wording[period.precision][bare] + shown


@lru_cache(maxsize=8)
def _rules(language: Language) -> list[tuple[re.Pattern[str], _Solve]]:
    words = WORDS[language]
    parts = {
        "n": "(?P<n>" + _any([*sorted(words.numbers, key=len, reverse=True), r"\d{1,4}"]) + ")",
        "unit": "(?P<unit>" + _any(words.units) + ")",
        "weekday": "(?P<weekday>" + _any(words.weekdays) + ")",
    }
    solvers: list[tuple[tuple[str, ...], _Solve]] = [
        (words.ago, lambda match, today: _shifted(match, today, words, -1)),
        (words.ahead, lambda match, today: _shifted(match, today, words, 1)),
        (words.last_unit, lambda match, today: _whole(_unit(match, words), today, -1)),
        (words.this_unit, lambda match, today: _whole(_unit(match, words), today, 0)),
        (words.next_unit, lambda match, today: _whole(_unit(match, words), today, 1)),
        (
            words.last_weekday,
            lambda match, today: _day(today - timedelta((today.weekday() - _named(match, words) - 1) % 7 + 1)),
        ),
        (words.coming_weekday, lambda match, today: _day(_coming(_named(match, words), today))),
        (words.this_weekday, lambda match, today: _this_weekday(_named(match, words), today)),
        (words.next_weekday, lambda match, today: _next_weekday(_named(match, words), today)),
        (words.vague, lambda match, today: None),
    ]
    rules: list[tuple[re.Pattern[str], _Solve]] = [
        (_compiled(word), partial(_days_ahead, ahead)) for word, ahead in words.days.items()
    ]
    for patterns, solve in solvers:
        rules += [(_compiled(pattern.format_map(_Parts(parts))), solve) for pattern in patterns]
    return rules


class _Parts(dict[str, str]):
    """Leaves braces of regular expressions alone."""

    def __missing__(self, key: str) -> str:
        return "{" + key + "}"


def _any(words: object) -> str:
    assert isinstance(words, (list, tuple, dict))
    return "|".join(f"(?:{word})" for word in words)


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-])(?:{pattern})(?!\w)".replace(" ", r"\s"), re.IGNORECASE)


def _in_front(text: str, start: int) -> str:
    """The last words in front of a place."""
    return text[max(0, start - 80) : start]


def _unit(match: re.Match[str], words: CalendarWords) -> Unit:
    said = match["unit"]
    return next(unit for word, unit in words.units.items() if re.fullmatch(word, said, re.IGNORECASE))


def _named(match: re.Match[str], words: CalendarWords) -> int:
    said = match["weekday"]
    return next(day for day, word in enumerate(words.weekdays) if re.fullmatch(word, said, re.IGNORECASE))


def _shifted(match: re.Match[str], today: date, words: CalendarWords, sign: int) -> Period | None:
    said = " ".join(match["n"].lower().split())
    number = int(said) if said.isdigit() else words.numbers[said]
    if sign > 0 and _is_duration(match):
        return None
    unit = _unit(match, words)
    if unit == "day":
        return _day(today + timedelta(sign * number))
    if unit == "week":
        value = today + timedelta(7 * sign * number)
        return Period(value, value - timedelta(3), value + timedelta(3), "around")
    if unit == "month":
        whole = _month(_months_later(today, sign * number))
        return Period(_months_later(today, sign * number), whole.first, whole.last, "month")
    if unit == "year":
        value = _months_later(today, 12 * sign * number)
        return Period(value, date(value.year, 1, 1), date(value.year, 12, 31), "year")
    return None


def _is_duration(match: re.Match[str]) -> bool:
    """Whether `in two weeks` says how long something took: a finished verb stands shortly before it."""
    return (
        re.search(
            r"\b(?:\w{2,}ed|took|done|made|built|wrote|written|lost|ran|geschafft|fertig)(?:\s\w+){0,4}\s*$",
            _in_front(match.string, match.start()),
            re.IGNORECASE,
        )
        is not None
    )


def _whole(unit: Unit, today: date, shift: int) -> Period | None:
    if unit == "week":
        first = today - timedelta(today.weekday()) + timedelta(7 * shift)
        return Period(first, first, first + timedelta(6), "week")
    if unit == "weekend":
        return _weekend(today, shift)
    if unit == "month":
        return _month(_months_later(today.replace(day=1), shift))
    if unit == "year":
        return Period(
            date(today.year + shift, 1, 1), date(today.year + shift, 1, 1), date(today.year + shift, 12, 31), "year"
        )
    return None


def _weekend(today: date, shift: int) -> Period | None:
    saturday = today - timedelta(today.weekday()) + timedelta(5)
    on_it = today >= saturday
    if shift > 0 and not on_it:
        return None
    saturday += timedelta(7 * shift)
    return Period(saturday, saturday, saturday + timedelta(1), "weekend")


def _days_ahead(ahead: int, _match: re.Match[str], today: date) -> Period:
    return _day(today + timedelta(ahead))


def _day(day: date) -> Period:
    return Period(day, day, day, "day")


def _month(day: date) -> Period:
    first = day.replace(day=1)
    return Period(first, first, day.replace(day=calendar.monthrange(day.year, day.month)[1]), "month")


def _months_later(day: date, months: int) -> date:
    """The same day of another month, or its last one."""
    index = day.year * 12 + day.month - 1 + months
    year, month = index // 12, index % 12 + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def _coming(weekday: int, today: date) -> date:
    return today + timedelta((weekday - today.weekday() - 1) % 7 + 1)


def _this_weekday(weekday: int, today: date) -> Period | None:
    return _day(today + timedelta(weekday - today.weekday())) if weekday >= today.weekday() else None


def _next_weekday(weekday: int, today: date) -> Period | None:
    """Next Friday, said on a Wednesday, is the day after tomorrow for some and nine days ahead for others."""
    return _day(_coming(weekday, today)) if weekday <= today.weekday() else None
