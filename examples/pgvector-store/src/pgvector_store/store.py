"""`PgvectorStore`: what each method promises is written in `memhost.ports.Store`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

import psycopg
from pgvector.psycopg import register_vector_async
from psycopg_pool import AsyncConnectionPool

from memhost import errors, models
from memhost import storekit as kit
from memhost.ports import Order
from memhost.specs import OpenContext
from pgvector_store import PgvectorSettings, search
from pgvector_store.rows import Cursor, Tables, fetch, inside, load

VERSION = 1
EMBED = """DROP INDEX IF EXISTS memories_by_vector;
ALTER TABLE memories ALTER COLUMN vector TYPE halfvec({0}) USING NULL;
CREATE INDEX memories_by_vector ON memories USING hnsw (vector halfvec_cosine_ops)"""


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
    wanted = (context.embedder, context.dimensions)
    if context.dimensions is not None and tuple(embedder) != wanted:
        embedded = await fetch(cursor, "SELECT 1 FROM memories WHERE vector IS NOT NULL LIMIT 1")
        if embedded and not context.reindex:
            raise kit.rules.other_embedder("The database", tuple(embedder), wanted)
        await cursor.execute(EMBED.format(context.dimensions))
        await cursor.execute("UPDATE about SET embedder = %s, dimensions = %s", wanted)


class PgvectorStore(kit.RowStore):
    """Made by `open_store`."""

    def __init__(self, pool: AsyncConnectionPool[Any], context: OpenContext, exact_rows: int) -> None:
        super().__init__(context.clock)
        self._pool = pool
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

    @asynccontextmanager
    async def rows(self) -> AsyncIterator[Tables]:
        async with self._transaction() as cursor:
            yield Tables(cursor)

    async def info(self) -> models.StoreInfo:
        async with self._transaction() as cursor:
            sql = "SELECT version, embedder, dimensions, (SELECT count(*) FROM memories) FROM about"
            ((version, embedder, dimensions, memories),) = await fetch(cursor, sql)
        counts = {"memories": memories, **await self.count_states()}
        return models.StoreInfo(
            engine="postgresql", schema_version=version, embedder=embedder, dimensions=dimensions, counts=counts
        )

    async def list_memories(
        self,
        scope: models.Scope,
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
            return [*(await load(cursor, scope, keys)).values()], total

    async def candidates(self, scope: models.Scope, query: models.CandidateQuery) -> models.Candidates:
        async with self._transaction(reading=True) as cursor:
            return await search.candidates(cursor, scope, query, self._exact_rows)
