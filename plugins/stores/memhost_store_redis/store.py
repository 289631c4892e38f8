"""`RedisStore`: the store port on one Redis with the query engine, and how it is opened."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from redis.exceptions import RedisError

from memhost.errors import InvalidRequest, StoreUnavailable
from memhost.integrity import Seals, places_of
from memhost.models import (
    CandidateQuery,
    Candidates,
    Change,
    Condition,
    Document,
    Entry,
    Head,
    Scope,
    SessionKey,
    StoredMemory,
    StoredSession,
    StoreInfo,
    Verification,
    WriteBatch,
    WriteResult,
    acting,
)
from memhost.ports import Clock, Order, Store
from memhost.redis_urls import server_of
from memhost.specs import OpenContext
from memhost.storekit import agreement, owner_of, rules, to_micros, to_micros_or_none
from memhost_store_redis.blocks import Blocks
from memhost_store_redis.codec import MEMORY_FIELDS, decode_memories, encode_tag, note_accesses
from memhost_store_redis.conditions import compile_conditions
from memhost_store_redis.connection import Connections, connect
from memhost_store_redis.failures import IndexGone, explain_opening
from memhost_store_redis.history import History
from memhost_store_redis.jobs import Jobs
from memhost_store_redis.journal import Journal, Known, check_versions, is_lasting
from memhost_store_redis.keys import access_key, document_id, memory_base, session_id
from memhost_store_redis.opening import Layout, Opener, mismatch
from memhost_store_redis.scopes import token
from memhost_store_redis.sealing import Reading, seals_of
from memhost_store_redis.search import Searcher
from memhost_store_redis.settings import RedisSettings
from memhost_store_redis.states import States
from memhost_store_redis.writing import Moved, Writer, read_answer

T = TypeVar("T")

MAX_REPEATS = 5
MAX_TRIES = 100
"""Attempts at a commit while other processes change memories of the tenant."""
GUESSED = 50
"""Up to so many memories a commit takes for new before it looks: if they are not, they are prepared a second time."""
SETTLED_AT_ONCE = 50
"""Number of hashes that one script indexes again; the script holds up others for a millisecond each."""
SECONDS_A_MEMORY = 0.004
"""So much longer than `timeout_seconds` a commit may take for each memory that it puts."""


@asynccontextmanager
async def open_redis(settings: RedisSettings, context: OpenContext) -> AsyncIterator[Store]:
    """Connect, and make, migrate or wait for the indexes where needed.

    Raises:
        ConfigurationError: The URL or the server cannot be used.
        StoreMismatch: The store was written by a newer memhost, or holds vectors of another embedder.
        StoreUnavailable: The server does not answer.
    """
    async with connect(settings) as connections:
        opener = Opener(connections, settings, context)
        try:
            layout = await opener.open()
        except (RedisError, OSError, TimeoutError) as error:
            raise explain_opening(
                error, server_of(settings.url), (settings.index_prefix, settings.index_name)
            ) from error
        history = History(connections, Seals(context.keys))
        await history.claim(adopt=context.adopt)
        blocks = Blocks(connections, Seals(context.keys), settings.block_cache_mb * 1024 * 1024, settings.block_rows)
        yield RedisStore(
            history=history, connections=connections, opener=opener, layout=layout, blocks=blocks, context=context
        )


class RedisStore(Jobs):
    """Made by `open_redis`."""

    def __init__(
        self,
        *,
        history: History,
        connections: Connections,
        opener: Opener,
        layout: Layout,
        blocks: Blocks,
        context: OpenContext,
    ) -> None:
        super().__init__(connections)
        self._history = history
        self._seals = Seals(context.keys)
        self._tampered = context.tampered
        self._keeps = context.setting("memory.versions_keep") != 0
        self._opener = opener
        self._layout = layout
        self._blocks = blocks
        self._embedder = (context.embedder, context.dimensions)
        self._clock: Clock = context.clock
        self._states = States(
            self._searching, connections, lambda: self._layout, seals=self._seals, tampered=context.tampered
        )

    async def info(self) -> StoreInfo:
        """Engine, schema version, embedder and counts."""

        async def ask() -> list[Any]:
            def build(client: Any) -> Awaitable[list[Any]]:
                pipeline = client.pipeline(transaction=False)
                for index, query in (
                    (self._layout.memories, "*"),
                    (self._layout.states, f"@kind:{{{encode_tag('')}}}"),
                ):
                    pipeline.execute_command("FT.SEARCH", index, query, "LIMIT", 0, 0, "DIALECT", 2)
                for name in ("due", "leases", "dead"):
                    pipeline.zcard(f"{self._connections.prefix}:jobs:{name}")
                pipeline.info("server")
                pipeline.info("memory")
                found: Awaitable[list[Any]] = pipeline.execute()
                return found

            return await self._connections.call(build)

        memories, sessions, due, leases, dead, server, memory = await self._searching(ask)
        return StoreInfo(
            engine="redis",
            schema_version=self._layout.schema,
            embedder=self._layout.embedder,
            dimensions=self._layout.dimensions,
            counts={"memories": memories[0], "sessions": sessions[0], "jobs": due + leases, "dead_jobs": dead},
            details={
                "index": self._layout.memories,
                "redis": server.get("redis_version"),
                "bytes": memory.get("used_memory"),
            },
        )

    async def ping(self) -> None:
        """Return if the server answers now and its indexes are complete."""

        async def ask() -> None:
            await self._connections.call(lambda client: client.ping())

        await self._searching(ask)

    # -- writing ---------------------------------------------------------------------------------------

    async def commit(self, scope: Scope, batch: WriteBatch) -> WriteResult:
        """Apply the whole batch atomically and durably, or nothing of it."""
        rules.check_scope(scope, batch)
        for length in {len(memory.vector) for memory in batch.put_memories if memory.vector is not None}:
            self._check_length(length)
        ids = [*batch.delete_memories, *(memory.record.id for memory in batch.put_memories), *batch.if_versions]
        if not ids and not batch.notes and not _told(batch):
            return await self._send(scope, batch, None)
        # Commits that follow each other in one process do not get in each other's way; those of others are tried again.
        async with self._history.locks.setdefault(scope.tenant, asyncio.Lock()):
            guess = self._guess(scope.tenant, batch)
            for attempt in range(MAX_TRIES):
                known = guess or await self._history.known(scope.tenant, ids, _removed(batch))
                guess = None
                check_versions(batch, known.former)
                at = to_micros(self._clock.now())
                seals = seals_of(self._seals, scope.tenant)
                journal = Journal(scope, seals, known, acting(), at=at, keep=self._keeps)
                try:
                    result = await self._send(scope, batch, journal)
                    self._history.ends[scope.tenant] = journal.head
                    return result
                except Moved:
                    await asyncio.sleep(random.random() * 0.002 * attempt)  # noqa: S311 - it spreads waits
        raise StoreUnavailable("Other processes keep changing memories of this tenant; try again.")

    def _guess(self, tenant: str, batch: WriteBatch) -> Known | None:
        """The state before a batch that puts a few memories, as it mostly is, so that nothing has to be read."""
        end, puts = self._history.ends.get(tenant), batch.put_memories
        if end is None or len(puts) > GUESSED or batch.delete_memories or batch.if_versions or _removed(batch):
            return None
        return Known(end, latest=dict.fromkeys((memory.record.id for memory in puts), 0), guessed=True)

    async def _send(self, scope: Scope, batch: WriteBatch, journal: Journal | None) -> WriteResult:
        layout, seals = self._layout, seals_of(self._seals, scope.tenant)
        writer = Writer(self._connections.prefix, scope, to_micros(self._clock.now()), seals=seals, journal=journal)
        # a large batch is made in a thread, so that other requests are not held up
        if len(batch.put_memories) > 200:
            arguments = await asyncio.to_thread(_build, writer, batch, layout)
        else:
            arguments = _build(writer, batch, layout)
        patience = len(batch.put_memories) * SECONDS_A_MEMORY
        answer = await self._connections.script("commit", *arguments, patience=patience)
        result = read_answer(answer, batch)
        if result is None:
            raise mismatch(await self._read_layout(), *self._embedder)
        return result

    def _check_length(self, length: int) -> None:
        if length != self._layout.dimensions:
            raise ValueError(f"a vector has {length} dimensions, but the store keeps {self._layout.dimensions}")

    # -- memories --------------------------------------------------------------------------------------

    async def get_memories(self, scope: Scope, ids: Sequence[str]) -> list[StoredMemory]:
        """The memories with those ids inside the scope, in the order of `ids`."""
        wanted = [encode_tag(each) for each in dict.fromkeys(ids)]
        if not wanted:
            return []
        base = memory_base(self._connections.prefix, scope.tenant)
        accesses = access_key(self._connections.prefix, scope.tenant)
        fields = [*MEMORY_FIELDS, self._layout.vector]

        async def read(client: Any) -> Any:
            pipeline = client.pipeline(transaction=False)
            pipeline.hmget(accesses, wanted)  # first: whatever is settled in the meantime is then in the hash
            for each in wanted:
                pipeline.hmget(base + each, fields)
            return await pipeline.execute()

        accessed, *rows = await self._connections.call(read)
        reading = Reading(Scope(tenant=scope.tenant), self._seals)
        found = decode_memories(rows, [each.encode() for each in wanted], self._layout.dimensions, reading)
        note_accesses(found, accessed)
        self._tell(reading)
        return [memory for memory in found if memory is not None and scope.allows(*owner_of(memory.record))]

    def _tell(self, reading: Reading) -> None:
        if reading.left_out:
            self._tampered("memory", reading.left_out)
            reading.left_out = []

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
        wanted = compile_conditions(conditions)
        await self._settle(scope, conditions)
        reading = Reading(scope, self._seals)

        async def ask() -> tuple[list[StoredMemory], int]:
            searcher = self._searcher(reading, conditions)
            return await searcher.page(scope, wanted, newest=order == "newest", limit=limit, offset=offset)

        found = await self._searching(ask)
        self._tell(reading)
        return found

    async def candidates(self, scope: Scope, query: CandidateQuery) -> Candidates:
        """Candidates for a search, found in one consistent view of the store."""
        if query.vector is not None:
            self._check_length(len(query.vector))
        await self._settle(scope, query.conditions)
        reading = Reading(scope, self._seals)
        found = await self._searching(lambda: self._searcher(reading, query.conditions).candidates(scope, query))
        self._tell(reading)
        return found

    async def _settle(self, scope: Scope, conditions: Sequence[Condition]) -> None:
        """Before a query for times of access: have the index know them."""
        if any(condition.field == "last_accessed" for condition in conditions):
            while await self._connections.script("settle", token("T", scope.tenant), SETTLED_AT_ONCE):
                pass

    def _searcher(self, reading: Reading, conditions: Sequence[Condition]) -> Searcher:
        passes = agreement(conditions)
        graph, blocks = self._opener.graph, self._blocks
        return Searcher(self._connections, self._layout, reading, graph=graph, blocks=blocks, passes=passes)

    async def _searching(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do something with the indexes; its result counts only if they were complete during that time.

        A server that has just started may still fill them in the background, or may have lost them. So whenever a
        connection to another server or run of it was made, they are looked at before a result is believed.
        """
        connections = self._connections
        for _ in range(MAX_REPEATS):
            try:
                if connections.fresh:
                    await self._check_indexes()
                result = await work()
            except IndexGone:
                if not await self._adopt():
                    raise
                continue
            if not connections.fresh:
                return result
        raise StoreUnavailable("memhost keeps losing its connections to Redis; try again.")

    async def _check_indexes(self) -> None:
        self._connections.fresh = False
        self._blocks.clear()
        try:
            await self._connections.call(lambda client: self._opener.check_indexes(self._layout))
        except BaseException:  # also cancelled: the check is still owed
            self._connections.fresh = True
            raise

    async def _adopt(self) -> bool:
        """Take over indexes that another process has built since; False if that explains nothing.

        Raises:
            StoreMismatch: The vectors are another embedder's by now.
        """
        found = await self._read_layout()
        if found == self._layout:
            return False
        if (found.generation, found.schema) != (self._layout.generation, self._layout.schema):
            raise mismatch(found, *self._embedder)
        self._layout = found
        return True

    async def _read_layout(self) -> Layout:
        return await self._connections.call(lambda client: self._opener.read())

    # -- sessions and documents ------------------------------------------------------------------------

    async def get_session(self, scope: Scope, key: SessionKey, now: datetime) -> StoredSession | None:
        """The living session of exactly that identity inside the scope."""
        return await self._states.get_session(scope, key, now)

    async def find_sessions(self, scope: Scope, session_id: str, now: datetime, limit: int = 2) -> list[SessionKey]:
        """Living identities inside the scope that carry this session id, by key."""
        return await self._states.find_sessions(scope, session_id, now, limit)

    async def list_sessions(
        self, scope: Scope, now: datetime, *, limit: int = 20, offset: int = 0, updated_after: datetime | None = None
    ) -> tuple[list[SessionKey], int]:
        """A page of living sessions, most recently updated first (then by key)."""
        return await self._states.list_sessions(scope, now, limit, offset, updated_after)

    async def purge_expired(self, now: datetime, limit: int = 500) -> int:
        """Remove sessions and documents that expired, at most `limit`."""
        return await self._states.purge_expired(now, limit)

    async def get_document(self, scope: Scope, kind: str, document_id: str, now: datetime) -> Document | None:
        """The living document of that kind and id inside the scope, or None."""
        return await self._states.get_document(scope, kind, document_id, now)

    async def list_documents(
        self, scope: Scope, kind: str, now: datetime, *, after: str = "", limit: int | None = None
    ) -> list[Document]:
        """Living documents of that kind inside the scope whose id comes after `after`, by id."""
        return await self._states.list_documents(scope, kind, now, after, limit)

    async def document_kinds(self, scope: Scope, now: datetime) -> list[str]:
        """Kinds of which living documents lie inside the scope."""
        return await self._states.document_kinds(scope, now)

    # -- history ---------------------------------------------------------------------------------------

    async def heads(self) -> dict[str, Head]:
        """The ends of all chains, by tenant."""
        return await self._history.heads()

    async def link_at(self, tenant: str, seq: int) -> bytes | None:
        """The link of an entry, None if there is none of that number."""
        return await self._history.link_at(tenant, seq)

    async def list_entries(
        self, scope: Scope, *, memory: str | None = None, newest: bool = False, after: int = 0, limit: int = 100
    ) -> list[Entry]:
        """Entries inside the scope, by number."""
        found, broken = await self._history.entries(scope, memory, after, limit, newest=newest)
        if broken:
            self._tampered("entry", broken)
        return found

    async def former_state(self, scope: Scope, seq: int) -> StoredMemory | None:
        """The state before an entry, if it was kept and is what was sealed."""
        return await self._history.former(scope, seq)

    async def drop_former(self, tenant: str, seqs: Sequence[int], why: Change) -> int:
        """Remove former states; an entry says so before they go."""
        there = await self._history.with_former(tenant, seqs)
        if there:
            note = msgspec.structs.replace(why, places=places_of(there))
            await self.commit(Scope(tenant=tenant), WriteBatch(notes=[note]))
            await self._history.forget_former(tenant, there)
        return len(there)

    async def old_former(self, tenant: str, *, before: datetime | None, keep: int | None, limit: int) -> list[int]:
        """Numbers of entries with former states that are too old or too many."""
        return (await self._history.old(tenant, to_micros_or_none(before), keep))[:limit]

    async def erase_history(self, scope: Scope, why: Change) -> tuple[int, Head]:
        """Remove what entries say about the scope, and what memories and sessions are left; an entry says so before."""
        left, _ = await self.list_memories(scope, limit=10_000)
        if left:
            await self._send(scope, WriteBatch(delete_memories=[memory.record.id for memory in left]), None)
        for key in (await self.list_sessions(scope, self._clock.now(), limit=10_000))[0]:
            await self._send(scope, WriteBatch(delete_session=key), None)
        gone, bare = await self._history.about(scope)
        if not gone and not bare and not why.count:
            return 0, await self._history.head(scope.tenant)
        note = msgspec.structs.replace(why, places=places_of(sorted([*gone, *bare])))
        await self.commit(Scope(tenant=scope.tenant), WriteBatch(notes=[note]))
        head = await self._history.head(scope.tenant)
        await self._history.forget(scope.tenant, gone, bare)
        return len(gone) + len(bare), head

    async def verify(self) -> Verification:
        """Compare everything with its seals and with the chains."""
        return await self._history.verify(to_micros(self._clock.now()))

    async def seal_anew(self) -> int:
        """Make all seals and links again with the current key."""
        return await self._history.seal_anew()


def _told(batch: WriteBatch) -> bool:
    """Tell whether the chain may have to tell of sessions or documents of the batch."""
    return bool(
        batch.put_session or batch.delete_session or batch.delete_documents or any(map(is_lasting, batch.put_documents))
    )


def _removed(batch: WriteBatch) -> list[str]:
    """Ids in the store of the sessions and documents that the batch deletes."""
    sessions = [session_id(batch.delete_session)] if batch.delete_session else []
    return sessions + [document_id(*each) for each in batch.delete_documents]


def _build(writer: Writer, batch: WriteBatch, layout: Layout) -> list[Any]:
    try:
        return writer.batch(batch, layout.generation, layout.vector)
    except (UnicodeEncodeError, OverflowError) as error:
        raise InvalidRequest(f"The store cannot keep this value: {error}.") from error
