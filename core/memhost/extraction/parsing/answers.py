"""Reads a model's answer item by item: good ones become drafts, the others are counted with a reason."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from memhost.extraction.kinds import SUBJECT
from memhost.extraction.parsing import loose_json
from memhost.extraction.parsing.placeholders import is_form, says_nothing
from memhost.extraction.parsing.recovery import ABOUT, MAX_ITEMS, Group, find_items
from memhost.extraction.parsing.replies import apologises
from memhost.extraction.temporal.said_dates import read_date
from memhost.models import MemoryType
from memhost.ports import Draft, Relation
from memhost.text.unicode_forms import normal_form

MIN_TEXT, MAX_TEXT = 3, 1000
"""Characters of a memory's text; two are enough in scripts that write words with one or two."""

MAX_PARTS = 20
"""Memories that one over-long text is divided into."""

PRECISION = "event_date_precision"
"""Metadata key in which earlier versions kept how exact an `event_date` is: `day`, `weekend`, `week`, `around`, `month`
or `year`. Memories have `event_precision` instead."""

MAX_TAG, MAX_ENTITIES = 100, 20
"""Characters of a topic or entity; entities of an item."""

_TYPES = {
    "semantic": MemoryType.SEMANTIC,
    "fact": MemoryType.SEMANTIC,
    "preference": MemoryType.SEMANTIC,
    "episodic": MemoryType.EPISODIC,
    "episode": MemoryType.EPISODIC,
    "event": MemoryType.EPISODIC,
}
_SOURCE_KEYS = ("lines", "source_message_ids", "source_ids")
_RELATION_KEYS = ("relation", "action", "known")
_RELATIONS: dict[Relation, tuple[str, ...]] = {
    "corrects": ("correct",),
    "replaces": ("replac", "supersed", "updat"),
    "same": ("same", "repeat", "duplicat", "already"),
    "adds": ("add", "extend", "detail", "refine"),
}
_WHOLE = re.compile(r"(?<![\d.])\d{1,6}(?![\d.])")
_NO_VALUE = frozenset({"", "null", "none", "n/a", "unknown"})
_SURROGATES = re.compile("[\x00\ud800-\udfff]")
_WORD = re.compile(r"\w+")
_ARTICLES = frozenset(
    ("a", "an", "the", "der", "die", "das", "ein", "eine", "le", "la", "les", "un", "une", "el", "los", "las")
)
_NUMBER = re.compile(r"(\d+(?:[.,]\d+)?) ?(?:(%|percent\b)|/ ?(\d+)|)", re.IGNORECASE)
_SURE = {
    "certain": 1.0,
    "very high": 0.95,
    "high": 0.9,
    "sure": 0.9,
    "likely": 0.7,
    "medium": 0.6,
    "moderate": 0.6,
    "low": 0.3,
    "very low": 0.1,
    "none": 0.0,
    "hoch": 0.9,
    "mittel": 0.6,
    "niedrig": 0.3,
    "alta": 0.9,
    "alto": 0.9,
    "media": 0.6,
    "baja": 0.3,
    "bassa": 0.3,
    "baixa": 0.3,
    "haute": 0.9,
    "élevée": 0.9,
    "moyenne": 0.6,
    "faible": 0.3,
    "высокая": 0.9,
    "средняя": 0.6,
    "низкая": 0.3,
    "高": 0.9,
    "中": 0.6,
    "低": 0.3,
}
_LIST_SIGNS = re.compile(r"[,;|\n、，；]")
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])|\n+")


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of an answer.

    Attributes:
        sent: Ids of the messages that were sent, in the order of their lines.
        known: Ids of the known memories, in the order of their numbers.
        now: The current time.
        max_topics: Most topics of an item.
        max_text: Most characters of a text; a longer one is divided.
        frame: What the prompt says beside the conversation, by `placeholders.plain_words`: no memory.
    """

    sent: Sequence[str]
    now: datetime
    known: Sequence[str] = ()
    max_topics: int = 3
    max_text: int = MAX_TEXT
    frame: str = ""


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
    """The memories of an answer. Never raises, whatever the model wrote.

    Of several lists, as drafts and examples before the answer are, the last one that holds a memory counts.
    """
    found = find_items(answer)
    if found.problem is not None:
        return Reading(problem=found.problem)
    readings = [(group, _read_group(group, limits)) for group in found.groups]
    last_group, last = readings[-1]
    for _group, reading in reversed(readings):
        if reading.items:
            if reading is not last and last_group.named and not last_group.items:
                return Reading(problem="The answer contains several lists, and the last one is empty.")
            return reading
    return next((reading for _, reading in reversed(readings) if reading.faults), last)


def _read_group(group: Group, limits: Limits) -> Reading:
    items: list[Item] = []
    dropped = []
    faults = 0
    for number, raw in enumerate(group.items[:MAX_ITEMS], 1):
        result = _read_item(raw, limits)
        if isinstance(result, str):
            dropped.append(f"Item {number}: {result}.")
            faults += not _is_blank(raw)
            continue
        items += result
        if len(result) > 1:
            dropped.append(
                f"Item {number}: its {len(raw['text'])} characters were divided; at most {MAX_PARTS} parts are kept."
            )
        if result[0].draft.event_date is None and _says_something(raw.get("event_date")):
            dropped.append(f"Item {number}: its event_date is not a valid date; the memory was kept without it.")
        if unknown := _unknown(raw, limits):
            dropped.append(f"Item {number}: there is no {unknown}; the memory was kept without it.")
    if len(group.items) > MAX_ITEMS:
        dropped.append(f"{len(group.items) - MAX_ITEMS} items beyond the {MAX_ITEMS} that are read.")
    merged = merge_items(items)
    if len(merged) < len(items):
        dropped.append(f"{len(items) - len(merged)} duplicate items were merged.")
    return Reading(items=merged, dropped=dropped, cut=group.cut, faults=faults)


def read_tags(value: Any, most: int) -> list[str]:
    """The strings of a list (or of a lone text, divided at its commas), cleaned, each once whatever its case.

    Args:
        value: What the model gave.
        most: Most tags.
    """
    tags = (" ".join(clean(each).split()) for each in _strings(value))
    return unique_tags(tag for tag in tags if 0 < len(tag) <= MAX_TAG and not says_nothing(tag))[:most]


def _strings(value: Any) -> list[str]:
    """The strings of a list; of objects their name; of a lone text its parts."""
    if isinstance(value, str):
        if value.lstrip().startswith("["):
            found = loose_json.decode_at(value.lstrip(), 0)
            inner = found[0] if found is not None else loose_json.mend(value.strip())
            if isinstance(inner, list):
                return _strings(inner)
        return _LIST_SIGNS.split(value)
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return []
    named = (next(iter(each.values()), None) if isinstance(each, dict) else each for each in value)
    return [each for each in named if isinstance(each, str)]


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


def _read_item(raw: Any, limits: Limits) -> list[Item] | str:
    """The item, in several parts if its text is too long; or why it is left out."""
    if not isinstance(raw, dict):
        return "it is not an object"
    text = raw.get("text")
    if not isinstance(text, str):
        return "its text is not a string"
    text = clean(text)
    if len(text) < _least(text):
        return "its text is blank or too short"
    if says_nothing(text):
        return "its text says that there is nothing"
    if apologises(text):
        return "its text is an excuse, not a memory"
    if is_form(raw, text, limits.frame):
        return "its text is the requested form itself, not a memory"
    kind = raw.get("type", raw.get("memory_type", raw.get("kind")))
    kind = kind.strip().lower() if isinstance(kind, str) else ""
    date = raw.get("event_date", raw.get("date"))
    when = read_date(date, raw.get("event_end", raw.get("end_date")))
    subject = read_tags(raw.get("subject"), 1)
    relation, known = read_relation(raw, limits.known)

    def draft(part: str) -> Draft:
        return Draft(
            text=part,
            memory_type=_TYPES.get(kind, MemoryType.SEMANTIC),
            topics=read_tags(raw.get("topics"), limits.max_topics),
            entities=read_tags(raw.get("entities"), MAX_ENTITIES),
            event_date=None if when is None else when.start,
            event_end=None if when is None else when.end,
            event_precision=None if when is None else when.precision,
            metadata={SUBJECT: subject[0].casefold()} if subject else {},
            source_ids=_sources(raw, limits.sent),
            confidence=_confidence(raw.get("confidence")),
            relation=relation,
            known=list(known),
        )

    return [Item(draft=draft(part), raw=raw) for part in divide(text[: MAX_PARTS * limits.max_text], limits.max_text)]


def _least(text: str) -> int:
    """Characters that a text needs: two where words may have one letter (Chinese, Japanese, Korean)."""
    return 2 if any("\u2e80" <= letter <= "\ud7ff" for letter in text) else MIN_TEXT


def divide(text: str, most: int) -> list[str]:
    """The text in parts of at most `most` characters: cut between sentences, else between words, else anywhere."""
    if len(text) <= most:
        return [text]
    parts = [""]
    for sentence in _SENTENCE_END.split(text):
        rest = sentence.strip()
        while len(rest) > most:
            end = rest.rfind(" ", 1, most + 1)
            end = end if end > 0 else most
            parts += [rest[:end].strip(), ""]
            rest = rest[end:].strip()
        if len(parts[-1]) + 1 + len(rest) <= most:
            parts[-1] = f"{parts[-1]} {rest}".strip()
        else:
            parts.append(rest)
    return [part for part in parts if part]


def read_relation(raw: Mapping[str, Any], known: Sequence[str]) -> tuple[Relation | None, list[str]]:
    """Return what an item says that it is to known memories: the relation, and their ids.

    Models write `"known": "replaces 2"`, but also an object, or keys of their own (`"action": "replaces", "known": 2`).
    None where nothing is said, or a memory is named that there is not.
    """
    said = [raw.get(key) for key in _RELATION_KEYS]
    text = json.dumps([each for each in said if each is not None], ensure_ascii=False, default=str).lower()
    found = next((relation for relation, words in _RELATIONS.items() if any(word in text for word in words)), None)
    numbers = list(dict.fromkeys(int(number) for number in _WHOLE.findall(text)))
    if not numbers:
        return ("new" if "new" in text or found == "adds" else None), []
    ids = [known[number - 1] for number in numbers if 1 <= number <= len(known)]
    return (found, ids) if found is not None and len(ids) == len(numbers) else (None, [])


def _unknown(raw: Mapping[str, Any], limits: Limits) -> str:
    """Return what an item names that there is not; empty if nothing."""
    key, value = _cited(raw)
    if missing := [part for part in _parts(value, limits.sent) if not _source(part, key, limits.sent)]:
        return f"message {', '.join(missing)[:200]}"
    numbers = _WHOLE.findall(str(raw.get("known") or ""))
    if missing := [number for number in numbers if not 1 <= int(number) <= len(limits.known)]:
        return f"known memory {', '.join(missing)[:200]}"
    return ""


def _cited(raw: Mapping[str, Any]) -> tuple[str, Any]:
    """The key by which an item names its sources (numbers of lines, or ids of messages), and what it says."""
    return next(((key, raw[key]) for key in _SOURCE_KEYS if raw.get(key) is not None), ("", None))


def _sources(raw: Mapping[str, Any], sent: Sequence[str]) -> list[str]:
    """The ids of the messages that an item names; of the only one that was asked about, if it names none of them."""
    key, value = _cited(raw)
    parts = _parts(value, sent)
    found = [name for part in parts if (name := _source(part, key, sent))]
    return list(dict.fromkeys(found if found or len(sent) != 1 else sent))


def _parts(value: Any, sent: Sequence[str]) -> list[str]:
    """The ids and numbers of a value, apart."""
    values = value if isinstance(value, list) else [value]
    names = [str(each) for each in values if isinstance(each, (str, int)) and not isinstance(each, bool)]
    parts = [part for each in names for part in ([each] if each in sent else _LIST_SIGNS.split(each.strip("[] ")))]
    return [part for part in parts if part.strip(" \t\"'")]


def _source(part: str, key: str, sent: Sequence[str]) -> str:
    """The id that a part means: that of the line with this number, or itself; empty if there is none."""
    bare = part.strip(" \t\"'")
    number = bare.lstrip("n#")
    line = sent[int(number) - 1] if _WHOLE.fullmatch(number) and 1 <= int(number) <= len(sent) else ""
    name = next((each for each in (part, bare) if each in sent), "")
    return (line or name) if key == "lines" else (name or line)


def _confidence(value: Any) -> float | None:
    if isinstance(value, str):
        return _confidence_in_words(value.strip().lower())
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if isinstance(value, float) and math.isnan(value):
        return None
    return float(min(1, max(0, value)))


def _confidence_in_words(text: str) -> float | None:
    """`0.9`, `0,9`, `90%`, `9/10`, `high`; None for anything else."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        return _SURE.get(text)
    number = float(match[1].replace(",", "."))
    if match[2]:
        number /= 100
    elif match[3]:
        number = number / float(match[3]) if float(match[3]) else 0.0
    return min(1.0, number)


def _says_something(value: Any) -> bool:
    return value is not None and not (isinstance(value, str) and value.strip().lower() in _NO_VALUE)


def _is_blank(raw: Any) -> bool:
    """An empty item is a way to say that there is nothing."""
    if not isinstance(raw, dict):
        return raw is None
    text = raw.get("text")
    if "text" not in raw and any(
        isinstance(each, (str, list, dict)) and each for key, each in raw.items() if key not in ABOUT
    ):
        return False  # it says something, under names that nobody knows
    return not _says_something(text) or (isinstance(text, str) and says_nothing(text))


def _mark(draft: Draft) -> tuple[str, ...]:
    """Equal for texts that differ in case, punctuation, spacing and articles only."""
    words = _WORD.findall(normal_form("NFKC", draft.text).casefold())
    return tuple(word for word in words if word not in _ARTICLES) or (draft.text,)


def _join(first: Draft, other: Draft) -> None:
    first.topics = unique_tags([*first.topics, *other.topics])
    first.entities = unique_tags([*first.entities, *other.entities])[:MAX_ENTITIES]
    first.source_ids = list(dict.fromkeys([*first.source_ids, *other.source_ids]))
    if first.event_date is None:
        first.event_date, first.event_end = other.event_date, other.event_end
        first.event_precision = other.event_precision
    first.valid_from = first.valid_from or other.valid_from
    first.valid_to = first.valid_to or other.valid_to
    first.metadata = {**other.metadata, **first.metadata}
    sure = [each for each in (first.confidence, other.confidence) if each is not None]
    first.confidence = max(sure) if sure else None
