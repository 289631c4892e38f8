"""`SqliteStore`: the store port on one SQLite file, and how it is opened."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import apsw
import msgspec

from memhost.errors import ConfigurationError, StoreUnavailable, Tampered
from memhost.integrity import Seals
from memhost.models import (
    CandidateQuery,
    Candidates,
    Change,
    Condition,
    Document,
    Entry,
    Head,
    Job,
    JobState,
    Scope,
    SessionKey,
    StoredMemory,
    StoredSession,
    StoreInfo,
    Verification,
    WriteBatch,
    WriteResult,
)
from memhost.ports import Clock, Order, Store
from memhost.specs import OpenContext
from memhost.storekit import rules, to_micros, to_micros_or_none
from memhost_store_sqlite import documents, history, jobs, listing, memories, search, sessions, sizes
from memhost_store_sqlite.adopting import claim_seals, seal_everything
from memhost_store_sqlite.block_building import BlockBuilding
from memhost_store_sqlite.block_read import read_block
from memhost_store_sqlite.blocks import Blocks
from memhost_store_sqlite.connection import Alone, FileGuard, LookUps, Readers, Writer, connect, transaction
from memhost_store_sqlite.embedding import Embedding
from memhost_store_sqlite.failures import explain_opening
from memhost_store_sqlite.history import Journal
from memhost_store_sqlite.posting_cache import PostingCache
from memhost_store_sqlite.schema import MIGRATIONS, migrate
from memhost_store_sqlite.scrubbing import empty_log, is_kept_clean, keep_clean, merge_step, rewrite
from memhost_store_sqlite.sealing import Reading
from memhost_store_sqlite.settings import SqliteSettings
from memhost_store_sqlite.vector_blocks import forget_deleted
from memhost_store_sqlite.vector_cache import VectorCache
from memhost_store_sqlite.verifying import verify

T = TypeVar("T")


@asynccontextmanager
async def open_sqlite(settings: SqliteSettings, context: OpenContext) -> AsyncIterator[Store]:
    """Open (and if need be create or migrate) the file.

    Raises:
        ConfigurationError: The file cannot be opened or is not a database.
        StoreMismatch: It was written by a newer memhost, or holds vectors of another embedder.
        StoreUnavailable: Another process keeps it locked.
    """
    path = _path(settings, context)
    embedding, seals = Embedding(context.embedder, context.dimensions, path), Seals(context.keys)

    def connected(*, reading: bool) -> apsw.Connection:
        try:
            _create(path)
            return connect(path, settings, reading=reading)
        except (apsw.Error, OSError) as error:
            raise explain_opening(error, path) from error

    def prepare() -> apsw.Connection:
        connection = connected(reading=False)
        try:
            _migrate(connection, path, embedding, seals, context)
        except apsw.Error as error:
            connection.close()
            raise explain_opening(error, path) from error
        except BaseException:  # whatever it was: nobody else could close the connection
            connection.close()
            raise
        return connection

    guard = FileGuard(path)
    writer = Writer("memhost-sqlite-writer", prepare, guard)
    readers = Readers(
        name="memhost-sqlite-reader",
        count=settings.readers,
        connect=lambda: connect(path, settings, reading=True),
        guard=guard,
    )
    try:
        await asyncio.wrap_future(writer.submit(lambda connection: None))
        building = BlockBuilding(readers, writer)
        building.start()
        with contextlib.closing(LookUps(connected(reading=True), guard)) as look_ups:
            yield SqliteStore(
                writer=writer,
                readers=readers,
                look_ups=look_ups,
                building=building,
                embedding=embedding,
                settings=settings,
                context=context,
                seals=seals,
                path=path,
            )
    finally:
        # The writer's connection is the last to close: only that one copies the write-ahead log into the file.
        readers.stop()
        readers.join()
        writer.stop()
        writer.join()


def _migrate(connection: apsw.Connection, path: Path, embedding: Embedding, seals: Seals, context: OpenContext) -> None:
    """Bring the file to the state that this process needs."""
    fresh = connection.pragma("user_version") == 0
    migrate(connection, path)
    if fresh:
        keep_clean(connection)
    embedding.claim(connection, reindex=context.reindex)
    with transaction(connection):
        claim_seals(connection, seals, str(path), to_micros(context.clock.now()), adopt=context.adopt)


def _path(settings: SqliteSettings, context: OpenContext) -> Path:
    path = Path(settings.path) if settings.path else context.data_dir / "memhost.db"
    if not path.parent.is_dir():
        raise ConfigurationError(
            f"The folder {path.parent} of the store does not exist; create it or set another path."
        )
    if context.existing and not path.is_file():
        raise ConfigurationError(f"There is no store at {path}; name the file of an existing one.")
    return path


def _create(path: Path) -> None:
    """Make an empty file that only its owner can read.

    A file that exists is not opened here: closing it would drop the locks that other connections of this
    process hold on it.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return


_LOG_TRIES = 100
"""Number of attempts to empty the write-ahead log, for half a minute in all."""
_LOOKED_UP_BYTES = 64 * 1024
"""Longest session that is read on the event loop: in half a millisecond. Handing it to a thread takes as long."""


class SqliteStore:
    """Made by `open_sqlite`. Each method but look-ups by key runs in a reading thread or in the writing one."""

    def __init__(
        self,
        *,
        writer: Writer,
        readers: Readers,
        look_ups: LookUps,
        building: BlockBuilding,
        embedding: Embedding,
        settings: SqliteSettings,
        context: OpenContext,
        seals: Seals,
        path: Path,
    ) -> None:
        self._writer = writer
        self._readers = readers
        self._look_ups = look_ups
        self._building = building
        self._embedding = embedding
        self._settings = settings
        self._clock: Clock = context.clock
        self._seals = seals
        self._tampered = context.tampered
        self._keeps = context.setting("memory.versions_keep") != 0
        self._path = path
        self._cache = VectorCache(settings.vector_cache_mb * 1024 * 1024)
        self._kept_postings = PostingCache()
        self._blocks = Blocks(settings.block_cache_mb * 1024 * 1024, settings.block_rows, read_block)

    async def _read(self, work: Callable[[apsw.Connection], T]) -> T:
        return await asyncio.wrap_future(self._readers.submit(work))

    async def _read_sealed(self, what: str, scope: Scope, work: Callable[[apsw.Connection, Reading], T]) -> T:
        reading = Reading(scope, self._seals)
        return self._told(what, reading, await self._read(lambda connection: work(connection, reading)))

    def _told(self, what: str, reading: Reading, result: T) -> T:
        if reading.left_out:
            self._tampered(what, reading.left_out)
        return result

    def _journal(self, tenant: str, *, restored: bool = False) -> Journal:
        at = to_micros(self._clock.now())
        return Journal(self._seals.of(tenant), tenant, at, keep=self._keeps, restored=restored)

    async def _look_up(self, work: Callable[[apsw.Connection], T]) -> T:
        try:
            return self._look_ups.run(work)
        except apsw.BusyError:
            return await self._read(work)

    async def _write(self, work: Callable[[apsw.Connection], T]) -> T:
        return await asyncio.wrap_future(self._writer.submit(work))

    async def info(self) -> StoreInfo:
        """Engine, schema version, embedder and counts."""

        def work(connection: apsw.Connection) -> StoreInfo:
            embedder, dimensions = self._embedding.stored(connection)
            counted = {
                "memories": "SELECT coalesce(sum(documents), 0) FROM scopes WHERE kind = 0",
                "sessions": "SELECT count(*) FROM sessions",
                "jobs": "SELECT count(*) FROM jobs WHERE state <> 'dead'",
                "dead_jobs": "SELECT count(*) FROM jobs WHERE state = 'dead'",
            }
            return StoreInfo(
                engine="sqlite",
                schema_version=len(MIGRATIONS),
                embedder=embedder,
                dimensions=dimensions,
                counts={name: int(connection.execute(sql).get) for name, sql in counted.items()},
                details={
                    "path": str(self._path),
                    "bytes": self._path.stat().st_size,
                    "sqlite": apsw.sqlite_lib_version(),
                },
            )

        return await self._read(work)

    async def ping(self) -> None:
        """Return if the file can be read now."""
        await self._read(lambda connection: connection.execute("SELECT count(*) FROM settings").get)

    # -- writing ---------------------------------------------------------------------------------------

    async def commit(self, scope: Scope, batch: WriteBatch) -> WriteResult:
        """Apply the whole batch atomically and durably, or nothing of it.

        What may be refused is decided by the checks that all stores share (`storekit.rules`); what changes, by SQL.
        `storekit.Touched`, which applies batches for stores without such statements, needs each memory that is
        replaced with its text and vector: reading them makes a commit of 20 memories a quarter dearer (0.7 of 2.7 ms),
        and one of 500 by 40 % (12 of 28 ms). The conformance suite holds both to the same behaviour.
        """
        now = to_micros(self._clock.now())
        everywhere = Reading(Scope(tenant=scope.tenant), self._seals)
        journal = self._journal(scope.tenant, restored=batch.restored)

        def work(connection: apsw.Connection) -> WriteResult:
            # everything that can be refused is refused before the first change
            journal.rows = []  # it may run twice, see `connection`
            rules.check_scope(scope, batch)
            jobs.check(connection, batch)
            self._embedding.check(connection, batch.put_memories)
            planned = memories.plan(connection, scope, batch)
            version = rules.next_version(batch, sessions.current_version(connection, batch, now))
            rules.check_documents(
                scope, batch, lambda kind, name: documents.get(connection, everywhere, kind, name, now)
            )
            result = WriteResult(session_version=version)
            memories.apply(connection, scope, planned, result, journal)
            forget_deleted(connection)
            for note in batch.notes:
                journal.add(msgspec.structs.replace(note))
            if batch.access:
                memories.mark_access(connection, scope, batch.access)
            if batch.delete_session:
                result.session_deleted = sessions.delete(connection, scope, batch.delete_session, now, journal)
            if batch.put_session:
                sessions.put(connection, batch.put_session, version, journal)
            documents.apply(connection, scope, batch, journal)
            journal.write(connection)
            jobs.apply(connection, scope, batch)
            return result

        result = await self._write(work)
        self._building.written(len(batch.put_memories))
        return result

    # -- memories --------------------------------------------------------------------------------------

    async def get_memories(self, scope: Scope, ids: Sequence[str]) -> list[StoredMemory]:
        """The memories with those ids inside the scope, in the order of `ids`."""
        return await self._read_sealed(
            "memory", scope, lambda connection, reading: listing.get(connection, reading, ids)
        )

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

        def work(connection: apsw.Connection, reading: Reading) -> tuple[list[StoredMemory], int]:
            return listing.list_page(connection, reading, conditions, order, limit, offset)

        return await self._read_sealed("memory", scope, work)

    async def candidates(self, scope: Scope, query: CandidateQuery) -> Candidates:
        """Candidates for a search, from one consistent view of the store."""

        def work(connection: apsw.Connection, reading: Reading) -> Candidates:
            if query.vector is not None:
                self._embedding.check_query(connection, query.vector)
            kept, rows = self._kept_postings, self._settings.scan_rows
            return search.candidates(connection, reading, query, self._cache, kept, self._blocks, rows)

        return await self._read_sealed("memory", scope, work)

    # -- sessions --------------------------------------------------------------------------------------

    async def get_session(self, scope: Scope, key: SessionKey, now: datetime) -> StoredSession | None:
        """The living session of exactly that identity inside the scope.

        Raises:
            Tampered: It is not what the server wrote.
        """
        reading, at = Reading(scope, self._seals), to_micros(now)
        try:
            found = self._look_ups.run(lambda connection: sessions.get(connection, reading, key, at, _LOOKED_UP_BYTES))
        except (apsw.BusyError, sessions.TooLongError):
            found = await self._read(lambda connection: sessions.get(connection, reading, key, at))
        if reading.left_out:
            self._told("session", reading, None)
            raise Tampered(f"The session {key.session} is not what the server wrote, so it is not served.")
        return found

    async def find_sessions(self, scope: Scope, session_id: str, now: datetime, limit: int = 2) -> list[SessionKey]:
        """Living identities inside the scope that carry this session id, by key."""
        return await self._read(lambda connection: sessions.find(connection, scope, session_id, to_micros(now), limit))

    async def list_sessions(
        self, scope: Scope, now: datetime, *, limit: int = 20, offset: int = 0, updated_after: datetime | None = None
    ) -> tuple[list[SessionKey], int]:
        """A page of living sessions, most recently updated first (then by key)."""
        since = None if updated_after is None else to_micros(updated_after)
        return await self._read(
            lambda connection: sessions.list_page(connection, scope, to_micros(now), limit, offset, since)
        )

    async def stored_bytes(self, scope: Scope) -> int:
        """Bytes of the memories and sessions inside the scope; of a whole tenant those of its documents too."""
        return await self._read(lambda connection: sizes.stored_bytes(connection, scope))

    async def purge_expired(self, now: datetime, limit: int = 500) -> int:
        """Remove sessions and documents that expired, at most `limit`."""

        def work(connection: apsw.Connection) -> int:
            removed = sessions.purge(connection, "sessions", to_micros(now), limit)
            return removed + sessions.purge(connection, "documents", to_micros(now), limit - removed)

        return await self._write(work)

    async def scrub(self) -> None:
        """Remove the rests of what was deleted, in steps between which others write.

        Raises:
            StoreUnavailable: There is no room, or readers never let go of the write-ahead log.
        """
        if not await self._read(is_kept_clean):
            await self._write(Alone(rewrite))
            return
        more = await self._write(partial(merge_step, first=True))
        while more:
            more = await self._write(partial(merge_step, first=False))
        for attempt in range(_LOG_TRIES):
            if await self._write(Alone(partial(empty_log, busy_timeout_s=self._settings.busy_timeout_s))):
                return
            await asyncio.sleep(0.01 * attempt)
        raise StoreUnavailable(
            "Other processes keep reading the store's write-ahead log, so it still contains deleted text."
        )

    # -- documents -------------------------------------------------------------------------------------

    async def get_document(self, scope: Scope, kind: str, document_id: str, now: datetime) -> Document | None:
        """The living document of that kind and id inside the scope, or None."""
        reading = Reading(scope, self._seals)
        found = await self._look_up(
            lambda connection: documents.get(connection, reading, kind, document_id, to_micros(now))
        )
        return self._told("document", reading, found)

    async def list_documents(
        self, scope: Scope, kind: str, now: datetime, *, after: str = "", limit: int | None = None
    ) -> list[Document]:
        """Living documents of that kind inside the scope, by id."""

        def work(connection: apsw.Connection, reading: Reading) -> list[Document]:
            return documents.list_page(connection, reading, kind, to_micros(now), after, limit)

        return await self._read_sealed("document", scope, work)

    async def document_kinds(self, scope: Scope, now: datetime) -> list[str]:
        """Kinds of which living documents lie inside the scope."""
        return await self._read(lambda connection: documents.kinds(connection, scope, to_micros(now)))

    # -- outbox ----------------------------------------------------------------------------------------

    async def claim_jobs(self, now: datetime, limit: int, lease_s: float) -> list[Job]:
        """Take over due jobs, oldest due first."""
        return await self._write(lambda connection: jobs.claim(connection, now, limit, lease_s))

    async def extend_lease(self, job_id: str, lease: str, until: datetime) -> bool:
        """Prolong a lease that is still held."""
        return await self._write(lambda connection: jobs.extend(connection, job_id, lease, until))

    async def retry_job(self, job_id: str, lease: str, due_at: datetime, error: str) -> bool:
        """Give a running job back as pending."""
        return await self._write(lambda connection: jobs.release(connection, job_id, lease, error, due_at))

    async def put_off_job(
        self, job_id: str, lease: str, due_at: datetime, reason: str, since: datetime | None = None
    ) -> bool:
        """Give a running job back without a failure."""
        return await self._write(lambda connection: jobs.put_off(connection, job_id, lease, due_at, reason, since))

    async def bury_job(self, job_id: str, lease: str, error: str) -> bool:
        """Move a running job to the dead-letter list."""
        return await self._write(lambda connection: jobs.release(connection, job_id, lease, error, None))

    async def list_jobs(
        self, scope: Scope, state: JobState | None = None, *, limit: int = 100, offset: int = 0
    ) -> tuple[list[Job], int]:
        """Jobs of the tenant by (created_at, id)."""
        return await self._read(lambda connection: jobs.list_page(connection, scope, state, limit, offset))

    async def revive_job(self, scope: Scope, job_id: str, due_at: datetime) -> bool:
        """Make a dead job pending again with `attempts` 0."""
        return await self._write(lambda connection: jobs.revive(connection, scope, job_id, due_at))

    async def discard_job(self, scope: Scope, job_id: str) -> bool:
        """Remove a dead job permanently."""
        return await self._write(lambda connection: jobs.discard(connection, scope, job_id))

    async def next_due(self) -> datetime | None:
        """When the next pending or waiting job is due, or the next lease runs out."""
        return await self._read(jobs.next_due)

    async def waiting_jobs(self) -> tuple[int, Job | None]:
        """Return the number of waiting jobs of all tenants, and the oldest of them."""
        return await self._read(jobs.waiting)

    # -- history ---------------------------------------------------------------------------------------

    async def heads(self) -> dict[str, Head]:
        """The ends of all chains, by tenant."""
        return await self._read(history.heads)

    async def link_at(self, tenant: str, seq: int) -> bytes | None:
        """The link of an entry, None if there is none of that number."""
        return await self._read(lambda connection: history.link_at(connection, tenant, seq))

    async def list_entries(
        self, scope: Scope, *, memory: str | None = None, newest: bool = False, after: int = 0, limit: int = 100
    ) -> list[Entry]:
        """Entries inside the scope, by number."""

        def work(connection: apsw.Connection, reading: Reading) -> list[Entry]:
            return history.list_entries(connection, reading, memory, after, limit, newest=newest)

        return await self._read_sealed("entry", scope, work)

    async def former_state(self, scope: Scope, seq: int) -> StoredMemory | None:
        """The state before an entry, if it was kept and is what was sealed."""
        seals = self._seals.of(scope.tenant)
        return await self._read(lambda connection: history.former_state(connection, scope, seq, seals))

    async def drop_former(self, tenant: str, seqs: Sequence[int], why: Change) -> int:
        """Remove former states, and say so in an entry."""
        journal = self._journal(tenant)
        return await self._write(lambda connection: history.drop_former(connection, journal, seqs, why))

    async def old_former(self, tenant: str, *, before: datetime | None, keep: int | None, limit: int) -> list[int]:
        """Numbers of entries with former states that are too old or too many."""
        late = to_micros_or_none(before)
        return await self._read(lambda connection: history.old_former(connection, tenant, late, keep, limit))

    async def erase_history(self, scope: Scope, why: Change) -> tuple[int, Head]:
        """Remove what the entries say about the scope, and memories and sessions that could not be read."""
        journal = self._journal(scope.tenant)

        def work(connection: apsw.Connection) -> tuple[int, Head]:
            memories.remove_all(connection, scope)
            forget_deleted(connection)
            sessions.remove_all(connection, scope)
            return history.erase(connection, journal, scope, why)

        return await self._write(work)

    async def verify(self) -> Verification:
        """Compare everything with its seals and with the chain."""
        now = to_micros(self._clock.now())
        return await self._read(lambda connection: verify(connection, self._seals, now))

    async def seal_anew(self) -> int:
        """Make all seals and links again with the current key."""
        at = to_micros(self._clock.now())
        return await self._write(lambda connection: seal_everything(connection, self._seals, at))
