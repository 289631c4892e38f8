"""The data that stores keep and return: indexed memories, sessions, jobs, documents, and the batch that writes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from memhost.models.filters import Condition
from memhost.models.history import Change
from memhost.models.memory import TURN_STRATEGY, MemoryRecord, MemoryType, WorkingMemory
from memhost.models.scope import SessionKey
from memhost.models.trust import Trust

Vector = npt.NDArray[np.float32]


@dataclass(slots=True, kw_only=True)
class StoredMemory:
    """A memory with what the indexes need.

    Attributes:
        record: The memory itself; its namespace, user and session are its owner.
        terms: Analysed words in order, as `memhost.text.analysis.index_terms` made them.
        vector: Unit-length float32 array of the embedder's dimensions, or None while it is not embedded.
        speaker: Who said it, if it is a turn and the speaker is known.
        role: Role of the message it came from.
        position: Index of the turn within its session, or None if it is not a turn.
        lead: Characters in front of what was said: role and speaker's name with their colons.
        traits: What the ranking wants to know of the text (`memhost.ranking.traits_of`).
        version: Number of this state of the memory, from 1; 0 where the store keeps no history. Stores set it.
    """

    record: MemoryRecord
    terms: tuple[str, ...] = ()
    vector: Vector | None = None
    speaker: str | None = None
    role: str | None = None
    position: int | None = None
    lead: int = 0
    traits: int = 0
    version: int = 0

    @property
    def id(self) -> str:
        """Id of the memory."""
        return self.record.id

    @property
    def is_turn(self) -> bool:
        """True for a turn that a session stored."""
        return self.record.memory_type is MemoryType.MESSAGE and self.record.extraction_strategy == TURN_STRATEGY

    @property
    def has_sources(self) -> bool:
        """True for what was made from turns or memories; a turn is made from its message."""
        return bool(self.record.source_ids)

    @property
    def trust(self) -> Trust | None:
        """Its level of trust; None if none was noted."""
        return self.record.trust


class TurnMark(msgspec.Struct, array_like=True, frozen=True):
    """The server's record of a turn that it has seen.

    Its position, a fingerprint of its content, when it was stored first (microseconds since 1970, UTC), and whether
    it left the session because the session's summary covers it.
    """

    position: int
    fingerprint: bytes
    stored_at: int = 0
    summarized: bool = False


class FieldChange(msgspec.Struct, array_like=True, frozen=True):
    """A part of a session that a write changed: when (as `TurnMark.stored_at`), and a digest of what was there before.

    `field` is `data:KEY`, `memory:ID`, `turn:NAME` or `context`; the digest is empty where there was nothing.
    """

    field: str
    at: int
    before: bytes = b""


class StoredSession(msgspec.Struct, kw_only=True):
    """A session as the store keeps it.

    `version` counts writes, starting at 1. `turns` maps the id of each turn ever seen to its mark, also of
    turns that have left the session. `writes` holds the times of the latest writes, as `TurnMark.stored_at`.
    `expires_at` is the moment from which the session no longer exists. `summarized_from` holds digests of the contexts
    that `content.context` was made of, to recognise clients that have not read the newest yet.
    """

    key: SessionKey
    content: WorkingMemory
    version: int = 0
    turns: dict[str, TurnMark] = {}
    next_position: int = 0
    writes: list[int] = []
    expires_at: datetime | None = None
    summarized_from: list[bytes] = []
    changes: list[FieldChange] = []


_NO_FAILURES = (
    None,
    "interrupted by shutdown",
    "Conflict: Memories are being compacted already; try again when that is done.",
)
"""Values of `last_error` that earlier versions wrote for jobs that had not failed."""


class JobState(StrEnum):
    """Life of a job.

    Pending; running under a lease; waiting (put off without a failure: a needed part is away, or another process holds
    a lease); or dead (given up, waiting for an operator).
    """

    PENDING = "pending"
    WAITING = "waiting"
    RUNNING = "running"
    DEAD = "dead"


class Job(msgspec.Struct, kw_only=True):
    """One call of one background hook of one plugin for one event.

    Args:
        id: Stable id, unique over all tenants; adding a job whose id is already there changes nothing unless
            `replace` is set.
        event: Name of the event (a key of `memhost.events.EVENTS`).
        plugin: Entry-point name of the plugin to call.
        payload: The event struct in msgpack.
        tenant: Tenant whose data the job works on.
        due_at: Not before this time.
        attempts: Number of starts, without those after which it waits (`waiting_since`).
        failures: Number of failed attempts.
        deaths: Number of attempts during which the process died. Where the store does not tell these two (a job of an
            earlier version, or a store that does not count them), they follow from `attempts` and `last_error`.
        lease: Token of the current run; empty when it is not running.
        last_error: Why the last attempt failed, or why the job waits.
        waiting_since: Since when it is being put off, None if it is not.
        replace: A pending or waiting job of that id gets this payload and due time (debounce), and is pending. A dead
            one becomes pending again with them. If it is running, the run continues undisturbed, and when it ends
            (completed, retried, put off or buried) the job becomes pending with the newest such payload and due time
            and `attempts` 0. `created_at` stays; the job is stored with `replace` false.
    """

    id: str
    event: str
    plugin: str
    payload: bytes
    tenant: str
    created_at: datetime
    due_at: datetime
    state: JobState = JobState.PENDING
    attempts: int = 0
    failures: int = -1
    deaths: int = -1
    lease: str = ""
    lease_until: datetime | None = None
    last_error: str | None = None
    waiting_since: datetime | None = None
    replace: bool = False

    def __post_init__(self) -> None:
        """Earlier versions counted starts alone: with an error they were failures, without one the process died."""
        ended = max(0, self.attempts - (self.state is JobState.RUNNING))
        if self.failures < 0:
            self.failures = 0 if self.last_error in _NO_FAILURES else ended
        if self.deaths < 0:
            self.deaths = max(0, ended - self.failures)


class Document(msgspec.Struct, kw_only=True):
    """A small piece of state that a service or plugin keeps in the store: a view, a task, a cursor.

    `kind` separates collections; plugins use `plugin:<entry-point name>`. Ids are unique per tenant and kind.
    """

    kind: str
    id: str
    tenant: str
    body: bytes
    namespace: str = ""
    user: str = ""
    updated_at: datetime
    expires_at: datetime | None = None


class AccessMark(msgspec.Struct, frozen=True, kw_only=True):
    """Records that memories were found: `access_count` + 1 and `last_accessed` = `at`, at most once an interval.

    A memory whose `access_count` is above 0 and whose `last_accessed` is later than `at` - `interval_s` is left
    alone; `interval_s` 0 counts every mark. `last_accessed` never goes back.
    """

    ids: tuple[str, ...]
    at: datetime
    interval_s: float = 900.0


@dataclass(slots=True, kw_only=True)
class WriteBatch:
    """Everything that one acknowledged write changes; a store applies all of it or nothing.

    Attributes:
        put_memories: Insert or replace by (tenant, id). An id that belongs to another namespace or user raises
            `IdTaken`; so does one of `guarded_ids` that belongs to another session.
        guarded_ids: Ids of `put_memories` that must not replace a memory of another session.
        moved_ids: Ids of `put_memories` whose stored owner, inside the scope, may differ from the new one.
        delete_memories: Ids to remove; unknown ones are ignored.
        access: Access marks; ids that do not exist are ignored (never re-created).
        put_session: Session to insert or replace; a stored one that has expired by the store's clock
            (`OpenContext.clock`) counts as absent.
        expect_version: Version that the stored session must have (0: must not exist) for `put_session`.
        delete_session: Session to remove.
        put_documents: Documents to insert or replace.
        delete_documents: (kind, id) pairs to remove.
        require_documents: (kind, id) pairs of documents of the tenant that must be there, living, before the batch
            (else `DocumentGone`, and nothing is applied): what was done with them was done by somebody else.
        add_jobs: Jobs to add; see `Job.id`.
        cancel_jobs: Ids of pending and waiting jobs to remove.
        complete_job: (id, lease) of the running job whose effects this batch holds. If the job is not running
            under that lease any more the store raises `LeaseLost` and applies nothing.
        if_versions: Version that the memory of an id must have (0: there must be none), else `MemoryChanged`, and
            nothing is applied. Stores that keep no history (`memhost.ports.KeepsHistory`) ignore it.
        notes: Entries for the chain of the tenant that tell of more than the memories of this batch.
        restored: The batch is a copy of what another store held. `put_session` keeps its `version`; `add_jobs` keep
            state (a running one becomes pending), attempts, failures, deaths, error and `waiting_since`, and replace
            jobs of the tenant with their ids.
    """

    put_memories: list[StoredMemory] = field(default_factory=list)
    guarded_ids: frozenset[str] = frozenset()
    moved_ids: frozenset[str] = frozenset()
    delete_memories: list[str] = field(default_factory=list)
    access: AccessMark | None = None
    put_session: StoredSession | None = None
    expect_version: int | None = None
    delete_session: SessionKey | None = None
    put_documents: list[Document] = field(default_factory=list)
    delete_documents: list[tuple[str, str]] = field(default_factory=list)
    require_documents: list[tuple[str, str]] = field(default_factory=list)
    add_jobs: list[Job] = field(default_factory=list)
    cancel_jobs: list[str] = field(default_factory=list)
    complete_job: tuple[str, str] | None = None
    if_versions: dict[str, int] = field(default_factory=dict)
    notes: list[Change] = field(default_factory=list)
    restored: bool = False


@dataclass(slots=True, kw_only=True)
class WriteResult:
    """The effect of a batch: ids that were new, replaced and really deleted; the session's new version."""

    created: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    session_deleted: bool = False
    session_version: int = 0


@dataclass(slots=True, frozen=True, kw_only=True)
class TextMatch:
    """A full-text condition over a memory's terms.

    Attributes:
        any_of: Analysed terms; a memory matches if it holds at least one of them or of the phrases.
        phrases: Sequences of analysed terms that match when they follow each other in that order.
        required: Phrases that each hit must hold.
    """

    any_of: tuple[str, ...] = ()
    phrases: tuple[tuple[str, ...], ...] = ()
    required: tuple[tuple[str, ...], ...] = ()


@dataclass(slots=True, frozen=True, kw_only=True)
class CandidateQuery:
    """The search service's query to a store, in one call.

    Attributes:
        conditions: All must hold for a match.
        text: Full-text leg, None to leave it out; at most `text_limit` best by BM25.
        rough_text: The text leg only has to choose: its scores may be rough, and its ties be broken in any order
            that stays the same.
        vector: Vector leg (unit length), None to leave it out; the `vector_limit` nearest by cosine.
        max_distance: Cosine distance (0..2) that the vector leg must not exceed.
        neighbours: Also return turns at most this many positions away in the same session as a candidate.
        statistics_for: Terms whose document frequency in the scope is wanted, with the corpus size.
        count: Also count all records that match (`Candidates.total`).
    """

    conditions: tuple[Condition, ...] = ()
    text: TextMatch | None = None
    text_limit: int = 200
    rough_text: bool = False
    vector: Vector | None = None
    vector_limit: int = 200
    max_distance: float | None = None
    neighbours: int = 0
    statistics_for: tuple[str, ...] = ()
    count: bool = False


@dataclass(slots=True, kw_only=True)
class CandidateHit:
    """One candidate.

    `text_score` is the store's own BM25 (higher is better, None if not in the text leg), `distance` the cosine
    distance (None if not in the vector leg). A candidate with neither is a neighbour; it lies in the scope but
    need not satisfy the conditions: `fits` tells whether it does, None if the store did not ask.
    """

    memory: StoredMemory
    text_score: float | None = None
    distance: float | None = None
    fits: bool | None = None


@dataclass(slots=True, kw_only=True)
class Candidates:
    """Answer to a `CandidateQuery`.

    Attributes:
        hits: Each memory once, in no particular order.
        columns: The same memories, in the order of `hits`, as the ranking reads them (`memhost.ranking.Columns`), from
            stores that keep them so; None: the ranking makes them.
        made: False where the store knows that none of them, turns aside, was made from turns or memories.
        documents: Number of memories in the scope (whatever the conditions), if statistics were asked for.
        average_length: Mean number of terms of those.
        frequencies: Term to number of memories in the scope that hold it.
        total: With only a text leg, memories matching it and the conditions; with a `max_distance`, those
            within it; otherwise all that satisfy the conditions. 0 unless asked for.
    """

    hits: list[CandidateHit]
    columns: Any = None
    made: bool = True
    documents: int = 0
    average_length: float = 0.0
    frequencies: dict[str, int] = field(default_factory=dict)
    total: int = 0


@dataclass(slots=True, kw_only=True)
class StoreInfo:
    """The facts about a store for `doctor` and readiness: engine, schema version, embedder, counts by name.

    `durable` is False for a store that loses all data when its process ends.
    """

    engine: str
    schema_version: int
    embedder: str | None
    dimensions: int | None
    counts: dict[str, int] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    durable: bool = True
