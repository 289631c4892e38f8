"""Events in a memory's life, as plugins receive them.

*In the request* (`memhost_before_session_write`, `memhost_before_memories_stored`, `memhost_before_search`,
`memhost_after_search`): async hooks that may change or refuse what passes; see `memhost.hookspecs`.

*In the background*: the structs below. Each becomes one job per plugin that implements the hook, committed
together with the write that caused it, delivered at least once. They carry ids, not contents.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import msgspec

from memhost.models import MemoryRecord, Scope, SessionKey, StoredMemory, WorkingMemory

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from memhost.models import Condition, Document
    from memhost.operations.responses import CompactionReport
    from memhost.ports import Draft, Embedder, LanguageModel, Order
    from memhost.settings import Settings


class SessionUpdated(msgspec.Struct, frozen=True, kw_only=True):
    """A session was written.

    Attributes:
        session: Which session.
        version: Its version after the write, counted from 1.
        message_ids: The turns that were new or changed by this write.
    """

    session: SessionKey
    version: int
    message_ids: tuple[str, ...] = ()


class SessionIdle(msgspec.Struct, frozen=True, kw_only=True):
    """A session has not been written for the configured quiet time.

    Attributes:
        session: Which session.
        version: Its version after the last write.
    """

    session: SessionKey
    version: int


class SessionOverfull(msgspec.Struct, frozen=True, kw_only=True):
    """A session is longer than its share of the context window and is to be summarised.

    Attributes:
        session: Which session.
        window: The context window in tokens.
    """

    session: SessionKey
    window: int


class ExtractionDue(msgspec.Struct, frozen=True, kw_only=True):
    """A session has turns that wait for extraction, and has been quiet long enough or has enough of them.

    Attributes:
        session: Which session.
    """

    session: SessionKey


class MemoriesStored(msgspec.Struct, frozen=True, kw_only=True):
    """Memories were stored for the first time.

    Attributes:
        tenant: Tenant that the memories belong to.
        ids: The memories, at most 500.
    """

    tenant: str
    ids: tuple[str, ...]


class VectorsMissing(msgspec.Struct, frozen=True, kw_only=True):
    """Memories have no vector of the server's embedder, and nothing else is about to make one.

    Attributes:
        tenant: Tenant that the memories belong to.
        ids: The memories, at most 200.
    """

    tenant: str
    ids: tuple[str, ...]


class MemoriesUpdated(msgspec.Struct, frozen=True, kw_only=True):
    """Memories were replaced or edited.

    Attributes:
        tenant: Tenant that the memories belong to.
        ids: The memories, at most 500.
    """

    tenant: str
    ids: tuple[str, ...]


class MemoriesSuperseded(msgspec.Struct, frozen=True, kw_only=True):
    """Memories were replaced by newer facts; they stay readable as of their time.

    Attributes:
        tenant: Tenant that the memories belong to.
        ids: The memories that were replaced, at most 500.
    """

    tenant: str
    ids: tuple[str, ...]


class MemoriesDeleted(msgspec.Struct, frozen=True, kw_only=True):
    """Memories were deleted; what the server removed by itself can be brought back for a while.

    Attributes:
        tenant: Tenant that the memories belong to.
        ids: The memories that are gone, at most 500.
    """

    tenant: str
    ids: tuple[str, ...]


class ViewDue(msgspec.Struct, frozen=True, kw_only=True):
    """A summary view is to be computed again.

    Attributes:
        tenant: Tenant that the view belongs to.
        view_id: The view.
        task_id: The task that a caller watches, None if nobody does.
    """

    tenant: str
    view_id: str
    task_id: str | None = None


class ScheduleDue(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule of the plugin is due.

    Each tenant has its own: the job reads and writes the data of one tenant.

    Attributes:
        name: That of the `ScheduleSpec`.
        due_at: When the period began that the job is for.
    """

    name: str
    due_at: datetime


class Administered(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody administers. It is kept before the action is done, which may still be refused or fail.

    Attributes:
        tenant: Tenant that is administered.
        subject: Who asks for it.
        action: Name of the operation: `delete_user`, `retry_job`, `discard_job`, or one of a plugin that is audited.
        target: What it is done to: the user, the job, or what the operation says.
        at: When it was asked for.
        request_id: Id of the request, as in the log.
    """

    tenant: str
    subject: str
    action: str
    target: str
    at: datetime
    request_id: str


BackgroundEvent = (
    SessionUpdated
    | SessionIdle
    | SessionOverfull
    | ExtractionDue
    | MemoriesStored
    | MemoriesUpdated
    | MemoriesSuperseded
    | MemoriesDeleted
    | VectorsMissing
    | ViewDue
    | ScheduleDue
    | Administered
)

EVENTS: dict[str, type[msgspec.Struct]] = {
    "session_updated": SessionUpdated,
    "session_idle": SessionIdle,
    "session_overfull": SessionOverfull,
    "extraction_due": ExtractionDue,
    "memories_stored": MemoriesStored,
    "memories_updated": MemoriesUpdated,
    "memories_superseded": MemoriesSuperseded,
    "memories_deleted": MemoriesDeleted,
    "vectors_missing": VectorsMissing,
    "view_due": ViewDue,
    "schedule_due": ScheduleDue,
    "administered": Administered,
}
"""Name of each background event, which is its hook's name without the prefix `memhost_`."""


class SessionWrite(msgspec.Struct, kw_only=True):
    """What is about to be written to a session.

    Attributes:
        session: Which session; cannot be changed.
        content: What will be stored; hooks may change it.
    """

    session: SessionKey
    content: WorkingMemory


class SearchRequest(msgspec.Struct, kw_only=True):
    """What is about to be searched.

    Attributes:
        scope: What the search reaches; cannot be changed.
        text: The question, empty for a listing; hooks may change it.
        mode: `pipeline`, `semantic`, `keyword` or `hybrid`; cannot be changed.
        limit: Most hits; hooks may lower it.
    """

    scope: Scope
    text: str
    mode: str
    limit: Annotated[int, msgspec.Meta(ge=1)]


class RequestContext(msgspec.Struct, frozen=True, kw_only=True):
    """What hooks in the request know about the call.

    Attributes:
        scope: What the caller reaches.
        subject: Who calls; `plugin:<name>` for memories that a job of a plugin stores.
        request_id: Id of the request, as in the log; of the job where a job stores.
        now: The server's time.
        plugin_settings: Those of the plugin itself, the struct of its `SettingsSpec`; None if it has none.
    """

    scope: Scope
    subject: str
    request_id: str
    now: datetime
    plugin_settings: Any = None


class Upkeep(Protocol):
    """Long work on the memories of the job's tenant, which any plugin may start from a background hook.

    Each call commits as it goes, in steps that leave everything consistent, and can be repeated: a job that dies
    half-way and runs again ends with the same result.
    """

    async def forget(self, policy: Mapping[str, Any]) -> int:
        """Delete what the policy gives up (keys as in `forget_memories`); how many memories went."""
        ...

    async def compact(self) -> CompactionReport:
        """Merge memories that repeat each other or mean the same; what was done.

        Raises:
            Conflict: Another process is at it.
        """
        ...

    async def refresh_view(self, view_id: str, *, task_id: str | None = None) -> None:
        """Compute all partitions of a summary view; the task, if there is one, tells how far it is."""
        ...

    async def extract(self, session: SessionKey) -> int:
        """Extract memories from the turns of a session that wait for it; how many memories were stored.

        Raises:
            ModelUnavailable: The language model does not answer; the turns go on waiting.
            AnswerUnusable: Its answers cannot be read; the turns go on waiting.
        """
        ...

    async def summarize_session(self, session: SessionKey, window: int, *, last_try: bool = False) -> bool:
        """Fold a session's older messages into its context, if it is over its share of the window.

        Args:
            session: Which session.
            window: The context window in tokens.
            last_try: If the model fails again, trim messages that go beyond the window.

        Returns:
            Whether there was anything to do.

        Raises:
            ModelUnavailable: The language model does not answer; the session stays as it is.
            ModelRefused: The provider declines the messages.
            AnswerUnusable: The model gives no summary.
        """
        ...

    async def embed(self, ids: Sequence[str]) -> int:
        """Embed those of the memories that were stored without a vector, in one request; how many there were.

        Raises:
            ModelUnavailable: The embedder does not answer.
        """
        ...

    async def request_vectors(self) -> int:
        """Make `VectorsMissing` of all memories that have no vector, once however often it is asked; how many."""
        ...

    async def enrich(self, ids: Sequence[str]) -> int:
        """Find topics and entities for memories that clients stored without; how many were asked about.

        Raises:
            ModelUnavailable: The language model does not answer.
            BudgetExceeded: A budget is used up.
        """
        ...

    async def request_refreshes(self) -> int:
        """Make each continuous view due (event `view_due`); how many there are."""
        ...


class JobContext(Protocol):
    """What a background hook works with. Reads are bound to the job's tenant.

    Writes are staged and committed together with the job's completion, in one transaction: if the process
    dies before, none of them happened and the job runs again; so an effect made through the context never
    happens twice. Other effects (mail, files) happen at least once: use `job_id` to recognise a repetition.
    """

    job_id: str
    attempt: int
    now: datetime
    scope: Scope
    embedder: Embedder
    llm: LanguageModel | None
    settings: Settings
    plugin_settings: Any
    """The plugin's own settings, the struct of its `SettingsSpec`; None if it has none."""
    upkeep: Upkeep

    async def list_memories(
        self,
        conditions: Sequence[Condition] = (),
        *,
        within: Scope | None = None,
        order: Order = "newest",
        limit: int = 100,
        offset: int = 0,
    ) -> tuple[list[MemoryRecord], int]:
        """A page of the memories that satisfy all conditions, by (created_at, id), and how many there are.

        `within` narrows it to namespaces, users and sessions; its tenant is ignored, the job's counts.
        """
        ...

    async def get_memories(self, ids: Sequence[str]) -> list[MemoryRecord]:
        """Memories by id; those deleted meanwhile are left out."""
        ...

    async def get_session(self, key: SessionKey) -> WorkingMemory | None:
        """A session's content, or None if it is gone."""
        ...

    async def store_memories(self, owner: SessionKey, drafts: Sequence[Draft]) -> list[str]:
        """Stage new memories owned by that namespace, user and session; their ids.

        Without an id of its own a draft gets one derived from the job and its position, so that a repeated
        job proposes the same.
        """
        ...

    def delete_memories(self, ids: Sequence[str]) -> None:
        """Stage deletions."""
        ...

    async def get_document(self, document_id: str) -> Document | None:
        """A document of this plugin."""
        ...

    def put_document(
        self, document_id: str, body: bytes, *, expires_at: datetime | None = None, owner: SessionKey | None = None
    ) -> None:
        """Stage a document of this plugin. One with an owner goes when that user is deleted."""
        ...


__all__ = [
    "EVENTS",
    "Administered",
    "BackgroundEvent",
    "ExtractionDue",
    "JobContext",
    "MemoriesDeleted",
    "MemoriesStored",
    "MemoriesSuperseded",
    "MemoriesUpdated",
    "RequestContext",
    "ScheduleDue",
    "SearchRequest",
    "SessionIdle",
    "SessionOverfull",
    "SessionUpdated",
    "SessionWrite",
    "StoredMemory",
    "Upkeep",
    "VectorsMissing",
    "ViewDue",
]


def event_payload(event: Any) -> bytes:
    """The event in msgpack, as jobs carry it."""
    return msgspec.msgpack.encode(event)
