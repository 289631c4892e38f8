"""Has the store remove what deletions leave in its files, one time after the other, for all who wait for it."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from memhost.logs import log
from memhost.ports import SecureDelete, Store

logger = logging.getLogger(__name__)

WAIT_S = 20.0
"""Longest time that the caller waits; the removal continues in the background after that."""


class Scrubbing:
    """One at a time. Callers that ask during a run share the next one."""

    def __init__(self, store: Store, wait_s: float = WAIT_S) -> None:
        self._store = store
        self._wait_s = wait_s
        self._one_at_a_time = asyncio.Lock()
        self._next: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def needed(self) -> bool:
        """Tell whether the store keeps files that may contain remains of deleted data."""
        return isinstance(self._store, SecureDelete)

    async def run(self) -> bool:
        """Remove data deleted until now from the files; return False if that continues in the background.

        Raises:
            StoreUnavailable: It could not be done.
        """
        task = self._next
        if task is None:
            task = self._next = asyncio.create_task(self._scrub())
            self._tasks.add(task)
            task.add_done_callback(self._ended)
        done, _ = await asyncio.wait({task}, timeout=self._wait_s)
        if done:
            task.result()
        return bool(done)

    async def _scrub(self) -> None:
        async with self._one_at_a_time:
            self._next = None
            assert isinstance(self._store, SecureDelete)
            await self._store.scrub()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log(logger, logging.ERROR, "store.not_scrubbed", error=str(error))

    async def aclose(self) -> None:
        """Stop; the next deletion does the rest."""
        for task in (tasks := list(self._tasks)):
            task.cancel()
        for task in tasks:
            with suppress(BaseException):
                await task
