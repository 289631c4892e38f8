"""Reads the numbers of a text, in digits and in words of seven languages, Chinese and Japanese signs among them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from typing import NamedTuple

from memhost.text.unicode_forms import fold

_MOST_WORDS = 8
"""Words of one number that are read."""


class Number(NamedTuple):
    """A number of a folded text: its place and its possible values (`1.200` may be 1200 or 1.2)."""

    start: int
    end: int
    values: frozenset[float]


_DIGITS = re.compile(r"\d+(?:[.,'\u2019\u00a0\u202f ]\d{3}(?!\d))*(?:[.,]\d+)?")
_SCALED = re.compile(
    r"\s?(?:(k|tsd|тыс|千|mila|mil|mille|thousand|tausend)|(m|mio|mln|millions?|millionen|млн|百万)|(万|萬|만))(?![a-z])"
)
_HAN = re.compile("[〇零一二两兩三四五六七八九十百千万萬億亿]+")
_HAN_DIGITS = {
    sign: n
    for n, signs in enumerate(("〇零", "一", "二两兩", "三", "四", "五", "六", "七", "八", "九"))
    for sign in signs
}
_HAN_POWERS = {"十": 10, "百": 100, "千": 1_000}
_HAN_GROUPS = {"万": 10_000, "萬": 10_000, "億": 100_000_000, "亿": 100_000_000}
_HAN_SCALES = {**_HAN_POWERS, **_HAN_GROUPS}
del _HAN_SCALES["十"]
_WORD = re.compile(r"[^\W\d_]+")
_AND = frozenset(("and", "und", "y", "e", "et", "и"))
_BETWEEN = re.compile(r"(?:[\s-]|\s(?:and|und|y|e|et|и)\s|-et-)")


def _values(text: str) -> dict[str, float]:
    """The words of a text like `dozen 12, half 0.5`, with their values."""
    return {word: float(value) for word, value in (each.rsplit(" ", 1) for each in fold(text).split(", "))}


_PLAIN: Mapping[str, str] = {
    "en": (
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen"
    ),
    "de": (
        "null ein zwei drei vier funf sechs sieben acht neun zehn elf zwolf dreizehn vierzehn funfzehn sechzehn "
        "siebzehn achtzehn neunzehn"
    ),
    "fr": "zero un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize",
    "es": (
        "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciseis "
        "diecisiete dieciocho diecinueve veinte veintiuno veintidos veintitres veinticuatro veinticinco veintiseis "
        "veintisiete veintiocho veintinueve"
    ),
    "it": (
        "zero uno due tre quattro cinque sei sette otto nove dieci undici dodici tredici quattordici quindici "
        "sedici diciassette diciotto diciannove"
    ),
    "pt": (
        "zero um dois tres quatro cinco seis sete oito nove dez onze doze treze catorze quinze dezesseis dezessete "
        "dezoito dezenove"
    ),
}
_TENS: Mapping[str, str] = {
    "en": "twenty thirty forty fifty sixty seventy eighty ninety",
    "de": "zwanzig dreissig vierzig funfzig sechzig siebzig achtzig neunzig",
    "fr": "vingt trente quarante cinquante soixante septante huitante nonante",
    "es": "veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa",
    "it": "venti trenta quaranta cinquanta sessanta settanta ottanta novanta",
    "pt": "vinte trinta quarenta cinquenta sessenta setenta oitenta noventa",
}
_MORE: Mapping[str, str] = {
    "en": (
        "first 1, second 2, third 3, fourth 4, fifth 5, sixth 6, seventh 7, eighth 8, ninth 9, tenth 10, eleventh "
        "11, twelfth 12, twentieth 20, thirtieth 30, fortieth 40, fiftieth 50, sixtieth 60, seventieth 70, "
        "eightieth 80, ninetieth 90, once 1, twice 2, thrice 3, hundred 100, hundreds 100, thousand 1000, million "
        "1000000, dozen 12, couple 2, both 2, pair 2, twins 2, triplets 3, half 0.5, quarter 0.25, decade 10, "
        "decades 10, century 100, fortnight 14, grand 1000, triple 3, double 2, quadruple 4"
    ),
    "de": (
        "eins 1, eine 1, einen 1, einer 1, zwo 2, beide 2, beiden 2, hundert 100, tausend 1000, million 1000000, "
        "millionen 1000000, dutzend 12, paar 2, zwillinge 2, drillinge 3, halb 0.5, halbe 0.5, halbes 0.5, "
        "anderthalb 1.5, eineinhalb 1.5, viertel 0.25, jahrzehnt 10, einmal 1, zweimal 2, dreimal 3, viermal 4, "
        "erste 1, dritte 3, dritten 3, siebte 7, siebten 7"
    ),
    "fr": (
        "une 1, cent 100, cents 100, mille 1000, million 1000000, millions 1000000, vingts 20, douzaine 12, "
        "quinzaine 15, dizaine 10, vingtaine 20, trentaine 30, demi 0.5, demie 0.5, moitie 0.5, quart 0.25, jumeaux "
        "2, jumelles 2, octante 80, premier 1, troisieme 3, quatrieme 4, cinquieme 5, dixieme 10, vingtieme 20, "
        "soixantaine 60, cinquantaine 50, quarantaine 40, decennie 10"
    ),
    "es": (
        "un 1, una 1, cien 100, ciento 100, cientos 100, quinientos 500, quinientas 500, setecientos 700, "
        "novecientos 900, mil 1000, millon 1000000, millones 1000000, docena 12, decena 10, medio 0.5, media 0.5, "
        "mitad 0.5, gemelos 2, gemelas 2, tercero 3, tercera 3, cuarto 4, quinto 5, decada 10"
    ),
    "it": (
        "un 1, una 1, cento 100, mille 1000, mila 1000, milione 1000000, milioni 1000000, dozzina 12, decina 10, "
        "ventina 20, mezzo 0.5, mezza 0.5, meta 0.5, gemelli 2, gemelle 2, terzo 3, quarto 4, quinto 5, ventuno 21, "
        "ventotto 28, quindicina 15"
    ),
    "pt": (
        "uma 1, duas 2, cem 100, cento 100, duzentos 200, trezentos 300, quinhentos 500, mil 1000, milhao 1000000, "
        "milhoes 1000000, duzia 12, dezena 10, meio 0.5, meia 6, metade 0.5, gemeos 2, gemeas 2, quatorze 14, "
        "dezasseis 16, dezassete 17, dezanove 19, terceiro 3, quinto 5"
    ),
}
"""Further words with their values."""
_RUSSIAN = _values(
    "ноль 0, один 1, одн 1, дв 2, три 3, тр 3, четыр 4, четв 4, пят 5, шест 6, сем 7, восем 8, восьм 8, девят 9, "
    "десят 10, одиннадцат 11, двенадцат 12, тринадцат 13, четырнадцат 14, пятнадцат 15, шестнадцат 16, семнадцат "
    "17, восемнадцат 18, девятнадцат 19, двадцат 20, тридцат 30, сорок 40, пятьдесят 50, пятидесят 50, шестьдесят "
    "60, шестидесят 60, семьдесят 70, семидесят 70, восемьдесят 80, восьмидесят 80, девяност 90, сто 100, ста 100, "
    "двест 200, двухсот 200, трист 300, трехсот 300, четырест 400, четырехсот 400, пятьсот 500, пятисот 500, "
    "шестьсот 600, шестисот 600, семьсот 700, восемьсот 800, девятьсот 900, тысяч 1000, миллион 1000000, полтор "
    "1.5, пол 0.5, половин 0.5, дюжин 12, вдвоем 2, втроем 3, вчетвером 4, впятером 5, вшестером 6, "
    "близнец 2, двойн 2, тройн 3"
)
"""Beginnings of Russian words; `_RUSSIAN_ENDING` is what may follow."""
_RUSSIAN_ENDING = re.compile(
    fold(
        "(?:[аеиоуыьюяй]|ой|ый|ий|ая|ое|ые|ого|его|ому|ым|ом|ем|их|ых|ух|ум|ех|ью|ами|ов|мя|умя|емя|оих|оем|оими|ее"
        "|еро|еых|ерых|верых)?"
    )
)

LANGUAGES = frozenset((*_PLAIN, "ru", "zh", "ja"))
"""Languages whose number words are known."""


@cache
def _words(language: str) -> Mapping[str, float]:
    """The values of folded words; those of a number's parts are put together by `_value`."""
    found: dict[str, float] = {word: n for n, word in enumerate(_PLAIN[language].split())}
    tens = {word: 10 * n for n, word in enumerate(_TENS[language].split(), 2)}
    found |= tens
    if language == "de":
        ones = list(_PLAIN["de"].split())[1:10]
        found |= {f"{one}und{ten}": n + value for n, one in enumerate(ones, 1) for ten, value in tens.items()}
    if language == "it":
        ones = list(_PLAIN["it"].split())[1:10]
        for ten, value in tens.items():
            found |= {(ten[:-1] if one[0] in "uo" else ten) + one: value + n for n, one in enumerate(ones, 1)}
    return found | _values(_MORE[language])


_COMPOUND = {
    "de": (("tausend", 1_000), ("hundert", 100)),
    "it": (("mila", 1_000), ("mille", 1_000), ("cento", 100)),
    "es": (("cientos", 100), ("cientas", 100)),
    "pt": (("centos", 100), ("centas", 100)),
}
"""Words that stand in one word with the number in front of them and behind."""
_ENDINGS = {
    "en": "(?:th|s)?",
    "de": "(?:ste[nrms]?|te[nrms]?|e[nrms]?|er|mal|t)?",
    "fr": "(?:ieme|e|s)?",
    "it": "(?:esim[oaei])?",
}


@lru_cache(maxsize=8192)
def _word_value(word: str, language: str) -> float | None:
    if language == "ru":
        for length in range(min(len(word), 12), 1, -1):
            if (value := _RUSSIAN.get(word[:length])) is not None and _RUSSIAN_ENDING.fullmatch(word[length:]):
                return value
        return None
    words = _words(language)
    if (value := words.get(word)) is not None:
        return value
    for part, factor in _COMPOUND.get(language, ()):
        front, found, back = word.partition(part)
        if found:
            first = _word_value(front, language) if front else 1
            last = _word_value(back, language) if back else 0
            return None if first is None or last is None else first * factor + last
    ending = _ENDINGS.get(language)
    if ending is not None:
        for cut in range(1, 5):
            if (value := words.get(word[:-cut])) is not None and re.fullmatch(ending, word[-cut:]) and value > 2:
                return value
    return None


def _value(parts: list[float]) -> float:
    """The number that the words make: 34 of 30 and 4, 1200 of 12 and 100, 97 of 4, 20, 10 and 7."""
    total = now = 0.0
    for part in parts:
        if part >= 1_000:
            total, now = total + max(now, 1) * part, 0
        elif part == 100:
            now = max(now, 1) * 100
        elif part == 20 and now % 100 == 4:
            now += 76
        else:
            now += part
    return total + now


def numbers_in(text: str, languages: frozenset[str] = LANGUAGES, *, parts: bool = False) -> list[Number]:
    """The numbers of a folded text, in order of kind and place.

    Args:
        text: The text, by `fold`.
        languages: Languages whose words are read; digits are read in any.
        parts: Also give the numbers that parts of a row of words make, and years said in two halves.
    """
    found = [*_in_digits(text)]
    if languages & {"zh", "ja"}:
        found += _in_han(text)
    for language in sorted(languages - {"zh", "ja"}):
        found += _in_words(text, language, parts=parts)
    return found


def _in_digits(text: str) -> Iterator[Number]:
    for match in _DIGITS.finditer(text):
        token = match[0]
        bare = re.sub(r"\D", "", token)
        values = {float(bare)} if bare == token or re.fullmatch(r"\d{1,3}(?:\D\d{3})+", token) else set[float]()
        if separator := re.fullmatch(r"(.*\d)[.,](\d+)", token):
            values.add(float(f"{re.sub(r'[^0-9]', '', separator[1])}.{separator[2]}"))
        if not values:
            values = {float(each) for each in re.findall(r"\d+", token)}
        scale = _SCALED.match(text, match.end())
        factor = 0 if scale is None else 1_000 if scale[1] else 1_000_000 if scale[2] else 10_000
        values |= {value * factor for value in values if factor}
        yield Number(match.start(), match.end(), frozenset(values))


def _in_han(text: str) -> Iterator[Number]:
    for match in _HAN.finditer(text):
        signs = match[0]
        if all(sign in _HAN_DIGITS for sign in signs):
            values = {float("".join(str(_HAN_DIGITS[sign]) for sign in signs))} | {
                float(_HAN_DIGITS[sign]) for sign in signs
            }
        else:
            values = {_han_value(signs)}
            if (
                len(signs) > 1 and signs[-1] in _HAN_DIGITS and signs[-2] in _HAN_SCALES
            ):  # 三千五: three thousand five hundred
                values.add(_han_value(signs[:-1]) + _HAN_DIGITS[signs[-1]] * _HAN_SCALES[signs[-2]] / 10)
        yield Number(match.start(), match.end(), frozenset(values))


def _han_value(signs: str) -> float:
    total = section = digit = 0
    for sign in signs:
        if sign in _HAN_DIGITS:
            digit = _HAN_DIGITS[sign]
        elif sign in _HAN_POWERS:
            section += max(digit, 1) * _HAN_POWERS[sign]
            digit = 0
        else:
            total += max(section + digit, 1) * _HAN_GROUPS[sign]
            section = digit = 0
    return float(total + section + digit)


def _in_words(text: str, language: str, *, parts: bool) -> Iterator[Number]:
    run: list[tuple[re.Match[str], float]] = []
    for match in _WORD.finditer(text):
        value = _word_value(match[0], language)
        beside = bool(run) and _BETWEEN.fullmatch(text, run[-1][0].end(), match.start()) is not None
        joins = match[0] in _AND and run and match.start() - run[-1][0].end() <= 1
        if run and (value is None or not beside or len(run) == _MOST_WORDS) and not (value is None and joins):
            yield from _numbers_of(run, parts=parts)
            run = []
        if value is not None:
            run.append((match, value))
    if run:
        yield from _numbers_of(run, parts=parts)


def _numbers_of(run: list[tuple[re.Match[str], float]], *, parts: bool) -> Iterator[Number]:
    values = [value for _, value in run]
    found = {_value(values)}
    if parts:
        found |= {_value(values[i:j]) for i in range(len(values)) for j in range(i + 1, len(values) + 1)}
        found |= {100 * _value(values[:i]) + _value(values[i:]) for i in range(1, len(values))}
    yield Number(run[0][0].start(), run[-1][0].end(), frozenset(found))
