"""Lenient readers of single values: what counts as an integer or a flag in a request. Times are in `times`.

A reader takes a parsed JSON value or a query string and returns the Python value, or raises
`ReadingError`. The rules and the words for what is wrong are those of pydantic's lax mode, which
the clients of Agent Memory Server were written against.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Reader = Callable[[Any], Any]

MIN_INT = -(2**63)
MAX_INT = 2**63 - 1
MAX_NUMBER_TEXT = 400
"""Characters of a text that is looked at for a number."""

_INTEGER = re.compile(r"[+-]?[0-9]+(?:\.0*)?\Z")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\Z")
_TRUE = frozenset(("true", "t", "yes", "y", "on", "1"))
_FALSE = frozenset(("false", "f", "no", "n", "off", "0"))


class Fault:
    """One thing wrong with a value. `path` grows outwards: the innermost key is first."""

    __slots__ = ("context", "kind", "message", "path", "value")

    def __init__(self, kind: str, message: str, value: Any, context: Mapping[str, Any] | None = None) -> None:
        self.kind = kind
        self.message = message
        self.value = value
        self.context = context
        self.path: list[str | int] = []


class ReadingError(Exception):
    """A value that cannot be read, with everything that is wrong with it."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(faults)
        self.faults = faults

    def under(self, key: str | int) -> list[Fault]:
        """The faults as seen from the container that holds the value under `key`."""
        for fault in self.faults:
            fault.path.append(key)
        return self.faults


def invalid(kind: str, message: str, value: Any, **context: Any) -> ReadingError:
    """An `ReadingError` with a single fault."""
    return ReadingError([Fault(kind, message, value, context or None)])


def read_string(value: Any) -> str:
    """Strings are strict: a number is not one, nor is text that UTF-8 cannot carry."""
    if type(value) is not str:
        raise invalid("string_type", "Input should be a valid string", value)
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise invalid("value_error", "Value error, the string contains a lone surrogate", None) from None
    return value


def read_integer(value: Any) -> int:
    """`5`, `"5"`, `5.0` and `"5.0"`, within 64 bits."""
    if type(value) is int:
        number = value
    elif isinstance(value, bool):
        number = int(value)
    elif isinstance(value, float):
        number = _whole(value)
    elif isinstance(value, str):
        number = _integer_text(value)
    else:
        raise invalid("int_type", "Input should be a valid integer", value)
    if number > MAX_INT:
        raise invalid("less_than_equal", f"Input should be less than or equal to {MAX_INT}", value, le=MAX_INT)
    if number < MIN_INT:
        raise invalid(
            "greater_than_equal",
            f"Input should be greater than or equal to {MIN_INT}",
            value,
            ge=MIN_INT,
        )
    return number


def _whole(value: float) -> int:
    if not math.isfinite(value):
        raise invalid("int_type", "Input should be a valid integer", None)
    if not value.is_integer():
        raise invalid(
            "int_from_float",
            "Input should be a valid integer, got a number with a fractional part",
            value,
        )
    return int(value)


def _integer_text(value: str) -> int:
    text = value.strip()
    if len(text) > MAX_NUMBER_TEXT or not _INTEGER.match(text):
        raise invalid(
            "int_parsing",
            "Input should be a valid integer, unable to parse string as an integer",
            value,
        )
    return int(text.partition(".")[0])


def read_float(value: Any) -> float:
    """Numbers and numeric strings; never NaN or infinity."""
    if type(value) is float:
        number = value
    elif isinstance(value, int):
        number = _float_of(value, value)
    elif isinstance(value, str):
        text = value.strip()
        if len(text) > MAX_NUMBER_TEXT or not _NUMBER.match(text):
            raise _not_a_number(value)
        number = _float_of(text, value)
    else:
        raise invalid("float_type", "Input should be a valid number", value)
    if not math.isfinite(number):
        raise _not_a_number(value if isinstance(value, str) else None)
    return number


def _float_of(value: int | str, original: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        raise _not_a_number(original) from None


def _not_a_number(value: Any) -> ReadingError:
    return invalid(
        "float_parsing",
        "Input should be a valid number, unable to parse string as a number",
        value,
    )


def read_boolean(value: Any) -> bool:
    """`true`, `1`, `"yes"`, `"on"` and their like, in any letter case."""
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        if value in (0, 1):
            return bool(value)
    elif isinstance(value, str):
        word = value.strip().lower()
        if word in _TRUE:
            return True
        if word in _FALSE:
            return False
    else:
        raise invalid("bool_type", "Input should be a valid boolean", value)
    raise invalid("bool_parsing", "Input should be a valid boolean, unable to interpret input", value)


def choice(kind: str, choices: Mapping[Any, Any]) -> Reader:
    """A reader of one of a few words; `kind` is `enum` or `literal_error`."""
    words = [repr(word) for word in choices]
    expected = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"

    def read(value: Any) -> Any:
        try:
            return choices[value]
        except (KeyError, TypeError):
            raise invalid(kind, f"Input should be {expected}", value, expected=expected) from None

    return read


_BOUNDS: tuple[tuple[str, str, str, Callable[[Any, Any], bool]], ...] = (
    ("gt", "greater_than", "greater than", lambda value, bound: value > bound),
    ("ge", "greater_than_equal", "greater than or equal to", lambda value, bound: value >= bound),
    ("lt", "less_than", "less than", lambda value, bound: value < bound),
    ("le", "less_than_equal", "less than or equal to", lambda value, bound: value <= bound),
)


def bounded(read: Reader, limits: Mapping[str, Any]) -> Reader:
    """The reader with the bounds `gt`, `ge`, `lt`, `le` that are not None."""
    checks = [
        (name, kind, f"Input should be {words} {limits[name]}", limits[name], holds)
        for name, kind, words, holds in _BOUNDS
        if limits.get(name) is not None
    ]
    if not checks:
        return read

    def read_bounded(value: Any) -> Any:
        number = read(value)
        for name, kind, message, bound, holds in checks:
            if not holds(number, bound):
                raise invalid(kind, message, value, **{name: bound})
        return number

    return read_bounded


def sized(read: Reader, what: str, least: int | None, most: int | None) -> Reader:
    """The reader with bounds of the length; `what` is `string` or `list`."""
    if least is None and most is None:
        return read
    short, long = ("string_too_short", "string_too_long") if what == "string" else ("too_short", "too_long")
    unit = "character(s)" if what == "string" else "item(s)"

    def read_sized(value: Any) -> Any:
        result = read(value)
        if least is not None and len(result) < least:
            raise invalid(short, f"The {what} should have at least {least} {unit}", value, min_length=least)
        if most is not None and len(result) > most:
            raise invalid(long, f"The {what} should have at most {most} {unit}", value, max_length=most)
        return result

    return read_sized


def read_json(value: Any) -> Any:
    """Any JSON value, as it is; integers that 64 bits cannot hold are refused."""
    pending = [value]
    while pending:
        item = pending.pop()
        kind = type(item)
        if kind is dict:
            pending.extend(_worth_a_look(item.values()))
            pending.extend(key for key in item if not key.isascii())
        elif kind is list:
            pending.extend(_worth_a_look(item))
        elif kind is int:
            read_integer(item)
        elif kind is str:
            read_string(item)
    return value


def _worth_a_look(items: Iterable[Any]) -> Iterable[Any]:
    return (item for item in items if not (item is None or item is True or item is False))
