"""Versions of memories: listed, read, compared, restored and redacted."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import msgspec

from memhost.errors import NotFound
from memhost.history.entries import entries_of, fields_of, keeping, shown
from memhost.history.rewriting import Rewriting
from memhost.memories.enabled import require_long_term_memory
from memhost.memories.trust import refuse_lower
from memhost.models import Change, Entry, MemoryRecord, Scope, StoredMemory
from memhost.operations.history import (
    CompareVersions,
    FieldDifference,
    GetVersion,
    ListVersions,
    MemoryVersion,
    Redaction,
    RedactVersion,
    RestoreVersion,
    VersionComparison,
    VersionList,
    VersionState,
)
from memhost.operations.table import Call
from memhost.ports import KeepsHistory, Store
from memhost.settings.schema import MemorySettings
from memhost.storage.preconditions import Expected
from memhost.storage.secure_delete import Scrubbing

_MAKING = ("created", "replaced", "adopted")
"""Kinds of entries after which a memory is at a new version."""

_CHANGING = (*_MAKING, "deleted")
"""Kinds of entries that end a version, and may keep its state."""

_LEFT_OUT = ("last_accessed", "access_count", "version")
"""Fields that change by reading."""


Owner = tuple[str, str, str]


class _Version(NamedTuple):
    """A version, its state if that is kept, the entry that made it, and whether the memory is at it."""

    memory_id: str
    number: int
    state: StoredMemory | None
    entry: Entry | None
    current: bool

    def known(self) -> StoredMemory:
        """Its state.

        Raises:
            NotFound: It is not kept.
        """
        if self.state is None:
            raise _no_version(self.memory_id, self.number)
        return self.state


class Versions:
    """Lists, compares, restores and redacts versions: those whose owner lies inside the caller's bounds.

    A memory that is deleted, or that never was, differs in nothing else: there is an entry inside the bounds, or not.
    """

    def __init__(self, *, store: Store, rewriting: Rewriting, settings: MemorySettings) -> None:
        self._store = store
        self._rewriting = rewriting
        self._settings = settings
        self._scrubbing = Scrubbing(store)

    async def aclose(self) -> None:
        """Stop cleaning files."""
        await self._scrubbing.aclose()

    def _kept(self) -> KeepsHistory:
        require_long_term_memory(self._settings)
        return keeping(self._store)

    async def list_page(self, call: Call, request: ListVersions) -> VersionList:
        """A page of the versions of a memory, the newest first.

        Raises:
            NotFound: There is no entry of that memory inside the caller's bounds.
        """
        kept, bounds, name = self._kept(), call.caller.bounds, request.memory_id
        present = await self._present(bounds, name)
        later = await self._entry(kept, bounds, name, request.after) if request.after else None
        found: list[MemoryVersion] = []
        more = False
        async for entry in entries_of(kept, bounds, name, request.after):
            change = entry.change
            if change is None or change.kind == "touched":
                continue
            if more := len(found) == request.limit:
                break
            making = change.kind in _MAKING
            current = making and present is not None and present.version == change.version
            readable = making and (current or (later is not None and later.has_former))
            found.append(MemoryVersion(**fields_of(entry), kept=readable, current=current))
            later = entry if change.kind in _CHANGING else later
        if not found and not request.after:
            raise _not_found(name)
        return VersionList(memory_id=name, versions=found, next=found[-1].seq if more else None)

    async def get(self, call: Call, request: GetVersion) -> VersionState:
        """The state of a version.

        Raises:
            NotFound: There is no such version inside the caller's bounds, or its state is not kept.
        """
        return await self._shown(call.caller.bounds, request.memory_id, request.version)

    async def compare(self, call: Call, request: CompareVersions) -> VersionComparison:
        """The fields in which two versions differ.

        Raises:
            NotFound: One of them cannot be read.
        """
        bounds, name = call.caller.bounds, request.memory_id
        other = request.other
        if other is None:
            page = await self.list_page(call, ListVersions(memory_id=name, limit=500))
            other = next((each.version for each in page.versions if each.kept and each.version), None)
        one = await self._shown(bounds, name, request.version)
        two = await self._shown(bounds, name, other) if other is not None else one
        earlier, later = sorted((one, two), key=lambda state: state.version)
        return VersionComparison(
            memory_id=name,
            before=earlier.version,
            after=later.version,
            differences=_differences(earlier.memory, later.memory),
        )

    async def restore(self, call: Call, request: RestoreVersion) -> MemoryRecord:
        """Write a version again, as the newest one.

        Raises:
            NotFound: That version cannot be read.
            MemoryChanged: The memory is not at the version that the request expects, or is being changed.
            Others: As for any write.
        """
        state = (await self._found(call.caller.bounds, request.memory_id, request.version)).known()
        expected = Expected(request.if_version, request.if_hash)
        return await self._rewriting.put_back(call, state, expected)

    async def redact(self, call: Call, request: RedactVersion) -> Redaction:
        """Remove the state of a version, all others with the same text, and the text from the memory itself.

        The entries stay, and the chain says which states were removed, and by whom. It can be repeated.

        Raises:
            NotFound: There is no such version inside the caller's bounds.
            Forbidden: The caller is bound to a channel that is trusted less than what would go.
        """
        kept, bounds, name = self._kept(), call.caller.bounds, request.memory_id
        state = (await self._found(bounds, name, request.version)).state
        text = state.record.text if state is not None else None
        present = await self._present(bounds, name)
        blanked = present is not None and present.record.text == text
        if call.caller.channel is not None:
            _, records = await self._states_with(kept, bounds, request, text)
            records += [each.record for each in (state, present if blanked else None) if each is not None]
            refuse_lower(records, call.caller.channel, "redacting a version")
        if blanked and present is not None:
            await self._rewriting.blank(call, present)
        if state is not None:
            await self._rewriting.forget_copies(bounds, state.record)
        removed = 0
        states, _ = await self._states_with(kept, bounds, request, text)  # with the one that was blanked just now
        for owner, seqs in states.items():
            why = Change(kind="redacted", at=0, memory=name, owner=owner, note=f"version {request.version}")
            removed += await kept.drop_former(bounds.tenant, sorted(seqs), why)
        files: Literal["clean", "pending"] | None = None
        if self._scrubbing.needed:
            files = "clean" if await self._scrubbing.run() else "pending"
        return Redaction(memory_id=name, removed=removed, blanked=blanked, files=files)

    # -- parts -----------------------------------------------------------------------------------------

    async def _present(self, bounds: Scope, name: str) -> StoredMemory | None:
        found = await self._store.get_memories(bounds, [name])
        return found[0] if found else None

    async def _entry(self, kept: KeepsHistory, bounds: Scope, name: str, seq: int) -> Entry | None:
        found = await kept.list_entries(bounds, memory=name, newest=True, after=seq + 1, limit=1)
        return found[0] if found and found[0].seq == seq else None

    async def _states_with(
        self, kept: KeepsHistory, bounds: Scope, request: RedactVersion, text: str | None
    ) -> tuple[dict[Owner, list[int]], list[MemoryRecord]]:
        """Entries that keep the version or another state with its text, by owner, and these states.

        Each owner can be erased alone.
        """
        found: dict[Owner, list[int]] = {}
        records: list[MemoryRecord] = []
        async for entry in entries_of(kept, bounds, request.memory_id):
            former = await kept.former_state(bounds, entry.seq) if entry.has_former else None
            if former is None or entry.change is None:
                continue
            if former.record.text == text or former.version == request.version:
                found.setdefault(entry.change.owner, []).append(entry.seq)
                records.append(former.record)
        return found, records

    async def _shown(self, bounds: Scope, name: str, version: int) -> VersionState:
        found = await self._found(bounds, name, version)
        record = msgspec.structs.replace(found.known().record, version=version)
        change = shown(found.entry) if found.entry is not None else None
        return VersionState(version=version, current=found.current, change=change, memory=record)

    async def _found(self, bounds: Scope, name: str, version: int) -> _Version:
        """A version of a memory.

        Raises:
            NotFound: There is none of that number inside the bounds.
        """
        kept = self._kept()
        present = await self._present(bounds, name)
        current = present is not None and present.version == version
        later: Entry | None = None
        async for entry in entries_of(kept, bounds, name):
            change = entry.change
            if change is None or change.kind not in _CHANGING:
                continue
            if change.kind in _MAKING and change.version == version:
                state = present if current else await self._former(kept, bounds, later)
                return _Version(name, version, state, entry, current)
            later = entry
        if current:
            return _Version(name, version, present, None, True)
        raise _no_version(name, version)

    async def _former(self, kept: KeepsHistory, bounds: Scope, later: Entry | None) -> StoredMemory | None:
        if later is None or not later.has_former:
            return None
        return await kept.former_state(bounds, later.seq)


def _no_version(name: str, version: int) -> NotFound:
    return NotFound(f"Memory {name} has no version {version} that is kept; memhost history list shows those it has.")


def _not_found(name: str) -> NotFound:
    return NotFound(f"Memory {name} not found.")


def _differences(before: MemoryRecord, after: MemoryRecord) -> list[FieldDifference]:
    old, new = _plain(before), _plain(after)
    names = sorted(old.keys() | new.keys())
    return [
        FieldDifference(field=name, before=old.get(name), after=new.get(name))
        for name in names
        if old.get(name) != new.get(name)
    ]


def _plain(record: MemoryRecord) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(record)
    metadata = fields.pop("metadata", {})
    kept = {name: value for name, value in fields.items() if name not in _LEFT_OUT}
    return kept | {f"metadata.{key}": value for key, value in metadata.items()}
