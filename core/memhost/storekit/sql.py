"""`SqlRows`: sessions, documents and jobs in one table of an SQL database."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from memhost.storekit.rows import Row, RowQuery

_COLUMNS = ", ".join(Row._fields)
_ORDERS = {"name": "name", "newest": "sorted_at DESC, name", "oldest": "sorted_at, name", "ending": "ends_at, name"}
_AMONG = {"kinds": "kind", "row_ids": "row_id"}
_COMPARED = {
    "living_at": "(ends_at IS NULL OR ends_at > {0})",
    "ended_by": "ends_at <= {0}",
    "updated_after": "sorted_at > {0}",
    "above": "name > {0}",
    "below": "name < {0}",
}


class SqlRows(ABC):
    """The part of `Rows` that concerns rows, for PostgreSQL and what speaks like it; a subclass adds the memories.

    The table has the columns of `Row` under their names: `row_id` (the primary key), `tenant`, `namespace`, `user_id`,
    `session_id`, `name` and `body` bytes of any length, `sorted_at` and `ends_at` integers of 64 bits, `kind` text.

    Attributes:
        table: The table's name.
        mark: Placeholder of a value in a statement.
        locks: True if the database has `FOR UPDATE`.
    """

    table: ClassVar[str] = "states"
    mark: ClassVar[str] = "%s"
    locks: ClassVar[bool] = True

    @abstractmethod
    async def run(self, sql: str, values: Sequence[Any]) -> list[Any]:
        """Run a statement in the transaction; its rows, each a sequence of columns."""

    @abstractmethod
    async def run_many(self, sql: str, values: Sequence[Sequence[Any]]) -> None:
        """Run a statement without rows once for each of `values`."""

    async def select(self, query: RowQuery, *, lock: bool = False) -> list[Row]:
        """The rows in the order of the query."""
        return [Row(*row) for row in await _page(self, _COLUMNS, query, lock=lock)]

    async def count(self, query: RowQuery) -> int:
        """Return the number of rows that match, regardless of the query's page."""
        where, values = _where(self, query)
        ((total,),) = await self.run(f"SELECT count(*) FROM {self.table} WHERE {where}", values)  # noqa: S608
        return int(total)

    async def delete(self, query: RowQuery) -> int:
        """Remove the rows of the page; return their number."""
        found = await _page(self, "row_id", query, lock=True)
        await self.run_many(f"DELETE FROM {self.table} WHERE row_id = {self.mark}", found)  # noqa: S608
        return len(found)

    async def put(self, rows: Sequence[Row]) -> None:
        """Insert or replace by `row_id`."""
        marks = ", ".join([self.mark] * len(Row._fields))
        replaced = ", ".join(f"{column} = excluded.{column}" for column in Row._fields[1:])
        sql = f"INSERT INTO {self.table} ({_COLUMNS}) VALUES ({marks}) "  # noqa: S608
        await self.run_many(f"{sql} ON CONFLICT (row_id) DO UPDATE SET {replaced}", rows)


async def _page(rows: SqlRows, columns: str, query: RowQuery, *, lock: bool) -> list[Any]:
    where, values = _where(rows, query)
    sql = f"SELECT {columns} FROM {rows.table} WHERE {where} ORDER BY {_ORDERS[query.order]}"  # noqa: S608
    if query.limit is not None:
        sql += f" LIMIT {int(query.limit)} OFFSET {int(query.offset)}"
    if lock and rows.locks:
        sql += " FOR UPDATE" if query.ended_by is None else " FOR UPDATE SKIP LOCKED"
    return await rows.run(sql, values)


def _where(rows: SqlRows, query: RowQuery) -> tuple[str, list[Any]]:
    tests, values = ["1 = 1"], list[Any]()
    if query.scope is not None:
        tests.append(f"tenant = {rows.mark}")
        values.append(query.scope.tenant.encode())
    lists = {column: getattr(query, name) for name, column in _AMONG.items()}
    for column, allowed in (lists | query.bounds()).items():
        if allowed is not None:
            tests.append(f"{column} IN ({', '.join([rows.mark] * len(allowed))})" if allowed else "1 = 0")
            values += allowed
    for name, test in _COMPARED.items():
        if (value := getattr(query, name)) is not None:
            tests.append(test.format(rows.mark))
            values.append(value)
    return " AND ".join(tests), values
