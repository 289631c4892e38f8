"""The entries that a commit appends to the chain, and the states that it depends on.

They are made here, since links need the server's key, from what the store held a moment before; the script that commits
refuses (`moved`) where that is no longer so, and the commit is prepared again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from memhost.integrity import TenantSeals, encode_change
from memhost.models import (
    NOBODY,
    Actor,
    Change,
    ChangeKind,
    Document,
    Head,
    Scope,
    SessionKey,
    StoredMemory,
    StoredSession,
    WriteBatch,
)
from memhost.storekit import (
    document_change,
    holds,
    lasting,
    only_marks_differ,
    owner_of,
    rules,
    session_change,
    state_name,
    to_micros,
    to_micros_or_none,
)
from memhost_store_redis.codec import Body, decode_body, encode_tag
from memhost_store_redis.sealing import placed

ABSENT = b"-"
"""In place of a stamp: there was never a memory of that id."""


@dataclass(frozen=True, slots=True)
class Former:
    """A memory before the batch."""

    stamp: bytes
    seal: bytes
    body: bytes
    content: Body | None

    @property
    def version(self) -> int:
        """Its number."""
        return self.content.version if self.content else 0


@dataclass(slots=True)
class Known:
    """The part of the store that a batch depends on, as it was read.

    Attributes:
        head: The end of the chain.
        former: Memories, by id.
        latest: Latest versions of memories, by id.
        states: Documents that the batch deletes and that are there, by their ids in the store; likewise sessions, and
            what cannot be read, as None.
        absent: Whether something that the batch deletes was not there: somebody else may put it meanwhile.
        guessed: Nothing was read: there was never a memory of the ids in `latest`, and the chain ends where this
            process left it. The script refuses where that is not so.
    """

    head: Head
    former: dict[str, Former] = field(default_factory=dict)
    latest: dict[str, int] = field(default_factory=dict)
    states: dict[str, Document | None] = field(default_factory=dict)
    absent: bool = False
    guessed: bool = False


@dataclass(slots=True)
class Row:
    """An entry to append."""

    identity: str
    version: int
    digest: bytes
    link: bytes
    entry: bytes
    former: bytes


def former_of(body: bytes, stamp: bytes | None, seal: bytes | None) -> Former:
    """A memory of which the store holds that."""
    try:
        content = decode_body(body)
    except msgspec.MsgspecError:  # somebody damaged it: it can be replaced and deleted like any other
        content = None
    return Former(stamp or b"", seal or b"", body, content)


class Journal:
    """Prepares a commit from what is known."""

    def __init__(self, scope: Scope, seals: TenantSeals, known: Known, actor: Actor, *, at: int, keep: bool) -> None:
        self.known = known
        self.rows: list[Row] = []
        self._scope = scope
        self._seals = seals
        self._head = known.head
        self._actor = actor
        self._at = at
        self._keep = keep

    def add(self, change: Change, former: Former | None = None, *, keep: bool = False) -> None:
        """Append an entry."""
        identity = encode_tag(change.memory) if change.memory else ""
        change.at = change.at or self._at
        change.actor = self._actor if change.actor == NOBODY else change.actor
        kept = b""
        if former is not None:
            change.before, change.kept = former.seal, keep and bool(former.seal)
            kept = former.stamp + placed(identity, former.body) if change.kept else b""
        packed = encode_change(change)
        digest = self._seals.digest(packed)
        link = self._seals.link(self._head.link, digest)
        self._head = Head(self._head.seq + 1, link)
        version = 0 if change.kind in ("redacted", "pruned", "erased") else change.version
        self.rows.append(Row(identity, version, digest, link, packed, kept))

    def deletions(self, batch: WriteBatch) -> set[str]:
        """Enter what the batch deletes; the ids."""
        gone: set[str] = set()
        for name in dict.fromkeys(batch.delete_memories):
            former = self.known.former.get(name)
            owner = owner_of(former.content.record) if former and former.content else ("", "", "")
            if former is not None and self._scope.allows(*owner):
                gone.add(name)
                change = Change(kind="deleted", at=0, memory=name, owner=owner, version=former.version)
                self.add(change, former, keep=self._keep)
        return gone

    def prepared(
        self, memory: StoredMemory, gone: set[str], *, restored: bool
    ) -> tuple[StoredMemory, Former | None, bool]:
        """The memory with its version, what it replaces, and whether only marks of the server differ."""
        name = memory.record.id
        former = None if name in gone else self.known.former.get(name)
        same = former is not None and former.content is not None and _same(former.content, memory)
        before = self.known.latest.get(name, 0) if former is None else former.version
        version = max(before + (not same), memory.version if restored else 0)
        return replace(memory, version=version), former, same

    def put(self, memory: StoredMemory, seal: bytes, former: Former | None, *, same: bool) -> None:
        """Enter a state."""
        kind: ChangeKind = "created" if former is None else "touched" if same else "replaced"
        record = memory.record
        change = Change(kind=kind, at=0, memory=record.id, owner=owner_of(record), version=memory.version, after=seal)
        self.add(change, former, keep=self._keep and not same)

    def state_put(self, identity: str, state: StoredSession | Document, seal: bytes) -> None:
        """Enter a session or document that is written under that id in the store, if the chain tells of it."""
        if isinstance(state, StoredSession):
            self.add(session_change(state.key, state_name(identity), state, seal))
        elif is_lasting(state):
            owner, expires_at = (state.namespace, state.user), to_micros_or_none(state.expires_at)
            self.add(document_change(owner, state_name(identity), expires_at, seal))

    def state_gone(self, identity: str, key: SessionKey | None = None) -> None:
        """Enter that a session (its key) or document of that id in the store goes, if it is there and in the scope."""
        if identity not in self.known.states:
            return
        document = self.known.states[identity]
        if key is not None:
            self.add(session_change(key, state_name(identity)))
        elif document is None:
            self.add(document_change(("", ""), state_name(identity)))
        elif holds(self._scope, document) and is_lasting(document):
            self.add(document_change((document.namespace, document.user), state_name(identity)))

    @property
    def head(self) -> Head:
        """The end of the chain behind what was appended."""
        return self._head

    @property
    def idle(self) -> bool:
        """Tell whether there is nothing to append, and nothing that the batch depends on."""
        return not (self.rows or self.known.former or self.known.latest or self.known.absent)

    def arguments(self, tenant: str) -> list[Any]:
        """The part of the script's arguments about the chain."""
        made: list[Any] = [len(self.known.former) + len(self.known.latest)]
        for name in dict.fromkeys([*self.known.former, *self.known.latest]):
            former = self.known.former.get(name)
            made += [encode_tag(name), former.stamp if former else ABSENT if self.known.guessed else b""]
        made[0] = (len(made) - 1) // 2
        made += [self.known.head.seq, self.known.head.link, tenant, len(self.rows)]
        for row in self.rows:
            made += [row.identity, row.version, row.digest, row.link, row.entry, row.former]
        return made


def is_lasting(document: Document) -> bool:
    """Tell whether the chain tells of a document."""
    return lasting(to_micros(document.updated_at), to_micros_or_none(document.expires_at))


def check_versions(batch: WriteBatch, former: Mapping[str, Former]) -> None:
    """Check the versions that the batch expects.

    Raises:
        MemoryChanged: Some are others.
    """
    rules.check_versions(batch, {name: each.version for name, each in former.items()})


def _same(former: Body, memory: StoredMemory) -> bool:
    beside = (memory.speaker, memory.role, memory.lead, memory.position)
    same = (former.speaker, former.role, former.lead, former.position) == beside
    return same and only_marks_differ(former.record, memory.record)
