"""A batch and the outbox applied to the few things that they touch, held in dicts."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import msgspec

from memhost.models import (
    Document,
    Job,
    JobState,
    Scope,
    SessionKey,
    StoredMemory,
    StoredSession,
    WriteBatch,
    WriteResult,
)
from memhost.storekit import rules
from memhost.storekit.values import holds, is_alive, owner_of

QUIET = (JobState.PENDING, JobState.WAITING)
"""States of jobs that are due some time and do not run."""


@dataclass(slots=True)
class Outbox:
    """Jobs by id, and what running ones become when their run ends (`Job.replace`)."""

    jobs: dict[str, Job] = field(default_factory=dict)
    successors: dict[str, Job] = field(default_factory=dict)

    def add(self, new: Job) -> None:
        """Add a job, or replace what is there if it asks for that."""
        existing = self.jobs.get(new.id)
        if existing is None:
            fresh = {"state": JobState.PENDING, "lease": "", "lease_until": None, "last_error": None}
            counts = {"attempts": 0, "failures": 0, "deaths": 0, "waiting_since": None}
            self.jobs[new.id] = msgspec.structs.replace(new, replace=False, **fresh, **counts)
        elif new.replace and existing.tenant == new.tenant:
            if existing.state is JobState.RUNNING:
                self.successors[new.id] = new
            else:
                self._restart(existing, new)

    def restore(self, copied: Job) -> None:
        """Keep a job as it was in another store; a process that ran it there does not run it here."""
        existing = self.jobs.get(copied.id)
        if existing is None or existing.tenant == copied.tenant:
            self.successors.pop(copied.id, None)
            state = JobState.PENDING if copied.state is JobState.RUNNING else copied.state
            fields = {"state": state, "lease": "", "lease_until": None}
            self.jobs[copied.id] = msgspec.structs.replace(copied, replace=False, **fields)

    @staticmethod
    def _restart(job: Job, new: Job) -> None:
        if job.state not in QUIET:
            _start_afresh(job)
        job.event, job.plugin, job.payload, job.due_at = new.event, new.plugin, new.payload, new.due_at
        job.state, job.lease, job.lease_until = JobState.PENDING, "", None

    def finish(self, job: Job) -> None:
        """End a run for good: the job goes, or becomes the successor that was added while it ran."""
        successor = self.successors.pop(job.id, None)
        if successor is None:
            del self.jobs[job.id]
        else:
            self._restart(job, successor)

    def cancel(self, tenant: str, job_id: str) -> None:
        """Remove a pending or waiting job of the tenant, or what a running one would become."""
        job = self.jobs.get(job_id)
        if job and job.tenant == tenant:
            self.successors.pop(job_id, None)
            if job.state in QUIET:
                del self.jobs[job_id]

    def running(self, job_id: str, lease: str) -> Job | None:
        """The job if it runs under that lease."""
        job = self.jobs.get(job_id)
        return job if job and job.state is JobState.RUNNING and job.lease == lease else None

    def claim(self, now: datetime, lease_s: float) -> list[Job]:
        """Take over all these jobs, which are due; oldest due first."""
        due = sorted(self.jobs.values(), key=lambda job: (job.due_at, job.id))
        for job in due:
            job.deaths += job.state is JobState.RUNNING
            job.state, job.lease = JobState.RUNNING, secrets.token_hex(16)
            job.lease_until = now + timedelta(seconds=lease_s)
            job.attempts += 1
        return due

    def extend(self, job_id: str, lease: str, until: datetime) -> bool:
        """Prolong a lease that is still held."""
        job = self.running(job_id, lease)
        if job:
            job.lease_until = until
        return job is not None

    def release(self, job_id: str, lease: str, error: str, due_at: datetime | None) -> bool:
        """End a run that failed: pending again, due at `due_at`; dead without one. A successor takes its place."""
        job = self.running(job_id, lease)
        if job is None:
            return False
        job.last_error, job.waiting_since = error, None
        job.failures += 1
        if job_id in self.successors:
            self.finish(job)
            return True
        job.state, job.lease, job.lease_until = JobState.DEAD if due_at is None else JobState.PENDING, "", None
        job.due_at = due_at or job.due_at
        return True

    def put_off(self, job_id: str, lease: str, due_at: datetime, reason: str, since: datetime | None) -> bool:
        """End a run that did not count: due again at `due_at`, waiting since then. A successor takes its place."""
        job = self.running(job_id, lease)
        if job is None:
            return False
        job.last_error = reason
        if job_id in self.successors:
            self.finish(job)
        else:
            job.attempts -= since is not None
            job.state = JobState.PENDING if since is None else JobState.WAITING
            job.lease, job.lease_until, job.due_at = "", None, due_at
        job.waiting_since = since
        return True

    def revive(self, scope: Scope, job_id: str, due_at: datetime) -> bool:
        """Make a dead job pending again with `attempts` 0."""
        job = self._dead(scope, job_id)
        if job:
            job.state, job.due_at = JobState.PENDING, due_at
            _start_afresh(job)
        return job is not None

    def discard(self, scope: Scope, job_id: str) -> bool:
        """Remove a dead job permanently."""
        job = self._dead(scope, job_id)
        if job:
            del self.jobs[job_id]
        return job is not None

    def _dead(self, scope: Scope, job_id: str) -> Job | None:
        job = self.jobs.get(job_id)
        return job if job and job.tenant == scope.tenant and job.state is JobState.DEAD else None


def _start_afresh(job: Job) -> None:
    job.attempts = job.failures = job.deaths = 0
    job.waiting_since = None


@dataclass(slots=True)
class Touched:
    """The stored data that a batch names, before the batch; and afterwards, the data to store.

    Attributes:
        memories: By id; the tenant's, anywhere in the tenant.
        sessions: By key.
        documents: By kind and id; the tenant's.
        outbox: Jobs and successors.
    """

    memories: dict[str, StoredMemory] = field(default_factory=dict)
    sessions: dict[SessionKey, StoredSession] = field(default_factory=dict)
    documents: dict[tuple[str, str], Document] = field(default_factory=dict)
    outbox: Outbox = field(default_factory=Outbox)

    def apply(self, scope: Scope, batch: WriteBatch, now: datetime) -> WriteResult:
        """Check everything first, then change everything but access marks (`rules.mark_access`).

        Structs of the batch are taken over, not copied, and not changed.

        Raises:
            MemhostError: What `Store.commit` says; nothing was changed.
        """
        rules.check_scope(scope, batch)
        if batch.complete_job and self.outbox.running(*batch.complete_job) is None:
            raise rules.lease_lost()
        rules.check_owners(scope, batch, {name: owner_of(each.record) for name, each in self.memories.items()})
        result = WriteResult(session_version=rules.next_version(batch, self._current_version(batch, now)))

        def living(kind: str, name: str) -> Document | None:
            document = self.documents.get((kind, name))
            return document if document and is_alive(document.expires_at, now) else None

        rules.check_documents(scope, batch, living)

        self._change_memories(scope, batch, result)
        self._change_sessions(scope, batch, result, now)
        for key in batch.delete_documents:
            if key in self.documents and holds(scope, self.documents[key]):
                del self.documents[key]
        self.documents |= {(document.kind, document.id): document for document in batch.put_documents}
        self._change_jobs(scope, batch)
        return result

    def _current_version(self, batch: WriteBatch, now: datetime) -> int:
        key = batch.put_session.key if batch.put_session else None
        existing = None if key is None or key == batch.delete_session else self.sessions.get(key)
        return existing.version if existing and is_alive(existing.expires_at, now) else 0

    def _change_memories(self, scope: Scope, batch: WriteBatch, result: WriteResult) -> None:
        for name in batch.delete_memories:
            if name in self.memories and scope.allows(*owner_of(self.memories[name].record)):
                del self.memories[name]
                result.deleted.append(name)
        for memory in batch.put_memories:
            record, existing = memory.record, self.memories.get(memory.record.id)
            if existing and record.persisted_at is None and existing.record.persisted_at is not None:
                record = msgspec.structs.replace(record, persisted_at=existing.record.persisted_at)
            self.memories[record.id] = replace(memory, record=record)
            if record.id not in result.created and record.id not in result.replaced:
                (result.replaced if existing else result.created).append(record.id)

    def _change_sessions(self, scope: Scope, batch: WriteBatch, result: WriteResult, now: datetime) -> None:
        if batch.delete_session and scope.covers(batch.delete_session):
            removed = self.sessions.pop(batch.delete_session, None)
            result.session_deleted = removed is not None and is_alive(removed.expires_at, now)
        if batch.put_session:
            session = msgspec.structs.replace(batch.put_session, version=result.session_version)
            self.sessions[session.key] = session

    def _change_jobs(self, scope: Scope, batch: WriteBatch) -> None:
        if batch.complete_job:
            self.outbox.finish(self.outbox.jobs[batch.complete_job[0]])
        for job_id in batch.cancel_jobs:
            self.outbox.cancel(scope.tenant, job_id)
        for job in batch.add_jobs:
            if batch.restored:
                self.outbox.restore(job)
            else:
                self.outbox.add(job)
