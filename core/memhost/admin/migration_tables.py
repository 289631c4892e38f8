"""Everything that a store keeps of one tenant, as four shelves that can be read and filled alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable, Iterator, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any, Generic, TypeVar

import msgspec
import numpy as np

from memhost.models import Document, Job, JobState, Scope, SessionKey, StoredMemory, StoredSession, WriteBatch
from memhost.ports import Store
from memhost.storage.paging import count, session_keys, walk

T = TypeVar("T")

MARK_KIND = "migration"
"""Kind of the document that tells of an unfinished migration; it belongs to its store and is on no shelf."""
_PAGE = 200
_AT_ONCE = 20

_encode = msgspec.msgpack.Encoder(order="deterministic").encode


def _pieces(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))


class MigrationTable(Generic[T]):
    """One sort of things of one tenant; things that have expired at `now` count as absent."""

    name = ""

    def __init__(self, store: Store, tenant: str, now: datetime) -> None:
        self._store = store
        self._scope = Scope(tenant=tenant)
        self._now = now

    async def count(self) -> int:
        """Return the number of things."""
        raise NotImplementedError

    def pages(self) -> AsyncIterator[Sequence[T]]:
        """All of them, in pieces."""
        raise NotImplementedError

    async def like(self, items: Sequence[T]) -> list[T]:
        """Return the things of this store that have the identities of those items."""
        raise NotImplementedError

    async def put(self, items: Sequence[T]) -> None:
        """Store the items unchanged; they replace those with the same identities."""
        raise NotImplementedError

    def identity(self, item: T) -> Hashable:
        """Return what distinguishes an item from others of its tenant."""
        raise NotImplementedError

    def essence(self, item: T) -> Any:
        """All that an item says, whichever store it comes from."""
        return item

    def digest(self, item: T) -> int:
        """A fingerprint of the item, 0 to 2^128."""
        return int.from_bytes(blake2b(_encode(self.essence(item)), digest_size=16).digest())

    async def _restore(self, **batch: Any) -> None:
        await self._store.commit(self._scope, WriteBatch(**batch, restored=True))


class Memories(MigrationTable[StoredMemory]):
    """Long-term memories with their words and vectors."""

    name = "memories"

    async def count(self) -> int:
        """Return the number of memories."""
        return await count(self._store, self._scope)

    async def pages(self) -> AsyncIterator[Sequence[StoredMemory]]:
        """All of them, in pieces."""
        page: list[StoredMemory] = []
        async for memory in walk(self._store, self._scope, page=_PAGE):
            page.append(memory)
            if len(page) == _PAGE:
                yield page
                page = []
        yield page

    async def like(self, items: Sequence[StoredMemory]) -> list[StoredMemory]:
        """Return the memories of this store that have the identities of those items."""
        return await self._store.get_memories(self._scope, [item.record.id for item in items])

    async def put(self, items: Sequence[StoredMemory]) -> None:
        """Store the items; they replace those with the same identities."""
        await self._restore(put_memories=list(items))

    def identity(self, item: StoredMemory) -> Hashable:
        """Return what distinguishes an item from others of its tenant."""
        return item.record.id

    def essence(self, item: StoredMemory) -> Any:
        """All that an item says, whichever store it comes from."""
        # as float16, since stores may keep vectors no more exactly than that
        vector = b"" if item.vector is None else item.vector.astype(np.float16).tobytes()
        return item.record, item.terms, vector, item.speaker, item.role, item.position, item.lead, item.traits


class Sessions(MigrationTable[StoredSession]):
    """Working memory, with versions and times of expiry."""

    name = "sessions"

    async def count(self) -> int:
        """Return the number of sessions."""
        return (await self._store.list_sessions(self._scope, self._now, limit=1))[1]

    async def pages(self) -> AsyncIterator[Sequence[StoredSession]]:
        """All of them, in pieces."""
        for keys in _pieces(await session_keys(self._store, self._scope, self._now), _AT_ONCE):
            yield await self._read(keys)

    async def like(self, items: Sequence[StoredSession]) -> list[StoredSession]:
        """Return the sessions of this store that have the identities of those items."""
        return await self._read([item.key for item in items])

    async def _read(self, keys: Sequence[SessionKey]) -> list[StoredSession]:
        found = await asyncio.gather(*(self._store.get_session(self._scope, key, self._now) for key in keys))
        return [session for session in found if session is not None]

    async def put(self, items: Sequence[StoredSession]) -> None:
        """Store the items; they replace those with the same identities."""
        await asyncio.gather(*(self._restore(put_session=item) for item in items))

    def identity(self, item: StoredSession) -> Hashable:
        """Return what distinguishes an item from others of its tenant."""
        return item.key


class Documents(MigrationTable[Document]):
    """Views, tasks, tokens, trash, turns waiting for extraction, usage, and what plugins keep."""

    name = "documents"

    async def count(self) -> int:
        """Return the number of documents."""
        return sum([len(page) async for page in self.pages()])

    async def pages(self) -> AsyncIterator[Sequence[Document]]:
        """All of them, in pieces."""
        for kind in await self._store.document_kinds(self._scope, self._now):
            after, more = "", kind != MARK_KIND
            while more:
                page = await self._store.list_documents(self._scope, kind, self._now, after=after, limit=_PAGE)
                yield page
                more = len(page) == _PAGE
                after = page[-1].id if page else ""

    async def like(self, items: Sequence[Document]) -> list[Document]:
        """Return the documents of this store that have the identities of those items."""
        found: list[Document] = []
        for part in _pieces(items, _AT_ONCE):
            wanted = (self._store.get_document(self._scope, item.kind, item.id, self._now) for item in part)
            found += [document for document in await asyncio.gather(*wanted) if document is not None]
        return found

    async def put(self, items: Sequence[Document]) -> None:
        """Store the items; they replace those with the same identities."""
        await self._restore(put_documents=list(items))

    def identity(self, item: Document) -> Hashable:
        """Return what distinguishes an item from others of its tenant."""
        return item.kind, item.id


class Jobs(MigrationTable[Job]):
    """The outbox: jobs that wait and dead ones. They are few enough to be looked at all together."""

    name = "jobs"

    async def count(self) -> int:
        """Return the number of jobs."""
        return (await self._store.list_jobs(self._scope, limit=1))[1]

    async def pages(self) -> AsyncIterator[Sequence[Job]]:
        """All of them, in pieces."""
        yield await self._all()

    async def _all(self) -> list[Job]:
        found: list[Job] = []
        total = 1
        while len(found) < total:
            page, total = await self._store.list_jobs(self._scope, limit=_PAGE, offset=len(found))
            if not page:
                break
            found += page
        return found

    async def like(self, items: Sequence[Job]) -> list[Job]:
        """Return the jobs of this store that have the identities of those items."""
        wanted = {item.id for item in items}
        return [job for job in await self._all() if job.id in wanted]

    async def put(self, items: Sequence[Job]) -> None:
        """Store the items; they replace those with the same identities."""
        for part in _pieces(items, _PAGE):
            await self._restore(add_jobs=list(part))

    def identity(self, item: Job) -> Hashable:
        """Return what distinguishes an item from others of its tenant."""
        return item.id

    async def running(self) -> list[Job]:
        """Jobs under a lease."""
        return [job for job in await self._all() if job.state is JobState.RUNNING]


SHELVES: tuple[type[MigrationTable[Any]], ...] = (Memories, Sessions, Documents, Jobs)
