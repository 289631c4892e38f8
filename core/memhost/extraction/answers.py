"""Reads a model's answer item by item: good ones become drafts, the others are counted with a reason."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from memhost.extraction.recovery import MAX_ITEMS, find_items
from memhost.models import MemoryType
from memhost.ports import Draft
from memhost.unicode_forms import normal_form

MIN_TEXT, MAX_TEXT = 3, 1000
"""Characters of a memory's text."""

MAX_TAG, MAX_ENTITIES = 100, 20
"""Characters of a topic or entity; entities of an item."""

_FURTHEST = timedelta(days=3653)
_TYPES = {
    "semantic": MemoryType.SEMANTIC,
    "fact": MemoryType.SEMANTIC,
    "preference": MemoryType.SEMANTIC,
    "episodic": MemoryType.EPISODIC,
    "episode": MemoryType.EPISODIC,
    "event": MemoryType.EPISODIC,
}
_NO_VALUE = frozenset({"", "null", "none", "n/a", "unknown"})
_SURROGATES = re.compile("[\x00\ud800-\udfff]")
_WORD = re.compile(r"\w+")
_ARTICLES = frozenset(
    ("a", "an", "the", "der", "die", "das", "ein", "eine", "le", "la", "les", "un", "une", "el", "los", "las")
)
_PARTIAL = re.compile(r"(\d{4})(?:-(\d{2}))?")


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer may hold.

    Attributes:
        sent: Ids of the messages that were sent.
        now: The current time; dates more than ten years after it are refused.
        max_topics: Most topics of an item.
        max_text: Most characters of a text.
    """

    sent: frozenset[str]
    now: datetime
    max_topics: int = 3
    max_text: int = MAX_TEXT


class Item(msgspec.Struct, kw_only=True):
    """A draft, and the object of the answer it came from (for keys that only one strategy knows)."""

    draft: Draft
    raw: dict[str, Any]


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """An answer as read.

    Attributes:
        items: What is good, each once.
        dropped: Why other items were left out or changed, a sentence each.
        problem: Why nothing could be read at all; None if something could.
        cut: The answer ended in the middle.
        faults: How many items said something that could not be used (blank ones say nothing).
    """

    items: list[Item] = []
    dropped: list[str] = []
    problem: str | None = None
    cut: bool = False
    faults: int = 0


def read_answer(answer: str, limits: Limits) -> Reading:
    """The memories of an answer. Never raises, whatever the model wrote."""
    found = find_items(answer)
    if found.problem is not None:
        return Reading(problem=found.problem)
    items: list[Item] = []
    dropped = []
    faults = 0
    for number, raw in enumerate(found.items, 1):
        result = _read_item(raw, limits)
        if isinstance(result, Item):
            items.append(result)
            if result.draft.event_date is None and _says_something(raw.get("event_date")):
                dropped.append(f"Item {number}: its event_date is no date that can be kept; kept without it.")
        else:
            dropped.append(f"Item {number}: {result}.")
            faults += not _is_blank(raw)
    if found.beyond:
        dropped.append(f"{found.beyond} items beyond the {MAX_ITEMS} that are read.")
    merged = merge_items(items)
    if len(merged) < len(items):
        dropped.append(f"{len(items) - len(merged)} items that repeat others were merged with them.")
    return Reading(items=merged, dropped=dropped, cut=found.cut, faults=faults)


def read_date(value: Any, now: datetime) -> datetime | None:
    """The time that an item's `event_date` says, in UTC; None where it says none that can be kept.

    ISO 8601 (without a zone: UTC), or `YYYY-MM`, `YYYY`; nothing more than ten years after `now`.
    """
    if not isinstance(value, str):
        return None
    text = value.strip()
    try:
        if partial := _PARTIAL.fullmatch(text):
            moment = datetime(int(partial[1]), int(partial[2] or 1), 1, tzinfo=UTC)
        else:
            moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        return moment if moment - now <= _FURTHEST else None
    except (ValueError, OverflowError):
        return None


def read_tags(value: Any, most: int) -> list[str]:
    """The strings of a list (or a lone one), cleaned, each once whatever its case, at most `most`."""
    values = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    tags = (" ".join(clean(each).split()) for each in values if isinstance(each, str))
    return unique_tags(tag for tag in tags if 0 < len(tag) <= MAX_TAG)[:most]


def unique_tags(tags: Iterable[str]) -> list[str]:
    """The tags in order, each once whatever its case."""
    found: dict[str, str] = {}
    for tag in tags:
        found.setdefault(tag.casefold(), tag)
    return list(found.values())


def clean(text: str) -> str:
    """The text without what cannot be stored or shown (lone surrogates, NUL), trimmed."""
    return _SURROGATES.sub("", text).strip()


def merge_items(items: Iterable[Item]) -> list[Item]:
    """The items in order, those of nearly identical texts merged into the first of them."""
    kept: dict[tuple[str, ...], Item] = {}
    for item in items:
        mark = _mark(item.draft)
        if mark in kept:
            _join(kept[mark].draft, item.draft)
        else:
            kept[mark] = item
    return list(kept.values())


def merge_drafts(drafts: Iterable[Draft]) -> list[Draft]:
    """As `merge_items`, for drafts."""
    return [item.draft for item in merge_items(Item(draft=draft, raw={}) for draft in drafts)]


def _read_item(raw: Any, limits: Limits) -> Item | str:
    if not isinstance(raw, dict):
        return "it is not an object"
    text = raw.get("text")
    if not isinstance(text, str):
        return "its text is not a string"
    text = clean(text)
    if len(text) < MIN_TEXT:
        return "its text is blank or too short"
    if len(text) > limits.max_text:
        return f"its text is longer than {limits.max_text} characters"
    kind = raw.get("type")
    draft = Draft(
        text=text,
        memory_type=_TYPES.get(kind.strip().lower(), MemoryType.SEMANTIC)
        if isinstance(kind, str)
        else MemoryType.SEMANTIC,
        topics=read_tags(raw.get("topics"), limits.max_topics),
        entities=read_tags(raw.get("entities"), MAX_ENTITIES),
        event_date=read_date(raw.get("event_date"), limits.now),
        source_ids=_sources(raw.get("source_message_ids"), limits.sent),
        confidence=_confidence(raw.get("confidence")),
    )
    return Item(draft=draft, raw=raw)


def _sources(value: Any, sent: frozenset[str]) -> list[str]:
    values = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return list(dict.fromkeys(each for each in values if isinstance(each, str) and each in sent))


def _confidence(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if isinstance(value, float) and math.isnan(value):
        return None
    return float(min(1, max(0, value)))


def _says_something(value: Any) -> bool:
    return value is not None and not (isinstance(value, str) and value.strip().lower() in _NO_VALUE)


def _is_blank(raw: Any) -> bool:
    """An empty item is a way to say that there is nothing."""
    return raw is None or (isinstance(raw, dict) and not _says_something(raw.get("text")))


def _mark(draft: Draft) -> tuple[str, ...]:
    """Equal for texts that differ in case, punctuation, spacing and articles only."""
    words = _WORD.findall(normal_form("NFKC", draft.text).casefold())
    return tuple(word for word in words if word not in _ARTICLES) or (draft.text,)


def _join(first: Draft, other: Draft) -> None:
    first.topics = unique_tags([*first.topics, *other.topics])
    first.entities = unique_tags([*first.entities, *other.entities])[:MAX_ENTITIES]
    first.source_ids = list(dict.fromkeys([*first.source_ids, *other.source_ids]))
    first.event_date = first.event_date or other.event_date
    first.metadata = {**other.metadata, **first.metadata}
    sure = [each for each in (first.confidence, other.confidence) if each is not None]
    first.confidence = max(sure) if sure else None
