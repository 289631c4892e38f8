"""Fills in when an event happened, where the model left it out and the words of the message tell."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

from memhost.models import EventPrecision, MemoryType, Message
from memhost.ports import Draft, ExtractionContext, Turn
from memhost.text.temporal.dates import ABSOLUTE, Period, Precision, find_relative, said_date
from memhost.text.temporal.languages import common_words, languages_of
from memhost.text.temporal.times import local
from memhost.text.temporal.written import find_written

logger = logging.getLogger(__name__)

SAID_ON = "said_on"
"""Metadata key: the day (`YYYY-MM-DD`) on which it was said, of memories whose text keeps a relative expression."""

_UNITS: dict[Precision, EventPrecision] = {
    "day": "day",
    "weekend": "day",
    "week": "week",
    "around": "week",
    "month": "month",
    "year": "year",
}
"""Units to which periods are exact; a date that is right but for some days is right to the week."""

_LAST_YEAR = timedelta(days=366)
"""Time before what was said in which a month or a day without a year lies."""

_LONGEST = 20_000
"""Characters of a text that is searched; in a longer one no expression is the only one."""

_SENTENCE = re.compile(r"[^.!?\n。！？]+")
_WORD = re.compile(r"[^\W_]+")
_LIGHT = frozenset(
    """
    user i'm i've finally just really actually also then so too got get getting again only still already well oh yes no
    some any us me them these those
    nutzer endlich gerade wirklich auch dann ja nein schon noch halt
    l'utilisateur utilisateur enfin vraiment aussi alors oui non déjà encore
    usuario por fin también entonces sí ya todavía
    utente finalmente anche allora già ancora usuário finalmente também então já ainda
    пользователь я мы мне мой моя наконец тоже уже ещё и в на с к по у был была
    """.split()  # noqa: SIM905
)
_LIGHT_SIGNS = frozenset("我了的是在去有和也都就你他她们私僕俺用户日今昨明前后天")
_ENOUGH_SIGNS = 0.7


def date_draft(draft: Draft, turns: Sequence[Turn], context: ExtractionContext) -> Draft:
    """The draft with the date of its event, if it had none and one can be told; its text stays as it is.

    The date comes from the one relative expression of its text, if a source says the same, or else of the sentence in
    its only source that says just this. Where the model gave another date its own stays, and the log tells of it.
    """
    if draft.event_date is None:
        draft.event_end = draft.event_precision = None
    sources = _sources(draft, turns)
    days = {local(message.created_at, context.timezone).date() for message in sources}
    if len(days) != 1 or len(draft.text) > _LONGEST:
        return draft
    (today,) = days
    own = find_relative(draft.text, today)
    if own:
        draft.metadata[SAID_ON] = today.isoformat()
    if draft.memory_type is not MemoryType.EPISODIC:
        return draft
    period = _of_text(draft.text, sources, today) if own else _of_source(draft, sources, today)
    if period is None:
        return draft
    if draft.event_date is None:
        draft.event_date = datetime.combine(period.value, time(), UTC)
        draft.event_precision = _UNITS[period.precision]
        if period.precision == "weekend":
            draft.event_end = datetime.combine(period.last, time(), UTC)
    elif not _is_within(draft.event_date, period, context.timezone):
        fields = {"session": context.session.session, "model": draft.event_date.date().isoformat()}
        logger.info("extraction.date_differs", extra={"fields": {**fields, "rule": period.value.isoformat()}})
    return draft


def since_when(draft: Draft, context: ExtractionContext) -> Draft:
    """A fact with the date that it was given as its beginning (`valid_from`), if that is a day before it was said.

    A date to come and a span are those of what the fact tells of, and stay. A year that neither the text nor a source
    says, and that does not follow from the calendar ("since March"), is none that was said, and goes, as the day on
    which it was said does.
    """
    when, span = draft.event_date, draft.event_end is not None
    if draft.memory_type is not MemoryType.SEMANTIC or when is None:
        return draft
    sources = [message for message in context.messages if message.id in set(draft.source_ids)]
    said = [message.created_at for message in sources] or [context.now]
    today = {local(moment, context.timezone).date() for moment in said}
    told = any(str(when.year) in text for text in (draft.text, *(message.content for message in sources)))
    day = _day(when, context.timezone)
    if timedelta() < min(today) - day < _LAST_YEAR:
        texts = (draft.text, *(message.content for message in sources))
        told = told or any(_leads_to(text, day, min(today)) for text in texts)
    if not told or (day in today and not span):
        draft.event_date = draft.event_end = draft.event_precision = None
    elif not span and day < min(today):
        draft.valid_from = draft.valid_from or when
        draft.event_date = draft.event_precision = None
    return draft


def _leads_to(text: str, day: date, today: date) -> bool:
    """Tell whether a text names the month of a day, or counts to it: since March, since last Monday."""
    text = text[:_LONGEST]
    named = any(each.date[1] == day.month and each.date[2] in (0, day.day) for each in find_written(text))
    periods = [each.period for each in find_relative(text, today) if each.period is not None]
    return named or any(period.first <= day <= period.last for period in periods)


def is_dated(draft: Draft) -> bool:
    """Tell whether the draft has a date: that of the event, since when it holds, or one in the text."""
    return draft.event_date is not None or draft.valid_from is not None or ABSOLUTE.search(draft.text) is not None


def _of_text(text: str, sources: Sequence[Message], today: date) -> Period | None:
    """The date of the text's own expression, if a source says it as well."""
    period = said_date(text, today)
    said = (each.period for message in sources for each in find_relative(message.content[:_LONGEST], today))
    return period if period is not None and period in said else None


def _of_source(draft: Draft, sources: Sequence[Message], today: date) -> Period | None:
    """The date of the only source's one expression, if its sentence says nothing but what the draft says."""
    if len(sources) != 1:
        return None
    content = sources[0].content
    if len(content) > _LONGEST or len(found := find_relative(content, today)) != 1:
        return None
    (only,) = found
    sentence = next((each for each in _SENTENCE.finditer(content) if each.start() <= only.start < each.end()), None)
    if sentence is None:
        return None
    rest = content[sentence.start() : only.start] + " " + content[only.end : sentence.end()]
    return said_date(content, today) if _covers(draft.text, rest) else None


def _covers(text: str, said: str) -> bool:
    """Tell whether the text has all meaningful words of what was said, in whatever form.

    So a date is not taken from a sentence that tells of something else as well: "Yesterday I booked the hall for the
    party" dates the booking and not the party.
    """
    signs = [sign for sign in said if "\u2e80" <= sign <= "\ud7ff" and not "\u3040" <= sign <= "\u309f"]
    heavy = [sign for sign in signs if sign not in _LIGHT_SIGNS]
    if signs:
        return bool(heavy) and sum(sign in text for sign in heavy) >= _ENOUGH_SIGNS * len(heavy)
    common = frozenset().union(_LIGHT, *(common_words(language) for language in languages_of(said)))
    words = _WORD.findall(said.lower())
    wanted = [word for word in words if word not in common and len(word) > 1] or words
    given = _WORD.findall(text.lower())
    return bool(wanted) and all(any(_is_form_of(word, other) for other in given) for word in wanted)


def _is_form_of(word: str, other: str) -> bool:
    """Tell whether two words begin alike: all of a short one but its last letter, two thirds of a long one."""
    shared = next((index for index, pair in enumerate(zip(word, other, strict=False)) if pair[0] != pair[1]), None)
    shared = min(len(word), len(other)) if shared is None else shared
    shorter = min(len(word), len(other))
    return shared >= max(2, shorter - 1 if shorter < 6 else -(-2 * shorter // 3))


def _is_within(moment: datetime, period: Period, zone: str) -> bool:
    return period.first <= _day(moment, zone) <= period.last


def _day(moment: datetime, zone: str) -> date:
    """The day of a time; of a date without a time of day, which is midnight in UTC, that date."""
    return moment.date() if moment.timetz() == time(tzinfo=UTC) else local(moment, zone).date()


def _sources(draft: Draft, turns: Sequence[Turn]) -> list[Message]:
    named = set(draft.source_ids)
    return [turn.message for turn in turns if not named or turn.message.id in named]
