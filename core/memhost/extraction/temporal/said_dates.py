"""Reads the dates that models write into `event_date`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time
from typing import Any, get_args

import msgspec

from memhost.models import EventPrecision

_UNITS: tuple[EventPrecision, ...] = tuple(reversed(get_args(EventPrecision)))
_BETWEEN = re.compile(r"/|\.\.+|[–—~～至]|\s-\s|\s(?:to|bis)\s")
_SHORT = re.compile(r"(?:\d{2}-)?\d{2}")
_ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_PARTIAL = re.compile(r"(\d{4})(?:[-/.](\d{1,2}))?")
_YEAR_FIRST = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})")
_DAY_FIRST = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})")
_CJK = re.compile(r"(\d{4})[年년]\s?(?:(\d{1,2})[月월]\s?(?:(\d{1,2})[日号號일])?)?")
_WEEK = re.compile(r"\d{4}-?W\d{1,2}")
_NO_DATE = datetime(1, 1, 1, tzinfo=UTC)
"""Value that some libraries write in place of a missing date."""
_NAMED = re.compile(
    r"(?:(?P<day>\d{1,2})(?:st|nd|rd|th|er|\.|º|°)?\s+(?:of\s+|de\s+)?)?(?P<month>[^\W\d_]{3,12})\.?"
    r"(?:\s+(?P<day2>\d{1,2})(?:st|nd|rd|th)?)?,?\s+(?:de\s+)?(?P<year>\d{4})(?:\s?г(?:ода|\.)?)?"
)
_MONTHS = tuple(
    tuple(names.split())
    for names in (
        "january januar janvier enero gennaio janeiro января январь januari stycznia ocak",
        "february februar février fevrier febrero febbraio fevereiro февраля февраль februari lutego şubat",
        "march märz maerz mars marzo março марта март maart marca mart",
        "april avril abril aprile апреля апрель kwietnia nisan",
        "may mai mayo maggio maio мая май mei maja mayıs",
        "june juni juin junio giugno junho июня июнь czerwca haziran",
        "july juli juillet julio luglio julho июля июль lipca temmuz",
        "august août aout agosto августа август augustus sierpnia ağustos",
        "september septembre septiembre settembre setembro сентября сентябрь września eylül",
        "october oktober octobre octubre ottobre outubro октября октябрь października ekim",
        "november novembre noviembre novembro ноября ноябрь listopada kasım",
        "december dezember décembre decembre diciembre dicembre dezembro декабря декабрь grudnia aralık",
    )
)


class SaidDate(msgspec.Struct, frozen=True):
    """A date as it was said, in UTC: its first moment, its unit, and of a span the first moment of the last unit."""

    start: datetime
    precision: EventPrecision
    end: datetime | None = None


def read_date(value: Any, end: Any = None) -> SaidDate | None:
    """The date or span that an item's `event_date` (with `event_end`) says; None where it says none that can be kept.

    ISO 8601 (without a zone: UTC), `YYYY-MM`, `YYYY`, a day with its month's name or its dots (`7 May 2023`,
    `07.05.2023`); of spans both ends (`2026-11-23/2026-11-27`, `2026-11-23..27`). `05/07/2023` may be in May or in
    July: it says none, and neither does a span whose end lies before its beginning.
    """
    text = _text(value)
    for sign in _BETWEEN.finditer(text):
        left, right = text[: sign.start()].strip(), text[sign.end() :].strip()
        first, last = _read(left), _read(_whole(left, right))
        if first is not None and last is not None:
            return SaidDate(first[0], _coarser(first, last), last[0]) if first[0] <= last[0] else None
    first, last = _read(text), _read(_text(end))
    if first is None:
        return None
    if last is None or last[0] <= first[0]:
        return SaidDate(*first)
    return SaidDate(first[0], _coarser(first, last), last[0])


def _coarser(one: tuple[datetime, EventPrecision], other: tuple[datetime, EventPrecision]) -> EventPrecision:
    return max(one[1], other[1], key=_UNITS.index)


def _read(text: str) -> tuple[datetime, EventPrecision] | None:
    """The first moment of a date, and its unit."""
    try:
        moment = _moment(text)
        if moment is None:
            return None
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return None if moment == _NO_DATE else (moment, _precision(text, moment))


def _precision(text: str, moment: datetime) -> EventPrecision:
    if _WEEK.fullmatch(text):
        return "week"
    if match := _PARTIAL.fullmatch(text) or _CJK.fullmatch(text):
        return "day" if match.lastindex == 3 else "month" if match[2] else "year"
    if (match := _NAMED.fullmatch(text)) and not (match["day"] or match["day2"]):
        return "month"
    return "day" if moment.timetz() == time(tzinfo=UTC) else "minute"


def _whole(first: str, last: str) -> str:
    """The end of a span in full: `27` and `11-27` after `2026-11-23` leave out what both ends have in common."""
    short = _SHORT.fullmatch(last)
    return f"{first[: -len(last)]}{last}" if short and _ISO_DAY.fullmatch(first) else last


def _text(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and 1000 <= value <= 9999:
        return str(value)
    return value.strip() if isinstance(value, str) else ""


def _moment(text: str) -> datetime | None:
    if match := _PARTIAL.fullmatch(text) or _CJK.fullmatch(text):
        groups = [int(each or 1) for each in match.groups()]
        return datetime(groups[0], groups[1], groups[2] if len(groups) > 2 else 1, tzinfo=UTC)
    if match := _YEAR_FIRST.fullmatch(text):
        return datetime(int(match[1]), int(match[2]), int(match[3]), tzinfo=UTC)
    if match := _DAY_FIRST.fullmatch(text):
        return _day_first(match)
    if match := _NAMED.fullmatch(text):
        month = _month(match["month"])
        day = match["day"] or match["day2"] or "1"
        return datetime(int(match["year"]), month, int(day), tzinfo=UTC) if month else None
    if text.isdigit():
        return None  # a number of some kind; ISO 8601's form without dashes is not what models mean
    return datetime.fromisoformat(text)


def _day_first(match: re.Match[str]) -> datetime | None:
    """Dots put the day first; with other signs only a number over 12 tells which is the day."""
    first, sign, second, year = int(match[1]), match[2], int(match[3]), int(match[4])
    if sign == "." or first > 12:
        return datetime(year, second, first, tzinfo=UTC)
    return datetime(year, first, second, tzinfo=UTC) if second > 12 or first == second else None


def _month(name: str) -> int | None:
    """The number of a month by its name or the first letters of it, three at least."""
    low = name.lower()
    found = [
        number
        for number, names in enumerate(_MONTHS, 1)
        if any(each == low or (len(low) >= 3 and each.startswith(low)) for each in names)
    ]
    return found[0] if len(found) == 1 else None
