"""Nearness of days to the time that a query asks about."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from memhost.ranking.nearness import nearness
from memhost.text.temporal.asked import AskedSpan, Here, asked_times

TODAY = date(2026, 11, 30)
EPOCH = date(1970, 1, 1)


def near(text: str, *days: str) -> list[float]:
    (span,) = asked_times(text, Here(today=TODAY)).spans
    found, _ = nearness(span, np.array([(date.fromisoformat(day) - EPOCH).days for day in days], np.float64))
    return [float(value) for value in found]


def after(text: str, *days: str) -> list[float]:
    (span,) = asked_times(text, Here(today=TODAY)).spans
    _, found = nearness(span, np.array([(date.fromisoformat(day) - EPOCH).days for day in days], np.float64))
    return [float(value) for value in found]


@pytest.mark.parametrize(
    "text", ["yesterday", "last week", "last month", "between 3 March and 5 April 2026", "last year"]
)
def test_all_days_inside_count_alike_and_fall_outside(text: str) -> None:
    (span,) = asked_times(text, Here(today=TODAY)).spans
    length = (span.end - span.start).days
    days = [span.start + timedelta(n) for n in range(-40, length + 40)]
    found, _ = nearness(span, np.array([(day - EPOCH).days for day in days], np.float64))
    inside = found[40 : 40 + length]
    assert inside.min() == inside.max()
    assert found[:40].max() < inside.min()
    assert found[40 + length :].max() < inside.min()
    assert list(found[:40]) == sorted(found[:40])
    assert list(found[40 + length :]) == sorted(found[40 + length :], reverse=True)


def test_what_is_counted_from_today_has_a_likeliest_day() -> None:
    peak, early, outside = near("three months ago", "2026-08-30", "2026-08-01", "2026-06-30")
    assert peak > early > outside


def test_an_open_span_ends_on_one_side() -> None:
    inside, longer, outside = near("before 2026", "2025-11-20", "2020-01-01", "2026-04-01")
    assert inside > longer > outside == 0.0
    outside, inside = near("since 3 March 2026", "2025-11-20", "2026-03-03")
    assert inside == 1.0
    assert outside == 0.0


def test_people_tell_of_a_short_time_for_some_days() -> None:
    assert after("yesterday", "2026-11-28", "2026-11-29") == [0.0, 1.0]
    soon, late = after("between 3 March and 5 March 2026", "2026-03-08", "2026-03-30")
    assert soon > late == 0.0
    assert after("last year", "2025-06-01", "2026-01-02") == [0.0, 0.0]


def test_unknown_days_are_near_to_nothing() -> None:
    span = AskedSpan(start=date(2026, 3, 3), end=date(2026, 3, 4), precision="day", said="")
    for values in nearness(span, np.array([np.nan, np.nan])):
        assert list(values) == [0.0, 0.0]


def test_a_second_reading_counts_less() -> None:
    (span,) = asked_times("on 3/4/2026", Here(today=TODAY)).spans
    (value,) = nearness(span, np.array([(span.start - EPOCH).days], np.float64))[0]
    assert 0 < value < 1
