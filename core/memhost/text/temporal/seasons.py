"""Quarters and seasons that a question names: `Q3 2025`, `last summer`, `im Frühjahr 2024`, `2024年夏天`.

Seasons are the meteorological ones of the north: spring begins on 1 March. What names neither a year nor its distance
from now (`in summer`) is no time: it comes each year.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from functools import cache
from typing import NamedTuple

from memhost.text.matching.literals import Screened
from memhost.text.temporal.written import likely_languages
from memhost.text.unicode_forms import fold

_YEAR = r"(?P<year>(?:19|20)\d\d)"
_HAN = r"(?:[天季]|(?![\u4e00-\u9fff])|(?=[我你您他她它咱去在的和是有休]))"
"""Signs behind that of a season that leave it one: names of festivals and places go on with others."""
_ETE = r"(?<!\ba )(?<!ai )(?<!as )(?<!ont )(?<!ait )(?<!ons )(?<!vez )(?<!ent )ete"
"""Not the participle: `a été`, `avait été`."""
_FALL = r"fall(?! in\b| (?:apart|asleep|behind|down|flat|ill|off|short|through|under)\b)"
_SEASONS = (
    rf"springtime|spring(?! (?:onions?|rolls?)\b)|fruhling|fruhjahr|printemps|primavera|lente|voorjaar"
    rf"|весн(?:а|ой|ы|у|ою)|春{_HAN}",
    rf"summertime|summer|sommer|{_ETE}|verano|(?<!real )estate|verao|zomer|лет(?:о|ом|а|у)|夏{_HAN}",
    rf"autumn|{_FALL}|herbst|automne|otono|autunno|outono|herfst|осен(?:ь|ью|и)|秋{_HAN}",
    rf"wintertime|winter(?! (?:olympic|paralympic))|hiver|invierno|inverno|зим(?:а|ой|ы|у|ою)|冬{_HAN}",
)
_SEASON = "(?:" + "|".join(f"(?P<s{number}>{names})" for number, names in enumerate(_SEASONS)) + ")"
_ORDINALS = (
    r"first|1st|erste[sn]?|1\.|premier|1er|primer|primo|primeiro|eerste|перв(?:ый|ом)|第一|1",
    r"second|2nd|zweite[sn]?|2\.|deuxieme|2e|segundo|secondo|tweede|втор(?:ой|ом)|第二|2",
    r"third|3rd|dritte[sn]?|3\.|troisieme|3e|tercer|terzo|terceiro|derde|трет(?:ий|ьем)|第三|3",
    r"fourth|last|4th|vierte[sn]?|4\.|quatrieme|4e|cuarto|quarto|vierde|четв[её]рт(?:ый|ом)|第四|4",
)
_ORDINAL = "(?:" + "|".join(f"(?P<o{number}>{names})" for number, names in enumerate(_ORDINALS)) + ")"
_UNIT = (
    r"(?:quarter(?![ -](?:final|horse|mile|note|pound))|quartal|trimestre|trimestr|kwartaal|квартал(?:е)?|季度|四半期)"
)
_OF = r"(?:,| of| de[l]?| di| do| des jahres| van| in| года?|/| -)?\s?"
_LAST = (
    r"last|past|previous|letzte[rnms]?|vergangene[rnms]?|vorige[rnms]?|vorig|afgelopen"
    r"|прошл(?:ый|ым|ой|ого|ом|ое|ую)|上个?|去年[的の]?"
)
_THIS = r"this|current|diese[rnms]?|deze|dit|ce|cet|cette|est[ea]|quest[ao']|эт(?:им|ой|ого|ом|от)|今年[的の]?|这个?|本"
_NEXT = r"next|coming|nachste[rnms]?|kommende[rnms]?|volgende?|следующ(?:им|ей|его|ем|ий)|明年的?|来年の|下个?"
_RELATIVE = f"(?:(?P<last>{_LAST})|(?P<this>{_THIS})|(?P<next>{_NEXT}))"
_LAST_BEHIND = r"dernier|derniere|pasad[oa]|scors[oa]|passad[oa]"
_NEXT_BEHIND = r"prochain|prochaine|que viene|proxim[oa]|prossim[oa]|que vem"
_BEHIND = f"(?:(?P<last>{_LAST_BEHIND})|(?P<next>{_NEXT_BEHIND}))"
_B, _E = r"(?<![^\W\u3040-\u9fff])", r"(?![^\W\u3040-\u9fff])"
_Q = r"(?<!audi )(?<!keychron )(?<!vw )[qtк](?P<q>[1-4])"
_PATTERNS = (
    rf"{_B}{_SEASON}{_OF}{_YEAR}{_E}",
    rf"{_B}{_YEAR}(?:\s?年の?|'s|\s)?\s?{_SEASON}{_E}",
    rf"{_B}{_RELATIVE}\s?{_SEASON}{_E}",
    rf"{_B}{_SEASON} {_BEHIND}{_E}",
    rf"{_B}{_Q}{_OF}{_YEAR}{_E}",
    rf"{_B}{_YEAR}[ /-]?{_Q}{_E}",
    rf"{_B}{_ORDINAL}\s?{_UNIT}{_OF}{_YEAR}{_E}",
    rf"{_B}{_YEAR}\s?年の?\s?{_ORDINAL}\s?{_UNIT}{_E}",
    rf"{_B}{_RELATIVE}\s?(?P<unit>{_UNIT}){_E}",
    rf"{_B}(?P<unit>{_UNIT}) {_BEHIND}{_E}",
)
_HOMONYMS = {
    "fall": ("en", {"da", "de", "nb", "sv"}, "last past previous this current next coming"),
    "lente": ("nl", {"es", "it", "pt"}, "vorige vorig afgelopen deze volgend volgende"),
    "estate": ("it", {"en"}, "questa quest' scorsa prossima"),
}
"""Seasons of one language that are something else in others (`in diesem Fall`), and the words beside them there."""
_LONGEST = 2_000


class Season(NamedTuple):
    """A quarter or season: where it stands in the folded text, its first day and the day after its last."""

    at: int
    behind: int
    start: date
    end: date


def find_seasons(text: str, today: date | None) -> list[Season]:
    """Return the quarters and seasons of a text in order, without overlaps.

    Args:
        text: Any text; what stands behind its first 2,000 characters is not read.
        today: What `last summer` is relative to; None: nothing is.
    """
    folded = fold(text[:_LONGEST])
    found: list[Season] = []
    for pattern in _patterns():
        for match in pattern.compiled.finditer(folded) if pattern.may_match(folded) else ():
            at, behind = match.span()
            if any(at < each.behind and each.at < behind for each in found) or _is_homonym(match, text):
                continue
            found += (Season(at, behind, start, end) for start, end in _days(match, today))
    return sorted(found)


@cache
def _patterns() -> tuple[Screened, ...]:
    plain = [pattern.replace("й", "и").replace("ё", "е") for pattern in _PATTERNS]  # as `fold` has them
    return tuple(Screened(pattern, optional=True) for pattern in plain)


def _is_homonym(match: re.Match[str], text: str) -> bool:
    """Tell whether the season is a word of another language here: by the word beside it, else by the text."""
    groups = match.groupdict()
    season = next((name for number in range(4) if (name := groups.get(f"s{number}"))), "")
    if season not in _HOMONYMS:
        return False
    own, others, beside = _HOMONYMS[season]
    relative = groups.get("last") or groups.get("this") or groups.get("next")
    if relative:
        return relative not in beside.split()
    languages = likely_languages(text)
    return own not in languages and not others.isdisjoint(languages)


def _days(match: re.Match[str], today: date | None) -> Iterator[tuple[date, date]]:
    groups = match.groupdict()
    first = _first_month(groups)
    if groups.get("year"):
        yield _three_months(int(groups["year"]), first or 1)
    elif today is not None and first is not None:
        yield _three_months(_year_of(groups, first, today), first)
    elif today is not None:
        number = today.year * 4 + (today.month - 1) // 3 + _step(groups)
        yield _three_months(number // 4, number % 4 * 3 + 1)


def _first_month(groups: dict[str, str | None]) -> int | None:
    """The month in which it begins; None for a quarter that is told by its distance from now."""
    season = next((number for number in range(4) if groups.get(f"s{number}")), None)
    if season is not None:
        return 3 * season + 3
    quarter = next((number for number in range(4) if groups.get(f"o{number}")), None)
    if groups.get("q"):
        quarter = int(groups["q"] or 1) - 1
    return None if quarter is None else 3 * quarter + 1


def _step(groups: dict[str, str | None]) -> int:
    return -1 if groups.get("last") else 1 if groups.get("next") else 0


def _year_of(groups: dict[str, str | None], first: int, today: date) -> int:
    """The year in which the last, this or next season of a kind began: the last one has ended."""
    last = groups.get("last") or ""
    if last.startswith("去年"):
        return today.year - 1
    if last:
        years = (today.year, today.year - 1, today.year - 2)
        return next(year for year in years if _three_months(year, first)[1] <= today)
    if groups.get("next"):
        return today.year + (date(today.year, first, 1) <= today)
    return today.year - (first == 12 and today.month < 3)


def _three_months(year: int, first: int) -> tuple[date, date]:
    behind = first + 3
    return date(year, first, 1), date(year + (behind > 12), (behind - 1) % 12 + 1, 1)
