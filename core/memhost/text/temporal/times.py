"""Time zones of conversations."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_FIRST = datetime(1, 1, 1, tzinfo=UTC)
_LAST = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
_NAME = re.compile(r"[A-Za-z0-9_+\-/]{1,64}")


@lru_cache(maxsize=256)
def find_zone(name: str) -> ZoneInfo | None:
    """The zone of an IANA name, None if there is none of that name."""
    if not _NAME.fullmatch(name):
        return None  # where no such file is, the library looks for a module of that name, with all its parts
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def local(moment: datetime, zone: str) -> datetime:
    """The moment on the clock of its own offset, if that is not UTC, else of the zone (UTC where it is unknown)."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if moment.utcoffset():
        return moment
    chosen: tzinfo = find_zone(zone) or UTC
    try:
        return moment.astimezone(chosen)
    except OverflowError:
        return moment


def day_start(day: date, zone: str, later: int = 0) -> datetime:
    """The first moment of the day so many days later, on the clocks of the zone (UTC where it is unknown), in UTC.

    At the ends of the calendar it is the nearest moment that a `datetime` holds.
    """
    try:
        midnight = datetime.combine(day + timedelta(later), datetime.min.time(), find_zone(zone) or UTC)
        return midnight.astimezone(UTC)
    except OverflowError:
        return _LAST if day.year > 1 else _FIRST


def describe_zone(zone: str) -> str:
    """The zone as prompts name it."""
    return zone if find_zone(zone) is not None else "UTC"


def shown(moment: datetime, zone: str) -> str:
    """Weekday, date and time of day on the local clock: `Sun 2026-03-01 09:30`, with the offset if it is its own."""
    here = local(moment, zone)
    text = f"{_WEEKDAYS[here.weekday()]} {here.year:04}-{here:%m-%d %H:%M}"
    return text + _offset(here.utcoffset()) if moment.utcoffset() else text


def _offset(offset: timedelta | None) -> str:
    minutes = int((offset or timedelta()).total_seconds()) // 60
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
