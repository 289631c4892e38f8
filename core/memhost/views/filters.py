"""The filters of summary views: what may stand in them, and the conditions they compile to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from memhost.errors import InvalidRequest
from memhost.models import Condition, MemoryType
from memhost.operations.requests import DateFilter, MemoryTypeFilter, TagFilter
from memhost.search.filters import date_conditions, tag_conditions

GROUP_FIELDS = ("user_id", "namespace", "session_id", "memory_type")
"""Fields that a view can group by."""

FILTER_FIELDS = (*GROUP_FIELDS, "extraction_strategy", "topics", "event_date")
"""Fields that a view can filter by."""

_DATES = ("event_date",)
_DATE_OPERANDS = ("eq", "ne", "gt", "gte", "lt", "lte")
_MILLISECONDS_FROM = 2e10
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def check_fields(group_by: list[str], filters: Mapping[str, Any]) -> None:
    """Refuse names that views do not know, and fields that stand twice in `group_by`.

    Raises:
        InvalidRequest: With the offending names in order.
    """
    unknown = sorted({name for name in group_by if name not in GROUP_FIELDS})
    if unknown:
        raise InvalidRequest(f"Unsupported group_by fields: {', '.join(unknown)}. Known: {', '.join(GROUP_FIELDS)}.")
    twice = sorted({name for name in group_by if group_by.count(name) > 1})
    if twice:
        raise InvalidRequest(f"Fields stand more than once in group_by: {', '.join(twice)}.")
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
        except (ValueError, OverflowError) as error:  # msgspec.ValidationError is a ValueError
            wrong.append(f"{name}: {error}")
    if wrong:
        raise InvalidRequest(f"Wrong filters: {'; '.join(wrong)}.")
    return tuple(conditions)


def _conditions(name: str, value: Any) -> list[Condition]:
    given = _operators(name, value)
    if name in _DATES:
        found = date_conditions(name, _date_filter(given))
    elif name == "memory_type":
        found = tag_conditions(name, msgspec.convert(_enumerated(given), MemoryTypeFilter))
    else:
        found = tag_conditions(name, msgspec.convert(given, TagFilter))
    if not found:
        raise ValueError("the filter has no operator")
    return found


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
        raise ValueError(f"has no prefixes; give one of {', '.join(kind.value for kind in MemoryType)}")
    return given


def _date_filter(given: dict[str, Any]) -> DateFilter:
    known: dict[str, Any] = {
        operator: _moment(given[operator]) for operator in _DATE_OPERANDS if given.get(operator) is not None
    }
    between = given.get("between")
    if between is not None:
        if not isinstance(between, list):
            raise ValueError("'between' must be a list of two datetimes")
        known["between"] = [_moment(item) for item in between]
    if given.get("inclusive") is not None:
        known["inclusive"] = given["inclusive"]
    return msgspec.convert(known, DateFilter)


def _moment(value: Any) -> datetime:
    """A time as clients write it: ISO 8601 (UTC where no offset is given), a date, or Unix seconds."""
    if isinstance(value, str):
        moment = datetime.fromisoformat(value.strip())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        milliseconds = abs(value) > _MILLISECONDS_FROM
        return _EPOCH + (timedelta(milliseconds=value) if milliseconds else timedelta(seconds=value))
    raise ValueError(f"{value!r} is not a time")
