"""Memories by id, and pages of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import apsw
import numpy as np

from memhost.models import Condition, Op, StoredMemory
from memhost.ports import Order
from memhost.storekit import agreement, to_micros
from memhost_store_sqlite.batch_read import load
from memhost_store_sqlite.codec import Ids, parse_ids
from memhost_store_sqlite.conditions import compile_conditions, narrowed
from memhost_store_sqlite.memories import existing_rows
from memhost_store_sqlite.scopes import Reach, Sql, resolve
from memhost_store_sqlite.sealing import Reading


def get(connection: apsw.Connection, reading: Reading, ids: Sequence[str]) -> list[StoredMemory]:
    """The memories with those ids inside the scope, in the order of `ids`."""
    scope = reading.scope
    wanted = list(dict.fromkeys(ids))
    rows = existing_rows(connection, scope.tenant, wanted)
    rids = {row.id: row.rid for row in rows if scope.allows(*row.owner)}
    memories = load(connection, rids.values(), reading)
    found = [(name, memories[rids[name]]) for name in wanted if rids.get(name) in memories]
    reading.left_out += [name for name, memory in found if memory.record.id != name]
    return [memory for name, memory in found if memory.record.id == name]


def list_page(
    connection: apsw.Connection,
    reading: Reading,
    conditions: Sequence[Condition],
    order: Order,
    limit: int,
    offset: int,
) -> tuple[list[StoredMemory], int]:
    """A page by (created_at, id), and the number of all that match."""
    scope = reading.scope
    compiled = compile_conditions(conditions, scope.tenant)
    reach = resolve(connection, narrowed(scope, conditions))
    if reach is None:
        return [], 0
    where, bindings = _both(reach, compiled)
    direction = "DESC" if order == "newest" else "ASC"
    rows = connection.execute(
        f"SELECT m.rid FROM memories m WHERE {where} "  # noqa: S608
        f"ORDER BY m.created_at {direction}, m.id {direction} LIMIT ? OFFSET ?",
        [*bindings, limit, offset],
    )
    rids = [int(row[0]) for row in rows]
    memories = load(connection, rids, reading, agreement(conditions), rids)
    all_read = not offset and len(rids) < limit
    total = len(rids) if all_read else count(connection, reach, compiled)
    return [memories[rid] for rid in rids if rid in memories], total


def count(connection: apsw.Connection, reach: Reach, compiled: Sql) -> int:
    """Return the number of memories in reach that satisfy the compiled conditions."""
    if not compiled[0]:
        return reach.documents
    where, bindings = _both(reach, compiled)
    return int(connection.execute(f"SELECT count(*) FROM memories m WHERE {where}", bindings).get)  # noqa: S608


_ENDED = (
    "SELECT count(*) FROM carray(?) o CROSS JOIN memories m INDEXED BY memories_ending ON m.owner = o.value "
    "WHERE m.valid_to IS NOT NULL AND m.valid_to <= ?"
)
_NOT_BEGUN = (
    "SELECT count(*) FROM carray(?) o CROSS JOIN memories m INDEXED BY memories_beginning ON m.owner = o.value "
    "WHERE m.valid_from IS NOT NULL AND m.valid_from > ? AND (m.valid_to IS NULL OR m.valid_to > ?)"
)
_EARLIEST = np.iinfo(np.int64).min


def count_holding(
    connection: apsw.Connection, owners: Ids, documents: int, conditions: Sequence[Condition]
) -> int | None:
    """Return the number of the owners' memories that satisfy conditions on when they hold; None for other conditions.

    Those that do not are counted, in an index of their own, instead of all that do.

    Args:
        connection: Where to read.
        owners: Numbers of the owners.
        documents: Number of all of their memories.
        conditions: Of a query.
    """
    ended = begun = None
    for condition in conditions:
        moment = condition.values[0] if condition.values else None
        if not isinstance(moment, datetime):
            return None
        if ended is None and (condition.field, condition.op) == ("valid_to", Op.NOT_LTE):
            ended = to_micros(moment)
        elif begun is None and (condition.field, condition.op) == ("valid_from", Op.NOT_GT):
            begun = to_micros(moment)
        else:
            return None
    if ended is not None:
        documents -= int(connection.execute(_ENDED, (apsw.carray(owners), ended)).get)
    if begun is not None:
        since = _EARLIEST if ended is None else ended
        documents -= int(connection.execute(_NOT_BEGUN, (apsw.carray(owners), begun, int(since))).get)
    return documents


def admitted(connection: apsw.Connection, reach: Reach, compiled: Sql) -> Ids:
    """The row numbers of all memories in reach that satisfy the compiled conditions."""
    where, bindings = _both(reach, compiled)
    return parse_ids(connection.execute(f"SELECT group_concat(m.rid) FROM memories m WHERE {where}", bindings).get)  # noqa: S608


def _both(reach: Reach, compiled: Sql) -> Sql:
    within, owners = reach.where()
    where, bindings = compiled
    return (f"{within} AND {where}" if where else within), [*owners, *bindings]
