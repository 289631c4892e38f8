"""Resume jobs that wait for a model as soon as the model answers again."""

from __future__ import annotations

import asyncio
import logging
import random
from datetime import datetime, timedelta

import msgspec

from memhost.cancelling import cancel
from memhost.errors import MemhostError, ModelUnavailable
from memhost.jobs.outbox import Outbox
from memhost.models import Job, JobState, Scope, WriteBatch
from memhost.ports import Clock, Store
from memhost.usage.tenants import Tenants

logger = logging.getLogger(__name__)

_SPREAD_S = 10.0
"""Seconds within which the jobs become due, so that a model that has just come back is not asked all at once."""

_APART_S = 30.0
"""Seconds between two times at least, for a model that comes and goes."""

_PAGE = 500
_REASON = f"{ModelUnavailable.__name__}: "


class WaitingForModels:
    """Makes the jobs due that were put off because a model was away."""

    def __init__(self, *, store: Store, tenants: Tenants, outbox: Outbox, clock: Clock) -> None:
        self._store = store
        self._tenants = tenants
        self._outbox = outbox
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._again = False

    def answered(self) -> None:
        """Wake waiting jobs in the background, because a model answers again, or for the first time since the start.

        Where that was done a moment ago it is done again a little later, once.
        """
        if self._task is None or self._task.done():
            self._again = False
            self._task = asyncio.get_running_loop().create_task(self._wake_now_and_then())
        else:
            self._again = True

    async def wake(self) -> int:
        """Make all jobs that wait for a model due within a few seconds; return their number."""
        woken = 0
        for tenant in await self._tenants.known(self._clock.now()):
            scope = Scope(tenant=tenant)
            for jobs in await self._pages(scope):
                await self._store.commit(scope, WriteBatch(add_jobs=jobs))
                self._outbox.committed(jobs)
                woken += len(jobs)
        if woken:
            logger.info("jobs.woken", extra={"fields": {"jobs": woken}})
        return woken

    async def aclose(self) -> None:
        """Stop."""
        if self._task is not None:
            await cancel(self._task)

    async def _pages(self, scope: Scope) -> list[list[Job]]:
        """Return the jobs that wait for a model and are not due soon, with their new time, in pages.

        All are read before the first is changed.
        """
        pages: list[list[Job]] = []
        now, total, offset = self._clock.now(), 1, 0
        while offset < total:
            jobs, total = await self._store.list_jobs(scope, JobState.WAITING, limit=_PAGE, offset=offset)
            offset += _PAGE
            pages.append(
                [
                    msgspec.structs.replace(job, due_at=_soon(now), replace=True)
                    for job in jobs
                    if (job.last_error or "").startswith(_REASON) and job.due_at > now + timedelta(seconds=_SPREAD_S)
                ]
            )
        return [page for page in pages if page]

    async def _wake_now_and_then(self) -> None:
        while True:
            try:
                await self.wake()
            except MemhostError as error:  # each job comes back by itself when its pause is over
                logger.warning("jobs.not_woken", extra={"fields": {"code": error.code, "error": error.message}})
            await asyncio.sleep(_APART_S)
            if not self._again:
                return
            self._again = False


def _soon(now: datetime) -> datetime:
    return now + timedelta(seconds=random.uniform(0.0, _SPREAD_S))  # noqa: S311 - spreading load, not a secret
