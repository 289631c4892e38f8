"""Long-term memory: creating, reading, editing and deleting records."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import UNSET

from memhost.errors import Forbidden, IdTaken, InvalidRequest, NotFound, QuotaExceeded
from memhost.events import MemoriesDeleted, MemoriesStored, MemoriesUpdated, RequestContext
from memhost.jobs.outbox import Outbox
from memhost.memories import aliases
from memhost.memories.derived import edits, former
from memhost.memories.derived.cascade import Cascade
from memhost.memories.enabled import require_long_term_memory
from memhost.memories.exact_duplicates import Repetitions, find_repetitions
from memhost.memories.records import (
    check_records,
    content_hash,
    index_records,
    record_from_input,
    refuse,
    tag_problems,
    unique,
)
from memhost.memories.repetition import NOTES
from memhost.memories.review import waiting
from memhost.memories.review.waiting import Held, Staged, Waiting, Waits
from memhost.memories.trash import names_of
from memhost.memories.trust import CLAIMS, DOUBTS, SUSPICIOUS, level_of
from memhost.models import (
    MemoryRecord,
    MemoryType,
    Scope,
    StoredMemory,
    Trust,
    WriteBatch,
    new_id,
)
from memhost.models.trust import lowest, of_memory
from memhost.operations.long_term import EditMemory
from memhost.operations.requests import RecordInput, SessionRecordInput
from memhost.operations.responses import StoredRecord
from memhost.operations.table import Call
from memhost.plugins.request_hooks import RequestHooks
from memhost.ports import Clock, Draft, Embedder, Store
from memhost.settings.schema import MemorySettings
from memhost.storage.bound_documents import document_scope
from memhost.storage.preconditions import Expected, require_versions
from memhost.usage.quotas import Amount, Quotas, amounts_of

_NO_FIELDS = ("memory_id", "clear", "if_version", "if_hash")

EDITABLE = tuple(name for name in EditMemory.__struct_fields__ if name not in _NO_FIELDS)
"""Fields that an edit can set."""

_EMPTY: dict[str, Any] = {"topics": [], "entities": [], "metadata": {}}
"""Value of a cleared field, if it is not null."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """Number of deleted memories, the given ids that named them, and the given ids without a memory."""

    count: int = 0
    ids: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Created:
    """Given memories, and what became of them: stored, gone into others (which id into which), or held for a review."""

    fresh: list[MemoryRecord]
    stays: dict[str, str]
    staged: Staged = field(default_factory=Staged)


class MemoryService:
    """Stores, reads, edits and deletes long-term memories."""

    def __init__(
        self,
        *,
        store: Store,
        embedder: Embedder,
        hooks: RequestHooks,
        cascade: Cascade,
        held: Waiting,
        outbox: Outbox,
        quotas: Quotas,
        settings: MemorySettings,
        clock: Clock,
    ) -> None:
        self._store = store
        self._quotas = quotas
        self._held = held
        self._cascade = cascade
        self._embedder = embedder
        self._hooks = hooks
        self._outbox = outbox
        self._settings = settings
        self._clock = clock

    async def create(self, call: Call, given: Sequence[RecordInput], *, deduplicate: bool = True) -> list[str]:
        """Store memories durably; they can be read and searched when this returns. The ids stored.

        A record with the id of a stored one of the same owner replaces it. With `deduplicate`, a record that
        repeats a stored memory of the same owner word by word (`repetition.compatible`) goes into that one,
        which takes over what the record adds and counts as accessed; both ids lead to it, and a notice names it.
        What is trusted less than the user and is sensitive waits for a review, and a notice names it.

        Raises:
            ValidationFailed: Fields are wrong.
            IdTaken: An id belongs to another owner; the records with other ids were stored.
            Forbidden: A record lies outside the caller's bounds; nothing was stored.
            MemoryChanged: A memory is not as its record expects; nothing was stored.
            QuotaExceeded: An owner may keep no more; nothing was stored.
            ReviewLimitReached: Some need a review, and of their owner as many wait as may; the others were stored.
        """
        made = await self._create_allowed(call, given, deduplicate=deduplicate)
        if made.stays:
            call.notices.append(("repeated", _repeated(made.stays)))
        waiting.tell(call, made.staged)
        return [record.id for record in made.fresh]

    async def store(self, call: Call, given: Sequence[SessionRecordInput]) -> list[StoredRecord]:
        """Store memories as `create` does, with new ids where none are given; return the result of each, in order.

        Raises:
            As `create`.
        """
        inputs = [_with_id(item) for item in given]
        new = frozenset(item.id for item, asked in zip(inputs, given, strict=True) if item.id != asked.id)
        made = await self._create_allowed(call, inputs, made=new)
        waiting.tell(call, made.staged)
        stored = {record.id: record for record in made.fresh}
        found = []
        for item in inputs:
            name = made.stays.get(item.id, item.id)
            if (held := made.staged.find(name)) is not None:
                found.append(StoredRecord(id=held.id, status=waiting.status_of(held), memory=held))
                continue
            kept = stored.get(name) or await self._read(call, name)
            if kept is None:
                raise InvalidRequest(f"A plugin refused the memory {item.text[:50]!r}.")
            status: Literal["created", "duplicate"] = "created" if item.id in stored else "duplicate"
            found.append(StoredRecord(id=kept.id, status=status, memory=kept))
        return found

    async def _read(self, call: Call, memory_id: str) -> MemoryRecord | None:
        found = await self._store.get_memories(call.caller.bounds, [memory_id])
        return found[0].record if found else None

    async def _create_allowed(
        self, call: Call, given: Sequence[RecordInput], *, deduplicate: bool = True, made: Set[str] = frozenset()
    ) -> _Created:
        """As `_create`, but whoever uses an id keeps out the record of that id alone."""
        refused: set[str] = set()
        while True:
            left = [item for item in given if item.id not in refused]
            try:
                created = await self._create(call, left, deduplicate=deduplicate, made=made)
            except IdTaken as taken:
                owners = [(item.namespace or "", item.user_id or "") for item in left]
                self._quotas.not_stored(call.caller.bounds.tenant, owners)
                refused.update(taken.ids)
                if all(item.id in refused for item in left):
                    raise IdTaken(sorted(refused)) from taken
                continue
            stored = len({item.id for item in left})
            waiting.refuse_over(created.staged, self._held.limit, stored, sorted(refused))
            if refused:
                raise IdTaken(sorted(refused), stored=stored)
            return created

    async def _create(
        self, call: Call, given: Sequence[RecordInput], *, deduplicate: bool = True, made: Set[str] = frozenset()
    ) -> _Created:
        """Store what is new, and what it adds to stored memories.

        What replaces a stored memory is trusted no further than that. `made` are ids that the server has made just now.
        """
        self._check_enabled()
        refuse(check_records(given, [item.id for item in given]))
        now, bounds = self._clock.now(), call.caller.bounds
        named = [item.id for item in given if item.id not in made]
        there = await self._store.get_memories(bounds, named) if named else []
        records = _records(call, given, there, now)
        versions = self._expected(there, given)
        alike = [record for record in records if deduplicate and record.id not in versions]
        found = await find_repetitions(self._store, bounds, alike, now) if alike else Repetitions()
        found.fresh += [record for record in records if not deduplicate or record.id in versions]
        gone = [record for record in records if record.id in found.stays]
        wanted = [*found.fresh, *found.completed.values()]
        asked = self._context(call, now)
        kept = await self._hooks.before_memories_stored(wanted, asked, masked=True) if wanted else []
        await self._admit(bounds, kept, found)
        anew, more = found.parted(kept)
        anew, held = await self._parted(call, anew, there, found)
        kept = [*anew, *(memory.record for memory in more)]
        batch = WriteBatch(put_memories=await index_records(anew, self._embedder, in_request=True))
        staged = await self._held.stage(batch, bounds.tenant, held, now)
        batch.put_memories += more
        batch.if_versions = {record.id: versions[record.id] for record in anew if record.id in versions}
        batch.put_documents += aliases.documents(bounds.tenant, gone, found.stays, now)
        batch.access = found.access(now)
        for event, kind, changed in (
            ("memories_stored", MemoriesStored, [record.id for record in kept if record.id not in found.completed]),
            ("memories_updated", MemoriesUpdated, [record.id for record in kept if record.id in found.completed]),
        ):
            batch.add_jobs += self._outbox.memory_jobs(event, kind, changed, tenant=bounds.tenant, now=now)
        if batch.put_memories or batch.put_documents:
            await self._store.commit(document_scope(bounds) if batch.put_documents else bounds, batch)
            self._outbox.committed(batch.add_jobs)
        self._held.committed(staged)
        fresh = [record for record in kept if record.id not in found.completed]
        lost = await self._lost(bounds, found)
        if not lost:
            return _Created(fresh=fresh, stays=found.stays, staged=staged)
        again = await self._create(call, [item for item in given if item.id in lost], made=made)
        stays = {name: kept for name, kept in found.stays.items() if name not in lost}
        return _Created(fresh=[*fresh, *again.fresh], stays=stays | again.stays, staged=staged.joined(again.staged))

    async def _parted(
        self, call: Call, records: Sequence[MemoryRecord], there: Sequence[StoredMemory], found: Repetitions
    ) -> tuple[list[MemoryRecord], list[Held]]:
        """Part the new memories from those that wait for a review, also for what they would take the place of."""
        kept, held = await self._held.part(call.caller.bounds.tenant, records, found.completed)
        before = {memory.record.id: memory.record for memory in there}
        stays = []
        for record in kept:
            place = before.get(record.id)
            if place is None or (lower := self._held.of_lower(record, place, call.caller.channel)) is None:
                stays.append(record)
            elif not edits.adds_nothing(place, record):  # else there is nothing to be done, and its trust stays
                held.append(lower)
        return stays, held

    def _expected(self, there: Sequence[StoredMemory], given: Sequence[RecordInput]) -> dict[str, int]:
        """Return the versions that must be found, by the ids of the records that expect something.

        Raises:
            MemoryChanged: What is stored is something else.
        """
        expecting = {item.id: Expected(item.if_version, item.if_hash) for item in given}
        expecting = {name: expected for name, expected in expecting.items() if expected.something}
        if not expecting:
            return {}
        require_versions(self._store)
        stored = {memory.record.id: memory for memory in there}
        return {name: expected.check(name, stored.get(name)) for name, expected in expecting.items()}

    async def _admit(self, bounds: Scope, kept: Sequence[MemoryRecord], found: Repetitions) -> None:
        """Check the quotas; a memory that is stored already and replaced counts for nothing.

        Raises:
            QuotaExceeded: The records are too many.
        """
        if not self._quotas.active:
            return
        new = [record for record in kept if record.id not in found.completed]
        try:
            await self._quotas.admit(bounds.tenant, amounts_of(new))
        except QuotaExceeded:
            there = {memory.record.id for memory in await self._store.get_memories(bounds, [each.id for each in new])}
            if not there:
                raise
            await self._quotas.admit(bounds.tenant, amounts_of(each for each in new if each.id not in there))

    async def _lost(self, bounds: Scope, found: Repetitions) -> set[str]:
        """Return the ids of records whose text is lost: the memory that they repeat was deleted since."""
        if not found.confirmed:
            return set()
        there = {memory.record.id for memory in await self._store.get_memories(bounds, list(found.confirmed))}
        return {name for name, stays in found.stays.items() if stays in found.confirmed and stays not in there}

    async def get(self, call: Call, memory_id: str) -> MemoryRecord:
        """The memory of that id; one that waits for a review says so (`MemoryRecord.review`).

        Raises:
            NotFound: There is none inside the caller's bounds.
        """
        self._check_enabled()
        bounds = call.caller.bounds
        try:
            stored = await self._stored(bounds, memory_id)
        except NotFound:
            held = (await self._held.find(bounds, [memory_id], self._clock.now())).get(memory_id)
            if held is None:
                raise
            return waiting.shown(held.entry)
        return msgspec.structs.replace(stored.record, version=stored.version or UNSET)

    async def edit(self, call: Call, request: EditMemory) -> MemoryRecord:
        """Set the given fields; the rest stays. An empty string clears an owner, an empty list the tags.

        What it means to say is trusted no further than the caller from then on, and other words have no sources
        (`edits.edited`).

        Raises:
            InvalidRequest: No field is given, or the text is blank.
            ValidationFailed: A tag has a comma.
            NotFound: There is no such memory.
            MemoryChanged: It is not as the request expects, or was changed while that was checked.
            Forbidden: The new owner is out of bounds.
            QuotaExceeded: The owner may keep no more.
            ReviewLimitReached: It needs a review, and of its owner as many wait as may.
        """
        self._check_enabled()
        changes = {name: getattr(request, name) for name in EDITABLE if getattr(request, name) is not None}
        changes |= {name: _EMPTY.get(name) for name in request.clear}
        if not changes:
            raise InvalidRequest("Give at least one field to change: " + ", ".join(EDITABLE) + ".")
        if "text" in changes and not changes["text"].strip():
            raise InvalidRequest("text must not be empty.")
        problems = tag_problems(request.topics, ("topics",)) + tag_problems(request.entities, ("entities",))
        refuse(problems)
        bounds = call.caller.bounds
        try:
            stored = await self._stored(bounds, request.memory_id)
        except NotFound:
            found = await self._held.find(bounds, [request.memory_id], self._clock.now())
            if request.memory_id not in found:
                raise
            return await self._edit_held(call, found[request.memory_id], changes)
        if_versions = self._must_be(stored, Expected(request.if_version, request.if_hash))
        text, now = stored.record.text, self._clock.now()
        editor = of_memory(call.caller.channel)
        record = _changed(stored, changes, now, editor)
        if not bounds.allows(record.namespace, record.user_id, record.session_id):
            raise Forbidden("This credential may not move memories to that owner.")
        kept = await self._hooks.before_memories_stored([record], self._context(call, now))
        if not kept:
            raise InvalidRequest("A plugin refused the change.")
        held = await self._held.of_edit(kept[0], stored.record, editor, call.caller.channel)
        if held is not None:
            return await self._hold(call, held, now)
        updated = (await index_records(kept, self._embedder, [_draft_of(stored, record)], in_request=True))[0]
        if updated.vector is None and (updated.record.text, updated.lead) == (text, stored.lead):
            updated.vector = stored.vector
        await self._quotas.admit(bounds.tenant, _grown(stored.record, updated.record))
        await self._cascade.edited(bounds.tenant, stored, updated, now)
        batch = WriteBatch(put_memories=[updated], moved_ids=frozenset({record.id}), if_versions=if_versions)
        batch.add_jobs = self._outbox.memory_jobs(
            "memories_updated", MemoriesUpdated, [record.id], tenant=bounds.tenant, now=now
        )
        await self._store.commit(bounds, batch)
        self._outbox.committed(batch.add_jobs)
        return updated.record

    async def _hold(self, call: Call, held: Held, now: datetime) -> MemoryRecord:
        """Keep an edit until a review; the memory stays as it is."""
        bounds, batch = call.caller.bounds, WriteBatch()
        staged = await self._held.stage(batch, bounds.tenant, [held], now)
        self._held.require_room(staged)
        await self._store.commit(document_scope(bounds), batch)
        self._outbox.committed(batch.add_jobs)
        self._held.committed(staged)
        waiting.tell(call, staged)
        return staged.of(held.record.id)

    async def _edit_held(self, call: Call, held: Waits, changes: dict[str, Any]) -> MemoryRecord:
        """Set fields of a memory that waits; it goes on waiting."""
        bounds, now = call.caller.bounds, self._clock.now()
        record = _changed(StoredMemory(record=held.entry.memory), changes, now, of_memory(call.caller.channel))
        if not bounds.allows(record.namespace, record.user_id, record.session_id):
            raise Forbidden("This credential may not move memories to that owner.")
        kept = await self._hooks.before_memories_stored([record], self._context(call, now))
        if not kept:
            raise InvalidRequest("A plugin refused the change.")
        batch = WriteBatch()
        staged = await self._held.edited(batch, held, kept[0], now)
        self._held.require_room(staged)
        await self._store.commit(document_scope(bounds), batch)
        self._outbox.committed(batch.add_jobs)
        waiting.tell(call, staged)
        return staged.of(record.id)

    async def delete(self, call: Call, ids: Sequence[str], expected: Expected | None = None) -> Deletion:
        """Delete the memories of those ids inside the caller's bounds, for good.

        An id whose memory went into another deletes that one. The call's notices name ids of which nothing is left.

        Raises:
            InvalidRequest: Something is expected of several memories.
            MemoryChanged: The memory is not as expected; nothing was deleted.
        """
        self._check_enabled()
        bounds, now, names = call.caller.bounds, self._clock.now(), unique(ids)
        if not names:
            return Deletion()
        leaving = {memory.record.id: memory for memory in await self._store.get_memories(bounds, names)}
        if_versions = {}
        if expected is not None and expected.something:
            if len(names) != 1:
                raise InvalidRequest("if_version and if_hash are about one memory: give one id.")
            require_versions(self._store)
            version = expected.check(names[0], leaving.get(names[0]))
            if_versions = {names[0]: version} if version else {}
        held = {name: name for name in leaving}
        absent = [name for name in names if name not in held]
        for name in sorted(await aliases.leading(self._store, bounds, absent, now)) if absent else ():
            if (kept := await aliases.find(self._store, bounds, name, now)) is not None:
                held[name] = kept.record.id
                leaving.setdefault(kept.record.id, kept)
        await self._cascade.deleted(bounds.tenant, list(leaving.values()), now)
        trashed = await names_of(self._store, bounds, names, now)
        documents = [each for found in trashed.values() for each in found]
        held_back = await self._held.names_of(bounds, names, now)
        documents += [each for found in held_back.values() for each in found]
        documents += await former.names_of(self._store, bounds, [memory.record for memory in leaving.values()], now)
        if documents := documents + await aliases.names_of(self._store, bounds, names, now):
            await self._store.commit(document_scope(bounds), WriteBatch(delete_documents=documents))
        batch = WriteBatch(delete_memories=unique([held.get(name, name) for name in names]), if_versions=if_versions)
        existing = unique(list(held.values()))
        batch.add_jobs = self._outbox.memory_jobs(
            "memories_deleted", MemoriesDeleted, existing, tenant=bounds.tenant, now=now
        )
        result = await self._store.commit(bounds, batch)
        self._outbox.committed(batch.add_jobs)
        gone = set(result.deleted)
        deleted = [name for name in names if held.get(name, name) in gone]
        missing = [name for name in names if name not in deleted and not trashed[name] and name not in held_back]
        if missing:
            call.notices.append(("not_found", _not_found(missing)))
        return Deletion(count=len(gone), ids=deleted, missing=missing)

    # -- parts -----------------------------------------------------------------------------------------

    async def _stored(self, bounds: Scope, memory_id: str) -> StoredMemory:
        found = await aliases.find(self._store, bounds, memory_id, self._clock.now())
        if found is None:
            raise NotFound(f"Memory {memory_id} not found.")
        return found

    def _must_be(self, stored: StoredMemory, expected: Expected) -> dict[str, int]:
        if not expected.something:
            return {}
        require_versions(self._store)
        return {stored.record.id: expected.check(stored.record.id, stored)}

    def _check_enabled(self) -> None:
        require_long_term_memory(self._settings)

    def _context(self, call: Call, now: datetime) -> RequestContext:
        return RequestContext(
            scope=call.caller.bounds,
            subject=call.caller.subject,
            request_id=call.request_id,
            now=now,
        )


def _grown(before: MemoryRecord, after: MemoryRecord) -> dict[tuple[str, str], Amount]:
    """The amount that an edit adds to its owner: the growth of the memory, or all of it where the owner changes."""
    (owner, new), (former, old) = (next(iter(amounts_of([record]).items())) for record in (after, before))
    if owner != former:
        return {owner: new}
    return {owner: Amount(bytes=new.bytes - old.bytes)} if new.bytes > old.bytes else {}


def _records(
    call: Call, given: Sequence[RecordInput], there: Sequence[StoredMemory], now: datetime
) -> list[MemoryRecord]:
    """The given memories, each once, trusted as far as the caller and what they replace (`there`).

    A caller that is bound to one user owns what names nobody.

    Raises:
        Forbidden: One lies outside the caller's bounds.
    """
    bounds, trust = call.caller.bounds, of_memory(call.caller.channel)
    if bounds.users is not None and len(bounds.users) == 1:
        (owner,) = bounds.users
        given = [item if item.user_id else msgspec.structs.replace(item, user_id=owner) for item in given]
    levels = {memory.record.id: level_of(memory.record) for memory in there}
    records = [
        record_from_input(
            item,
            item.id,
            now,
            default_type=MemoryType.SEMANTIC,
            trust=lowest((levels.get(item.id, trust), trust)),
        )
        for item in given
    ]
    for record in records:
        if not bounds.allows(record.namespace, record.user_id, record.session_id):
            raise Forbidden(
                f"This credential may not write memory {record.id}: the memory's owner is outside the "
                "credential's bounds."
            )
    return list({record.id: record for record in records}.values())


def _repeated(stays: Mapping[str, str]) -> str:
    """Return the notice about records that were merged into stored memories; it names at most three."""
    named = [f"{gone} repeats {kept} and was merged into it" for gone, kept in list(stays.items())[:3]]
    more = f"; so do {len(stays) - len(named)} more" if len(stays) > len(named) else ""
    return "; ".join(named) + more + "."


def _not_found(missing: Sequence[str]) -> str:
    """Return the notice about unknown ids; it names at most ten."""
    named = ", ".join(json.dumps(name) for name in missing[:10])
    more = f" and {len(missing) - 10} more" if len(missing) > 10 else ""
    hint = "; repeat the parameter for each id" if any("," in name for name in missing) else ""
    return f"no memory has the id {named}{more}{hint}."


def _with_id(item: SessionRecordInput) -> RecordInput:
    fields = {name: getattr(item, name) for name in SessionRecordInput.__struct_fields__ if name != "id"}
    return RecordInput(**fields, id=item.id if isinstance(item.id, str) else new_id())


def _changed(before: StoredMemory, changes: dict[str, Any], now: datetime, editor: Trust) -> MemoryRecord:
    record = msgspec.structs.replace(before.record)
    for name in ("namespace", "user_id", "session_id"):
        if name in changes:
            changes[name] = changes[name] or None
    for name in ("topics", "entities"):
        if name in changes:
            changes[name] = unique(changes[name])
    if "metadata" in changes:
        notes = {name: value for name, value in record.metadata.items() if name in NOTES}
        told = {name: value for name, value in (changes["metadata"] or {}).items() if name not in CLAIMS}
        changes["metadata"] = {**told, **notes}
    if "event_date" in changes and changes["event_date"] != record.event_date:
        changes = {"event_end": None, "event_precision": None, **changes}  # those of another date
    for name, value in changes.items():
        setattr(record, name, value)
    if "text" in changes:  # the marks were about the former text
        gone = {SUSPICIOUS, *DOUBTS}
        record.metadata = {name: value for name, value in record.metadata.items() if name not in gone}
    if not edits.same_words(before.record.text, record.text):
        record.review = None  # what was approved were other words
    record = edits.edited(before, record, editor)
    record.updated_at = now
    record.memory_hash = content_hash(record)
    return record


def _draft_of(stored: StoredMemory, record: MemoryRecord) -> Draft | None:
    """Return the data of a turn that the indexes hold beside its record, unless it has other words now."""
    if stored.position is None or record.edited_from is not None:
        return None
    return Draft(text=record.text, speaker=stored.speaker, role=stored.role, position=stored.position)
