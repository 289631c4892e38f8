"""Removing every trace of a user, with a receipt."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Literal

import msgspec

from memhost.errors import Forbidden
from memhost.events import EVENTS, MemoriesDeleted, event_payload
from memhost.integrity import Keyring
from memhost.integrity.certificates import fingerprint, sign
from memhost.jobs.outbox import Outbox
from memhost.jobs.tasks import KIND as TASKS
from memhost.jobs.tasks import Tasks
from memhost.memories.review.waiting import ids_of
from memhost.memories.trash import trashed_ids
from memhost.models import Change, Document, Job, JobState, Scope, WriteBatch, new_id
from memhost.operations.responses import SummaryView, SummaryViewPartitionResult
from memhost.operations.table import Call
from memhost.operations.users import DeleteUser, ErasureReceipt
from memhost.ports import Clock, KeepsHistory, Store
from memhost.storage.bound_documents import BoundDocuments, document_scope
from memhost.storage.paging import session_keys
from memhost.storage.secure_delete import Scrubbing
from memhost.usage.ledger import UsageLedger

_PAGE = 200
_ROUNDS = 10
"""Largest number of passes over all data; a pass finds what requests wrote during the one before."""

_BEGUN = "erasing"
"""Kind of the notes that an erasure has begun."""

_UNDER_WAY = timedelta(minutes=5)
"""Age of notes up to which their erasure is still running; such erasures clean the files themselves."""

FileState = Literal["clean", "pending"] | None

_SORTS = {
    "trash": "trash",
    "pending": "waiting_turns",
    "answer": "answers",
    "extraction": "extraction_logs",
    "plugin": "plugin_documents",
    "judged": "judgements",
    "alias": "aliases",
    "review": "held_memories",
    "review_text": "review_notes",
    "former": "former_memories",
    "extraction_run": "extraction_runs",
    "stale_summary": "stale_summaries",
}
"""Sort of a document by the first word of its kind."""

_OF_VIEWS = ("view", "task", "partition", "usage")
"""First words of kinds whose documents tell in their own way whom they are about."""

_OF_MEMORIES = ("memories_stored", "memories_updated", "memories_superseded", "memories_held")
"""Events with ids of memories; `memories_deleted` is delivered, so that plugins remove what they keep."""


class Erasure:
    """Removes all stored data of a user."""

    def __init__(
        self, *, store: Store, outbox: Outbox, ledger: UsageLedger, clock: Clock, keys: Keyring | None = None
    ) -> None:
        self._keys = keys
        self._store = store
        self._outbox = outbox
        self._ledger = ledger
        self._clock = clock
        self._scrubbing = Scrubbing(store)
        self._views = BoundDocuments(store, "view", SummaryView)
        self._tasks = Tasks(store, clock)

    async def aclose(self) -> None:
        """Stop cleaning files."""
        await self._scrubbing.aclose()

    async def delete_user(self, call: Call, request: DeleteUser) -> ErasureReceipt:
        """Delete all data of a user inside the caller's bounds; data outside the bounds counts as absent.

        Raises:
            Forbidden: The caller is bound to sessions, and cannot reach all of a user.
            StoreUnavailable: The store does not answer; a repetition continues where this ended.
        """
        bounds = call.caller.bounds
        if bounds.sessions is not None:
            raise Forbidden(
                "A credential that is bound to sessions cannot delete a user, because a user has more "
                "data than sessions."
            )
        scope = bounds.narrow(user=request.user_id, namespace=request.namespace or None)
        counts: Counter[str] = Counter()
        files: FileState = None
        proof: dict[str, Any] = {"id": new_id(), "entry": None, "link": None, "history": 0}
        if () not in (scope.users, scope.namespaces):
            await self._ledger.flush()
            begun = await self._begun(scope.tenant)
            for _ in range(_ROUNDS):
                found = await self._round(scope, request.user_id)
                counts += found
                if not found:
                    break
            await self._history(scope, request.user_id, counts, proof)
            removed = bool(counts) or proof["history"] > 0
            files = await self._clean_files(scope.tenant, begun, removed=removed)
        return self._receipt(request, counts, files, proof)

    async def _history(self, scope: Scope, user: str, counts: Counter[str], proof: dict[str, Any]) -> None:
        """Empty the chain of what it says of the user, and record that; put the entry's place into the proof."""
        if not isinstance(self._store, KeepsHistory):
            return
        note = f"certificate {proof['id']} user {fingerprint(user, self._keys)}"
        why = Change(kind="erased", at=0, note=note, count=sum(counts.values()))
        number, head = await self._store.erase_history(scope, why)
        if number or counts:
            proof |= {"entry": head.seq, "link": head.link.hex(), "history": number}

    def _receipt(
        self, request: DeleteUser, counts: Counter[str], files: FileState, proof: dict[str, Any]
    ) -> ErasureReceipt:
        fields = {
            **proof,
            "user_id": request.user_id,
            "namespace": request.namespace or None,
            "erased_at": msgspec.to_builtins(self._clock.now()),
            "counts": dict(sorted(counts.items())),
            "files": files,
        }
        erased = proof["entry"] is not None or bool(counts)  # nothing is certified where nothing was erased
        return msgspec.convert(sign(fields, self._keys if erased else None), ErasureReceipt)

    async def _begun(self, tenant: str) -> list[tuple[str, str]]:
        """Note that something may be removed, so that the files are cleaned even if this process dies before.

        All such notes that are to be removed then, the newest last.
        """
        if not self._scrubbing.needed:
            return []
        now = self._clock.now()
        note = Document(kind=_BEGUN, id=new_id(), tenant=tenant, namespace="", user="", body=b"", updated_at=now)
        notes = await self._store.list_documents(Scope(tenant=tenant), _BEGUN, now)
        earlier = [other for other in notes if now - other.updated_at > _UNDER_WAY]  # of processes that died
        await self._store.commit(Scope(tenant=tenant), WriteBatch(put_documents=[note]))
        return [(_BEGUN, document.id) for document in (*earlier, note)]

    async def _clean_files(self, tenant: str, begun: list[tuple[str, str]], *, removed: bool) -> FileState:
        """Clean the files if something was removed, now or by a run that ended before it cleaned them."""
        if not begun:
            return None
        needed = removed or len(begun) > 1
        done = await self._scrubbing.run() if needed else True
        if done:
            await self._store.commit(Scope(tenant=tenant), WriteBatch(delete_documents=begun))
        return None if not needed else "clean" if done else "pending"

    async def _round(self, scope: Scope, user: str) -> Counter[str]:
        counts: Counter[str] = Counter()
        counts["sessions"] += await self._sessions(scope)
        memories = await self._memories(scope)
        gone = memories | await trashed_ids(self._store, scope, self._clock.now())
        gone |= await ids_of(self._store, scope, self._clock.now())
        counts["memories"] += len(memories)
        counts["jobs"] += await self._jobs(scope, gone)
        counts += await self._documents(scope)
        if counts:  # results of views are made of memories: where there were none, there is nothing in them
            counts += await self._view_results(scope, user)
        return +counts

    async def _jobs(self, scope: Scope, gone: set[str]) -> int:
        """Jobs that wait or were given up; those that run end by themselves, and find nothing."""
        tenant = Scope(tenant=scope.tenant)
        batch = WriteBatch()
        quiet = [*await self._jobs_in(tenant, JobState.PENDING), *await self._jobs_in(tenant, JobState.WAITING)]
        for job in quiet:
            if concerns(job, scope):
                batch.cancel_jobs.append(job.id)
            elif (left := _without_ids(job, gone)) is not job:
                batch.cancel_jobs.append(job.id)
                batch.add_jobs += [left] if left is not None else []
        if batch.cancel_jobs:
            await self._store.commit(tenant, batch)
        dead = [
            job.id
            for job in await self._jobs_in(tenant, JobState.DEAD)
            if concerns(job, scope) or _without_ids(job, gone) is None
        ]
        for job_id in dead:
            await self._store.discard_job(tenant, job_id)
        return len(batch.cancel_jobs) + len(dead)

    async def _jobs_in(self, tenant: Scope, state: JobState) -> list[Job]:
        found: list[Job] = []
        while True:
            page, total = await self._store.list_jobs(tenant, state, limit=_PAGE, offset=len(found))
            found += page
            if not page or len(found) >= total:
                return found

    async def _sessions(self, scope: Scope) -> int:
        now, removed = self._clock.now(), 0
        while await self._store.purge_expired(now):
            pass  # sessions that nobody can read any more are traces as well
        for key in await session_keys(self._store, scope, now):
            result = await self._store.commit(scope, WriteBatch(delete_session=key))
            removed += result.session_deleted
        return removed

    async def _memories(self, scope: Scope) -> set[str]:
        removed: set[str] = set()
        while True:
            page, _ = await self._store.list_memories(scope, order="oldest", limit=_PAGE)
            if not page:
                return removed
            ids = [memory.record.id for memory in page]
            jobs = self._outbox.memory_jobs(
                "memories_deleted", MemoriesDeleted, ids, tenant=scope.tenant, now=self._clock.now()
            )
            await self._store.commit(scope, WriteBatch(delete_memories=ids, add_jobs=jobs))
            self._outbox.committed(jobs)
            removed.update(ids)

    async def _documents(self, scope: Scope) -> Counter[str]:
        """Remove the documents under the user's name; return their numbers."""
        now, within = self._clock.now(), document_scope(scope)
        counts: Counter[str] = Counter()
        for kind in await self._store.document_kinds(within, now):
            word = kind.partition(":")[0]
            documents = await self._store.list_documents(within, kind, now) if word not in _OF_VIEWS else []
            if word == "usage":
                counts["usage_sheets"] += await self._without_name(within, kind, now)
            await self._remove(within.tenant, [(document.kind, document.id) for document in documents])
            counts[_SORTS.get(word, "other_documents")] += len(documents)
        tasks = await self._tasks.by_key(scope)
        await self._remove(scope.tenant, [(TASKS, key) for key in tasks])
        views = await self._views.list_all(scope, now)
        await self._remove(scope.tenant, [(self._views.kind, item.content.id) for item in views])
        for item in views:
            counts["view_results"] += await self._results(scope.tenant, item.content.id, now)
        counts.update(views=len(views), tasks=len(tasks))
        return +counts

    async def _without_name(self, within: Scope, kind: str, now: datetime) -> int:
        sheets = await self._store.list_documents(within, kind, now)
        nameless = [msgspec.structs.replace(sheet, user="") for sheet in sheets]
        if nameless:
            await self._store.commit(Scope(tenant=within.tenant), WriteBatch(put_documents=nameless))
        return len(nameless)

    async def _view_results(self, scope: Scope, user: str) -> Counter[str]:
        """Results of others' views that may tell of the user; they are recomputed on the next request."""
        now, removed = self._clock.now(), 0
        for item in await self._views.list_all(Scope(tenant=scope.tenant), now):
            reaches = item.bounds.narrow(user=user)
            if () not in (reaches.users, reaches.namespaces):
                removed += await self._results(scope.tenant, item.content.id, now, scope)
        return Counter(view_results=removed)

    async def _results(self, tenant: str, view_id: str, now: datetime, about: Scope | None = None) -> int:
        kind = f"partition:{view_id}"
        documents = await self._store.list_documents(Scope(tenant=tenant), kind, now)
        names = [(kind, document.id) for document in documents if about is None or _may_tell(document, about)]
        await self._remove(tenant, names)
        return len(names)

    async def _remove(self, tenant: str, names: list[tuple[str, str]]) -> None:
        left = iter(names)
        while part := list(islice(left, _PAGE)):
            await self._store.commit(Scope(tenant=tenant), WriteBatch(delete_documents=part))


def concerns(job: Job, scope: Scope) -> bool:
    """Tell whether the job is about a session of the user."""
    if job.event not in EVENTS:
        return False
    try:
        event = msgspec.msgpack.decode(job.payload, type=EVENTS[job.event])
    except msgspec.MsgspecError:  # nobody can run it either
        return any(user.encode() in job.payload for user in scope.users or ())
    session = getattr(event, "session", None)
    return session is not None and scope.covers(session)


def _without_ids(job: Job, gone: set[str]) -> Job | None:
    """A job that tells plugins of memories, without those that are gone; None if no others are left."""
    if job.event not in _OF_MEMORIES or not gone:
        return job
    event = msgspec.msgpack.decode(job.payload, type=EVENTS[job.event])
    ids = tuple(memory_id for memory_id in event.ids if memory_id not in gone)  # type: ignore[attr-defined]
    if len(ids) == len(event.ids):  # type: ignore[attr-defined]
        return job
    return msgspec.structs.replace(job, payload=event_payload(msgspec.structs.replace(event, ids=ids))) if ids else None


def _may_tell(document: Document, about: Scope) -> bool:
    group = msgspec.msgpack.decode(document.body, type=SummaryViewPartitionResult).group
    return all(
        allowed is None or name not in group or group[name] in allowed
        for name, allowed in (("user_id", about.users), ("namespace", about.namespaces))
    )
