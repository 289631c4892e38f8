"""Work that outlasts the call that began it: it goes on in this process, and a task tells how it ends."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Any, Literal

import msgspec

from memhost.errors import MemhostError
from memhost.models import Scope, WriteBatch, new_id
from memhost.operations.responses import Task
from memhost.ports import Clock, Store
from memhost.services.bound_documents import Bound, BoundDocuments, document_scope

logger = logging.getLogger(__name__)

KIND = "task"
"""Kind of the documents of all tasks."""
KEPT = timedelta(days=7)
"""How long a task is kept after its last change."""

_FAILED = "The server failed; its log tells why."
_STOPPED = "The server was stopped before it was done; ask for it again."


class LongWork:
    """Waits for work as long as its caller does, and then keeps a task of it: running, then success or failed."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._tasks = BoundDocuments(store, KIND, Task)
        self._running: dict[asyncio.Task[None], asyncio.Task[Any]] = {}

    async def wait(
        self, bounds: Scope, kind: Literal["compaction"], work: asyncio.Task[Any], wait_s: float
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
        await self._put(bounds, task)
        watching = asyncio.create_task(self._watch(bounds, task, work))
        self._running[watching] = work
        watching.add_done_callback(self._running.pop)
        return task

    async def aclose(self) -> None:
        """Stop what still runs, and say so in its tasks."""
        for work in self._running.values():
            work.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _watch(self, bounds: Scope, task: Task, work: asyncio.Task[Any]) -> None:
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

    async def _put(self, bounds: Scope, task: Task) -> None:
        now = self._clock.now()
        document = self._tasks.make(task.id, Bound(bounds, task), now, expires_at=now + KEPT)
        await self._store.commit(document_scope(bounds), WriteBatch(put_documents=[document]))
