"""The trash: memories that the server removed by itself stay readable for a while, and can be brought back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from memhost.errors import DocumentGone, IdTaken
from memhost.events import MemoriesStored, MemoriesUpdated
from memhost.jobs.outbox import Outbox
from memhost.memories.derived import former
from memhost.memories.enabled import require_long_term_memory
from memhost.memories.records import derived_id, index_records, unique
from memhost.memories.repetition import RESTORED
from memhost.memories.trust import refuse_lower
from memhost.models import Document, MemoryRecord, Scope, StoredMemory, WriteBatch
from memhost.operations.responses import RestoreResult, TrashedMemory, TrashPage
from memhost.operations.table import Call
from memhost.ports import Clock, Draft, Embedder, Store
from memhost.settings.schema import MemorySettings
from memhost.storage.bound_documents import by_prefix, document_scope

KIND = "trash"

Reason = Literal["repeated", "merged", "reworded", "superseded", "forgotten", "unsupported", "rebuilt"]
"""Why a memory went: word by word a repetition, merged into another, kept with another text, replaced long ago by a
newer fact, given up by a policy, made from a turn that says something else now, or to be made again from its turns."""

_PAGE = 200
_OWNERS = 20


class _Entry(msgspec.Struct, frozen=True, kw_only=True):
    memory: MemoryRecord
    deleted_at: datetime
    reason: str
    speaker: str | None = None
    role: str | None = None
    position: int | None = None


_decoder = msgspec.msgpack.Decoder(_Entry)


class _Found(msgspec.Struct, frozen=True):
    document: Document
    entry: _Entry


def entries(
    tenant: str, memories: Iterable[StoredMemory], reason: Reason, now: datetime, settings: MemorySettings
) -> list[Document]:
    """Documents that keep the memories, to be committed with what removes them; none if there is no trash."""
    if settings.forgetting_trash_days <= 0:
        return []
    expires_at = now + timedelta(days=settings.forgetting_trash_days)
    return [
        Document(
            kind=KIND,
            id=_name(memory.record),
            tenant=tenant,
            namespace=memory.record.namespace or "",
            user=memory.record.user_id or "",
            body=msgspec.msgpack.encode(
                _Entry(
                    memory=memory.record,
                    deleted_at=now,
                    reason=reason,
                    speaker=memory.speaker,
                    role=memory.role,
                    position=memory.position,
                )
            ),
            updated_at=now,
            expires_at=expires_at,
        )
        for memory in memories
    ]


async def trashed_ids(store: Store, bounds: Scope, now: datetime) -> set[str]:
    """Ids of all memories that the trash holds inside the bounds."""
    documents = await store.list_documents(document_scope(bounds), KIND, now)
    return {item.entry.memory.id for item in _inside(bounds, documents)}


async def names_of(store: Store, bounds: Scope, ids: Sequence[str], now: datetime) -> dict[str, list[tuple[str, str]]]:
    """(kind, id) of what the trash holds of each memory inside the bounds: an explicit delete removes it too."""
    found = await _find(store, bounds, ids, now)
    return {name: [(KIND, item.document.id) for item in items] for name, items in found.items()}


async def find_trashed(store: Store, bounds: Scope, memory_id: str, now: datetime) -> tuple[MemoryRecord, str] | None:
    """The memory of that id that the trash holds inside the bounds, and why it went; the latest of several."""
    found = (await _find(store, bounds, [memory_id], now))[memory_id]
    latest = max(found, key=lambda item: item.entry.deleted_at, default=None)
    return (latest.entry.memory, latest.entry.reason) if latest is not None else None


class TrashService:
    """Lists what is in the trash, and brings memories back."""

    def __init__(
        self, *, store: Store, embedder: Embedder, outbox: Outbox, settings: MemorySettings, clock: Clock
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._outbox = outbox
        self._settings = settings
        self._clock = clock

    async def page(self, bounds: Scope, limit: int, after: str) -> TrashPage:
        """A page of the trash inside the bounds, by id.

        Args:
            bounds: Where to look.
            limit: Most items.
            after: `next` of the page before; empty for the first.

        Raises:
            LongTermMemoryDisabled: Long-term memory is off.
        """
        require_long_term_memory(self._settings)
        now = self._clock.now()
        found: list[_Found] = []
        while len(found) <= limit:
            documents = await self._store.list_documents(document_scope(bounds), KIND, now, after=after, limit=_PAGE)
            found += _inside(bounds, documents)
            if len(documents) < _PAGE:
                break
            after = documents[-1].id
        shown = found[:limit]
        return TrashPage(
            memories=[_shown(item) for item in shown],
            next=shown[-1].document.id if len(found) > limit and shown else None,
        )

    async def restore(self, call: Call, ids: Sequence[str]) -> RestoreResult:
        """Restore memories and index them again; facts that a newer one replaced become valid again.

        What is brought back is not merged again by itself, and ages from now. When all that was merged into a memory is
        back, that memory is as it was before, unless somebody changed it since.

        Raises:
            LongTermMemoryDisabled: Long-term memory is off.
            ModelUnavailable: The embedder does not answer.
            Forbidden: One is trusted more than the channel of the caller; nothing was restored.
        """
        require_long_term_memory(self._settings)
        bounds, now = call.caller.bounds, self._clock.now()
        names = unique(ids)
        living = {memory.record.id: memory for memory in await self._store.get_memories(bounds, names)}
        replaced = [memory for memory in living.values() if memory.record.superseded_by is not None]
        trashed: dict[str, _Found] = {}
        found = await _find(self._store, bounds, [name for name in names if name not in living], now)
        for name, items in found.items():
            if items:
                trashed[name] = max(items, key=lambda item: item.entry.deleted_at)
        records = [memory.record for memory in replaced] + [item.entry.memory for item in trashed.values()]
        refuse_lower(records, call.caller.channel, "restoring it")
        valid = await self._make_valid(bounds, replaced, now)
        taken = [name for name in living if name not in valid]
        restored, lost = await self._put_back(bounds, trashed, now)
        merged = [trashed[name].entry.memory for name in restored if trashed[name].entry.reason == "merged"]
        # Those of an earlier call, which may have ended before it undid their join.
        merged += [living[name].record for name in taken if RESTORED in living[name].record.metadata]
        await self._undo_joins(bounds, merged, now)
        back = [name for name in names if name in valid or name in restored]
        return RestoreResult(
            restored=back,
            taken=[name for name in names if name in taken or name in lost],
            missing=[name for name in names if name not in living and name not in trashed],
        )

    async def _make_valid(self, bounds: Scope, memories: Sequence[StoredMemory], now: datetime) -> set[str]:
        """Undo that the memories were replaced."""
        if not memories:
            return set()
        put, used = [], []
        states = await former.read(self._store, bounds, [memory.record for memory in memories], now)
        for memory in memories:
            before = [each for each in states[memory.record.id] if each.state.how == "superseded"][-1:]
            used += [each.name for each in before]
            put.append(replace(memory, record=_brought_back(former.undone(memory.record, before), now)))
        ids = [memory.record.id for memory in put]
        jobs = self._outbox.memory_jobs("memories_updated", MemoriesUpdated, ids, tenant=bounds.tenant, now=now)
        await self._store.commit(bounds, WriteBatch(put_memories=put, delete_documents=used, add_jobs=jobs))
        self._outbox.committed(jobs)
        return set(ids)

    async def _undo_joins(self, bounds: Scope, parts: Sequence[MemoryRecord], now: datetime) -> None:
        """Give memories their state before these went into them, where nothing else of the join is missing."""
        owners = {(record.namespace or "", record.user_id or "") for record in parts}
        for namespace, user in sorted(owners):
            owner = Scope(tenant=bounds.tenant, namespaces=(namespace,), users=(user,))
            for kept in await former.joins_of(self._store, owner, {record.id for record in parts}, now):
                state = kept.state
                wanted = [state.memory.id, *(part.id for part in state.parts)]
                living = {each.record.id: each for each in await self._store.get_memories(owner, wanted)}
                joined = living.get(state.memory.id)
                if joined is None or len(living) < len(set(wanted)) or joined.record.updated_at != state.changed_at:
                    continue
                (before,) = await index_records([state.memory], self._embedder, in_request=True)
                jobs = self._outbox.memory_jobs(
                    "memories_updated", MemoriesUpdated, [state.memory.id], tenant=bounds.tenant, now=now
                )
                batch = WriteBatch(
                    put_memories=[before], require_documents=[kept.name], delete_documents=[kept.name], add_jobs=jobs
                )
                try:
                    await self._store.commit(document_scope(owner), batch)
                except DocumentGone:  # undone by another call
                    continue
                self._outbox.committed(jobs)

    async def _put_back(self, bounds: Scope, trashed: dict[str, _Found], now: datetime) -> tuple[set[str], set[str]]:
        """Store entries of the trash; return the restored ids, and the ids that another owner has taken."""
        found = list(trashed.values())
        records = [_brought_back(item.entry.memory, now) for item in found]
        drafts = [_draft(item.entry) for item in found]
        memories = await index_records(records, self._embedder, drafts, in_request=True)
        back: set[str] = set()
        lost: set[str] = set()
        for item, memory in zip(found, memories, strict=True):
            name = (KIND, item.document.id)
            jobs = self._outbox.memory_jobs(
                "memories_stored", MemoriesStored, [memory.record.id], tenant=bounds.tenant, now=now
            )
            batch = WriteBatch(
                put_memories=[memory],
                guarded_ids=frozenset({memory.record.id}),
                require_documents=[name],
                delete_documents=[name],
                add_jobs=jobs,
            )
            try:
                await self._store.commit(document_scope(bounds), batch)
            except (IdTaken, DocumentGone):  # somebody else's memory now, or brought back by another call
                lost.add(memory.record.id)
                continue
            self._outbox.committed(jobs)
            back.add(memory.record.id)
        return back, lost


async def _find(store: Store, bounds: Scope, ids: Sequence[str], now: datetime) -> dict[str, list[_Found]]:
    """Return the trash entries of each id; one id may have several, from owners that used it one after another."""
    documents = await by_prefix(store, bounds, KIND, map(_prefix, ids), now, _OWNERS)
    return {
        name: [item for item in _inside(bounds, documents[_prefix(name)]) if item.entry.memory.id == name]
        for name in ids
    }


def _inside(bounds: Scope, documents: Iterable[Document]) -> list[_Found]:
    found = [_Found(document, _decoder.decode(document.body)) for document in documents]
    return [item for item in found if _allows(bounds, item.entry.memory)]


def _allows(bounds: Scope, record: MemoryRecord) -> bool:
    return bounds.allows(record.namespace, record.user_id, record.session_id)


def _name(record: MemoryRecord) -> str:
    return _prefix(record.id) + derived_id(record.namespace or "", record.user_id or "")


def _prefix(memory_id: str) -> str:
    return f"{memory_id}|"


def _brought_back(record: MemoryRecord, now: datetime) -> MemoryRecord:
    metadata = {**record.metadata, RESTORED: now.isoformat()}
    return msgspec.structs.replace(record, updated_at=now, metadata=metadata)


def _draft(entry: _Entry) -> Draft | None:
    """Return the data of a turn that the indexes hold beside its record."""
    if entry.position is None:
        return None
    return Draft(text=entry.memory.text, speaker=entry.speaker, role=entry.role, position=entry.position)


def _shown(item: _Found) -> TrashedMemory:
    record = item.entry.memory
    return TrashedMemory(
        id=record.id,
        text=record.text,
        namespace=record.namespace,
        user_id=record.user_id,
        session_id=record.session_id,
        reason=item.entry.reason,
        deleted_at=item.entry.deleted_at,
        expires_at=item.document.expires_at,
    )
