"""Full runs of summary views: tasks that callers watch, and the background work behind them."""

from __future__ import annotations

import asyncio
from typing import Literal

import msgspec

from memhost.errors import Conflict, InvalidRequest, NotFound
from memhost.events import ViewDue
from memhost.jobs.outbox import Outbox
from memhost.jobs.tasks import LongWork, Tasks
from memhost.models import Job, Scope, WriteBatch, new_id
from memhost.operations.responses import Task
from memhost.operations.table import Call
from memhost.operations.views import RunSummaryView
from memhost.ports import Clock, Store
from memhost.storage.bound_documents import document_scope
from memhost.views.service import ViewService


class ViewRuns:
    """Starts full runs, carries them out, and keeps their tasks: pending, running, then success or failed."""

    def __init__(self, *, store: Store, views: ViewService, outbox: Outbox, long_work: LongWork, clock: Clock) -> None:
        self._store = store
        self._long_work = long_work
        self._views = views
        self._outbox = outbox
        self._clock = clock
        self._tasks = Tasks(store, clock)
        self._starting = asyncio.Lock()

    # -- requests --------------------------------------------------------------------------------------

    async def start(self, call: Call, request: RunSummaryView) -> Task:
        """Have a view computed in the background; the task, still pending.

        Raises:
            NotFound: There is no such view.
            Conflict: A task of the same owner has that id.
            TooManyRequests: Too many tasks of the owner are not finished.
            InvalidRequest: No plugin computes views.
        """
        found = await self._views.visible(call, request.view_id)
        if not self._outbox.wants("view_due"):
            raise InvalidRequest("No plugin computes summary views; enable pipeline-maintenance.")
        now = self._clock.now()
        tenant = found.bounds.tenant
        task = Task(id=request.task_id or new_id(), view_id=request.view_id, created_at=now)
        event = ViewDue(tenant=tenant, view_id=request.view_id, task_id=self._tasks.key(found.bounds, task.id))
        batch = WriteBatch(
            put_documents=[self._tasks.document(found.bounds, task)],
            add_jobs=self._outbox.jobs("view_due", event, tenant=tenant, now=now),
        )
        async with self._starting:
            if request.task_id and await self._tasks.own(found.bounds, task.id) is not None:
                raise Conflict(f"A task {task.id} exists already; send another task_id or none.")
            batch.delete_documents = await self._tasks.make_room(found.bounds)
            await self._store.commit(document_scope(found.bounds), batch)
        self._outbox.committed(batch.add_jobs)
        return task

    async def get_task(self, call: Call, task_id: str) -> Task:
        """The task of that id.

        Raises:
            NotFound: There is none that the caller may see.
        """
        found = await self._tasks.find(call.caller.bounds, task_id)
        if found is None:
            raise NotFound(f"Task {task_id} not found.")
        return (await self._long_work.settled(found)).content

    # -- background ------------------------------------------------------------------------------------

    async def refresh(self, tenant: str, view_id: str, task_id: str | None = None) -> None:
        """Compute all groups of a view. Can be repeated: a run that died half-way is done again as a whole.

        Args:
            tenant: The tenant.
            view_id: Id of the view.
            task_id: What the event named as the task (a key of `Tasks`), None if no caller watches.
        """
        if task_id is not None and await self._status(tenant, task_id) == "success":
            return
        await self._change(tenant, task_id, "running")
        found = await self._views.find(tenant, view_id)
        if found is None:
            await self._change(tenant, task_id, "failed", "The summary view was deleted.")
            return
        await self._views.compute(found)
        await self._change(tenant, task_id, "success")

    async def request_refreshes(self, tenant: str) -> int:
        """Make the tenant's continuous views due, each once however often it is called; return their number."""
        view_ids = await self._views.continuous(tenant)
        now = self._clock.now()
        jobs = [
            job
            for view_id in view_ids
            for job in self._outbox.jobs(
                "view_due", ViewDue(tenant=tenant, view_id=view_id), tenant=tenant, now=now, key=view_id
            )
        ]
        if jobs:
            await self._store.commit(Scope(tenant=tenant), WriteBatch(add_jobs=jobs))
            self._outbox.committed(jobs)
        return len(view_ids)

    async def given_up(self, job: Job, reason: str) -> None:
        """A job went to the dead letters: if it was the run of a task, the task has failed."""
        if job.event == "view_due":
            event = msgspec.msgpack.decode(job.payload, type=ViewDue)
            await self._change(job.tenant, event.task_id, "failed", f"The run failed: {reason}")

    async def _status(self, tenant: str, task_id: str) -> str | None:
        found = await self._tasks.of_key(tenant, task_id)
        return found.content.status if found is not None else None

    async def _change(
        self,
        tenant: str,
        task_id: str | None,
        status: Literal["running", "success", "failed"],
        error: str | None = None,
    ) -> None:
        """Move a task on; a finished one stays as it is."""
        if task_id is None:
            return
        now = self._clock.now()
        found = await self._tasks.of_key(tenant, task_id)
        if found is None or found.content.status in ("success", "failed"):
            return
        task = msgspec.structs.replace(
            found.content,
            status=status,
            started_at=(found.content.started_at or now) if status != "failed" else found.content.started_at,
            completed_at=None if status == "running" else now,
            error_message=error,
        )
        await self._tasks.put(found.bounds, task, task_id)
