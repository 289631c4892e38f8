"""Work that outlasts the call that started it: it continues in this process, and a task records its result."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Any, Literal

import msgspec

from memhost.errors import MemhostError
from memhost.events import ViewDue
from memhost.models import Job, JobState, Scope, WriteBatch, new_id
from memhost.operations.responses import Task
from memhost.ports import Clock, Store
from memhost.storage.bound_documents import Bound, BoundDocuments, document_scope
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


class LongWork:
    """Waits for work as long as its caller does, and then keeps a task of it: running, then success or failed.

    While it runs here a lease says so: a task without one belongs to a process that has ended, and fails when it is
    read, or at the next sweep.
    """

    def __init__(self, *, store: Store, leases: Leases, tenants: Tenants, clock: Clock) -> None:
        self._store = store
        self._tenants = tenants
        self._leases = leases
        self._clock = clock
        self._tasks = BoundDocuments(store, KIND, Task)
        self._running: dict[asyncio.Task[None], asyncio.Task[Any]] = {}

    async def wait(
        self, bounds: Scope, kind: Literal["compaction", "rebuild"], work: asyncio.Task[Any], wait_s: float
    ) -> Task | None:
        """Wait for the work; None if it is done in time, else the task that tells what becomes of it.

        Args:
            bounds: Who may see the task: callers who reach all of that.
            kind: Type of the task.
            work: The work; its result must be something that can be written as JSON.
            wait_s: How long to wait, seconds.
        """
        started = self._clock.now()
        try:
            done, _ = await asyncio.wait({work}, timeout=wait_s)
        except asyncio.CancelledError:  # the caller has gone, and no task tells of the work
            work.cancel()
            raise
        if done:
            return None
        task = Task(id=new_id(), type=kind, status="running", created_at=started, started_at=started)
        lease = await self._leases.take(bounds.tenant, _lease_of(task), told="A task with this id is already running.")
        await self._put(bounds, task)
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
        now = self._clock.now()
        again = await self._tasks.get(found.bounds, found.content.id, now)
        if again is None or again.content.status not in ("pending", "running"):
            return again or found
        ended = msgspec.structs.replace(again.content, status="failed", completed_at=now, error_message=_STOPPED)
        await self._put(again.bounds, ended)
        return Bound(again.bounds, ended)

    async def settle(self) -> None:
        """End the tasks of all tenants whose process is gone."""
        now = self._clock.now()
        for tenant in await self._tenants.known(now):
            for found in await self._tasks.list_all(Scope(tenant=tenant), now):
                await self.settled(found)

    async def _goes_on(self, found: Bound[Task]) -> bool:
        """Tell whether some process works on the task, or will do so."""
        tenant, task = found.bounds.tenant, found.content
        if task.type != "summary_view_full_run":
            return await self._leases.held_until(tenant, _lease_of(task)) is not None
        offset = 0
        while page := (await self._store.list_jobs(Scope(tenant=tenant), limit=_PAGE, offset=offset))[0]:
            offset += len(page)
            if any(job.event == "view_due" and job.state is not JobState.DEAD and _runs(job, task) for job in page):
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
        await self._put(bounds, ended)
        await lease.give_back()

    async def _put(self, bounds: Scope, task: Task) -> None:
        now = self._clock.now()
        document = self._tasks.make(task.id, Bound(bounds, task), now, expires_at=now + KEPT)
        await self._store.commit(document_scope(bounds), WriteBatch(put_documents=[document]))


def _runs(job: Job, task: Task) -> bool:
    return msgspec.msgpack.decode(job.payload, type=ViewDue).task_id == task.id


def _lease_of(task: Task) -> str:
    return f"task:{task.id}"
