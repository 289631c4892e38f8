"""Puts matches together that say one thing: repeated turns, and statements with their turns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from memhost.models import MemoryRecord, StoredMemory
from memhost.ranking import Ranked
from memhost.ranking.traits import ENDING, fingerprint
from memhost.search.facts.sources import Digests, Source, sources_of, states
from memhost.text.analysis import DATE_MARK, SPEAKER_MARK, index_terms
from memhost.text.near_equal import near_form
from memhost.text.words import STOP_WORDS

Match = tuple[StoredMemory, Ranked]

_ABOUT_AS_GOOD = 0.9
"""Share of a reply's score that the newer fact must have: what fits much better says something else as well."""


class Group(msgspec.Struct, kw_only=True):
    """Matches that are one hit with another.

    Attributes:
        best: The place in the ranking that counts: the best of the record, its turns and what it replaces.
        best_id: Whose place that is.
        turns: Turns that say it, the best first; for a turn without a statement none.
        repeats: Other times that one of the turns, or the record, was said.
        replaces: Facts that it replaced, and that fit the query, the best first.
        replaced: The fact that a turn states, and that holds no longer.
    """

    best: Ranked
    best_id: str
    turns: list[MemoryRecord] = []
    repeats: list[MemoryRecord] = []
    replaces: list[MemoryRecord] = []
    replaced: MemoryRecord | None = None


class Hit(msgspec.Struct, frozen=True, gc=False):
    """A memory that is shown: the statement, else the best of the turns; its place; and what is one with it, if any."""

    memory: StoredMemory
    best: Ranked
    group: Group | None


def grouped(
    ordered: Sequence[Match],
    heads: Mapping[str, MemoryRecord],
    digests: Digests = (),
) -> list[Hit]:
    """The matches as hits, best first.

    - Turns of one speaker that differ in nothing that counts (`near_form`) are one, with the others as its repeats.
    - A turn belongs to the best placed of the statements made from it, and shares its place with that. Which of
      several that is depends on the query; the other statements stay hits of their own.
    - If a newer fact replaced that statement, and the turn does not say the newer one too, the turn stands by itself,
      right behind the newer fact or further back. So does a reply to it that repeats what holds no longer, unless it
      fits the query much better.
    - A fact that replaced another takes the places of that and its turns where they are better.

    Args:
        ordered: Matches and facts that were replaced, best first.
        heads: The newest fact instead of each that was replaced, by the id of the latter.
        digests: Strategies whose memories stand for no turns.
    """
    turns = [place for place, (memory, _) in enumerate(ordered) if memory.is_turn]
    said = _said(turns, ordered)
    firsts = _firsts(turns, said) if len(turns) < len(ordered) else {}  # without statements nobody asks
    homes = _homes(ordered, firsts, heads, digests)
    newer = _newer(ordered, heads) if heads else {}
    groups = _Groups(ordered)
    groups.hide(newer)
    for first in sorted({*homes, *said}):
        home = homes.get(first)
        group = groups.of(first) if home is None or home in newer else groups.join(home, first)
        again = said.get(first, ())[1:]
        group.repeats += [ordered[place][0].record for place in again]
        groups.hide(again)
        if home is not None and home in newer:
            group.replaced = ordered[home][0].record
            groups.lift(newer[home], first)
    for place, head in newer.items():  # the best first
        if groups.lift(head, place):
            groups.of(head).replaces.append(ordered[place][0].record)
    for first, home in _echoes(ordered, heads, firsts, homes).items() if newer else ():
        groups.put_behind(first, newer[home], ordered[home][0].record)
    return groups.in_order()


class _Groups:
    """Groups by the place in the ranking of the memory that each shows; most memories stay alone and have none."""

    def __init__(self, ordered: Sequence[Match]) -> None:
        self._ordered = ordered
        self._groups: dict[int, Group] = {}
        self._best: dict[int, int] = {}
        self._hidden: set[int] = set()

    def hide(self, places: Iterable[int]) -> None:
        """Show these in no place of their own."""
        self._hidden.update(places)

    def of(self, place: int) -> Group:
        """The group of the memory at that place."""
        if place not in self._groups:
            memory, item = self._ordered[place]
            self._groups[place] = Group(best=item, best_id=memory.id)
        return self._groups[place]

    def join(self, home: int, turn: int) -> Group:
        """The group of a statement, which has a turn more from now on."""
        group = self.of(home)
        group.turns.append(self._ordered[turn][0].record)
        self.hide((turn,))
        self.lift(home, turn)
        return group

    def lift(self, home: int, place: int) -> bool:
        """Make the memory at `home`, if it is shown, as good as that at `place`; tell whether it is."""
        if not self._is_shown(home):
            return False
        self._set(home, min(self._best.get(home, home), place))
        return True

    def put_behind(self, echo: int, home: int, fact: MemoryRecord) -> None:
        """Mark a turn that repeats a replaced fact, and put it behind the newer one, if that is about as good."""
        if self._is_shown(home) and self._is_shown(echo):
            group, score = self.of(echo), self.of(home).best.score
            if score >= _ABOUT_AS_GOOD * group.best.score:
                group.replaced = fact
                self._set(echo, max(self._best.get(echo, echo), self._best.get(home, home)))

    def in_order(self) -> list[Hit]:
        """Return the hits to show, best first; of equal ones the newer fact before what it replaced."""
        places: Iterable[int] = range(len(self._ordered))
        if self._hidden:
            places = [place for place in places if place not in self._hidden]
        if self._best:
            places = sorted(places, key=lambda place: (self._best.get(place, place), self._is_replaced(place), place))
        groups = self._groups
        return [
            Hit(
                self._ordered[place][0],
                groups[place].best if place in groups else self._ordered[place][1],
                groups.get(place),
            )
            for place in places
        ]

    def _is_shown(self, place: int) -> bool:
        return place >= 0 and place not in self._hidden

    def _is_replaced(self, place: int) -> bool:
        return place in self._groups and self._groups[place].replaced is not None

    def _set(self, home: int, place: int) -> None:
        self._best[home] = place
        group = self.of(home)
        memory, group.best = self._ordered[place]
        group.best_id = memory.id


def _newer(ordered: Sequence[Match], heads: Mapping[str, MemoryRecord]) -> dict[int, int]:
    """Places of the newest facts by those of the facts that were replaced; -1 where the newest is no match."""
    place_of = {memory.id: place for place, (memory, _) in enumerate(ordered)}
    return {
        place: place_of.get(heads[memory.id].id, -1) for place, (memory, _) in enumerate(ordered) if memory.id in heads
    }


def _said(turns: Sequence[int], ordered: Sequence[Match]) -> dict[int, Sequence[int]]:
    """The places of turns that one speaker said several times, by the first of them.

    They are of the same owner, role and labels. What clients store themselves is found as often as they store it (with
    `deduplicate: false`, that is twice).
    """
    seen: dict[int, int] = {}
    rough: dict[int, list[int]] = {}
    for place in turns:
        memory = ordered[place][0]
        end = memory.traits // ENDING or fingerprint(memory.record.text[memory.lead :])
        if (first := seen.setdefault(end, place)) != place:
            rough.setdefault(end, [first]).append(place)
    closer: dict[tuple[object, ...], list[int]] = {}
    for places in rough.values():
        for place in places:
            closer.setdefault(_said_as(ordered[place][0]), []).append(place)
    return {places[0]: places for places in closer.values() if len(places) > 1}


def _firsts(turns: Sequence[int], said: Mapping[int, Sequence[int]]) -> dict[int, Sequence[int]]:
    """The places of all turns by the first of those that say the same, in order."""
    again = {place for places in said.values() for place in places[1:]}
    return {place: said.get(place, (place,)) for place in turns if place not in again}


def _said_as(memory: StoredMemory) -> tuple[object, ...]:
    """A key that turns have in common if they say the same."""
    record, lead = memory.record, memory.lead
    owner = (record.namespace, record.user_id)
    return owner, record.text[:lead], near_form(record.text[lead:]), record.event_date, _labels(record)


def _homes(
    ordered: Sequence[Match],
    said: Mapping[int, Sequence[int]],
    heads: Mapping[str, MemoryRecord],
    digests: Digests,
) -> dict[int, int]:
    """The place of the statement that each turn belongs to, by the turn's."""
    made_from: dict[Source, list[int]] = {}
    for place, (memory, _) in enumerate(ordered):
        if states(memory, digests):
            for source in sources_of(memory.record):
                made_from.setdefault(source, []).append(place)
    homes: dict[int, int] = {}
    for first, places in said.items() if made_from else ():
        sources = {source for place in places for source in sources_of(ordered[place][0].record)}
        found = {place for source in sources for place in made_from.get(source, ())}
        if not found:
            continue
        homes[first] = min(found)
        head = heads.get(ordered[homes[first]][0].id)
        if head is not None:  # of a turn that also says what replaced the fact
            homes[first] = next((place for place in found if ordered[place][0].id == head.id), homes[first])
    return homes


def _echoes(
    ordered: Sequence[Match],
    heads: Mapping[str, MemoryRecord],
    said: Mapping[int, Sequence[int]],
    homes: Mapping[int, int],
) -> dict[int, int]:
    """Replies that repeat what holds no longer: the places of the replaced facts by those of the turns.

    A reply stands right behind a turn of another role that states a replaced fact. It has a word of content of that
    fact that the newer one lacks, and none of the newer one's that the older lacks.
    """
    outdated = {
        _place(ordered[place][0], 1): (ordered[place][0], home)
        for first, home in homes.items()
        if ordered[home][0].id in heads
        for place in said[first]
    }
    found = {}
    for first in said:
        reply = ordered[first][0]
        turn, home = outdated.get(_place(reply, 0), (None, -1))
        if first in homes or turn is None or turn.role == reply.role:
            continue
        older, words = _words(ordered[home][0]), _words(reply)
        newer = _content(index_terms(heads[ordered[home][0].id].text))
        if words & (older - newer) and not words & (newer - older):
            found[first] = home
    return found


def _place(memory: StoredMemory, step: int) -> tuple[str | None, str | None, str | None, int]:
    record = memory.record
    return (
        record.namespace,
        record.user_id,
        record.session_id,
        -1 if memory.position is None else memory.position + step,
    )


def _words(memory: StoredMemory) -> set[str]:
    """The words of a memory that carry its content: no dates, speakers or function words."""
    terms: Sequence[str] | str = memory.terms
    return _content(terms.split() if isinstance(terms, str) else terms)


def _content(words: Sequence[str]) -> set[str]:
    return {word for word in words if word not in STOP_WORDS and not word.startswith((DATE_MARK, SPEAKER_MARK))}


def _labels(record: MemoryRecord) -> bytes:
    """Return what was added to a turn, in one form; for most turns nothing."""
    if not (record.topics or record.entities or record.metadata):
        return b""
    return msgspec.json.encode((record.topics, record.entities, record.metadata), order="deterministic")
