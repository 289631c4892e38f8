"""Puts matches together that say one thing: repeated turns, and statements with their turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from memhost.models import MemoryRecord, StoredMemory
from memhost.ranking import Ranked
from memhost.search.facts.sources import Digests, Source, is_statement, is_turn, sources_of
from memhost.text.analysis import DATE_MARK, SPEAKER_MARK, index_terms
from memhost.text.near_equal import ending, last_words, near_form
from memhost.text.words import STOP_WORDS

Match = tuple[MemoryRecord, Ranked]

_ABOUT_AS_GOOD = 0.9
"""Share of a reply's score that the newer fact must have: what fits much better says something else as well."""


class Group(msgspec.Struct, kw_only=True):
    """Matches that are one hit.

    Attributes:
        record: The memory shown: the statement, else the best of the turns.
        best: The place in the ranking that counts: the best of the record, its turns and what it replaces.
        best_id: Whose place that is.
        turns: Turns that say it, the best first; for a turn without a statement none.
        repeats: Other times that one of the turns, or the record, was said.
        replaces: Facts that it replaced, and that fit the query, the best first.
        replaced: The fact that a turn states, and that holds no longer.
    """

    record: MemoryRecord
    best: Ranked
    best_id: str
    turns: Sequence[MemoryRecord] = ()  # no lists for hundreds of matches, of which most stay alone
    repeats: Sequence[MemoryRecord] = ()
    replaces: Sequence[MemoryRecord] = ()
    replaced: MemoryRecord | None = None


def grouped(
    ordered: Sequence[Match],
    stored: Mapping[str, StoredMemory],
    heads: Mapping[str, MemoryRecord],
    digests: Digests = (),
) -> list[Group]:
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
        stored: What is stored of each of them, by id.
        heads: The newest fact instead of each that was replaced, by the id of the latter.
        digests: Strategies whose memories stand for no turns.
    """
    said = _said(ordered, stored)
    homes = _homes(ordered, said, heads, digests)
    newer = _newer(ordered, heads)
    groups = _Groups(ordered)
    for place, (record, _) in enumerate(ordered):
        if not is_turn(record) and record.id not in heads:
            groups.open(place)
    for first, places in said.items():
        home = homes.get(first)
        alone = home is None or home in newer
        group = groups.open(first) if alone or home is None else groups.join(home, first)
        if len(places) > 1:
            group.repeats = [*group.repeats, *(ordered[place][0] for place in places[1:])]
        if home in newer:
            group.replaced = ordered[home][0]
            groups.lift(newer[home], first)
    for place, head in newer.items():  # the best first
        if (lifted := groups.lift(head, place)) is not None:
            lifted.replaces = [*lifted.replaces, ordered[place][0]]
    for first, home in _echoes(ordered, stored, heads, said, homes).items() if newer else ():
        groups.put_behind(first, newer[home], ordered[home][0])
    return groups.in_order()


class _Groups:
    """Groups by the place in the ranking of the memory that each shows."""

    def __init__(self, ordered: Sequence[Match]) -> None:
        self._ordered = ordered
        self._groups: dict[int, Group] = {}
        self._best: dict[int, int] = {}

    def open(self, place: int) -> Group:
        """A group of the memory at that place."""
        record, item = self._ordered[place]
        self._best[place] = place
        self._groups[place] = Group(record=record, best=item, best_id=record.id)
        return self._groups[place]

    def join(self, home: int, turn: int) -> Group:
        """The group of a statement, which has a turn more from now on."""
        group = self._groups[home]
        group.turns = [*group.turns, self._ordered[turn][0]]
        self.lift(home, turn)
        return group

    def lift(self, home: int, place: int) -> Group | None:
        """The group of the memory at `home`, which is as good as that place from now on; None if it is no match."""
        if home in self._groups:
            self._set(home, min(self._best[home], place))
        return self._groups.get(home)

    def put_behind(self, echo: int, home: int, fact: MemoryRecord) -> None:
        """Mark a turn that repeats a replaced fact, and put it behind the newer one, if that is about as good."""
        if home in self._groups and echo in self._groups:
            group, score = self._groups[echo], self._groups[home].best.score
            if score >= _ABOUT_AS_GOOD * group.best.score:
                group.replaced = fact
                self._set(echo, max(self._best[echo], self._best[home]))

    def in_order(self) -> list[Group]:
        """The groups, best first; of equal ones the newer fact before what it replaced."""
        groups = self._groups
        order = sorted(groups, key=lambda place: (self._best[place], groups[place].replaced is not None, place))
        return [groups[place] for place in order]

    def _set(self, home: int, place: int) -> None:
        self._best[home] = place
        record, self._groups[home].best = self._ordered[place]
        self._groups[home].best_id = record.id


def _newer(ordered: Sequence[Match], heads: Mapping[str, MemoryRecord]) -> dict[int, int]:
    """Places of the newest facts by those of the facts that were replaced; -1 where the newest is no match."""
    place_of = {record.id: place for place, (record, _) in enumerate(ordered)}
    return {
        place: place_of.get(heads[record.id].id, -1) for place, (record, _) in enumerate(ordered) if record.id in heads
    }


def _said(ordered: Sequence[Match], stored: Mapping[str, StoredMemory]) -> dict[int, list[int]]:
    """The places of turns, those together that one speaker said several times, by the first of them.

    They are of the same owner, role and labels. What clients store themselves is found as often as they store it (with
    `deduplicate: false`, that is twice).
    """
    turns = [place for place, (record, _) in enumerate(ordered) if is_turn(record)]
    found: dict[int, list[int]] = {}
    for places in _alike(turns, ordered, stored):
        if len(places) == 1:
            found[places[0]] = places
            continue
        first: dict[tuple[object, ...], int] = {}
        for place in places:
            key = _said_as(stored[ordered[place][0].id])
            found.setdefault(first.setdefault(key, place), []).append(place)
    return dict(sorted(found.items()))


def _alike(turns: Sequence[int], ordered: Sequence[Match], stored: Mapping[str, StoredMemory]) -> list[list[int]]:
    """The places of turns in lists, of which those that say the same share one: by what costs little to compare."""
    rough: dict[tuple[str, ...], list[int]] = {}
    for place in turns:
        rough.setdefault(last_words(ordered[place][0].text), []).append(place)
    lists = []
    for places in rough.values():
        if len(places) == 1:
            lists.append(places)
            continue
        closer: dict[tuple[object, ...], list[int]] = {}
        for place in places:
            record = ordered[place][0]
            end = ending(record.text[stored[record.id].lead :])
            closer.setdefault((record.namespace, record.user_id, end), []).append(place)
        lists += closer.values()
    return lists


def _said_as(memory: StoredMemory) -> tuple[object, ...]:
    """A key that turns have in common if they say the same."""
    record, lead = memory.record, memory.lead
    return record.text[:lead], near_form(record.text[lead:]), record.event_date, _labels(record)


def _homes(
    ordered: Sequence[Match],
    said: Mapping[int, Sequence[int]],
    heads: Mapping[str, MemoryRecord],
    digests: Digests,
) -> dict[int, int]:
    """The place of the statement that each turn belongs to, by the turn's."""
    made_from: dict[Source, list[int]] = {}
    for place, (record, _) in enumerate(ordered):
        if is_statement(record, digests):
            for source in sources_of(record):
                made_from.setdefault(source, []).append(place)
    homes: dict[int, int] = {}
    for first, places in said.items() if made_from else ():
        sources = {source for place in places for source in sources_of(ordered[place][0])}
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
    stored: Mapping[str, StoredMemory],
    heads: Mapping[str, MemoryRecord],
    said: Mapping[int, Sequence[int]],
    homes: Mapping[int, int],
) -> dict[int, int]:
    """Replies that repeat what holds no longer: the places of the replaced facts by those of the turns.

    A reply stands right behind a turn of another role that states a replaced fact. It has a word of content of that
    fact that the newer one lacks, and none of the newer one's that the older lacks.
    """
    outdated = {
        _place(stored[ordered[place][0].id], 1): (stored[ordered[place][0].id], home)
        for first, home in homes.items()
        if ordered[home][0].id in heads
        for place in said[first]
    }
    found = {}
    for first in said:
        reply = stored[ordered[first][0].id]
        turn, home = outdated.get(_place(reply, 0), (None, -1))
        if first in homes or turn is None or turn.role == reply.role:
            continue
        older, words = _words(stored[ordered[home][0].id]), _words(reply)
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
