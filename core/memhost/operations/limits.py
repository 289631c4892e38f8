"""Checks that nothing a client chooses is larger than the table in `memhost.models.limits` allows, at every door.

The limits are part of the types of requests, so that schemas show them. `Host.execute` checks each request, whatever
door it came through; imports and plugins' answers are checked as the requests would be that say the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence, Sized
from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from memhost.errors import Problem, ValidationFailed
from memhost.models import MemoryRecord, WorkingMemory
from memhost.models.limits import (
    CONFIG_BYTES,
    DATA_BYTES,
    DEEPEST_OFFSET,
    ERROR_CODE,
    MAX_ITEMS,
    MAX_KEYS,
    MAX_MESSAGE_LENGTH,
    MAX_NAME_LENGTH,
    MAX_QUERY_TERMS,
    MAX_TAG_LENGTH,
    MAX_TAGS,
    MAX_TEXT_LENGTH,
    METADATA_BYTES,
)
from memhost.operations.requests import RecordInput
from memhost.operations.working_memory import PutSession
from memhost.reading import depth_exceeds

__all__ = [
    "CONFIG_BYTES",
    "DATA_BYTES",
    "DEEPEST_OFFSET",
    "MAX_ITEMS",
    "MAX_KEYS",
    "MAX_MESSAGE_LENGTH",
    "MAX_NAME_LENGTH",
    "MAX_QUERY_TERMS",
    "MAX_TAGS",
    "MAX_TAG_LENGTH",
    "MAX_TEXT_LENGTH",
    "METADATA_BYTES",
    "check_request",
    "fitting",
    "record_problems",
    "session_problems",
    "too_big",
    "too_deep",
    "too_long",
    "too_many",
]

T = TypeVar("T")

_MAX_PROBLEMS = 100
_Where = tuple[str | int, ...]
_Path = tuple[Any, ...]
"""A place as the path to what it is in and the name in that, `((), "memories"), 3)`: spelled out for problems only."""
_Check = Callable[[Any, _Path, list[Problem]], None]


def too_many(items: Collection[Any] | None, most: int, where: _Where) -> list[Problem]:
    """The problem of a list with more than `most` items."""
    if items is None or len(items) <= most:
        return []
    return [
        Problem(
            where=where,
            kind="too_long",
            message=f"Too many: {len(items):,}; at most {most:,} are allowed in one request.",
        )
    ]


def too_long(text: str | None, most: int, where: _Where) -> list[Problem]:
    """The problem of a text with more than `most` characters."""
    if text is None or len(text) <= most:
        return []
    sentence = f"Too long: {len(text):,} characters; at most {most:,} are allowed."
    return [Problem(where=where, kind="string_too_long", message=sentence)]


def too_deep(value: Any, where: _Where) -> list[Problem]:
    """The problem of a value that is nested too deeply."""
    return [Problem(where=where, message="It is nested too deeply.")] if depth_exceeds(value) else []


def too_big(value: Mapping[str, Any] | None, most: int, where: _Where) -> list[Problem]:
    """The problem of a JSON object that is nested too deeply, or takes more than `most` bytes."""
    if not value:
        return []
    if problems := too_deep(value, where):
        return problems
    size = len(msgspec.json.encode(value))
    if size <= most:
        return []
    sentence = f"Too large: {size:,} bytes as JSON; at most {most:,} are allowed."
    return [Problem(where=where, kind="too_long", message=sentence)]


def fitting(items: Sequence[T], most: int) -> list[T]:
    """The first items, as many as fit into so many bytes of JSON, but one in any case; 0 bytes do not limit them."""
    left, encode = most, msgspec.json.encode
    if not most or len(encode(items)) <= most + 1:  # a list of n has n + 1 signs between and around its items
        return list(items)
    for number, item in enumerate(items):
        left -= len(encode(item)) + 1
        if left < 0 and number:
            return list(items[:number])
    return list(items)


def check_request(request: msgspec.Struct) -> None:
    """Refuse a request that holds more than the types of its fields allow.

    Raises:
        ValidationFailed: With all that is too large, up to a hundred.
    """
    found: list[Problem] = []
    if (check := _checker(type(request))) is not None:
        check(request, (), found)
    if found:
        raise ValidationFailed(found[:_MAX_PROBLEMS])


def record_problems(record: MemoryRecord, where: _Where = ()) -> list[Problem]:
    """Return the parts of a record over the limits of a request. A turn's text may be as long as a message."""
    found: list[Problem] = []
    check = _checker(RecordInput)
    assert check is not None
    check(record, _path_of(where), found)
    turn = len(record.text) <= MAX_MESSAGE_LENGTH + 2 * MAX_NAME_LENGTH  # a message behind its role and its speaker
    return [problem for problem in found if not (turn and problem.where == (*where, "text"))]


def session_problems(content: WorkingMemory) -> list[Problem]:
    """Return the parts of a session's content that exceed the limits of a request."""
    found: list[Problem] = []
    check = _checker(PutSession)
    assert check is not None
    check(content, (), found)
    return found


@cache
def _checker(struct: type[msgspec.Struct]) -> _Check | None:
    """The check of all limited fields of a struct, by name; None if there are none."""
    kind = inspect.type_info(struct)
    assert isinstance(kind, inspect.StructType)
    return _of_struct(kind)


def _of(kind: inspect.Type) -> _Check | None:
    """The check of a value of that type, which skips values of other types."""
    if isinstance(kind, inspect.Metadata):
        shown = kind.extra_json_schema or {}
        own = [_LIMITS[name](most) for name, most in shown.items() if name in _LIMITS and ERROR_CODE not in shown]
        return _all([*own, _of(kind.type)])
    if isinstance(kind, inspect.UnionType):
        return _all([_of(variant) for variant in kind.types])
    if isinstance(kind, inspect.ListType):
        return _of_items(_of(kind.item_type))
    if isinstance(kind, inspect.DictType):
        return _of_values(_of(kind.value_type))
    return _checker(kind.cls) if isinstance(kind, inspect.StructType) else None


def _all(checks: list[_Check | None]) -> _Check | None:
    present = [check for check in checks if check is not None]
    if len(present) <= 1:
        return present[0] if present else None

    def check(value: Any, where: _Path, found: list[Problem]) -> None:
        for one in present:
            one(value, where, found)

    return check


def _of_struct(kind: inspect.StructType) -> _Check | None:
    checks = [(field.name, check) for field in kind.fields if (check := _of(field.type)) is not None]
    if not checks:
        return None

    def check_fields(value: Any, where: _Path, found: list[Problem]) -> None:
        for name, check in checks:
            if (item := getattr(value, name, None)) is not None:
                check(item, (where, name), found)

    return check_fields


def _of_items(check: _Check | None) -> _Check | None:
    if check is None:
        return None

    def check_items(value: Any, where: _Path, found: list[Problem]) -> None:
        if isinstance(value, (list, tuple)):
            for index, item in enumerate(value):
                check(item, (where, index), found)
                if len(found) >= _MAX_PROBLEMS:
                    return

    return check_items


def _of_values(check: _Check | None) -> _Check | None:
    if check is None:
        return None

    def check_values(value: Any, where: _Path, found: list[Problem]) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                check(item, (where, key), found)
                if len(found) >= _MAX_PROBLEMS:
                    return

    return check_values


_Problems = Callable[[Any, int, _Where], list[Problem]]


def _counted(types: type[Sized] | tuple[type[Sized], ...], problems: _Problems, most: int) -> _Check:
    def check(value: Any, where: _Path, found: list[Problem]) -> None:
        if isinstance(value, types) and len(value) > most:
            found += problems(value, most, _where_of(where))

    return check


def _measured(most: int) -> _Check:
    def check(value: Any, where: _Path, found: list[Problem]) -> None:
        if value and isinstance(value, dict):
            found += too_big(value, most, _where_of(where))

    return check


def _path_of(where: _Where) -> _Path:
    path: _Path = ()
    for name in where:
        path = (path, name)
    return path


def _where_of(path: _Path) -> _Where:
    found: list[str | int] = []
    while path:
        path, name = path
        found.append(name)
    return tuple(reversed(found))


_LIMITS: Mapping[str, Callable[[int], _Check]] = {
    "maxLength": lambda most: _counted(str, too_long, most),
    "maxItems": lambda most: _counted((list, tuple), too_many, most),
    "maxProperties": lambda most: _counted(dict, too_many, most),
    "x-max-bytes": _measured,
}
"""The check of each keyword with which a type carries its limit."""
