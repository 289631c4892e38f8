"""Compaction: memories that repeat each other, or mean the same, become one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from time import perf_counter
from weakref import WeakValueDictionary

import msgspec

from memhost.consolidation.compaction_pass import ComparingPass
from memhost.consolidation.compaction_state import end_exact, exact_range
from memhost.consolidation.merging import shown
from memhost.consolidation.semantic_duplicates import SemanticDeduplication
from memhost.errors import Forbidden
from memhost.events import MemoriesDeleted, MemoriesUpdated
from memhost.jobs.outbox import Outbox
from memhost.jobs.shared_work import SharedWork
from memhost.jobs.tasks import LongWork
from memhost.memories import aliases
from memhost.memories.derived import former
from memhost.memories.derived.cascade import Cascade
from memhost.memories.enabled import require_long_term_memory
from memhost.memories.records import content_hash, hashes_of
from memhost.memories.repetition import RESTORED, clusters, indexed_anew, united
from memhost.memories.review.waiting import Waiting
from memhost.memories.trash import entries
from memhost.models import TURN_STRATEGY, Condition, MemoryRecord, Op, Scope, StoredMemory, WriteBatch
from memhost.models.roles import OPERATORS
from memhost.operations.maintenance import CompactMemories
from memhost.operations.responses import CompactionReport, Join, Task
from memhost.operations.table import Call
from memhost.ports import Clock, Store
from memhost.settings.schema import MemorySettings
from memhost.storage.bound_documents import document_scope
from memhost.storage.leases import Lease, Leases
from memhost.storage.paging import count, walk

logger = logging.getLogger(__name__)

LEASE = "compaction"
"""Name of the lease of those who compact a tenant."""

_BUSY = "Memories are being compacted already; try again when that is done."
_GROUPS_A_COMMIT = 50
_CHUNK = 500
_MAX_JOINS = 1000

NOT_TURNS = Condition("extraction_strategy", Op.NONE, (TURN_STRATEGY,))
"""Turns of conversations are evidence, and never merged."""

TURNS = Condition("extraction_strategy", Op.ANY, (TURN_STRATEGY,))

_Key = tuple[str, str, str]


class CompactionService:
    """Merges what repeats each other inside one owner, and drops replaced facts when their time is over."""

    def __init__(
        self,
        *,
        store: Store,
        outbox: Outbox,
        deduplication: SemanticDeduplication,
        cascade: Cascade,
        long_work: LongWork,
        leases: Leases,
        reviews: Waiting,
        settings: MemorySettings,
        clock: Clock,
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._cascade = cascade
        self._shared: SharedWork[CompactionReport] = SharedWork(long_work, "compaction", clock)
        self._leases = leases
        self._settings = settings
        self._clock = clock
        self._comparing = ComparingPass(
            store=store,
            outbox=outbox,
            deduplication=deduplication,
            cascade=cascade,
            reviews=reviews,
            settings=settings,
            clock=clock,
        )
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def compact(self, call: Call, request: CompactMemories) -> CompactionReport | Task:
        """Compact the scope of a request; return the report, or the task if the caller does not wait that long.

        Raises:
            LongTermMemoryDisabled: Long-term memory is off.
            Forbidden: The caller may not compact what belongs to more than users that are named.
            Busy: Another process is at it.
            TooManyRequests: The caller has too many compactions under way.
        """
        require_long_term_memory(self._settings)
        scope = call.caller.bounds.narrow(
            namespace=request.namespace or None,
            user=request.user_id or None,
            session=request.session_id or None,
        )
        if scope.users is None and call.caller.roles.isdisjoint(OPERATORS):
            raise Forbidden("Only an operator or admin may compact the memories of all users; give a user_id.")
        return await self._shared.run(
            call.caller.bounds,
            (scope, request.dry_run),
            lambda: self.apply(scope, dry_run=request.dry_run),
            request.wait_s,
        )

    async def apply(self, scope: Scope, *, dry_run: bool = False) -> CompactionReport:
        """Compact a scope; return the report. Can be repeated at any point.

        A dry run changes nothing and asks no language model.

        Raises:
            Busy: Another process is at it.
        """
        started = perf_counter()
        if dry_run:
            report = await self._run(scope, None)
        else:
            waiting = self._turns.setdefault(scope.tenant, asyncio.Lock())
            async with waiting, self._leases.held(scope.tenant, LEASE, told=_BUSY) as turn:
                report = await self._run(scope, turn)
        report = msgspec.structs.replace(
            report,
            remaining=await count(self._store, scope),
            turns=await count(self._store, scope, [TURNS]),
            judge=self._comparing.judges,
            duration_s=round(perf_counter() - started, 3),
            dry_run=dry_run,
        )
        if report.exact_removed or report.merged or report.superseded or report.llm_calls or report.expired:
            fields = {"tenant": scope.tenant, **msgspec.to_builtins(report)}
            logger.info("memories.compacted", extra={"fields": fields})
        return report

    async def _run(self, scope: Scope, turn: Lease | None) -> CompactionReport:
        """All steps; without a turn nothing is changed."""
        removed = 0
        joins: list[Join] = []
        now = self._clock.now()
        texts = await exact_range(self._store, scope, NOT_TURNS, now)
        groups, scanned = ({}, 0) if texts.nothing else await self._alike(scope, texts.since)
        repeated = [list(ids) for ids in groups.values() if len(ids) > 1]
        groups.clear()
        for start in range(0, len(repeated), _GROUPS_A_COMMIT):
            removed += await self._merge(scope, repeated[start : start + _GROUPS_A_COMMIT], turn, joins)
        gone = frozenset(name for join in joins for name in join.goes)  # in a dry run they are still there
        compared = await self._comparing.run(scope, turn, gone)
        expired = await self._drop_replaced(scope, turn)
        if turn is not None:
            await end_exact(self._store, scope, texts)
        told = [*joins, *compared.joins][:_MAX_JOINS] if turn is None else []
        return msgspec.structs.replace(compared, scanned=scanned, exact_removed=removed, expired=expired, joins=told)

    async def _alike(self, scope: Scope, since: datetime | None) -> tuple[dict[_Key, dict[str, None]], int]:
        """Ids of memories by what repetitions have in common, and how many memories were looked at.

        Without `since` all memories are; else those that changed since then, and those with the same text.
        """
        groups: dict[_Key, dict[str, None]] = {}
        scanned, hashes = 0, dict[str, None]()
        changed = [] if since is None else [Condition("updated_at", Op.GTE, (since,))]
        async for memory in walk(self._store, scope, [NOT_TURNS, *changed]):
            scanned += 1
            if _can_repeat(memory):
                groups.setdefault(_key(memory.record), {})[memory.record.id] = None
                hashes |= dict.fromkeys(hashes_of(memory.record))
        wanted = list(hashes) if changed else []
        for start in range(0, len(wanted), _CHUNK):
            same = Condition("memory_hash", Op.ANY, tuple(wanted[start : start + _CHUNK]))
            async for memory in walk(self._store, scope, [NOT_TURNS, same]):
                if _can_repeat(memory):
                    groups.setdefault(_key(memory.record), {})[memory.record.id] = None
        return groups, scanned

    async def _merge(self, scope: Scope, groups: Sequence[Sequence[str]], turn: Lease | None, joins: list[Join]) -> int:
        """Merge each group in its present form, in one commit, and note it; return the number of deletions."""
        now = self._clock.now()
        ids = [memory_id for group in groups for memory_id in group]
        # Read again, directly before the commit: a memory may have been edited, pinned or deleted since the scan.
        current: dict[_Key, list[StoredMemory]] = {}
        for memory in await self._store.get_memories(scope, ids):
            if _can_repeat(memory):
                current.setdefault(_key(memory.record), []).append(memory)
        kept, gone = [], []
        led: dict[str, str] = {}
        for repeated in current.values():
            for group in clusters(repeated):
                if len(group) > 1:
                    stays = merged(group, now)
                    goes = [item for item in group if item.record.id != stays.record.id]
                    joins.append(shown(stays, goes))
                    led |= {item.record.id: stays.record.id for item in goes}
                    kept.append(stays)
                    gone += goes
        if turn is None or not gone:
            return len(gone)
        batch = WriteBatch(put_memories=kept, delete_memories=[item.record.id for item in gone])
        batch.put_documents = entries(scope.tenant, gone, "repeated", now, self._settings)
        batch.put_documents += aliases.documents(scope.tenant, [item.record for item in gone], led, now)
        await self._note(batch, scope, gone, led, now)
        ids = [memory.record.id for memory in kept]
        batch.add_jobs = self._outbox.memory_jobs(
            "memories_updated", MemoriesUpdated, ids, tenant=scope.tenant, now=now
        )
        return await self._delete(scope, batch, turn, now)

    async def _note(
        self, batch: WriteBatch, scope: Scope, gone: Sequence[StoredMemory], led: Mapping[str, str], now: datetime
    ) -> None:
        """Add to the batch what the memories that stay were before, and what follows from their change."""
        parts: dict[str, list[MemoryRecord]] = {}
        for item in gone:
            parts.setdefault(led[item.record.id], []).append(item.record)
        await former.note_changes(
            self._store, batch, scope, now, keep_days=self._settings.superseded_keep_days, parts=parts
        )
        changed = [item.record for item in (*batch.put_memories, *gone)]
        await self._cascade.changed(batch, scope.tenant, changed, now)

    async def _drop_replaced(self, scope: Scope, turn: Lease | None) -> int:
        """Delete facts that were replaced long enough ago, if history is bounded; return their number."""
        if self._settings.superseded_keep_days is None:
            return 0
        now = self._clock.now()
        bound = now - timedelta(days=self._settings.superseded_keep_days)
        # A fact may have been replaced long after it ended: `updated_at` tells when that was, or when it changed since.
        ended = [Condition(name, Op.LTE, (bound,)) for name in ("valid_to", "updated_at")]
        old = [memory.record.id async for memory in walk(self._store, scope, ended) if _is_replaced(memory)]
        if turn is None:
            return len(old)
        dropped = 0
        for start in range(0, len(old), _CHUNK):
            found = await self._store.get_memories(scope, old[start : start + _CHUNK])
            gone = [memory for memory in found if _is_replaced(memory)]
            batch = WriteBatch(delete_memories=[memory.record.id for memory in gone])
            batch.put_documents = entries(scope.tenant, gone, "superseded", now, self._settings)
            records = [memory.record for memory in gone]
            batch.delete_documents = await former.names_of(self._store, document_scope(scope), records, now)
            dropped += await self._delete(scope, batch, turn, now)
        return dropped

    async def _delete(self, scope: Scope, batch: WriteBatch, turn: Lease, now: datetime) -> int:
        """Commit a batch with deletions while the lease is held; return the number of deleted memories."""
        await turn.keep()
        batch.add_jobs += self._outbox.memory_jobs(
            "memories_deleted", MemoriesDeleted, batch.delete_memories, tenant=scope.tenant, now=now
        )
        result = await self._store.commit(document_scope(scope), batch)
        self._outbox.committed(batch.add_jobs)
        return len(result.deleted)


def _can_repeat(memory: StoredMemory) -> bool:
    record = memory.record
    return not record.pinned and record.extraction_strategy != TURN_STRATEGY and RESTORED not in record.metadata


def _is_replaced(memory: StoredMemory) -> bool:
    return memory.record.superseded_by is not None and not memory.record.pinned


def _key(record: MemoryRecord) -> _Key:
    """Return what repetitions have in common: the owner, the hash of the text, and the time in which it held.

    Hashes of release 0.1.0 are of several statements; `clusters` tells these apart.
    """
    held = msgspec.json.encode([record.valid_from, record.valid_to, record.superseded_by]).decode()
    return f"{record.memory_hash or content_hash(record)} {held}", record.namespace or "", record.user_id or ""


def merged(group: Sequence[StoredMemory], now: datetime) -> StoredMemory:
    """The memory accessed last, with what the others know beside it."""
    ordered = sorted(
        group,
        key=lambda memory: (memory.record.last_accessed, memory.record.access_count, memory.record.id),
        reverse=True,
    )
    return indexed_anew(ordered[0], united(ordered[0].record, [memory.record for memory in ordered], now))
