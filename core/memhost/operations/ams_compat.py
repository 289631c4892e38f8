"""The rules that memhost follows only for clients of Agent Memory Server, each with its reason.

Its official clients (Python, JavaScript, Java) are published and do not change with memhost. Everything here is a rule
of the wire that a new interface would do without. Interfaces apply the rules about requests, services the others:

- Clients send back whole objects that they read: `*_ECHOES`, `IGNORED_PARAMETERS`.
- They name no version when they write a session: `shown_version`, `with_version`, `version_in`, `read_at`,
  `Reads`.
- They always name a strategy: `UNASKED`, `names_no_strategy`.
- They cannot read a comma in a tag: `unreadable_tags`, `without_commas`.
- They compare sentences of answers: `deleted_status`, `compacted_status`.
- They know messages of text alone: `TEXT_CLIENTS`; and the Java client leaves a wrapper out: `wrapped_group`.

Their spellings of filter operators (`in_`, `not_eq`, `not_in`, `none`) are fields of the filter structs, older names of
settings are in `memhost.settings.legacy` and `known`, and forms of times in `memhost.reading.times`.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping, Sized
from datetime import datetime, timedelta
from typing import Any, Protocol

from msgspec import UnsetType

from memhost.models import SessionKey, StoredSession
from memhost.models.memory import StrategyConfig
from memhost.storekit.values import from_micros, to_micros

# -- what clients send back -------------------------------------------------------------------------------------------

RECORD_ECHOES = (
    *("source_ids", "extractor", "superseded_by", "trust", "edited_from", "version", "review"),
    *("dist", "score", "score_type", "explain", "explanation", "cut_from"),
    *("repeats", "count", "evidence", "score_of", "superseded", "replaces"),
)
"""Fields that a memory has when it is read, and that no client can set."""

SESSION_ECHOES = (
    "context_percentage_total_used",
    "context_percentage_until_summarization",
    "extraction",
    "summarization",
    "context_trust",
)
"""Fields that a session has when it is read, and that no client can set."""

FILTER_ECHOES = ("field", "enum_class")
"""Names that the filter classes of the clients put beside the operators."""

VIEW_RUN_ECHOES = ("force",)
"""Clients offer it for a run of a view; a run always recomputes everything."""

IGNORED_PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "health": (),
    "list_sessions": (),
    "get_session": (),
    "put_session": ("user_id", "namespace", "background"),
    "delete_session": (),
    "create_memories": ("namespace",),
    "search_memories": (),
    "get_memory": ("namespace",),
    "edit_memory": (),
    "delete_memories": ("namespace",),
    "forget_memories": (),
    "compact_memories": (),
    "memory_prompt": (),
    "create_summary_view": (),
    "list_summary_views": (),
    "get_summary_view": (),
    "delete_summary_view": (),
    "run_summary_view_partition": (),
    "list_summary_view_partitions": ("limit", "offset"),
    "run_summary_view": ("force",),
    "get_task": (),
}
"""The operations of Agent Memory Server, with query parameters that its clients send and that mean nothing.

The Java client swaps user and namespace of a PUT in its query, so that only the body tells them. Since whole objects
come back, unknown names are ignored in these operations, with a notice; everywhere else, and wherever something is
deleted, they are refused.
"""

TEXT_CLIENTS = b"agent-memory-client"
"""Beginning of the clients' `User-Agent`: they fail on a message whose content is not text."""


def wrapped_group(body: dict[str, Any]) -> dict[str, Any]:
    """The body of a run of one group of a view: the Java client sends the group itself, without the wrapper."""
    return body if "group" in body else {"group": body}


# -- sessions without a version ---------------------------------------------------------------------------------------

_VERSIONS = 1_000_000

NEVER_READ = from_micros(0)
"""Answer of `read_at` for a client that found no session, so that everything in it is new to the client."""

_CREATION_RACE = timedelta(seconds=10)
"""Time within which an empty write by a client's own clock means "create", and not "clear"."""

_READ_AND_WRITTEN = timedelta(seconds=1)
"""Within which a client that reads a session just to write it has done so."""

_READS_KEPT = 64
_SESSIONS_KEPT = 1_000


class SentSession(Protocol):
    """The fields of a sent session that show when it was read."""

    @property
    def messages(self) -> Sized:
        """The messages sent."""
        ...

    @property
    def memories(self) -> Sized:
        """The memories sent."""
        ...

    @property
    def data(self) -> Mapping[str, Any] | None:
        """The application's data sent."""
        ...

    @property
    def last_accessed(self) -> datetime | UnsetType:
        """The field of that name, UNSET if it was not sent."""
        ...

    @property
    def updated_at(self) -> datetime | UnsetType:
        """The field of that name, UNSET if it was not sent."""
        ...


def shown_version(session: StoredSession | None) -> int:
    """The version of a session as clients see it, 0 to 999,999; 0 if there is no session.

    It is the fraction of the `last_accessed` that clients read, in microseconds: the one field that all official
    clients send back and of which Agent Memory Server itself keeps whole seconds only. So a client that knows nothing
    of versions carries one from its read to its write.
    """
    return session.version % _VERSIONS if session is not None else 0


def with_version(session: StoredSession) -> datetime:
    """The `last_accessed` to show, with the session's version in its fraction."""
    return session.content.last_accessed.replace(microsecond=shown_version(session))


def version_in(last_accessed: datetime) -> int:
    """The version that the `last_accessed` of an answer carries, 0 to 999,999: the reverse of `with_version`."""
    return last_accessed.microsecond


def read_at(request: SentSession, before: StoredSession | None, shown: datetime | None) -> datetime | None:
    """When the client last read the session, as far as its write tells; None if it tells nothing.

    Clients that send whole responses back have `updated_at`. Others send `last_accessed` alone, with the version of
    `with_version` in it. Any other value is the client's own clock: some methods read the session, and send the time
    at which they did as `last_accessed`; what they were shown then (`shown`, see `Reads`) is exact.
    """
    last, updated = request.last_accessed, request.updated_at
    if before is None:
        return None
    if isinstance(updated, datetime) and to_micros(updated) in before.writes:
        return updated
    if not isinstance(last, datetime):
        return updated if isinstance(updated, datetime) else None
    if last.replace(microsecond=0) == before.content.last_accessed.replace(microsecond=0):
        read = _write_of(version_in(last), before)
        if read is not None:
            return read
    if last == before.content.last_accessed:
        return before.content.updated_at  # the client's own copy, which it has not read again since it wrote it
    if _is_late_creation(request, before, last):
        return NEVER_READ
    return shown or last


def _write_of(version: int, before: StoredSession) -> datetime | None:
    """The time of the write that made the version shown so, if it is one of the latest."""
    behind = (before.version - version) % _VERSIONS
    return from_micros(before.writes[-1 - behind]) if behind < len(before.writes) else None


def _is_late_creation(request: SentSession, before: StoredSession, last: datetime) -> bool:
    """Tell whether a client creates, empty, a session that it did not find but that others have just begun.

    Its "get or create" is a read, and on 404 a write of an empty session.
    """
    # Clients A and B call "get or create" for a new session, and neither finds it. A creates it and stores a message;
    # the empty session that B sends a moment later would delete that message. So B counts as one that has read nothing,
    # and everything that A wrote stays. Later than `_CREATION_RACE` an empty write means "clear".
    empty = not request.messages and not request.memories and not request.data
    return empty and abs(last - before.content.created_at) < _CREATION_RACE


class Reads:
    """The latest reads of sessions that this process has answered, each until a write has followed it.

    A client reads a session, and writes it a moment later without naming the version. Between the answer and the moment
    that its clock then tells others may have written, which it cannot know.
    """

    def __init__(self) -> None:
        self._latest: OrderedDict[SessionKey, deque[tuple[datetime, datetime]]] = OrderedDict()

    def note(self, session: StoredSession, now: datetime) -> None:
        """A client was shown the session as it is."""
        reads = self._latest.pop(session.key, None)
        if reads is None:
            reads = deque(maxlen=_READS_KEPT)
        reads.append((now, session.content.updated_at))
        self._latest[session.key] = reads
        if len(self._latest) > _SESSIONS_KEPT:
            self._latest.popitem(last=False)

    def take(self, key: SessionKey, moment: datetime | UnsetType) -> datetime | None:
        """`updated_at` of the session as it was shown just before a moment of a client's clock; None if it was not."""
        reads = self._latest.get(key)
        if reads is None or not isinstance(moment, datetime):
            return None
        found = [read for read in reads if timedelta() <= moment - read[0] < _READ_AND_WRITTEN]
        if not found:
            return None
        reads.remove(found[-1])
        return found[-1][1]


MISSING_CREATED_AT = "created_at will become required; messages without it received the server's time."
"""The notice `deprecation`, which is the header `X-Deprecation-Warning` of Agent Memory Server."""

SUMMARISING_WINDOW = 16_000
"""Tokens assumed for summarising when a request names neither model nor window."""


# -- strategies -------------------------------------------------------------------------------------------------------

KNOWN_STRATEGIES = ("discrete", "summary", "preferences", "custom")
"""Strategies that clients name; accepted also where no plugin offers them."""

UNASKED = "discrete"
"""The strategy that clients send by default, without options."""


def names_no_strategy(wanted: StrategyConfig) -> bool:
    """Tell whether a session leaves the choice to the server: clients name `discrete` for users who never chose it."""
    return wanted.strategy == UNASKED and not wanted.config


# -- memories ---------------------------------------------------------------------------------------------------------


def unreadable_tags(tags: Iterable[str]) -> list[tuple[int, str]]:
    """Tags with a comma and their places: of a memory that has one the Python client refuses the whole answer."""
    return [(place, tag) for place, tag in enumerate(tags) if "," in tag]


def without_commas(tag: str) -> str:
    """A tag that a model made, as the clients can read it."""
    return " ".join(tag.replace(",", " ").split()) if "," in tag else tag


def deleted_status(count: int) -> str:
    """The `status` of a deletion; published tests compare it, plural for 1 included."""
    return f"ok, deleted {count} memories"


def compacted_status(remaining: int) -> str:
    """The `status` of a compaction."""
    return f"ok, {remaining} memories remaining after compaction"
