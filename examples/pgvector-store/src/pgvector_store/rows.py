"""How records look as rows: what they are found by, and scopes and conditions as SQL over that."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from msgspec import json, msgpack
from pgvector import HalfVector

from memhost.errors import InvalidRequest
from memhost.models import (
    Condition,
    Document,
    Job,
    MemoryRecord,
    Op,
    Scope,
    SessionKey,
    StoredMemory,
    StoredSession,
)
from memhost.models.filters import DATE_FIELDS, FOLDED_FIELDS, LIST_FIELDS, METADATA_PREFIX, TAG_FIELDS, metadata_values
from memhost_store_memory.store import MemoryStore

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST = datetime.min.replace(tzinfo=UTC)
OWNER = ("namespace", "user_id", "session_id")
TAGS = {Op.ANY: "tags && %s::bytea[]", Op.ALL: "tags @> %s::bytea[]", Op.NONE: "NOT tags && %s::bytea[]"}
PREFIX = "EXISTS (SELECT FROM unnest(texts) t, unnest(%s::bytea[]) p WHERE substring(t FOR length(p)) = p)"
ORDER = {Op.EQ: "=", Op.NE: "IS DISTINCT FROM", Op.GT: ">", Op.GTE: ">=", Op.LT: "<", Op.LTE: "<="}
NOT_ORDER = {Op.NOT_GT: ">", Op.NOT_LTE: "<="}
TYPES = {"session": StoredSession, "document": Document}

encode = msgpack.encode
Phrase = tuple[str, ...]
Sql = tuple[str, list[Any]]
"""An expression with `%s` where values go, and the values."""


def digest(*parts: str | float) -> bytes:
    """What stands for these parts in keys and tags; equal numbers count as the same."""
    same = [part if isinstance(part, str) else part + 0.0 for part in parts]
    return hashlib.blake2b(msgpack.encode(same), digest_size=16).digest()


def micros(moment: datetime) -> int:
    """Whole microseconds since 1970."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def moment(value: int) -> datetime:
    """The time of `micros`, in UTC."""
    return EPOCH + timedelta(microseconds=value)


def inside(scope: Scope, conditions: Iterable[Condition] = ()) -> Sql:
    """Holds for the records of the scope that satisfy all conditions."""
    bounds = zip(OWNER, (scope.namespaces, scope.users, scope.sessions), strict=True)
    owners = [Condition(field, Op.ANY, allowed) for field, allowed in bounds if allowed is not None]
    tests = [("tenant = %s", [scope.tenant.encode()]), *map(_test, (*owners, *conditions))]
    return " AND ".join(sql for sql, _ in tests), [value for _, values in tests for value in values]


def _test(condition: Condition) -> Sql:
    field, op, values = condition.field, condition.op, list(condition.values)
    if field not in TAG_FIELDS and field not in DATE_FIELDS and not field.startswith(METADATA_PREFIX):
        raise InvalidRequest(f"Memories cannot be filtered by {field!r}.")
    if op in ORDER or op in NOT_ORDER:
        have, named = "(numbers->>%s)::numeric", [digest(field).hex()]
        if field == "last_accessed":  # access marks change it
            have, named = field, []
        operand = str(micros(values[0]) if isinstance(values[0], datetime) else values[0])
        test = f"{have} {ORDER[op]} %s::numeric" if op in ORDER else f"({have} {NOT_ORDER[op]} %s::numeric) IS NOT TRUE"
        return test, [*named, operand]
    if field in FOLDED_FIELDS:
        values = [str(value).casefold() for value in values]
    if op is Op.PREFIX:
        return PREFIX, [[_prefixed(field, str(value)) for value in values]]
    return TAGS[op], [[digest(field, value) for value in values]]


def _prefixed(field: str, text: str) -> bytes:
    return digest(field)[:8] + text.encode()


def _facets(record: MemoryRecord) -> Iterator[tuple[str, str | float]]:
    """Every (field, value) that a condition on tags can name."""
    for field in TAG_FIELDS:
        value = getattr(record, field)
        yield from ((field, item) for item in (map(str.casefold, value) if field in LIST_FIELDS else [value or ""]))
    for key, entry in record.metadata.items():
        yield from ((METADATA_PREFIX + key, item) for item in metadata_values(entry))


def lexeme(term: str) -> str:
    """What stands for a term in the full text; none is too long or has a character of the query language."""
    return hashlib.blake2b(term.encode(), digest_size=8).hexdigest()


def tsquery(phrase: Phrase) -> str:
    """Matches where the terms stand side by side."""
    return f"({' <-> '.join(map(lexeme, phrase))})"


def memory_row(tenant: str, memory: StoredMemory) -> tuple[Any, ...]:
    """The columns of `memories`."""
    record, named = memory.record, list(_facets(memory.record))
    owner = digest(tenant, record.namespace or "", record.user_id or "", record.session_id or "")
    keys = digest(tenant, record.id), tenant.encode(), record.id.encode(), owner, memory.position
    texts = [_prefixed(field, value) for field, value in named if isinstance(value, str)]
    numbers = {field: micros(value) for field in DATE_FIELDS if (value := getattr(record, field)) is not None}
    numbers |= {field: value for field, value in reversed(named) if isinstance(value, float)}  # the first one counts
    compared = json.encode({digest(field).hex(): value for field, value in numbers.items()}).decode()
    words = " ".join(f"{lexeme(term)}:{place}" for place, term in enumerate(memory.terms, 1))
    access = micros(record.created_at), micros(record.last_accessed), record.access_count
    body, vector = encode(replace(memory, vector=None)), None if memory.vector is None else HalfVector(memory.vector)
    return *keys, [digest(*each) for each in named], texts, compared, words, len(memory.terms), *access, body, vector


def memory_of(body: bytes, last_accessed: int, access_count: int, vector: HalfVector | None) -> StoredMemory:
    memory = msgpack.decode(body, type=StoredMemory)
    memory.record.last_accessed = moment(last_accessed)
    memory.record.access_count = access_count
    memory.vector = None if vector is None else vector.to_numpy().astype(np.float32)
    return memory


def session_key(key: SessionKey) -> bytes:
    return digest("session", key.tenant, key.namespace, key.user, key.session)


def state_of(kind: str, body: bytes) -> Any:
    """The session, document or job of a row of `states`."""
    return msgpack.decode(body, type=TYPES.get(kind, Job))


def _found_by(tenant: str, owner: Phrase, name: Phrase) -> tuple[Any, ...]:
    tags = [digest(*each) for each in zip(OWNER, owner, strict=True)]
    return tenant.encode(), tags, [part.encode() for part in name]


class Touched(MemoryStore):
    """The rules of the port, as the reference store has them, on the rows that a transaction touches."""

    def hold_memory(self, tenant: str, memory: StoredMemory) -> None:
        self._memories[tenant, memory.record.id] = memory

    def memory_rows(self, tenant: str, ids: Iterable[str]) -> list[tuple[Any, ...]]:
        return [memory_row(tenant, self._memories[tenant, each]) for each in ids]

    def hold_state(self, kind: str, body: bytes) -> None:
        value = state_of(kind, body)
        if kind == "session":
            self._sessions[value.key] = value
        elif kind == "document":
            self._documents[value.tenant, value.kind, value.id] = value
        else:
            (self._successors if kind == "successor" else self.jobs)[value.id] = value

    def state_rows(self) -> Iterator[tuple[Any, ...]]:
        """The columns of `states`."""
        for each in self._sessions.values():
            key, name = each.key, (each.key.namespace, each.key.user, each.key.session)
            times = micros(each.content.updated_at), each.expires_at and micros(each.expires_at)
            yield session_key(key), "session", *_found_by(key.tenant, name, name), *times, encode(each)
        for each in self._documents.values():
            key, name = digest("document", each.tenant, each.kind, each.id), (each.kind, each.id)
            times = micros(each.updated_at), each.expires_at and micros(each.expires_at)
            owner = (each.namespace, each.user, "")
            yield key, "document", *_found_by(each.tenant, owner, name), *times, encode(each)
        for group, jobs in (("job", self.jobs), ("successor", self._successors)):
            for each in jobs.values():
                kind = each.state.value if group == "job" else group
                ends_at = {"pending": each.due_at, "running": each.lease_until}.get(kind)
                times = micros(each.created_at), ends_at and micros(ends_at)
                found_by = _found_by(each.tenant, ("", "", ""), (each.id,))
                yield digest(group, each.id), kind, *found_by, *times, encode(each)
