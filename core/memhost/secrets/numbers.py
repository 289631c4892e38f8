"""Numbers that tell themselves by a check digit: payment cards, IBANs, and national ids of some countries."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

_CARD = re.compile(
    r"[0-9]{4}([ -]?)\d{4}\1\d{4}\1\d{4}(?!\d)"
    r"|[0-9]{4}([ -]?)\d{6}\2\d{4,5}(?!\d)"
    r"|\d{17,19}(?!\d)"
)
_ISSUED = re.compile(
    r"4\d{15}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}|3[689]\d{12}|35(?:2[89]|[3-8]\d)\d{12}"
    r"|6(?:011|4[4-9]\d|5\d\d)\d{12}|62\d{14,17}|(?:50[18]|5[6-9]|6[3-9])\d{13}(?:\d{1,3})?"
)
"""Lengths and first digits that issuers of cards use."""

_IBAN = re.compile(r"[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{1,4}){3,8}(?![A-Z0-9])")
_DIGITS = re.compile(r"\d(?:[ .-]?\d){8,14}(?!\d)")
_LETTERED = re.compile(r"\d{8}[A-Z](?![A-Z0-9])|[XYZ]\d{7}[A-Z](?![A-Z0-9])|\d{17}[\dXx](?!\w)")
_SPANISH = "TRWAGMYFPDXBNJZSQVHLCKE"


class Number(NamedTuple):
    """A number in a text: its place and its digits and letters."""

    start: int
    end: int
    value: str


def cards(text: str) -> Iterator[Number]:
    """Payment cards of the lengths and beginnings that issuers use, whose check digit is right."""
    for found in _CARD.finditer(text):
        number = re.sub(r"\D", "", found[0])
        if _stands_alone(text, *found.span()) and _ISSUED.fullmatch(number) and len(set(number)) > 1 and luhn(number):
            yield Number(*found.span(), number)


def ibans(text: str) -> Iterator[Number]:
    """Bank accounts as IBANs whose check digits are right."""
    for found in _IBAN.finditer(text):
        value = re.sub(r"[ -]", "", found[0])
        if 15 <= len(value) <= 34 and _stands_alone(text, *found.span()) and _mod_97(value):
            yield Number(*found.span(), value)


def national_ids(text: str) -> Iterator[Number]:
    """Ids of persons, by check digits: of Germany, Spain, Poland, Turkey, Brazil, China and France, and of the USA."""
    for pattern in (_LETTERED, _DIGITS):
        for found in pattern.finditer(text):
            value = re.sub(r"[ .-]", "", found[0]).upper()
            if _stands_alone(text, *found.span()) and (_is_us(found[0]) or any(check(value) for check in _CHECKS)):
                yield Number(*found.span(), value)


def luhn(digits: str) -> bool:
    """Tell whether the last digit is the check digit of the others, by Luhn's algorithm."""
    doubled = [sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2]]
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Tell whether a number is not a part of a longer one, of a name, of a decimal or of an address."""
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    glued = re.search(r"[A-Za-z0-9_]$|\d[.,:/-]$|[.=/#-]$", before)
    return not glued and not re.match(r"[A-Za-z0-9_]|[.,:/-]\d|-", after)


def _mod_97(value: str) -> bool:
    return int("".join(str(int(sign, 36)) for sign in value[4:] + value[:4])) % 97 == 1


def _weighted(weights: tuple[int, ...], value: str) -> int:
    return sum(weight * int(digit) for weight, digit in zip(weights, value, strict=False))


def _is_us(written: str) -> bool:
    return re.fullmatch(r"(?!000|666|9)\d{3}-(?!00)\d\d-(?!0000)\d{4}", written) is not None


def _german(value: str) -> bool:
    if not re.fullmatch(r"[1-9]\d{10}", value) or not 8 <= len(set(value[:10])) <= 9:
        return False
    product = 10
    for digit in value[:10]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(value[10])


def _spanish(value: str) -> bool:
    if not re.fullmatch(r"[\dXYZ]\d{7}[A-Z]", value):
        return False
    number = int(value[:8].replace("X", "0").replace("Y", "1").replace("Z", "2"))
    return _SPANISH[number % 23] == value[8]


def _polish(value: str) -> bool:
    if not re.fullmatch(r"\d{2}(?:[02468][1-9]|[13579][0-2])(?:0[1-9]|[12]\d|3[01])\d{5}", value):
        return False
    return (_weighted((1, 3, 7, 9, 1, 3, 7, 9, 1, 3), value) + int(value[10])) % 10 == 0


def _turkish(value: str) -> bool:
    if not re.fullmatch(r"[1-9]\d{10}", value):
        return False
    digits = [int(digit) for digit in value]
    tenth = (7 * sum(digits[0:9:2]) - sum(digits[1:8:2])) % 10
    return tenth == digits[9] and sum(digits[:10]) % 10 == digits[10]


def _brazilian(value: str) -> bool:
    if not re.fullmatch(r"\d{11}", value) or len(set(value)) == 1:
        return False
    for length in (9, 10):
        rest = 11 - _weighted(tuple(range(length + 1, 1, -1)), value) % 11
        if (rest if rest < 10 else 0) != int(value[length]):
            return False
    return True


def _chinese(value: str) -> bool:
    if not re.fullmatch(r"[1-9]\d{5}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dX]", value):
        return False
    rest = _weighted((7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2), value) % 11
    return "10X98765432"[rest] == value[17]


def _french(value: str) -> bool:
    if not re.fullmatch(r"[12]\d{2}(?:0[1-9]|1[0-2])\d{8}\d{2}", value):
        return False
    return 97 - int(value[:13]) % 97 == int(value[13:])


_CHECKS: tuple[Callable[[str], bool], ...] = (_german, _spanish, _polish, _turkish, _brazilian, _chinese, _french)
