"""Relative dates, computed from the time of the message alone: exact, or not at all."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memhost.extraction.dates import find_relative, replace_relative
from memhost.extraction.dating import date_draft, said_date
from memhost.models import MemoryType
from memhost.ports import Draft
from tests.support.conversations import context, message, said, turns_of

GOLDEN = [
    # English: days, over the ends of months and years.
    ("2026-03-01", "I met Bob yesterday.", "2026-02-28"),
    ("2024-03-01", "I met Bob yesterday.", "2024-02-29"),
    ("2026-01-01", "Yesterday was wild.", "2025-12-31"),
    ("2025-12-31", "We fly tomorrow.", "2026-01-01"),
    ("2026-02-28", "We fly tomorrow morning.", "2026-03-01"),
    ("2026-03-05", "I saw the dentist today.", "2026-03-05"),
    ("2026-03-05", "We eat out tonight.", "2026-03-05"),
    ("2026-03-01", "Last night I slept badly.", "2026-02-28"),
    ("2026-03-01", "I ran the day before yesterday.", "2026-02-27"),
    ("2025-12-30", "The day after tomorrow is my birthday.", "2026-01-01"),
    ("2026-03-05", "I missed the bus this morning.", "2026-03-05"),
    # English: so many units.
    ("2026-03-02", "I quit three days ago.", "2026-02-27"),
    ("2026-01-02", "I quit 5 days ago.", "2025-12-28"),
    ("2026-03-01", "We broke up two weeks ago.", "2026-02-15"),
    ("2026-01-05", "We broke up a week ago.", "2025-12-29"),
    ("2026-03-31", "I started a month ago.", "2026-02-28"),
    ("2026-01-15", "I started two months ago.", "2025-11-15"),
    ("2024-02-29", "We married a year ago.", "2023-02-28"),
    ("2026-03-01", "We married 10 years ago.", "2016-03-01"),
    ("2025-12-20", "I leave in two weeks.", "2026-01-03"),
    ("2025-12-30", "The exam is in 3 days.", "2026-01-02"),
    ("2026-01-31", "I move in one month.", "2026-02-28"),
    ("2026-03-01", "We meet a couple of weeks from now.", "2026-03-15"),
    # English: weeks, months, years.
    ("2026-03-01", "I was ill last week.", "2026-02-16"),
    ("2026-01-01", "I was ill last week.", "2025-12-22"),
    ("2026-03-01", "We move next week.", "2026-03-02"),
    ("2025-12-30", "We move next week.", "2026-01-05"),
    ("2026-03-04", "I am in Rome this week.", "2026-03-02"),
    ("2026-01-10", "I changed jobs last month.", "2025-12-01"),
    ("2025-12-10", "I change jobs next month.", "2026-01-01"),
    ("2026-03-31", "I changed jobs last month.", "2026-02-01"),
    ("2026-03-01", "We went to Peru last year.", "2025-01-01"),
    ("2026-03-01", "We go to Peru next year.", "2027-01-01"),
    ("2026-03-04", "We hiked last weekend.", "2026-02-28"),
    ("2026-03-01", "We hiked last weekend.", "2026-02-21"),
    ("2026-03-04", "We hike this weekend.", "2026-03-07"),
    # English: weekdays.
    ("2026-03-04", "I saw her last Friday.", "2026-02-27"),
    ("2026-03-06", "I saw her last Friday.", "2026-02-27"),
    ("2026-01-01", "I saw her last Monday.", "2025-12-29"),
    ("2026-03-04", "We meet this Friday.", "2026-03-06"),
    ("2026-03-04", "We meet next Monday.", "2026-03-09"),
    ("2025-12-31", "We meet next Tuesday.", "2026-01-06"),
    ("2026-03-06", "We meet this coming Friday.", "2026-03-13"),
    # German.
    ("2026-03-01", "Gestern war ich beim Zahnarzt.", "2026-02-28"),
    ("2026-03-02", "Vorgestern sind wir umgezogen.", "2026-02-28"),
    ("2025-12-31", "Morgen fliege ich nach Rom.", "2026-01-01"),
    ("2025-12-30", "Übermorgen habe ich Geburtstag.", "2026-01-01"),
    ("2026-03-01", "Vor zwei Wochen habe ich gekündigt.", "2026-02-15"),
    ("2025-12-29", "In drei Tagen ziehe ich um.", "2026-01-01"),
    ("2026-03-01", "Letzte Woche war ich krank.", "2026-02-16"),
    ("2026-03-01", "Nächste Woche bin ich in Wien.", "2026-03-02"),
    ("2026-01-10", "Im letzten Monat habe ich geheiratet.", "2025-12-01"),
    ("2026-03-04", "Letzten Freitag habe ich Anna getroffen.", "2026-02-27"),
    ("2026-03-04", "Letztes Jahr waren wir in Peru.", "2025-01-01"),
    # French.
    ("2026-03-01", "Hier j'ai vu Marie.", "2026-02-28"),
    ("2026-03-02", "Avant-hier nous avons mangé chez Paul.", "2026-02-28"),
    ("2025-12-31", "Je pars demain matin.", "2026-01-01"),
    ("2026-03-02", "Il y a trois jours j'ai déménagé.", "2026-02-27"),
    ("2025-12-20", "Je pars dans deux semaines.", "2026-01-03"),
    ("2026-03-01", "La semaine dernière j'étais malade.", "2026-02-16"),
    ("2026-01-10", "Le mois dernier je me suis marié.", "2025-12-01"),
    ("2026-03-04", "J'ai vu Marie vendredi dernier.", "2026-02-27"),
    # Spanish.
    ("2026-03-01", "Ayer fui al médico.", "2026-02-28"),
    ("2025-12-31", "Mañana viajo a Madrid.", "2026-01-01"),
    ("2025-12-30", "Pasado mañana es mi cumpleaños.", "2026-01-01"),
    ("2026-03-02", "Hace tres días me mudé a Lima.", "2026-02-27"),
    ("2025-12-20", "Me voy dentro de dos semanas.", "2026-01-03"),
    ("2026-03-01", "La semana pasada estuve enfermo.", "2026-02-16"),
    ("2026-01-10", "El mes pasado me casé con Ana.", "2025-12-01"),
    ("2026-03-04", "El viernes pasado vi a Ana.", "2026-02-27"),
    ("2026-03-04", "El viernes que viene voy a Madrid.", "2026-03-06"),
]


@pytest.mark.parametrize(("today", "text", "expected"), GOLDEN)
def test_golden(today: str, text: str, expected: str) -> None:
    period = said_date(text, date.fromisoformat(today))
    assert period is not None
    assert period.value == date.fromisoformat(expected)
    assert period.first <= period.value <= period.last


@pytest.mark.parametrize(
    "text",
    [
        "We meet next Friday.",  # said on a Wednesday: in two days for some, in nine for others
        "We meet this Monday.",  # it has passed
        "We hike next weekend.",
        "I finished it in five days.",
        "It was the other day.",
        "A few weeks ago I moved.",
        "I work from home every last Friday of the month.",
        "Good morning! Guten Morgen!",
        "Yesterday I met Bob, tomorrow I meet Ana.",
        "Yesterday I booked the flight for 12 May.",
        "昨日医者に行った。",
    ],
)
def test_what_is_not_certain_is_left_alone(text: str) -> None:
    assert said_date(text, date(2026, 3, 4)) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("User met Bob yesterday.", "User met Bob on 2026-03-03."),
        ("Last month User moved.", "In 2026-02 User moved."),
        ("User has been ill since last week.", "User has been ill since the week of 2026-02-23."),
        ("User will fly in two weeks.", "User will fly around 2026-03-18."),
        ("User war gestern beim Arzt.", "User war am 2026-03-03 beim Arzt."),
        ("User est allé chez Paul hier.", "User est allé chez Paul le 2026-03-03."),
        ("User viajó a Lima la semana pasada.", "User viajó a Lima en la semana del 2026-02-23."),
        ("User liked yesterday's soup.", "User liked yesterday's soup."),
        ("User meets Ana next Friday.", "User meets Ana next Friday."),
    ],
)
def test_texts_get_dates(text: str, expected: str) -> None:
    assert replace_relative(text, date(2026, 3, 4)) == expected


def event(text: str, event_date: str | None, *sources: str) -> Draft:
    when = datetime.fromisoformat(event_date) if event_date else None
    return Draft(text=text, memory_type=MemoryType.EPISODIC, event_date=when, source_ids=list(sources or ("m1",)))


@pytest.mark.parametrize(
    ("zone", "expected"),
    [("UTC", "2026-02-28"), ("Asia/Tokyo", "2026-03-01"), ("America/Los_Angeles", "2026-02-27")],
)
def test_yesterday_is_counted_in_the_zone(zone: str, expected: str) -> None:
    at = {"UTC": "2026-03-01T12:00", "Asia/Tokyo": "2026-03-01T20:00", "America/Los_Angeles": "2026-03-01T05:00"}[zone]
    turns = said("I met Bob yesterday.", at=f"{at}+00:00")
    draft = date_draft(event("User met Bob.", "2026-02-20T00:00:00+00:00"), turns, context(timezone=zone))
    assert draft.event_date == datetime.combine(date.fromisoformat(expected), datetime.min.time(), UTC)


def test_computed_date_wins_in_date_and_text() -> None:
    turns = said("I met Bob yesterday.", at="2026-01-01T10:00:00+00:00")
    draft = date_draft(event("User met Bob on 2026-03-02.", "2026-03-02T00:00:00+00:00"), turns, context())
    assert draft.event_date == datetime(2025, 12, 31, tzinfo=UTC)
    assert draft.text == "User met Bob on 2025-12-31."


@pytest.mark.parametrize(
    ("content", "given_date"),
    [
        ("I met Bob yesterday.", "2026-02-28T18:30:00+00:00"),  # a time of that day says more
        ("I moved last month.", "2026-02-14T00:00:00+00:00"),  # a day inside the period, too
        ("Yesterday I booked, I leave on 12 May.", "2026-05-12T00:00:00+00:00"),
        ("Yesterday I met Bob, tomorrow Ana.", "2026-03-02T00:00:00+00:00"),
    ],
)
def test_date_of_the_model_stays(content: str, given_date: str) -> None:
    draft = date_draft(event("User did it.", given_date), said(content), context())
    assert draft.event_date == datetime.fromisoformat(given_date)


def test_facts_and_events_of_several_sources_get_no_date() -> None:
    turns = turns_of([message("I met Bob yesterday.", id="m1"), message("It was nice.", id="m2")])
    assert date_draft(event("User met Bob.", None, "m1", "m2"), turns, context()).event_date is None
    fact = Draft(text="User knows Bob.", source_ids=["m1"])
    assert date_draft(fact, turns, context()).event_date is None


def test_text_from_several_days_is_left_alone() -> None:
    turns = turns_of([message("a", id="m1"), message("b", id="m2", at="2026-02-20T09:00:00+00:00")])
    assert date_draft(event("User ran yesterday.", None, "m1", "m2"), turns, context()).text == "User ran yesterday."
    assert date_draft(event("User ran yesterday.", None, "m2"), turns, context()).text == "User ran on 2026-02-19."


@given(st.text() | st.sampled_from([text for _, text, _ in GOLDEN]), st.dates())
def test_any_text_and_day(text: str, today: date) -> None:
    for each in find_relative(text, today):
        assert text[each.start : each.end] == each.text
    replace_relative(text, today)
