"""Several memories become one, or a newer one takes an older one's place: pure functions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import msgspec

from memhost.consolidation.closing import Change
from memhost.consolidation.judge import Pair, Verdict
from memhost.consolidation.similarity import content_words, distance, joinable, may_end, same_trust
from memhost.consolidation.wording import holds_facts_of
from memhost.memories.records import content_hash, derived_id
from memhost.memories.repetition import indexed_anew, united
from memhost.memories.trust import level_of
from memhost.models import StoredMemory, Vector
from memhost.models.trust import rank
from memhost.operations.responses import Join

_SHOWN = 500
"""Characters of a text that a report shows."""


@dataclass(slots=True)
class Wording:
    """A text with its vector."""

    text: str
    vector: Vector | None


@dataclass(slots=True)
class Joined:
    """The result for a group of memories: the one that stays, with its additions, and those that are removed."""

    kept: StoredMemory
    gone: list[StoredMemory]
    previous: StoredMemory | None = None


@dataclass(slots=True)
class Outcome:
    """The result of verdicts: groups to merge, and facts of which one replaces the other, after the merging.

    `contradicting` are those of which the newer one would replace one that is trusted more: it does not.
    """

    joined: list[Joined] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    contradicting: list[Change] = field(default_factory=list)


class _Groups:
    """The groups of memories to merge. A group is cohesive: each two of its members are comparable, and near or judged.

    Sameness that is judged in pairs is not transitive. "Ana moved to Rome" is near "Ana lives in Rome", and that is
    near "Ana loves Rome"; with the two pairs judged `same` and no further rule, the three would become one memory, and
    the move or the love would be lost.
    """

    def __init__(self, memories: Iterable[StoredMemory], furthest: float) -> None:
        self._furthest = furthest
        self._of = {memory.record.id: [memory] for memory in memories}
        self._judged: set[frozenset[str]] = set()
        self.wordings: dict[str, Wording] = {}

    def of(self, memory_id: str) -> list[StoredMemory]:
        """The group of a memory."""
        return self._of[memory_id]

    def join(self, pair: Pair, wording: Wording | None) -> None:
        """Put the groups of the pair together if that holds together, and at most one has a wording of its own.

        No wording has words of what is trusted less beside words of what is trusted more, and what is trusted less goes
        only where its numbers, dates and names are in what stays.
        """
        older, newer = self._of[pair.older.record.id], self._of[pair.newer.record.id]
        names = {memory.record.id for memory in (*older, *newer)}
        worded = [name for name in names if name in self.wordings]
        # A wording covers the two memories of its own pair only. With "Ana and Ben live in Rome" for one pair and "Ana
        # lives in Rome since 2020" for another, either text would lose what the other pair says.
        wordings = len(worded) + (wording is not None)
        if older is newer or wordings > 1 or not _can_stand_for((*older, *newer), worded=bool(wordings)):
            return
        self._judged.add(frozenset((pair.older.record.id, pair.newer.record.id)))
        if not all(self._near(one, other) for one in older for other in newer):
            return
        older += newer
        for memory in newer:
            self._of[memory.record.id] = older
        if wording is not None:
            self.wordings[pair.older.record.id] = wording

    def _near(self, one: StoredMemory, other: StoredMemory) -> bool:
        judged = frozenset((one.record.id, other.record.id)) in self._judged
        return joinable(one, other) and (judged or distance(one, other) <= self._furthest)


def _can_stand_for(group: Sequence[StoredMemory], *, worded: bool) -> bool:
    """Tell whether the member that is trusted most can stand for all, or they are trusted equally far."""
    if same_trust(group):
        return True
    most = max(group, key=lambda each: rank(level_of(each.record)))
    text = most.record.text
    others = [each.record.text for each in group if not same_trust((most, each))]
    return not worded and all(holds_facts_of(text, (text, other)) for other in others)


def apply(
    decided: Sequence[tuple[Pair, Verdict]],
    wordings: Mapping[str, Wording],
    stored: Collection[str],
    furthest: float,
    now: datetime,
) -> Outcome:
    """Turn verdicts about pairs into groups to merge and facts to replace.

    Args:
        decided: Pairs with their verdicts; the nearest count first.
        wordings: Merged texts with their vectors; a `merge` whose text is not among them counts for nothing.
        stored: Ids of the memories that are stored already; one of them stays rather than a new one.
        furthest: Cosine distance that members of a group must not exceed.
        now: The current time.
    """
    memories = {memory.record.id: memory for pair, _ in decided for memory in (pair.older, pair.newer)}
    groups = _Groups(memories.values(), furthest)
    ordered = sorted(decided, key=lambda each: each[0].distance)
    for pair, verdict in ordered:
        if verdict.kind == "same":
            groups.join(pair, None)
        elif verdict.kind == "merge" and verdict.text in wordings:
            groups.join(pair, wordings[verdict.text])
    outcome = Outcome()
    kept: dict[int, str] = {}
    for group in {id(group): group for group in map(groups.of, memories)}.values():
        # What is trusted more stays, and a stored memory rather than a new one: clients may already know its id.
        ranked = sorted(
            group,
            key=lambda each: (
                -rank(level_of(each.record)),
                each.record.id not in stored,
                each.record.created_at,
                each.record.id,
            ),
        )
        kept[id(group)] = ranked[0].record.id
        if len(group) > 1:
            wording = next(
                (groups.wordings[each.record.id] for each in group if each.record.id in groups.wordings), None
            )
            outcome.joined.append(_joined(ranked, wording, now))
    for pair, verdict in ordered:
        old, new = (kept[id(groups.of(each.record.id))] for each in (pair.older, pair.newer))
        if verdict.kind in ("update", "correction") and old != new:
            change = Change(old, new, never=verdict.kind == "correction")
            able = may_end(memories[new], memories[old])
            (outcome.changes if able else outcome.contradicting).append(change)
    return outcome


def _joined(ranked: Sequence[StoredMemory], wording: Wording | None, now: datetime) -> Joined:
    first = ranked[0]
    equal = [memory for memory in ranked if same_trust((first, memory))]  # what is trusted less adds nothing
    if wording is None:
        fullest = max(equal, key=lambda memory: len(set(content_words(memory))))
        wording = Wording(fullest.record.text, fullest.vector)
    record = united(first.record, [memory.record for memory in equal], now)
    previous = None
    if wording.text != first.record.text:
        record.text = wording.text
        record.memory_hash = content_hash(record)
        name = derived_id("previous", first.record.id, first.record.text)
        previous = replace(first, record=msgspec.structs.replace(first.record, id=name))
    return Joined(indexed_anew(replace(first, vector=wording.vector), record), list(ranked[1:]), previous)


def shown(stays: StoredMemory, goes: Sequence[StoredMemory]) -> Join:
    """Return the report of memories that are merged; long texts are cut."""
    texts = [stays.record.text, *(memory.record.text for memory in goes)]
    return Join(
        stays=stays.record.id,
        goes=[memory.record.id for memory in goes],
        texts=[text if len(text) <= _SHOWN else text[:_SHOWN] + "…" for text in texts],
    )
