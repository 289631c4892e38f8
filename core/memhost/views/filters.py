"""The filters of summary views: the allowed fields, and the conditions that filters compile to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar, cast

from msgspec import inspect

from memhost.errors import InvalidRequest
from memhost.models import Condition, MemoryType
from memhost.operations.requests import DateFilter, MemoryTypeFilter, Operators, TagFilter
from memhost.operations.views import GROUP_FIELDS
from memhost.reading import Compiler, ReadingError, problems
from memhost.search.filters import date_conditions, tag_conditions, too_many_values

F = TypeVar("F", bound=Operators)

FILTER_FIELDS = (*GROUP_FIELDS, "extraction_strategy", "topics", "trust", "event_date")
"""Fields that a view can filter by."""

_DATES = ("event_date",)


def check_fields(group_by: list[str], filters: Mapping[str, Any]) -> None:
    """Refuse names that views do not know, and fields that occur twice in `group_by`.

    Raises:
        InvalidRequest: With the offending names in order.
    """
    unknown = sorted({name for name in group_by if name not in GROUP_FIELDS})
    if unknown:
        raise InvalidRequest(f"Unsupported group_by fields: {', '.join(unknown)}. Known: {', '.join(GROUP_FIELDS)}.")
    twice = sorted({name for name in group_by if group_by.count(name) > 1})
    if twice:
        raise InvalidRequest(f"group_by names these fields more than once: {', '.join(twice)}.")
    unknown = sorted(name for name in filters if name not in FILTER_FIELDS)
    if unknown:
        raise InvalidRequest(f"Unsupported filters: {', '.join(unknown)}. Known: {', '.join(FILTER_FIELDS)}.")


def compile_view_filters(filters: Mapping[str, Any]) -> tuple[Condition, ...]:
    """Conditions that must hold together. A null restricts nothing.

    Raises:
        InvalidRequest: Values do not fit; all of them are named.
    """
    conditions: list[Condition] = []
    wrong: list[str] = []
    for name in sorted(filters):
        if filters[name] is None:
            continue
        try:
            conditions += _conditions(name, filters[name])
        except ReadingError as error:
            wrong += [".".join(map(str, each.where)) + f": {each.message}" for each in problems(error.under(name))]
        except ValueError as error:
            wrong.append(f"{name}: {error}")
    wrong += [problem.message for problem in too_many_values(conditions)]
    if wrong:
        raise InvalidRequest(f"Wrong filters: {'; '.join(wrong)}.")
    return tuple(conditions)


def _conditions(name: str, value: Any) -> list[Condition]:
    given = _operators(name, value)
    if name in _DATES:
        found = date_conditions(name, _read(DateFilter, given))
    elif name == "memory_type":
        found = tag_conditions(name, _read(MemoryTypeFilter, _enumerated(given)))
    else:
        found = tag_conditions(name, _read(TagFilter, given))
    if not found:
        raise ValueError("the filter has no operator")
    return found


def _read(kind: type[F], given: dict[str, Any]) -> F:
    """The operators as the filter of a search that they would be there.

    Raises:
        ReadingError: They are none, or have other values.
    """
    return cast("F", _reader(kind)(given))


@cache
def _reader(kind: type[Operators]) -> Callable[[Any], Any]:
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    return Compiler().struct(info)


def _operators(name: str, value: Any) -> dict[str, Any]:
    """The value as an object of operators: a single value means equals, a list any of them."""
    if isinstance(value, dict):
        return value
    if isinstance(value, list):
        if name in _DATES:
            raise ValueError("must be a time or an object of comparisons")
        return {"any": value}
    if isinstance(value, str) or (name in _DATES and isinstance(value, (int, float)) and not isinstance(value, bool)):
        return {"eq": value}
    raise ValueError("must be a string, a list of strings or an object of operators")


def _enumerated(given: dict[str, Any]) -> dict[str, Any]:
    if "startswith" in given:
        raise ValueError(f"does not support prefixes; give one of {', '.join(kind.value for kind in MemoryType)}")
    return given
