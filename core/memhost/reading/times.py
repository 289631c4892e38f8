"""The one reader of times that clients give: requests, tool arguments, commands, filters of views, imported lists.

`FORMS` is the table of what it takes; everything else is refused with `ACCEPTED`. Times that language models write into
their answers have a reader of their own (`memhost.extraction.temporal.said_dates`): models give parts of dates too.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, NamedTuple

from memhost.reading.values import MAX_NUMBER_TEXT, ReadingError, invalid


class Form(NamedTuple):
    """A form of time: an example, the time that it is, and what to know about it."""

    name: str
    example: str | float
    means: str
    remark: str


FORMS = (
    Form("date and time", "2026-03-01T09:30:00+02:00", "2026-03-01T07:30:00Z", "ISO 8601; also `Z`, `+0200`, `+02`"),
    Form("without offset", "2026-03-01 09:30", "2026-03-01T09:30:00Z", "UTC; `T` or a blank; seconds may be left out"),
    Form("fractions", "2026-03-01T09:30:00.123456789Z", "2026-03-01T09:30:00.123456Z", "up to 9 digits, 6 are kept"),
    Form("date", "2026-03-01", "2026-03-01T00:00:00Z", "its first moment in UTC; in filters the whole day"),
    Form("Unix seconds", 1772357400, "2026-03-01T09:30:00Z", "number or text of digits, fractions allowed"),
    Form("Unix milliseconds", 1772357400000, "2026-03-01T09:30:00Z", "what lies beyond 20000000000 either way"),
)
"""Accepted forms of a time.

A text of 4, 6, 8, 12 or 14 digits that is a year, month, day, minute or second of the years 1900 to 2199 without
separators (`20260301`) is refused: as a Unix time it would be one of 1970 or of another century. As a JSON number it
is a Unix time.
"""

ACCEPTED = (
    "Write a time as 2026-03-01T09:30:00Z (ISO 8601, without an offset in UTC), as a date 2026-03-01, or as Unix "
    "seconds or milliseconds."
)

WHOLE_DAY = timezone(timedelta(0), "whole day")
"""Zone of a time that was given as a date alone. It equals UTC; `is_whole_day` tells it from a time of day."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECONDS_FROM = 2e10
_UNIX = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?\Z")
_ISO = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[Tt _]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?:(?<=:[0-9]{2}:[0-9]{2})[.,]([0-9]{1,9}))?"
    r"(Z|z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?\Z"
)
_CALENDAR = re.compile(
    r"(?:19|20|21)[0-9]{2}"
    r"(?:(?:0[1-9]|1[0-2])(?:(?:0[1-9]|[12][0-9]|3[01])(?:(?:[01][0-9]|2[0-3])[0-5][0-9](?:[0-5][0-9])?)?)?)?\Z"
)


def read_time(value: Any) -> datetime:
    """Return the time that a parsed JSON value or a query string names, as aware UTC.

    Raises:
        ReadingError: It has none of the `FORMS`, may mean two times, or lies outside the years 1 to 9999.
    """
    if isinstance(value, str):
        found = _ISO.match(value)
        if found is not None:
            return _iso(value, found)
        text = value.strip()
        if len(text) <= MAX_NUMBER_TEXT and _UNIX.match(text):
            if _CALENDAR.match(text):
                raise _bad_time(value, f"{text} may be a date or a Unix time", ACCEPTED)
            return _unix(float(text) if "." in text else int(text), value)
        found = _ISO.match(text)
        if found is not None:
            return _iso(value, found)
        raise _bad_time(value, "the format is not known", ACCEPTED)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _unix(value, value)
    raise invalid("datetime_type", f"Input should be a valid datetime. {ACCEPTED}", value)


def is_whole_day(moment: datetime) -> bool:
    """Tell whether `read_time` read the moment from a date without a time of day."""
    return moment.tzinfo is WHOLE_DAY


def _iso(value: str, found: re.Match[str]) -> datetime:
    day, clock, fraction, offset = found.groups()
    if clock is None:
        text = day
    elif fraction is None:
        text = f"{day}T{clock}{offset.upper() if offset else ''}"
    else:
        text = f"{day}T{clock}.{fraction[:6]}{offset.upper() if offset else ''}"
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
        return moment.replace(tzinfo=WHOLE_DAY if clock is None else UTC)
    except (ValueError, OverflowError) as error:
        raise _bad_time(value, str(error)) from None


def _unix(number: float, value: Any) -> datetime:
    try:
        if abs(number) > _MILLISECONDS_FROM:
            return _EPOCH + timedelta(milliseconds=number)
        return _EPOCH + timedelta(seconds=number)
    except (OverflowError, ValueError):
        raise _bad_time(value, "the time is outside the years 1 to 9999") from None


def _bad_time(value: Any, cause: str, advice: str = "") -> ReadingError:
    message = f"Input should be a valid datetime or date, {cause}"
    return invalid("datetime_from_date_parsing", f"{message}. {advice}" if advice else message, value, error=cause)
