"""Nearness of the day of a memory to a span of days that the query asks about."""

from __future__ import annotations

from datetime import date

import numpy as np
import numpy.typing as npt

from memhost.text.temporal.asked import OPEN_END, OPEN_START, AskedSpan

Days = npt.NDArray[np.float64]

_EPOCH = date(1970, 1, 1).toordinal()
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
