"""Memories of one owner, kept in the process as columns: a search looks at arrays instead of rows.

A memory that changes gets a new row number, higher than all before, so rows that were read stay true for ever. A block
is that of a reader's view if as many memories lie in it, and the newest of each owner is the same: what was added
since is read, what is gone is left out. Bodies keep the form of the file and are decoded where somebody looks at them.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import apsw
import numpy as np

from memhost.models import Trust
from memhost.ranking import Columns
from memhost.storekit.held import Numbers
from memhost_store_sqlite.codec import Body, Ids, decode_body, parse_ids
from memhost_store_sqlite.memories import RID_BITS, RID_MASK
from memhost_store_sqlite.scopes import Reach, owners_of
from memhost_store_sqlite.sealing import Reading

_PATCHED = 64
"""Memories that may come and go before a block is read again, where these are more than half of it: patching keeps
words that are gone, and takes time for each memory that stays."""

_MOST_BLOCKS = 10_000
"""Owners of whom something is kept, be it that there is no block."""

MOST_OWNERS = 16
"""Owners (a user in several namespaces, for example) of one block."""

State = tuple[int, tuple[int, ...]]
"""Number of memories, and the key of the newest of each owner."""


@dataclass(frozen=True, slots=True)
class Block:
    """n memories in the order of their row numbers, which rise.

    Attributes:
        rids: Row numbers, ascending, n.
        names: Ids, n.
        bodies: `codec.Body` as in the file, n.
        columns: What the ranking reads of them; their words and vectors, n.
        sessions: Numbers of the sessions' scopes, n.
        since: From when each holds, microseconds; n.
        until: Until when each holds, microseconds; n.
        kinds: `TURN`, `SOURCES`: what it is, n.
        trusts: Levels of trust, n.
        size: Bytes that it takes, about.
        patched: Memories that came or went since all of them were read at once.
    """

    rids: Ids
    names: list[str]
    bodies: list[bytes]
    columns: Columns
    sessions: Numbers
    since: Numbers
    until: Numbers
    kinds: bytes
    trusts: list[Trust | None]
    size: int
    patched: int = 0

    def decoded(self, row: int) -> Body:
        """The memory in a row."""
        return decode_body(self.bodies[row])

    @property
    def last(self) -> int:
        """The highest row number; 0 without any."""
        return int(self.rids[-1]) if len(self.rids) else 0

    def only(self, rids: Ids) -> Block:
        """Those of its memories whose row numbers are among the given ones, ascending."""
        kept = np.flatnonzero(np.isin(self.rids, rids, assume_unique=True))
        if len(kept) == len(self.rids):
            return self
        at = kept.tolist()
        bodies = [self.bodies[row] for row in at]
        return Block(
            rids=self.rids[kept],
            names=[self.names[row] for row in at],
            bodies=bodies,
            columns=Columns.concat([self.columns.take(kept)], text_of=text_of(bodies)),
            sessions=self.sessions[kept],
            since=self.since[kept],
            until=self.until[kept],
            kinds=bytes(self.kinds[row] for row in at),
            trusts=[self.trusts[row] for row in at],
            size=self.size * len(at) // len(self.rids),
            patched=self.patched + len(self.rids) - len(at),
        )

    def then(self, other: Block) -> Block:
        """Both, one behind the other; the other's row numbers are higher."""
        bodies = self.bodies + other.bodies
        return Block(
            rids=np.concatenate((self.rids, other.rids)),
            names=self.names + other.names,
            bodies=bodies,
            columns=Columns.concat([self.columns, other.columns], text_of=text_of(bodies)),
            sessions=np.concatenate((self.sessions, other.sessions)),
            since=np.concatenate((self.since, other.since)),
            until=np.concatenate((self.until, other.until)),
            kinds=self.kinds + other.kinds,
            trusts=self.trusts + other.trusts,
            size=self.size + other.size,
            patched=self.patched + len(other.rids),
        )


def text_of(bodies: Sequence[bytes]) -> Callable[[int], str]:
    """Return what reads what was said by the memory in a row."""

    def read(row: int) -> str:
        body = decode_body(bodies[row])
        return body.record.text[body.lead :]

    return read


ReadBlock = Callable[[apsw.Connection, Reading, Sequence[int], int], Block | None]


class Blocks:
    """The blocks that were used last, shared by the reading threads.

    Args:
        limit_bytes: Most that they may take together; 0 keeps none.
        most_rows: Owners with more memories have no block.
        read: Reads the memories of owners above a row number (`block_read.read_block`).
    """

    def __init__(self, limit_bytes: int, most_rows: int, read: ReadBlock) -> None:
        self._reader = read
        self._limit = limit_bytes
        self._most = most_rows
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[int, ...], tuple[State, Block | None]] = OrderedDict()
        self._size = 0

    def block(self, connection: apsw.Connection, reading: Reading, reach: Reach) -> Block | None:
        """Everything in reach in this view; None if it is too much, or not all of it is what the server wrote."""
        if not self._limit or reach.column == "session" or not 0 < reach.documents <= self._most:
            return None
        owners = reach.ids
        if reach.column != "owner":
            owners = tuple(owner for owner, _ in owners_of(connection, reading.scope))
        if not 0 < len(owners) <= MOST_OWNERS:
            return None
        newest = _newest(connection, owners)
        state = (reach.documents, newest)
        with self._lock:
            known = self._kept.get(owners)
            if known is not None:
                self._kept.move_to_end(owners)
        if known is not None and known[0] == state:
            return known[1]
        former = None if known is None else known[1]
        if former is not None and former.patched > max(_PATCHED, len(former.rids) // 2):
            former = None
        fresh = self._reader(connection, reading, owners, 0 if former is None else former.last)
        block = None
        if fresh is not None:
            block = _brought_up(connection, reach, former, fresh, max(key & RID_MASK for key in newest))
        if block is not None or fresh is None or former is None:
            self._keep(owners, state, block)
        return block

    def _keep(self, owners: tuple[int, ...], state: State, block: Block | None) -> None:
        """Keep a block, or that there is none: not all is what the server wrote, and each search would read it all."""
        with self._lock:
            self._size -= _size_of(self._kept.pop(owners, None))
            self._kept[owners] = (state, block)
            self._size += _size_of(self._kept[owners])
            while self._kept and (self._size > self._limit or len(self._kept) > _MOST_BLOCKS):
                self._size -= _size_of(self._kept.popitem(last=False)[1])


def _size_of(kept: tuple[State, Block | None] | None) -> int:
    return 0 if kept is None or kept[1] is None else kept[1].size


def _brought_up(
    connection: apsw.Connection, reach: Reach, former: Block | None, fresh: Block, newest: int
) -> Block | None:
    """The former block with what was added since, and without what is gone.

    None where the former block is of a later view than this one, and lacks what was replaced meanwhile; and where what
    is there is not what is counted, so that somebody changed the file.
    """
    block = fresh if former is None else former if not len(fresh.rids) else former.then(fresh)
    if len(block.rids) != reach.documents or block.last > newest:
        block = block.only(_alive(connection, reach))
    return block if len(block.rids) == reach.documents else None


def _newest(connection: apsw.Connection, owners: Sequence[int]) -> tuple[int, ...]:
    """The key of the newest memory of each owner; 0 without any."""
    return tuple(
        int(
            connection.execute(
                "SELECT coalesce(max(vid), 0) FROM contents WHERE vid BETWEEN ? AND ?",
                (owner << RID_BITS, (owner << RID_BITS) | RID_MASK),
            ).get
        )
        for owner in owners
    )


def _alive(connection: apsw.Connection, reach: Reach) -> Ids:
    where, bindings = reach.where()
    listed = connection.execute(f"SELECT group_concat(m.rid) FROM memories m WHERE {where}", bindings).get  # noqa: S608
    return np.sort(parse_ids(listed))


def marks_of(connection: apsw.Connection, rids: Ids) -> dict[int, tuple[int, int]]:
    """Number of accesses and time of the last one, by row number, of those rows that are there."""
    if not len(rids):
        return {}
    rows: list[Any] = connection.execute(
        "SELECT group_concat(m.rid), group_concat(m.access_count), group_concat(m.last_accessed) "
        "FROM carray(?) r CROSS JOIN memories m ON m.rid = r.value",
        (apsw.carray(rids),),
    ).fetchall()
    known, counts, times = (parse_ids(listed).tolist() for listed in rows[0])
    return dict(zip(known, zip(counts, times, strict=True), strict=True))
