"""How languages say when, relative to the day of speaking."""

from __future__ import annotations

from typing import Literal

import msgspec

from memhost.extraction.languages import Language

Unit = Literal["day", "week", "weekend", "month", "year"]


class CalendarWords(msgspec.Struct, frozen=True, kw_only=True):
    """The words of one language.

    Patterns are regular expressions in which `{n}`, `{unit}` and `{weekday}` stand for those words.

    Attributes:
        days: Words for days, with how many days they lie ahead.
        weekdays: From Monday on, the spellings of each.
        numbers: Number words.
        units: Words for units.
        ago, ahead: So many units before or after today.
        last_unit, this_unit, next_unit: The week, weekend, month, year before, around and after today.
        last_weekday: The latest day of that name before today.
        coming_weekday: The first after today.
        this_weekday: Today or a later one of this week; no date if it has passed.
        next_weekday: The first after today where it lies in the next week; else nobody can tell.
        vague: Expressions that no date can be told for.
        prepositions: Words that take a date after them without a further one.
        wording: How a date is put: on a day, in a month, in a year, in a week, around a day, on a weekend.
    """

    days: dict[str, int]
    weekdays: tuple[str, ...]
    numbers: dict[str, int]
    units: dict[str, Unit]
    ago: tuple[str, ...]
    ahead: tuple[str, ...]
    last_unit: tuple[str, ...]
    this_unit: tuple[str, ...]
    next_unit: tuple[str, ...]
    last_weekday: tuple[str, ...]
    coming_weekday: tuple[str, ...]
    this_weekday: tuple[str, ...]
    next_weekday: tuple[str, ...]
    vague: tuple[str, ...]
    prepositions: frozenset[str]
    wording: dict[str, tuple[str, str]]


def _numbers(words: str) -> dict[str, int]:
    return {word: number for number, group in enumerate(words.split(), 1) for word in group.split("|")}


ENGLISH = CalendarWords(
    days={
        "(?:the )?day before yesterday": -2,
        "yesterday (?:morning|afternoon|evening|night)": -1,
        "yesterday": -1,
        "last night": -1,
        "(?:earlier|later) today": 0,
        "today": 0,
        "tonight": 0,
        "this (?:morning|afternoon|evening)": 0,
        "(?:the )?day after tomorrow": 2,
        "tomorrow (?:morning|afternoon|evening|night)": 1,
        "tomorrow": 1,
    },
    weekdays=(
        "monday|mon",
        "tuesday|tues?",
        "wednesday|wed",
        "thursday|thurs?",
        "friday|fri",
        "saturday|sat",
        "sunday|sun",
    ),
    numbers={
        **_numbers("one|a|an two three four five six seven eight nine ten eleven twelve"),
        "a couple of": 2,
        "a couple": 2,
    },
    units={"days?": "day", "weeks?": "week", "weekends?": "weekend", "months?": "month", "years?": "year"},
    ago=("{n} {unit} ago",),
    ahead=("in {n} {unit}(?:'s?|’s?)?(?: time)?", "{n} {unit} from (?:now|today)"),
    last_unit=("(?:last|this past|the past|the previous) {unit}",),
    this_unit=("this {unit}",),
    next_unit=("next {unit}", "the coming {unit}"),
    last_weekday=("(?:on )?last {weekday}", "(?:this )?past {weekday}"),
    coming_weekday=("(?:on )?(?:this |the )?(?:coming|upcoming) {weekday}",),
    this_weekday=("this {weekday}",),
    next_weekday=("(?:on )?next {weekday}",),
    vague=(
        "a few (?:days|weeks|months|years) ago",
        "(?:some|many|several) (?:days|weeks|months|years) ago",
        "in a few (?:days|weeks|months|years)",
        "the other day",
        "recently",
        "(?:just|right) now",
    ),
    prepositions=frozenset("since until till by from for on before after of in through to at".split()),  # noqa: SIM905
    wording={
        "day": ("on ", ""),
        "month": ("in ", ""),
        "year": ("in ", ""),
        "week": ("in the week of ", "the week of "),
        "around": ("around ", "around "),
        "weekend": ("on the weekend of ", "the weekend of "),
    },
)

GERMAN = CalendarWords(
    days={
        "vorgestern": -2,
        "gestern (?:morgen|früh|vormittag|nachmittag|abend|nacht)": -1,
        "gestern": -1,
        "heute (?:morgen|früh|vormittag|nachmittag|abend|nacht)": 0,
        "heute": 0,
        "übermorgen": 2,
        "morgen (?:früh|vormittag|nachmittag|abend)": 1,
        "(?<!guten )(?<!am )(?<!jeden )(?<!diesen )(?<!heute )(?<!gestern )morgen": 1,
    },
    weekdays=("montag", "dienstag", "mittwoch", "donnerstag", "freitag", "samstag|sonnabend", "sonntag"),
    numbers=_numbers("ein|eine|einer|einem|einen zwei drei vier fünf sechs sieben acht neun zehn elf zwölf"),
    units={
        "tag(?:en|e)?": "day",
        "wochenenden?": "weekend",
        "wochen?": "week",
        "monat(?:en|e|s)?": "month",
        "jahr(?:en|e|es|s)?": "year",
    },
    ago=("vor {n} {unit}",),
    ahead=("in {n} {unit}",),
    last_unit=("(?:am |im )?(?:letzte|vergangene|vorige)[nmrs]? {unit}",),
    this_unit=("(?:an |in )?diese[nmrs]? {unit}",),
    next_unit=("(?:am |im )?(?:nächste|kommende)[nmrs]? {unit}",),
    last_weekday=("(?:am )?(?:letzten|vergangenen|vorigen) {weekday}",),
    coming_weekday=("(?:am )?kommenden {weekday}",),
    this_weekday=("(?:an )?diesen {weekday}", "diesem {weekday}"),
    next_weekday=("(?:am )?nächsten {weekday}",),
    vague=(
        "vor (?:ein paar|einigen|wenigen) (?:tagen|wochen|monaten|jahren)",
        "in (?:ein paar|einigen|wenigen) (?:tagen|wochen|monaten|jahren)",
        "neulich",
        "kürzlich",
        "vor kurzem",
    ),
    prepositions=frozenset("seit bis ab vor nach am für von zum".split()),  # noqa: SIM905
    wording={
        "day": ("am ", ""),
        "month": ("im Monat ", ""),
        "year": ("im Jahr ", ""),
        "week": ("in der Woche ab ", "der Woche ab "),
        "around": ("um den ", "etwa "),
        "weekend": ("am Wochenende ab ", "dem Wochenende ab "),
    },
)

FRENCH = CalendarWords(
    days={
        "avant-hier": -2,
        "hier (?:matin|soir|après-midi)": -1,
        "hier": -1,
        "aujourd['’]hui": 0,
        "ce (?:matin|soir)": 0,
        "cet après-midi": 0,
        "après-demain": 2,
        "demain (?:matin|soir|après-midi)": 1,
        "demain": 1,
    },
    weekdays=("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"),
    numbers=_numbers("un|une deux trois quatre cinq six sept huit neuf dix onze douze"),
    units={"jours?": "day", "semaines?": "week", "week-ends?": "weekend", "mois": "month", "ans?|années?": "year"},
    ago=("il y a {n} {unit}",),
    ahead=("dans {n} {unit}",),
    last_unit=("(?:la |le |l['’]|au )?{unit} (?:derni(?:er|ère)|passée?)",),
    this_unit=("ce(?:tte|t)? {unit}",),
    next_unit=("(?:la |le |l['’]|au )?{unit} prochaine?",),
    last_weekday=("{weekday} (?:dernier|passé)",),
    coming_weekday=("ce {weekday} à venir",),
    this_weekday=("ce {weekday}",),
    next_weekday=("{weekday} prochain",),
    vague=(
        "il y a quelques (?:jours|semaines|mois|ans|années)",
        "dans quelques (?:jours|semaines|mois|ans)",
        "récemment",
    ),
    prepositions=frozenset("depuis jusqu'à dès avant après pour d'ici".split()),  # noqa: SIM905
    wording={
        "day": ("le ", "le "),
        "month": ("en ", ""),
        "year": ("en ", ""),
        "week": ("la semaine du ", "la semaine du "),
        "around": ("vers le ", "environ le "),
        "weekend": ("le week-end du ", "le week-end du "),
    },
)

SPANISH = CalendarWords(
    days={
        "anteayer|antes de ayer": -2,
        "ayer por la (?:mañana|tarde|noche)": -1,
        "ayer": -1,
        "anoche": -1,
        "hoy": 0,
        "esta (?:mañana|tarde|noche)": 0,
        "pasado mañana": 2,
        "mañana por la (?:mañana|tarde|noche)": 1,
        "(?<!la )(?<!esta )(?<!cada )(?<!pasado )mañana": 1,
    },
    weekdays=("lunes", "martes", "miércoles|miercoles", "jueves", "viernes", "sábado|sabado", "domingo"),
    numbers=_numbers("un|una dos tres cuatro cinco seis siete ocho nueve diez once doce"),
    units={
        "días?|dias?": "day",
        "semanas?": "week",
        "fin de semana": "weekend",
        "mes(?:es)?": "month",
        "años?": "year",
    },
    ago=("hace {n} {unit}",),
    ahead=("(?:dentro de|en) {n} {unit}",),
    last_unit=("(?:la |el )?{unit} pasad[oa]", "(?:la |el )(?:últim|pasad)[oa] {unit}"),
    this_unit=("est[ea] {unit}",),
    next_unit=("(?:la |el )?{unit} que viene", "(?:la |el )?próxim[oa] {unit}", "(?:la |el )?{unit} próxim[oa]"),
    last_weekday=("(?:el )?{weekday} pasado", "(?:el )?pasado {weekday}"),
    coming_weekday=("(?:el )?{weekday} que viene",),
    this_weekday=("este {weekday}",),
    next_weekday=("(?:el )?próximo {weekday}",),
    vague=("hace (?:unos|unas|algunos|algunas) (?:días|semanas|meses|años)", "recientemente", "hace poco"),
    prepositions=frozenset("desde hasta para antes después de".split()),  # noqa: SIM905
    wording={
        "day": ("el ", "el "),
        "month": ("en ", ""),
        "year": ("en ", ""),
        "week": ("en la semana del ", "la semana del "),
        "around": ("hacia el ", "hacia el "),
        "weekend": ("el fin de semana del ", "el fin de semana del "),
    },
)

WORDS: dict[Language, CalendarWords] = {"en": ENGLISH, "de": GERMAN, "fr": FRENCH, "es": SPANISH}
