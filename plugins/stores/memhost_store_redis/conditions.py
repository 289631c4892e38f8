"""Compiles conditions into RediSearch queries that mean exactly what `memhost.models.matches` does.

Prefixes cannot be asked for directly: the engine silently stops after 200 values. They are first resolved to the
values of the scope that start so (`PrefixTest`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from memhost.errors import InvalidRequest
from memhost.models import Condition, MemoryRecord, Op
from memhost.models.filters import (
    DATE_FIELDS,
    LIST_FIELDS,
    METADATA_PREFIX,
    TAG_FIELDS,
    VALUE_OPS,
    metadata_values,
    tag_values,
)
from memhost.storekit import to_micros
from memhost_store_redis.codec import MARK, MAX_TAG_LENGTH, bounded, encode_tag, escape, sortable_hex, tags

_HEX = "0123456789ABCDEF"
_MAX_KEY_LENGTH = 1000
_MAX_VALUE_LENGTH = 1900


@dataclass(frozen=True, slots=True)
class PrefixTest:
    """Some value of the field starts with one of the encoded `starts`."""

    field: str
    starts: tuple[str, ...]

    def expression(self) -> str:
        """The test as an aggregation filter on `@value`."""
        return " || ".join(f'startswith(@value, "{start}")' for start in self.starts)

    def clause(self, values: Sequence[str]) -> str | None:
        """The clause for what has one of these values, which pass the expression; None if nothing can satisfy it."""
        return f"@{self.field}:{tags(values)}" if values else None


@dataclass(slots=True)
class Filter:
    """All of the clauses must hold, and all of the prefixes; `never` says that nothing can."""

    clauses: list[str] = field(default_factory=list)
    prefixes: list[PrefixTest] = field(default_factory=list)
    never: bool = False

    def exclusions(self) -> str | None:
        """A query for what does not pass, if each clause only excludes something; None otherwise."""
        if self.never or self.prefixes or not self.clauses or any(each[0] != "-" for each in self.clauses):
            return None
        return f"({' | '.join(each[1:] for each in self.clauses)})"


def compile_conditions(conditions: Sequence[Condition]) -> Filter:
    """Compile conditions into a filter.

    Raises:
        InvalidRequest: A condition names a field that memories do not have, or compares unlike things.
    """
    compiled = Filter()
    for condition in conditions:
        _add(compiled, condition)
    return compiled


def _add(compiled: Filter, condition: Condition) -> None:
    name = condition.field
    if name in DATE_FIELDS:
        _compare_date(compiled, condition)
    elif name.startswith(METADATA_PREFIX):
        key = _metadata_key(name[len(METADATA_PREFIX) :])
        if condition.op in VALUE_OPS:
            values = [_metadata_value(key, value) for value in condition.values if not isinstance(value, datetime)]
            starts = [_metadata_start(key, value) for value in condition.values if isinstance(value, str)]
            _tag(compiled, "metadata", condition.op, values, starts)
        else:
            _compare_number(compiled, key, condition)
    elif name in TAG_FIELDS:
        texts = [value for value in condition.values if isinstance(value, str)]
        if len(texts) < len(condition.values) and condition.op is Op.ALL:
            compiled.never = True
        if name in LIST_FIELDS:
            texts = [text.casefold() for text in texts]
        _tag(compiled, name, condition.op, [encode_tag(text) for text in texts], [_start(text) for text in texts])
    else:
        raise InvalidRequest(f"Memories cannot be filtered by {name!r}.")


def _tag(compiled: Filter, name: str, op: Op, values: Sequence[str], starts: Sequence[str]) -> None:
    wanted = list(dict.fromkeys(values))
    if op is Op.ALL:
        compiled.clauses += [f"@{name}:{tags([value])}" for value in wanted]
    elif op is Op.NONE:
        compiled.clauses += [f"-@{name}:{tags(wanted)}"] if wanted else []
    elif not wanted:
        compiled.never = True
    elif op is Op.PREFIX:
        compiled.prefixes.append(PrefixTest(name, tuple(dict.fromkeys(starts))))
    else:
        compiled.clauses.append(f"@{name}:{tags(wanted)}")


def _start(text: str) -> str:
    escaped = escape(text)
    if len(escaped) > MAX_TAG_LENGTH:
        raise InvalidRequest("The prefix of a filter is too long; shorten it.")
    return MARK + escaped


def _compare_date(compiled: Filter, condition: Condition) -> None:
    operand = condition.values[0] if condition.values else None
    if condition.op in VALUE_OPS or not isinstance(operand, datetime):
        _mistyped(compiled, condition, "date")
        return
    if condition.op is Op.OUTSIDE:
        start, end = (to_micros(value) for value in condition.values if isinstance(value, datetime))
        compiled.clauses.append(f"-@{condition.field}:[{start} ({end}]")
        return
    at = to_micros(operand)
    ranges = {
        Op.EQ: f"[{at} {at}]",
        Op.NE: f"-[{at} {at}]",
        Op.GT: f"[({at} +inf]",
        Op.GTE: f"[{at} +inf]",
        Op.LT: f"[-inf ({at}]",
        Op.LTE: f"[-inf {at}]",
        Op.NOT_GT: f"-[({at} +inf]",
        Op.NOT_LTE: f"-[-inf {at}]",
    }
    wanted = ranges[condition.op]
    compiled.clauses.append(f"{'-' if wanted[0] == '-' else ''}@{condition.field}:{wanted.lstrip('-')}")


def _compare_number(compiled: Filter, key: str, condition: Condition) -> None:
    operand = condition.values[0] if condition.values else None
    if not isinstance(operand, (int, float)):
        _mistyped(compiled, condition, "number")
        return
    digits = sortable_hex(float(operand))
    equal = [_metadata_value(key, float(operand))]
    above = [f"{key}~l{each}" for each in _beside(digits, above=True)]
    below = [f"{key}~l{each}" for each in _beside(digits, above=False)]
    wanted = {
        Op.EQ: equal,
        Op.NE: equal,
        Op.GT: above,
        Op.GTE: above + equal,
        Op.LT: below,
        Op.LTE: below + equal,
        Op.NOT_GT: above,
        Op.NOT_LTE: below + equal,
    }[condition.op]
    negated = condition.op in (Op.NE, Op.NOT_GT, Op.NOT_LTE)
    if wanted:
        compiled.clauses.append(f"{'-' if negated else ''}@metadata:{tags(wanted)}")
    elif not negated:
        compiled.never = True


def _beside(digits: str, *, above: bool) -> list[str]:
    """Return the beginnings of hex digits that together cover all numbers above (or below) the given one."""
    found = []
    for place, digit in enumerate(digits):
        at = _HEX.index(digit)
        found += [digits[:place] + other for other in (_HEX[at + 1 :] if above else _HEX[:at])]
    return found


def _mistyped(compiled: Filter, condition: Condition, kind: str) -> None:
    if condition.op is Op.EQ:
        compiled.never = True
    elif condition.op is not Op.NE:
        raise InvalidRequest(f"The filter on {condition.field!r} with {condition.op.value!r} needs a {kind}.")


# -- the tags of a memory ----------------------------------------------------------------------------------


def tag_fields(record: MemoryRecord) -> dict[str, str | int]:
    """The tag and date fields of a memory's hash."""
    found: dict[str, str | int] = {}
    for name in TAG_FIELDS:
        if values := tag_values(record, name):
            found[name] = ",".join(dict.fromkeys(map(encode_tag, values)))
    metadata = list(
        dict.fromkeys(each for key, value in record.metadata.items() for each in _metadata_tags(key, value))
    )
    if metadata:
        found["metadata"] = ",".join(metadata)
    for name in DATE_FIELDS:
        moment = getattr(record, name)
        if moment is not None:
            found[name] = to_micros(moment)
    return found


def _metadata_tags(key: str, value: object) -> list[str]:
    """A tag for each value, and for the least and the greatest number one for each beginning of its sortable digits.

    Of several numbers one that passes a comparison is enough, and these two pass whatever any of them does.
    """
    name = _metadata_key(key)
    values = metadata_values(value)
    found = [_metadata_value(name, each) for each in values]
    numbers = [each for each in values if isinstance(each, float)]
    for number in {min(numbers), max(numbers)} if numbers else ():
        digits = sortable_hex(number)
        found += [f"{name}~l{digits[:size]}" for size in range(1, len(digits) + 1)]
    return found


def _metadata_key(key: str) -> str:
    return MARK + bounded(escape(key), _MAX_KEY_LENGTH)


def _metadata_value(key: str, value: str | float) -> str:
    if isinstance(value, str):
        return f"{key}~s{bounded(escape(value), _MAX_VALUE_LENGTH)}"
    return f"{key}~n{sortable_hex(float(value))}"


def _metadata_start(key: str, value: str) -> str:
    escaped = escape(value)
    if len(escaped) > _MAX_VALUE_LENGTH:
        raise InvalidRequest("The prefix of a filter is too long; shorten it.")
    return f"{key}~s{escaped}"
