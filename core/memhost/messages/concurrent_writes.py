"""What a client that sends a whole session back cannot know, because others have written since it read it.

Two clients read the same session, each changes its part, and both send all of it. A session remembers what its latest
writes changed, and what was there before; a write tells when its client read. What the client sends just as it was then
has been left alone by it, and what others made of it since stays.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from memhost.models import FieldChange, MemoryRecord, SessionKey, StoredSession, WorkingMemory
from memhost.models.limits import LONGEST_NAME
from memhost.operations.working_memory import PutSession
from memhost.storekit import from_micros, to_micros

CLIENT_CLOCK_TRUST_US = 10_000_000
"""How far back a time by a client's own clock is believed, microseconds: a slow clock must not bring back what a client
replaced on purpose."""

_EPOCH = from_micros(0)

_CREATION_RACE = timedelta(seconds=10)
"""Time within which an empty write by a client's own clock means "create", and not "clear"."""

_READ_AND_WRITTEN = timedelta(seconds=1)
"""Within which a client that reads a session just to write it has done so."""

_READS_KEPT = 64
_SESSIONS_KEPT = 1_000

_MOST_CHANGES = 1_000
"""Changes that a session remembers; of more the oldest are forgotten, and the last writer wins there."""


def read_at(request: PutSession, before: StoredSession | None, shown: datetime | None) -> datetime | None:
    """When the client last read the session, as far as its write tells; None if it tells nothing.

    Clients that send whole responses back have `updated_at`. The fraction of the `last_accessed` that clients read is
    the session's version: Agent Memory Server itself keeps whole seconds there, and its official clients send the value
    back, but no other time. Any other value is the client's own clock: some of their methods read the session, and send
    the time at which they did as `last_accessed`; what they were shown then (`shown`, see `Reads`) is exact.
    """
    last, updated = request.last_accessed, request.updated_at
    if before is None:
        return None
    if isinstance(updated, datetime) and to_micros(updated) in before.writes:
        return updated
    if not isinstance(last, datetime):
        return updated if isinstance(updated, datetime) else None
    if last.replace(microsecond=0) == before.content.last_accessed.replace(microsecond=0):
        read = _write_of(last.microsecond, before)
        if read is not None:
            return read
    if last == before.content.last_accessed:
        return before.content.updated_at  # the client's own copy, which it has not read anew since it wrote it
    if _is_late_creation(request, before, last):
        return _EPOCH
    return shown or last


def _write_of(fraction: int, before: StoredSession) -> datetime | None:
    """The time of the write that made the version with these last six digits, if it is one of the latest."""
    behind = (before.version - fraction) % 1_000_000
    return from_micros(before.writes[-1 - behind]) if behind < len(before.writes) else None


def _is_late_creation(request: PutSession, before: StoredSession, last: datetime) -> bool:
    """Whether a client creates, empty, a session that it did not find but that others have begun meanwhile."""
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


class Missed:
    """What others changed in a session after a client read it.

    Args:
        before: The session as it is.
        read: When the client read it (`read_at`). A time that is not one of the session's own is the client's clock,
            and trusted for a few seconds only.
        now: The current time.
    """

    def __init__(self, before: StoredSession | None, read: datetime | None, now: datetime) -> None:
        self.since = None
        self._before: dict[str, bytes] = {}
        if before is None or read is None:
            return
        since = to_micros(read)
        if read != _EPOCH and since not in before.writes:
            since = max(since, to_micros(now) - CLIENT_CLOCK_TRUST_US)
        self.since = since
        for change in before.changes:
            if change.at > since:
                self._before.setdefault(change.field, change.before)

    def kept(self, kind: str, name: str, given: bytes) -> bool:
        """Whether what is stored under this name stays, since the client sends it as it was before others wrote."""
        return self._before.get(f"{kind}:{name}") == given

    def names(self, kind: str) -> list[str]:
        """Names of this kind that others wrote."""
        start = f"{kind}:"
        return [field.removeprefix(start) for field in self._before if field.startswith(start)]


def merged_data(given: dict[str, Any] | None, before: StoredSession | None, missed: Missed) -> dict[str, Any] | None:
    """The client's data, with the keys that others wrote."""
    found, stored = dict(given or {}), (before.content.data or {}) if before is not None else {}
    for key in missed.names("data"):
        if missed.kept("data", key, digest(found.get(key, UNSET))):
            if key in stored:
                found[key] = stored[key]
            else:
                found.pop(key, None)
    return found or given


def merged_context(given: str | None, before: StoredSession | None, missed: Missed) -> str | None:
    """The client's context, or that which others have set."""
    if before is not None and missed.kept("context", "", digest(given or UNSET)):
        return before.content.context
    return given


def changes_of(
    before: StoredSession | None, content: WorkingMemory, edited: Mapping[str, bytes], now: int
) -> list[FieldChange]:
    """What a session remembers of its latest writes after one more.

    Args:
        before: The session as it was.
        content: What is written.
        edited: Fingerprints that changed turns had before, by name.
        now: Time of the write, as in `StoredSession.writes`.
    """
    old = before.content if before is not None else None
    found = [FieldChange(f"turn:{name}", now, fingerprint) for name, fingerprint in edited.items()]
    found += _differences("data", (old.data if old else None) or {}, content.data or {}, digest, now)
    records = _by_id(old.memories if old else ())
    written = {record.id: record for record in content.memories}
    equal = {name: record for name, record in records.items() if written.get(name) == record}
    found += _differences("memory", records, {**written, **equal}, record_digest, now)
    if ((old.context if old else None) or None) != (content.context or None):
        found.append(FieldChange("context:", now, digest((old.context if old else None) or UNSET)))
    if before is None:
        return found[-_MOST_CHANGES:]
    first = before.writes[0] if before.writes else 0
    return [*(change for change in before.changes if change.at > first), *found][-_MOST_CHANGES:]


def _differences(kind: str, old: Mapping[str, Any], new: Mapping[str, Any], of: Any, now: int) -> Iterable[FieldChange]:
    """The changes from the old values to the new ones. Names that are longer than any id are not worth their room."""
    for name in {**old, **new}:
        if len(name) > LONGEST_NAME:
            continue
        if name not in old:
            yield FieldChange(f"{kind}:{name}", now)
        elif name not in new or (new[name] is not old[name] and of(new[name]) != of(old[name])):
            yield FieldChange(f"{kind}:{name}", now, of(old[name]))


def _by_id(records: Sequence[MemoryRecord]) -> dict[str, MemoryRecord]:
    return {record.id: record for record in records}


def digest(value: Any) -> bytes:
    """Eight bytes that tell whether a JSON value has changed; none for UNSET."""
    if value is UNSET:
        return b""
    return hashlib.blake2b(msgspec.json.encode(value, order="deterministic"), digest_size=8).digest()


def record_digest(record: MemoryRecord) -> bytes:
    """A digest of what official clients read of a memory and send back."""
    fields = (record.text, record.created_at, record.event_date, record.memory_type, record.topics, record.entities)
    return digest(fields)
