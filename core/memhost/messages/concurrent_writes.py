"""Merge a client's write of a whole session with the changes that others made since the client read it.

Official clients of Agent Memory Server read a session, change a part of it, and send all of it back. Two of them at the
same time would undo each other's changes without meaning to:

- Clients A and B both read the data ``{"city": "Oslo", "diet": "none"}``.
- A sends ``{"city": "Rome", "diet": "none"}``.
- B sends ``{"city": "Oslo", "diet": "vegan"}``. B has never seen "Rome", and did not mean to remove it.

So a session remembers which fields its latest writes changed, with a digest of the value before (`FieldChange`), and a
write shows when its client read (`memhost.operations.ams_compat.read_at`). B sends the city as it was when B read, so B
left the city alone, and A's "Rome" stays; the diet is B's: ``{"city": "Rome", "diet": "vegan"}``. If B sends "Bern",
both have changed the city, and the last writer wins.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET

from memhost.models import FieldChange, MemoryRecord, StoredSession, WorkingMemory
from memhost.models.limits import MAX_NAME_LENGTH
from memhost.operations.ams_compat import NEVER_READ
from memhost.storekit import to_micros

CLIENT_CLOCK_TRUST_US = 10_000_000
"""Age up to which a time from a client's own clock is trusted, microseconds: a slow clock must not bring back data
that the client replaced on purpose."""

_MAX_CHANGES = 1_000
"""Changes that a session remembers; of more the oldest are forgotten, and the last writer wins there."""


class Missed:
    """Changes that others made to a session after a client read it.

    Args:
        before: The session as it is.
        read: When the client read it (`ams_compat.read_at`). A time that is not one of the session's own is the
            client's clock, and trusted for a few seconds only.
        now: The current time.
    """

    def __init__(self, before: StoredSession | None, read: datetime | None, now: datetime) -> None:
        self.since = None
        self._before: dict[str, bytes] = {}
        if before is None or read is None:
            return
        since = to_micros(read)
        # A read by the client's own clock is not believed for long. A user sets the city from Rome back to Oslo, by a
        # client whose clock is an hour slow: taken at its word it has not seen "Rome" yet, "Oslo" would look like a
        # field left alone, and the change would be undone without an error.
        if read != NEVER_READ and since not in before.writes:
            since = max(since, to_micros(now) - CLIENT_CLOCK_TRUST_US)
        self.since = since
        # The first change after the read counts, because its `before` is what the client saw: Oslo, and not Rome, if
        # the city went from Oslo to Rome to Bern since.
        for change in before.changes:
            if change.at > since:
                self._before.setdefault(change.field, change.before)

    def kept(self, kind: str, name: str, given: bytes) -> bool:
        """Tell whether the stored value of this name stays, because the client sends the former one."""
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
    """Return the record of the session's latest changes after one more write.

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
        return found[-_MAX_CHANGES:]
    first = before.writes[0] if before.writes else 0
    return [*(change for change in before.changes if change.at > first), *found][-_MAX_CHANGES:]


def _differences(kind: str, old: Mapping[str, Any], new: Mapping[str, Any], of: Any, now: int) -> Iterable[FieldChange]:
    """The changes from the old values to the new ones. Names that are longer than any id are not worth their room."""
    for name in {**old, **new}:
        if len(name) > MAX_NAME_LENGTH:
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
