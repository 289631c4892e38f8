"""The chain of changes and the former states of memories, in lists: see `memhost.ports.KeepsHistory`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

import msgspec

from memhost.integrity import ChainCheck, Seals, decode_change, encode_change, places_of
from memhost.models import (
    STATES,
    Actor,
    Change,
    ChangeKind,
    Entry,
    Head,
    Scope,
    StoredMemory,
    Verification,
    acting,
)
from memhost.storekit import (
    DOCUMENT,
    EPOCH,
    SESSION,
    Row,
    decode_memory,
    document_change,
    document_of,
    encode_memory,
    lasting,
    only_marks_differ,
    owner_of,
    session_change,
    session_of,
    state_name,
)

_STATE = b"state   "


@dataclass(slots=True)
class Link:
    """An entry: its digest and link stay for ever, `entry` and `former` can go."""

    digest: bytes
    link: bytes
    entry: bytes | None
    former: bytes | None
    memory: str


@dataclass(slots=True)
class MemoryHistory:
    """Everything of all tenants.

    Attributes:
        seals: Of the server.
        keep: Whether former states are kept.
        chains: Entries by tenant, in their order.
        sealed: Stamp and seal of each memory, by tenant and id.
    """

    seals: Seals
    keep: bool = True
    chains: dict[str, list[Link]] = field(default_factory=dict)
    sealed: dict[tuple[str, str], tuple[bytes, bytes]] = field(default_factory=dict)
    _versions: dict[tuple[str, str], int] = field(default_factory=dict)
    _stamps: Iterator[int] = field(default_factory=lambda: count(1))

    def deleted(self, tenant: str, at: int, memory: StoredMemory) -> None:
        """Enter that a memory goes."""
        change = Change(kind="deleted", at=at, memory=memory.record.id, owner=owner_of(memory.record))
        change.version = memory.version
        self._append(tenant, change, memory, keep=self.keep)
        self.sealed.pop((tenant, memory.record.id), None)

    def put(
        self, tenant: str, at: int, memory: StoredMemory, before: StoredMemory | None, *, restored: bool
    ) -> StoredMemory:
        """Enter a new state of a memory; return it with its version."""
        name, same = memory.record.id, before is not None and _same(before, memory)
        latest = before.version if before else self._versions.get((tenant, name), 0)
        memory = replace(memory, version=max(latest + (not same), memory.version if restored else 0))
        kind: ChangeKind = "created" if before is None else "touched" if same else "replaced"
        stamp = next(self._stamps).to_bytes(8, "big")
        seal = self.seals.of(tenant).seal(stamp, _body(memory))
        change = Change(kind=kind, at=at, memory=name, owner=owner_of(memory.record), version=memory.version)
        change.after = seal
        self._append(tenant, change, before, keep=self.keep and not same)
        self.sealed[tenant, name] = stamp, seal
        self._versions[tenant, name] = memory.version
        return memory

    def note(self, tenant: str, at: int, change: Change) -> Head:
        """Enter something else than a change of a memory; the new head."""
        change.at = change.at or at
        self._append(tenant, change, None, keep=False)
        return self.head(tenant)

    def states(self, tenant: str, at: int, before: Sequence[Row], after: Sequence[Row]) -> None:
        """Enter what happens to sessions and documents."""
        was = {row.row_id: row for row in sorted(before, key=_sessions_first) if _told(row)}
        now = {row.row_id: row for row in sorted(after, key=_sessions_first) if _told(row)}
        for row in was.values():
            if row.row_id not in now:
                self.note(tenant, at, _state_change(row))
        for row in now.values():
            if was.get(row.row_id) != row:
                self.note(tenant, at, _state_change(row, self.seals.of(tenant).seal(_STATE, row.body)))

    def _append(self, tenant: str, change: Change, before: StoredMemory | None, *, keep: bool) -> None:
        former = None
        if before is not None:
            stamp, change.before = self.sealed[tenant, before.record.id]
            change.kept = keep
            former = stamp + _body(before) if keep else None
        change.actor = acting() if change.actor == Actor() else change.actor
        own, packed, chain = self.seals.of(tenant), encode_change(change), self.chains.setdefault(tenant, [])
        digest = own.digest(packed)
        link = own.link(chain[-1].link if chain else b"", digest)
        chain.append(Link(digest, link, packed, former, change.memory))

    def head(self, tenant: str) -> Head:
        """The end of a tenant's chain."""
        chain = self.chains.get(tenant)
        return Head(len(chain), chain[-1].link) if chain else Head()

    def entries(self, scope: Scope, memory: str | None, after: int, limit: int, *, newest: bool) -> list[Entry]:
        """Entries inside the scope, by number."""
        numbered = list(enumerate(self.chains.get(scope.tenant, []), 1))
        if newest:
            numbered.reverse()
        found: list[Entry] = []
        for seq, link in numbered:
            passed = after and (seq >= after if newest else seq <= after)
            if passed or (memory is not None and link.memory != memory) or len(found) >= limit:
                continue
            change = None if link.entry is None else decode_change(link.entry)
            inside = scope.allows(*change.owner) if change is not None and change.owned else scope.whole
            if inside:
                found.append(Entry(seq=seq, change=change, has_former=link.former is not None, link=link.link))
        return found

    def former(self, scope: Scope, seq: int) -> StoredMemory | None:
        """The state before an entry, if it was kept."""
        chain = self.chains.get(scope.tenant, [])
        link = chain[seq - 1] if 0 < seq <= len(chain) else None
        if link is None or link.entry is None or link.former is None:
            return None
        memory = _state(link.former)
        return (
            memory
            if scope.allows(*decode_change(link.entry).owner) and scope.allows(*owner_of(memory.record))
            else None
        )

    def drop(self, tenant: str, at: int, seqs: Sequence[int], why: Change) -> int:
        """Remove former states, and say so in an entry."""
        chain = self.chains.get(tenant, [])
        there = sorted({seq for seq in seqs if 0 < seq <= len(chain) and chain[seq - 1].former is not None})
        for seq in there:
            chain[seq - 1].former = None
        if there:
            why.places = places_of(there)
            self.note(tenant, at, why)
        return len(there)

    def old(self, tenant: str, before: int | None, keep: int | None) -> list[int]:
        """Numbers of entries with former states that are too old or too many."""
        seen: dict[str, int] = {}
        found = []
        for seq, link in reversed(list(enumerate(self.chains.get(tenant, []), 1))):
            if link.former is None or link.entry is None:
                continue
            seen[link.memory] = seen.get(link.memory, 0) + 1
            late = before is not None and decode_change(link.entry).at < before
            if late or (keep is not None and seen[link.memory] > keep):
                found.append(seq)
        return found[::-1]

    def erase(self, scope: Scope, at: int, why: Change) -> tuple[int, Head]:
        """Remove what entries say about the scope, and say so in an entry."""
        gone, bare = [], []
        for seq, link in enumerate(self.chains.get(scope.tenant, []), 1):
            change = None if link.entry is None else decode_change(link.entry)
            if change is not None and change.owned and scope.allows(*change.owner):
                gone.append(seq)
                self._versions.pop((scope.tenant, link.memory), None)
                link.entry, link.former, link.memory = None, None, ""
            elif link.former is not None and scope.allows(*owner_of(_state(link.former).record)):
                bare.append(seq)
                link.former = None
        if gone or bare or why.count:
            why.places = places_of(sorted([*gone, *bare]))
            self.note(scope.tenant, at, why)
        return len(gone) + len(bare), self.head(scope.tenant)

    def verify(self, memories: dict[tuple[str, str], StoredMemory], rows: Iterable[Row], at: int) -> Verification:
        """Compare everything with its seals and with the chains."""
        states = [row for row in rows if row.kind in STATES]
        report = Verification(keyed=bool(self.seals.key_id))
        for tenant, chain in self.chains.items():
            own = self.seals.of(tenant)
            check = ChainCheck(tenant, own, report)
            for seq, link in enumerate(chain, 1):
                check.entry(seq, link.digest, link.link, link.entry, link.former)
            report.heads[tenant] = check.end()
            for (owner, name), memory in memories.items():
                if owner == tenant:
                    stamp, seal = self.sealed.get((tenant, name), (b"", b""))
                    check.memory(name, seal, intact=own.holds(stamp, _body(memory), seal))
            check.rest()
            for row in states:
                if row.tenant.decode() == tenant:
                    seal = own.seal(_STATE, row.body)
                    name = _state_change(row).name
                    check.state(row.kind, name, _shown(row), seal, intact=True, lasting=_told(row))
            for what in STATES:
                check.missing_states(what, at)
        report.sessions = sum(row.kind == SESSION for row in states)
        report.documents = sum(row.kind == DOCUMENT for row in states)
        return report


def _sessions_first(row: Row) -> bool:
    return row.kind != SESSION


def _told(row: Row) -> bool:
    """Tell whether the chain tells of the row."""
    return row.kind == SESSION or (row.kind == DOCUMENT and lasting(row.sorted_at, row.ends_at))


def _state_change(row: Row, seal: bytes = b"") -> Change:
    name = state_name(row.row_id.hex())
    if row.kind == SESSION:
        session = session_of(row)
        return session_change(session.key, name, session if seal else None, seal)
    document = document_of(row)
    return document_change((document.namespace, document.user), name, row.ends_at if seal else None, seal)


def _shown(row: Row) -> str:
    return session_of(row).key.session if row.kind == SESSION else document_of(row).id


def _body(memory: StoredMemory) -> bytes:
    """The memory without what changes in place, and without what is made of its text."""
    record = msgspec.structs.replace(memory.record, access_count=0, last_accessed=EPOCH)
    return encode_memory(replace(memory, record=record, terms=()))


def _state(former: bytes) -> StoredMemory:
    memory = decode_memory(former[8:], 0, 0, None)
    memory.record.last_accessed = memory.record.updated_at
    return memory


def _same(before: StoredMemory, memory: StoredMemory) -> bool:
    beside = (memory.speaker, memory.role, memory.lead, memory.position)
    same = (before.speaker, before.role, before.lead, before.position) == beside
    return same and only_marks_differ(before.record, memory.record)
