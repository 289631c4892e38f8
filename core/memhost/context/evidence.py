"""Evidence: what a search found, with its dates and speakers, cut to what matters, as lines of a context."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from memhost.extraction.kinds import ACTION, ATTRIBUTED_TO, kind_of
from memhost.extraction.parsing.answers import PRECISION
from memhost.memories.trust import SAID_BY, is_held_back, level_of
from memhost.models import Condition, MemoryHit, MemoryRecord, MemoryType, Op, Scope, StoredMemory, Trust
from memhost.models.trust import by_role, rank
from memhost.ports import Store
from memhost.search.scoring import hit_of
from memhost.text.best_passage import best_passage
from memhost.text.recalled.fence import label, one_line, source_of
from memhost.text.recalled.own_text import own_text
from memhost.text.small_talk import name_forms, without_small_talk
from memhost.text.temporal.dates import Period, find_relative
from memhost.text.temporal.times import local

_MAX_ENDED = 500
"""Replaced facts that are looked through for those that a turn once gave."""
_NAMED = 2
"""Turns under a name among the hits that make it a speaker's, where most turns of its role have none."""
_MAX_OUTDATED = 120
"""Characters of a replaced fact that a line quotes."""

TurnName = tuple[str | None, str | None, str | None, str]
"""A turn: namespace, user, session and id of the message."""


class Evidence(msgspec.Struct, kw_only=True):
    """One thing that was found, as a line shows it.

    Attributes:
        hit: The memory.
        rank: Its place in the search's order, from 0.
        speaker: Who said it; empty for statements and what was stored without a speaker.
        text: What it says, on one line, without the speaker.
        said: When it was said or stored.
        event: When it happened, as exact as it is known: `2023-05-20`, `2023-05`, `week of 2023-05-15`; else empty.
        until: The day on which it ends to hold, if it does; else empty.
        outdated: Which fact of it no longer holds, and since when; else empty.
        position: Its place among the turns of its session; None for what is no turn.
        cut: Whether the text is a passage of a longer one.
        names: Names by which speakers are addressed, in a turn; None in what is none.
        skipped: Turns that were left out between it and the one before it in its item.
        trust: How far it is trusted.
        verified: Whether that is far enough to be read as what is known, and not as what somebody claims.
        source: Where it comes from, if that is not the user and does not follow from the speaker; else empty.
    """

    hit: MemoryHit
    rank: int
    speaker: str = ""
    text: str
    said: datetime
    event: str = ""
    until: str = ""
    outdated: str = ""
    position: int | None = None
    cut: bool = False
    names: frozenset[str] | None = None
    skipped: int = 0
    trust: Trust = "user"
    verified: bool = True
    source: str = ""

    @property
    def session(self) -> tuple[str | None, str | None, str | None]:
        """The session that it belongs to, with its owner."""
        return self.hit.namespace, self.hit.user_id, self.hit.session_id


Ended = Mapping[TurnName, Sequence[MemoryRecord]]
"""Statements that others have replaced, by the turns that they were made from."""


class EvidenceReader:
    """Makes evidence of the hits of a search.

    Args:
        store: Where the memories are.
        least: Level of trust from which on a memory is read as what is known.
    """

    def __init__(self, store: Store, least: Trust) -> None:
        self._store = store
        self._least = rank(least)

    async def read(
        self,
        scope: Scope,
        hits: Sequence[MemoryHit],
        ended: Ended,
        zone: str,
        *,
        known: Collection[str] = (),
        memories: Mapping[str, StoredMemory],
    ) -> list[Evidence]:
        """The hits as evidence in their order.

        Args:
            scope: What the caller may read.
            hits: The hits, best first.
            ended: Replaced statements, as `ended` gave them.
            zone: IANA zone in which days begin.
            known: Names under which the assistant speaks, as the reader is told.
            memories: What the search has read of the hits, by id; others are read here.
        """
        if not hits:
            return []
        replaced = {hit.id: _replaced(hit, ended) for hit in hits if hit.memory_type is MemoryType.MESSAGE}
        by = {record.superseded_by or "" for records in replaced.values() for record in records}
        stored = {hit.id: memories[hit.id] for hit in hits if hit.id in memories}
        stored |= await self._by_id(scope, [name for name in (*(hit.id for hit in hits), *by) if name not in stored])
        statements = [
            each for each in (*hits, *(stored[name].record for name in by if name in stored)) if _is_made(each)
        ]
        sources = [source for each in statements for source in each.source_ids if source not in stored]
        turns = {**stored, **(await self._by_id(scope, sources))} if sources else stored
        hits = list(_with_turns(hits, turns))
        said = {each.id: _said(each, turns) for each in (*hits, *statements)}
        there = [turns[hit.id] for hit in hits if hit.id in turns]
        names = _speakers(there)
        forms = name_forms({memory.speaker for memory in there if memory.speaker})
        found = []
        for place, hit in enumerate(hits):
            item = _evidence(place, hit, turns.get(hit.id), names)
            item.said = said[hit.id]
            item.event, item.until = _dates(hit, item.said, zone)
            item.verified = rank(item.trust) >= self._least or _is_of_a_person(item, turns.get(hit.id))
            item.source = _source(item, known)
            if hit.memory_type is MemoryType.MESSAGE:
                item.names = forms
                item.outdated = _outdated(replaced.get(hit.id, ()), said, zone)
            if item.text:  # a turn that only repeats what was recalled tells nothing
                found.append(item)
        return found

    async def ended(self, scope: Scope, now: datetime) -> Ended:
        """Statements of the scope that others have replaced."""
        found: defaultdict[TurnName, list[MemoryRecord]] = defaultdict(list)
        over, _ = await self._store.list_memories(scope, [Condition("valid_to", Op.LTE, (now,))], limit=_MAX_ENDED)
        for memory in over:
            record = memory.record
            if record.superseded_by is not None:
                for source in record.source_ids:
                    found[record.namespace, record.user_id, record.session_id, source].append(record)
        return found

    async def _by_id(self, scope: Scope, ids: Sequence[str]) -> dict[str, StoredMemory]:
        if not ids:
            return {}
        return {memory.record.id: memory for memory in await self._store.get_memories(scope, list(dict.fromkeys(ids)))}


def _with_turns(hits: Sequence[MemoryHit], turns: Mapping[str, StoredMemory]) -> Iterator[MemoryHit]:
    """The hits, and behind a statement the turn whose score it has: that fits the query better, and may say more."""
    known = {hit.id for hit in hits}
    for hit in hits:
        yield hit
        turn = turns.get(hit.score_of) if isinstance(hit.score_of, str) else None
        if turn is None or turn.record.id in known or turn.record.memory_type is not MemoryType.MESSAGE:
            continue
        known.add(turn.record.id)
        if not is_held_back(turn.record):
            yield hit_of(turn.record, hit.dist, hit.score, hit.score_type)


def _is_made(record: MemoryRecord) -> bool:
    """Tell whether a memory was made from turns, and so was said when they were."""
    return record.memory_type is not MemoryType.MESSAGE and bool(record.source_ids)


def _said(record: MemoryRecord, turns: Mapping[str, StoredMemory]) -> datetime:
    """When a memory was said: of what was made from turns, when the last of them was."""
    if record.said_at is not None or not _is_made(record):
        return record.told_at
    known = [turns[source].record for source in record.source_ids if source in turns]
    same = [turn.created_at for turn in known if (turn.session_id, turn.user_id) == (record.session_id, record.user_id)]
    return max(same, default=record.created_at)


def _replaced(hit: MemoryHit, ended: Ended) -> list[MemoryRecord]:
    owner = hit.namespace, hit.user_id, hit.session_id
    return [record for source in hit.source_ids for record in ended.get((*owner, source), ())]


def _speakers(turns: Sequence[StoredMemory]) -> frozenset[str]:
    """Names of speakers: not each word with a colon that opens a single turn of somebody without a name."""
    named = Counter(turn.role for turn in turns if turn.speaker)
    said = Counter(turn.role for turn in turns if turn.position is not None)
    often = Counter(turn.speaker for turn in turns)
    return frozenset(
        turn.speaker
        for turn in turns
        if turn.speaker and (often[turn.speaker] >= _NAMED or 2 * named[turn.role] > said[turn.role])
    )


def _evidence(place: int, hit: MemoryHit, stored: StoredMemory | None, names: Collection[str]) -> Evidence:
    text, speaker, position = hit.text, "", None
    if stored is not None and stored.record.text == hit.text:  # a hook may have changed what was found
        position = stored.position
        if stored.speaker in names:
            speaker, text = stored.speaker or "", hit.text[stored.lead :]
        elif stored.role and hit.text.startswith(f"{stored.role}: "):  # `Noted: a new address` has no speaker
            speaker, text = stored.role, hit.text[len(stored.role) + 2 :]
    if hit.memory_type is MemoryType.MESSAGE:
        text = own_text(text)
    elif kind_of(hit) == ACTION and not text.casefold().count((by := str(hit.metadata.get(ATTRIBUTED_TO))).casefold()):
        speaker = by  # what an agent did must not pass for what the user did
    return Evidence(
        hit=hit,
        rank=place,
        speaker=label(speaker) or ("unknown" if speaker else ""),
        text=one_line(text),
        said=hit.created_at,
        position=position,
        trust=_trust(hit, stored),
    )


def _trust(hit: MemoryHit, stored: StoredMemory | None) -> Trust:
    """Tell how far it is trusted; of turns that release 0.1.0 stored, their role tells."""
    if hit.trust is None and stored is not None and stored.role and hit.memory_type is MemoryType.MESSAGE:
        return by_role(stored.role)
    return level_of(hit)


def _is_of_a_person(item: Evidence, stored: StoredMemory | None) -> bool:
    """Tell whether a named speaker said it in the role of the assistant: of two people in a chat one has that role."""
    if item.trust != "assistant":
        return False
    if item.hit.memory_type is MemoryType.MESSAGE:
        return stored is not None and bool(stored.speaker) and by_role(stored.speaker or "") == "external"
    return item.hit.extractor is not None and SAID_BY in item.hit.metadata


def _source(item: Evidence, known: Collection[str]) -> str:
    """Where it comes from, in a few words; empty if it is the user, or the speaker's name or role says so."""
    if not item.verified:
        return source_of(item.trust, verified=False)
    named = item.speaker in known or by_role(item.speaker) == "assistant"
    return "" if item.trust == "user" or (item.trust == "assistant" and named) else source_of(item.trust, verified=True)


def _dates(hit: MemoryHit, said: datetime, zone: str) -> tuple[str, str]:
    """When it happened, if that is not the day on which it was said; and until when it holds."""
    event = _event(hit, zone)
    until = "" if hit.valid_to is None else _day(hit.valid_to, zone)
    return ("" if event == _day(said, zone) else event), until


def _outdated(facts: Sequence[MemoryRecord], said: Mapping[str, datetime], zone: str) -> str:
    """Return since when facts that a turn gave no longer hold, and which."""
    told = []
    for record in facts:
        since = said.get(record.superseded_by or "") or record.valid_to
        if since is not None:
            told.append(f"since {_day(since, zone)}: {one_line(record.text)[:_MAX_OUTDATED]}")
    return "; ".join(dict.fromkeys(told))


def _event(hit: MemoryHit, zone: str) -> str:
    """When it happened, no more exact than it is known."""
    if hit.event_date is None:
        return ""
    moment = hit.event_date.astimezone(UTC)
    midnight = (moment.hour, moment.minute, moment.second, moment.microsecond) == (0, 0, 0, 0)
    day = moment.date().isoformat() if midnight else _day(moment, zone)  # a date without a time is the same everywhere
    precision = hit.event_precision or hit.metadata.get(PRECISION)
    units = {"year": 4, "month": 7}
    if precision == "around" or (precision == "week" and moment.weekday()):  # a week is known by its Monday
        return f"about {day}"
    shown = f"week of {day}" if precision == "week" else day[: units.get(precision or "", 10)]
    if hit.event_end is None:
        return shown
    end = hit.event_end.astimezone(UTC).date().isoformat() if midnight else _day(hit.event_end, zone)
    return f"{shown} to {end[: units.get(precision or '', 10)]}"


def _day(moment: datetime, zone: str) -> str:
    return local(moment, zone).date().isoformat()


def said_day(item: Evidence, zone: str) -> str:
    """The day on which it was said or stored, as `YYYY-MM-DD` in that zone."""
    return _day(item.said, zone)


def shortened(item: Evidence, query: str, most: int) -> Evidence:
    """The evidence with the passage of its text that says most about the query, if it is longer than that.

    Args:
        item: The evidence.
        query: What is sought.
        most: Characters of the text, at least 1.
    """
    if len(item.text) <= most:
        return item
    passage = best_passage(item.text, query, most)
    return msgspec.structs.replace(item, text=passage.shown(item.text), cut=True)


def trimmed(item: Evidence) -> Evidence | None:
    """The evidence without the small talk around it; None if a turn is nothing else."""
    if item.names is None:
        return item
    text = without_small_talk(item.text, item.names)
    return msgspec.structs.replace(item, text=text) if text else None


def in_order_of_time(found: Iterable[Evidence]) -> list[Evidence]:
    """By the time at which it was said; turns of one moment by their order in the session."""
    return sorted(found, key=lambda item: (item.said, item.position or 0, item.hit.id))


_ASKS_WHEN = re.compile(
    r"\b(?:when|how long|since|until|(?:what|which) (?:day|date|week|month|year|time)|wann|seit|wie lange"
    r"|welche[mnrs]? (?:tag|datum|woche|monat|jahr)|quand|depuis|cu[aá]ndo|desde|quando|wanneer|kiedy|când|когда"
    r"|ne zaman|πότε|מתי)\b|متى|什么时候|何时|哪天|几号|いつ|何日|언제|며칠|เมื่อไ|कब",
    re.IGNORECASE,
)


def asks_when(query: str) -> bool:
    """Tell whether a query asks for a time, in the commonest languages."""
    return _ASKS_WHEN.search(query) is not None


def with_days_meant(item: Evidence, zone: str) -> Evidence:
    """A turn in which words like `two weeks ago` are followed by the date that they mean, from when it was said."""
    if item.names is None:
        return item
    text, day = item.text, local(item.said, zone).date()
    for each in reversed(find_relative(text, day)):
        if each.period is not None:
            text = f"{text[: each.end]} [= {_period(each.period)}]{text[each.end :]}"
    return item if text == item.text else msgspec.structs.replace(item, text=text)


def _period(period: Period) -> str:
    day = period.value.isoformat()
    if period.precision in ("year", "month"):
        return day[:4] if period.precision == "year" else day[:7]
    named = {"week": "week of ", "weekend": "weekend of ", "around": "about "}
    return named.get(period.precision, "") + day
