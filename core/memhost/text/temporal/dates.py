"""Relative dates, computed from the day on which they were said."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from datetime import date, timedelta
from functools import lru_cache, partial
from typing import Literal

import msgspec

from memhost.text.matching.literals import Screened, small
from memhost.text.temporal.calendar_words import WORDS, CalendarWords, Unit
from memhost.text.temporal.languages import Language, languages_of

Precision = Literal["day", "week", "weekend", "month", "year", "around"]


class Period(msgspec.Struct, frozen=True):
    """A date as exact as it was said: `value` covers the days from `first` to `last`."""

    value: date
    first: date
    last: date
    precision: Precision


class Relative(msgspec.Struct, frozen=True, kw_only=True):
    """A relative expression of a text: its position and its meaning (None if it is ambiguous)."""

    start: int
    end: int
    text: str
    period: Period | None


_AFTER = re.compile(r"\s+(?:of|by|de|du|del|des|di|do|da|von)\b|(?:\s|,)*\b(?:or|oder|ou|o|или)\s", re.IGNORECASE)
_BEFORE = re.compile(
    r"(?:\b(?:every|each|any|jede[nrs]?|chaque|cada|ogni|tou[ts]e?s?\s(?:les|la|le)|tod[oa]s?(?:\s[oa]s)?|tutt[ie]\s[ilge]+"
    r"|кажд(?:ый|ую|ое|ые))\s+(?:the\s)?|[每毎]|\b(?:or|oder|ou|или)\s)$",
    re.IGNORECASE,
)
"""Words that turn a relative date into a recurring one, or into a part of something: `every last Friday of the
month`."""

QUOTED = re.compile(
    r"\"[^\"]*\"|“[^“”]*”|«[^«»]*»|„[^„“”]*[“”]|‘[^‘’\n]*’(?!\w)|(?<!\w)'[^']*'(?!\w)|`[^`]*`"
    r"|「[^「」]*」|『[^『』]*』|《[^《》]*》|〈[^〈〉]*〉|【[^【】]*】|\*[^*\s][^*\n]*\*"
)
"""Quoted parts and titles: what they say is not said of anybody here."""

ABSOLUTE = re.compile(
    r"\b(?:19|20)\d\d\b|\b\d{1,2}[./]\d{1,2}\b|\b\d{1,2}(?:st|nd|rd|th)\b|\d{1,2}[月日号]|[周曜]\s?[一二三四五六天]"
    r"|[月火水木金土日]曜|"
    r"\b(?:jan(?:uary|uar|vier)?|feb(?:ruary|ruar)?|février|march|märz|mars|marzo|april|avril|abril|may|mai|mayo|june?|juin"
    r"|juni|junio|july?|juillet|juli|julio|aug(?:ust)?|août|agosto|sept(?:ember|embre|iembre)?|oct(?:ober|obre|ubre)?"
    r"|okt(?:ober)?|nov(?:ember|embre|iembre)?|dec(?:ember)?|dez(?:ember)?|décembre|diciembre|enero|febrero|gennaio"
    r"|febbraio|aprile|maggio|giugno|luglio|settembre|ottobre|dicembre|janeiro|fevereiro|março|maio|junho|julho|setembro"
    r"|outubro|novembro|dezembro|январ\w|феврал\w|марта?|апрел\w|мая|июн\w|июл\w|августа?|сентябр\w|октябр\w|ноябр\w"
    r"|декабр\w|(?:mon|tues|wednes|thurs|fri|satur|sun)day|montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag"
    r"|lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche|lunes|martes|miércoles|jueves|viernes|sábado|domingo|lunedì"
    r"|martedì|mercoledì|giovedì|venerdì|sabato|domenica|segunda-feira|terça-feira|quarta-feira|quinta-feira|sexta-feira"
    r"|понедельник|вторник|сред[ау]|четверг|пятниц[ау]|суббот[ау]|воскресенье)\b",
    re.IGNORECASE,
)
"""Dates, months and weekdays."""

_OWN_NAMES = frozenset(("I", "I'm", "I’m", "I've", "I’ve", "I'd", "I’d", "I'll", "I’ll", "User", "User's", "We"))
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_NEXT_WORD = re.compile(r"[,\s]*([^\W\d_]+(?:['’][^\W\d_]+)*)")
_CLAUSE_END = re.compile(r"[,.;:!?](?:\s|$)")
_MAX_UNITS = 200

_Solve = Callable[[re.Match[str], date], "Period | Literal['none'] | None"]
"""The period of a match; None if it is ambiguous, `none` if it is no date at all."""


def find_relative(text: str, today: date, language: Language | None = None) -> list[Relative]:
    """The relative expressions of a text, in order, without overlaps.

    Left out is what only looks like one: in quotes and titles (`The Day After Tomorrow`), rates and durations (`twice
    in two weeks`, `done in five days`), what recurs (`every last Friday`).

    Args:
        text: What was said.
        today: The day on which it was said, on the speaker's calendar.
        language: Its language; None: the text tells.
    """
    return _found(text, today)[1] if language is None else _in_language(text, today, language)


def replace_relative(text: str, today: date) -> str:
    """The text as it is. It once put dates into texts; patterns cannot do that without changing what was said."""
    return text


def said_date(text: str, today: date) -> Period | None:
    """When the text says that something happens, by its one relative expression.

    None if there is none, several, or another date beside it, or if it bounds, compares or belongs to something (`since
    last week`, `than yesterday`, `today's soup`).
    """
    words, found = _found(text, today)
    if len(found) != 1:
        return None
    (only,) = found
    if _OWNS.match(text, only.end) or ABSOLUTE.search(text[: only.start] + " " + text[only.end :]):
        return None
    if words.behind and re.match(words.behind, text[only.end : only.end + 10]):
        return None
    if words.habits and _is_habit(text, only, words):
        return None
    before = _in_front(text, only.start).split()
    if words.spaced:
        bound = bool(before) and before[-1].lower().strip("(") in words.bounds
    else:
        bound = any(text[: only.start].endswith(word) for word in words.bounds)
    return None if bound else only.period


def _is_habit(text: str, only: Relative, words: CalendarWords) -> bool:
    """Tell whether the clause around the expression speaks of something recurring: then it dates no single event."""
    before = _CLAUSE_END.split(_in_front(text, only.start))[-1]
    behind = _CLAUSE_END.split(text[only.end : only.end + 80])[0]
    edge = r"\b" if words.spaced else ""
    return any(re.search(rf"{edge}(?:{words.habits}){edge}", part, re.IGNORECASE) for part in (before, behind))


_OWNS = re.compile(r"['’-]\w|的(?!早|上午|中午|下午|晚|夜)|の(?!朝|昼|夜|晩|午|夕)")


def _found(text: str, today: date) -> tuple[CalendarWords, list[Relative]]:
    """The expressions in the language that finds most, where the text may be in several."""
    found = [(WORDS[language], _in_language(text, today, language)) for language in languages_of(text)]
    return max(found, key=lambda each: len(each[1]), default=(WORDS["en"], []))


def _in_language(text: str, today: date, language: Language) -> list[Relative]:
    found: list[Relative] = []
    quoted = [match.span() for match in QUOTED.finditer(text)]
    shouted = text.isupper()
    read = small(text)
    for pattern, solve in _rules(language):
        for match in pattern.compiled.finditer(text) if pattern.may_match(read) else ():
            start, end = match.span()
            if any(first <= start and end <= last for first, last in quoted):
                continue
            if _AFTER.match(text, end) or _BEFORE.search(_in_front(text, start)):
                continue
            if match.re.groupindex.get("n") and _is_part(text, match, language):
                continue
            if not shouted and _is_name(text, match, language):
                continue
            try:
                period = solve(match, today)
            except (OverflowError, ValueError):
                period = None
            if period != "none":
                found.append(Relative(start=start, end=end, text=match[0], period=period))
    found.sort(key=lambda each: (each.start, -each.end))
    kept: list[Relative] = []
    for each in found:
        if not kept or each.start >= kept[-1].end:
            kept.append(each)
    return kept


def _is_part(text: str, match: re.Match[str], language: Language) -> bool:
    """Tell whether the number is a part of a larger or finer one: `2.5 years ago`, `twenty two years ago`."""
    before, behind = _amounts(language)
    front = _in_front(text, match.start())
    counted = not match["n"] and _WORD.search(front[front.rstrip().rfind(" ") + 1 :])
    if counted and counted[0].lower() in WORDS[language].numbers:
        return True
    return before.search(front) is not None or behind.match(text, match.end()) is not None


@lru_cache(maxsize=16)
def _amounts(language: Language) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Patterns of what makes more of an amount: in front of it, and behind."""
    words = WORDS[language]
    number, unit = _any([*words.numbers, r"\d+"]), _any(words.units)
    if not words.spaced:
        return re.compile(rf"(?:[\d.,．半百千万]|{number}|(?:{number})(?:{unit})零?)$"), re.compile(r"(?!)")
    before = rf"(?:\d[.,]|[½¼¾]\s?|(?<!\w)(?:{_MORE})\s|(?<!\w)(?:{number})\s(?:{unit}),?\s(?:{_AND})\s)$"
    behind = rf"\s(?:{_AND})\s(?:medi[oa]|mei[oa]|demie?|(?:{number})\s(?:{unit}))(?!\w)"
    return re.compile(before, re.IGNORECASE), re.compile(behind, re.IGNORECASE)


_AND = "and|und|et|y|e|и"
_MORE = (
    "half(?: of)?|(?:hundred|thousand)(?: and)?|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
    "|mezz[oa]|medi[oa]|mei[oa]|(?:vinte|trinta|quarenta|cinquenta|sessenta|setenta|oitenta|noventa|cento) e"
    "|двадцать|тридцать|сорок|(?:пять|шесть|семь|восемь)десят|девяносто|сто"
)
"""Words in front of an amount that make it another one."""


def _begins_sentence(before: str) -> bool:
    """Tell whether a sentence begins after this text."""
    bare = before.rstrip()
    if not bare or "\n" in before[len(bare) :] or bare[-1] in ".!?…:;([–—-":
        return True
    return bare[-1] in "'\"”’)" and bare[-2:-1] in (".", "!", "?")


def _is_name(text: str, match: re.Match[str], language: Language) -> bool:
    """Tell whether capitals show that the words are a part of a name or a title.

    Inside a sentence relative words have none but weekdays (and nouns in German); where a sentence begins, a lone word
    before another with a capital may be either, and then nothing is done.
    """
    words = _WORD.findall(match[0])
    weekday = match.re.groupindex.get("weekday") and match["weekday"]
    plain = [word for word in words if word != weekday]
    if not plain or not plain[0][0].isalpha():
        return False
    begins = _begins_sentence(_in_front(text, match.start()))
    if plain[0][0].isupper() and not begins and words[0] == plain[0]:
        return True
    if language != "de" and any(word[0].isupper() for word in plain[1:]):
        return True
    follows = _NEXT_WORD.match(text, match.end())
    if begins and len(words) == 1 and plain[0][0].isupper() and follows is not None:
        return follows[1][0].isupper() and follows[1] not in _OWN_NAMES and len(follows[1]) > 1
    # A title goes on with capitals behind it, whatever the words themselves look like.
    return False


@lru_cache(maxsize=16)
def _rules(language: Language) -> list[tuple[Screened, _Solve]]:
    words = WORDS[language]
    parts = {
        "n": "(?P<n>" + _any([*sorted(words.numbers, key=len, reverse=True), r"\d{1,4}"]) + ")",
        "unit": "(?P<unit>" + _any(words.units) + ")",
        "weekday": "(?P<weekday>" + _any(words.weekdays) + ")",
    }
    solvers: list[tuple[tuple[str, ...], _Solve]] = [
        (words.to_the_day, lambda match, today: _to_the_day(match, today, words)),
        (words.ago, lambda match, today: _shifted(match, today, words, -1)),
        (words.ahead, lambda match, today: _shifted(match, today, words, 1)),
        (words.last_unit, lambda match, today: _calendar_unit(_unit(match, words), today, -1)),
        (words.this_unit, lambda match, today: _calendar_unit(_unit(match, words), today, 0)),
        (words.next_unit, lambda match, today: _calendar_unit(_unit(match, words), today, 1)),
        (
            words.last_weekday,
            lambda match, today: _day(today - timedelta((today.weekday() - _named(match, words) - 1) % 7 + 1)),
        ),
        (words.coming_weekday, lambda match, today: _day(_coming(_named(match, words), today))),
        (words.this_weekday, lambda match, today: _this_weekday(_named(match, words), today)),
        (words.next_weekday, lambda match, today: _next_weekday(_named(match, words), today)),
        (words.vague, lambda match, today: None),
    ]
    rules: list[tuple[Screened, _Solve]] = [
        (_compiled(word, words), partial(_days_ahead, ahead)) for word, ahead in words.days.items()
    ]
    for patterns, solve in solvers:
        rules += [(_compiled(pattern.format_map(_Parts(parts)), words), solve) for pattern in patterns]
    return rules


class _Parts(dict[str, str]):
    """Leaves braces of regular expressions alone."""

    def __missing__(self, key: str) -> str:
        return "{" + key + "}"


def _any(words: object) -> str:
    assert isinstance(words, (list, tuple, dict))
    return "|".join(f"(?:{word})" for word in words)


def _compiled(pattern: str, words: CalendarWords) -> Screened:
    """The pattern, tried only on texts with its letters of ASCII: most texts name no time."""
    whole = rf"(?<![\w-])(?:{pattern})(?!\w)" if words.spaced else f"(?:{pattern})"
    return Screened(whole.replace(" ", r"\s"), re.IGNORECASE, optional=True)


def _in_front(text: str, start: int) -> str:
    """The last words in front of a place."""
    return text[max(0, start - 80) : start]


def _unit(match: re.Match[str], words: CalendarWords) -> Unit:
    said = match["unit"]
    return next(unit for word, unit in words.units.items() if re.fullmatch(word, said, re.IGNORECASE))


def _named(match: re.Match[str], words: CalendarWords) -> int:
    said = match["weekday"]
    return next(day for day, word in enumerate(words.weekdays) if re.fullmatch(word, said, re.IGNORECASE))


def _number(match: re.Match[str], words: CalendarWords) -> int:
    """The number of units; one where none is said."""
    said = " ".join((match["n"] or "").lower().split())
    return 1 if not said else int(said) if said.isdigit() else words.numbers[said]


def _shifted(match: re.Match[str], today: date, words: CalendarWords, sign: int) -> Period | Literal["none"] | None:
    number = _number(match, words)
    if number > _MAX_UNITS or (sign > 0 and _is_lasting(match, words)):
        return "none"
    unit = _unit(match, words)
    if unit == "day":
        return _day(today + timedelta(sign * number))
    if unit == "week":
        value = today + timedelta(7 * sign * number)
        return Period(value, value - timedelta(3), value + timedelta(3), "around")
    if unit == "month":
        whole = _month(months_later(today, sign * number))
        return Period(months_later(today, sign * number), whole.first, whole.last, "month")
    if unit == "year":
        value = months_later(today, 12 * sign * number)
        return Period(value, date(value.year, 1, 1), date(value.year, 12, 31), "year")
    return None


def _to_the_day(match: re.Match[str], today: date, words: CalendarWords) -> Period | Literal["none"] | None:
    """So many units ago today: that very day."""
    period = _shifted(match, today, words, -1)
    return _day(period.value) if isinstance(period, Period) else period


def _is_lasting(match: re.Match[str], words: CalendarWords) -> bool:
    """Tell whether `in two weeks` is a duration or a rate, by the clause around it."""
    before = _CLAUSE_END.split(_in_front(match.string, match.start()))[-1]
    behind = _CLAUSE_END.split(match.string[match.end() : match.end() + 80])[0]
    pattern = rf"\b(?:{words.lasting})\b"
    return bool(words.lasting) and re.search(pattern, f"{before} | {behind}", re.IGNORECASE) is not None


def whole_unit(unit: Unit, today: date, shift: int) -> Period | None:
    """The calendar's week, weekend, month or year so many behind the one of today; None for days and where unclear."""
    period = _calendar_unit(unit, today, shift)
    return period if isinstance(period, Period) else None


def _calendar_unit(unit: Unit, today: date, shift: int) -> Period | Literal["none"] | None:
    if unit == "week":
        first = today - timedelta(today.weekday()) + timedelta(7 * shift)
        return Period(first, first, first + timedelta(6), "week")
    if unit == "weekend":
        return _weekend(today, shift)
    if unit == "month":
        return _month(months_later(today.replace(day=1), shift))
    if unit == "year":
        return Period(
            date(today.year + shift, 1, 1), date(today.year + shift, 1, 1), date(today.year + shift, 12, 31), "year"
        )
    return "none"  # the last day of something is not the one before today


def _weekend(today: date, shift: int) -> Period | None:
    saturday = today - timedelta(today.weekday()) + timedelta(5)
    on_it = today >= saturday
    if shift > 0 and not on_it:
        return None
    saturday += timedelta(7 * shift)
    return Period(saturday, saturday, saturday + timedelta(1), "weekend")


def _days_ahead(ahead: int, _match: re.Match[str], today: date) -> Period:
    return _day(today + timedelta(ahead))


def _day(day: date) -> Period:
    return Period(day, day, day, "day")


def _month(day: date) -> Period:
    first = day.replace(day=1)
    return Period(first, first, day.replace(day=calendar.monthrange(day.year, day.month)[1]), "month")


def months_later(day: date, months: int) -> date:
    """The same day of another month, or its last one."""
    index = day.year * 12 + day.month - 1 + months
    year, month = index // 12, index % 12 + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def _coming(weekday: int, today: date) -> date:
    return today + timedelta((weekday - today.weekday() - 1) % 7 + 1)


def _this_weekday(weekday: int, today: date) -> Period | None:
    return _day(today + timedelta(weekday - today.weekday())) if weekday >= today.weekday() else None


def _next_weekday(weekday: int, today: date) -> Period | None:
    """Next Friday, said on a Wednesday, is the day after tomorrow for some and nine days ahead for others."""
    return _day(_coming(weekday, today)) if weekday <= today.weekday() else None
