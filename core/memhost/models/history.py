"""Changes of memories and acts of administration, as stores record them in a chain."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import msgspec

from memhost.models.actor import NOBODY, Actor

ChangeKind = Literal[
    "created",
    "replaced",
    "touched",
    "deleted",
    "adopted",
    "redacted",
    "pruned",
    "erased",
    "administered",
    "session",
    "document",
]
"""The sort of a change: a memory was made, changed, marked without a change of content, removed; it was there before
the chain began; former states were redacted or outlived their time; a user was erased; something was administered; a
session or a document was written or removed."""

STATES: tuple[ChangeKind, ...] = ("session", "document")
"""Kinds about what has no versions: the entry names the state since, and keeps none."""

FORGETTING: tuple[ChangeKind, ...] = ("redacted", "pruned", "erased")
"""Kinds that say which parts of earlier entries are gone (`Change.places`)."""

Place = tuple[int, int]
"""The first and last number of a run of entries."""


class Change(msgspec.Struct, array_like=True, kw_only=True):
    """One entry of a tenant's chain. It holds no text of a memory.

    Attributes:
        kind: What happened.
        at: Microseconds since 1970, UTC.
        actor: Who did it.
        memory: Id of the memory; empty for what concerns none.
        owner: Namespace, user and session of what it concerns; absent ones are empty.
        version: The memory's number since; it rises by one with each change of its content.
        after: Seal of the state since; empty if it is gone.
        before: Seal of the state before; empty if there was none.
        kept: Whether the state before was kept.
        note: What was administered, or why.
        places: Entries of which something was removed, for kinds of `FORGETTING`.
        count: How many memories it concerned, for `erased`.
        name: Which session or document, as a digest of its name, for kinds of `STATES`.
        expires: When that expires, in microseconds since 1970; 0 if never. It may be gone then without an entry.
    """

    kind: ChangeKind
    at: int
    actor: Actor = NOBODY
    memory: str = ""
    owner: tuple[str, str, str] = ("", "", "")
    version: int = 0
    after: bytes = b""
    before: bytes = b""
    kept: bool = False
    note: str = ""
    places: list[Place] = []
    count: int = 0
    name: str = ""
    expires: int = 0

    @property
    def owned(self) -> bool:
        """Tell whether it concerns something of its `owner`, and not the tenant as a whole."""
        return bool(self.memory) or self.kind in STATES


class Head(msgspec.Struct, frozen=True, array_like=True):
    """The end of a tenant's chain: the number of its last entry (0: none), and the link that covers all of them."""

    seq: int = 0
    link: bytes = b""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the chain as a store gives it.

    Attributes:
        seq: Its number in the tenant's chain, from 1.
        change: What it says; None where it was erased.
        has_former: Whether the state before is there.
        link: Its link.
    """

    seq: int
    change: Change | None
    has_former: bool = False
    link: bytes = b""


FindingKind = Literal["changed", "removed", "inserted", "reordered", "replayed", "rolled_back", "unsealed"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something in a store that the server did not do.

    Attributes:
        kind: What was done to it.
        what: `memory`, `session`, `document`, `index`, `version` or `entry`.
        tenant: Whose.
        id: Id of the memory, session or document, or the number of the entry.
        detail: One sentence.
    """

    kind: FindingKind
    what: str
    tenant: str
    id: str
    detail: str


MOST_FINDINGS = 1000


@dataclass(slots=True, kw_only=True)
class Verification:
    """The result of verifying a store.

    Attributes:
        memories: Number of memories looked at; likewise `entries`, `sessions` and `documents`.
        findings: The first `MOST_FINDINGS` that the server did not do.
        found: How many there are.
        heads: The ends of the chains, by tenant.
        keyed: Whether it was sealed with a key.
    """

    memories: int = 0
    entries: int = 0
    sessions: int = 0
    documents: int = 0
    findings: list[Finding] = field(default_factory=list)
    found: int = 0
    heads: dict[str, Head] = field(default_factory=dict)
    keyed: bool = False

    def report(self, finding: Finding) -> None:
        """Add a finding."""
        self.found += 1
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(finding)
