"""Moving everything from one store into another: all tenants, and of each whatever the store keeps.

Nothing is recomputed: vectors, versions, times and jobs arrive as they were. An interrupted migration is continued by
running it again: data that is equal in the target is skipped. A document in the target tells that it is filled by a
migration, and from where, until all was compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from memhost.admin.migration_tables import MARK_KIND, SHELVES, Jobs, MigrationTable
from memhost.admin.secret_scan import SecretScan
from memhost.errors import Conflict
from memhost.models import DEFAULT_TENANT, Document, Scope, WriteBatch
from memhost.ports import Clock, PutsOff, Store
from memhost.secrets import Masker

_HOME = Scope(tenant=DEFAULT_TENANT)
_MARK = "source"

Step = Callable[[int], None]


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One sort of things of one tenant, in both stores.

    Attributes:
        tenant: The tenant.
        what: `memories`, `sessions`, `documents` or `jobs`.
        source: How many the source has.
        target: How many of the same identities the target has.
        more: How many others the target has.
        source_checksum: 32 hex digits over all that the things of the source say, in any order.
        target_checksum: The same over those of the target.
    """

    tenant: str
    what: str
    source: int
    target: int
    more: int
    source_checksum: str
    target_checksum: str

    @property
    def equal(self) -> bool:
        """Tell whether everything arrived unchanged."""
        return (self.source, self.source_checksum) == (self.target, self.target_checksum)


class _Sum:
    """Number and checksum of things, whatever their order."""

    def __init__(self) -> None:
        self.count = 0
        self._total = 0

    def add(self, shelf: MigrationTable[Any], items: Sequence[Any]) -> None:
        self.count += len(items)
        self._total = (self._total + sum(shelf.digest(item) for item in items)) % (1 << 128)

    def __str__(self) -> str:
        return f"{self._total:032x}"


class Migration:
    """Copies a store whose servers and workers are stopped.

    Args:
        source: Where to read; nothing is changed but that jobs of dead processes are given back.
        target: Where to write, opened for the same embedder.
        origin: What names the source, without credentials.
        tenants: All tenants of the source.
        now: The moment by which things have expired or not.
    """

    def __init__(self, *, source: Store, target: Store, origin: str, tenants: Sequence[str], now: datetime) -> None:
        self._source = source
        self._target = target
        self._origin = origin
        self._tenants = tenants
        self._now = now

    def _pairs(self) -> list[tuple[str, MigrationTable[Any], MigrationTable[Any]]]:
        return [
            (tenant, shelf(self._source, tenant, self._now), shelf(self._target, tenant, self._now))
            for tenant in self._tenants
            for shelf in SHELVES
        ]

    async def plan(self) -> dict[tuple[str, str], int]:
        """Return the number of things to copy, by tenant and sort.

        Raises:
            Conflict: The source holds tenants that are not known, or is itself the target of an unfinished migration.
        """
        if await self._mark(self._source):
            raise Conflict("The source is the target of an unfinished migration; finish that migration first.")
        planned = {(tenant, shelf.name): await shelf.count() for tenant, shelf, _ in self._pairs()}
        counts = (await self._source.info()).counts
        for name, held in (("memories", counts["memories"]), ("jobs", counts["jobs"] + counts["dead_jobs"])):
            reached = sum(number for (_, what), number in planned.items() if what == name)
            if reached < held:
                raise Conflict(
                    f"The source contains {held - reached} {name} of tenants that never called its server; name these "
                    "tenants with --tenant."
                )
        return planned

    async def refuse_secrets(self, masker: Masker, clock: Clock) -> None:
        """Look for secrets in the source: a copy is exact, so none can be masked on the way.

        Raises:
            Conflict: There are some, and the settings do not keep secrets.
        """
        if masker.policy == "keep":
            return
        scan = SecretScan(store=self._source, embedder=None, masker=masker, clock=clock, mask=False)
        for tenant in self._tenants:
            await scan.tenant(tenant)
        if number := scan.report.found - scan.report.staying:
            raise Conflict(
                f"The source holds {number} secrets, and a migration changes nothing that it copies: mask them there "
                "with memhost scan --mask, or set SECRETS=keep to copy them."
            )

    async def prepare(self, *, force: bool) -> None:
        """Enter into the target that it is being filled, and give back the jobs of dead processes.

        Args:
            force: Accept a target that is not empty; data with the same identity is replaced.

        Raises:
            Conflict: The target holds something and is no continuation, or the source is still at work.
        """
        mark = await self._mark(self._target)
        if mark is None and not force:
            await self._refuse_what_is_not_empty()
        if mark not in (None, self._origin) and not force:
            raise Conflict(
                f"The target holds part of an unfinished migration from {mark}; continue that migration, empty the "
                "target, or use --force."
            )
        await self._give_back()
        document = Document(
            kind=MARK_KIND, id=_MARK, tenant=DEFAULT_TENANT, body=self._origin.encode(), updated_at=self._now
        )
        await self._target.commit(_HOME, WriteBatch(put_documents=[document]))

    async def _mark(self, store: Store) -> str | None:
        found = await store.get_document(_HOME, MARK_KIND, _MARK, self._now)
        return None if found is None else found.body.decode()

    async def _refuse_what_is_not_empty(self) -> None:
        held = {name: number for name, number in (await self._target.info()).counts.items() if number}
        for tenant, _, shelf in self._pairs():
            if number := await shelf.count():
                held.setdefault(f"{shelf.name} of {tenant}", number)
        if held:
            told = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in held.items())
            raise Conflict(
                f"The target is not empty ({told}); empty it, or merge into it with --force, which replaces data with "
                "the same id."
            )

    async def _give_back(self) -> None:
        for tenant in self._tenants:
            for job in await Jobs(self._source, tenant, self._now).running():
                if job.lease_until is not None and job.lease_until > self._now:
                    raise Conflict(
                        f"A server or worker still uses the source: it holds job {job.id} until "
                        f"{job.lease_until:%H:%M:%S} UTC. Stop it and repeat the command after that time."
                    )
                reason = job.last_error or "its process died"
                if isinstance(self._source, PutsOff):
                    await self._source.put_off_job(job.id, job.lease, job.due_at, reason, job.waiting_since)
                else:
                    await self._source.retry_job(job.id, job.lease, job.due_at, reason)

    async def copy(self, step: Step) -> None:
        """Copy everything that differs in the target; `step` receives the number of finished things."""
        for _, ours, theirs in self._pairs():
            async for page in ours.pages():
                there = {theirs.identity(item): theirs.digest(item) for item in await theirs.like(page)}
                missing = [item for item in page if there.get(ours.identity(item)) != ours.digest(item)]
                if missing:
                    await theirs.put(missing)
                step(len(page))

    async def compare(self, step: Step) -> list[Compared]:
        """Read everything again, from both stores."""
        found = []
        for tenant, ours, theirs in self._pairs():
            source, target = _Sum(), _Sum()
            async for page in ours.pages():
                source.add(ours, page)
                target.add(theirs, await theirs.like(page))
                step(len(page))
            row = Compared(
                tenant=tenant,
                what=ours.name,
                source=source.count,
                target=target.count,
                more=await theirs.count() - target.count,
                source_checksum=str(source),
                target_checksum=str(target),
            )
            found.append(row)
        return found

    async def finish(self) -> None:
        """Enter into the target that it is complete."""
        await self._target.commit(_HOME, WriteBatch(delete_documents=[(MARK_KIND, _MARK)]))
