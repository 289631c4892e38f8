"""The comparing step of compaction: what changed since the last pass, and its neighbours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from time import perf_counter

import msgspec

from memhost.consolidation.changes import note_changes
from memhost.consolidation.compaction_state import MARGIN, Cursor, read_cursor, write_cursor
from memhost.consolidation.judge import MAX_PAIRS, Pair
from memhost.consolidation.semantic_duplicates import Resolution, SemanticDeduplication, judged_pairs, pair_mark
from memhost.consolidation.similarity import can_merge
from memhost.events import MemoriesDeleted, MemoriesStored, MemoriesSuperseded, MemoriesUpdated
from memhost.jobs.outbox import Outbox
from memhost.memories.derived.cascade import Cascade
from memhost.memories.nearest import STATEMENTS_ONLY
from memhost.memories.review.waiting import Staged, Waiting
from memhost.memories.trust import CONTRADICTS
from memhost.models import Condition, Op, Scope, SessionKey, StoredMemory, WriteBatch
from memhost.operations.responses import CompactionReport, Join
from memhost.ports import Clock, Store
from memhost.settings.schema import MemorySettings
from memhost.storage.bound_documents import document_scope
from memhost.storage.leases import Lease
from memhost.storage.paging import count, walk

GROUPS_A_CALL = 10
"""Groups of near memories that one call is about."""

_LEG = 5000
_CHUNK = 200
_MAX_S = 60.0
_Owner = tuple[str, str]


@dataclass(slots=True)
class _Progress:
    """State of a pass."""

    calls_left: int
    judged: set[bytes]
    gone: Set[str]
    seen: set[frozenset[str]] = field(default_factory=set)
    merged: int = 0
    superseded: int = 0
    llm_calls: int = 0
    undecided: int = 0
    stopped: bool = False
    waits: datetime | None = None
    joins: list[Join] = field(default_factory=list)

    def meet(self, memories: Sequence[StoredMemory]) -> None:
        """Note memories that cannot be compared yet."""
        for memory in memories:
            if memory.vector is None and (self.waits is None or memory.record.updated_at < self.waits):
                self.waits = memory.record.updated_at

    def add(self, found: Resolution) -> None:
        self.calls_left -= found.llm_calls
        self.llm_calls += found.llm_calls
        self.merged += found.merged
        self.superseded += len(found.superseded)
        self.undecided += found.undecided
        self.judged |= found.judged
        self.joins += found.joins


class ComparingPass:
    """Compares the changed memories of a scope, oldest first, with near ones, and merges or replaces them.

    The store keeps its progress. A pass ends early when its calls are used up, the model does not answer, or
    it takes too long; the next one continues there.
    """

    def __init__(
        self,
        *,
        store: Store,
        outbox: Outbox,
        deduplication: SemanticDeduplication,
        cascade: Cascade,
        reviews: Waiting,
        settings: MemorySettings,
        clock: Clock,
    ) -> None:
        self._store = store
        self._cascade = cascade
        self._outbox = outbox
        self._deduplication = deduplication
        self._reviews = reviews
        self._settings = settings
        self._clock = clock

    @property
    def judges(self) -> bool:
        """Tell whether a language model judges near memories: one is configured, and judging is switched on."""
        return self._deduplication.enabled and self._deduplication.can_judge

    async def run(self, scope: Scope, turn: Lease | None, gone: Set[str] = frozenset()) -> CompactionReport:
        """Compare what is to be compared, without those `gone`; without a turn nothing is changed, no model asked.

        Without a language model nothing is compared: only a model can tell what near memories are to each other.
        """
        if not self.judges:
            return CompactionReport()
        now = self._clock.now()
        calls = self._settings.compaction_max_llm_calls if turn is not None else 0
        cursor = await self._begin(scope, now, judging=calls > 0)
        progress = _Progress(calls, await judged_pairs(self._store, scope, now), gone, waits=cursor.waits)
        started = perf_counter()
        changed = [STATEMENTS_ONLY, *([_changed_since(cursor.since)] if not cursor.whole and cursor.since else [])]
        resume: datetime | None = None
        async for chunk in self._chunks(scope, changed, cursor.resume):
            progress.meet(chunk)
            await self._compare(scope, chunk, turn, progress, now)
            if progress.stopped or perf_counter() - started > _MAX_S:
                resume = chunk[0].record.created_at if progress.stopped else chunk[-1].record.created_at
                break
        if turn is not None:
            cursor.waits = progress.waits
            await self._end(scope, cursor, resume, now, judging=calls > 0)
        return CompactionReport(
            merged=progress.merged,
            superseded=progress.superseded,
            llm_calls=progress.llm_calls,
            undecided=progress.undecided,
            unfinished=resume is not None or progress.waits is not None,
            joins=progress.joins,
        )

    # -- parts -----------------------------------------------------------------------------------------

    async def _begin(self, scope: Scope, now: datetime, *, judging: bool) -> Cursor:
        """Return the cursor of the pass that begins or continues now."""
        cursor = await read_cursor(self._store, scope, now)
        if judging and not cursor.judged:
            return Cursor(begun=now, whole=True)
        if cursor.begun is not None:
            return cursor
        cursor = msgspec.structs.replace(cursor, begun=now, whole=cursor.since is None)
        if cursor.since is not None and cursor.memories >= 0:
            # Memories that came with an old `updated_at` (an import) show in the numbers alone.
            changed = await count(self._store, scope, [STATEMENTS_ONLY, _changed_since(cursor.since)])
            cursor.whole = await count(self._store, scope, [STATEMENTS_ONLY]) > cursor.memories + changed
        return cursor

    async def _end(
        self, scope: Scope, cursor: Cursor, resume: datetime | None, now: datetime, *, judging: bool
    ) -> None:
        if resume is not None:
            after = msgspec.structs.replace(cursor, resume=resume, judged=judging)
        else:
            memories = await count(self._store, scope, [STATEMENTS_ONLY])
            if not memories and cursor.since is None:
                return  # nothing is kept of scopes that a caller only names
            since = cursor.begun if cursor.waits is None else min(cursor.waits, cursor.begun or now)
            after = Cursor(since=since, memories=memories, judged=judging)
        await write_cursor(self._store, scope, after, now)

    async def _chunks(
        self, scope: Scope, conditions: Sequence[Condition], start: datetime | None
    ) -> AsyncIterator[list[StoredMemory]]:
        """The memories to look at, some at a time, as they are when their turn comes."""
        following = start
        while True:
            ids, following = await self._leg(scope, conditions, following)
            for first in range(0, len(ids), _CHUNK):
                found = await self._store.get_memories(scope, ids[first : first + _CHUNK])
                if found:
                    yield found
            if following is None:
                return

    async def _leg(
        self, scope: Scope, conditions: Sequence[Condition], start: datetime | None
    ) -> tuple[list[str], datetime | None]:
        """Ids of the next memories, and where the leg after them starts (None: there are no more).

        Ids first, because merges in the meantime would shift the pages. A leg ends between two moments.
        """
        ids: list[str] = []
        last: datetime | None = None
        async for memory in walk(self._store, scope, conditions, start=start):
            created = memory.record.created_at
            if len(ids) >= _LEG and created != last:
                return ids, created
            ids.append(memory.record.id)
            last = created
        return ids, None

    async def _compare(
        self, scope: Scope, chunk: Sequence[StoredMemory], turn: Lease | None, progress: _Progress, now: datetime
    ) -> None:
        """Settle the pairs of the chunk's memories, owner by owner."""
        owners: dict[_Owner, list[StoredMemory]] = {}
        for memory in filter(can_merge, chunk):
            owners.setdefault((memory.record.namespace or "", memory.record.user_id or ""), []).append(memory)
        for (namespace, user), memories in owners.items():
            within = Scope(tenant=scope.tenant, namespaces=(namespace,), users=(user,), sessions=scope.sessions)
            pairs = [pair for pair in await self._deduplication.pairs(within, memories, now) if _is_new(pair, progress)]
            payer = SessionKey(tenant=scope.tenant, namespace=namespace, user=user, session="")
            for part in batches(pairs):
                found = await self._deduplication.settle(within, payer, part, now, ask=progress.calls_left > 0)
                progress.add(found)
                if turn is not None:
                    await self._commit(within, found, turn, now)
                    if found.undecided and (not found.reached or progress.calls_left <= 0):
                        progress.stopped = self._settings.compaction_max_llm_calls > 0
                if progress.stopped:
                    return

    async def _commit(self, scope: Scope, found: Resolution, turn: Lease, now: datetime) -> None:
        batch = WriteBatch()
        staged = await self._hold(scope, found, batch, now)
        found.add_to(batch)
        if not batch.put_memories and not batch.put_documents:
            return
        await note_changes(self._store, self._cascade, batch, scope, found, (), self._settings, now)
        await turn.keep()
        for name, event, ids in (
            ("memories_stored", MemoriesStored, found.made),
            ("memories_updated", MemoriesUpdated, found.updated),
            ("memories_superseded", MemoriesSuperseded, found.superseded),
            ("memories_deleted", MemoriesDeleted, found.delete),
        ):
            batch.add_jobs += self._outbox.memory_jobs(name, event, ids, tenant=scope.tenant, now=now)
        await self._store.commit(document_scope(scope), batch)
        self._outbox.committed(batch.add_jobs)
        self._reviews.committed(staged)

    async def _hold(self, scope: Scope, found: Resolution, batch: WriteBatch, now: datetime) -> Staged:
        """Have those wait for a review that contradict what is trusted more, instead of being stored."""
        against = [each.record for each in found.put if CONTRADICTS in each.record.metadata]
        _, held = await self._reviews.part(scope.tenant, against)
        names = {each.record.id for each in held}
        found.put = [each for each in found.put if each.record.id not in names]
        found.updated = [name for name in found.updated if name not in names]
        staged = await self._reviews.stage(batch, scope.tenant, held, now)
        found.delete += [each.record.id for each in held if each.record.id not in staged.over]  # those stay as they are
        return staged


def batches(pairs: Sequence[Pair]) -> Iterator[list[Pair]]:
    """The pairs, cut so that each part is about few groups of connected memories and fits into one call."""
    group_of: dict[str, int] = {}
    groups: dict[int, list[Pair]] = {}
    for number, pair in enumerate(pairs):
        names = (pair.older.record.id, pair.newer.record.id)
        joined = {group_of[name] for name in names if name in group_of}
        groups[number] = [each for group in joined for each in groups.pop(group)] + [pair]
        for each in groups[number]:
            group_of[each.older.record.id] = group_of[each.newer.record.id] = number
    part: list[Pair] = []
    held = 0
    for group in groups.values():
        for start in range(0, len(group), MAX_PAIRS):
            piece = group[start : start + MAX_PAIRS]
            if part and (held >= GROUPS_A_CALL or len(part) + len(piece) > MAX_PAIRS):
                yield part
                part, held = [], 0
            part, held = part + piece, held + 1
    if part:
        yield part


def _is_new(pair: Pair, progress: _Progress) -> bool:
    """Tell whether the pair is new in this pass and has not been judged lately."""
    names = frozenset((pair.older.record.id, pair.newer.record.id))
    if names in progress.seen or not names.isdisjoint(progress.gone):
        return False
    progress.seen.add(names)
    return pair_mark(pair) not in progress.judged


def _changed_since(moment: datetime) -> Condition:
    return Condition("updated_at", Op.GTE, (moment - MARGIN,))
