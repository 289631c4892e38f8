"""Puts the dates that code can compute into drafts: relative words in texts, and the dates of events."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time

from memhost.extraction.dates import Period, find_relative, replace_relative
from memhost.extraction.times import local
from memhost.models import MemoryType, Message
from memhost.ports import Draft, ExtractionContext, Turn

_ABSOLUTE = re.compile(
    r"\b(?:19|20)\d\d\b|\b\d{1,2}[./]\d{1,2}\b|\b\d{1,2}(?:st|nd|rd|th)\b|"
    r"\b(?:jan(?:uary|uar|vier)?|feb(?:ruary|ruar)?|février|march|märz|mars|marzo|april|avril|abril|may|mai|mayo|june?|juin"
    r"|juni|junio|july?|juillet|juli|julio|aug(?:ust)?|août|agosto|sept(?:ember|embre|iembre)?|oct(?:ober|obre|ubre)?"
    r"|okt(?:ober)?|nov(?:ember|embre|iembre)?|dec(?:ember)?|dez(?:ember)?|décembre|diciembre|enero|febrero|"
    r"(?:mon|tues|wednes|thurs|fri|satur|sun)day|montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag|lundi|mardi"
    r"|mercredi|jeudi|vendredi|samedi|dimanche|lunes|martes|miércoles|jueves|viernes|sábado|domingo)\b",
    re.IGNORECASE,
)

_LONGEST = 20_000
"""Characters of a message that is searched; in a longer one no expression is the only one."""


def date_draft(draft: Draft, turns: Sequence[Turn], context: ExtractionContext) -> Draft:
    """The draft with what can be computed from the times of its sources.

    Relative words in its text become dates if all its sources (all turns, where it names none) were said on one day.
    An event gets the date of the one relative expression in its only source, if that source names no other date: it
    wins over another date of the model's, which may stay only inside the period that was said.
    """
    sources = _sources(draft, turns)
    days = {local(message.created_at, context.timezone).date() for message in sources}
    if len(days) != 1:
        return draft
    (today,) = days
    draft.text = replace_relative(draft.text, today)
    if draft.memory_type is MemoryType.EPISODIC and len(sources) == 1 and draft.source_ids:
        period = said_date(sources[0].content, today)
        if period is not None:
            _settle(draft, period, context.timezone)
    return draft


def said_date(text: str, today: date) -> Period | None:
    """What the text says by its one relative expression; None if there is none, several, or another date beside it."""
    if len(text) > _LONGEST:
        return None
    found = find_relative(text, today)
    if len(found) != 1:
        return None
    rest = text[: found[0].start] + " " + text[found[0].end :]
    return None if _ABSOLUTE.search(rest) else found[0].period


def _settle(draft: Draft, period: Period, zone: str) -> None:
    before = draft.event_date
    if before is not None:
        day = before.date() if before.timetz() == time(tzinfo=UTC) else local(before, zone).date()
        if period.first <= day <= period.last:
            return
        draft.text = draft.text.replace(day.isoformat(), period.value.isoformat())
    draft.event_date = datetime.combine(period.value, time(), UTC)


def _sources(draft: Draft, turns: Sequence[Turn]) -> list[Message]:
    named = set(draft.source_ids)
    return [turn.message for turn in turns if not named or turn.message.id in named]
