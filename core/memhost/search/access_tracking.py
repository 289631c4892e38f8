"""Access tracking: which memories searches found, written in batches beside the requests."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable

from memhost.errors import MemhostError
from memhost.models import AccessMark, Scope, WriteBatch
from memhost.ports import Clock, Store

logger = logging.getLogger(__name__)

_FLUSH_EVERY_S = 0.5


class AccessTracker:
    """Collects ids of found memories and marks them twice a second.

    Losing a mark in a crash is harmless; marking never makes a request wait or fail.
    """

    def __init__(self, store: Store, clock: Clock, interval_s: float) -> None:
        self._store = store
        self._clock = clock
        self._interval_s = interval_s
        self._waiting: dict[str, set[str]] = {}
        self._task: asyncio.Task[None] | None = None

    def found(self, tenant: str, ids: Iterable[str]) -> None:
        """Remember that a search returned these memories."""
        self._waiting.setdefault(tenant, set()).update(ids)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._flush_later())

    async def flush(self) -> None:
        """Write the marks collected so far."""
        waiting, self._waiting = self._waiting, {}
        for tenant, ids in waiting.items():
            if ids:
                mark = AccessMark(ids=tuple(sorted(ids)), at=self._clock.now(), interval_s=self._interval_s)
                await self._store.commit(Scope(tenant=tenant), WriteBatch(access=mark))

    async def aclose(self) -> None:
        """Write the rest and stop."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._flush_quietly()

    async def _flush_later(self) -> None:
        while self._waiting:  # also what came while the last marks were being written
            await asyncio.sleep(_FLUSH_EVERY_S)
            await self._flush_quietly()

    async def _flush_quietly(self) -> None:
        try:
            await self.flush()
        except MemhostError as error:
            logger.warning("access.lost", extra={"fields": {"code": error.code, "error": error.message}})
