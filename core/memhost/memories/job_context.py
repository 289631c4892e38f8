"""The context of a background hook: reads happen at once, writes are staged until the job completes."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

from memhost.errors import ValidationFailed
from memhost.events import MemoriesStored, RequestContext, Upkeep
from memhost.jobs.maintenance import MaintenanceTasks, OfferedTask, read_arguments
from memhost.jobs.outbox import Outbox
from memhost.memories.records import derived_id, given_vectors, index_records, record_from_draft
from memhost.memories.review.waiting import Staged, Waiting
from memhost.memories.trust import level_of
from memhost.models import Condition, Document, Job, MemoryRecord, Scope, SessionKey, Trust, WorkingMemory, WriteBatch
from memhost.models.trust import lowest
from memhost.operations.limits import record_problems
from memhost.plugins.request_hooks import RequestHooks
from memhost.ports import Draft, Embedder, LanguageModel, Order, Store
from memhost.settings import Settings

S = TypeVar("S")


class StagedContext:
    """The `memhost.events.JobContext` of one attempt of one job."""

    def __init__(
        self,
        *,
        job: Job,
        store: Store,
        embedder: Embedder,
        llm: LanguageModel | None,
        hooks: RequestHooks,
        held: Waiting,
        outbox: Outbox,
        extractor: str,
        now: datetime,
        settings: Settings,
        tasks: MaintenanceTasks,
    ) -> None:
        self.job_id = job.id
        self.attempt = job.failures + 1
        self.now = now
        self.scope = Scope(tenant=job.tenant)
        self.embedder = embedder
        self.llm = llm
        self.settings = settings
        self.plugin_settings: Any = None
        self.batch = WriteBatch(complete_job=(job.id, job.lease))
        self._store = store
        self._hooks = hooks
        self._held = held
        self._reviews = Staged()
        self._outbox = outbox
        self._extractor = extractor
        self._kind = f"plugin:{job.plugin}"
        self._tasks = tasks
        self._numbers = itertools.count(1)

    @property
    def upkeep(self) -> Upkeep:
        """Deprecated: use `run`."""
        return Upkeep(self.run)

    async def run(self, task: str, /, **arguments: Any) -> Any:
        """Run a maintenance task by its name and return its answer.

        Raises:
            UnknownTask: There is no such task.
            ValidationFailed: An argument is unknown, missing, or of the wrong type.
            MemhostError: What the task raises.
        """
        offered = self._tasks.find(task)
        return await offered.task.run(self._of(offered), read_arguments(offered.task, arguments))

    def service(self, kind: type[S]) -> S:
        """Return a service of the host, for the maintenance tasks of core."""
        return self._tasks.service(kind)

    def _of(self, offered: OfferedTask) -> StagedContext:
        """The context as the plugin that offers a task sees it; its staged writes are part of the same batch."""
        if not offered.plugin:
            return self
        context = copy.copy(self)
        context.plugin_settings = self._tasks.settings_of(offered.plugin)
        context._extractor = f"{offered.plugin}/{offered.version}"
        context._kind = f"plugin:{offered.plugin}"
        return context

    async def list_memories(
        self,
        conditions: Sequence[Condition] = (),
        *,
        within: Scope | None = None,
        order: Order = "newest",
        limit: int = 100,
        offset: int = 0,
    ) -> tuple[list[MemoryRecord], int]:
        """A page of the memories that satisfy all conditions, and how many there are."""
        scope = self.scope
        if within is not None:
            scope = Scope(
                tenant=scope.tenant, namespaces=within.namespaces, users=within.users, sessions=within.sessions
            )
        found, total = await self._store.list_memories(scope, conditions, order=order, limit=limit, offset=offset)
        return [memory.record for memory in found], total

    async def get_memories(self, ids: Sequence[str]) -> list[MemoryRecord]:
        """Return memories by id; those deleted in the meantime are left out."""
        return [memory.record for memory in await self._store.get_memories(self.scope, ids)]

    async def get_session(self, key: SessionKey) -> WorkingMemory | None:
        """A session's content, or None if it is gone."""
        session = await self._store.get_session(self.scope, key, self.now)
        return session.content if session is not None else None

    async def store_memories(self, owner: SessionKey, drafts: Sequence[Draft]) -> list[str]:
        """Stage new memories owned by that namespace, user and session; their ids.

        They are trusted as an agent's, or as the least trusted of the memories and turns that `source_ids` name. What
        is sensitive and trusted less than the user waits for a review, and its id is not among them.

        Raises:
            ValidationFailed: A memory is larger than clients may store.
        """
        records, by_id = [], {}
        levels = await self._levels(owner, drafts)
        for draft in drafts:
            number = next(self._numbers)
            memory_id = draft.id or derived_id(self.job_id, str(number))
            record = record_from_draft(draft, owner, memory_id, self._extractor, self.now)
            record.trust = lowest(["agent", *(levels[name] for name in draft.source_ids if name in levels)])
            if problems := record_problems(record):
                raise ValidationFailed(problems)
            records.append(record)
            by_id[memory_id] = draft
        context = RequestContext(scope=self.scope, subject=self._kind, request_id=self.job_id, now=self.now)
        kept = await self._hooks.before_memories_stored(records, context) if records else []
        kept, held = await self._held.part(self.scope.tenant, kept)
        self._reviews = self._reviews.joined(await self._held.stage(self.batch, self.scope.tenant, held, self.now))
        stored = await index_records(
            kept, self.embedder, [by_id[record.id] for record in kept], vectors=given_vectors(drafts)
        )
        self.batch.put_memories += stored
        ids = [record.id for record in kept]
        self.batch.add_jobs += self._outbox.memory_jobs(
            "memories_stored", MemoriesStored, ids, tenant=self.scope.tenant, now=self.now
        )
        return ids

    def committed(self) -> None:
        """Tell that the batch is stored now."""
        self._held.committed(self._reviews)

    async def _levels(self, owner: SessionKey, drafts: Sequence[Draft]) -> dict[str, Trust]:
        """Tell how far the memories and turns are trusted that the drafts name as their sources, by the names."""
        names = {name: name for draft in drafts for name in draft.source_ids}
        if not names:
            return {}
        names |= {derived_id(owner.tenant, owner.namespace, owner.user, owner.session, name): name for name in names}
        found: dict[str, Trust] = {}
        for memory in await self._store.get_memories(self.scope, list(names)):
            name, level = names[memory.record.id], level_of(memory.record)
            found[name] = lowest((found.get(name, level), level))
        return found

    def delete_memories(self, ids: Sequence[str]) -> None:
        """Stage deletions."""
        if not all(isinstance(memory_id, str) for memory_id in ids):
            raise TypeError("memory ids must be strings")
        self.batch.delete_memories += list(ids)

    async def get_document(self, document_id: str) -> Document | None:
        """A document of this plugin."""
        return await self._store.get_document(self.scope, self._kind, document_id, self.now)

    def put_document(
        self, document_id: str, body: bytes, *, expires_at: datetime | None = None, owner: SessionKey | None = None
    ) -> None:
        """Stage a document of this plugin; one with an owner goes when that user is deleted."""
        given: tuple[object, object] = (document_id, body)
        if not isinstance(given[0], str) or not isinstance(given[1], bytes):
            raise TypeError("a document's id must be a string and its body bytes")
        self.batch.put_documents.append(
            Document(
                kind=self._kind,
                id=document_id,
                tenant=self.scope.tenant,
                namespace=owner.namespace if owner is not None else "",
                user=owner.user if owner is not None else "",
                body=body,
                updated_at=self.now,
                expires_at=expires_at,
            )
        )
