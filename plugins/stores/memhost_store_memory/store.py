"""`MemoryStore`: the readable reference of the store port, in dicts, by brute force.

Rules of batches, sessions, documents and jobs are those of `memhost.storekit`, over rows in a dict. Whatever goes in or
out is copied through msgpack, so callers never share mutable state with the store. Nothing survives the process.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import msgspec

from memhost.integrity import Keyring, Seals
from memhost.models import (
    CandidateHit,
    CandidateQuery,
    Candidates,
    Change,
    Condition,
    Entry,
    Head,
    Scope,
    StoredMemory,
    StoreInfo,
    Verification,
    WriteBatch,
    WriteResult,
    matches,
)
from memhost.ports import Clock, Order, SystemClock
from memhost.storekit import (
    SESSION,
    Row,
    RowQuery,
    RowStore,
    check_field,
    copy_memory,
    owner_of,
    rules,
    to_micros,
    to_micros_or_none,
)
from memhost_store_memory import ranking
from memhost_store_memory.history import MemoryHistory
from memhost_store_memory.rows import MemoryRows


class MemoryStore(RowStore):
    """Everything in dicts. `clock` decides whether a session that a batch replaces has expired."""

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        embedder: str | None = None,
        dimensions: int | None = None,
        keys: Keyring | None = None,
        keep_versions: bool = True,
    ) -> None:
        super().__init__(clock or SystemClock())
        self._embedder = embedder
        self._dimensions = dimensions
        self._rows = MemoryRows()
        self._history = MemoryHistory(Seals(keys), keep_versions)

    @asynccontextmanager
    async def rows(self) -> AsyncIterator[MemoryRows]:
        """Return the stored rows."""
        yield self._rows

    async def info(self) -> StoreInfo:
        """Engine, schema version, embedder and counts."""
        return StoreInfo(
            engine="memory",
            schema_version=1,
            embedder=self._embedder,
            dimensions=self._dimensions,
            counts={"memories": len(self._rows.memories_by_id), **await self.count_states()},
            durable=False,
        )

    # -- history ---------------------------------------------------------------------------------------

    def check_versions(self, batch: WriteBatch, stored: Mapping[str, StoredMemory]) -> None:
        """Check the versions that the batch expects."""
        rules.check_versions(batch, {name: memory.version for name, memory in stored.items()})

    def record(
        self,
        tenant: str,
        batch: WriteBatch,
        result: WriteResult,
        before: Mapping[str, StoredMemory],
        after: dict[str, StoredMemory],
    ) -> None:
        """Enter what the batch does."""
        at = to_micros(self.clock.now())
        for name in result.deleted:
            self._history.deleted(tenant, at, before[name])
        gone = set(result.deleted)
        for name, memory in after.items():
            former = None if name in gone else before.get(name)
            after[name] = self._history.put(tenant, at, memory, former, restored=batch.restored)
        for note in batch.notes:
            self._history.note(tenant, at, msgspec.structs.replace(note))

    def record_states(self, tenant: str, before: Sequence[Row], after: Sequence[Row]) -> None:
        """Enter what happens to sessions and documents."""
        self._history.states(tenant, to_micros(self.clock.now()), before, after)

    async def heads(self) -> dict[str, Head]:
        """The ends of all chains, by tenant."""
        return {tenant: self._history.head(tenant) for tenant in self._history.chains}

    async def link_at(self, tenant: str, seq: int) -> bytes | None:
        """The link of an entry, None if there is none of that number."""
        chain = self._history.chains.get(tenant, [])
        if seq == 0:
            return b""
        return chain[seq - 1].link if 0 < seq <= len(chain) else None

    async def list_entries(
        self, scope: Scope, *, memory: str | None = None, newest: bool = False, after: int = 0, limit: int = 100
    ) -> list[Entry]:
        """Entries inside the scope, by number."""
        return self._history.entries(scope, memory, after, limit, newest=newest)

    async def former_state(self, scope: Scope, seq: int) -> StoredMemory | None:
        """The state before an entry, if it was kept."""
        return self._history.former(scope, seq)

    async def drop_former(self, tenant: str, seqs: Sequence[int], why: Change) -> int:
        """Remove former states, and say so in an entry."""
        return self._history.drop(tenant, to_micros(self.clock.now()), seqs, why)

    async def old_former(self, tenant: str, *, before: datetime | None, keep: int | None, limit: int) -> list[int]:
        """Numbers of entries with former states that are too old or too many."""
        return self._history.old(tenant, to_micros_or_none(before), keep)[:limit]

    async def erase_history(self, scope: Scope, why: Change) -> tuple[int, Head]:
        """Remove what entries say about the scope, and whatever memory is left in it."""
        for memory in self._select(scope, ()):
            del self._rows.memories_by_id[scope.tenant, memory.record.id]
            self._history.sealed.pop((scope.tenant, memory.record.id), None)
        await self._rows.delete(RowQuery(kinds=[SESSION], scope=scope))
        return self._history.erase(scope, to_micros(self.clock.now()), why)

    async def verify(self) -> Verification:
        """Compare everything with its seals and with the chains."""
        now = to_micros(self.clock.now())
        return self._history.verify(self._rows.memories_by_id, self._rows.states.values(), now)

    async def seal_anew(self) -> int:
        """Count the memories: the keys of a process do not change."""
        return len(self._rows.memories_by_id)

    # -- reading ---------------------------------------------------------------------------------------

    async def list_memories(
        self,
        scope: Scope,
        conditions: Sequence[Condition] = (),
        *,
        order: Order = "newest",
        limit: int = 100,
        offset: int = 0,
    ) -> tuple[list[StoredMemory], int]:
        """A page of the memories that satisfy all conditions, by (created_at, id)."""
        found = self._select(scope, conditions)
        found.sort(
            key=lambda memory: (memory.record.created_at, memory.record.id),
            reverse=order == "newest",
        )
        return [copy_memory(memory) for memory in found[offset : offset + limit]], len(found)

    async def stored_bytes(self, scope: Scope) -> int:
        """Bytes of the memories, sessions and documents inside the scope."""
        memories = sum(len(msgspec.msgpack.encode(memory.record)) for memory in self._select(scope, ()))
        async with self.rows() as rows:
            found = await rows.select(RowQuery(scope=scope))
        return memories + sum(len(row.body) for row in found)

    async def candidates(self, scope: Scope, query: CandidateQuery) -> Candidates:
        """Each leg ranks every memory of the scope that satisfies the conditions."""
        corpus = self._select(scope, ())
        eligible = self._select(scope, query.conditions)
        matching = ranking.text_scores(eligible, corpus, query.text) if query.text else {}
        near = ranking.distances(eligible, query)
        text = dict(sorted(matching.items(), key=lambda item: (-item[1], item[0]))[: query.text_limit])
        vector = dict(sorted(near.items(), key=lambda item: (item[1], item[0]))[: query.vector_limit])
        found = [memory for memory in corpus if memory.record.id in text or memory.record.id in vector]
        hits = [
            CandidateHit(
                memory=copy_memory(memory),
                text_score=text.get(memory.record.id),
                distance=vector.get(memory.record.id),
            )
            for memory in [*found, *ranking.neighbours(corpus, found, query.neighbours)]
        ]
        answer = Candidates(hits=hits)
        if query.statistics_for:
            answer.documents = len(corpus)
            answer.average_length = ranking.average_length(corpus)
            answer.frequencies = {term: sum(term in memory.terms for memory in corpus) for term in query.statistics_for}
        if query.count and query.vector is None and query.text is not None:
            answer.total = len(matching)
        elif query.count:
            answer.total = len(near if query.vector is not None and query.max_distance is not None else eligible)
        return answer

    def _select(self, scope: Scope, conditions: Sequence[Condition]) -> list[StoredMemory]:
        for condition in conditions:
            check_field(condition)
        return [
            memory
            for (tenant, _), memory in self._rows.memories_by_id.items()
            if tenant == scope.tenant and scope.allows(*owner_of(memory.record)) and matches(memory.record, conditions)
        ]
