"""Worker processes report through the store, so that everyone can see whether jobs are being run."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import msgspec

from memhost.cancelling import cancel
from memhost.errors import MemhostError
from memhost.models import DEFAULT_TENANT, Document, Scope, WriteBatch
from memhost.operations.responses import WorkerRow
from memhost.ports import Clock, Store

REPORT_EVERY_S = 5.0
FRESH_S = 15.0
"""A worker that has not reported for so long counts as dead."""

_KIND = "worker"
_HOME = Scope(tenant=DEFAULT_TENANT)


class Workers:
    """The worker processes of a store."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def alive(self) -> list[WorkerRow]:
        """Those that have reported within the last 15 seconds, by name."""
        found = await self._store.list_documents(_HOME, _KIND, self._clock.now())
        return [msgspec.msgpack.decode(document.body, type=WorkerRow) for document in found]

    @asynccontextmanager
    async def reporting(self, runner: str) -> AsyncIterator[None]:
        """Report every few seconds while the block runs; a report that fails is not repeated before the next."""
        name, started = f"{socket.gethostname()}:{os.getpid()}", self._clock.now()

        async def report() -> None:
            while True:
                now = self._clock.now()
                row = WorkerRow(name=name, runner=runner, started_at=started, seen_at=now)
                document = Document(
                    kind=_KIND,
                    id=name,
                    tenant=DEFAULT_TENANT,
                    body=msgspec.msgpack.encode(row),
                    updated_at=now,
                    expires_at=now + timedelta(seconds=FRESH_S),
                )
                with contextlib.suppress(MemhostError):
                    await self._store.commit(_HOME, WriteBatch(put_documents=[document]))
                await asyncio.sleep(REPORT_EVERY_S)

        task = asyncio.create_task(report(), name="memhost-worker-reports")
        try:
            yield
        finally:
            await cancel(task)
            with contextlib.suppress(MemhostError):
                await self._store.commit(_HOME, WriteBatch(delete_documents=[(_KIND, name)]))
