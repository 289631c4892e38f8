"""Former states of memories that the server joined or replaced, so that both can be undone exactly.

A document of kind `former` is committed together with each such change. It belongs to the memory's owner, and lasts as
long as a replaced fact does; that of a join, without a bound on these, `JOINED_DAYS`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from memhost.memories.records import derived_id
from memhost.memories.repetition import SUPERSEDED_BY
from memhost.models import Condition, Document, MemoryRecord, Op, Scope, StoredMemory, WriteBatch
from memhost.models.filters import metadata_text
from memhost.ports import Store
from memhost.storage.bound_documents import by_prefix, document_scope
from memhost.storage.paging import scan
from memhost.storekit import to_micros

KIND = "former"

How = Literal["joined", "superseded"]

JOINED_DAYS = 30.0
"""Days for which a join can be undone, if history is without bounds."""

_CHANGES = 200
"""Changes of one memory that are read."""

_PAGE = 500


class Former(msgspec.Struct, frozen=True, kw_only=True):
    """A memory before a change that the server made.

    Attributes:
        how: Whether others were merged into it, or a newer fact replaced it.
        memory: The memory as it was.
        changed_at: Its `updated_at` after the change.
        parts: Memories that went into it, as they were.
    """

    how: How
    memory: MemoryRecord
    changed_at: datetime
    parts: list[MemoryRecord] = []


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A former state with the name of its document."""

    name: tuple[str, str]
    state: Former


_decoder = msgspec.msgpack.Decoder(Former)


async def note_changes(
    store: Store,
    batch: WriteBatch,
    scope: Scope,
    now: datetime,
    *,
    keep_days: float | None,
    parts: Mapping[str, Sequence[MemoryRecord]] | None = None,
) -> None:
    """Add to a batch what the stored memories that it joins or replaces are before it.

    Args:
        store: Where they are.
        batch: The batch, with all memories that it stores.
        scope: Scope of the memories.
        now: The current time.
        keep_days: How long replaced facts are kept, days; None: without end.
        parts: The memories that the batch merges into others, by the id of the one that stays.
    """
    after = {memory.record.id: memory.record for memory in batch.put_memories}
    before = await store.get_memories(scope, list(after)) if after else []
    found = [
        _changed(memory.record, after[memory.record.id], (parts or {}).get(memory.record.id, ())) for memory in before
    ]
    batch.put_documents += [_document(scope.tenant, state, now, keep_days) for state in found if state is not None]


def _changed(before: MemoryRecord, after: MemoryRecord, parts: Sequence[MemoryRecord]) -> Former | None:
    if after.superseded_by is not None and before.superseded_by != after.superseded_by:
        how: How = "superseded"
    elif before.updated_at != after.updated_at and (parts or before.extractor is not None):
        how = "joined"
    else:
        return None
    return Former(how=how, memory=before, changed_at=after.updated_at, parts=list(parts))


def _document(tenant: str, state: Former, now: datetime, keep_days: float | None) -> Document:
    record = state.memory
    days = JOINED_DAYS if keep_days is None and state.how == "joined" else keep_days
    return Document(
        kind=KIND,
        id=f"{_prefix(record)}{to_micros(state.changed_at):020d}",
        tenant=tenant,
        namespace=record.namespace or "",
        user=record.user_id or "",
        body=msgspec.msgpack.encode(state),
        updated_at=now,
        expires_at=None if days is None else now + timedelta(days=max(days, 1.0)),
    )


async def read(store: Store, scope: Scope, records: Iterable[MemoryRecord], now: datetime) -> dict[str, list[Kept]]:
    """The former states of each memory, oldest first, by its id."""
    prefixes = {record.id: _prefix(record) for record in records}
    found = await by_prefix(store, scope, KIND, prefixes.values(), now, _CHANGES) if prefixes else {}
    return {
        name: [
            Kept(name=(document.kind, document.id), state=_decoder.decode(document.body)) for document in found[prefix]
        ]
        for name, prefix in prefixes.items()
    }


async def joins_of(store: Store, owner: Scope, parts: Collection[str], now: datetime) -> list[Kept]:
    """The former states of memories of one owner into which one of these was merged."""
    found: list[Kept] = []
    after = ""
    while True:
        documents = await store.list_documents(document_scope(owner), KIND, now, after=after, limit=_PAGE)
        kept = [Kept(name=(each.kind, each.id), state=_decoder.decode(each.body)) for each in documents]
        found += [each for each in kept if any(part.id in parts for part in each.state.parts)]
        if len(documents) < _PAGE:
            return found
        after = documents[-1].id


async def give_back(
    store: Store, batch: WriteBatch, scope: Scope, gone: Collection[StoredMemory], now: datetime
) -> list[StoredMemory]:
    """Undo, in a batch that removes memories, that these replaced others; return those as the batch stores them.

    A fact that only removed memories replaced gets its former state back. Where what replaced it was itself replaced by
    a memory that stays, that memory replaces it now.

    Args:
        store: Where they are.
        batch: The batch.
        scope: The owner of the removed memories.
        gone: The removed memories.
        now: The current time.
    """
    leaving = {memory.record.id: memory.record for memory in gone}
    put = {memory.record.id: memory for memory in batch.put_memories}
    out = leaving.keys() | set(batch.delete_memories)
    ended = [put.get(memory.record.id, memory) for memory in await replaced_by(store, scope, leaving)]
    ended = [each for each in ended if each.record.id not in out and each.record.superseded_by in leaving]
    states = await read(store, scope, [memory.record for memory in ended], now)
    for memory in ended:
        heir = _heir(memory.record, leaving)
        replacing = [each for each in states[memory.record.id] if each.state.how == "superseded"][-1:]
        if heir is None:
            record = undone(memory.record, replacing)
            batch.delete_documents += [each.name for each in replacing]
        else:
            record = _inherited(memory.record, heir)
        put[memory.record.id] = replace(memory, record=record)
    batch.put_memories = list(put.values())
    return [put[memory.record.id] for memory in ended]


async def replaced_by(store: Store, scope: Scope, ids: Collection[str]) -> list[StoredMemory]:
    """The memories inside the scope that one of these replaced."""
    if not ids:
        return []
    condition = Condition(f"metadata.{SUPERSEDED_BY}", Op.ANY, tuple(metadata_text(name) for name in ids))
    return [memory async for memory in scan(store, scope, [condition]) if memory.record.superseded_by in ids]


def _heir(record: MemoryRecord, leaving: Mapping[str, MemoryRecord]) -> MemoryRecord | None:
    """Return the removed memory whose own replacement stays; None if nothing of the chain is left."""
    seen: set[str] = set()
    name = record.superseded_by
    while name is not None and name in leaving and name not in seen:
        seen.add(name)
        if (after := leaving[name].superseded_by) is not None and after not in leaving:
            return leaving[name]
        name = leaving[name].superseded_by
    return None


def _inherited(record: MemoryRecord, heir: MemoryRecord) -> MemoryRecord:
    """The record as replaced by what replaced the heir; its time of change stays: its former state is known by it."""
    return msgspec.structs.replace(
        record,
        superseded_by=heir.superseded_by,
        valid_to=heir.valid_to,
        metadata={**record.metadata, SUPERSEDED_BY: heir.superseded_by},
    )


def undone(record: MemoryRecord, kept: Sequence[Kept]) -> MemoryRecord:
    """The record before it was replaced. What others changed since stays, and so do sources and accesses."""
    state = kept[0].state if kept else None
    if state is not None and state.changed_at == record.updated_at:
        return msgspec.structs.replace(
            state.memory,
            source_ids=record.source_ids,
            extracted_from=record.extracted_from,
            access_count=record.access_count,
            last_accessed=record.last_accessed,
        )
    metadata = {name: value for name, value in record.metadata.items() if name != SUPERSEDED_BY}
    until = state.memory.valid_to if state is not None else None
    return msgspec.structs.replace(record, superseded_by=None, valid_to=until, metadata=metadata)


async def names_of(store: Store, scope: Scope, records: Iterable[MemoryRecord], now: datetime) -> list[tuple[str, str]]:
    """(kind, id) of what is kept of these memories: an explicit delete removes it too."""
    return [each.name for kept in (await read(store, scope, records, now)).values() for each in kept]


def _prefix(record: MemoryRecord) -> str:
    return f"{record.id}|{derived_id(record.namespace or '', record.user_id or '')}|"
