"""Compiles conditions into SQL over `memories m`, meaning exactly what `memhost.models.matches` does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from memhost.errors import InvalidRequest
from memhost.models import Condition, Op, Scope
from memhost.models.filters import DATE_FIELDS, FOLDED_FIELDS, METADATA_PREFIX, TAG_FIELDS
from memhost.storekit import to_micros
from memhost_store_sqlite.scopes import Binding, Kind, Sql, is_text_among

_COMPARISONS = {Op.EQ: "=", Op.NE: "IS NOT", Op.GT: ">", Op.GTE: ">=", Op.LT: "<", Op.LTE: "<="}
_OR_EMPTY = {Op.NOT_GT: "<=", Op.NOT_LTE: ">"}
_OPPOSITES = {Op.NE: Op.EQ, Op.NOT_GT: Op.GT, Op.NOT_LTE: Op.LTE}
_COLUMNS = {
    "id": "m.id",
    "memory_hash": "m.hash",
    "memory_type": "m.memory_type",
    "extraction_strategy": "m.extraction_strategy",
    "trust": "m.trust",
}
_OWNERS = {
    "namespace": ("m.nscope", Kind.NAMESPACE, "namespace"),
    "user_id": ("m.uscope", Kind.USER, "user"),
    "session_id": ("m.session", Kind.SESSION, "session"),
}
FACETS = tuple(name for name in TAG_FIELDS if name not in _COLUMNS and name not in _OWNERS)
"""Tags whose values are rows of the table `facets`, as those of metadata are."""
_NEVER: Sql = ("0", [])
_ALWAYS: Sql = ("1", [])


def compile_conditions(conditions: Iterable[Condition], tenant: str) -> Sql:
    """One SQL expression that holds where all conditions do; empty if there are none."""
    return _join([_compile(condition, tenant) for condition in conditions], "AND") if conditions else ("", [])


def narrowed(scope: Scope, conditions: Iterable[Condition]) -> Scope:
    """The scope cut down by conditions that name owners, so that indexes by owner can answer them."""
    parts = {"namespace": scope.namespaces, "user_id": scope.users, "session_id": scope.sessions}
    for condition in conditions:
        if condition.field in parts and condition.op is Op.ANY:
            wanted = tuple(dict.fromkeys(_texts(condition)))
            allowed = parts[condition.field]
            parts[condition.field] = wanted if allowed is None else tuple(set(wanted).intersection(allowed))
    return Scope(
        tenant=scope.tenant,
        namespaces=parts["namespace"],
        users=parts["user_id"],
        sessions=parts["session_id"],
    )


def _compile(condition: Condition, tenant: str) -> Sql:
    name = condition.field
    if name.startswith(METADATA_PREFIX):
        if condition.op in _COMPARISONS or condition.op in _OR_EMPTY:
            return _compare_number(condition)
        return _facets(name, condition.op, condition.values)
    if name in DATE_FIELDS:
        return _compare_date(condition)
    if name in FACETS:
        fold = str.casefold if name in FOLDED_FIELDS else str
        return _facets(name, condition.op, [fold(str(value)) for value in condition.values])
    if name in _COLUMNS:
        return _single(_COLUMNS[name], condition)
    if name in _OWNERS:
        column, kind, part = _OWNERS[name]
        sql, bindings = _single(part, condition)
        scopes = f"SELECT id FROM scopes WHERE kind = {kind.value} AND tenant = ? AND {sql}"  # noqa: S608
        return f"{column} IN ({scopes})", [tenant, *bindings]
    raise InvalidRequest(f"Memories cannot be filtered by {name!r}.")


def _join(parts: Sequence[Sql], word: str) -> Sql:
    if not parts:
        return _ALWAYS if word == "AND" else _NEVER
    bindings: list[Binding] = []
    for _, more in parts:
        bindings += more
    return "(" + f" {word} ".join(sql for sql, _ in parts) + ")", bindings


def _texts(condition: Condition) -> list[str]:
    return [value for value in condition.values if isinstance(value, str)]


def _single(column: str, condition: Condition) -> Sql:
    """A field that always has exactly one string."""
    texts = list(dict.fromkeys(_texts(condition)))
    if condition.op is Op.ALL:
        wanted = set(condition.values)
        if not wanted:
            return _ALWAYS
        return (f"{column} = ?", [texts[0]]) if len(wanted) == 1 == len(texts) else _NEVER
    if condition.op is Op.PREFIX:
        return _join([_prefix(column, text) for text in texts], "OR")
    if condition.op is Op.NONE:
        marks = ",".join("?" * len(texts))
        return f"{column} NOT IN ({marks})", list(texts)
    return is_text_among(column, texts)


def _prefix(column: str, prefix: str) -> Sql:
    """Strings that start with `prefix`: a range, since SQLite orders text by code point."""
    end = prefix.rstrip("\U0010ffff")
    if not end:
        return f"{column} >= ?", [prefix]
    following = ord(end[-1]) + 1
    if 0xD800 <= following <= 0xDFFF:
        following = 0xE000
    return f"({column} >= ? AND {column} < ?)", [prefix, end[:-1] + chr(following)]


def _facets(key: str, op: Op, values: Sequence[object]) -> Sql:
    """A field with any number of values, in the table `facets`."""
    texts = list(dict.fromkeys(value for value in values if isinstance(value, str)))
    numbers = list(dict.fromkeys(float(value) for value in values if isinstance(value, (int, float))))
    if op is Op.PREFIX:
        return _exists(key, _join([_prefix("f.text", text) for text in texts], "OR"))
    if op is Op.ALL:
        each = [_exists(key, ("f.text = ?", [text])) for text in texts]
        each += [_exists(key, ("f.number = ?", [number])) for number in numbers]
        return _join(each, "AND")
    parts = [is_text_among("f.text", texts)] if texts else []
    if numbers:
        parts.append((f"f.number IN ({','.join('?' * len(numbers))})", list(numbers)))
    sql, bindings = _exists(key, _join(parts, "OR"))
    return (f"NOT {sql}" if op is Op.NONE else sql), bindings


def _exists(key: str, test: Sql) -> Sql:
    sql, bindings = test
    found = f"SELECT 1 FROM facets f WHERE f.rid = m.rid AND f.key = ? AND {sql}"  # noqa: S608
    return f"EXISTS ({found})", [key, *bindings]


def _compare_number(condition: Condition) -> Sql:
    """Numbers of a metadata entry, of which one that passes is enough."""
    operand = condition.values[0]
    if not isinstance(operand, (int, float)):
        return _mistyped(condition, "number")
    opposite = _OPPOSITES.get(condition.op)
    sql, bindings = _exists(condition.field, (f"f.number {_COMPARISONS[opposite or condition.op]} ?", [float(operand)]))
    return (f"NOT {sql}" if opposite else sql), bindings


def _compare_date(condition: Condition) -> Sql:
    operand = condition.values[0] if condition.values else None
    column = f"m.{condition.field}"
    if condition.op is Op.OUTSIDE:
        start, end = (to_micros(value) for value in condition.values if isinstance(value, datetime))
        return f"({column} IS NULL OR {column} < ? OR {column} >= ?)", [start, end]
    if condition.op in _OR_EMPTY and isinstance(operand, datetime):
        return f"({column} IS NULL OR {column} {_OR_EMPTY[condition.op]} ?)", [to_micros(operand)]
    if condition.op not in _COMPARISONS or not isinstance(operand, datetime):
        return _mistyped(condition, "date")
    return f"{column} {_COMPARISONS[condition.op]} ?", [to_micros(operand)]


def _mistyped(condition: Condition, kind: str) -> Sql:
    if condition.op is Op.EQ:
        return _NEVER
    if condition.op is Op.NE:
        return _ALWAYS
    raise InvalidRequest(f"The filter on {condition.field!r} with {condition.op.value!r} needs a {kind}.")
