"""The outbox: sorted sets over jobs, changed by scripts only."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from memhost.models import Job, JobState, Scope
from memhost.storekit import from_micros, to_micros
from memhost_store_redis.connection import Connections


class Jobs:
    """The part of the port that runners and operators use."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def _run(self, action: str, *arguments: Any) -> Any:
        return await self._connections.script("jobs", action, *arguments)

    async def claim_jobs(self, now: datetime, limit: int, lease_s: float) -> list[Job]:
        """Take over due jobs, oldest due first."""
        if limit <= 0:
            return []
        at = to_micros(now)
        until = at + int(lease_s * 1_000_000)
        return [_decode(row) for row in await self._run("claim", at, until, limit, secrets.token_hex(16))]

    async def extend_lease(self, job_id: str, lease: str, until: datetime) -> bool:
        """Prolong a lease that is still held."""
        return bool(await self._run("extend", job_id, lease, to_micros(until)))

    async def retry_job(self, job_id: str, lease: str, due_at: datetime, error: str) -> bool:
        """Give a running job back as pending."""
        return bool(await self._run("release", job_id, lease, error, to_micros(due_at)))

    async def put_off_job(
        self, job_id: str, lease: str, due_at: datetime, reason: str, since: datetime | None = None
    ) -> bool:
        """Give a running job back without a failure."""
        waits = "" if since is None else to_micros(since)
        return bool(await self._run("put_off", job_id, lease, reason, to_micros(due_at), waits))

    async def waiting_jobs(self) -> tuple[int, Job | None]:
        """Return the number of waiting jobs of all tenants, and the oldest of them."""
        count, rows = await self._run("waiting")
        return int(count), _decode(rows[0]) if rows else None

    async def bury_job(self, job_id: str, lease: str, error: str) -> bool:
        """Move a running job to the dead-letter list."""
        return bool(await self._run("release", job_id, lease, error, ""))

    async def list_jobs(
        self, scope: Scope, state: JobState | None = None, *, limit: int = 100, offset: int = 0
    ) -> tuple[list[Job], int]:
        """Jobs of the tenant by (created_at, id)."""
        wanted = "" if state is None else state.value
        total, rows = await self._run("list", scope.tenant, wanted, limit, offset)
        return [_decode(row) for row in rows], int(total)

    async def revive_job(self, scope: Scope, job_id: str, due_at: datetime) -> bool:
        """Make a dead job pending again with `attempts` 0."""
        return bool(await self._run("revive", scope.tenant, job_id, to_micros(due_at)))

    async def discard_job(self, scope: Scope, job_id: str) -> bool:
        """Remove a dead job permanently."""
        return bool(await self._run("discard", scope.tenant, job_id))

    async def next_due(self) -> datetime | None:
        """When the next pending or waiting job is due, or the next lease runs out."""
        found = await self._run("next_due")
        return from_micros(found) if found else None


def _decode(row: Sequence[bytes | None]) -> Job:
    identity, event, plugin, payload, tenant, created, due, state, attempts, lease, until, error, *more = row
    failures, deaths, since = more
    return Job(
        id=_text(identity),
        event=_text(event),
        plugin=_text(plugin),
        payload=payload or b"",
        tenant=_text(tenant),
        created_at=from_micros(created or 0),
        due_at=from_micros(due or 0),
        state=JobState(_text(state)),
        attempts=int(attempts or 0),
        failures=-1 if failures is None else int(failures),
        deaths=-1 if deaths is None else int(deaths),
        lease=_text(lease),
        lease_until=from_micros(until) if until else None,
        last_error=None if error is None else error.decode(),
        waiting_since=from_micros(since) if since else None,
    )


def _text(value: bytes | None) -> str:
    return (value or b"").decode()
