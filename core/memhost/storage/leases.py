"""Leases: the right to do something alone, over all processes of a store, for as long as its holder lives.

A lease is a document that names its process and ends some seconds later. Its holder renews it in the background, so its
length is how long the work of a process that died is left alone, whatever the work takes. A process that meets the
lease of a process of the same machine that has ended drops it at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import msgspec

from memhost.cancelling import cancel
from memhost.errors import Busy, DocumentGone, MemhostError
from memhost.models import Document, Scope, WriteBatch, new_id
from memhost.ports import Clock, Store
from memhost.storage.processes import Process, is_gone, this_process

PATIENCE_S = 1.0
"""Time to wait for a lease that another process holds, seconds: enough for work that is about to end."""

_PAUSE_S = 0.25


class Lease:
    """A lease that is held. Made by `Leases.take`; its holder ends it with `give_back`."""

    def __init__(self, *, store: Store, clock: Clock, tenant: str, name: str, length_s: float) -> None:
        self.document = (kind_of(name), new_id())
        self._store = store
        self._clock = clock
        self._scope = Scope(tenant=tenant)
        self._length = timedelta(seconds=length_s)
        self._until = clock.now()
        self._renewing: asyncio.Task[None] | None = None

    async def keep(self) -> None:
        """Make sure that the lease is still held; called before each change that it is for.

        Raises:
            Busy: It ended before it was renewed, and another process may hold it now.
        """
        if self._until - self._clock.now() < self._length / 2:
            try:
                await self.show(required=True)
            except DocumentGone as error:
                raise Busy(
                    "This run took longer than its lease, so another process may have started the same work; the "
                    "rest is left to that process.",
                    wait_s=self._length.total_seconds(),
                ) from error

    async def show(self, *, required: bool = False) -> None:
        """Write its document, which has to be there already if it is `required`."""
        now = self._clock.now()
        kind, document_id = self.document
        document = Document(
            kind=kind,
            id=document_id,
            tenant=self._scope.tenant,
            body=msgspec.msgpack.encode(this_process()),
            updated_at=now,
            expires_at=now + self._length,
        )
        # A renewal never brings back a lease that has ended. Process A stands still for longer than its lease (a paused
        # container), B takes the lease and starts; if A's renewal wrote its document again, both would do the work.
        names = [self.document] if required else []
        await self._store.commit(self._scope, WriteBatch(put_documents=[document], require_documents=names))
        self._until = now + self._length

    def renew(self) -> None:
        """Renew it in the background from now on."""
        self._renewing = asyncio.create_task(self._renew(), name="memhost-lease")

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._length.total_seconds() / 3)
            try:
                await self.show(required=True)
            except DocumentGone:
                return  # `keep` finds out as well
            except MemhostError:
                continue  # the store does not answer; until the lease ends there is time to try again

    async def stop(self) -> None:
        """Stop renewing it."""
        if self._renewing is not None:
            await cancel(self._renewing)

    async def give_back(self) -> None:
        """Release the lease at once; if the store does not answer, others can take it when it expires."""
        await self.stop()
        with contextlib.suppress(MemhostError):
            await self._store.commit(self._scope, WriteBatch(delete_documents=[self.document]))


class Leases:
    """The leases of a store.

    Args:
        store: Where they are kept.
        clock: Time.
        length_s: How long one lasts without being renewed, seconds.
    """

    def __init__(self, store: Store, clock: Clock, length_s: float) -> None:
        self._store = store
        self._clock = clock
        self._length_s = length_s

    async def take(self, tenant: str, name: str, *, told: str, patience_s: float = PATIENCE_S) -> Lease:
        """Take the lease of that name; it is renewed until it is given back.

        Each process writes its own claim first and reads the others' claims then, so of two that start together at most
        one continues.

        Args:
            tenant: Tenant of the lease.
            name: Name of the lease, which says what work it protects.
            told: Error message for callers that cannot take the lease.
            patience_s: How long to wait for another who holds it, seconds.

        Raises:
            Busy: Another holds it; `wait_s` is what is left of its lease.
        """
        lease = Lease(store=self._store, clock=self._clock, tenant=tenant, name=name, length_s=self._length_s)
        last_look = asyncio.get_running_loop().time() + patience_s
        while True:
            until = await self.held_until(tenant, name)
            if until is None:
                # Write first, then look: two processes A and B that only looked would both find nothing, and both would
                # start. With its document written before the second look, at least one sees the other; if both do, both
                # give back, and try again after pauses of random length.
                try:
                    await lease.show()
                    until = await self.held_until(tenant, name, but=lease)
                except BaseException:  # also a cancellation: nobody would hold what was shown
                    await lease.give_back()
                    raise
                if until is None:
                    lease.renew()
                    return lease
                await lease.give_back()
            if asyncio.get_running_loop().time() >= last_look:
                raise Busy(told, wait_s=max(0.0, (until - self._clock.now()).total_seconds()))
            await asyncio.sleep(_PAUSE_S * (0.5 + random.random()))  # noqa: S311 - so that two do not keep step

    @asynccontextmanager
    async def held(self, tenant: str, name: str, *, told: str, patience_s: float = PATIENCE_S) -> AsyncIterator[Lease]:
        """The lease of that name while the block runs; see `take`."""
        lease = await self.take(tenant, name, told=told, patience_s=patience_s)
        try:
            yield lease
        finally:
            await lease.give_back()

    async def held_until(self, tenant: str, name: str, *, but: Lease | None = None) -> datetime | None:
        """Return the time until which another holder has it at least, None if there is none.

        Leases of ended processes of this machine are dropped on the way.
        """
        scope, now = Scope(tenant=tenant), self._clock.now()
        dead, ends = [], []
        for document in await self._store.list_documents(scope, kind_of(name), now):
            if but is not None and document.id == but.document[1]:
                continue
            if is_gone(msgspec.msgpack.decode(document.body, type=Process)):
                dead.append((document.kind, document.id))
            elif document.expires_at is not None:
                ends.append(document.expires_at)
        if dead:
            await self._store.commit(scope, WriteBatch(delete_documents=dead))
        return max(ends, default=None)


def kind_of(name: str) -> str:
    """Kind of the documents of the leases of that name."""
    return f"lease:{name}"
