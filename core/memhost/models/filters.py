"""Conditions on memories: what the filter grammar of the wire compiles to, and what it means.

Stores translate conditions into their own query language. `matches` is the definition they must agree with.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from datetime import datetime
from enum import Enum, StrEnum
from typing import Any

import msgspec

from memhost.models.memory import MemoryRecord

TAG_FIELDS = (
    "namespace",
    "user_id",
    "session_id",
    "topics",
    "entities",
    "extraction_strategy",
    "memory_type",
    "id",
    "memory_hash",
    "trust",
)
LIST_FIELDS = ("topics", "entities")
DATE_FIELDS = (
    *("valid_to", "valid_from", "held_from", "created_at", "said_at", "last_accessed"),
    *("event_date", "event_end", "updated_at"),
)
"""Times of a record; `held_from` follows from the others (`MemoryRecord.held_from`)."""
FOLDED_FIELDS = ("topics", "entities")
"""Fields compared without regard to letter case (`str.casefold`); all others are compared exactly."""

METADATA_PREFIX = "metadata."

_TEXT_MARK = "\uffff"
"""A code point that no text has: it tells the text "true" from the boolean, which is filtered as "true"."""


class Op(StrEnum):
    """Operators of a condition.

    On tags: `ANY` holds if some value of the field is among `values`, `ALL` if every one of `values` is a
    value of the field, `NONE` if no value of the field is among `values` (so also for an empty field),
    `PREFIX` if some value starts with one of `values`.
    On dates and numbers: the comparison with the single value; of several numbers one that passes is enough. `NE`,
    `NOT_GT` (not greater) and `NOT_LTE` (not less or equal) hold where the opposite does not: so for an empty field.
    `OUTSIDE` has two values and is for dates alone: it holds before the first, from the second on, and for an empty
    field.
    """

    ANY = "any"
    ALL = "all"
    NONE = "none"
    PREFIX = "prefix"
    EQ = "eq"
    NE = "ne"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    NOT_GT = "not_gt"
    NOT_LTE = "not_lte"
    OUTSIDE = "outside"


VALUE_OPS = (Op.ANY, Op.ALL, Op.NONE, Op.PREFIX)
"""Operators on tags, and on any value of metadata; the others compare dates and numbers."""


class Condition(msgspec.Struct, frozen=True):
    """One test of one field. `field` is a name of the lists above or `metadata.<key>`.

    `values` holds strings for tags, one aware datetime for dates (two for `OUTSIDE`); for metadata floats or strings,
    as `metadata_values` gives them. A missing owner (`namespace`, `user_id`, `session_id`) is the empty string.
    """

    field: str
    op: Op
    values: tuple[str | float | datetime, ...]


def matches(record: MemoryRecord, conditions: Iterable[Condition]) -> bool:
    """Tell whether the record satisfies all conditions."""
    for condition in conditions:  # noqa: SIM110 - called for each neighbour of a match
        if not _holds(record, condition):
            return False
    return True


def _holds(record: MemoryRecord, condition: Condition) -> bool:
    field, op = condition.field, condition.op
    if field in DATE_FIELDS:
        value = getattr(record, field)
        if op is Op.OUTSIDE:
            start, end = condition.values
            return value is None or value < start or value >= end
        return _compare(value, op, condition.values[0])
    if field.startswith(METADATA_PREFIX):
        return _metadata_holds(record.metadata.get(field[len(METADATA_PREFIX) :]), condition)
    return _tags_hold(tag_values(record, field), condition)


def tag_values(record: MemoryRecord, field: str) -> list[str]:
    """The values of one of `TAG_FIELDS` that `VALUE_OPS` compare: folded if it is folded, "" for none."""
    value = getattr(record, field)
    if field in LIST_FIELDS:
        return [item.casefold() for item in value]
    if isinstance(value, Enum):
        return [str(value.value)]
    return [value or ""]


def _tags_hold(have: list[Any], condition: Condition) -> bool:
    wanted: list[Any] = list(condition.values)
    if condition.field in FOLDED_FIELDS:
        wanted = [str(item).casefold() for item in wanted]
    if condition.op is Op.ALL:
        return all(item in have for item in wanted)
    if condition.op is Op.NONE:
        return not any(item in have for item in wanted)
    if condition.op is Op.PREFIX:
        return any(isinstance(item, str) and item.startswith(tuple(wanted)) for item in have)
    return any(item in have for item in wanted)


def _metadata_holds(value: Any, condition: Condition) -> bool:
    if condition.op in VALUE_OPS:
        return _tags_hold(metadata_values(value), condition)
    numbers = [item for item in metadata_values(value) if isinstance(item, float)]
    if (opposite := _OPPOSITES.get(condition.op)) is not None:
        return not any(_compare(item, opposite, condition.values[0]) for item in numbers)
    return any(_compare(item, condition.op, condition.values[0]) for item in numbers)


def metadata_text(text: str) -> str:
    """The value by which a text in metadata is found: itself, but for texts that read like a boolean."""
    return text + _TEXT_MARK if text.rstrip(_TEXT_MARK) in ("true", "false") else text


def metadata_values(value: Any) -> list[str | float]:
    """Filterable values of a metadata entry.

    Booleans become "true" or "false", strings what `metadata_text` makes of them, numbers floats; a list gives its
    elements' values; everything else has none.
    """
    items = value if isinstance(value, list) else [value]
    found: list[str | float] = []
    for item in items:
        if isinstance(item, bool):
            found.append("true" if item else "false")
        elif isinstance(item, str):
            found.append(metadata_text(item))
        elif isinstance(item, (int, float)):
            found.append(float(item))
    return found


_OPPOSITES = {Op.NE: Op.EQ, Op.NOT_GT: Op.GT, Op.NOT_LTE: Op.LTE}
"""Operators that hold where another does not."""


_COMPARISONS = (
    (Op.NOT_LTE, operator.gt),
    (Op.NOT_GT, operator.le),
    (Op.LTE, operator.le),
    (Op.GTE, operator.ge),
    (Op.LT, operator.lt),
    (Op.GT, operator.gt),
    (Op.EQ, operator.eq),
    (Op.NE, operator.ne),
)


def _compare(value: Any, op: Op, operand: Any) -> bool:
    if value is None:
        return op is Op.NOT_LTE or op is Op.NOT_GT or op is Op.NE
    for name, holds in _COMPARISONS:
        if name is op:  # a look-up would hash the name of the operator each time
            return bool(holds(value, operand))
    raise ValueError(op)
