"""Times that questions ask about, in many languages; and what only looks like one."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from memhost.text.analysis import analyse_query
from memhost.text.temporal.asked import OPEN_END, OPEN_START, AskedSpan, Here, asked_times
from memhost.text.temporal.written import find_dates, likely_languages

CASES = json.loads((Path(__file__).parents[2] / "data" / "dates.json").read_text(encoding="utf-8"))
HERE = Here(today=date.fromisoformat(CASES["now"]))


def bounds(span: AskedSpan) -> list[str | None]:
    start = None if span.start == OPEN_START else span.start.isoformat()
    return [start, None if span.end == OPEN_END else span.end.isoformat()]


def test_times_of_questions_are_read() -> None:
    wrong = []
    for case in CASES["read"]:
        asked = asked_times(case["text"], HERE)
        found = {"dates": [list(each) for each in asked.dates], "spans": [bounds(span) for span in asked.spans]}
        if found != {"dates": case["dates"], "spans": case["spans"]}:
            wrong.append((case, found))
    assert wrong == []


def test_what_only_looks_like_a_time_is_left_alone() -> None:
    found = {text: asked for text in CASES["left alone"] if (asked := asked_times(text, HERE)).dates or asked.spans}
    assert found == {}
    assert len(CASES["left alone"]) >= 2 * len(CASES["read"])


@pytest.mark.parametrize(
    ("text", "order", "first", "second"),
    [
        ("What did I say on 3/4/2026?", None, (2026, 3, 4), date(2026, 4, 3)),
        ("Was habe ich am 3/4/2026 gesagt?", None, (2026, 4, 3), date(2026, 3, 4)),
        ("¿qué dije el 3/4/2026?", None, (2026, 4, 3), date(2026, 3, 4)),
        ("What did I say on 3/4/2026?", "dmy", (2026, 4, 3), None),
        ("Was habe ich am 3/4/2026 gesagt?", "mdy", (2026, 3, 4), None),
        ("on 13/4/2026", "mdy", (2026, 4, 13), None),
        ("on 4/13/2026", "dmy", (2026, 4, 13), None),
        ("on 03.04.2026", "mdy", (2026, 4, 3), None),
        ("on 4/4/2026", None, (2026, 4, 4), None),
    ],
)
def test_a_date_that_may_be_two_is_read_as_both_unless_the_order_is_known(
    text: str, order: Any, first: tuple[int, int, int], second: date | None
) -> None:
    asked = asked_times(text, Here(today=HERE.today, order=order))
    assert asked.dates == (first,)
    assert [span.start for span in asked.spans] == ([] if second is None else [second])
    assert all(span.weight < 1 for span in asked.spans)


def test_without_a_day_nothing_is_relative() -> None:
    for text in ("yesterday", "last month", "gestern", "어제", "in the last 5 days", "before March"):
        assert asked_times(text).spans == (), text
    assert asked_times("before 2026").spans != ()


def test_days_that_the_calendar_does_not_have_are_no_dates() -> None:
    for text in (
        "30.02.2026",
        "2026-13-01",
        "31/31/2026",
        "February 30th",
        "0.0.2026",
        "am 31. April",
        "2026年13月40日",
    ):
        asked = asked_times(text, HERE)
        assert all(day == 0 for _, _, day in asked.dates), text


def test_the_edges_of_the_calendar_break_nothing() -> None:
    for today in (date.min, date.max, date(2024, 2, 29)):
        for case in CASES["read"]:
            analyse_query(case["text"], Here(today=today))


def test_a_span_is_looked_up_by_days_months_or_years() -> None:
    terms = {
        "yesterday": ("zdt20261129",),
        "last month": ("zdt202610",),
        "between March and May 2025": ("zdt202503", "zdt202504", "zdt202505"),
        "last year": ("zdt2025",),
        "before 2026": (),
        "in the last 190 years": (),
    }
    assert {text: analyse_query(text, HERE).date_terms for text in terms} == terms


def test_a_session_opening_tells_its_day_in_many_spellings() -> None:
    openings = {
        "21.01.2024: Heute war ich im Zoo": (2024, 1, 21),
        "1/21/2024 we met": (2024, 1, 21),
        "21. Januar 2024 - Notizen": (2024, 1, 21),
        "le 21 janvier 2024, au marché": (2024, 1, 21),
        "2024年1月21日 今天去了公园": (2024, 1, 21),
        "2024-01-21T10:00 standup": (2024, 1, 21),
        "21 января 2024 года": (2024, 1, 21),
    }
    assert {text: find_dates(text)[0] for text in openings} == openings


def test_languages_are_told_by_letters_and_words() -> None:
    for text, language in {
        "What did I do?": "en",
        "Was habe ich gemacht?": "de",
        "wat heb ik gisteren op het werk gedaan": "nl",
        "kiedy jest to": "pl",
        "τι έκανα": "el",
        "что я делал": "ru",
        "मैंने क्या": "hi",
        "뭐 했어": "ko",
    }.items():
        assert language in likely_languages(text), text
    assert likely_languages("What did I do?") == {"en"}
