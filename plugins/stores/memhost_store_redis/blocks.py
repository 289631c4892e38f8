"""Memories of a scope, kept in the process as columns: a search looks at arrays, and asks Redis whether they are true.

Each commit gives the scopes that it changes a new version, and what it changed stands in the chain: `look.lua` compares
the versions, and hands over what was put since. Versions are random, so that none comes again, not even in a server
that went back to an older copy of its data.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from memhost.integrity import Seals
from memhost.models import MemoryRecord, Scope, StoredMemory, Trust
from memhost.ranking import Columns, candidate_of
from memhost.storekit import from_micros, to_micros, to_micros_or_none
from memhost.storekit.held import ALWAYS, NEVER, Numbers, kind_of
from memhost_store_redis.batches import Batch
from memhost_store_redis.codec import MEMORY_FIELDS, Body, decode_body, decode_memories
from memhost_store_redis.connection import Connections
from memhost_store_redis.keys import access_key, memory_base
from memhost_store_redis.opening import Layout
from memhost_store_redis.scopes import Reach, token
from memhost_store_redis.sealing import Reading

Marks = tuple[int, int]
"""Number of times that a memory was found, and the time of the last one in microseconds."""

MOST_SCOPES = 16
"""Scopes (a user in several namespaces, for example) of one block."""

_IN_A_THREAD = 200
"""Memories from which on they are decoded in a thread, so that other requests are not held up."""

_PATCHED = 64
"""Memories that may come and go before a block is read again, where these are more than half of it: patching keeps
words that are gone, and takes time for each memory that stays."""

_MOST_BLOCKS = 10_000
"""Scopes of which something is kept, be it that there is no block."""

_TERMS, _BESIDE = 4, 500
"""Bytes in the process for a byte of indexed terms, and for a memory beside its body, terms and vector."""

_BODY, _TERMS_FIELD = MEMORY_FIELDS.index("body"), MEMORY_FIELDS.index("terms")


@dataclass(frozen=True, slots=True)
class Block:
    """n memories in any order.

    Attributes:
        ids: Ids as keys have them, n.
        names: Ids, n.
        bodies: `codec.Body` as in the hashes, n.
        persisted: When each was stored first, microseconds, where the hash tells it; n.
        columns: What the ranking reads of them; their words and vectors, n.
        since: From when each holds, microseconds; n.
        until: Until when each holds, microseconds; n.
        kinds: `held.TURN`, `held.SOURCES`: what each is, n.
        trusts: Levels of trust, n.
        written: What their hashes tell of how often they were found, n.
        size: Bytes that it takes, about.
        patched: Memories that came or went since all of them were read at once.
    """

    ids: list[bytes]
    names: list[str]
    bodies: list[bytes]
    persisted: list[int | None]
    columns: Columns
    since: Numbers
    until: Numbers
    kinds: bytes
    trusts: list[Trust | None]
    written: list[Marks]
    size: int
    patched: int = 0

    def decoded(self, row: int) -> Body:
        """The memory in a row, as it was written."""
        body = decode_body(self.bodies[row])
        if (persisted := self.persisted[row]) is not None and body.record.persisted_at is None:
            body.record.persisted_at = from_micros(persisted)
        return body

    def records(self) -> Iterable[MemoryRecord]:
        """All records, as they were written."""
        return (self.decoded(row).record for row in range(len(self.ids)))

    def without(self, ids: set[bytes]) -> Block:
        """The memories that are not among these."""
        at = [row for row, each in enumerate(self.ids) if each not in ids]
        if len(at) == len(self.ids):
            return self
        bodies = [self.bodies[row] for row in at]
        return Block(
            ids=[self.ids[row] for row in at],
            names=[self.names[row] for row in at],
            bodies=bodies,
            persisted=[self.persisted[row] for row in at],
            columns=Columns.concat([self.columns.take(at)], text_of=text_of(bodies)),
            since=self.since[at],
            until=self.until[at],
            kinds=bytes(self.kinds[row] for row in at),
            trusts=[self.trusts[row] for row in at],
            written=[self.written[row] for row in at],
            size=self.size * len(at) // len(self.ids),
            patched=self.patched + len(self.ids) - len(at),
        )

    def then(self, other: Block) -> Block:
        """Both, one behind the other; they have no memory in common."""
        bodies = self.bodies + other.bodies
        return Block(
            ids=self.ids + other.ids,
            names=self.names + other.names,
            bodies=bodies,
            persisted=self.persisted + other.persisted,
            columns=Columns.concat([self.columns, other.columns], text_of=text_of(bodies)),
            since=np.concatenate((self.since, other.since)),
            until=np.concatenate((self.until, other.until)),
            kinds=self.kinds + other.kinds,
            trusts=self.trusts + other.trusts,
            written=self.written + other.written,
            size=self.size + other.size,
            patched=self.patched + len(other.ids),
        )


def text_of(bodies: Sequence[bytes]) -> Callable[[int], str]:
    """Return what reads what was said by the memory in a row."""

    def read(row: int) -> str:
        body = decode_body(bodies[row])
        return body.record.text[body.lead :]

    return read


def block_of(rows: Sequence[tuple[bytes, Sequence[bytes | None]]], reading: Reading, layout: Layout) -> Block | None:
    """Memories from their encoded ids and the values of `MEMORY_FIELDS` and the vector, at least one.

    Returns:
        None if any of them is not what the server wrote for that scope.
    """
    ids = [identity for identity, _ in rows]
    values = [row for _, row in rows]
    try:
        found = decode_memories(values, ids, layout.dimensions, reading)
    except msgspec.MsgspecError:
        return None
    memories = [memory for memory in found if memory is not None]
    if len(memories) < len(rows):
        return None
    records = [memory.record for memory in memories]
    bodies = [row[_BODY] or b"" for row in values]
    dense = sum(len(row[-1] or b"") for row in values)
    return Block(
        ids=ids,
        names=[record.id for record in records],
        bodies=bodies,
        persisted=[to_micros_or_none(record.persisted_at) for record in records],
        columns=Columns.of([candidate_of(memory) for memory in memories], text_of=text_of(bodies)),
        since=_times((to_micros_or_none(record.valid_from) for record in records), NEVER),
        until=_times((to_micros_or_none(record.valid_to) for record in records), ALWAYS),
        kinds=bytes(kind_of(record) for record in records),
        trusts=[record.trust for record in records],
        written=[_written(memory) for memory in memories],
        size=dense + sum(map(len, bodies)) + sum(_TERMS * len(row[_TERMS_FIELD] or b"") + _BESIDE for row in values),
    )


def _times(values: Iterable[int | None], absent: int) -> Numbers:
    return np.array([absent if value is None else value for value in values], dtype=np.int64)


def _written(memory: StoredMemory) -> Marks:
    return memory.record.access_count, to_micros(memory.record.last_accessed)


@dataclass(frozen=True, slots=True)
class _Look:
    """The answer of `look.lua`."""

    verdict: bytes
    seq: bytes = b""
    link: bytes = b""
    epoch: bytes = b""
    accesses: bytes = b""
    found: Sequence[bytes] = ()
    rows: Sequence[Any] = ()
    gone: Sequence[bytes] = ()

    @property
    def versions(self) -> tuple[bytes, ...]:
        return tuple(self.found[::3])

    @property
    def documents(self) -> int:
        return sum(map(int, self.found[1::3]))

    @property
    def length(self) -> int:
        return sum(map(int, self.found[2::3]))


@dataclass(slots=True)
class _Kept:
    """A block, or that there is none, of the versions that the scopes had then.

    Attributes:
        look: The answer of which it is; that of any later one of the same versions.
        block: None where not everything is what the server wrote: each search would read it all.
        marks: How often each memory was found, n.
        marked: Version of the times of access that `marks` tells of.
    """

    look: _Look
    block: Block | None
    marks: list[Marks] = field(default_factory=list)
    marked: bytes | None = None


@dataclass(frozen=True, slots=True)
class Whole:
    """Everything in a scope.

    Attributes:
        block: The memories.
        marks: How often each was found, n.
        length: Number of terms of them all.
    """

    block: Block
    marks: list[Marks]
    length: int


class Blocks:
    """The blocks that were used last.

    Args:
        connections: Where to read.
        seals: What is not sealed by these makes that there is no block.
        limit_bytes: Most that the blocks may take together; 0 keeps none.
        most_rows: Scopes with more memories have no block.
    """

    def __init__(self, connections: Connections, seals: Seals, limit_bytes: int, most_rows: int) -> None:
        self._connections = connections
        self._seals = seals
        self._limit = limit_bytes
        self._most = most_rows
        self._kept: OrderedDict[tuple[str, ...], _Kept] = OrderedDict()
        self._size = 0

    async def whole(self, scope: Scope, reach: Reach, layout: Layout) -> Whole | None:
        """Everything in reach now; None if it is nothing or too much, or not all of it is what the server wrote."""
        scopes = reach.counters
        if not self._limit or scopes is None or len(scopes) > MOST_SCOPES:
            return None
        name = (layout.memories, layout.vector, *scopes)
        kept = self._kept.get(name)
        look = await self._look(scope, scopes, layout, None if kept is None else kept.look)
        if look.verdict == b"unknown" or not 0 < look.documents <= self._most:
            return None
        if kept is not None and look.verdict == b"same":
            kept.look = look
            if name in self._kept:
                self._kept.move_to_end(name)
        else:
            kept = await self._read(scope, reach, layout, kept, look)
            self._keep(name, kept)
        if kept.block is None:
            return None
        if kept.marked != look.accesses:
            kept.marks, kept.marked = await self._marks(scope, kept.block), look.accesses
        return Whole(kept.block, kept.marks, kept.look.length)

    def clear(self) -> None:
        """Keep nothing of what was read so far."""
        self._kept.clear()
        self._size = 0

    async def _look(self, scope: Scope, scopes: Sequence[str], layout: Layout, known: _Look | None) -> _Look:
        arguments = self._arguments(scope, scopes, layout, _Look(b"") if known is None else known)
        (answer,) = await self._connections.together([arguments])
        return _Look(*answer)

    def _arguments(self, scope: Scope, scopes: Sequence[str], layout: Layout, known: _Look) -> tuple[Any, ...]:
        versions = known.versions or (b"",) * len(scopes)
        fields = (*MEMORY_FIELDS, layout.vector)
        arguments = [token("T", scope.tenant), known.epoch, known.seq, known.link, len(fields), *fields, len(scopes)]
        arguments += [part for pair in zip(scopes, versions, strict=True) for part in pair]
        return self._connections.script_call("look", *arguments)

    async def _read(self, scope: Scope, reach: Reach, layout: Layout, kept: _Kept | None, look: _Look) -> _Kept:
        former = None if kept is None else kept.block
        if former is not None and look.verdict == b"some" and former.patched <= max(_PATCHED, len(former.ids) // 2):
            block: Block | None = former.without({*look.gone, *(identity for identity, _ in look.rows)})
            if look.rows:
                fresh = await self._block(scope, layout, look.rows)
                block = None if fresh is None or block is None else block.then(fresh)
            if block is None or len(block.ids) == look.documents:
                return _Kept(look, block)
        fields = (*MEMORY_FIELDS, layout.vector)
        batch = Batch(self._connections, memory_base(self._connections.prefix, scope.tenant), fields)
        again = self._arguments(scope, reach.counters or (), layout, _Look(b""))
        place = batch.add(*again, reader=lambda answer: _Look(*answer))
        found = batch.every(layout.memories, reach.query, self._most)
        replies = await batch.run()
        now, hits = replies[place], replies[found]
        base = len(batch.key(b""))
        rows = [(key[base:], [batch.rows[key].get(name.encode()) for name in fields]) for key, _ in hits]
        if now.documents != len(rows) or not rows:
            return _Kept(now, None)
        return _Kept(now, await self._block(scope, layout, rows))

    async def _block(self, scope: Scope, layout: Layout, rows: Sequence[Any]) -> Block | None:
        reading = Reading(scope, self._seals)
        if len(rows) < _IN_A_THREAD:
            return block_of(rows, reading, layout)
        return await asyncio.to_thread(block_of, rows, reading, layout)

    async def _marks(self, scope: Scope, block: Block) -> list[Marks]:
        key = access_key(self._connections.prefix, scope.tenant)
        (accessed,) = await self._connections.together([("HMGET", key, *block.ids)])
        return [
            written if packed is None else _split(packed)
            for written, packed in zip(block.written, accessed, strict=True)
        ]

    def _keep(self, name: tuple[str, ...], kept: _Kept) -> None:
        self._size -= _size_of(self._kept.pop(name, None))
        self._kept[name] = kept
        self._size += _size_of(kept)
        while self._kept and (self._size > self._limit or len(self._kept) > _MOST_BLOCKS):
            self._size -= _size_of(self._kept.popitem(last=False)[1])


def _split(packed: bytes) -> Marks:
    count, last = packed.split()
    return int(count), int(last)


def _size_of(kept: _Kept | None) -> int:
    return 0 if kept is None or kept.block is None else kept.block.size
