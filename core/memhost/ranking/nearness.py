"""Nearness of the days of memories to the dates and the spans of days that the query asks about."""

from __future__ import annotations

from datetime import date

import numpy as np
import numpy.typing as npt

from memhost.ranking.columns import Columns
from memhost.ranking.types import Floats
from memhost.text.analysis import AnalysedQuery
from memhost.text.temporal.asked import OPEN_END, OPEN_START, AskedSpan
from memhost.text.temporal.written import find_dates

Days = npt.NDArray[np.float64]

_EPOCH = date(1970, 1, 1).toordinal()
_DATED = 48
"""Characters at the start of a session in which a date counts as the session's."""
_LAST_SECOND = 2e11
_EDGE = 0.5
"""Nearness of the day beside the span; inside it is 1 (by judgement, like the figures below)."""
_FEWEST, _MOST = 3.0, 60.0
"""Days beside a span in which the nearness falls to nothing: half its length, but within these."""
_SAME_MONTH = 0.3
"""Nearness of another day of the month, falling to nothing in a month."""
_OFF_PEAK = 0.2
"""Loss at the far end of a span against its likeliest day, where it has one."""
_AFTER_DAYS = 15.0
"""Days for which people still tell of a day."""
_SHORT = 31.0
"""Days of a span up to which people tell of it so soon."""
_SEASON = 92.0
_LONG = 0.5
"""Share for which a span of more days counts: a year tells less than a month (a year by its number counts 0.2)."""
_YEAR = 365.0
"""Days from its one bound at which an open span counts least."""


def nearness(span: AskedSpan, days: Days) -> tuple[Days, Days]:
    """Return how near each day is to the span, and how soon after it, both from 0 to 1.

    Args:
        span: The days asked about.
        days: Days since 1970, NaN where unknown.
    """
    known = ~np.isnan(days)
    number = np.where(known, days, 0.0)
    first = -np.inf if span.start == OPEN_START else float(span.start.toordinal() - _EPOCH)
    last = np.inf if span.end == OPEN_END else float(span.end.toordinal() - _EPOCH - 1)
    length = last - first + 1.0
    reach = min(_MOST, max(_FEWEST, length / 2.0))
    gap = np.maximum(np.maximum(first - number, number - last), 0.0)
    beside = np.maximum(_EDGE * (1.0 - (gap - 1.0) / reach), _SAME_MONTH * (1.0 - gap / _SHORT))
    near = np.where(gap == 0.0, 1.0, np.maximum(beside, 0.0))
    if span.peak is not None:
        off = np.abs(number - float(span.peak.toordinal() - _EPOCH)) / max(length, 1.0)
        near = np.where(gap == 0.0, 1.0 - _OFF_PEAK * np.minimum(off, 1.0), near)
    soon = np.zeros(len(days))
    if length <= _SHORT:
        since = np.maximum(number - last, 0.0)
        soon = np.where(number >= first, np.maximum(1.0 - since / _AFTER_DAYS, 0.0), 0.0)
    elif np.isinf(length):
        far = np.minimum(np.abs(number - (last if np.isinf(first) else first)) / _YEAR, 1.0)
        near = np.where(gap == 0.0, 1.0 - _OFF_PEAK * far, near)
    if _SEASON < length < np.inf:
        near = near * _LONG
    return np.where(known, near, 0.0) * span.weight, np.where(known, soon, 0.0) * span.weight


def date_features(query: AnalysedQuery, columns: Columns) -> tuple[Floats, Floats]:
    """Return how near each memory's day is to those that the query names, and how soon after them; 0 without dates."""
    same, soon = np.zeros(len(columns)), np.zeros(len(columns))
    if not query.dates and not query.spans:
        return same, soon
    number = _session_days(columns, query.utc_offset)
    for span in query.spans:
        near, after = nearness(span, number)
        same, soon = np.maximum(same, near), np.maximum(soon, after)
    if not query.dates:
        return same, soon
    known = ~np.isnan(number)
    days = np.where(known, number, 0.0).astype(np.int64).astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    year = months.astype("datetime64[Y]").astype(np.int64) + 1970
    month = months.astype(np.int64) % 12 + 1
    day = (days - months).astype(np.int64) + 1
    for y, m, d in query.dates:
        fits = known & (year == y) if y else known
        if not m:
            value = np.full(len(known), 0.2)
        else:
            value = np.where(month == m, np.where(day == d, 1.0, 0.3) if d else 0.6, 0.0)
        same = np.maximum(same, np.where(fits, value, 0.0))
        if m and d:
            since = (month - m) * 30.44 + (day - d) + ((year - y) * 365.25 if y else 0.0)
            soon = np.maximum(soon, np.where(known & (since > -0.5), 1.0 - since / _AFTER_DAYS, 0.0))
    return same, soon


def _session_days(columns: Columns, offset: float) -> npt.NDArray[np.float64]:
    """Return each candidate's day (days since 1970, NaN if unknown): what its session's opening says, else its time."""
    openings = np.flatnonzero((columns.position == 0) & (columns.session >= 0))
    said = columns.remembered(_stated_day, openings)
    pairs = zip(columns.session[openings].tolist(), said, strict=True)
    stated = {session: day for session, day in pairs if day is not None and columns.sessions[session]}
    # What is said of a day alone is stored as its midnight in UTC, and is that day everywhere.
    days = np.where(np.abs(columns.when) < _LAST_SECOND, columns.when / 86400.0, np.nan)
    days = np.floor(np.where(days == np.floor(days), days, days + offset / 86400.0))
    for session, day in stated.items():
        days[columns.session == session] = day
    return days


def _stated_day(text: str) -> float | None:
    """Return the day that the start of a text names, in days since 1970; None if it names none."""
    for y, m, d in find_dates(text[:_DATED]):
        if y and m and d:
            try:
                return float(date(y, m, d).toordinal() - _EPOCH)
            except ValueError:
                continue
    return None
