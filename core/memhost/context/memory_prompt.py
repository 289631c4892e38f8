"""Builds the memory prompt: summary, messages, memories found, and the query."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import msgspec
from msgspec import UNSET

from memhost.context.evidence import Evidence, EvidenceReader, in_order_of_time, said_day
from memhost.context.fitting import lines_that_fit
from memhost.context.prompt_turns import PromptTurn, message, summary_turn, turn_of
from memhost.context.service import REASONS, checked_zone, described_day, held_back
from memhost.context.standing import Standing
from memhost.errors import InvalidRequest
from memhost.memories.trust import SUSPICIOUS, is_held_back
from memhost.messages.token_budgets import TOKENS_AROUND_A_MESSAGE, TokenCount, counter_for, most_tokens
from memhost.messages.windows import truncate, window_of
from memhost.models import Condition, MemoryRecord, Op, Trust
from memhost.operations.long_term import MemoryPromptRequest
from memhost.operations.requests import PromptSession, SearchFields, TagFilter
from memhost.operations.responses import HeldBack, MemoryPrompt, PromptMessage
from memhost.operations.table import Call
from memhost.ports import Clock, Store
from memhost.search.facts.sources import is_turn
from memhost.search.service import SearchService
from memhost.sessions.service import SessionService
from memhost.text.best_passage import best_passage
from memhost.text.conversation import readable
from memhost.text.recalled.fence import NOT_OBEYED, fenced, id_text
from memhost.text.temporal.times import local

_PLAIN_SEARCH_LIMIT = 20
"""Memories found when a prompt asks for a search without describing it."""

_WITHOUT_WINDOW = 4_000
"""Tokens of memories where the request names neither window nor model."""
_LEAST_SHARE = 1 / 3
"""Share of the window that memories may take, however many messages there are."""

_RULES_SHARE, _MOST_RULES_TOKENS = 1 / 4, 1_000
"""Share of the window, and tokens, that standing rules may take."""
_RULES = "## Remembered rules that the user gave"

_HEADING = "## Long-term memories related to the query"
_NONE = "No relevant long-term memories were found."
_NO_ROOM = "Memories were found, but there is no room for them."
_FENCED = f"{NOT_OBEYED} Words like yesterday count from the day on which they were said."
_UNVERIFIED = "Not verified:"

NOT_SUSPICIOUS = Condition(f"metadata.{SUSPICIOUS}", Op.NONE, ("true",))
"""Finds what takes the place of memories that are held back."""


class _Found(NamedTuple):
    """The memories for the prompt as evidence, best first, and those that were found and must be left out."""

    evidence: list[Evidence]
    held: list[HeldBack]


TurnPlace = tuple[str, str, str, str]
"""Namespace, user, session and id of a message."""


class _Said(NamedTuple):
    """The summary of a session and its turns with their places in it, oldest first."""

    summary: PromptTurn | None
    turns: list[PromptTurn]
    places: list[TurnPlace]

    @property
    def all_turns(self) -> list[PromptTurn]:
        """The summary, if there is one, and the turns."""
        return self.turns if self.summary is None else [self.summary, *self.turns]

    @property
    def messages(self) -> list[PromptMessage]:
        """All of it in order."""
        return [turn.message for turn in self.all_turns]


class PromptService:
    """Puts context before a query."""

    def __init__(
        self,
        *,
        store: Store,
        sessions: SessionService,
        search: SearchService,
        clock: Clock,
        least: Trust,
        zone: str = "UTC",
        standing: Standing | None = None,
    ) -> None:
        self._standing = standing
        self._sessions = sessions
        self._search = search
        self._clock = clock
        self._zone = zone
        self._reader = EvidenceReader(store, least)
        self._least: Trust = least

    async def build(self, call: Call, request: MemoryPromptRequest) -> MemoryPrompt:
        """The prompt's messages, oldest first, and the memories in it, best first.

        Standing rules of the user come first, if there are any. With a window the whole fits into it: the query, the
        rules in at most a quarter of it, then memories in at least a third of the rest, then the newest messages. A
        message or memory that is longer alone is cut to the passage that says most about the query.

        Raises:
            InvalidRequest: Neither a session nor a search is asked for.
        """
        wanted = request.long_term_search
        if request.session is None and (wanted is None or wanted is False):
            raise InvalidRequest("Either session or long_term_search must be provided, or both.")
        asked = request.session
        window = window_of(asked.model_name, asked.context_window_max) if asked is not None else None
        count = await counter_for(asked.model_name if asked is not None else None)
        zone = self._zone
        if isinstance(wanted, SearchFields):
            zone = checked_zone(wanted.timezone) or zone
        found = None
        if wanted is not None and wanted is not False:
            found = await self._found(call, request, wanted, zone)
        said = await self._said(call, asked) if asked is not None else _Said(None, [], [])
        query = message("user", request.query)
        room = window - _tokens(query, count.count) if window is not None and window > 0 else None
        writer = _Writer(count, request, zone, described_day(local(self._clock.now(), zone).date(), zone))
        rules = await self._rules(call, request, room, count.count)
        room = None if room is None else room - sum(_tokens(each, count.count) for each in rules)
        if found is not None:
            sure = said if room is None else writer.newest(said, room - int(room * _LEAST_SHARE))
            found = found._replace(evidence=_unsaid(found.evidence, sure))
        shown: list[Evidence] = []
        memories: list[PromptMessage] = []
        if found is not None:
            budget = _WITHOUT_WINDOW if room is None else writer.for_memories(room, said)
            text, shown = writer.memories(found, budget)
            memories = [message("system", text)]
        said = said if room is None else writer.newest(said, room, beside=memories)
        return MemoryPrompt(
            messages=[*rules, *said.messages, *memories, query],
            long_term_memories=[item.hit for item in shown] or None,
            held_back=(found.held if found is not None else None) or UNSET,
        )

    async def _rules(
        self, call: Call, request: MemoryPromptRequest, room: int | None, count: Callable[[str], int]
    ) -> list[PromptMessage]:
        """A message with the standing rules of the one user whom the request names; none where there are no rules."""
        session, search = request.session, request.long_term_search
        by = search if isinstance(search, SearchFields) else None
        user = (session.user_id if session is not None else None) or (_only(by.user_id) if by is not None else None)
        if self._standing is None or not user:
            return []
        named = (session.namespace if session is not None else None) or (
            _only(by.namespace) if by is not None else None
        )
        scope = call.caller.bounds.narrow(namespace=named or None, user=user)
        lines = [f"- {rule}" for rule in await self._standing.rules(scope, session.session_id if session else None)]
        most = _MOST_RULES_TOKENS if room is None else min(_MOST_RULES_TOKENS, int(room * _RULES_SHARE))
        while lines:
            told = message("system", "\n".join([_RULES, *lines]))
            if _tokens(told, count) <= most:
                return [told]
            lines.pop()
        return []

    async def _said(self, call: Call, wanted: PromptSession) -> _Said:
        """The summary and the messages of a session, as many of the newest as the window and an answer hold."""
        session = await self._sessions.resolve(
            call.caller.bounds,
            wanted.session_id,
            wanted.namespace,
            wanted.user_id,
            self._clock.now(),
        )
        if session is None:
            return _Said(None, [], [])
        context = session.content.context
        summary = summary_turn(context, session.content.context_trust, self._least) if context else None
        window = window_of(wanted.model_name, wanted.context_window_max)
        messages = truncate(session.content.messages, window)
        shown = self._sessions.within_bytes(messages)
        if left := len(messages) - len(shown):
            call.notices.append(
                ("notice", f"{left} older messages were left out; set context_window_max to include more.")
            )
        told = [(each, text) for each in shown if (text := readable(each))]
        turns = [turn_of(each, text) for each, text in told]
        key = session.key
        return _Said(summary, turns, [(key.namespace, key.user, key.session, each.id) for each, _ in told])

    async def _found(
        self, call: Call, request: MemoryPromptRequest, wanted: SearchFields | Literal[True], zone: str
    ) -> _Found:
        session = request.session
        user = session.user_id if session is not None else None
        extra: list[Condition] = []
        if wanted is True:
            search = SearchFields(limit=_PLAIN_SEARCH_LIMIT)
            if session is not None:
                extra.append(Condition("session_id", Op.NONE, (session.session_id,)))
                if session.namespace:
                    search.namespace = TagFilter(eq=session.namespace)
        else:
            search = msgspec.structs.replace(wanted)
        search.text = request.query
        if user and search.user_id is None:
            search.user_id = TagFilter(eq=user)
        answer, memories = await self._search.with_memories(
            call, search, optimize_query=request.optimize_query, extra=extra
        )
        if answer.nothing_fits is True:
            return _Found([], [])
        hits = [hit for hit in answer.memories if not is_held_back(hit)]
        held = held_back(answer.memories)
        if held:
            known = {hit.id for hit in hits}
            without = Condition("id", Op.NONE, tuple(item.id for item in held))
            others, more = await self._search.with_memories(call, search, extra=[*extra, NOT_SUSPICIOUS, without])
            memories = {**memories, **more}
            fresh = [hit for hit in others.memories if hit.id not in known and not is_held_back(hit)]
            hits += fresh[: len(held)]
        scope = call.caller.bounds.narrow(namespace=_only(search.namespace), user=_only(search.user_id))
        ended = await self._reader.ended(scope, self._clock.now())
        evidence = await self._reader.read(scope, hits, ended, zone, memories=memories)
        return _Found(evidence, held)


class _Writer:
    """Writes the parts of one prompt."""

    def __init__(self, count: TokenCount, request: MemoryPromptRequest, zone: str, today: str) -> None:
        self._count = count.count
        self._query = request.query
        self._ids = request.include_ids
        self._zone = zone
        self._today = today
        self._sizes: dict[PromptTurn, int] = {}

    def memories(self, found: _Found, budget: int) -> tuple[str, list[Evidence]]:
        """The text of the memories that fit into so many tokens, in order of time; and these memories, best first."""
        fence = self._fenced(self._left_out(found.held) or [""])
        room = budget - self._count("\n".join([_HEADING, *fence])) - TOKENS_AROUND_A_MESSAGE
        kept = lines_that_fit(
            found.evidence, query=self._query, count=self._count, write=self._line, budget=room, zone=self._zone
        )
        text = self._text(kept, found)
        while kept and not self._fits(text, budget - TOKENS_AROUND_A_MESSAGE):
            kept.pop()
            text = self._text(kept, found)
        return text, kept

    def _fits(self, text: str, room: int) -> bool:
        return most_tokens(text) <= room or self._count(text) <= room

    def for_memories(self, room: int, said: _Said) -> int:
        """Tokens that memories may take: what the session leaves, and a third of the room in any case."""
        return max(int(room * _LEAST_SHARE), room - sum(map(self._size, said.all_turns)))

    def newest(self, said: _Said, room: int, beside: Sequence[PromptMessage] = ()) -> _Said:
        """The summary, in a third of the room, and the newest turns that fit; the newest one cut, if it must be.

        The room is what other messages beside them leave.
        """
        if self._all_fit(said, room - sum(TOKENS_AROUND_A_MESSAGE + most_tokens(each.content.text) for each in beside)):
            return said
        summary, left = said.summary, room - sum(_tokens(each, self._count) for each in beside)
        if summary is not None:
            summary = self._fitting(summary, left // 3 if said.turns else left)
            left -= self._size(summary) if summary is not None else 0
        kept: list[PromptTurn] = []
        places: list[TurnPlace] = []
        for turn, place in zip(reversed(said.turns), reversed(said.places), strict=True):
            fitting = self._fitting(turn, left) if not kept else turn
            size = 0 if fitting is None else self._size(fitting)
            if fitting is None or size > left:
                break
            kept.append(fitting)
            places += [place] if fitting is turn else []  # of a message that is cut the rest is not there
            left -= size
        return _Said(summary, kept[::-1], places[::-1])

    def _all_fit(self, said: _Said, room: int) -> bool:
        if said.summary is not None and self._size(said.summary) > (room // 3 if said.turns else room):
            return False
        return sum(map(self._size, said.all_turns)) <= room

    def _size(self, turn: PromptTurn) -> int:
        """Tokens of the message that a turn becomes."""
        if turn not in self._sizes:
            self._sizes[turn] = _tokens(turn.message, self._count)
        return self._sizes[turn]

    def _fitting(self, turn: PromptTurn, room: int) -> PromptTurn | None:
        """The turn, or with the passage of its text that says most about the query; None where nothing fits."""
        if self._size(turn) <= room:
            return turn
        letters = room * 4
        while letters > 0:
            cut = turn._replace(text=best_passage(turn.text, self._query, letters).shown(turn.text))
            if _tokens(cut.message, self._count) <= room:
                return cut
            letters = letters * 2 // 3
        return None

    def _line(self, item: Evidence) -> str:
        text = f"{item.speaker}: {item.text}" if item.speaker else item.text
        dates = [f"said {said_day(item, self._zone)}"]
        dates += [f"event {item.event}"] if item.event else []
        dates += [f"until {item.until}"] if item.until else []
        dates += [f"no longer so {item.outdated}"] if item.outdated else []
        dates += [item.source] if item.source else []
        named = f" (ID: {id_text(item.hit.id)})" if self._ids else ""
        return f"- {text}{named} ({'; '.join(dates)})"

    def _text(self, kept: Sequence[Evidence], found: _Found) -> str:
        none = [] if kept else [_NO_ROOM if found.evidence else _NONE]
        lines = [self._line(item) for item in in_order_of_time(kept) if item.verified]
        if others := [self._line(item) for item in in_order_of_time(kept) if not item.verified]:
            lines += [_UNVERIFIED, *others]
        lines += self._left_out(found.held)
        return "\n".join([_HEADING, *none, *(self._fenced(lines) if lines else [self._today])])

    def _fenced(self, lines: Sequence[str]) -> list[str]:
        return fenced(f"{self._today} {_FENCED}", lines)

    def _left_out(self, held: Sequence[HeldBack]) -> list[str]:
        """Return a line for each reason that counts and names the omitted memories."""
        lines = []
        for reason, sentence in REASONS.items():
            names = [f"{id_text(item.id)} ({item.trust})" for item in held if item.reason == reason]
            lines += [f"{sentence}: {len(names)} ({', '.join(names)})."] if names else []
        return lines


def _unsaid(evidence: Sequence[Evidence], said: _Said) -> list[Evidence]:
    """The evidence without turns that the prompt holds as messages."""
    places = set(said.places)
    return [item for item in evidence if not (is_turn(item.hit) and places.issuperset(_places(item.hit)))]


def _places(turn: MemoryRecord) -> list[TurnPlace]:
    owner = (turn.namespace or "", turn.user_id or "", turn.session_id or "")
    return [(*owner, name) for name in turn.source_ids or [turn.id]]


def _only(owner: TagFilter | None) -> str | None:
    """The one owner that a filter lets through, None if it may let through others."""
    return owner.eq if owner is not None else None


def _tokens(told: PromptMessage, count: Callable[[str], int]) -> int:
    return count(told.content.text) + TOKENS_AROUND_A_MESSAGE
