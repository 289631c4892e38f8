"""The outbox of the memory store."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import TypeVar

import msgspec

from memhost.errors import InvalidRequest
from memhost.models import Job, JobState, Scope

T = TypeVar("T", bound=msgspec.Struct)


def copy_struct(value: T) -> T:
    """A copy that shares nothing with the original.

    Raises:
        InvalidRequest: A durable store could not keep the value.
    """
    try:
        return msgspec.msgpack.decode(msgspec.msgpack.encode(value), type=type(value))
    except (UnicodeEncodeError, OverflowError) as error:
        raise InvalidRequest(f"The store cannot keep this value: {error}.") from error


class Outbox:
    """Jobs by id, and what running ones become when their run ends (`Job.replace`)."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self._successors: dict[str, Job] = {}

    def add(self, new: Job) -> None:
        """Add a job, or replace what is there if it asks for that."""
        existing = self.jobs.get(new.id)
        if existing is None:
            fresh = {
                "state": JobState.PENDING,
                "attempts": 0,
                "lease": "",
                "lease_until": None,
                "last_error": None,
            }
            self.jobs[new.id] = msgspec.structs.replace(new, replace=False, **fresh)
        elif new.replace and existing.tenant == new.tenant:
            if existing.state is JobState.RUNNING:
                self._successors[new.id] = new
            else:
                self._restart(existing, new)

    def restore(self, copied: Job) -> None:
        """Keep a job as it stood in another store; whoever ran it there does not run it here."""
        existing = self.jobs.get(copied.id)
        if existing is None or existing.tenant == copied.tenant:
            self._successors.pop(copied.id, None)
            state = JobState.DEAD if copied.state is JobState.DEAD else JobState.PENDING
            self.jobs[copied.id] = msgspec.structs.replace(
                copied, replace=False, state=state, lease="", lease_until=None
            )

    @staticmethod
    def _restart(job: Job, new: Job) -> None:
        if job.state is not JobState.PENDING:
            job.attempts = 0
        job.event, job.plugin, job.payload, job.due_at = (
            new.event,
            new.plugin,
            new.payload,
            new.due_at,
        )
        job.state, job.lease, job.lease_until = JobState.PENDING, "", None

    def finish(self, job: Job) -> None:
        """End a run for good: the job goes, or becomes the successor that was added while it ran."""
        successor = self._successors.pop(job.id, None)
        if successor is None:
            del self.jobs[job.id]
        else:
            self._restart(job, successor)

    def cancel(self, tenant: str, job_id: str) -> None:
        """Remove a pending job of the tenant, or what a running one would become."""
        job = self.jobs.get(job_id)
        if job and job.tenant == tenant:
            self._successors.pop(job_id, None)
            if job.state is JobState.PENDING:
                del self.jobs[job_id]

    def running(self, job_id: str, lease: str) -> Job | None:
        """The job if it runs under that lease."""
        job = self.jobs.get(job_id)
        return job if job and job.state is JobState.RUNNING and job.lease == lease else None

    async def claim_jobs(self, now: datetime, limit: int, lease_s: float) -> list[Job]:
        """Take over due jobs, oldest due first."""
        due = [
            job
            for job in self.jobs.values()
            if (job.state is JobState.PENDING and job.due_at <= now)
            or (job.state is JobState.RUNNING and job.lease_until is not None and job.lease_until <= now)
        ]
        due.sort(key=lambda job: (job.due_at, job.id))
        for job in due[:limit]:
            job.state, job.lease = JobState.RUNNING, secrets.token_hex(16)
            job.lease_until = now + timedelta(seconds=lease_s)
            job.attempts += 1
        return [copy_struct(job) for job in due[:limit]]

    async def extend_lease(self, job_id: str, lease: str, until: datetime) -> bool:
        """Prolong a lease that is still held."""
        job = self.running(job_id, lease)
        if job:
            job.lease_until = until
        return job is not None

    async def retry_job(self, job_id: str, lease: str, due_at: datetime, error: str) -> bool:
        """Give a running job back as pending; a successor added meanwhile takes its place."""
        job = self.running(job_id, lease)
        if job is None:
            return False
        job.last_error = error
        if job_id in self._successors:
            self.finish(job)
        else:
            job.state, job.lease, job.lease_until, job.due_at = JobState.PENDING, "", None, due_at
        return True

    async def bury_job(self, job_id: str, lease: str, error: str) -> bool:
        """Move a running job to the dead-letter list; a successor added meanwhile takes its place."""
        job = self.running(job_id, lease)
        if job is None:
            return False
        job.last_error = error
        if job_id in self._successors:
            self.finish(job)
        else:
            job.state, job.lease, job.lease_until = JobState.DEAD, "", None
        return True

    async def list_jobs(
        self, scope: Scope, state: JobState | None = None, *, limit: int = 100, offset: int = 0
    ) -> tuple[list[Job], int]:
        """Jobs of the tenant by (created_at, id)."""
        jobs = [job for job in self.jobs.values() if job.tenant == scope.tenant and state in (None, job.state)]
        jobs.sort(key=lambda job: (job.created_at, job.id))
        return [copy_struct(job) for job in jobs[offset : offset + limit]], len(jobs)

    async def revive_job(self, scope: Scope, job_id: str, due_at: datetime) -> bool:
        """Make a dead job pending again with `attempts` 0."""
        job = self._dead(scope, job_id)
        if job:
            job.state, job.attempts, job.due_at = JobState.PENDING, 0, due_at
        return job is not None

    async def discard_job(self, scope: Scope, job_id: str) -> bool:
        """Remove a dead job for good."""
        job = self._dead(scope, job_id)
        if job:
            del self.jobs[job_id]
        return job is not None

    def _dead(self, scope: Scope, job_id: str) -> Job | None:
        job = self.jobs.get(job_id)
        return job if job and job.tenant == scope.tenant and job.state is JobState.DEAD else None

    async def next_due(self) -> datetime | None:
        """When the next pending job is due, or the next lease runs out."""
        pending = [job.due_at for job in self.jobs.values() if job.state is JobState.PENDING]
        leases = [job.lease_until for job in self.jobs.values() if job.state is JobState.RUNNING and job.lease_until]
        return min([*pending, *leases], default=None)
