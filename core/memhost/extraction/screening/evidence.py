"""Tells names, numbers and dates of a memory that nothing in front of the model says: it may have made them up.

Precision comes first: whatever may follow from what was said (a translation, a nickname, a sum, a date that is counted)
counts as said. Languages whose words are not known here are left alone.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from difflib import SequenceMatcher
from functools import cached_property
from typing import NamedTuple

import msgspec

from memhost.extraction.screening import known_names
from memhost.extraction.screening.spoken_numbers import LANGUAGES, Number, numbers_in
from memhost.text.temporal.calendar_words import WORDS
from memhost.text.temporal.dates import Period, find_relative
from memhost.text.temporal.languages import Language, common_words, languages_of
from memhost.text.temporal.written import YMD, find_written
from memhost.text.unicode_forms import fold

UNSUPPORTED = "unsupported"
"""Metadata key: names, numbers and dates of a memory that nothing in front of the model says, as written."""

_MOST = 200_000
"""Characters of evidence that are read; with more than that nothing counts as unsupported."""
_NEAR = 10
"""Days: a weekday that was named may be one of those so many days around."""
_FACTORS = (7, 12, 24, 30, 52, 60, 100, 365, 1_000)
"""One unit in another: weeks in days, years in months, hours in minutes, and so on."""
_LEAST = 3
"""Numbers below this say little: one, a pair, both."""

_SPELT_ALIKE = 0.75
"""Ratio of `difflib` from which two words may be spellings of one name."""
_ENOUGH = 20_000
"""Characters that tell the languages of a talk."""
_COMMON_SHARE = 0.25
_WORD = re.compile(r"[^\W\d_]+")
_LATIN = re.compile("[A-Za-z]")
_UKRAINIAN = re.compile("[іїєґІЇЄҐ]")
_CASE = r"A-Za-z\u00c0-\u024f\u0370-\u03ff\u0400-\u052f"
_NAME = re.compile(rf"[{_CASE}][{_CASE}\d_.&/+#]*(?:['’-][{_CASE}\d_]+)*")
_CODE = re.compile(r"(?<![\w-])(?=[a-z]*[A-Z])[A-Za-z]+\d[A-Za-z\d]*(?![\w-])")
_POSSESSIVE = re.compile(r"(?:['’]s?|(?<!\.)\.{1,9})\Z")
_ELIDED = re.compile(r"^[a-zA-Z]{1,5}['’](?=[A-Z\u00c0-\u00de])")
_OPENS = re.compile(r"(?:^|[.!?:;\n(\[\"“„«»‹›*•—–-]|\.\s?['’])\s{0,30}\Z")
_TITLED = re.compile(r"\b(?:Mrs?|Ms|Drs?|Prof|Sra?|Mme|Mlle|M|St|Dott|Ing)\.\s$")
_JOINS = re.compile(r"(?: (?:of|the|de|la|le|les|du|des|del|di|da|do|dos|von|van|der|zu|&) |[ -])")
_APPOSED = re.compile(r",\s")
_LISTED = re.compile(r",\s[A-Z]|,?\s(?:and|und|et|y|e|и)\s")
_FOREIGN = re.compile(r"[\u0370-\u03ff\u0400-\u052f\u0590-\u06ff\u0900-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_LATIN_NAME = re.compile(r"\b[A-Z][a-z]{2,}")
_HAN = re.compile(r"[\u3400-\u9fff]{2,4}")
_KANA_NAME = re.compile(r"[\u30a0-\u30ff]{3,}")
_IS_CALLED = re.compile(r"(?:叫做?|叫作|名前は|名字是)$")
_IS_CALLED = re.compile(r"(?:叫做?|叫作|名前は|名字是)$")
_IS_NAMED_BEFORE = re.compile(r"(?:叫做?|叫作|名前は|名字是|住在|来自|去|到|在|搬到)$")
_IS_NAMED_BEHIND = re.compile(
    r"(?:さん|くん|君|ちゃん|様|氏|という|市|県|区|町|村|駅|大学|社|病院|に住|へ引|に引|出身|で働|先生|女士|小姐"
    r"|の\w{0,6}(?:会社|大学|病院|学校|工場|店|家))"
)
_GERMAN_CUE = re.compile(r"\b(?:hei(?:ß|ss)t|namens|genannt|Frau|Herrn?|Dr\.|Familie)\s+$")
_GERMAN_PLACE = re.compile(r"\b(?:in|aus|nach|bei|von|mit|für|an|um)\s+$")
_TIME = re.compile(
    r"(?<![\d.,])(\d{1,2})(?:[:h](\d\d)(?!\d)|\.\d\d\s?(?:uhr|h|[ap]\.?m)\b|\s?(?:[ap]\.?m\b|uhr\b|h\b|heures?\b|часов|часа|час|時|点|點))"
)
_COUNTED_HAN = re.compile(
    r"(?:年|か月|ヶ月|个月|個月|週|周|日|天|時|点|點|分|円|元|块|人|名|位|泊|歳|岁|個|个|匹|只|隻|本|枚|回|次|台|階|楼|杯|冊|件|万|公里|米|斤)"
)
_BRIEF = 4
"""Words of a talk that is too short to tell its language."""
_VAGUE = re.compile(
    r"\b(?:later|after(?:wards)?|earlier|before|ago|within|from now|sp(?:ä|a)ter|danach|vorher|vor"
    r"|davor|plus tard|apr(?:è|e)s|avant|despu(?:é|e)s|antes|luego|dopo|prima|depois|спустя|после"
    r"|через|назад)\b|後|后|前|以内|christmas|xmas|easter|new year|thanksgiving|halloween|weihnacht"
    r"|ostern|pfingsten|silvester|neujahr|no(?:ë|e)l|p(?:â|a)ques|navidad|semana santa|natale"
    r"|pasqua|natal\b|p(?:á|a)scoa|рождеств|пасх|новый год|春节|中秋|国庆|クリスマス|正月|お盆|連休|春|夏|秋|冬"
    r"|spring|summer|autumn|\bfall\b|winter|fr(?:ü|u)hling|sommer|herbst|printemps|(?:é|e)t(?:é"
    r"|e)\b|automne|hiver|primavera|verano|oto(?:ñ|n)o|invierno|estate|autunno|inverno|ver(?:ã|a)o"
    r"|outono|весн|лет[оау]|осен|зим|birthday|geburtstag|anniversaire|cumplea|quarter|semester"
    r"|trimest",
    re.IGNORECASE,
)
"""Words by which a date may be counted or known that no rule here counts."""


class Said(msgspec.Struct, frozen=True):
    """A text in front of the model, and the local day on which it was said; None where that is not known."""

    text: str
    day: date | None = None


class _Line(NamedTuple):
    """A line's day, the periods that it means, whether it means one that cannot be told, and weekdays that it names."""

    day: date
    periods: tuple[Period, ...]
    open: bool
    weekdays: frozenset[int]


class Evidence:
    """All that the model was shown, to ask whether a memory follows from it.

    Args:
        said: The lines of the conversation.
        known: Other texts that it was shown: summary, names, known memories, guidance.
        today: The local day of the extraction.
    """

    def __init__(self, said: Sequence[Said], known: Iterable[str], today: date) -> None:
        self._said = said
        self._today = today
        self._days = {each.day for each in said if each.day is not None} or {today}
        self._text = "\n".join([*(each.text for each in said), *known])
        self._talk = "\n".join(each.text for each in said)
        self._readable = len(self._text) <= _MOST
        if not self._readable:
            return
        self._alike: dict[str, bool] = {}
        self._folded = fold(self._text)
        self._squashed = re.sub(r"[\W_]", "", self._folded)
        self._words = frozenset(_WORD.findall(self._folded))
        self._named = frozenset(
            fold(_bare(word[0]))
            for word in _NAME.finditer(self._talk)
            if word[0][0].isupper() and not _OPENS.search(self._talk[max(0, word.start() - 3) : word.start()])
        )
        numbers = _numbers(self._folded)
        parts = numbers & {0.25, 0.5, 0.75}
        self._numbers = numbers | {whole + part for whole in numbers | {1} for part in parts}
        self._languages = languages_of(self._talk[:_ENOUGH])
        self._known_language = _is_known_language(self._talk[:_ENOUGH], self._languages)
        self._listed = 1 + len(re.findall(r"[,、，;]|\b(?:and|und|et|y|e|и|plus)\b|&", self._folded))

    def missing(self, text: str, entities: Sequence[str] = ()) -> list[str]:
        """The names, numbers and dates of a text that nothing shown can mean, as written, each once.

        Args:
            text: A memory.
            entities: Names in it, as the model lists them.
        """
        if not self._readable:
            return []
        dates = [each for each in find_written(text) if not each.alone]
        found = [*self._missing_names(text, entities)]
        if self._known_language:
            folded = fold(text)
            found += [folded[each.start : each.end] for each in dates if not self._may_be(each.date, each.other)]
            found += self._missing_numbers(text, folded, [(each.start, each.end) for each in dates])
        return list(dict.fromkeys(found))

    # -- names ----------------------------------------------------------------------------------------------------

    def _missing_names(self, text: str, entities: Sequence[str]) -> Iterator[str]:
        yield from self._missing_signs(text, entities)
        languages = languages_of(text)
        listed = {fold(word) for entity in entities for word in _NAME.findall(entity)}
        german = "de" in (languages if len(languages) == 1 else self._languages) or "ß" in text
        before: tuple[int, bool] = (-1, False)
        marked: list[tuple[int, int]] = []
        for phrase in _phrases(text):
            first, last = phrase[0], phrase[-1]
            checked = [
                each for each in phrase if self._is_name(text, each, listed, german=german, alone=len(phrase) == 1)
            ]
            supported = not checked or any(self._has_name(each[0], phrase) for each in phrase)
            apposed = before[1] and _APPOSED.match(text, before[0]) and first.start() - before[0] == 2
            apposed = apposed and not _LISTED.match(text, last.end())
            name = text[first.start() : last.end()].rstrip(".")
            if not supported and not apposed and not self._may_be_translated(name, text):
                marked.append((first.start(), last.end()))
                yield name
            before = (last.end(), supported)
        for code in _CODE.finditer(text):
            inside = any(start <= code.start() < end for start, end in marked)
            if not inside and re.sub(r"\W", "", fold(code[0])) not in self._squashed:
                yield code[0]

    def _is_name(self, text: str, token: re.Match[str], listed: set[str], *, german: bool, alone: bool) -> bool:
        """Tell whether a capitalised word is a name for sure."""
        word = _bare(token[0])
        low = fold(word)
        if len(word) < 3 or known_names.COMMON.intersection((low, *low.split("-"))) or _CODE.fullmatch(word):
            return False
        if word.isupper() and len(word) <= 5 and low not in listed:
            return False
        front = _TITLED.sub("", text[max(0, token.start() - 24) : token.start()])
        if german:
            sure = _GERMAN_CUE.search(front) is not None
            return sure or (low in listed and (not alone or _GERMAN_PLACE.search(front) is not None))
        return low in listed or not _OPENS.search(front)

    def _has_name(self, word: str, phrase: Sequence[re.Match[str]]) -> bool:
        short = word.isupper() and 1 < len(word) <= 5
        word = fold(_bare(word))
        bare = re.sub(r"\W", "", word)
        if word in known_names.COMMON:
            return False
        if len(bare) >= 3 and bare in self._squashed:
            return True
        initials = "".join(each[0][0] for each in phrase).casefold()
        if len(initials) > 1 and initials in self._words:
            return True
        if self._is_like_a_word(bare) or (short and bare in self._initials):
            return True
        others = {each for name, group in known_names.NICKNAMES.items() if alike(bare, name) for each in group}
        return any(map(self._is_like_a_word, others))

    def _is_like_a_word(self, name: str) -> bool:
        """Tell whether a folded name may be a form of a word that was said."""
        if (known := self._alike.get(name)) is None:
            known = self._alike[name] = any(alike(name, other) for other in self._words)
        return known

    def _may_be_translated(self, name: str, text: str) -> bool:
        """Tell whether a name may be another form of one that was said: in another script or language."""
        if _FOREIGN.search(self._talk):
            return not _FOREIGN.search(name) or bool(_LATIN_NAME.search(self._talk))
        if _FOREIGN.search(name):
            return True
        here, there = set(languages_of(text)), set(self._languages)
        return bool(there) and not here & there and bool(self._named - known_names.COMMON)

    def _missing_signs(self, text: str, entities: Sequence[str]) -> Iterator[str]:
        """Names in scripts without capitals: those that the model lists and that a word beside them marks as names."""
        if _LATIN_NAME.search(self._talk) and not _FOREIGN.search(self._talk):
            return
        for entity in entities:
            place = text.find(entity)
            signs = _HAN.fullmatch(entity) or _KANA_NAME.fullmatch(entity)
            if place < 0 or signs is None or entity in self._text:
                continue
            front, behind = text[max(0, place - 4) : place], text[place + len(entity) :]
            if not (_IS_NAMED_BEFORE.search(front) or _IS_NAMED_BEHIND.match(behind)):
                continue
            named = _IS_CALLED.search(front) is not None
            if named or 2 * sum(sign in self._text for sign in entity) < len(entity):
                yield entity

    # -- numbers --------------------------------------------------------------------------------------------------

    def _missing_numbers(self, text: str, folded: str, dates: Sequence[tuple[int, int]]) -> Iterator[str]:
        taken = [*dates]
        for match in _TIME.finditer(folded):
            taken.append(match.span())
            if not any(start <= match.start() < end for start, end in dates) and not self._has_hour(int(match[1])):
                yield match[0]
        for number in numbers_in(folded, frozenset(languages_of(text)) & LANGUAGES):
            if any(start < number.end and number.start < end for start, end in taken):
                continue
            if self._is_amount(folded, number) and not self._has_number(number.values):
                yield folded[number.start : number.end]

    def _is_amount(self, folded: str, number: Number) -> bool:
        """Tell whether a number says how many, for sure: not one, a pair, or a part of a name or a word."""
        if min(number.values) < _LEAST or min(number.values) in (100, 1_000, 1_000_000):
            return False
        said = folded[number.start : number.end]
        before, behind = folded[max(0, number.start - 1) : number.start], folded[number.end : number.end + 3]
        if said[0] in "〇零一二两兩三四五六七八九十百千万萬億亿":
            return not re.match(r"[\u3400-\u9fff]", before) and _COUNTED_HAN.match(behind) is not None
        glued = (before.isascii() and before.isalnum()) or before in ("-", "_", "/", ".", "#", "@")
        return not glued and behind[:1] not in ("_", "/", "@")

    def _has_number(self, values: frozenset[float]) -> bool:
        return any(self._follows(value) for value in values)

    def _follows(self, value: float) -> bool:
        """Tell whether a number was said, or may be counted from what was said."""
        said = self._numbers
        if value in said or (value <= 12 and self._listed >= value):
            return True
        if any(value * factor in said or value / factor in said for factor in _FACTORS):
            return True
        if len(bare := f"{value:.0f}") >= 4 and bare in self._digits:
            return True
        years = {self._today.year - each for each in said if 1900 <= each <= self._today.year}
        if any(abs(value - year) <= 1 for year in years):
            return True
        few = sorted(each for each in said if 0 < each <= 31)
        return any(value == one + two for at, one in enumerate(few) for two in few[at:])

    def _has_hour(self, hour: int) -> bool:
        """Tell whether an hour was said, on a clock of twelve or of 24 hours, or the hour after it (`halb acht`)."""
        return hour % 12 == 0 or any((each - hour) % 12 in (0, 1) for each in self._numbers if each <= 24)

    # -- dates ----------------------------------------------------------------------------------------------------

    def _may_be(self, wanted: YMD, other: YMD | None) -> bool:
        return any(self._is_dated(*each) for each in (wanted, other) if each is not None)

    def _is_dated(self, year: int, month: int, day: int) -> bool:
        if not month:
            return self._has_year(year)
        if any((month, day) == each[1:] and (not each[0] or not year or each[0] == year) for each in self._written):
            return True
        if self._vague or not self._has_year(year or self._today.year):
            return self._vague
        if not day:  # a month of a year that is near may be known from elsewhere
            return True
        months = self._months
        near = {(said.month + shift - 1) % 12 + 1 for said in self._days for shift in (-1, 0, 1)}
        last = monthrange(year or self._today.year, month)[1]
        if (day in self._numbers or day in (1, 15, last)) and month in months | near:
            return True
        return any(self._is_counted(each, year, month, day) for each in self._lines)

    @cached_property
    def _months(self) -> frozenset[int]:
        """The months that the lines name."""
        return frozenset(month for _, month, _ in self._written if month)

    @cached_property
    def _written(self) -> frozenset[YMD]:
        """The dates of the lines, and their second readings."""
        written = [each for one in self._said for each in find_written(one.text)]
        return frozenset(date for each in written for date in (each.date, each.other) if date is not None)

    def _has_year(self, year: int) -> bool:
        if any(abs(year - day.year) <= 1 for day in (*self._days, self._today)):
            return True
        if year in self._numbers or year % 100 in self._numbers:
            return True
        return any(abs(self._today.year - year - each) <= 1 for each in self._numbers if each >= _LEAST)

    def _is_counted(self, line: _Line, year: int, month: int, day: int) -> bool:
        """Tell whether the words of a line lead to the date: yesterday, next week, on Friday."""
        spoken = (year or line.day.year, month, day or line.day.day)
        meant = _real(*spoken)
        days = abs(meant - line.day).days
        if days <= 1 or line.open:
            return True
        for period in line.periods:
            first, last = period.first - timedelta(days=1), period.last + timedelta(days=1)
            if (first.year, first.month) <= spoken[:2] <= (last.year, last.month) and (
                not day or first <= meant <= last
            ):
                return True
        if days in self._numbers or any(abs(days - 7 * weeks) <= 1 for weeks in self._numbers if weeks >= 1):
            return True
        return bool(day) and days <= _NEAR and meant.weekday() in line.weekdays

    @cached_property
    def _lines(self) -> list[_Line]:
        """Return what the words of each line whose day is known say of time."""
        found = []
        for said in self._said:
            if said.day is not None:
                relative = find_relative(said.text, said.day)
                periods = tuple(each.period for each in relative if each.period is not None)
                found.append(_Line(said.day, periods, len(periods) < len(relative), frozenset(_weekdays(said.text))))
        return found

    @cached_property
    def _vague(self) -> bool:
        return _VAGUE.search(self._folded) is not None

    @cached_property
    def _initials(self) -> str:
        return "".join(word[0] for word in _WORD.findall(self._folded))

    @cached_property
    def _digits(self) -> str:
        return re.sub(r"\D", "", self._folded)


def _is_known_language(text: str, languages: Sequence[Language]) -> bool:
    """Tell whether a text is in languages whose number words are known: a third of its words are common in one."""
    if len(_WORD.findall(text)) <= _BRIEF and not any(sign.isdigit() for sign in text):
        return True  # too short to hold a number in words that nobody here knows
    if not languages or _UKRAINIAN.search(text):
        return False
    if not _LATIN.search(text) or languages[0] in ("zh", "ja", "ru"):
        return bool(frozenset(languages) & LANGUAGES)
    words = [word.lower() for word in _WORD.findall(text)]
    most = max(sum(word in common_words(language) for word in words) for language in languages)
    return most >= _COMMON_SHARE * len(words)


def _bare(word: str) -> str:
    """A name without possessive ending or elided article: of `Anna's` and `d'Anna`, `Anna`."""
    return _ELIDED.sub("", _POSSESSIVE.sub("", word))


def _real(year: int, month: int, day: int) -> date:
    try:
        return date(year, month, day)
    except ValueError:
        return date.min


def _numbers(folded: str) -> frozenset[float]:
    return frozenset(value for number in numbers_in(folded, parts=True) for value in number.values)


def _weekdays(text: str) -> set[int]:
    """The weekdays that a text names, from Monday 0 on, in any language."""
    low = text.lower()
    return {
        number
        for words in WORDS.values()
        for number, names in enumerate(words.weekdays)
        if re.search(rf"(?<!\w)(?:{names.replace('-feira', '(?:-feira)?')})\w?" if words.spaced else names, low)
    }


def _phrases(text: str) -> Iterator[list[re.Match[str]]]:
    """Capitalised words in a row."""
    phrase: list[re.Match[str]] = []
    for token in _NAME.finditer(text):
        if not any(sign.isupper() for sign in token[0]):
            continue
        if phrase and _JOINS.fullmatch(text, phrase[-1].end(), token.start()) is None:
            yield phrase
            phrase = []
        phrase.append(token)
    if phrase:
        yield phrase


def alike(word: str, other: str) -> bool:
    """Tell whether two folded words may be forms of one name: inflected, shortened, part of the other, misspelt."""
    if not word or not other or word[0] != other[0]:
        return len(other) >= 4 and len(word) >= 4 and (other in word or word in other)
    if not 0.5 <= len(word) / len(other) <= 2:
        return False
    shared = next((at for at, pair in enumerate(zip(word, other, strict=False)) if pair[0] != pair[1]), None)
    shared = min(len(word), len(other)) if shared is None else shared
    if shared >= max(3, 0.6 * min(len(word), len(other))) and 2 * shared >= max(len(word), len(other)):
        return True
    if min(len(word), len(other)) < 5:
        return False
    matcher = SequenceMatcher(None, word, other)
    return matcher.quick_ratio() >= _SPELT_ALIKE and matcher.ratio() >= _SPELT_ALIKE
