"""When and where a search is made, and the time that its text asks about."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from memhost.operations.responses import TimeHint
from memhost.text.temporal.asked import OPEN_END, OPEN_START, Here, asked_times
from memhost.text.temporal.times import day_start, local
from memhost.text.temporal.written import Order

_MONTH_FIRST = frozenset(("us", "ph", "pr", "gu", "as", "mp", "vi", "fm", "mh", "pw"))
"""Regions that write the month first (Unicode CLDR, short dates)."""


def here_of(now: datetime, zone: str, locale: str | None) -> Here:
    """Where and when a search is made: its day, the offset of its zone, and how its locale orders a date."""
    clock = local(now, zone)
    offset = clock.utcoffset() or timedelta()
    return Here(today=clock.date(), utc_offset=offset.total_seconds(), order=_order(locale))


def _order(locale: str | None) -> Order | None:
    if not locale:
        return None
    language, *rest = locale.lower().replace("_", "-").split("-")
    regions = [part for part in rest if len(part) == 2]
    if not regions:
        return "mdy" if language in ("en", "fil") else "dmy"
    return "mdy" if regions[0] in _MONTH_FIRST and language in ("en", "fil", "es") else "dmy"


def time_hint(text: str, here: Here, zone: str) -> TimeHint | None:
    """The time that the text asks about; None where it names none, or several."""
    if not text:
        return None
    asked = asked_times(text, here)
    spans = {(span.start, span.end): span.said for span in (*asked.named, *asked.spans) if span.weight >= 1}
    if len(spans) != 1:
        return None
    (((start, end), said),) = spans.items()
    return TimeHint(start=_moment(start, zone), end=_moment(end, zone), reading=said)


def _moment(day: date, zone: str) -> datetime | None:
    return None if day in (OPEN_START, OPEN_END) else day_start(day, zone)
