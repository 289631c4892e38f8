"""Work that outlasts the call that started it: it continues in this process, and a task records its result."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from memhost.errors import MemhostError, TooManyRequests
from memhost.events import ViewDue
from memhost.models import Document, Job, JobState, Scope, WriteBatch, new_id
from memhost.operations.responses import Task
from memhost.ports import Clock, Store
from memhost.storage.bound_documents import Bound, BoundDocuments, by_prefix, document_scope
from memhost.storage.leases import Lease, Leases
from memhost.usage.tenants import Tenants

logger = logging.getLogger(__name__)

KIND = "task"
"""Kind of the documents of all tasks."""
KEPT = timedelta(days=7)
"""Time for which a task is kept after its last change."""

_FAILED = "The server failed. Its log shows the cause."
_STOPPED = "The server stopped before the task was done; start the task again."
_PAGE = 500
_OWNER = "@"
"""Between the id of a task and a digest of its owner, in its key."""
_MOST_UNFINISHED, _MOST_KEPT = 20, 500
"""Tasks of one owner."""
_RETRY_S = 5


class Tasks:
    """The tasks of all owners. Each owner has ids of its own: two may choose the same, and neither learns of it."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._documents = BoundDocuments(store, KIND, Task)

    @staticmethod
    def key(bounds: Scope, task_id: str) -> str:
        """The name of a task in the store, unlike that of every other owner's task."""
        owner = hashlib.blake2b(msgspec.json.encode(bounds), digest_size=16).hexdigest()
        return f"{task_id}{_OWNER}{owner}"

    def document(self, bounds: Scope, task: Task, key: str = "") -> Document:
        """The document of a task, to commit; it is kept for seven days from now. The key is that of a stored task."""
        now, name = self._clock.now(), key or self.key(bounds, task.id)
        return self._documents.make(name, Bound(bounds, task), now, expires_at=now + KEPT)

    async def put(self, bounds: Scope, task: Task, key: str = "") -> None:
        """Store a task."""
        await self._store.commit(document_scope(bounds), WriteBatch(put_documents=[self.document(bounds, task, key)]))

    async def of_key(self, tenant: str, key: str) -> Bound[Task] | None:
        """The task of that key; that of a release without owners has its id as key."""
        return await self._documents.get(Scope(tenant=tenant), key, self._clock.now())

    async def own(self, bounds: Scope, task_id: str) -> tuple[str, Bound[Task]] | None:
        """The task with that id of exactly that owner, behind its key."""
        now = self._clock.now()
        for key in (self.key(bounds, task_id), task_id):
            found = await self._documents.get(bounds, key, now)
            if found is not None and found.content.id == task_id and found.bounds == bounds:
                return key, found
        return None

    async def find(self, bounds: Scope, task_id: str) -> Bound[Task] | None:
        """The task with that id that a caller may see: the caller's own, else the newest of others'."""
        if (own := await self.own(bounds, task_id)) is not None:
            return own[1]
        now, prefix = self._clock.now(), f"{task_id}{_OWNER}"
        keys = [document.id for document in (await by_prefix(self._store, bounds, KIND, [prefix], now, _PAGE))[prefix]]
        seen = [await self._documents.get(bounds, key, now) for key in (*keys, task_id)]
        found = [item for item in seen if item is not None and item.content.id == task_id]
        return max(found, key=lambda item: item.content.created_at, default=None)

    async def by_key(self, bounds: Scope) -> dict[str, Bound[Task]]:
        """All tasks that a caller may see, by their keys."""
        return await self._documents.by_id(bounds, self._clock.now())

    async def make_room(self, bounds: Scope) -> list[tuple[str, str]]:
        """The oldest finished tasks of an owner who has many, to delete.

        Raises:
            TooManyRequests: Too many of the owner's tasks are not finished.
        """
        mine = await self._documents.by_id(bounds, self._clock.now(), own=True)
        done = {key: item.content for key, item in mine.items() if item.content.status in ("success", "failed")}
        if (left := len(mine) - len(done)) >= _MOST_UNFINISHED:
            raise TooManyRequests(f"{left} tasks are not finished; wait for one of them.", retry_after_s=_RETRY_S)
        oldest = sorted(done, key=lambda key: done[key].created_at)
        return [(KIND, key) for key in oldest[: max(0, len(mine) + 1 - _MOST_KEPT)]]


class LongWork:
    """Keeps tasks of work that outlasts its callers: running, then success or failed.

    While it runs here a lease says so: a task without one belongs to a process that has ended, and fails when it is
    read, or at the next sweep.
    """

    def __init__(self, *, store: Store, leases: Leases, tenants: Tenants, clock: Clock) -> None:
        self._store = store
        self._tenants = tenants
        self._leases = leases
        self._clock = clock
        self._tasks = Tasks(store, clock)
        self._running: dict[asyncio.Task[None], asyncio.Task[Any]] = {}

    async def follow(
        self, bounds: Scope, kind: Literal["compaction", "rebuild"], work: asyncio.Task[Any], started: datetime
    ) -> Task:
        """Return the task that tells what becomes of work that goes on.

        Args:
            bounds: Who may see the task: callers who reach all of that.
            kind: Type of the task.
            work: The work; its result must be something that can be written as JSON.
            started: When it began.
        """
        task = Task(id=new_id(), type=kind, status="running", created_at=started, started_at=started)
        lease = await self._leases.take(bounds.tenant, _lease_of(task), told="A task with this id is already running.")
        await self._tasks.put(bounds, task)
        watching = asyncio.create_task(self._watch(bounds, task, work, lease))
        self._running[watching] = work
        watching.add_done_callback(self._running.pop)
        return task

    async def aclose(self) -> None:
        """Stop what still runs, and say so in its tasks."""
        for work in self._running.values():
            work.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def settled(self, found: Bound[Task]) -> Bound[Task]:
        """The task as it is: failed, if the process that was at it is gone."""
        if found.content.status not in ("pending", "running") or await self._goes_on(found):
            return found
        # What ends a task writes that first, and gives its lease or job back then: so it is read once more.
        own = await self._tasks.own(found.bounds, found.content.id)
        if own is None:
            return found
        key, again = own
        if again.content.status not in ("pending", "running"):
            return again
        now = self._clock.now()
        ended = msgspec.structs.replace(again.content, status="failed", completed_at=now, error_message=_STOPPED)
        await self._tasks.put(again.bounds, ended, key)
        return Bound(again.bounds, ended)

    async def settle(self) -> None:
        """End the tasks of all tenants whose process is gone."""
        now = self._clock.now()
        for tenant in await self._tenants.known(now):
            for found in (await self._tasks.by_key(Scope(tenant=tenant))).values():
                await self.settled(found)

    async def _goes_on(self, found: Bound[Task]) -> bool:
        """Tell whether some process works on the task, or will do so."""
        tenant, task = found.bounds.tenant, found.content
        if task.type != "summary_view_full_run":
            return await self._leases.held_until(tenant, _lease_of(task)) is not None
        offset = 0
        while page := (await self._store.list_jobs(Scope(tenant=tenant), limit=_PAGE, offset=offset))[0]:
            offset += len(page)
            if any(job.event == "view_due" and job.state is not JobState.DEAD and _runs(job, found) for job in page):
                return True
        return False

    async def _watch(self, bounds: Scope, task: Task, work: asyncio.Task[Any], lease: Lease) -> None:
        result, error = None, None
        try:
            result = msgspec.to_builtins(await work)
        except asyncio.CancelledError:
            error = _STOPPED
        except MemhostError as failure:
            error = failure.message
        except Exception:  # nobody waits for this any more: the task and the log say what happened
            logger.exception("task.failed")
            error = _FAILED
        ended = msgspec.structs.replace(
            task,
            status="success" if error is None else "failed",
            completed_at=self._clock.now(),
            error_message=error,
            result=result,
        )
        await self._tasks.put(bounds, ended)
        await lease.give_back()


def _runs(job: Job, found: Bound[Task]) -> bool:
    task = found.content.id
    return msgspec.msgpack.decode(job.payload, type=ViewDue).task_id in (Tasks.key(found.bounds, task), task)


def _lease_of(task: Task) -> str:
    return f"task:{task.id}"
