"""Compiles the filters of a search request into conditions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import msgspec

from memhost.errors import Problem, ValidationFailed
from memhost.memories.trust import TRUST
from memhost.models import Condition, Op
from memhost.models.filters import metadata_text
from memhost.models.limits import MAX_ALL_VALUES, MAX_FILTER_VALUES
from memhost.models.trust import at_least
from memhost.operations.requests import (
    DateFilter,
    MemoryTypeFilter,
    MetadataFilter,
    Operators,
    SearchFields,
    TagFilter,
)
from memhost.reading import is_whole_day
from memhost.text.temporal.times import day_start

_LIST_OPERATORS = {"any": Op.ANY, "in_": Op.ANY, "all": Op.ALL, "none": Op.NONE, "not_in": Op.NONE}
_SINGLE_OPERATORS = {"eq": Op.ANY, "ne": Op.NONE, "not_eq": Op.NONE, "startswith": Op.PREFIX}
_BOUNDS = {
    "both": (Op.GTE, Op.LTE),
    "neither": (Op.GT, Op.LT),
    "left": (Op.GTE, Op.LT),
    "right": (Op.GT, Op.LTE),
}


def compile_filters(request: SearchFields, zone: str = "UTC") -> tuple[Condition, ...]:
    """All conditions of the request, which must hold together.

    Args:
        request: The search.
        zone: IANA zone in which a date without a time of day is a day.

    Raises:
        ValidationFailed: A filter is empty or combines operators that exclude each other; all are named.
    """
    problems: list[Problem] = []
    conditions: list[Condition] = []
    for name in request.__struct_fields__:
        if isinstance(value := getattr(request, name), Operators):
            compiler = partial(date_conditions, zone=zone) if isinstance(value, DateFilter) else tag_conditions
            _compile(name, value, compiler, (name,), conditions, problems)
    for key, value in (request.metadata or {}).items():
        name = TRUST if key == TRUST else f"metadata.{key}"  # where the level stood before it was the server's own
        _compile(name, value, metadata_conditions, ("metadata", key), conditions, problems)
    if request.min_trust is not None:
        conditions.append(Condition("trust", Op.ANY, at_least(request.min_trust)))
    if problems := problems or too_many_values(conditions):
        raise ValidationFailed(problems)
    return tuple(conditions)


def too_many_values(conditions: Sequence[Condition]) -> list[Problem]:
    """The problem of filters that are too many conditions for a store, though each filter alone would do."""
    numbers = {"all": 0, "": 0}
    for condition in conditions:
        numbers["all" if condition.op is Op.ALL else ""] += len(condition.values)
    for operator, most in (("all", MAX_ALL_VALUES), ("", MAX_FILTER_VALUES)):
        if (number := numbers[operator]) > most:
            named = f" of `{operator}`" if operator else ""
            sentence = f"Too many values{named} in all filters together: {number:,}; at most {most:,} are allowed."
            return [Problem(kind="too_long", message=sentence)]
    return []


def _compile(
    name: str,
    value: Any,
    compiler: Callable[[str, Any], list[Condition]],
    where: tuple[str, ...],
    conditions: list[Condition],
    problems: list[Problem],
) -> None:
    if value is None:
        return
    try:
        found = compiler(name, value)
        if not found:
            operators = ", ".join(sorted(value.__struct_fields__))
            raise ValueError(f"the filter has no effective operator; known operators: {operators}")
        conditions.extend(found)
    except ValueError as error:
        problems.append(Problem(where=where, message=str(error), value=msgspec.to_builtins(value)))


def tag_conditions(
    name: str, value: TagFilter | MemoryTypeFilter | MetadataFilter, text: Callable[[str], str] = str
) -> list[Condition]:
    """Conditions of a filter on a tag; `text` gives the form by which a text is found (not for `startswith`).

    Raises:
        ValueError: The operators contradict each other or an operand is empty.
    """
    given = _given(value)
    _refuse_pair(given, "eq", "ne")
    _refuse_pair(given, "any", "all")
    if "startswith" in given and len(given) > 1:
        raise ValueError("'startswith' cannot be combined with other operators")
    conditions = []
    for operator, operand in given.items():
        if operator in _LIST_OPERATORS:
            if not operand:
                raise ValueError(f"'{operator}' must be a non-empty list")
            values = tuple(_plain(item, text) for item in operand)
            conditions.append(Condition(name, _LIST_OPERATORS[operator], values))
        else:
            if operator == "startswith" and not operand:
                raise ValueError("'startswith' must be a non-empty string")
            found_by = _plain(operand, str if operator == "startswith" else text)
            conditions.append(Condition(name, _SINGLE_OPERATORS[operator], (found_by,)))
    return conditions


def date_conditions(name: str, value: DateFilter, zone: str = "UTC") -> list[Condition]:
    """Conditions of a filter on a time.

    `eq` with whole seconds holds for that full second, and `ne` for everything outside of it. The other operators
    compare with the moment itself, to the microsecond.

    A date without a time of day is the whole day in `zone`: `lte` ends behind it, `gt` starts there, `eq` is any time
    on it and `ne` none.

    Raises:
        ValueError: `between` has not two values or is combined with other operators.
    """
    given = _given(value)
    inclusive = given.pop("inclusive", None)
    if "between" not in given:
        if inclusive is not None:
            raise ValueError("'inclusive' can only be used with 'between'")
        return [part for operator, operand in given.items() for part in _date_condition(name, operator, operand, zone)]
    if len(given) > 1:
        raise ValueError("'between' cannot be combined with other operators")
    if len(given["between"]) != 2:
        raise ValueError("'between' must be a list of two datetimes")
    low, high = _BOUNDS[inclusive or "both"]
    first, last = given["between"]
    return [*_date_condition(name, low, first, zone), *_date_condition(name, high, last, zone)]


def _date_condition(name: str, operator: str, operand: datetime, zone: str) -> list[Condition]:
    if is_whole_day(operand):
        return _day_conditions(name, Op(operator), operand.date(), zone)
    operand = operand.astimezone(UTC)
    if operator in ("eq", "ne") and operand.microsecond == 0:
        try:
            end = operand + timedelta(seconds=1)
        except OverflowError:
            raise ValueError(f"'{operator}' cannot be the last second of the year 9999") from None
        if operator == "ne":
            return [Condition(name, Op.OUTSIDE, (operand, end))]
        return [Condition(name, Op.GTE, (operand,)), Condition(name, Op.LT, (end,))]
    return [Condition(name, Op(operator), (operand,))]


def _day_conditions(name: str, op: Op, day: date, zone: str) -> list[Condition]:
    start, end = day_start(day, zone), day_start(day, zone, 1)
    match op:
        case Op.EQ:
            return [Condition(name, Op.GTE, (start,)), Condition(name, Op.LT, (end,))]
        case Op.NE:
            return [Condition(name, Op.OUTSIDE, (start, end))]
        case Op.GT:
            return [Condition(name, Op.GTE, (end,))]
        case Op.LTE:
            return [Condition(name, Op.LT, (end,))]
        case _:
            return [Condition(name, op, (start,))]


def metadata_conditions(name: str, value: MetadataFilter) -> list[Condition]:
    """Conditions of a filter on a metadata key: tag operators on any value, comparisons and `between` on numbers.

    Raises:
        ValueError: The operators contradict each other or an operand is empty.
    """
    given = _given(value)
    order = {key: given.pop(key) for key in ("gt", "gte", "lt", "lte") if key in given}
    if "between" in given:
        if order:
            raise ValueError("'between' cannot be combined with other comparisons")
        order["gte"], order["lte"] = given.pop("between")
    conditions = [Condition(name, Op(operator), (float(operand),)) for operator, operand in order.items()]
    if given:
        conditions += tag_conditions(name, msgspec.convert(given, MetadataFilter), metadata_text)
    return conditions


def _given(value: Any) -> dict[str, Any]:
    fields = {field: getattr(value, field) for field in value.__struct_fields__}
    return {field: operand for field, operand in fields.items() if operand is not None}


def _plain(value: Any, text: Callable[[str], str]) -> str | float:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return float(value)
    return text(str(getattr(value, "value", value)))


def _refuse_pair(given: dict[str, Any], first: str, second: str) -> None:
    if first in given and second in given:
        raise ValueError(f"'{first}' and '{second}' cannot be combined")
