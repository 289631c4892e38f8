"""How memories look as rows, scopes and conditions as SQL over them, and one transaction on the tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any

import psycopg
from msgspec import json
from pgvector import HalfVector

from memhost import storekit as kit
from memhost.models import MAX_ACCESSES, AccessMark, Condition, Op, Scope, StoredMemory

TAGS = {Op.ANY: "tags && %s::bytea[]", Op.ALL: "tags @> %s::bytea[]", Op.NONE: "NOT tags && %s::bytea[]"}
PREFIX = "EXISTS (SELECT FROM unnest(texts) t, unnest(%s::bytea[]) p WHERE substring(t FOR length(p)) = p)"
ORDER = {Op.EQ: "=", Op.NE: "IS DISTINCT FROM", Op.GT: ">", Op.GTE: ">=", Op.LT: "<", Op.LTE: "<="}
NOT_ORDER = {Op.NOT_GT: ">", Op.NOT_LTE: "<="}
PUT = f"INSERT INTO memories VALUES (%s, %s, %s, %s, %s, %b, %b, {', '.join(['%s'] * 8)})"
MARK = """
UPDATE memories SET access_count = least(access_count + 1, %s), last_accessed = greatest(last_accessed, %s)
WHERE key = ANY(%s) AND (%s <= 0 OR access_count = 0 OR last_accessed <= %s) AND {0}"""

Cursor = psycopg.AsyncCursor[Any]
Sql = tuple[str, list[Any]]
"""An expression with `%s` where values go, and the values."""


async def fetch(cursor: Cursor, sql: str, values: Sequence[Any] = ()) -> list[Any]:
    await cursor.execute(sql, values)
    return await cursor.fetchall() if cursor.description else []


def inside(scope: Scope, conditions: Iterable[Condition] = ()) -> Sql:
    """Holds for the memories of the scope that satisfy all conditions."""
    tests = [("tenant = %s", [scope.tenant.encode()]), *map(_test, kit.clauses(scope, conditions))]
    return " AND ".join(sql for sql, _ in tests), [value for _, values in tests for value in values]


def _test(clause: kit.Clause) -> Sql:
    field, op, values = clause
    if op in TAGS:
        return TAGS[op], [[kit.digest(field, value) for value in values]]
    if op is Op.PREFIX:
        return PREFIX, [[_prefixed(field, str(value)) for value in values]]
    marked = field == "last_accessed"  # access marks change it, in its own column
    if field.startswith("metadata.") and op in (Op.EQ, Op.NE):
        return TAGS[Op.ANY if op is Op.EQ else Op.NONE], [[kit.digest(field, float(values[0]))]]
    end = 1 if op in (Op.GT, Op.GTE, Op.NOT_GT) else 0  # of several numbers the greatest or the least
    have, named = (field, []) if marked else (f"(numbers->%s->>{end})::numeric", [kit.digest(field).hex()])
    if op is Op.OUTSIDE:
        test = f"({have} >= %s::numeric AND {have} < %s::numeric) IS NOT TRUE"
        return test, [*named, str(values[0]), *named, str(values[1])]
    test = f"{have} {ORDER[op]} %s::numeric" if op in ORDER else f"({have} {NOT_ORDER[op]} %s::numeric) IS NOT TRUE"
    return test, [*named, str(values[0])]


def _prefixed(field: str, text: str) -> bytes:
    return kit.digest(field)[:8] + text.encode()


def lexeme(term: str) -> str:
    """What stands for a term in the full text; none is too long or has a character of the query language."""
    return blake2b(term.encode(), digest_size=8).hexdigest()


def tsquery(phrase: kit.Phrase) -> str:
    """Matches where the terms stand side by side."""
    return f"({' <-> '.join(map(lexeme, phrase))})"


def memory_keys(tenant: str, ids: Iterable[str]) -> list[bytes]:
    return [kit.digest(tenant, each) for each in ids]


def memory_row(tenant: str, memory: StoredMemory) -> tuple[Any, ...]:
    """The columns of `memories`."""
    record, named = memory.record, kit.values_of(memory.record)
    owner = kit.digest(tenant, *kit.owner_of(record))
    keys = kit.digest(tenant, record.id), tenant.encode(), record.id.encode(), owner, memory.position
    texts = [_prefixed(field, value) for field, value in named if isinstance(value, str)]
    numbers = {kit.digest(field).hex(): value for field, value in kit.ranges_of(record).items()}
    found_by = [kit.digest(*each) for each in named], texts, json.encode(numbers).decode()
    words = " ".join(f"{lexeme(term)}:{place}" for place, term in enumerate(memory.terms, 1))
    access = kit.to_micros(record.created_at), kit.to_micros(record.last_accessed), record.access_count
    vector = None if memory.vector is None else HalfVector(memory.vector)
    return *keys, *found_by, words, len(memory.terms), *access, kit.encode_memory(memory), vector


async def load(cursor: Cursor, scope: Scope, keys: Sequence[bytes]) -> dict[bytes, StoredMemory]:
    """The memories of the scope among those keys, in their order."""
    where, values = inside(scope)
    sql = f"SELECT key, body, last_accessed, access_count, vector FROM memories WHERE {where} AND key = ANY(%s)"
    found = {key: row for key, *row in await fetch(cursor, sql, [*values, list(keys)])}
    loaded = [(key, *found[key]) for key in keys if key in found]
    return {key: kit.decode_memory(*row, vector and vector.to_numpy()) for key, *row, vector in loaded}


class Tables(kit.SqlRows):
    """One transaction, as `memhost.storekit.RowStore` needs it."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor

    async def run(self, sql: str, values: Sequence[Any]) -> list[Any]:
        return await fetch(self._cursor, sql, values)

    async def run_many(self, sql: str, values: Sequence[Sequence[Any]]) -> None:
        await self._cursor.executemany(sql, values)

    async def lock_tenant(self, tenant: str) -> None:
        number = int.from_bytes(kit.digest(tenant)[:8], signed=True)
        await self.run("SELECT pg_advisory_xact_lock(%s)", [number])

    async def memories(self, scope: Scope, ids: Sequence[str]) -> list[StoredMemory]:
        return [*(await load(self._cursor, scope, memory_keys(scope.tenant, ids))).values()]

    async def change_memories(self, tenant: str, gone: Sequence[str], new: Sequence[StoredMemory]) -> None:
        await self.run("DELETE FROM memories WHERE key = ANY(%s)", [memory_keys(tenant, gone)])
        await self.run_many(PUT, [memory_row(tenant, memory) for memory in new])

    async def mark_memories(self, scope: Scope, mark: AccessMark) -> None:
        where, values = inside(scope)
        keys, at, pause = memory_keys(scope.tenant, mark.ids), kit.to_micros(mark.at), int(mark.interval_s * 1e6)
        await self.run(MARK.format(where), [MAX_ACCESSES, at, keys, pause, at - pause, *values])
