"""Searches that name a time find what happened then, and say which time they read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from memhost.host import Host
from memhost.testing.clock import FakeClock
from tests.support.hosts import run, running_host

NOW = datetime(2026, 10, 15, 12, tzinfo=UTC)
"""A Thursday."""

CLIMBED = {
    "A": "2025-11-20",
    "B": "2026-01-14",
    "C": "2026-02-03",
    "D": "2026-03-03",
    "E": "2026-03-21",
    "F": "2026-04-03",
    "G": "2026-07-03",
}
CLIMBING = [
    # Dates in many spellings.
    ("climbing on 3/3/2026", "D"),
    ("climbing on 03.03.2026", "D"),
    ("climbing on 3 March 2026", "D"),
    ("climbing on March 3rd, 2026", "D"),
    ("climbing on 2026-03-03", "D"),
    ("climbing am 3. März 2026", "D"),
    ("climbing le 3 mars 2026", "D"),
    ("climbing el 3 de marzo de 2026", "D"),
    ("climbing 3 марта 2026", "D"),
    ("climbing 2026年3月3日", "D"),
    ("climbing 2026년 3월 3일", "D"),
    ("climbing 3 Mart 2026", "D"),
    ("climbing في 3 مارس 2026", "D"),
    ("climbing am 21.3.2026", "E"),
    ("climbing on 3/21/2026", "E"),
    ("climbing im Juli 2026", "G"),
    ("climbing en julio de 2026", "G"),
    # Spans.
    ("climbing before 2026", "A"),
    ("climbing vor 2026", "A"),
    ("climbing avant 2026", "A"),
    ("climbing до 2026", "A"),
    ("climbing 2026年以前", "A"),
    ("climbing since June 2026", "G"),
    ("climbing seit Juni 2026", "G"),
    ("climbing after 1 May 2026", "G"),
    ("climbing between 10 March and 25 March 2026", "E"),
    ("climbing between 1/10/2026 and 1/20/2026", "B"),
    ("climbing entre junio y agosto de 2026", "G"),
    ("climbing from June to August 2026", "G"),
    ("climbing in the last 4 months", "G"),
]
RAN = {"river": 400, "canal": 90, "lake": 30, "coast": 8, "harbour": 1, "park": 0}
RUNNING = [
    ("running yesterday", "harbour"),
    ("running today", "park"),
    ("what did I run last month", "lake"),
    ("running three months ago", "canal"),
    ("running last year", "river"),
    ("running a week ago", "coast"),
    ("running last week", "coast"),
    ("running gestern", "harbour"),
    ("running letzten Monat", "lake"),
    ("running vor drei Monaten", "canal"),
    ("running hier", "harbour"),
    ("running le mois dernier", "lake"),
    ("running ayer", "harbour"),
    ("running el año pasado", "river"),
    ("running вчера", "harbour"),
    ("running 昨天", "harbour"),
    ("running 지난달", "lake"),
    ("running wczoraj", "harbour"),
    ("running 8 days ago", "coast"),
    ("running before 2026", "river"),
]


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    async with running_host(tmp_path, store="memory", clock=FakeClock(NOW), run_jobs=False) as opened:
        climbed = [
            {"id": hall, "text": f"Went climbing with the club, hall {hall}", "created_at": f"{day}T12:00:00Z"}
            for hall, day in CLIMBED.items()
        ]
        ran = [
            {
                "id": where,
                "text": f"Went running along the {where} with the club",
                "created_at": (NOW - timedelta(days)).isoformat(),
            }
            for where, days in RAN.items()
        ]
        await run(opened, "create_memories", memories=[{**each, "user_id": "climber"} for each in climbed])
        await run(opened, "create_memories", memories=[{**each, "user_id": "runner"} for each in ran])
        yield opened


async def search(host: Host, user: str, text: str, **fields: Any) -> Any:
    return await run(host, "search_memories", text=text, user_id={"eq": user}, **fields)


async def first(host: Host, user: str, text: str, **fields: Any) -> str:
    found = await search(host, user, text, **fields)
    return str(found.memories[0].id)


async def test_the_time_asked_about_comes_first(host: Host) -> None:
    asked = [("climber", *case) for case in CLIMBING] + [("runner", *case) for case in RUNNING]
    found = {text: await first(host, user, text) for user, text, _ in asked}
    assert {text: hit for text, hit in found.items() if hit != {t: w for _, t, w in asked}[text]} == {}


async def test_a_time_in_the_query_filters_nothing(host: Host) -> None:
    for text in ("climbing before 2026", "climbing on 3/3/2026", "climbing yesterday"):
        assert (await search(host, "climber", text)).total == len(CLIMBED), text


async def test_the_locale_orders_day_and_month(host: Host) -> None:
    for locale, hall in (("en-GB", "F"), ("de", "F"), ("en-US", "D"), ("en", "D"), ("es-MX", "F")):
        read = "climbing on 3/4/2026" if hall == "F" else "climbing on 3/3/2026"
        assert await first(host, "climber", read, locale=locale) == hall, locale
    hint = (await search(host, "climber", "climbing on 3/4/2026", locale="en-US")).time_hint
    assert hint.start == datetime(2026, 3, 4, tzinfo=UTC)
    hint = (await search(host, "climber", "climbing on 3/4/2026", locale="en-GB")).time_hint
    assert hint.start == datetime(2026, 4, 3, tzinfo=UTC)


async def test_yesterday_is_that_of_the_callers_zone(host: Host) -> None:
    memories = [
        {"id": "late", "text": "Called the office", "created_at": "2026-10-14T05:00:00Z", "user_id": "zoned"},
        {"id": "early", "text": "Called the office.", "created_at": "2026-10-14T13:00:00Z", "user_id": "zoned"},
    ]
    await run(host, "create_memories", memories=memories, deduplicate=False)
    # At 05:00Z it is still the 13th in Los Angeles, and the 14th in Tokyo.
    assert await first(host, "zoned", "office calls yesterday", timezone="America/Los_Angeles") == "early"
    hint = (await search(host, "zoned", "office calls yesterday", timezone="America/Los_Angeles")).time_hint
    assert (hint.start, hint.end) == (
        datetime(2026, 10, 14, 7, tzinfo=UTC),
        datetime(2026, 10, 15, 7, tzinfo=UTC),
    )


async def test_the_answer_names_the_time_that_was_read(host: Host) -> None:
    def at(text: str | None) -> datetime | None:
        return None if text is None else datetime.fromisoformat(f"{text}T00:00:00+00:00")

    for query, start, end, words in (
        ("what did I run last month?", "2026-09-01", "2026-10-01", "last month"),
        ("running before 2026", None, "2026-01-01", "2026"),
        ("running since 3 March 2026", "2026-03-03", None, "3 march 2026"),
        ("running on 3 March 2026", "2026-03-03", "2026-03-04", "3 march 2026"),
        ("between March and May 2025", "2025-03-01", "2025-06-01", "march and may 2025"),
    ):
        hint = (await search(host, "runner", query)).time_hint
        assert (hint.start, hint.end, hint.reading.lower()) == (at(start), at(end), words), query


async def test_no_time_is_named_where_none_or_several_are_read(host: Host) -> None:
    for query in (
        "running",
        "",
        "50 books a year",
        "in May",
        "in 2025 or 2024",
        "version 3.3.2026",
    ):
        assert not (await search(host, "runner", query)).time_hint, query
