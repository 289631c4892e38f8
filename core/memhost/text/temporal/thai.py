"""Times in Thai, which puts no blanks between words: written dates, and times relative to the day of speaking.

Years count from Buddha's death, or from Christ's birth.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from memhost.text.temporal.calendar_words import Unit
from memhost.text.unicode_forms import fold

_BUDDHIST = 543
"""Years by which the Buddhist calendar of Thailand is ahead."""
_MONTHS = (
    "มกราคม|ม.ค. กุมภาพันธ์|ก.พ. มีนาคม|มี.ค. เมษายน|เม.ย. พฤษภาคม|พ.ค. มิถุนายน|มิ.ย. กรกฎาคม|ก.ค. สิงหาคม|ส.ค. กันยายน|ก.ย."
    " ตุลาคม|ต.ค. พฤศจิกายน|พ.ย. ธันวาคม|ธ.ค."
)
_NUMBER_WORDS = "หนึ่ง สอง สาม สี่ ห้า หก เจ็ด แปด เก้า สิบ"
_NUMBERS = {fold(word): number for number, word in enumerate(_NUMBER_WORDS.split(), 1)}
_UNIT_WORDS: tuple[tuple[str, Unit], ...] = (
    ("วัน", "day"),
    ("สัปดาห์", "week"),
    ("อาทิตย์", "week"),
    ("เดือน", "month"),
    ("ปี", "year"),
)
_UNITS = {fold(word): unit for word, unit in _UNIT_WORDS}
_DAYS = {fold(w): n for w, n in (("เมื่อวานซืน", -2), ("เมื่อวาน", -1), ("วันนี้", 0), ("พรุ่งนี้", 1), ("มะรืน", 2))}
_BEHIND = {fold(word): n for word, n in (("ที่แล้ว", -1), ("ก่อน", -1), ("ที่ผ่านมา", -1), ("นี้", 0), ("หน้า", 1))}


def _any(words: Iterable[str]) -> str:
    return "|".join(sorted(map(re.escape, words), key=len, reverse=True))


_NAMED = {fold(name): number for number, names in enumerate(_MONTHS.split(), 1) for name in names.split("|")}
_DATE = re.compile(
    r"(?:(?<![\d.,])(?P<d>3[01]|[12]\d|0?[1-9])\s?)?"
    rf"(?P<m>{_any(_NAMED)})(?:\s?(?:{_any(map(fold, ('พ.ศ.', 'ค.ศ.', 'ปี')))})?\s?(?P<y>(?:19|20|24|25)\d\d))?(?!\d)"
)
_AGO = {word for word, number in _BEHIND.items() if number < 0}
_COUNTED = re.compile(
    rf"(?<![\d.,])(?<!{fold('สิบ')})(?P<n>\d{{1,3}}|{_any(_NUMBERS)})\s?(?P<u>{_any(_UNITS)})(?:{_any(_AGO)})"
)
_UNIT = re.compile(
    rf"(?<!{fold('วัน')})(?<![\d])(?<!\d\s)(?P<u>{_any(set(_UNITS) - {fold('วัน')})})(?P<b>{_any(_BEHIND)})"
)
_DAY = re.compile(_any(_DAYS))


class Relative(NamedTuple):
    """A time relative to today: where it stands, the unit, and how many lie ahead; `counted` from today if so."""

    start: int
    end: int
    unit: Unit
    ahead: int
    counted: bool


def relative_times(folded: str) -> Iterator[Relative]:
    """The relative times of a folded text, without overlaps."""
    taken = 0
    found = [
        *(Relative(*m.span(), _UNITS[m["u"]], -_number(m["n"]), True) for m in _COUNTED.finditer(folded)),
        *(Relative(*m.span(), "day", _DAYS[m[0]], True) for m in _DAY.finditer(folded)),
        *(Relative(*m.span(), _UNITS[m["u"]], _BEHIND[m["b"]], False) for m in _UNIT.finditer(folded)),
    ]
    for each in sorted(found, key=lambda one: (one.start, -one.end)):
        if each.start >= taken:
            taken = each.end
            yield each


def _number(said: str) -> int:
    return int(said) if said.isdigit() else _NUMBERS[said]


def written_dates(folded: str) -> Iterator[tuple[int, int, tuple[int, int, int]]]:
    """Start, end, and year, month and day (0 for what is left open) of the dates with a month's name."""
    for match in _DATE.finditer(folded):
        year = int(match["y"] or 0)
        yield *match.span(), (year - _BUDDHIST if year > 2400 else year, _NAMED[match["m"]], int(match["d"] or 0))
