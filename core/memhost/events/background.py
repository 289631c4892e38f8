"""Events for background hooks.

Each event becomes one job per plugin that implements the hook, committed together with the write that caused it,
delivered at least once. Events carry ids, not contents.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from memhost.models import SessionKey


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
    """Memories were deleted; memories that the server removed can be restored for a while.

    Attributes:
        tenant: Tenant that the memories belong to.
        ids: The memories that are gone, at most 500.
    """

    tenant: str
    ids: tuple[str, ...]


class MemoriesHeld(msgspec.Struct, frozen=True, kw_only=True):
    """Memories wait for a review, and are no part of searches and contexts until somebody approves them.

    Attributes:
        tenant: Tenant that the memories belong to.
        ids: The memories, at most 500.
    """

    tenant: str
    ids: tuple[str, ...]


class ReviewDecided(msgspec.Struct, frozen=True, kw_only=True):
    """A review was decided.

    Attributes:
        tenant: Tenant that the memory belongs to.
        memory_id: The memory; `approved` and `corrected` ones are stored.
        decision: `approved`, `corrected` (approved with another text), `refused`, or `expired`: nobody decided in time.
        subject: Who decided; empty if nobody did.
    """

    tenant: str
    memory_id: str
    decision: str
    subject: str = ""


class ViewDue(msgspec.Struct, frozen=True, kw_only=True):
    """A summary view is to be computed again.

    Attributes:
        tenant: Tenant that the view belongs to.
        view_id: The view.
        task_id: Name of the task that a caller watches, for `context.run`; None if there is none.
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
    """An administrative operation is about to run; it may still be refused or fail.

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


class HeadSigned(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a tenant's audit chain has moved, and the server has signed it.

    The whole of it, as JSON, is what `check_certificate` takes.

    Attributes:
        tenant: Whose chain.
        seq: Number of its last entry, from 1.
        link: The link of that entry, which covers all before it, in hexadecimal digits.
        at: When it was signed, in ISO 8601, UTC.
        key: Id of the server's key.
        signature: Signature of all of it, in hexadecimal digits.
        kind: `head`.
    """

    tenant: str
    seq: int
    link: str
    at: str
    key: str
    signature: str
    kind: str = "head"


BackgroundEvent = (
    SessionUpdated
    | SessionIdle
    | SessionOverfull
    | ExtractionDue
    | MemoriesStored
    | MemoriesUpdated
    | MemoriesSuperseded
    | MemoriesDeleted
    | MemoriesHeld
    | ReviewDecided
    | VectorsMissing
    | ViewDue
    | ScheduleDue
    | Administered
    | HeadSigned
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
    "memories_held": MemoriesHeld,
    "review_decided": ReviewDecided,
    "vectors_missing": VectorsMissing,
    "view_due": ViewDue,
    "schedule_due": ScheduleDue,
    "administered": Administered,
    "head_signed": HeadSigned,
}
"""Name of each background event, which is its hook's name without the prefix `memhost_`."""


def event_payload(event: Any) -> bytes:
    """The event in msgpack, as jobs carry it."""
    return msgspec.msgpack.encode(event)
