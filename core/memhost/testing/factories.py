"""Builders of records for tests. Everything is deterministic; times count from `START`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from memhost.models import (
    Document,
    Job,
    MemoryRecord,
    Scope,
    SessionKey,
    StoredMemory,
    StoredSession,
    Vector,
    WorkingMemory,
    WriteBatch,
)

START = datetime(2024, 3, 1, 12, 0, 0, tzinfo=UTC)
DIMENSIONS = 8
EMBEDDER = "conformance"
TENANT = "acme"


def after(seconds: float) -> datetime:
    """The moment so many seconds after `START`; negative ones lie before it."""
    return START + timedelta(seconds=seconds)


def make_scope(**parts: Any) -> Scope:
    """A scope of the test tenant; `namespaces`, `users` and `sessions` as in `Scope`."""
    return Scope(**{"tenant": TENANT, **parts})


def make_vector(*head: float) -> Vector:
    """A unit vector that starts with these components and is 0 elsewhere."""
    vector = np.zeros(DIMENSIONS, dtype=np.float32)
    vector[: len(head)] = head
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


def make_record(memory_id: str, text: str = "a fact", **fields: Any) -> MemoryRecord:
    """A memory of user `ann` in namespace `work`; any field can be given."""
    defaults: dict[str, Any] = {
        "namespace": "work",
        "user_id": "ann",
        "created_at": START,
        "updated_at": START,
        "last_accessed": START,
    }
    return MemoryRecord(id=memory_id, text=text, **{**defaults, **fields})


def make_memory(
    memory_id: str,
    text: str = "a fact",
    *,
    terms: str | tuple[str, ...] | None = None,
    vector: Vector | None = None,
    position: int | None = None,
    speaker: str | None = None,
    role: str | None = None,
    **fields: Any,
) -> StoredMemory:
    """A stored memory whose terms are the words of `terms` (by default of its text)."""
    words = tuple((text if terms is None else terms).split()) if not isinstance(terms, tuple) else terms
    return StoredMemory(
        record=make_record(memory_id, text, **fields),
        terms=words,
        vector=vector,
        position=position,
        speaker=speaker,
        role=role,
    )


def make_turn(session: str, position: int, text: str = "a turn", **fields: Any) -> StoredMemory:
    """The turn of a session at a position, with the id `<session>-<position>`."""
    return make_memory(f"{session}-{position}", text, session_id=session, position=position, **fields)


def make_key(session: str = "s1", **parts: str) -> SessionKey:
    """A session of user `ann` in namespace `work`."""
    return SessionKey(**{"tenant": TENANT, "namespace": "work", "user": "ann", "session": session, **parts})


def make_session(key: SessionKey | None = None, *, updated: float = 0, expires: float | None = None) -> StoredSession:
    """A session that was updated, and expires, so many seconds after `START`."""
    content = WorkingMemory(created_at=START, updated_at=after(updated), last_accessed=START)
    return StoredSession(key=key or make_key(), content=content, expires_at=None if expires is None else after(expires))


def make_document(document_id: str = "d1", body: bytes = b"body", **fields: Any) -> Document:
    """A document of kind `view` of the test tenant, owned by nobody."""
    defaults: dict[str, Any] = {"kind": "view", "tenant": TENANT, "updated_at": START}
    return Document(id=document_id, body=body, **{**defaults, **fields})


def make_job(job_id: str = "j1", *, due: float = 0, payload: bytes = b"payload", **fields: Any) -> Job:
    """A job of the test tenant that is due so many seconds after `START`."""
    defaults: dict[str, Any] = {"event": "memories_stored", "plugin": "demo", "tenant": TENANT, "created_at": START}
    return Job(id=job_id, payload=payload, due_at=after(due), **{**defaults, **fields})


def put(*memories: StoredMemory, **rest: Any) -> WriteBatch:
    """A batch that puts these memories."""
    return WriteBatch(put_memories=list(memories), **rest)
