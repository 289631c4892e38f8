"""`RowStore`: most of the port of a store, over transactions on rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import datetime

from memhost.models import (
    Document,
    Job,
    JobState,
    Scope,
    SessionKey,
    StoredMemory,
    StoredSession,
    WriteBatch,
    WriteResult,
)
from memhost.ports import Clock
from memhost.storekit.rows import (
    CLAIMABLE,
    DOCUMENT,
    SESSION,
    Row,
    RowQuery,
    Rows,
    after_all,
    document_of,
    document_row_id,
    hold,
    job_of,
    job_row_ids,
    name_of,
    row_ids_of,
    rows_of,
    session_of,
    session_row_id,
)
from memhost.storekit.touched import Outbox, Touched
from memhost.storekit.values import from_micros, holds, is_alive, keepable, to_micros, to_micros_or_none


class RowStore(ABC):
    """Writing, memories by id, sessions, documents and outbox of `memhost.ports.Store`, which says what they promise.

    A subclass adds `rows` and what depends on the engine: `info`, `list_memories` and `candidates`.

    Args:
        clock: The host's; decides whether a session or document that a batch looks at has expired.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    @abstractmethod
    def rows(self) -> AbstractAsyncContextManager[Rows]:
        """Begin a transaction; it ends with the context.

        Raises:
            StoreUnavailable: The engine does not answer; nothing was changed.
        """

    def check_versions(self, batch: WriteBatch, stored: Mapping[str, StoredMemory]) -> None:  # noqa: B027
        """Check what the batch expects of the memories that it names; a store without history ignores it.

        Raises:
            MemoryChanged: Some are not as expected; nothing was changed.
        """

    def record(  # noqa: B027 - stores without history need neither
        self,
        tenant: str,
        batch: WriteBatch,
        result: WriteResult,
        before: Mapping[str, StoredMemory],
        after: dict[str, StoredMemory],
    ) -> None:
        """Enter a batch that is about to be applied into the history; a store without one does nothing.

        Args:
            tenant: Whose.
            batch: What was asked for.
            result: What it does.
            before: The memories that it names, as they were, by id.
            after: Those that it puts, as they will be; the store may put others in their place.
        """

    def record_states(self, tenant: str, before: Sequence[Row], after: Sequence[Row]) -> None:  # noqa: B027
        """Enter what happens to sessions and documents into the history; a store without one does nothing.

        Args:
            tenant: Whose.
            before: The rows that a batch names, as they were; jobs among them.
            after: The same, as they will be.
        """

    async def ping(self) -> None:
        """Ask for no row."""
        await _select(self, RowQuery(kinds=[]))

    async def count_states(self) -> dict[str, int]:
        """The counts that `info` gives beside that of memories: `sessions`, `jobs` and `dead_jobs`."""
        kinds = {"sessions": [SESSION], "jobs": CLAIMABLE, "dead_jobs": [JobState.DEAD.value]}
        async with self.rows() as rows:
            return {name: await rows.count(RowQuery(kinds=kinds[name])) for name in kinds}

    # -- writing ---------------------------------------------------------------------------------------

    async def commit(self, scope: Scope, batch: WriteBatch) -> WriteResult:
        """Apply the whole batch or nothing; batches of one tenant come one after the other."""
        ids = [memory.record.id for memory in batch.put_memories] + batch.delete_memories
        with keepable():
            row_ids = row_ids_of(scope.tenant, batch)
            async with self.rows() as rows:
                await rows.lock_tenant(scope.tenant)
                stored = await rows.memories(Scope(tenant=scope.tenant), list(dict.fromkeys(ids))) if ids else ()
                touched = Touched({memory.record.id: memory for memory in stored})
                before = await rows.select(RowQuery(row_ids=row_ids), lock=True) if row_ids else ()
                for row in before:
                    hold(touched, row)
                if batch.if_versions:
                    self.check_versions(batch, {each.record.id: each for each in stored})
                result = touched.apply(scope, batch, self.clock.now())
                after = list(rows_of(touched))
                gone, new = result.deleted + result.replaced, result.created + result.replaced
                if gone or new or batch.notes:
                    changed = {each: touched.memories[each] for each in new}
                    self.record(scope.tenant, batch, result, {each.record.id: each for each in stored}, changed)
                    touched.memories |= changed
                self.record_states(scope.tenant, before, after)
                if gone or new:
                    await rows.change_memories(scope.tenant, gone, [touched.memories[each] for each in new])
                if batch.access:
                    await rows.mark_memories(scope, batch.access)
                await _write(rows, before, after)
        return result

    async def get_memories(self, scope: Scope, ids: Sequence[str]) -> list[StoredMemory]:
        """The memories with those ids inside the scope, in the order of `ids`."""
        wanted = list(dict.fromkeys(ids))
        async with self.rows() as rows:
            found = {memory.record.id: memory for memory in await rows.memories(scope, wanted)}
        return [found[each] for each in wanted if each in found]

    # -- sessions --------------------------------------------------------------------------------------

    async def get_session(self, scope: Scope, key: SessionKey, now: datetime) -> StoredSession | None:
        """The living session of exactly that identity inside the scope."""
        if not scope.covers(key):
            return None
        found = [session_of(row) for row in await _select(self, RowQuery(row_ids=[session_row_id(key)]))]
        return found[0] if found and is_alive(found[0].expires_at, now) else None

    async def find_sessions(self, scope: Scope, session_id: str, now: datetime, limit: int = 2) -> list[SessionKey]:
        """Living identities inside the scope that carry this session id, by key."""
        inside = scope.narrow(session=session_id)
        query = RowQuery(kinds=[SESSION], scope=inside, living_at=to_micros(now), limit=limit)
        return [session_of(row).key for row in await _select(self, query)]

    async def list_sessions(
        self, scope: Scope, now: datetime, *, limit: int = 20, offset: int = 0, updated_after: datetime | None = None
    ) -> tuple[list[SessionKey], int]:
        """A page of living sessions, most recently updated first (then by key)."""
        late = to_micros_or_none(updated_after)
        living = RowQuery(kinds=[SESSION], scope=scope, living_at=to_micros(now), updated_after=late, order="newest")
        found, total = await _page(self, living, limit, offset)
        return [session_of(row).key for row in found], total

    async def purge_expired(self, now: datetime, limit: int = 500) -> int:
        """Remove sessions and documents that expired, at most `limit`."""
        kinds = [SESSION, DOCUMENT]
        async with self.rows() as rows:
            return await rows.delete(RowQuery(kinds=kinds, ended_by=to_micros(now), order="ending", limit=limit))

    # -- documents -------------------------------------------------------------------------------------

    async def get_document(self, scope: Scope, kind: str, document_id: str, now: datetime) -> Document | None:
        """The living document of that kind and id inside the scope, or None."""
        query = RowQuery(row_ids=[document_row_id(scope.tenant, kind, document_id)])
        found = [document_of(row) for row in await _select(self, query)]
        return found[0] if found and holds(scope, found[0]) and is_alive(found[0].expires_at, now) else None

    async def list_documents(
        self, scope: Scope, kind: str, now: datetime, *, after: str = "", limit: int | None = None
    ) -> list[Document]:
        """Living documents of that kind inside the scope whose id comes after `after`, by id."""
        living = RowQuery(kinds=[DOCUMENT], scope=scope, living_at=to_micros(now), limit=limit)
        with keepable():
            above, below = name_of(kind, after), after_all(kind)
        return [document_of(row) for row in await _select(self, replace(living, above=above, below=below))]

    async def document_kinds(self, scope: Scope, now: datetime) -> list[str]:
        """Kinds of which living documents lie inside the scope; one short query for each."""
        kinds: list[str] = []
        living = RowQuery(kinds=[DOCUMENT], scope=scope, living_at=to_micros(now), limit=1)
        while found := await _select(self, living):
            kinds.append(document_of(found[0]).kind)
            living = replace(living, above=after_all(kinds[-1]))
        return kinds

    # -- outbox ----------------------------------------------------------------------------------------

    async def claim_jobs(self, now: datetime, limit: int, lease_s: float) -> list[Job]:
        """Take over due jobs, oldest due first."""
        due = RowQuery(kinds=CLAIMABLE, ended_by=to_micros(now), order="ending", limit=limit)
        async with _outbox(self, due) as outbox:
            return outbox.claim(now, lease_s)

    async def extend_lease(self, job_id: str, lease: str, until: datetime) -> bool:
        """Prolong a lease that is still held."""
        async with _job(self, job_id) as outbox:
            return outbox.extend(job_id, lease, until)

    async def retry_job(self, job_id: str, lease: str, due_at: datetime, error: str) -> bool:
        """Give a running job back as pending; a successor added in the meantime takes its place."""
        async with _job(self, job_id) as outbox:
            return outbox.release(job_id, lease, error, due_at)

    async def bury_job(self, job_id: str, lease: str, error: str) -> bool:
        """Move a running job to the dead-letter list; a successor added in the meantime takes its place."""
        async with _job(self, job_id) as outbox:
            return outbox.release(job_id, lease, error, None)

    async def put_off_job(
        self, job_id: str, lease: str, due_at: datetime, reason: str, since: datetime | None = None
    ) -> bool:
        """Give a running job back without a failure; a successor added in the meantime takes its place."""
        async with _job(self, job_id) as outbox:
            return outbox.put_off(job_id, lease, due_at, reason, since)

    async def waiting_jobs(self) -> tuple[int, Job | None]:
        """Return the number of waiting jobs of all tenants, and the oldest of them."""
        waiting = RowQuery(kinds=[JobState.WAITING.value], order="oldest")
        with keepable():
            async with self.rows() as rows:
                found = await rows.select(replace(waiting, limit=1))
                return await rows.count(waiting), job_of(found[0]) if found else None

    async def revive_job(self, scope: Scope, job_id: str, due_at: datetime) -> bool:
        """Make a dead job pending again with `attempts` 0."""
        async with _job(self, job_id) as outbox:
            return outbox.revive(scope, job_id, due_at)

    async def discard_job(self, scope: Scope, job_id: str) -> bool:
        """Remove a dead job permanently."""
        async with _job(self, job_id) as outbox:
            return outbox.discard(scope, job_id)

    async def list_jobs(
        self, scope: Scope, state: JobState | None = None, *, limit: int = 100, offset: int = 0
    ) -> tuple[list[Job], int]:
        """Jobs of the tenant by (created_at, id)."""
        kinds = [each.value for each in ([state] if state else JobState)]
        query = RowQuery(kinds=kinds, scope=Scope(tenant=scope.tenant), order="oldest")
        found, total = await _page(self, query, limit, offset)
        return [job_of(row) for row in found], total

    async def next_due(self) -> datetime | None:
        """When the next pending job is due, or the next lease runs out."""
        found = await _select(self, RowQuery(kinds=CLAIMABLE, order="ending", limit=1))
        ends_at = found[0].ends_at if found else None
        return None if ends_at is None else from_micros(ends_at)


async def _select(store: RowStore, query: RowQuery) -> Sequence[Row]:
    with keepable():
        async with store.rows() as rows:
            return await rows.select(query)


async def _page(store: RowStore, query: RowQuery, limit: int, offset: int) -> tuple[Sequence[Row], int]:
    with keepable():
        async with store.rows() as rows:
            total = await rows.count(query)
            return await rows.select(replace(query, limit=limit, offset=offset)), total


def _job(store: RowStore, job_id: str) -> AbstractAsyncContextManager[Outbox]:
    return _outbox(store, RowQuery(row_ids=job_row_ids(job_id)))


@asynccontextmanager
async def _outbox(store: RowStore, query: RowQuery) -> AsyncIterator[Outbox]:
    """The jobs of these rows; changes to them are written back."""
    touched = Touched()
    with keepable():
        async with store.rows() as rows:
            if query.row_ids and (found := await rows.select(query)):
                # a batch may be adding what a running job becomes: a row that could not be locked yet
                await rows.lock_tenant(found[0].tenant.decode())
            before = await rows.select(query, lock=True)
            for row in before:
                hold(touched, row)
            yield touched.outbox
            await _write(rows, before, list(rows_of(touched)))


async def _write(rows: Rows, before: Sequence[Row], after: Sequence[Row]) -> None:
    """Write what has changed."""
    was = {row.row_id: row for row in before}
    gone = was.keys() - {row.row_id for row in after}
    changed = [row for row in after if was.get(row.row_id) != row]
    if gone:
        await rows.delete(RowQuery(row_ids=list(gone)))
    if changed:
        await rows.put(changed)
