"""Finds personal data in texts."""

from __future__ import annotations

import re
from collections.abc import Iterator

import phonenumbers
from stdnum import iban, luhn

from redaction import RedactionSettings

_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{1,4}){3,8}\b")
_CARD = re.compile(r"\b\d(?:[ -]?\d){12,18}\b")

Span = tuple[int, int, str]


def redact(text: str, settings: RedactionSettings) -> str:
    """The text with the kind of each find in its place."""
    end, parts = 0, []
    for start, stop, kind in sorted(_found(text, settings.region)):
        if kind not in settings.keep and start >= end:
            parts += [text[end:start], f"[{kind}]"]
            end = stop
    return "".join([*parts, text[end:]])


def _found(text: str, region: str) -> Iterator[Span]:
    for found in _EMAIL.finditer(text):
        yield found.start(), found.end(), "email"
    for found in _IBAN.finditer(text):
        if iban.is_valid(found.group()):
            yield found.start(), found.end(), "iban"
    for found in _CARD.finditer(text):
        if luhn.is_valid(re.sub(r"\D", "", found.group())):
            yield found.start(), found.end(), "card"
    for number in phonenumbers.PhoneNumberMatcher(text, region):
        yield number.start, number.end, "phone"
