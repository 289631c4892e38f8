"""Relative dates, computed from the message's time alone: exact, or not at all."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memhost.extraction.parsing.grounding import unresolved
from memhost.extraction.temporal.dating import date_draft, is_dated
from memhost.models import MemoryType
from memhost.ports import Draft
from memhost.text.temporal.dates import find_relative, replace_relative, said_date
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
    # Italian.
    ("2026-03-01", "Ieri sono andato dal dentista.", "2026-02-28"),
    ("2026-03-02", "L'altro ieri ho visto Anna.", "2026-02-28"),
    ("2025-12-31", "Domani parto per Roma.", "2026-01-01"),
    ("2026-03-02", "Tre giorni fa ho cambiato casa.", "2026-02-27"),
    ("2026-03-01", "La settimana scorsa ero malato.", "2026-02-16"),
    ("2026-03-01", "Il mese prossimo cambio lavoro.", "2026-04-01"),
    ("2026-03-04", "Ho visto Anna venerdì scorso.", "2026-02-27"),
    # Portuguese.
    ("2026-03-01", "Ontem fui ao dentista.", "2026-02-28"),
    ("2026-03-02", "Anteontem comprei um carro.", "2026-02-28"),
    ("2025-12-31", "Amanhã viajo para Lisboa.", "2026-01-01"),
    ("2026-03-02", "Mudei de casa três dias atrás.", "2026-02-27"),
    ("2026-03-01", "Na semana passada estive doente.", "2026-02-16"),
    ("2026-03-04", "Na sexta-feira passada vi a Ana.", "2026-02-27"),
    # Russian.
    ("2026-03-01", "Вчера я ходил к врачу.", "2026-02-28"),
    ("2026-03-02", "Позавчера мы переехали.", "2026-02-28"),
    ("2025-12-31", "Завтра я лечу в Москву.", "2026-01-01"),
    ("2026-03-02", "Три дня назад я уволился.", "2026-02-27"),
    ("2026-03-01", "Неделю назад я уволился.", "2026-02-22"),
    ("2026-03-01", "На прошлой неделе я болел.", "2026-02-16"),
    ("2026-01-10", "В прошлом месяце я женился.", "2025-12-01"),
    # Chinese.
    ("2026-03-04", "我昨天去看牙医了。", "2026-03-03"),
    ("2026-03-04", "前天我见了小李。", "2026-03-02"),
    ("2025-12-31", "明天我要去北京。", "2026-01-01"),
    ("2026-03-04", "三天前我搬家了。", "2026-03-01"),
    ("2026-03-01", "上周我生病了。", "2026-02-16"),
    ("2026-01-10", "上个月我结婚了。", "2025-12-01"),
    ("2026-03-01", "我们去年去了秘鲁。", "2025-01-01"),
    # Japanese.
    ("2026-03-04", "昨日医者に行った。", "2026-03-03"),
    ("2026-03-04", "一昨日引っ越した。", "2026-03-02"),
    ("2025-12-31", "明日大阪へ出張する。", "2026-01-01"),
    ("2026-03-04", "三日前に健太に会った。", "2026-03-01"),
    ("2026-03-01", "先週は病気だった。", "2026-02-16"),
    ("2026-01-10", "先月結婚した。", "2025-12-01"),
    ("2026-03-01", "来年の春に家を買う。", None),
    # Shouted.
    ("2026-03-01", "I MET BOB YESTERDAY.", "2026-02-28"),
    # To the day.
    ("2026-03-04", "I moved to Oslo a year ago today.", "2025-03-04"),
    ("2026-03-04", "Heute vor zwei Jahren haben wir geheiratet.", "2024-03-04"),
]


@pytest.mark.parametrize(("today", "text", "expected"), GOLDEN)
def test_golden(today: str, text: str, expected: str | None) -> None:
    period = said_date(text, date.fromisoformat(today))
    if expected is None:
        assert period is None
        return
    assert period is not None
    assert period.value == date.fromisoformat(expected)
    assert period.first <= period.value <= period.last


@pytest.mark.parametrize(("today", "text", "expected"), [each for each in GOLDEN if each[2]])
@pytest.mark.parametrize("relative", [True, False], ids=["text is relative", "only the message is"])
def test_golden_fills_the_date_of_an_event_and_leaves_its_text(
    today: str, text: str, expected: str, relative: bool
) -> None:
    turns = said(text, at=f"{today}T12:00:00+00:00")
    (only,) = find_relative(text, date.fromisoformat(today))
    written = text if relative else " ".join((text[: only.start] + " " + text[only.end :]).split())
    draft = date_draft(event(written, None), turns, context())
    assert draft.text == written
    assert draft.event_date == datetime.fromisoformat(expected).replace(tzinfo=UTC)
    assert draft.event_precision in ("day", "week", "month", "year")
    assert draft.event_end is None or (draft.event_end - draft.event_date).days == 1, "a weekend"
    assert draft.metadata.get("said_on") == (today if relative else None)


NOT_DATES = """
User's favourite film is The Day After Tomorrow.
User loves the song Yesterday by the Beatles.
User watches Last Week Tonight every Sunday.
User reads USA Today every morning.
User's album is called 'Yesterday Once More'.
User's favourite book is "Tomorrow, and Tomorrow, and Tomorrow".
Tomorrow Never Dies is User's favourite film.
User saw Last Night in Soho at the cinema.
Last Night in Soho is User's favourite film.
Yesterday by the Beatles is User's favourite song.
User will see The Day After Tomorrow at the cinema.
User subscribes to Psychology Today.
User works at Tomorrow Labs.
User listens to Today in Focus.
User played Day of the Tentacle and Last Day on Earth.
User pays rent once in a month.
User can swim 3 km in one day.
User reads 50 books in a year.
User's next appointment is in a day or two.
User finished the marathon in two days.
User built the shed in three weeks.
User takes the pill twice in a week.
User wrote the report in two days.
User ran 300 km in a month.
User needs to learn the part in two weeks.
User read the book in two days.
User drove to Rome in a day.
User usually saves 200 EUR in a month.
The project took longer: it was done in two months.
User's last day at work is 2026-03-31.
On the next day User went home.
User works every last Friday of the month.
User calls home each next Monday.
User likes yesterday's soup.
User reads today's paper.
User's logs are kept for one week from now on.
User has been ill since last week.
The tickets are valid until tomorrow.
User must answer by next week.
User feels better than last year.
User slept like yesterday.
User's flat was empty before last month.
The last week of the month is busy for User.
The next day of User's life began.
User lives in a house of a year.
User's church was built 300 years ago.
Nutzer schaut das Heute Journal im ZDF.
Nutzer besitzt drei Morgen Land.
Nutzer mag den Film Morgen, ihr Luschen.
Nutzer trinkt jeden Morgen Tee.
Am Morgen trinkt Nutzer Tee.
Guten Morgen sagt der Nutzer gern.
Nutzer liest «Morgen» und „Gestern“.
Nutzer hat das Buch in zwei Tagen gelesen.
Nutzer hat in drei Wochen den Schuppen gebaut.
Nutzer kann 3 km in einem Tag schwimmen.
Nutzer liest 50 Bücher in einem Jahr.
Nutzer ist seit gestern krank.
Die Karte gilt bis morgen.
Nutzer fühlt sich besser als gestern.
Nutzer arbeitet jeden letzten Freitag im Monat.
Nutzer wohnt am Neuen Morgen.
Nutzer hört die Band Die Letzte Woche.
Heute Journal ist die Sendung des Nutzers.
Nutzer braucht dafür in der Regel in zwei Wochen Ruhe.
In drei Tagen hat Nutzer das Bild gemalt.
L'utilisateur aime le film Demain.
L'utilisateur lit Aujourd'hui en France.
L'utilisateur lit « Hier, aujourd'hui, demain ».
Demain Nous Appartient est la série de l'utilisateur.
L'utilisateur est malade depuis hier.
Le billet est valable jusqu'à demain.
L'utilisateur va mieux que hier.
L'utilisateur travaille chaque semaine prochaine.
L'utilisateur habite rue Demain.
L'utilisateur nage 3 km en un jour.
L'utilisateur a fini en deux jours.
Il y a trois jours que l'utilisateur est malade.
L'utilisateur aime le journal de demain.
L'utilisateur chante Hier Encore d'Aznavour.
L'utilisateur garde la soupe d'hier.
Usuario vive en Hoy, Escocia.
Al usuario le gusta la película Mañana.
El usuario lee el diario Hoy cada día.
El usuario trabaja por la mañana.
El usuario toma té cada mañana.
El usuario está enfermo desde ayer.
La entrada vale hasta mañana.
El usuario está mejor que ayer.
El usuario terminó el libro en dos días.
El usuario lee 50 libros en un año.
Hace tres días que el usuario está enfermo.
El usuario canta «Ayer» de Enrique.
El usuario guarda la sopa de ayer.
El usuario va cada semana pasada la lluvia.
A la mañana siguiente el usuario salió.
All'utente piace il film Domani.
L'utente legge il giornale Oggi.
L'utente canta "Ieri, oggi, domani".
L'utente è malato da ieri.
Il biglietto vale fino a domani.
L'utente sta meglio di ieri.
L'utente ha finito in due giorni.
L'utente legge 50 libri in un anno.
L'utente beve tè ogni mattina.
L'utente mangia la zuppa di ieri.
L'utente lavora ogni settimana prossima alle feste.
O usuário gosta do filme Amanhã.
O usuário lê o jornal Hoje em Dia.
O usuário canta «Ontem» dos Beatles.
O usuário está doente desde ontem.
O bilhete vale até amanhã.
O usuário está melhor do que ontem.
O usuário acabou em dois dias.
O usuário lê 50 livros em um ano.
O usuário toma chá de manhã.
O usuário mora aqui há dois anos.
O usuário guarda a sopa de ontem.
Пользователь любит фильм «Послезавтра».
Пользователь читает газету Сегодня.
Пользователь поёт песню "Вчера".
Пользователь болеет со вчерашнего дня.
Пользователь ест завтрак каждый день.
Билет действует до завтра.
Пользователь чувствует себя лучше, чем вчера.
Пользователь прочитал книгу за два дня.
Пользователь работает по утрам.
Пользователь смотрит сериал «Завтра была война».
Пользователь плавает 3 км в день.
用户最喜欢的歌是《明天会更好》。
用户每天早上喝茶。
用户喜欢昨天的汤。
用户有后天性免疫缺陷。
用户做前端开发，有三年前端经验。
用户一年读五十本书。
用户住在日本周边。
用户在楼上周围散步。
用户喜欢电影《后天》。
用户常说“明天再说”。
用户比昨天好。
用户两天游三公里。
用户每年去年会。
用户在2023年前住在北京。
ユーザーは毎朝お茶を飲む。
ユーザーの好きな映画は「明日の記憶」だ。
ユーザーの娘は明日香という。
ユーザーは今日子さんに会う。
ユーザーは「今日から俺は」を見る。
ユーザーは昨日のスープが好き。
ユーザーは一年に五十冊読む。
ユーザーは二日で本を読んだ。
ユーザーは『昨日の世界』を読む。
ユーザーは朝が苦手だ。
ユーザーは明日葉のお茶が好き。
""".strip().split("\n")


@pytest.mark.parametrize("text", NOT_DATES)
def test_titles_names_rates_durations_and_bounds_are_no_dates(text: str) -> None:
    assert said_date(text, date(2026, 3, 4)) is None
    draft = date_draft(event(text, None), said(text, at="2026-03-04T10:00:00+00:00"), context())
    assert (draft.text, draft.event_date) == (text, None)


def test_there_are_enough_cases_that_are_no_dates() -> None:
    assert len(NOT_DATES) >= 120


@pytest.mark.parametrize("text", NOT_DATES[:30])
def test_what_is_no_date_costs_no_second_call(text: str) -> None:
    assert unresolved(text) == []


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
    ],
)
def test_what_is_not_certain_is_left_alone(text: str) -> None:
    assert said_date(text, date(2026, 3, 4)) is None


def event(text: str, event_date: str | None, *sources: str) -> Draft:
    when = datetime.fromisoformat(event_date) if event_date else None
    return Draft(text=text, memory_type=MemoryType.EPISODIC, event_date=when, source_ids=list(sources or ("m1",)))


@pytest.mark.parametrize(
    ("zone", "expected"),
    [("UTC", "2026-02-28"), ("Asia/Tokyo", "2026-03-01"), ("America/Los_Angeles", "2026-02-27")],
)
def test_yesterday_is_counted_in_the_zone(zone: str, expected: str) -> None:
    at = {"UTC": "2026-03-01T12:00", "Asia/Tokyo": "2026-03-01T20:00", "America/Los_Angeles": "2026-03-01T05:00"}[zone]
    draft = date_draft(
        event("User met Bob.", None), said("I met Bob yesterday.", at=f"{at}+00:00"), context(timezone=zone)
    )
    assert draft.event_date == datetime.combine(date.fromisoformat(expected), datetime.min.time(), UTC)


NOVEMBER = "2026-11-18T10:00:00+00:00"


@pytest.mark.parametrize(
    ("content", "text", "day"),
    [
        # the expression belongs to another statement of the message
        (
            "Yesterday we finally booked the climbing hall for Lotte's birthday party.",
            "The birthday party of User's daughter Lotte on 2026-11-21 takes place in the climbing hall.",
            "2026-11-21",
        ),
        (
            "I told my boss yesterday that I'm leaving at the end of my notice period.",
            "User will leave the company on 2027-02-28.",
            "2027-02-28",
        ),
        (
            "Same time and place as last week, see you then!",
            "User meets Tom at Cafe Central on 2026-11-25 at 18:00.",
            "2026-11-25",
        ),
        (
            "The vet called this morning: Rex's surgery is on his birthday.",
            "The surgery of User's dog Rex is on 2026-12-24.",
            "2026-12-24",
        ),
        (
            "Ordered the ring today, I'll propose on New Year's Eve.",
            "User plans to propose on 2026-12-31.",
            "2026-12-31",
        ),
        ("Today I signed up for the Christmas Eve run.", "User signed up for the run on 2026-12-24.", "2026-12-24"),
        (
            "My grandma called yesterday, she turns 90 in spring.",
            "User's grandmother turns 90 in spring.",
            "2027-03-01",
        ),
        (
            "Acht Kinder. Gestern haben wir den Kletterpark in Potsdam dafür gebucht.",
            "Der Kindergeburtstag ist am 2026-11-21 im Kletterpark in Potsdam.",
            "2026-11-21",
        ),
        # the model was wrong, perhaps; nobody can tell
        ("I met Bob yesterday.", "User met Bob on 2026-11-02.", "2026-11-02"),
    ],
)
def test_text_and_date_of_the_model_stay(content: str, text: str, day: str) -> None:
    when = f"{day}T00:00:00+00:00"
    draft = date_draft(event(text, when), said(content, at=NOVEMBER), context())
    assert (draft.text, draft.event_date) == (text, datetime.fromisoformat(when))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("Yesterday we finally booked the climbing hall for Lotte's party.", "Lotte's party is in the climbing hall."),
        ("I told my boss yesterday that I'm leaving the company.", "User will leave the company."),
        ("The vet called this morning: Rex's surgery is soon.", "The surgery of User's dog Rex is soon."),
        ("Ordered the ring today, I'll propose soon.", "User plans to propose."),
        ("My grandma called yesterday, she turns 90 in spring.", "User's grandmother turns 90 in spring."),
        ("Gestern haben wir den Kletterpark für das Fest gebucht.", "Das Fest ist im Kletterpark."),
        ("Hier j'ai réservé la salle pour la fête de Léa.", "La fête de Léa a lieu dans la salle."),
        ("Ayer reservé la sala para la fiesta de Ana.", "La fiesta de Ana es en la sala."),
        ("Ieri ho prenotato la sala per la festa di Anna.", "La festa di Anna è nella sala."),
        ("昨天我给莉莉的生日派对订了攀岩馆。", "用户会参加派对。"),
        ("I watched The Day After Tomorrow last night with Bob, who leaves soon.", "Bob leaves soon."),
    ],
)
def test_a_missing_date_is_not_taken_from_another_statement(content: str, text: str) -> None:
    draft = date_draft(event(text, None), said(content, at=NOVEMBER), context())
    assert (draft.text, draft.event_date) == (text, None)


def test_a_title_beside_a_date_leaves_the_date() -> None:
    content = "I watched The Day After Tomorrow last night."
    draft = date_draft(event("User watched The Day After Tomorrow.", None), said(content, at=NOVEMBER), context())
    assert draft.event_date == datetime(2026, 11, 17, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "The release is planned for next Thursday, 2026-11-26.",
        "User saw the dentist yesterday (2026-11-17).",
        "User got the offer last week (week of 2026-11-09).",
        "User started running two weeks ago, around 2026-11-04.",
        "Jonas hat vor drei Jahren (2023) umgeschult.",
        "User moved last month (October 2026).",
        "User feels much better today than last year.",
    ],
)
def test_a_text_with_both_forms_stays_and_is_not_asked_about(text: str) -> None:
    draft = date_draft(event(text, None), said(text.replace("User", "I"), at=NOVEMBER), context())
    assert draft.text == text
    if "than" not in text:
        assert is_dated(draft)
        assert unresolved(draft.text, dated=True) == []


def test_a_differing_date_is_logged_without_the_text(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "memhost.extraction.temporal.dating")
    date_draft(event("User met Bob.", "2026-03-02T00:00:00+00:00"), said("I met Bob yesterday."), context())
    (record,) = caplog.records
    assert record.message == "extraction.date_differs"
    assert record.fields == {"session": "trip-42", "model": "2026-03-02", "rule": "2026-02-28"}  # type: ignore[attr-defined]
    caplog.clear()
    date_draft(event("User met Bob.", "2026-02-28T18:30:00+00:00"), said("I met Bob yesterday."), context())
    assert caplog.records == []


def test_a_relative_text_that_the_source_does_not_say_gets_no_date() -> None:
    draft = date_draft(event("User met Bob yesterday.", None), said("I met Bob on Monday."), context())
    assert draft.event_date is None
    assert draft.metadata == {"said_on": "2026-03-01"}


def test_facts_and_events_of_several_sources_get_no_date() -> None:
    turns = turns_of([message("I met Bob yesterday.", id="m1"), message("It was nice.", id="m2")])
    assert date_draft(event("User met Bob.", None, "m1", "m2"), turns, context()).event_date is None
    fact = Draft(text="User knows Bob.", source_ids=["m1"])
    assert date_draft(fact, turns, context()).event_date is None


def test_of_one_message_alone_no_source_has_to_be_named() -> None:
    draft = Draft(text="User met Bob.", memory_type=MemoryType.EPISODIC)
    assert date_draft(draft, said("I met Bob yesterday."), context()).event_date == datetime(2026, 2, 28, tzinfo=UTC)


def test_a_precision_goes_with_its_date() -> None:
    draft = Draft(text="User was in Oslo.", event_precision="month", source_ids=["m1"])
    assert date_draft(draft, said("I was in Oslo."), context()).event_precision is None


def test_text_from_several_days_gets_no_date() -> None:
    turns = turns_of([message("I ran yesterday.", id="m1"), message("b", id="m2", at="2026-02-20T09:00:00+00:00")])
    assert date_draft(event("User ran yesterday.", None, "m1", "m2"), turns, context()).event_date is None
    assert date_draft(event("User ran yesterday.", None, "m1"), turns, context()).event_date is not None


@given(st.text() | st.sampled_from([text for _, text, _ in GOLDEN]), st.dates())
def test_any_text_and_day(text: str, today: date) -> None:
    for each in find_relative(text, today):
        assert text[each.start : each.end] == each.text
    assert replace_relative(text, today) == text
