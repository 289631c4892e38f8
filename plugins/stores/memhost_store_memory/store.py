"""`MemoryStore`: the readable reference of the store port, in dicts, by brute force.

No method awaits anything, so each call is atomic on its event loop and needs no lock. Whatever goes in or out
is copied through msgpack, so callers never share mutable state with the store. Nothing survives the process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np

from memhost.errors import DocumentGone, Forbidden, IdTaken, InvalidRequest, LeaseLost, VersionMismatch
from memhost.models import (
    MOST_ACCESSES,
    AccessMark,
    CandidateHit,
    CandidateQuery,
    Candidates,
    Condition,
    Document,
    JobState,
    MemoryRecord,
    Scope,
    SessionKey,
    StoredMemory,
    StoredSession,
    StoreInfo,
    WriteBatch,
    WriteResult,
    matches,
)
from memhost.models.filters import DATE_FIELDS, METADATA_PREFIX, TAG_FIELDS
from memhost.ports import Clock, Order, SystemClock
from memhost_store_memory import ranking
from memhost_store_memory.outbox import Outbox, copy_struct


class MemoryStore(Outbox):
    """Everything in dicts. `clock` decides whether a session that a batch replaces has expired."""

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        embedder: str | None = None,
        dimensions: int | None = None,
    ) -> None:
        super().__init__()
        self._clock = clock or SystemClock()
        self._embedder = embedder
        self._dimensions = dimensions
        self._memories: dict[tuple[str, str], StoredMemory] = {}
        self._sessions: dict[SessionKey, StoredSession] = {}
        self._documents: dict[tuple[str, str, str], Document] = {}

    async def info(self) -> StoreInfo:
        """Engine, schema version, embedder and counts."""
        dead = sum(job.state is JobState.DEAD for job in self.jobs.values())
        return StoreInfo(
            engine="memory",
            schema_version=1,
            embedder=self._embedder,
            dimensions=self._dimensions,
            counts={
                "memories": len(self._memories),
                "sessions": len(self._sessions),
                "jobs": len(self.jobs) - dead,
                "dead_jobs": dead,
            },
            durable=False,
        )

    async def ping(self) -> None:
        """Always answers."""

    # -- writing ---------------------------------------------------------------------------------------

    async def commit(self, scope: Scope, batch: WriteBatch) -> WriteResult:
        """Check everything first, then change everything: nothing below the checks can fail."""
        memories = [_copy_memory(memory) for memory in batch.put_memories]
        session = copy_struct(batch.put_session) if batch.put_session else None
        documents = [copy_struct(document) for document in batch.put_documents]
        self._check_completion(batch)
        self._check_memories(scope, batch)
        version = self._check_session(scope, batch)
        self._check_documents(scope, batch)
        if any(job.tenant != scope.tenant for job in batch.add_jobs):
            raise Forbidden("A job belongs to another tenant than the call.")

        result = WriteResult(session_version=version)
        if batch.complete_job:
            self.finish(self.jobs[batch.complete_job[0]])
        self._change_memories(scope, batch.delete_memories, memories, result)
        if batch.access:
            self._mark_access(scope, batch.access)
        if batch.delete_session and scope.covers(batch.delete_session):
            removed = self._sessions.pop(batch.delete_session, None)
            result.session_deleted = removed is not None and _alive(removed.expires_at, self._clock.now())
        if session:
            session.version = version
            self._sessions[session.key] = session
        self._change_documents(scope, batch.delete_documents, documents)
        for job_id in batch.cancel_jobs:
            self.cancel(scope.tenant, job_id)
        for job in batch.add_jobs:
            if batch.restored:
                self.restore(job)
            else:
                self.add(job)
        return result

    def _check_completion(self, batch: WriteBatch) -> None:
        if batch.complete_job and self.running(*batch.complete_job) is None:
            raise LeaseLost("The job is no longer running under this lease; its effects are not applied.")

    def _check_memories(self, scope: Scope, batch: WriteBatch) -> None:
        owners: dict[str, tuple[str, str, str]] = {}
        deleted = set(batch.delete_memories)
        taken = []
        for memory in batch.put_memories:
            record = memory.record
            if not _inside(scope, record):
                raise Forbidden("A memory of the batch lies outside the caller's scope.")
            existing = self._memories.get((scope.tenant, record.id))
            if existing and not (record.id in deleted and _inside(scope, existing.record)):
                owners.setdefault(record.id, ranking.owner_of(existing.record))
            owner = ranking.owner_of(record)
            before = owners.setdefault(record.id, owner)
            moves = record.id in batch.moved_ids and scope.allows(*before)
            guarded = record.id in batch.guarded_ids
            if not moves and (before[:2] != owner[:2] or (guarded and before != owner)):
                taken.append(record.id)
            owners[record.id] = owner
        if taken:
            raise IdTaken(taken)

    def _check_session(self, scope: Scope, batch: WriteBatch) -> int:
        """The version that the session of the batch gets; 0 if it puts none."""
        if batch.put_session is None:
            return 0
        key = batch.put_session.key
        if not scope.covers(key):
            raise Forbidden("The session of the batch lies outside the caller's scope.")
        existing = self._sessions.get(key)
        living = existing is not None and _alive(existing.expires_at, self._clock.now())
        current = existing.version if existing is not None and living and key != batch.delete_session else 0
        if batch.expect_version is not None and batch.expect_version != current:
            raise VersionMismatch("The session changed meanwhile; read it again and repeat the write.")
        return batch.put_session.version if batch.restored else current + 1

    def _check_documents(self, scope: Scope, batch: WriteBatch) -> None:
        for kind, document_id in batch.require_documents:
            required = self._documents.get((scope.tenant, kind, document_id))
            if required is None or not _alive(required.expires_at, self._clock.now()) or not _holds(scope, required):
                raise DocumentGone(f"The {kind} {document_id} that this write builds on is gone; nothing was changed.")
        for document in batch.put_documents:
            existing = self._documents.get((document.tenant, document.kind, document.id))
            foreign = existing and _alive(existing.expires_at, self._clock.now()) and not _holds(scope, existing)
            if foreign or not _holds(scope, document):
                raise Forbidden("A document of the batch lies outside the caller's scope.")

    def _change_memories(
        self, scope: Scope, deleted: Sequence[str], memories: Sequence[StoredMemory], result: WriteResult
    ) -> None:
        for memory_id in deleted:
            found = self._memories.get((scope.tenant, memory_id))
            if found and _inside(scope, found.record):
                del self._memories[scope.tenant, memory_id]
                result.deleted.append(memory_id)
        for memory in memories:
            self._put_memory(scope.tenant, memory, result)

    def _change_documents(
        self, scope: Scope, deleted: Sequence[tuple[str, str]], documents: Sequence[Document]
    ) -> None:
        for kind, document_id in deleted:
            existing = self._documents.get((scope.tenant, kind, document_id))
            if existing and _holds(scope, existing):
                del self._documents[scope.tenant, kind, document_id]
        for document in documents:
            self._documents[document.tenant, document.kind, document.id] = document

    def _put_memory(self, tenant: str, memory: StoredMemory, result: WriteResult) -> None:
        memory_id = memory.record.id
        existing = self._memories.get((tenant, memory_id))
        if existing and memory.record.persisted_at is None:
            memory.record.persisted_at = existing.record.persisted_at
        self._memories[tenant, memory_id] = memory
        if memory_id not in result.created and memory_id not in result.replaced:
            (result.replaced if existing else result.created).append(memory_id)

    def _mark_access(self, scope: Scope, mark: AccessMark) -> None:
        for memory_id in dict.fromkeys(mark.ids):
            memory = self._memories.get((scope.tenant, memory_id))
            if memory is None or not _inside(scope, memory.record):
                continue
            record = memory.record
            marked_lately = record.last_accessed > mark.at - timedelta(seconds=mark.interval_s)
            if mark.interval_s > 0 and record.access_count > 0 and marked_lately:
                continue
            record.access_count = min(record.access_count + 1, MOST_ACCESSES)
            record.last_accessed = max(record.last_accessed, mark.at)

    # -- memories --------------------------------------------------------------------------------------

    async def get_memories(self, scope: Scope, ids: Sequence[str]) -> list[StoredMemory]:
        """The memories with those ids inside the scope, in the order of `ids`."""
        found = [self._memories.get((scope.tenant, memory_id)) for memory_id in dict.fromkeys(ids)]
        return [_copy_memory(memory) for memory in found if memory and _inside(scope, memory.record)]

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
        return [_copy_memory(memory) for memory in found[offset : offset + limit]], len(found)

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
                memory=_copy_memory(memory),
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
            known = condition.field.startswith(METADATA_PREFIX) or condition.field in (
                *TAG_FIELDS,
                *DATE_FIELDS,
            )
            if not known:
                raise InvalidRequest(f"Memories cannot be filtered by {condition.field!r}.")
        return [
            memory
            for (tenant, _), memory in self._memories.items()
            if tenant == scope.tenant and _inside(scope, memory.record) and matches(memory.record, conditions)
        ]

    # -- sessions --------------------------------------------------------------------------------------

    async def get_session(self, scope: Scope, key: SessionKey, now: datetime) -> StoredSession | None:
        """The living session of exactly that identity inside the scope."""
        session = self._sessions.get(key)
        if session is None or not scope.covers(key) or not _alive(session.expires_at, now):
            return None
        return copy_struct(session)

    async def find_sessions(self, scope: Scope, session_id: str, now: datetime, limit: int = 2) -> list[SessionKey]:
        """Living identities inside the scope that carry this session id, by key."""
        return sorted(session.key for session in self._living(scope, now) if session.key.session == session_id)[:limit]

    async def list_sessions(
        self, scope: Scope, now: datetime, *, limit: int = 20, offset: int = 0, updated_after: datetime | None = None
    ) -> tuple[list[SessionKey], int]:
        """A page of living sessions, most recently updated first (then by key)."""
        living = sorted(self._living(scope, now), key=lambda session: session.key)
        if updated_after is not None:
            living = [session for session in living if session.content.updated_at > updated_after]
        living.sort(key=lambda session: session.content.updated_at, reverse=True)
        return [session.key for session in living[offset : offset + limit]], len(living)

    def _living(self, scope: Scope, now: datetime) -> list[StoredSession]:
        sessions = self._sessions.values()
        return [session for session in sessions if scope.covers(session.key) and _alive(session.expires_at, now)]

    async def purge_expired(self, now: datetime, limit: int = 500) -> int:
        """Remove sessions and documents that expired, at most `limit`."""
        sessions = [key for key, session in self._sessions.items() if not _alive(session.expires_at, now)][:limit]
        documents = [key for key, document in self._documents.items() if not _alive(document.expires_at, now)]
        for key in sessions:
            del self._sessions[key]
        for name in documents[: limit - len(sessions)]:
            del self._documents[name]
        return len(sessions) + len(documents[: limit - len(sessions)])

    # -- documents -------------------------------------------------------------------------------------

    async def get_document(self, scope: Scope, kind: str, document_id: str, now: datetime) -> Document | None:
        """The living document of that kind and id inside the scope, or None."""
        document = self._documents.get((scope.tenant, kind, document_id))
        if document is None or not _holds(scope, document) or not _alive(document.expires_at, now):
            return None
        return copy_struct(document)

    async def list_documents(
        self, scope: Scope, kind: str, now: datetime, *, after: str = "", limit: int | None = None
    ) -> list[Document]:
        """Living documents of that kind inside the scope, by id."""
        found = [
            document
            for document in self._documents.values()
            if document.kind == kind
            and document.id > after
            and _holds(scope, document)
            and _alive(document.expires_at, now)
        ]
        return [copy_struct(document) for document in sorted(found, key=lambda document: document.id)[:limit]]

    async def document_kinds(self, scope: Scope, now: datetime) -> list[str]:
        """Kinds of which living documents lie inside the scope."""
        documents = self._documents.values()
        return sorted({each.kind for each in documents if _holds(scope, each) and _alive(each.expires_at, now)})


# -- scope and copies --------------------------------------------------------------------------------------


def _inside(scope: Scope, record: MemoryRecord) -> bool:
    return scope.allows(record.namespace, record.user_id, record.session_id)


def _holds(scope: Scope, document: Document) -> bool:
    return document.tenant == scope.tenant and scope.allows(document.namespace, document.user, None)


def _alive(expires_at: datetime | None, now: datetime) -> bool:
    return expires_at is None or expires_at > now


def _copy_memory(memory: StoredMemory) -> StoredMemory:
    vector = None if memory.vector is None else np.array(memory.vector, dtype=np.float32)
    return replace(memory, record=copy_struct(memory.record), terms=tuple(memory.terms), vector=vector)
