"""Fits the parts of a context into a budget of tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from memhost.context.evidence import (
    Evidence,
    asks_when,
    in_order_of_time,
    said_day,
    shortened,
    trimmed,
    with_days_meant,
)
from memhost.context.parts import Item, Parts, StableLines
from memhost.context.rendering import Rendered, messages_of, render
from memhost.messages.token_budgets import TOKENS_AROUND_A_MESSAGE, TokenCount, most_tokens
from memhost.models.trust import rank
from memhost.operations.long_term import ContextFormat

_STABLE_SHARE = {"rules": 0.5, "profile": 0.3}
"""Share of the budget that the stable part may have with rules, and with the profile behind them; the rest is for
evidence."""
_PASSAGE_SHARE = 0.08
"""Share of the budget that one passage may take, the first three of the search's order thrice as much."""
_LEAST_PASSAGE, _MOST_PASSAGE = 48, 400
_FIRST = 3
_LEAST_ROOM = 40
"""Tokens for which one of the first three is cut once more, if it has no more room."""
_WORTH, _LENGTH_POWER = 4, 0.25
"""A shorter line may come before a better one: by (rank + 4) * length ** 0.25. Of powers 0 to 0.5 that keeps most
evidence within 500 to 1,500 tokens (docs/benchmarks.md)."""
_DOUBT = 2.0
"""Evidence from a file, a tool or a stranger comes as late as other that is worth so much less."""
_SPARE = 8
"""Tokens by which the marks of one fence may be longer than those of another."""
_GAP = 3
"""Turns of a session this far apart are one item: two turns may be left out between them."""
_LETTERS = 4
"""Characters that a token has about."""
_MOST_LETTERS = 7
"""Characters of a token at most, on the average of a line."""
_HEAD = 8
"""Tokens of number and date in front of a line, at least."""
_SAMPLE = 4_000
"""Characters of a long text whose tokens are counted to tell how many characters a token has in it."""
_ROUNDS = 3


class Fitted(msgspec.Struct, frozen=True):
    """A context that fits: its parts, its text and its tokens."""

    parts: Parts
    rendered: Rendered
    tokens: int
    stable_tokens: int


class Fitter:
    """Chooses what of a context there is room for.

    Args:
        count: Counts tokens.
        budget: Tokens that the whole may have.
        form: Format of the text.
        ids: Whether ids of memories are in the text.
        zone: IANA zone in which days begin.
    """

    def __init__(self, count: TokenCount, *, budget: int, form: ContextFormat, ids: bool, zone: str) -> None:
        self._count = count.count
        self._budget = budget
        self._form = form
        self._ids = ids
        self._zone = zone

    def fit(self, frame: Parts, standing: StableLines, found: Sequence[Evidence], query: str) -> Fitted:
        """The context with as much of the stable lines and of the evidence as there is room for.

        The stable part depends on the frame, the standing lines and the budget alone. Where not even the frame fits,
        the context is empty.
        """
        parts = self._stable(frame, standing)
        if parts is None:
            empty = Rendered("", "")
            return Fitted(Parts(about="", today=""), empty, 0, 0)
        parts, rendered, tokens = self._filled(parts, found, query)
        return Fitted(parts, rendered, tokens, self._count(rendered.stable))

    def _stable(self, frame: Parts, standing: StableLines) -> Parts | None:
        """The frame with the first of the standing lines; without who is who, and notes, if only so it fits."""
        bare = msgspec.structs.replace(frame, people="", notes=())
        without_people = msgspec.structs.replace(frame, people="")
        parts = next((each for each in (frame, without_people, bare) if self._fits(each)), None)
        if parts is None:
            return None
        for name, share in _STABLE_SHARE.items():
            room = int(self._budget * share)
            lines: list[str] = []
            for line in getattr(standing, name):
                longer = msgspec.structs.replace(parts, **{name: [*lines, line]})
                if self._measured(longer)[1] > room:
                    break  # not a shorter one behind it: what is added later must leave the beginning as it is
                lines.append(line)
            parts = msgspec.structs.replace(parts, **{name: lines})
        return parts

    def _fits(self, parts: Parts) -> bool:
        return self._measured(parts)[1] <= self._budget

    def _cost(self, item: Evidence) -> int:
        """Tokens of an item with this alone."""
        alone = Item(ref=100, said=said_day(item, self._zone), evidence=[item])
        empty = Parts(about="", today="")
        filled = Parts(about="", today="", items=[alone])
        if self._form in ("markdown", "messages"):
            return self._count(render(filled, self._form, ids=self._ids).rest[1:])
        return self._count(render(filled, self._form, ids=self._ids).rest) - self._count(
            render(empty, self._form, ids=self._ids).rest
        )

    def _marks(self, found: Sequence[Evidence]) -> int:
        """Tokens of the lines around what is not verified, with some to spare; 0 if nothing of it was found."""
        doubted = next((item for item in found if not item.verified), None)
        if doubted is None:
            return 0
        sure = msgspec.structs.replace(doubted, verified=True, text="", source="")
        doubted = msgspec.structs.replace(sure, verified=False)
        return self._cost(doubted) - self._cost(sure) + _SPARE

    def _filled(self, parts: Parts, found: Sequence[Evidence], query: str) -> tuple[Parts, Rendered, int]:
        """The parts with the evidence that fits: in the order of the search, of things near in it shorter ones first.

        Lines are counted one by one, then the whole; room that is left over is filled again.
        """
        lines = _Lines(found, query=query, count=self._count, budget=self._budget, cost=self._cost, zone=self._zone)
        chosen: list[Evidence] = []
        left = sorted(range(len(found)), key=lines.worth)
        rendered, tokens = self._measured(parts)
        for _ in range(_ROUNDS):
            added, passed, room = [], [], self._budget - tokens
            marks = 0 if any(not item.verified for item in chosen) else self._marks(found)
            for at in left:
                more = 0 if found[at].verified else marks
                if (fitting := lines.within(at, room - more)) is None:
                    passed.append(at)
                else:
                    added.append(fitting[0])
                    room -= fitting[1] + more
                    marks -= more
            if not added:
                break
            chosen, left = [*chosen, *added], passed
            parts, rendered, tokens = self._with(parts, chosen)
        while chosen and tokens > self._budget:
            last = max(range(len(chosen)), key=lambda at: (not chosen[at].verified, at))
            chosen.pop(last)
            parts, rendered, tokens = self._with(parts, chosen)
        return parts, rendered, tokens

    def _with(self, parts: Parts, chosen: Sequence[Evidence]) -> tuple[Parts, Rendered, int]:
        filled = msgspec.structs.replace(parts, items=self._items(chosen))
        return filled, *self._measured(filled)

    def _items(self, chosen: Sequence[Evidence]) -> list[Item]:
        """The evidence in order of time, the verified first, turns that stand near each other as one item."""
        items: list[Item] = []
        for each in sorted(in_order_of_time(chosen), key=lambda item: not item.verified):
            day = said_day(each, self._zone)
            apart = _apart(items[-1].evidence[-1], each) if items and items[-1].said == day else 0
            if apart:
                items[-1].evidence.append(msgspec.structs.replace(each, skipped=apart - 1))
            else:
                items.append(Item(ref=len(items) + 1, said=day, evidence=[each]))
        return items

    def _measured(self, parts: Parts) -> tuple[Rendered, int]:
        rendered = render(parts, self._form, ids=self._ids)
        if self._form == "messages":
            told = messages_of(rendered)
            return rendered, sum(self._count(each.content.text) + TOKENS_AROUND_A_MESSAGE for each in told)
        return rendered, self._count(rendered.text)


def _apart(before: Evidence, behind: Evidence) -> int:
    """Return how many turns further a turn stands in the same session; 0 where the two are not one passage."""
    if before.position is None or behind.position is None or before.session != behind.session:
        return 0
    if before.until or behind.until or before.event or behind.event or before.verified != behind.verified:
        return 0
    apart = behind.position - before.position
    return apart if 0 < apart <= _GAP else 0


class _Lines:
    """The lines of the evidence, cut and counted when they are asked for."""

    def __init__(
        self,
        found: Sequence[Evidence],
        *,
        query: str,
        count: Callable[[str], int],
        budget: int,
        cost: Callable[[Evidence], int],
        zone: str,
    ) -> None:
        self._found = found
        self._query = query
        self._count = count
        self._most = _most(budget)
        self._cost = cost
        self._zone = zone
        self._dated = asks_when(query)
        self._known: dict[int, tuple[Evidence | None, int]] = {}
        self._shown: dict[int, Evidence | None] = {}

    def worth(self, at: int) -> float:
        """Less for what comes first."""
        item = self._found[at]
        length = min(len(item.text), _LETTERS * self._most(item.rank))
        worth = float((item.rank + _WORTH) * length**_LENGTH_POWER)
        return worth if item.verified or rank(item.trust) >= rank("agent") else worth * _DOUBT

    def least(self, at: int) -> float:
        """Tokens that the line has at least, so that not all have to be counted."""
        item = self._found[at]
        most = _LEAST_ROOM / 2 if item.rank < _FIRST else self._most(item.rank) / 2
        return _HEAD + min(len(item.text) / _MOST_LETTERS, most)

    def within(self, at: int, room: int) -> tuple[Evidence, int] | None:
        """The evidence without small talk, cut to its passage, and its tokens; None if it has not so much room."""
        if self.least(at) > room:
            return None
        if at not in self._known:
            item = self._trimmed(at)
            self._known[at] = (None, 0) if item is None else self._counted(item)
        item, tokens = self._known[at]
        if item is not None and tokens > room >= _LEAST_ROOM and item.rank < _FIRST:  # the best ones even so
            item = _passage(self._found[at], self._query, self._count, room - 2 * _HEAD)
            tokens = self._cost(item)
        return (item, tokens) if item is not None and tokens <= room else None

    def uncut(self, write: Callable[[Evidence], str], room: int) -> list[Evidence] | None:
        """All of the evidence, where each line may stay as it is, and so many tokens are enough for all.

        No line is counted for that: None where it takes counting to tell.
        """
        kept = []
        for at in range(len(self._found)):
            item = self._trimmed(at)
            if item is None:
                continue
            tokens = most_tokens(f"{write(item)}\n")
            room -= tokens
            if room < 0 or len(item.text) > _SAMPLE or tokens > self._most(item.rank) + _HEAD:
                return None
            kept.append(item)
        return kept

    def _trimmed(self, at: int) -> Evidence | None:
        """The evidence without small talk, with the days that its words mean if the query asks for a time."""
        if at not in self._shown:
            item = trimmed(self._found[at])
            if item is not None and self._dated and len(item.text) <= _SAMPLE:
                item = with_days_meant(item, self._zone)
            self._shown[at] = item
        return self._shown[at]

    def _counted(self, item: Evidence) -> tuple[Evidence, int]:
        most = self._most(item.rank)
        if len(item.text) <= _SAMPLE and (tokens := self._cost(item)) <= most + _HEAD:
            return item, tokens
        short = _passage(item, self._query, self._count, most)
        return short, self._cost(short)


def _most(budget: int) -> Callable[[int], int]:
    """Tokens that the passage of a rank may have: one alone must not fill the budget."""
    usual = min(_MOST_PASSAGE, max(_LEAST_PASSAGE, int(budget * _PASSAGE_SHARE)))
    return lambda rank: usual * 3 if rank < _FIRST else usual


def _passage(item: Evidence, query: str, count: Callable[[str], int], most: int) -> Evidence:
    sample = item.text[:_SAMPLE]
    tokens = count(sample) if len(item.text) > most else 0  # hardly a token has less than a character
    if len(sample) == len(item.text) and tokens <= most:
        return item
    letters = max(1, int(most * len(sample) / max(1, tokens)))
    shorter = shortened(item, query, letters)
    for _ in range(_ROUNDS):
        tokens = count(shorter.text)
        if tokens <= most:
            break
        letters = max(1, int(letters * most / tokens * 0.9))
        shorter = shortened(item, query, letters)
    return shorter


def lines_that_fit(
    found: Sequence[Evidence],
    *,
    query: str,
    count: Callable[[str], int],
    write: Callable[[Evidence], str],
    budget: int,
    zone: str,
) -> list[Evidence]:
    """The evidence whose lines fit into the budget, in the order of the search; long texts are cut to passages.

    Args:
        found: The evidence, best first.
        query: What is sought.
        count: Counts tokens.
        write: Makes the line of one.
        budget: Tokens of all lines with their breaks.
        zone: IANA zone in which days begin.
    """

    def cost(item: Evidence) -> int:
        return count(f"{write(item)}\n")

    lines = _Lines(found, query=query, count=count, budget=budget, cost=cost, zone=zone)
    if (uncut := lines.uncut(write, budget)) is not None:
        return uncut
    kept: list[Evidence] = []
    room = budget
    for at in range(len(found)):
        if (fitting := lines.within(at, room)) is not None:
            kept.append(fitting[0])
            room -= fitting[1]
    return kept
