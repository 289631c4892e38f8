"""Generated timelines of facts: what was said and when, how a judge calls it, and what held at a moment."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

BEGIN = datetime(2015, 1, 1, tzinfo=UTC)
_DAYS = 4000


@dataclass(frozen=True, slots=True)
class Said:
    """A statement of a timeline.

    Attributes:
        text: Its words; they name the facet, the value and, for a correction, the value that was wrong.
        at: When it was said.
        since: Since when it holds, if it says so.
    """

    text: str
    at: datetime
    since: datetime | None = None

    @property
    def facet(self) -> str:
        """What it is about; of two facets both may hold."""
        return facet_of(self.text)

    @property
    def value(self) -> str:
        """What it says; of two values of a facet only one holds at a time."""
        return value_of(self.text)


@dataclass(frozen=True, slots=True)
class Timeline:
    """What was said, oldest first, and in which sessions a server learns it, in that order."""

    said: tuple[Said, ...]
    sessions: tuple[tuple[Said, ...], ...]


def facet_of(text: str) -> str:
    """The facet of a text."""
    return text.split()[0]


def value_of(text: str) -> str:
    """The value that a text states."""
    return next(word for word in text.split() if word.startswith("value"))


def _wrong(text: str) -> str | None:
    found = re.search(r"never (\w+)", text)
    return found[1] if found else None


def verdict(older: str, newer: str) -> str:
    """How a judge calls a pair of texts."""
    if facet_of(older) != facet_of(newer):
        return "distinct"
    if value_of(older) == value_of(newer):
        plain = not any(word in text for text in (older, newer) for word in ("since", "never"))
        return "same" if plain else "distinct"
    return "correction" if _wrong(newer) == value_of(older) else "update"


def held(timeline: Timeline, moment: datetime) -> set[str]:
    """The values that held at a moment, each with its facet: each statement from its beginning to the next of another.

    Of two that exclude each other the one that was said later is right about all the time for which it claims to hold.
    """
    found = set()
    for facet in {each.facet for each in timeline.said}:
        said = [each for each in timeline.said if each.facet == facet]
        starts = [each.since or each.at for each in said]
        never = [False] * len(said)
        for number, each in enumerate(said):
            if _wrong(each.text) is not None:
                never[number - 1] = True
                starts[number] = each.since or starts[number - 1]
        for number, each in enumerate(said):
            ends = [
                starts[later]
                for later in range(number + 1, len(said))
                if said[later].value != each.value and not never[later]
            ]
            if not never[number] and starts[number] <= moment and not any(moment >= end for end in ends):
                found.add(f"{facet} {each.value}")
    return found


def make(number: int) -> Timeline:
    """The timeline of that number, always the same one."""
    random = Random(number)
    said = [each for facet in range(random.choice((1, 1, 2))) for each in _facet(random, f"{number}x{facet}")]
    said.sort(key=lambda each: each.at)
    sessions = [[each] for each in said]  # two facts of one answer are not compared: a model has told them apart
    if random.random() < 0.6:
        random.shuffle(sessions)
    return Timeline(tuple(said), tuple(tuple(session) for session in sessions))


def moments(timeline: Timeline, random: Random, count: int) -> list[datetime]:
    """Moments to ask about: any, and those at which something begins, and just before."""
    edges = [moment for each in timeline.said for moment in (each.at, each.since) if moment is not None]
    edges += [moment - timedelta(microseconds=1) for moment in edges]
    found = [BEGIN + timedelta(days=random.uniform(-500, _DAYS + 500)) for _ in range(count)]
    return [*found, *random.sample(edges, min(count, len(edges)))]


def _facet(random: Random, name: str) -> list[Said]:
    words = " ".join(f"{word}{name}" for word in ("fact", "of", "the", "person"))
    times = sorted({BEGIN + timedelta(minutes=random.randrange(_DAYS * 1440)) for _ in range(random.randint(2, 6))})
    found: list[Said] = []
    for number, at in enumerate(times):
        found.append(_next(random, words, found, number, at))
    return found


def _next(random: Random, words: str, before: Sequence[Said], number: int, at: datetime) -> Said:
    """The next statement: a change, with or without its beginning; a return, a repetition or a correction."""
    fresh = f"value{number}"
    if not before:
        return Said(f"{words} {fresh}", at)
    last, kind = before[-1], random.random()
    wrong = {_wrong(each.text) for each in before}
    earlier = [each.value for each in before if each.since is None and each.value not in wrong]
    if kind < 0.15:  # said again, perhaps in other words
        return Said(f"{words} {last.value}{random.choice(('', '', ' again'))}", at)
    if kind < 0.3 and earlier:
        return Said(f"{words} {random.choice(earlier)}", at)
    first_time = [each.value for each in before].count(last.value) == 1
    if kind < 0.45 and first_time and _wrong(last.text) is None:
        return Said(f"{words} {fresh} never {last.value}", at)
    if kind < 0.7:
        since = _before(random, at)
        return Said(f"{words} {fresh} since{since:%Y%m%d}", at, since)
    return Said(f"{words} {random.choice((fresh, fresh if 'valueless' in wrong else 'valueless'))}", at)


def _before(random: Random, at: datetime) -> datetime:
    day = at - timedelta(days=random.choice((1, 20, 300, 900)) * random.random())
    return day.replace(hour=0, minute=0, second=0, microsecond=0)
