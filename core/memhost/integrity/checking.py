"""Finding out what is wrong with a tenant's chain and memories: the part of verifying that all stores share."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from typing import Any

import msgspec

from memhost.integrity.seals import TenantSeals
from memhost.models.history import (
    FORGETTING,
    STATES,
    Change,
    ChangeKind,
    Finding,
    FindingKind,
    Head,
    Place,
    Verification,
)

encode_change = msgspec.msgpack.Encoder().encode
decode_change = msgspec.msgpack.Decoder(Change).decode

_GONE = {"erased", "redacted", "pruned"}


class ChainCheck:
    """Takes the entries of one tenant in order, then all it stores in any order, and reports what does not fit.

    Args:
        tenant: Whose.
        seals: Its seals.
        report: Where findings go.
        keyed_links: Whether links are made by the server. Otherwise by the store itself, and `linked` checks them.
    """

    def __init__(self, tenant: str, seals: TenantSeals, report: Verification) -> None:
        self._tenant = tenant
        self._seals = seals
        self._report = report
        self._link = b""
        self.seq = 0
        self._last: dict[str, bytes] = {}
        self._states: dict[tuple[str, str], tuple[int, Change]] = {}
        self._hollow: list[int] = []
        self._bare: list[int] = []
        self._gone: list[Place] = []
        self._dropped: list[Place] = []

    def found(self, kind: FindingKind, what: str, name: str, detail: str) -> None:
        """Report something."""
        self._report.report(Finding(kind=kind, what=what, tenant=self._tenant, id=name, detail=detail))

    def linked(self, before: bytes, digest: bytes, link: bytes) -> bool:
        """Tell whether the link follows from what is before it."""
        return self._seals.linked(before, digest, link)

    def entry(self, seq: int, digest: bytes, link: bytes, body: bytes | None, former: bytes | None) -> None:
        """Take the next entry.

        Args:
            seq: Its number.
            digest: Its digest.
            link: Its link.
            body: The packed `Change`, None if it was erased.
            former: Stamp and body of the state before, None if that is not there.
        """
        self._report.entries += 1
        if seq != self.seq + 1:
            missing = f"Entries {self.seq + 1} to {seq - 1} are missing." if seq > self.seq else "It stands twice."
            self.found("removed" if seq > self.seq else "reordered", "entry", str(seq), missing)
        elif not self.linked(self._link, digest, link):
            self.found("reordered", "entry", str(seq), "It does not follow from the entries before it.")
        self.seq, self._link = seq, link
        if body is None:
            self._hollow.append(seq)
            return
        if not self._seals.wrote(body, digest):
            self.found("changed", "entry", str(seq), "Its content is not what the server wrote.")
            return
        self._take(seq, decode_change(body), former)

    def _take(self, seq: int, change: Change, former: bytes | None) -> None:
        if change.kind in FORGETTING:
            (self._gone if change.kind == "erased" else self._dropped).extend(map(_place, change.places))
        elif change.kind in STATES:
            self._states[change.kind, change.name] = seq, change
        elif change.memory:
            self._last[change.memory] = change.after
        if former is not None and not self._seals.holds(former[:8], former[8:], change.before):
            self.found(
                "changed", "version", str(seq), f"A former state of {change.memory} is not what the server kept."
            )
        elif former is None and change.kept:
            self._bare.append(seq)

    def end(self) -> Head:
        """All entries were given; the head that they lead to."""
        gone, dropped = _Runs(self._gone), _Runs([*self._gone, *self._dropped])
        for seq in self._hollow:
            if seq not in gone:
                self.found("removed", "entry", str(seq), "Its content is gone, and no erasure tells of it.")
        for seq in self._bare:
            if seq not in dropped:
                self.found("removed", "version", str(seq), "The former state that it kept is gone.")
        return Head(self.seq, self._link)

    def memory(self, name: str, seal: bytes, *, intact: bool, detail: str = "") -> None:
        """Take a memory of the store, after all entries.

        Args:
            name: Its id, as its place in the store says.
            seal: Its seal.
            intact: Whether the seal holds, and the rest of the row agrees with what it seals.
            detail: What does not, otherwise.
        """
        self._report.memories += 1
        if not intact:
            self.found("changed", "memory", name, detail or "It is not what the server wrote.")
            self._last.pop(name, None)
        elif not (last := self._last.pop(name, b"")):
            self.found("inserted", "memory", name, "No entry of the chain tells that it was stored.")
        elif last != seal:
            self.found("replayed", "memory", name, "It is an earlier state than the last one that the chain tells of.")

    def rest(self) -> None:
        """All memories were given: what the chain tells of beside them is missing."""
        for name, after in self._last.items():
            if after:
                self.found("removed", "memory", name, "The chain tells of it, and the store does not have it.")

    def state(self, what: str, name: str, shown: str, seal: bytes, *, intact: bool, lasting: bool = True) -> None:
        """Take a session or document of the store, after all entries.

        Args:
            what: `session` or `document`.
            name: As in `Change.name`.
            shown: Its id, for the report.
            seal: Its seal.
            intact: Whether the seal holds.
            lasting: Whether the chain tells of it at all.
        """
        _, last = self._states.pop((what, name), (0, None))
        if not intact:
            self.found("changed", what, shown, "It is not what the server wrote.")
        elif not lasting:
            return
        elif last is None or not last.after:
            told = "No entry of the chain tells of it." if last is None else "The chain tells that it was removed."
            self.found("inserted", what, shown, told)
        elif last.after != seal:
            self.found("replayed", what, shown, "It is an earlier state than the last one that the chain tells of.")

    def missing_states(self, what: str, now: int) -> None:
        """All sessions or documents were given: what else the chain tells of, and has not expired, is missing."""
        for (kind, name), (seq, last) in self._states.items():
            if kind == what and last.after and not 0 < last.expires <= now:
                shown = last.owner[2] if what == "session" else name
                detail = f"The chain tells of it (entry {seq}), and the store does not have it."
                self.found("removed", what, shown, detail)

    def head(self, known: Head, link: bytes | None) -> None:
        """Compare with a head that was published.

        Args:
            known: The published head.
            link: The link that the store has at its number, None if its chain is shorter.
        """
        if link is None:
            detail = f"The chain ends at {self.seq}, but {known.seq} entries were published."
            self.found("rolled_back", "entry", str(known.seq), detail)
        elif link != known.link:
            self.found("rolled_back", "entry", str(known.seq), "Another entry was published under this number.")


def subject(change: Change) -> str:
    """The memory, session or document that an entry is about, apart from things of other sorts."""
    return f"{change.kind} {change.name}" if change.kind in STATES else f"memory {change.memory}"


def unexplained(there: Mapping[str, Change], told: Mapping[str, Change]) -> list[Change]:
    """The entries that bring a chain into agreement with what the store holds.

    Args:
        there: An entry for each thing that is there, by `subject`.
        told: The last entry of each that the chain tells of.
    """
    missing = [each for name, each in there.items() if name not in told or told[name].after != each.after]
    for name, last in told.items():
        if last.after and name not in there:
            kind: ChangeKind = last.kind if last.kind in STATES else "deleted"
            gone = Change(kind=kind, at=0, memory=last.memory, owner=last.owner, name=last.name, note="adopted")
            gone.before = b"" if last.kind in STATES else last.after
            missing.append(gone)
    return missing


def _place(value: Any) -> Place:
    return int(value[0]), int(value[1])


class _Runs:
    """Numbers in runs."""

    def __init__(self, places: list[Place]) -> None:
        self._places: list[Place] = []
        for first, last in sorted(places):
            if self._places and first <= self._places[-1][1] + 1:
                self._places[-1] = (self._places[-1][0], max(last, self._places[-1][1]))
            else:
                self._places.append((first, last))

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._places, (number, 1 << 62)) - 1
        return at >= 0 and self._places[at][0] <= number <= self._places[at][1]


def places_of(numbers: list[int]) -> list[Place]:
    """Ascending numbers as runs."""
    places: list[Place] = []
    for number in numbers:
        if places and number == places[-1][1] + 1:
            places[-1] = (places[-1][0], number)
        else:
            places.append((number, number))
    return places
