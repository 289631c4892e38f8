"""Sessions, documents and jobs as rows of one table, and what a store must be able to do with rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, Protocol

from msgspec.msgpack import Decoder

from memhost.models import (
    AccessMark,
    Document,
    Job,
    JobState,
    Scope,
    SessionKey,
    StoredMemory,
    StoredSession,
    WriteBatch,
)
from memhost.storekit.matching import clauses
from memhost.storekit.touched import Touched
from memhost.storekit.values import Owner, digest, encode, to_micros, to_micros_or_none

SESSION, DOCUMENT, SUCCESSOR = "session", "document", "successor"
CLAIMABLE = [JobState.PENDING.value, JobState.WAITING.value, JobState.RUNNING.value]
"""Kinds of the rows of jobs that are due some time or run."""

RowOrder = Literal["name", "newest", "oldest", "ending"]


class Row(NamedTuple):
    """A session, document or job. Times are microseconds since 1970; all bytes are compared as such.

    Attributes:
        row_id: 16 bytes; no two rows have the same.
        kind: `session`, `document`, `successor` (what a running job becomes), or the state of a job.
        tenant: In UTF-8.
        namespace: `digest` of the owner's namespace; likewise `user_id` and `session_id`.
        name: `name_of` namespace, user and session of a session, kind and id of a document, id of a job.
        sorted_at: When a session or document was updated, or a job was made.
        ends_at: When a session or document expires, a job is due or its lease ends; None if never.
        body: The struct in msgpack.
    """

    row_id: bytes
    kind: str
    tenant: bytes
    namespace: bytes
    user_id: bytes
    session_id: bytes
    name: bytes
    sorted_at: int
    ends_at: int | None
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RowQuery:
    """Which rows, and which page of them; None does not restrict.

    Attributes:
        kinds: Of one of these kinds.
        row_ids: With one of these ids.
        scope: Of its tenant and inside its bounds (`bounds`).
        living_at: Not ended at that time (`ends_at` None or later).
        ended_by: Ended at that time (`ends_at` not later).
        updated_after: `sorted_at` is later.
        above: `name` comes after that.
        below: `name` comes before that.
        order: By name; `newest` or `oldest` `sorted_at` first, then by name; or first `ends_at` first, then by name.
        limit: At most so many.
        offset: So many are left out at the beginning.
    """

    kinds: list[str] | None = None
    row_ids: list[bytes] | None = None
    scope: Scope | None = None
    living_at: int | None = None
    ended_by: int | None = None
    updated_after: int | None = None
    above: bytes | None = None
    below: bytes | None = None
    order: RowOrder = "name"
    limit: int | None = None
    offset: int = 0

    def bounds(self) -> dict[str, list[bytes]]:
        """Return the values of `namespace`, `user_id` and `session_id` that the scope allows, where it restricts."""
        bound = [] if self.scope is None else clauses(self.scope)
        return {field: [digest(value) for value in values] for field, _, values in bound}


def name_of(*parts: str) -> bytes:
    """The parts in UTF-8, such that names have the order of their parts."""
    return b"".join(part.encode().replace(b"\0", b"\0\xff") + b"\0\0" for part in parts)


def after_all(*parts: str) -> bytes:
    """Comes after all names that begin with these parts, and before all larger ones."""
    return name_of(*parts)[:-1] + b"\1"


class Rows(Protocol):
    """One transaction: all of what is done in it counts, or, when it is left with an exception, nothing."""

    async def select(self, query: RowQuery, *, lock: bool = False) -> Sequence[Row]:
        """The rows in the order of the query.

        With `lock` no other transaction changes them until this one ends; a query with `ended_by` then leaves out what
        another transaction has locked, any other one waits for it.
        """
        ...

    async def count(self, query: RowQuery) -> int:
        """Return the number of rows that match, regardless of the query's page."""
        ...

    async def delete(self, query: RowQuery) -> int:
        """Remove the rows of the page; return their number."""
        ...

    async def put(self, rows: Sequence[Row]) -> None:
        """Insert or replace by `row_id`."""
        ...

    async def lock_tenant(self, tenant: str) -> None:
        """Until the transaction ends, no other one gets past this for the same tenant."""
        ...

    async def memories(self, scope: Scope, ids: Sequence[str]) -> Sequence[StoredMemory]:
        """The memories of those ids inside the scope, in any order; changes to them change nothing stored."""
        ...

    async def change_memories(self, tenant: str, gone: Sequence[str], new: Sequence[StoredMemory]) -> None:
        """Remove the memories with the ids `gone`, which are there, then insert the others."""
        ...

    async def mark_memories(self, scope: Scope, mark: AccessMark) -> None:
        """Apply `rules.mark_access` to those that are there and inside the scope."""
        ...


_SESSIONS, _DOCUMENTS, _JOBS = Decoder(StoredSession), Decoder(Document), Decoder(Job)


def session_of(row: Row) -> StoredSession:
    """The session of a row."""
    return _SESSIONS.decode(row.body)


def document_of(row: Row) -> Document:
    """The document of a row."""
    return _DOCUMENTS.decode(row.body)


def job_of(row: Row) -> Job:
    """The job of a row."""
    return _JOBS.decode(row.body)


def session_row_id(key: SessionKey) -> bytes:
    """The id of its row."""
    return digest(SESSION, key.tenant, key.namespace, key.user, key.session)


def document_row_id(tenant: str, kind: str, document_id: str) -> bytes:
    """The id of its row."""
    return digest(DOCUMENT, tenant, kind, document_id)


def job_row_ids(job_id: str) -> list[bytes]:
    """The ids of the rows of the job and of its successor."""
    return [digest("job", job_id), digest(SUCCESSOR, job_id)]


def row_ids_of(tenant: str, batch: WriteBatch) -> list[bytes]:
    """The ids of all rows that the batch looks at or changes."""
    sessions = [batch.delete_session, batch.put_session and batch.put_session.key]
    documents = [(each.kind, each.id) for each in batch.put_documents]
    documents += [*batch.delete_documents, *batch.require_documents]
    jobs = [job.id for job in batch.add_jobs] + batch.cancel_jobs + [*(batch.complete_job or ())][:1]
    found = [session_row_id(key) for key in sessions if key]
    found += [document_row_id(tenant, *name) for name in documents]
    return [*found, *(row_id for job_id in jobs for row_id in job_row_ids(job_id))]


def hold(touched: Touched, row: Row) -> None:
    """Put what the row holds into `touched`."""
    if row.kind == SESSION:
        session = session_of(row)
        touched.sessions[session.key] = session
    elif row.kind == DOCUMENT:
        document = document_of(row)
        touched.documents[document.kind, document.id] = document
    else:
        job = job_of(row)
        (touched.outbox.successors if row.kind == SUCCESSOR else touched.outbox.jobs)[job.id] = job


def rows_of(touched: Touched) -> Iterator[Row]:
    """The rows of its sessions, documents, jobs and successors."""
    for each in touched.sessions.values():
        key = each.key
        owner, times = (key.namespace, key.user, key.session), (each.content.updated_at, each.expires_at)
        yield _row(session_row_id(key), SESSION, key.tenant, owner, owner, times, each)
    for document in touched.documents.values():
        tenant, name = document.tenant, (document.kind, document.id)
        owner, times = (document.namespace, document.user, ""), (document.updated_at, document.expires_at)
        yield _row(document_row_id(tenant, *name), DOCUMENT, tenant, owner, name, times, document)
    for job in touched.outbox.jobs.values():
        due_at = None if job.state is JobState.DEAD else job.due_at
        ends_at = job.lease_until if job.state is JobState.RUNNING else due_at
        yield _job_row(job_row_ids(job.id)[0], job.state.value, ends_at, job)
    for job in touched.outbox.successors.values():
        yield _job_row(job_row_ids(job.id)[1], SUCCESSOR, None, job)


def _job_row(row_id: bytes, kind: str, ends_at: datetime | None, job: Job) -> Row:
    return _row(row_id, kind, job.tenant, ("", "", ""), (job.id,), (job.created_at, ends_at), job)


def _row(
    row_id: bytes,
    kind: str,
    tenant: str,
    owner: Owner,
    name: tuple[str, ...],
    times: tuple[datetime, datetime | None],
    body: StoredSession | Document | Job,
) -> Row:
    namespace, user, session = (digest(part) for part in owner)
    sorted_at, ends_at = to_micros(times[0]), to_micros_or_none(times[1])
    packed = encode(body)
    return Row(row_id, kind, tenant.encode(), namespace, user, session, name_of(*name), sorted_at, ends_at, packed)
