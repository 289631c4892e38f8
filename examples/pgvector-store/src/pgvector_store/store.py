"""`PgvectorStore`: what each method promises is written in `memhost.ports.Store`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from importlib.resources import files
from typing import Any

import psycopg
from pgvector.psycopg import register_vector_async
from psycopg_pool import AsyncConnectionPool

from memhost import errors, models
from memhost.models import JobState, Scope
from memhost.ports import Order
from memhost.specs import OpenContext
from pgvector_store import PgvectorSettings, search
from pgvector_store.rows import EARLIEST, Touched, digest, inside, micros, moment, session_key, state_of
from pgvector_store.search import Cursor, fetch

VERSION = 1
EMBED = """
DROP INDEX IF EXISTS memories_by_vector;
UPDATE memories SET vector = NULL WHERE vector IS NOT NULL;
ALTER TABLE memories ALTER COLUMN vector TYPE halfvec({0});
CREATE INDEX memories_by_vector ON memories USING hnsw (vector halfvec_cosine_ops)"""
MARK = """
UPDATE memories SET access_count = least(access_count + 1, %s), last_accessed = greatest(last_accessed, %s)
WHERE key = ANY(%s) AND (%s <= 0 OR access_count = 0 OR last_accessed <= %s) AND {0}"""
PUT_MEMORY = f"INSERT INTO memories VALUES (%s, %s, %s, %s, %s, %b, %b, {', '.join(['%s'] * 8)})"
PUT_STATE = f"""INSERT INTO states VALUES ({", ".join(["%s"] * 8)}) ON CONFLICT (key) DO UPDATE
SET (kind, sorted_at, ends_at, body) = (excluded.kind, excluded.sorted_at, excluded.ends_at, excluded.body)"""
DUE = """SELECT kind, body FROM states WHERE kind IN ('pending', 'running') AND ends_at <= %s
ORDER BY ends_at, name LIMIT %s FOR UPDATE SKIP LOCKED"""
PURGE = """DELETE FROM states WHERE key IN (SELECT key FROM states
WHERE kind IN ('session', 'document') AND ends_at <= %s LIMIT %s FOR UPDATE SKIP LOCKED) RETURNING 1"""
COUNTS = """SELECT version, embedder, dimensions, (SELECT count(*) FROM memories),
(SELECT jsonb_object_agg(kind, n) FROM (SELECT kind, count(*) AS n FROM states GROUP BY kind) counted) FROM about"""


@asynccontextmanager
async def open_store(settings: PgvectorSettings, context: OpenContext) -> AsyncIterator[PgvectorStore]:
    """Raises `ConfigurationError`, `StoreMismatch` or `StoreUnavailable`."""
    options: dict[str, Any] = {
        "options": f"-c search_path={settings.schema},public -c jit=off",
        "connect_timeout": int(settings.timeout_s) + 1,
        "prepare_threshold": 1_000_000,  # plans depend on the values; only bulk writes are prepared
    }
    try:
        async with await psycopg.AsyncConnection.connect(settings.url, **options) as connection:
            await _prepare(connection.cursor(), settings.schema, context)
    except psycopg.OperationalError as error:
        raise errors.StoreUnavailable(f"PostgreSQL cannot be reached; check PGVECTOR_URL: {error}") from error
    except psycopg.Error as error:
        raise errors.ConfigurationError(f"PostgreSQL cannot be used as it is: {error}") from error
    sizes = {"min_size": 1, "max_size": settings.max_connections, "timeout": settings.timeout_s}
    hooks = {"configure": register_vector_async, "check": AsyncConnectionPool.check_connection}
    async with AsyncConnectionPool(settings.url, kwargs=options, open=False, **hooks, **sizes) as pool:
        yield PgvectorStore(pool, context, settings.exact_rows)


async def _prepare(cursor: Cursor, schema: str, context: OpenContext) -> None:
    """Make what is missing; several processes may do this at once."""
    await cursor.execute("SELECT pg_advisory_xact_lock(1835363432)")
    if await fetch(cursor, "SELECT to_regclass(%s)", [f"{schema}.about"]) == [(None,)]:
        if context.existing:
            raise errors.ConfigurationError(f"The database holds no memories in the schema {schema}.")
        await cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        await cursor.execute(files("pgvector_store").joinpath("schema.sql").read_text())
    ((version, *embedder),) = await fetch(cursor, "SELECT version, embedder, dimensions FROM about")
    if version != VERSION:
        raise errors.StoreMismatch(f"The store has schema version {version}, this package knows {VERSION}.")
    wanted = [context.embedder, context.dimensions]
    if context.dimensions is not None and embedder != wanted:
        embedded = await fetch(cursor, "SELECT 1 FROM memories WHERE vector IS NOT NULL LIMIT 1")
        if embedded and not context.reindex:
            raise errors.StoreMismatch(
                f"The store holds vectors of the embedder {embedder[0]}, the server uses {context.embedder}; "
                "run `memhost reindex` to replace them, or configure the former embedder."
            )
        await cursor.execute(EMBED.format(context.dimensions))
        await cursor.execute("UPDATE about SET embedder = %s, dimensions = %s", wanted)


class PgvectorStore:
    """Made by `open_store`."""

    def __init__(self, pool: AsyncConnectionPool[Any], context: OpenContext, exact_rows: int) -> None:
        self._pool = pool
        self._clock = context.clock
        self._exact_rows = exact_rows

    @asynccontextmanager
    async def _transaction(self, *, reading: bool = False) -> AsyncIterator[Cursor]:
        """What is done in it happens as a whole or not at all; `reading` gives one unchanging view."""
        try:
            async with self._pool.connection() as connection, connection.transaction():
                cursor = connection.cursor(binary=True)
                if reading:
                    await cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                yield cursor
        except (UnicodeEncodeError, OverflowError, psycopg.DataError) as error:
            raise errors.InvalidRequest(f"The store cannot keep this value: {error}.") from error
        except psycopg.Error as error:
            raise errors.StoreUnavailable(f"PostgreSQL did not do what was asked ({error}); try again.") from error

    async def info(self) -> models.StoreInfo:
        async with self._transaction() as cursor:
            ((version, embedder, dimensions, memories, states),) = await fetch(cursor, COUNTS)
        states = states or {}
        counts = {"memories": memories, "sessions": states.get("session", 0), "dead_jobs": states.get("dead", 0)}
        counts["jobs"] = states.get("pending", 0) + states.get("running", 0)
        return models.StoreInfo(
            engine="postgresql", schema_version=version, embedder=embedder, dimensions=dimensions, counts=counts
        )

    async def ping(self) -> None:
        async with self._transaction() as cursor:
            await cursor.execute("SELECT 1")

    async def commit(self, scope: Scope, batch: models.WriteBatch) -> models.WriteResult:
        tenant, access = scope.tenant, batch.access
        ids = [memory.record.id for memory in batch.put_memories] + batch.delete_memories
        sessions = [batch.delete_session, batch.put_session and batch.put_session.key]
        keys = [session_key(key) for key in sessions if key]
        documents = [(each.kind, each.id) for each in batch.put_documents]
        documents += batch.delete_documents + batch.require_documents
        keys += [digest("document", tenant, *name) for name in documents]
        jobs = [job.id for job in batch.add_jobs] + batch.cancel_jobs + [*(batch.complete_job or ())][:1]
        keys += [digest(part, job_id) for part in ("job", "successor") for job_id in jobs]
        where, values = inside(scope)
        async with self._transaction() as cursor:
            # one batch at a time in each tenant: what is checked stays true until the end
            await cursor.execute("SELECT pg_advisory_xact_lock(%s)", [int.from_bytes(digest(tenant)[:8], signed=True)])
            memories = await search.load(cursor, Scope(tenant=tenant), [digest(tenant, each) for each in ids])
            async with self._touched(cursor, keys) as touched:
                for memory in memories.values():
                    touched.hold_memory(tenant, memory)
                result = await touched.commit(scope, replace(batch, access=None))
            gone = [digest(tenant, each) for each in result.deleted + result.replaced]
            await cursor.execute("DELETE FROM memories WHERE key = ANY(%s)", [gone])
            await cursor.executemany(PUT_MEMORY, touched.memory_rows(tenant, result.created + result.replaced))
            if access:
                marked = [digest(tenant, each) for each in access.ids]
                at, pause = micros(access.at), int(access.interval_s * 1e6)
                await cursor.execute(MARK.format(where), [models.MOST_ACCESSES, at, marked, pause, at - pause, *values])
        return result

    @asynccontextmanager
    async def _touched(self, cursor: Cursor, keys: list[bytes], due: Sequence[Any] = ()) -> AsyncIterator[Touched]:
        """The states of those keys or, with `due`, jobs that are due; what is done with them is written back."""
        sql = "SELECT kind, body FROM states WHERE key = ANY(%s) ORDER BY key FOR UPDATE"
        touched = Touched(self._clock)
        for kind, body in await fetch(cursor, DUE if due else sql, due or [keys]):
            touched.hold_state(kind, body)
        yield touched
        rows = list(touched.state_rows())
        gone = set(keys).difference(row[0] for row in rows)
        await cursor.execute("DELETE FROM states WHERE key = ANY(%s)", [list(gone)])
        await cursor.executemany(PUT_STATE, rows)

    # -- memories --------------------------------------------------------------------------------------

    async def get_memories(self, scope: Scope, ids: Sequence[str]) -> list[models.StoredMemory]:
        async with self._transaction() as cursor:
            return [*(await search.load(cursor, scope, [digest(scope.tenant, each) for each in ids])).values()]

    async def list_memories(
        self,
        scope: Scope,
        conditions: Sequence[models.Condition] = (),
        *,
        order: Order = "newest",
        limit: int = 100,
        offset: int = 0,
    ) -> tuple[list[models.StoredMemory], int]:
        where, values = inside(scope, conditions)
        way = "DESC" if order == "newest" else "ASC"
        page = f"SELECT key FROM memories WHERE {where} ORDER BY created_at {way}, id {way} LIMIT %s OFFSET %s"
        async with self._transaction(reading=True) as cursor:
            ((total,),) = await fetch(cursor, f"SELECT count(*) FROM memories WHERE {where}", values)
            keys = [key for (key,) in await fetch(cursor, page, [*values, limit, offset])]
            return [*(await search.load(cursor, scope, keys)).values()], total

    async def candidates(self, scope: Scope, query: models.CandidateQuery) -> models.Candidates:
        async with self._transaction(reading=True) as cursor:
            return await search.candidates(cursor, scope, query, self._exact_rows)

    # -- sessions and documents ------------------------------------------------------------------------

    async def _states(
        self, kinds: Sequence[str], scope: Scope, now: datetime, more: str, *values: Any, what: str = "kind, body"
    ) -> list[Any]:
        """Living states inside the scope; decoded, unless something else is asked for."""
        where, bound = inside(scope)
        sql = f"SELECT {what} FROM states WHERE kind = ANY(%s) AND {where} AND coalesce(ends_at > %s, true) {more}"
        async with self._transaction() as cursor:
            rows = await fetch(cursor, sql, [list(kinds), *bound, micros(now), *values])
        return [state_of(*row) for row in rows] if what == "kind, body" else [value for (value,) in rows]

    async def get_session(self, scope: Scope, key: models.SessionKey, now: datetime) -> models.StoredSession | None:
        found = await self._states(["session"], scope, now, "AND key = %s", session_key(key))
        return found[0] if found else None

    async def find_sessions(
        self, scope: Scope, session_id: str, now: datetime, limit: int = 2
    ) -> list[models.SessionKey]:
        found = await self._states(["session"], scope.narrow(session=session_id), now, "ORDER BY name LIMIT %s", limit)
        return [session.key for session in found]

    async def list_sessions(
        self, scope: Scope, now: datetime, *, limit: int = 20, offset: int = 0, updated_after: datetime | None = None
    ) -> tuple[list[models.SessionKey], int]:
        late = "AND sorted_at > %s"
        since = micros(updated_after or EARLIEST)
        page = f"{late} ORDER BY sorted_at DESC, name LIMIT %s OFFSET %s"
        found = await self._states(["session"], scope, now, page, since, limit, offset)
        (total,) = await self._states(["session"], scope, now, late, since, what="count(*)")
        return [session.key for session in found], total

    async def purge_expired(self, now: datetime, limit: int = 500) -> int:
        async with self._transaction() as cursor:
            return len(await fetch(cursor, PURGE, [micros(now), limit]))

    async def get_document(self, scope: Scope, kind: str, document_id: str, now: datetime) -> models.Document | None:
        key = digest("document", scope.tenant, kind, document_id)
        found = await self._states(["document"], scope, now, "AND key = %s", key)
        return found[0] if found else None

    async def list_documents(
        self, scope: Scope, kind: str, now: datetime, *, after: str = "", limit: int | None = None
    ) -> list[models.Document]:
        more = "AND name[1] = %s AND name[2] > %s ORDER BY name[2] LIMIT %s"
        return await self._states(["document"], scope, now, more, kind.encode(), after.encode(), limit)

    async def document_kinds(self, scope: Scope, now: datetime) -> list[str]:
        found = await self._states(["document"], scope, now, "ORDER BY 1", what="DISTINCT name[1]")
        return [kind.decode() for kind in found]

    # -- outbox ----------------------------------------------------------------------------------------

    async def claim_jobs(self, now: datetime, limit: int, lease_s: float) -> list[models.Job]:
        async with self._transaction() as cursor, self._touched(cursor, [], [micros(now), limit]) as due:
            return await due.claim_jobs(now, limit, lease_s)

    async def extend_lease(self, job_id: str, lease: str, until: datetime) -> bool:
        async with self._job(job_id) as jobs:
            return await jobs.extend_lease(job_id, lease, until)

    async def retry_job(self, job_id: str, lease: str, due_at: datetime, error: str) -> bool:
        async with self._job(job_id) as jobs:
            return await jobs.retry_job(job_id, lease, due_at, error)

    async def bury_job(self, job_id: str, lease: str, error: str) -> bool:
        async with self._job(job_id) as jobs:
            return await jobs.bury_job(job_id, lease, error)

    async def revive_job(self, scope: Scope, job_id: str, due_at: datetime) -> bool:
        async with self._job(job_id) as jobs:
            return await jobs.revive_job(scope, job_id, due_at)

    async def discard_job(self, scope: Scope, job_id: str) -> bool:
        async with self._job(job_id) as jobs:
            return await jobs.discard_job(scope, job_id)

    @asynccontextmanager
    async def _job(self, job_id: str) -> AsyncIterator[Touched]:
        keys = [digest(group, job_id) for group in ("job", "successor")]
        async with self._transaction() as cursor, self._touched(cursor, keys) as touched:
            yield touched

    async def list_jobs(
        self, scope: Scope, state: JobState | None = None, *, limit: int = 100, offset: int = 0
    ) -> tuple[list[models.Job], int]:
        kinds, tenant = [each.value for each in ([state] if state else JobState)], Scope(tenant=scope.tenant)
        page = "ORDER BY sorted_at, name LIMIT %s OFFSET %s"
        (total,) = await self._states(kinds, tenant, EARLIEST, "", what="count(*)")
        return await self._states(kinds, tenant, EARLIEST, page, limit, offset), total

    async def next_due(self) -> datetime | None:
        async with self._transaction() as cursor:
            sql = "SELECT min(ends_at) FROM states WHERE kind IN ('pending', 'running')"
            ((found,),) = await fetch(cursor, sql)
        return None if found is None else moment(found)
