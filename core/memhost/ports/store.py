"""The port of a store: where memories, sessions, documents and the outbox live.

Every method is a coroutine that may be called concurrently from one event loop. Several processes may use
one store at the same time. The conformance suite `memhost.testing.store` is the definition of this port.

Errors: `StoreUnavailable` when the engine does not answer (nothing was changed), `StoreMismatch` at opening.
A store never turns a failure into an empty result.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from memhost._moved import renamed
from memhost.models import (
    CandidateQuery,
    Candidates,
    Change,
    Condition,
    Document,
    Entry,
    Head,
    Job,
    JobState,
    Scope,
    SessionKey,
    StoredMemory,
    StoredSession,
    StoreInfo,
    Verification,
    WriteBatch,
    WriteResult,
)

Order = Literal["newest", "oldest"]


class Store(Protocol):
    """Keeps everything; applies the scope inside each query."""

    async def info(self) -> StoreInfo:
        """Engine, schema version, embedder and counts (`memories`, `sessions`, `jobs`, `dead_jobs`)."""
        ...

    async def ping(self) -> None:
        """Return if the store can answer now; raise `StoreUnavailable` otherwise."""
        ...

    # -- writing ---------------------------------------------------------------------------------------

    async def commit(self, scope: Scope, batch: WriteBatch) -> WriteResult:
        """Apply the whole batch atomically and durably, or nothing of it.

        When this returns, the batch survives the death of the process. Memories and sessions that the batch
        puts must lie inside the scope (`Forbidden` otherwise); deletions and access marks reach only what lies
        inside it. Replacing a memory keeps its old `persisted_at` where the new one has none.

        Documents must lie inside the scope as well, and may not replace one outside it; jobs must belong to its
        tenant (`Forbidden` otherwise). Within a batch deletions come before puts, and `complete_job` and
        `cancel_jobs` before `add_jobs`; of several memories with one id the last counts. A session that has
        expired by the host's clock counts as absent: `expect_version` 0 replaces it.

        Raises:
            IdTaken: A memory's id belongs to another namespace or user of the tenant (or, for one of
                `guarded_ids`, to another session); `ids` names all such ids.
            VersionMismatch: The session's version is not `expect_version`.
            InvalidRequest: A value cannot be kept (lone surrogates, integers beyond 64 bits).
            DocumentGone: One of `require_documents` is missing.
            LeaseLost: `complete_job` is not running under that lease.
        """
        ...

    # -- memories --------------------------------------------------------------------------------------

    async def get_memories(self, scope: Scope, ids: Sequence[str]) -> list[StoredMemory]:
        """The memories with those ids inside the scope, each once in the order of `ids`; missing ones are left out."""
        ...

    async def list_memories(
        self,
        scope: Scope,
        conditions: Sequence[Condition] = (),
        *,
        order: Order = "newest",
        limit: int = 100,
        offset: int = 0,
    ) -> tuple[list[StoredMemory], int]:
        """A page of the memories that satisfy all conditions, by (created_at, id), and how many there are.

        Raises:
            InvalidRequest: A condition names a field that memories do not have.
        """
        ...

    async def candidates(self, scope: Scope, query: CandidateQuery) -> Candidates:
        """Candidates for a search, found in one consistent view of the store.

        Their other data (times of access, turns around them) may be of a moment later.

        Ties of a leg are broken by id, ascending, so that repeating a query gives the same candidates.
        Distances are exact to three digits. Statistics count the memories of the scope alone, nothing that others
        own; in scopes of more than 10,000 memories a store may estimate the frequency of very common terms.
        """
        ...

    # -- sessions --------------------------------------------------------------------------------------

    async def get_session(self, scope: Scope, key: SessionKey, now: datetime) -> StoredSession | None:
        """The session of exactly that identity, or None if there is none, it expired, or is out of scope."""
        ...

    async def find_sessions(self, scope: Scope, session_id: str, now: datetime, limit: int = 2) -> list[SessionKey]:
        """Identities inside the scope that carry this session id and have not expired, at most `limit`."""
        ...

    async def list_sessions(
        self, scope: Scope, now: datetime, *, limit: int = 20, offset: int = 0, updated_after: datetime | None = None
    ) -> tuple[list[SessionKey], int]:
        """A page of living sessions, most recently updated first (then by key), and how many there are.

        With `updated_after` only those that were updated later than that.
        """
        ...

    async def purge_expired(self, now: datetime, limit: int = 500) -> int:
        """Remove at most `limit` sessions and documents that expired before `now`; return the number."""
        ...

    # -- documents -------------------------------------------------------------------------------------

    async def get_document(self, scope: Scope, kind: str, document_id: str, now: datetime) -> Document | None:
        """The living document of that kind and id inside the scope, or None."""
        ...

    async def list_documents(
        self, scope: Scope, kind: str, now: datetime, *, after: str = "", limit: int | None = None
    ) -> list[Document]:
        """Living documents of that kind inside the scope whose id comes after `after`, by id, at most `limit`.

        Ids are ordered by their code points.
        """
        ...

    async def document_kinds(self, scope: Scope, now: datetime) -> list[str]:
        """Kinds of which living documents lie inside the scope, by their code points."""
        ...

    # -- outbox ----------------------------------------------------------------------------------------

    async def claim_jobs(self, now: datetime, limit: int, lease_s: float) -> list[Job]:
        """Take over due jobs: pending and waiting ones with `due_at` <= now, and running ones whose lease ran out.

        Each returned job is RUNNING under a fresh `lease` until `now + lease_s`, with `attempts` raised by one; no
        other claim returns it until then. Oldest due first.
        """
        ...

    async def extend_lease(self, job_id: str, lease: str, until: datetime) -> bool:
        """Prolong a lease that is still held; False if it was lost."""
        ...

    async def retry_job(self, job_id: str, lease: str, due_at: datetime, error: str) -> bool:
        """Give a running job that failed back as pending, due at `due_at`; False if the lease was lost.

        A replacement added in the meantime (see `Job.replace`) takes its place.
        """
        ...

    async def bury_job(self, job_id: str, lease: str, error: str) -> bool:
        """Move a running job to the dead-letter list; False if the lease was lost.

        A replacement added in the meantime (see `Job.replace`) becomes pending instead.
        """
        ...

    async def list_jobs(
        self, scope: Scope, state: JobState | None = None, *, limit: int = 100, offset: int = 0
    ) -> tuple[list[Job], int]:
        """Jobs of the tenant by (created_at, id), and how many there are."""
        ...

    async def revive_job(self, scope: Scope, job_id: str, due_at: datetime) -> bool:
        """Make a dead job pending again with `attempts` 0; False if it is not dead or does not exist."""
        ...

    async def discard_job(self, scope: Scope, job_id: str) -> bool:
        """Remove a dead job permanently; False if it is not dead or does not exist."""
        ...

    async def next_due(self) -> datetime | None:
        """When the next pending or waiting job is due, or the next lease runs out; None if there is no such job."""
        ...


@runtime_checkable
class PutsOff(Protocol):
    """A store that counts failed jobs apart from deaths of their processes, and in which jobs wait without failing.

    `retry_job` and `bury_job` raise `Job.failures` by one, `claim_jobs` raises `Job.deaths` of what it takes over;
    `revive_job` makes both 0, and so does a replacement that starts the job afresh. All bundled stores do. With one
    that does not, each attempt counts as a failure, and a job that is put off starts again with all its attempts.
    """

    async def put_off_job(
        self, job_id: str, lease: str, due_at: datetime, reason: str, since: datetime | None = None
    ) -> bool:
        """Give a running job back without a failure; False if the lease was lost.

        It is due at `due_at`, and `last_error` is the reason. With `since` it is WAITING, `waiting_since` is that, and
        `attempts` are what they were before it was claimed; else it is PENDING. A replacement added in the meantime
        (see `Job.replace`) takes its place, and keeps `since`.
        """
        ...

    async def waiting_jobs(self) -> tuple[int, Job | None]:
        """Return the number of waiting jobs of all tenants, and the one that was created first, None if none waits."""
        ...


@runtime_checkable
class KeepsHistory(Protocol):
    """A store that seals what it keeps, keeps former states of memories, and links all changes in a chain per tenant.

    Each commit appends an entry for each memory that it changes, for each session and each document that is to live
    longer than an hour (`memhost.storekit.session_change`, `document_change`), with who acts
    (`memhost.models.acting`), and those of `WriteBatch.notes`, in the same transaction. What expires goes without one.
    Seals are made with the server's keys (`OpenContext.keys`). What is not what was sealed is never returned: it is
    left out, and told through `OpenContext.tampered`. Former states are kept as
    `OpenContext.setting("memory.versions_keep")` says (0: none). All bundled stores do. With one that does not there
    are no versions and no proof, and the operations on them answer `unsupported`.
    """

    async def heads(self) -> dict[str, Head]:
        """The ends of all chains, by tenant."""
        ...

    async def link_at(self, tenant: str, seq: int) -> bytes | None:
        """The link of an entry, None if the chain has none of that number."""
        ...

    async def list_entries(
        self, scope: Scope, *, memory: str | None = None, newest: bool = False, after: int = 0, limit: int = 100
    ) -> list[Entry]:
        """Entries about what lies inside the scope, by number.

        Args:
            scope: Entries that concern no memory are given only if it is the whole tenant.
            memory: Only those about that memory.
            newest: The highest number first.
            after: Only beyond that number, in the direction of the order; 0 begins at the end of it.
            limit: Most that are returned.
        """
        ...

    async def former_state(self, scope: Scope, seq: int) -> StoredMemory | None:
        """The state before the entry of that number, without vector and terms, if it was kept and lies in the scope."""
        ...

    async def drop_former(self, tenant: str, seqs: Sequence[int], why: Change) -> int:
        """Remove the former states of these entries, and append `why` with their places; how many were there."""
        ...

    async def old_former(self, tenant: str, *, before: datetime | None, keep: int | None, limit: int) -> list[int]:
        """Entries whose former state is older than `before`, or not one of the `keep` latest of its memory."""
        ...

    async def erase_history(self, scope: Scope, why: Change) -> tuple[int, Head]:
        """Remove what entries say about the scope, and whatever memory or session is left in it.

        The links stay, and `why` is appended with the places of the entries. How many entries it were, and the head.
        """
        ...

    async def verify(self) -> Verification:
        """Compare everything with its seals and with the chain; changes nothing."""
        ...

    async def seal_anew(self) -> int:
        """Make all seals and links again with the current key, whatever they were; how many memories it were.

        After that the store counts as written by the server: verify it before.
        """
        ...


@runtime_checkable
class SecureDelete(Protocol):
    """A store whose files keep deleted bytes for a while, and that can remove them at once."""

    async def scrub(self) -> None:
        """Remove the rests of what was deleted from everything that the store keeps; may take long.

        Raises:
            StoreUnavailable: It could not be done now; nothing that is stored was harmed.
        """
        ...


@runtime_checkable
class Measures(Protocol):
    """A store that tells how much it keeps. On others quotas of bytes have no effect; the log says so at the start."""

    async def stored_bytes(self, scope: Scope) -> int:
        """About how many bytes the memories and sessions inside a scope take, which names no sessions.

        Of a whole tenant its documents count as well. Indexes and vectors may be left out.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        ...


if not TYPE_CHECKING:  # for a type checker there are the new names alone
    __getattr__ = renamed(__name__, {"Scrubs": "SecureDelete"})
