"""Parts of the store kit that the bundled stores do not use: rows in an SQL database."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from typing import Any

import pytest

from memhost.ports import Store
from memhost.storekit import Row, SqlRows
from memhost.storekit.rows import after_all, name_of
from memhost.testing.stores.jobs import OutboxTests
from memhost.testing.stores.owners import AtomicityTests
from memhost.testing.stores.state import DocumentTests, SessionTests
from memhost_store_memory.rows import MemoryRows
from memhost_store_memory.store import MemoryStore


class Tables(SqlRows, MemoryRows):
    """Rows in a table of SQLite, memories in a dict."""

    mark, locks = "?", False

    def __init__(self, connection: sqlite3.Connection) -> None:
        MemoryRows.__init__(self)
        self.connection = connection

    async def run(self, sql: str, values: Sequence[Any]) -> list[Any]:
        return self.connection.execute(sql, values).fetchall()

    async def run_many(self, sql: str, values: Sequence[Sequence[Any]]) -> None:
        self.connection.executemany(sql, values)


class SqlStore(MemoryStore):
    """The memory store with its rows in a table."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__()
        connection.execute(f"CREATE TABLE states ({', '.join(Row._fields)}, PRIMARY KEY (row_id))")
        self._rows = Tables(connection)

    @asynccontextmanager
    async def rows(self) -> AsyncIterator[MemoryRows]:
        with self._rows.connection:  # type: ignore[attr-defined]
            yield self._rows


class TestRowsInTables(SessionTests, DocumentTests, OutboxTests, AtomicityTests):
    @pytest.fixture
    def store(self) -> Iterator[Store]:
        with closing(sqlite3.connect(":memory:")) as connection:
            yield SqlStore(connection)


def test_names_have_the_order_of_their_parts() -> None:
    parts = ["", "\0", "\0\0", "\0a", "\x01", "a", "a\0", "a\0b", "a\x01", "ab", "b", "é", "\ud7ff", "\U0010ffff"]
    pairs = [(first, second) for first in parts for second in parts]
    assert sorted(pairs, key=lambda pair: name_of(*pair)) == sorted(pairs)
    for first in parts:
        end = after_all(first)
        assert all((name_of(*pair) < end) == (pair[0] <= first) for pair in pairs)
