"""Commands that are sent to Redis together and run at one moment, and the hashes that they find."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from memhost_store_redis.connection import Connections

Row = dict[bytes, bytes]
Rows = dict[bytes, Row]
"""Fields of hashes, by key."""
Hits = list[tuple[bytes, float]]
Reader = Callable[[Any], Any]


class Batch:
    """Reading commands for one transaction; each is known by its place.

    Attributes:
        rows: What the queries found. Contents come from the engine itself, row by row: a script that read them would
            build each value twice more.
        matched: Number that satisfied the query added by `scored`, also beyond its limit.
    """

    def __init__(self, connections: Connections, base: str, fields: Sequence[str]) -> None:
        """Begin.

        Args:
            connections: Where to ask.
            base: What the keys start with that aggregations find by `id`.
            fields: What to return of each hash.
        """
        self.rows: Rows = {}
        self.matched = 0
        self._connections = connections
        self._base = base.encode()
        self._fields = fields
        self._timeout_ms = int(connections.timeout * 1000)
        self._commands: list[Sequence[Any]] = []
        self._readers: list[Reader | None] = []

    def add(self, *command: Any, reader: Reader | None = None) -> int:
        """Add a command; without a reader its reply is taken as it is."""
        self._commands.append(command)
        self._readers.append(reader)
        return len(self._commands) - 1

    def query(self, name: str, index: str, query: str, *options: Any, reader: Reader | None = None) -> int:
        """Add FT.SEARCH or FT.AGGREGATE. Its time limit is the caller's, who then gets an error, not a part."""
        return self.add(name, index, query, *options, "TIMEOUT", self._timeout_ms, "DIALECT", 2, reader=reader)

    def count(self, index: str, query: str, *options: Any) -> int:
        """Add the counting of all that satisfy a query."""
        options = ("NOCONTENT", "VERBATIM", "LIMIT", 0, 0, *options)
        return self.query("FT.SEARCH", index, query, *options, reader=_total)

    def scored(self, index: str, query: str, *options: Any) -> int:
        """Add FT.SEARCH; the hits are its keys and their scores."""
        returned = ("WITHSCORES", "RETURN", len(self._fields), *self._fields)
        return self.query("FT.SEARCH", index, query, *returned, *options, reader=self._read_scored)

    def near(self, index: str, query: str, *options: Any) -> int:
        """Add FT.SEARCH by a query that yields `distance`; the hits are its keys and their distances."""
        returned = ("RETURN", len(self._fields) + 1, "distance", *self._fields)
        return self.query("FT.SEARCH", index, query, *returned, *options, reader=self._read_near)

    def listed(self, index: str, query: str, *options: Any, by: str = "") -> int:
        """Add FT.AGGREGATE, whose rows have `id`; the hits are keys and the values of `by` (0 without one)."""
        loaded = ("LOAD", len(self._fields), *(f"@{name}" for name in self._fields))
        return self.query(
            "FT.AGGREGATE", index, query, *options, *loaded, reader=lambda reply: self._read_listed(reply, by.encode())
        )

    def every(self, index: str, query: str, most: int) -> int:
        """Add FT.SEARCH for all that satisfy a query, at most so many, in any order; the hits are their keys."""
        returned = ("RETURN", len(self._fields), *self._fields)
        return self.query("FT.SEARCH", index, query, *returned, "LIMIT", 0, most, reader=self._read_every)

    def key(self, identity: bytes) -> bytes:
        """The key of the hash with that `id`."""
        return self._base + identity

    async def run(self) -> list[Any]:
        """Send all commands; return their replies as read, in order."""
        if not self._commands:
            return []
        replies = await self._connections.together(self._commands)
        return [
            reply if reader is None else reader(reply) for reader, reply in zip(self._readers, replies, strict=True)
        ]

    def _read_scored(self, reply: Sequence[Any]) -> Hits:
        self.matched = int(reply[0])
        hits = []
        for key, score, fields in zip(reply[1::3], reply[2::3], reply[3::3], strict=True):
            self.rows[key] = row_of(fields)
            hits.append((key, float(score)))
        return hits

    def _read_every(self, reply: Sequence[Any]) -> Hits:
        found = [(key, row_of(fields)) for key, fields in zip(reply[1::2], reply[2::2], strict=True)]
        self.rows.update(found)
        return [(key, 0.0) for key, _ in found]

    def _read_near(self, reply: Sequence[Any]) -> Hits:
        hits = []
        for key, fields in zip(reply[1::2], reply[2::2], strict=True):
            row = row_of(fields)
            if math.isfinite(distance := float(row[b"distance"])):  # else somebody damaged the vector
                self.rows[key] = row
                hits.append((key, distance))
        return hits

    def _read_listed(self, reply: Sequence[Any], by: bytes) -> Hits:
        hits = []
        for fields in reply[1:]:
            row = row_of(fields)
            key = self.key(row[b"id"])
            self.rows[key] = row
            hits.append((key, float(row[by]) if by else 0.0))
        return hits


def _total(reply: Sequence[Any]) -> int:
    return int(reply[0])


def row_of(fields: Iterable[bytes] | None) -> Row:
    """Names and values in turn as a dictionary."""
    each = iter(fields or ())
    return dict(zip(each, each, strict=True))
