"""Conditions and texts, brought into the few forms that engines can be asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from memhost.errors import InvalidRequest
from memhost.models import Condition, MemoryRecord, Op, Scope, TextMatch
from memhost.models.filters import (
    DATE_FIELDS,
    FOLDED_FIELDS,
    METADATA_PREFIX,
    TAG_FIELDS,
    matches,
    metadata_values,
    tag_values,
)
from memhost.storekit.values import to_micros

OWNER_FIELDS = ("namespace", "user_id", "session_id")

K1, B = 1.2, 0.3
"""BM25: saturation of repeated terms, and strength of the length normalisation (low suits short turns)."""

Phrase = tuple[str, ...]


def check_field(condition: Condition) -> None:
    """Refuse a condition on what memories do not have.

    Raises:
        InvalidRequest: There is no such field.
    """
    name = condition.field
    if name not in TAG_FIELDS and name not in DATE_FIELDS and not name.startswith(METADATA_PREFIX):
        raise InvalidRequest(f"Memories cannot be filtered by {name!r}.")


class Clause(NamedTuple):
    """A condition with values as `values_of` and `ranges_of` give them."""

    field: str
    op: Op
    values: tuple[str | float, ...]


def clauses(scope: Scope, conditions: Iterable[Condition] = ()) -> list[Clause]:
    """The bounds of the scope inside its tenant (`Op.ANY` on an owner field), then the conditions.

    Times become microseconds; texts of fields without letter case are folded.

    Raises:
        InvalidRequest: A condition names a field that memories do not have.
    """
    bounds = zip(OWNER_FIELDS, (scope.namespaces, scope.users, scope.sessions), strict=True)
    found = [Clause(field, Op.ANY, allowed) for field, allowed in bounds if allowed is not None]
    for condition in conditions:
        check_field(condition)
        found.append(Clause(condition.field, condition.op, tuple(_plain_values(condition))))
    return found


def _plain_values(condition: Condition) -> Iterator[str | float]:
    for value in condition.values:
        if isinstance(value, datetime):
            yield to_micros(value)
        else:
            yield str(value).casefold() if condition.field in FOLDED_FIELDS else value


def values_of(record: MemoryRecord) -> list[tuple[str, str | float]]:
    """Every (field, value) that `Op.ANY`, `ALL`, `NONE` and `PREFIX` can find the record by."""
    found: list[tuple[str, str | float]] = []
    for field in TAG_FIELDS:
        found += [(field, value) for value in tag_values(record, field)]
    for key, entry in record.metadata.items():
        found += [(METADATA_PREFIX + key, item) for item in metadata_values(entry)]
    return found


def ranges_of(record: MemoryRecord) -> dict[str, tuple[float, float]]:
    """Return the numbers that comparisons look at, by field: the least and the greatest, of times in microseconds.

    Of several numbers one that passes is enough: `Op.GT` and `GTE` ask the greatest, `LT` and `LTE` the least. Whether
    one is equal `values_of` tells.
    """
    moments = {field: getattr(record, field) for field in DATE_FIELDS}
    times = {field: float(to_micros(moment)) for field, moment in moments.items() if moment is not None}
    found = {field: (at, at) for field, at in times.items()}
    for field, value in values_of(record):
        if isinstance(value, float):
            low, high = found.get(field, (value, value))
            found[field] = (min(low, value), max(high, value))
    return found


def numbers_of(record: MemoryRecord) -> dict[str, float]:
    """The least number of each field; `ranges_of` has both ends, which comparisons need where there are several."""
    return {field: low for field, (low, _) in ranges_of(record).items()}


def required_phrases(match: TextMatch) -> list[Phrase]:
    """Phrases that every hit must hold."""
    return [phrase for phrase in match.required if phrase]


def scored_phrases(match: TextMatch) -> list[Phrase]:
    """Return the terms and phrases that BM25 adds up, each once; a hit holds at least one of them.

    Without any it is the required phrases; nothing at all matches nothing.
    """
    wanted = [(term,) for term in match.any_of] + [phrase for phrase in match.phrases if phrase]
    return list(dict.fromkeys(wanted or required_phrases(match)))


def occurrences(terms: Phrase, phrase: Phrase) -> int:
    """Return the number of times that a phrase occurs in the terms."""
    if len(phrase) == 1:
        return terms.count(phrase[0])
    size = len(phrase)
    return sum(terms[start : start + size] == phrase for start in range(len(terms) - size + 1))


def rarity(documents: int, frequency: int) -> float:
    """BM25's weight of a phrase that `frequency` of so many documents hold."""
    return math.log(1 + (max(documents, frequency) - frequency + 0.5) / (frequency + 0.5))


_ABSENCE = (Op.NOT_LTE, Op.NOT_GT)
_CHANGING = ("last_accessed", "access_count")


def agreement(conditions: Sequence[Condition]) -> Callable[[MemoryRecord], bool] | None:
    """Make the test that a record passes whose row was found by these conditions; None if they say nothing of it.

    Most searches have two conditions, on times that most records lack: for those nothing is computed.
    """
    absence = [(each.field, each) for each in conditions if each.op in _ABSENCE and not _is_changing(each)]
    others = [each for each in conditions if each.op not in _ABSENCE and not _is_changing(each)]
    if not absence and not others:
        return None

    def passes(record: MemoryRecord) -> bool:
        for name, condition in absence:
            given = name.startswith(METADATA_PREFIX) or getattr(record, name) is not None
            if given and not matches(record, (condition,)):
                return False
        return not others or matches(record, others)

    return passes


def _is_changing(condition: Condition) -> bool:
    return condition.field in _CHANGING
