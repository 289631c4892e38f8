"""Quarters and seasons of a question, and texts in which such words are none."""

from __future__ import annotations

from datetime import date

import pytest

from memhost.text.temporal.asked import Here, asked_times
from memhost.text.temporal.seasons import find_seasons

TODAY = date(2026, 11, 29)
NAMED = [
    ("What did we ship in Q3 2025?", "2025-07-01", "2025-10-01"),
    ("2025 Q1 numbers", "2025-01-01", "2025-04-01"),
    ("Q4/2024", "2024-10-01", "2025-01-01"),
    ("the third quarter of 2025", "2025-07-01", "2025-10-01"),
    ("Umsatz im zweiten Quartal 2025", "2025-04-01", "2025-07-01"),
    ("le chiffre du 3e trimestre 2025", "2025-07-01", "2025-10-01"),
    ("el primer trimestre de 2025", "2025-01-01", "2025-04-01"),
    ("2025年第二季度", "2025-04-01", "2025-07-01"),
    ("revenue of last quarter", "2026-07-01", "2026-10-01"),
    ("the current quarter", "2026-10-01", "2027-01-01"),
    ("El trimestre pasado", "2026-07-01", "2026-10-01"),
    ("Where was I last summer?", "2026-06-01", "2026-09-01"),
    ("the summer of 2019", "2019-06-01", "2019-09-01"),
    ("Winter 2024", "2024-12-01", "2025-03-01"),
    ("this fall", "2026-09-01", "2026-12-01"),
    ("plans for next spring", "2027-03-01", "2027-06-01"),
    ("Was habe ich im Frühjahr 2024 gemacht?", "2024-03-01", "2024-06-01"),
    ("Wo war ich letzten Sommer?", "2026-06-01", "2026-09-01"),
    ("Où étais-je l'été dernier ?", "2026-06-01", "2026-09-01"),
    ("¿Qué hice el verano pasado?", "2026-06-01", "2026-09-01"),
    ("l'estate scorsa", "2026-06-01", "2026-09-01"),
    ("no verão passado", "2026-06-01", "2026-09-01"),
    ("in de zomer van 2023", "2023-06-01", "2023-09-01"),
    ("Что я делал прошлым летом?", "2026-06-01", "2026-09-01"),
    ("зимой 2023 года", "2023-12-01", "2024-03-01"),
    ("2024年夏天我去了哪里？", "2024-06-01", "2024-09-01"),
    ("去年の夏どこに行った？", "2025-06-01", "2025-09-01"),
    ("去年夏休み", "2025-06-01", "2025-09-01"),
    ("2024年夏我去了哪里", "2024-06-01", "2024-09-01"),
    ("In this fall of 2024", "2024-09-01", "2024-12-01"),
    ("What did I plan for this fall?", "2026-09-01", "2026-12-01"),
    ("Wat deed ik vorige lente?", "2026-03-01", "2026-06-01"),
    ("Cosa faccio quest'estate?", "2026-06-01", "2026-09-01"),
    ("l'été de 2024", "2024-06-01", "2024-09-01"),
    ("winter 2024", "2024-12-01", "2025-03-01"),
]
LEFT_ALONE = """
What do I do in summer? | I will fall | fall in love 2024 | Spring Framework 2024 | real estate 2025 prices | Q4
a quarter of an hour | the French Quarter | three quarters | Summer called me | Donna Summer 12 | my cat Winter
spring onions | a spring in the mattress | the last straw | last falls | quarterly report | The Winter King
Was mache ich im Sommer? | Sommersprossen 2024 | ein Viertel | Herr Winter kam 2024 | Herbstlaub | Sommerfeld 2024
Que faire en été ? | j'ai été 3 fois | il a été élu en 2024 | trimestre | un quart
¿Qué hago en verano? | la primavera | una lente | Verano | el otoño es bonito | primer piso
Cosa faccio d'estate? | lente | la primavera di Praga | primo piano | un quarto d'ora
O que faço no verão? | inverno | primeiro andar | lente | Em que estação?
Wat doe ik in de zomer? | de eerste keer | kwart voor drie | herfstblad | lente-ui
Что я делаю летом? | ему 5 лет | лета не было | весна пришла | четверть часа
In diesem Fall brauche ich Hilfe | Was tun wir im letzten Fall? | Wann war der Fall 2023?
Did prices fall in 2024? | Why did this fall apart? | Will this fall under the budget? | this spring roll
Who owns this estate? | the estate of 2023 | the 2022 Winter Olympics | the last quarter-final | this quarter mile
Was kostet der Audi Q3 2025? | a VW T3 1985 | Keychron Q1 2023 | le prix a été de 2000 euros | j'ai été 2024 fois
questa lente è rotta | ¿Dónde compré esta lente? | onde comprei esta lente? | la lente del 2024 è rotta | May I go
2024年春节我去了哪里？ | 2022年冬奥会 | 上秋千 | 这春卷好吃吗 | 2024年秋葉原
夏天我做什么？ | 春节 | 秋子 | 冬瓜 | 本季 | 夏さんは元気？ | 春雨が好き | 四半期
"""


@pytest.mark.parametrize(("text", "start", "end"), NAMED)
def test_quarters_and_seasons_are_their_three_months(text: str, start: str, end: str) -> None:
    (found,) = find_seasons(text, TODAY)
    assert (found.start.isoformat(), found.end.isoformat()) == (start, end)


@pytest.mark.parametrize("text", [each.strip() for line in LEFT_ALONE.splitlines() for each in line.split("|") if each])
def test_what_names_no_time_is_none(text: str) -> None:
    assert find_seasons(text, TODAY) == []


@pytest.mark.parametrize(
    ("day", "said", "start"),
    [
        ("2026-01-15", "last winter", "2024-12-01"),
        ("2026-01-15", "this winter", "2025-12-01"),
        ("2026-01-15", "next winter", "2026-12-01"),
        ("2026-03-01", "last winter", "2025-12-01"),
        ("2026-07-01", "last summer", "2025-06-01"),
        ("2026-07-01", "this summer", "2026-06-01"),
        ("2026-07-01", "next summer", "2027-06-01"),
        ("2026-02-01", "last quarter", "2025-10-01"),
        ("2026-11-01", "next quarter", "2027-01-01"),
    ],
)
def test_the_last_one_has_ended_and_the_next_one_has_not_begun(day: str, said: str, start: str) -> None:
    (found,) = find_seasons(said, date.fromisoformat(day))
    assert found.start.isoformat() == start


def test_without_a_day_nothing_is_relative() -> None:
    assert find_seasons("last summer and last quarter", None) == []
    assert len(find_seasons("summer 2024", None)) == 1


def test_a_question_asks_for_the_days_of_its_season_and_not_for_the_year() -> None:
    here = Here(today=TODAY)
    asked = asked_times("What did I plant in spring 2024?", here)
    assert (asked.dates, asked.named, [span.said for span in asked.spans]) == ((), (), ["spring 2024"])
    (span,) = asked_times("Which trips did I make since Q3 2025?", here).spans
    assert (span.direction, span.start.isoformat()) == ("since", "2025-07-01")
    (span,) = asked_times("before summer 2024", here).spans
    assert (span.direction, span.end.isoformat()) == ("before", "2024-06-01")
