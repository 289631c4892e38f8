"""Reads the dates that models write into `event_date`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

_FURTHEST = timedelta(days=3653)
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


def read_date(value: Any, now: datetime) -> datetime | None:
    """The time that an item's `event_date` says, in UTC; None where it says none that can be kept.

    ISO 8601 (without a zone: UTC), `YYYY-MM`, `YYYY`, a day with its month's name or its dots (`7 May 2023`,
    `07.05.2023`); nothing more than ten years after `now`. `05/07/2023` may be in May or in July: it says none.
    """
    text = _text(value)
    try:
        moment = _moment(text)
        if moment is None:
            return None
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        return moment if moment != _NO_DATE and moment - now <= _FURTHEST else None
    except (ValueError, OverflowError):
        return None


def read_precision(value: Any) -> str | None:
    """`week`, `month` or `year` for a date that says no more than that; None otherwise."""
    text = _text(value)
    if _WEEK.fullmatch(text):
        return "week"
    if match := _PARTIAL.fullmatch(text) or _CJK.fullmatch(text):
        if match.lastindex == 3:
            return None
        return "month" if match[2] else "year"
    match = _NAMED.fullmatch(text)
    return "month" if match and not (match["day"] or match["day2"]) else None


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
