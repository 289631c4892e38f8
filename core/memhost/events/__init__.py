"""Events in a memory's life, as plugins receive them.

*In the request* (`memhost_before_session_write`, `memhost_before_memories_stored`, `memhost_before_search`,
`memhost_after_search`): async hooks that may change or refuse what passes; see `memhost.hookspecs`.

*In the background*: the structs of `memhost.events.background`. Each becomes one job per plugin that implements the
hook, committed together with the write that caused it, delivered at least once. They carry ids, not contents.
"""

from memhost.events.background import (
    EVENTS,
    Administered,
    BackgroundEvent,
    ExtractionDue,
    HeadSigned,
    MemoriesDeleted,
    MemoriesHeld,
    MemoriesStored,
    MemoriesSuperseded,
    MemoriesUpdated,
    ReviewDecided,
    ScheduleDue,
    SessionIdle,
    SessionOverfull,
    SessionUpdated,
    VectorsMissing,
    ViewDue,
    event_payload,
)
from memhost.events.contexts import JobContext
from memhost.events.requests import RequestContext, SearchRequest, SessionWrite
from memhost.events.upkeep import Upkeep
from memhost.models import StoredMemory

__all__ = [
    "EVENTS",
    "Administered",
    "BackgroundEvent",
    "ExtractionDue",
    "HeadSigned",
    "JobContext",
    "MemoriesDeleted",
    "MemoriesHeld",
    "MemoriesStored",
    "MemoriesSuperseded",
    "MemoriesUpdated",
    "RequestContext",
    "ReviewDecided",
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
    "event_payload",
]
