"""Finds the items in a model's answer: fenced, wrapped in prose, under other names, in broken JSON, or cut off."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from memhost.extraction.parsing import loose_json
from memhost.extraction.parsing.replies import final_part, never_ends


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


MAX_ITEMS = 50
"""Items of one answer that are read."""

MAX_LETTERS = 400_000
"""Characters of an answer that are read."""

_MAX_STARTS = 300
_MAX_MENDED = 200_000
_DEEPEST = 6

_OPENING = re.compile(r"[{\[]")
_SHOWN = re.compile(r"""\[\s*\{|\{\s*["'\w]|\{\s*\}|\[\s*\]""")
_HTML_QUOTE = re.compile(r"&(?:quot|#34|#[xX]22);")
_FRAME = r"(?:(?:[`~]{3,}+\w{0,10}+|</?[\w|:]{1,20}+>)\s*+)*+"
_APART = re.compile(
    rf"[\s,;]*+{_FRAME}(?:(?:[-*•]|(?:#{{1,6}}\s?|\*\*)?\w{{0,20}}\s?\#?\d{{1,3}}\s?[.):]?(?:\*\*)?:?)\s*+)?{_FRAME}"
)
"""Separators between pieces of one answer: nothing, a comma, the bullet or number of a list, fences and tags."""

_LABEL = re.compile(r"\w[^\n{}\[\]:*_]{0,40}")
"""A short line in front of a piece, such as `First memory:`."""

_ATTEMPT = re.compile(
    r"\b(?:drafts?|attempt|version|try|format|example|final|correct(?:ed|ion)?|wait|entwurf|beispiel)\b", re.IGNORECASE
)
"""Words in labels of drafts and examples: pieces with such a label are no parts of one list."""

_LISTS = frozenset(
    ("memories", "memory", "items", "facts", "results", "statements", "notes", "events", "preferences", "entries")
)
_TEXTS = (
    "text",
    "memory",
    "fact",
    "content",
    "statement",
    "memory_text",
    "description",
    "sentence",
    "note",
    "observation",
    "summary",
    "preference",
    "value",
)
ABOUT = _set(
    """
    type memory_type kind category topics topic tags tag entities entity event_date event_end end_date date time when
    lines known relation action confidence score importance
    source_message_ids source_ids sources source message_ids message_id id ids
    polarity subject speaker role user user_id namespace session_id language reason reasoning thought thoughts
    explanation status title name
    """
)
"""Names of what is said about a memory: never its text."""

_PARTS = frozenset(("text", "output_text", "thinking", "reasoning", "tool_use", "tool_call", "function"))
"""Types of the parts of a provider's message: their text is an answer, and no memory."""

_FIELDS = frozenset(("topics", "entities", "lines", "source_message_ids", "event_date", "confidence"))
"""Names of fields that a memory has, and that objects around memories do not have."""

_FIRST_WORD = re.compile(r"\w+")

_ROLES = frozenset(("user", "assistant", "system", "tool", "human", "model"))

_SCHEMA = frozenset(("properties", "$schema", "$defs"))


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Items that belong together: one list, or several pieces in a row.

    Attributes:
        items: The items, unchecked; those with a text have it under `text`.
        cut: The answer ends in the middle, or is broken there; `items` are those that are complete.
        named: It is a list under its name, not just empty brackets.
    """

    items: list[Any]
    cut: bool = False
    named: bool = False


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """The content of an answer.

    Attributes:
        groups: Lists of items in order, if the answer holds drafts or examples before its last word.
        problem: Why nothing could be read; None if something could.
    """

    groups: list[Group] = []
    problem: str | None = None


def find_items(answer: str) -> Found:
    """The items of an answer. Never raises."""
    text = final_part(answer[:MAX_LETTERS])
    if not text.strip():
        return Found(problem="The answer was empty.")
    if never_ends(text):
        return Found(problem="The answer ends inside the model's reasoning.")
    groups = list(_groups(text))
    if groups:
        return Found(groups=groups)
    as_html = html.unescape(text) if _HTML_QUOTE.search(text) else ""
    as_string = text.replace("\\n", "\n").replace('\\"', '"') if '{\\"' in text else ""
    for unescaped in (as_string, as_html):
        if unescaped and (groups := list(_groups(unescaped))):  # JSON inside a JSON string, or inside of HTML
            return Found(groups=groups)
    if _SHOWN.search(text):
        return Found(problem="The JSON of the answer is not complete or not valid.")
    return Found(problem="The answer contains no JSON.")


class _Piece(msgspec.Struct, frozen=True):
    start: int
    end: int
    items: list[Any]
    named: bool
    in_cut: bool
    lone: bool
    """It is one item and no list of them, so others beside it are no new draft of it."""


def _groups(text: str) -> Iterator[Group]:
    """Yield the pieces of the answer; pieces in a row together."""
    pieces = list(_pieces(text))
    first_bracket = _OPENING.search(text)
    for number, piece in enumerate(pieces):
        if not piece.items and not piece.named and (first_bracket is None or first_bracket.start() != piece.start):
            continue  # empty brackets somewhere in prose say nothing
        row = [piece]
        if number and _in_a_row(text, pieces[number - 1], piece):
            continue
        for other in pieces[number + 1 :]:
            if not _in_a_row(text, row[-1], other):
                break
            row.append(other)
        yield Group(
            items=[item for each in row for item in each.items],
            cut=any(each.in_cut for each in row),
            named=any(each.named for each in row),
        )


def _in_a_row(text: str, first: _Piece, other: _Piece) -> bool:
    between = text[first.end : other.start]
    if len(between) > 200 or _ATTEMPT.search(between):
        return False
    if _APART.fullmatch(between):
        return True
    return first.lone and other.lone and _are_alike(_label(text, first.start), _label(text, other.start))


def _label(text: str, start: int) -> list[str]:
    lines = [line.strip("#*_>-: \t") for line in text[max(0, start - 100) : start].splitlines()]
    line = next((line for line in reversed(lines) if line and line[0] not in "`~"), "")
    return line.lower().split() if _LABEL.fullmatch(line) else []


def _are_alike(one: list[str], other: list[str]) -> bool:
    """Tell whether two labels belong to one list (`First memory`, `Second memory`): they differ in one word only."""
    if len(one) != len(other) or len(one) < 2 or _ATTEMPT.search(" ".join([*one, *other])):
        return False
    return sum(a != b for a, b in zip(one, other, strict=True)) == 1


def _pieces(text: str) -> Iterator[_Piece]:
    """Objects and lists that can be read as answers, from the outside in, in order."""
    closings: loose_json.Closings | None = None
    position, mended, broken_to = 0, 0, 0
    for _ in range(_MAX_STARTS):
        opening = _OPENING.search(text, position)
        if opening is None:
            return
        start = opening.start()
        position = start + 1
        found = loose_json.decode_at(text, start)
        if found is None:
            closings = closings or loose_json.Closings(text)
            end = closings.after(start)
            value = None
            if end is not None:
                mended += end - start
                value = loose_json.mend(text[start:end]) if mended <= _MAX_MENDED else None
            if end is None or not isinstance(value, (dict, list)):
                if loose_json.looks_like_json(text[start : start + 200]):
                    broken_to = max(broken_to, end or len(text))
                continue
            found = value, end
        value, end = found
        items = items_in(value)
        cut = start < broken_to
        if items is None or (cut and isinstance(value, list) and not any(isinstance(each, dict) for each in value)):
            # Inside of an answer that is cut off or broken, a list without objects is a part of an item.
            position = end if items is None and isinstance(value, dict) and not cut else position
            continue
        position = end
        lone = isinstance(value, dict) and _as_item(value) is not None
        yield _Piece(start, end, items, _is_named(value), cut and isinstance(value, dict), lone)


def items_in(value: Any, depth: int = 0) -> list[Any] | None:
    """The items that a value holds; [] if it says that there are none, None if it is no answer."""
    if depth > _DEEPEST:
        return None
    if isinstance(value, str):
        return _items_in_text(value, depth)
    if isinstance(value, list):
        return _items_in_list(value, depth, sure=False)
    if not isinstance(value, dict) or _SCHEMA & value.keys():
        return None
    if not value:
        return []
    item = None if _is_wrapper(value) else _as_item(value)
    if item is not None:
        return [item]
    named = [each for key, each in value.items() if _plain_name(key) in _LISTS]
    if named:
        found = _union([_items_under_name(each, depth) for each in named])
        return [*_own_item(value, found), *found] if found else found
    return _items_under_other_names(value, depth)


def _own_item(value: dict[Any, Any], others: Sequence[Any]) -> list[dict[str, Any]]:
    """The memory that an object states itself beside its list of others, in a list; [] where its text is about them.

    A preface has no fields of a memory, and does not begin as the memories of the list do.
    """
    own = {name: each for key, each in value.items() if (name := _plain_name(key)) not in _LISTS}
    text = own.get("text")
    if not isinstance(text, str) or not _is_sentence(text) or _is_container(text) or text.rstrip()[-1:] in (":", "："):
        return []
    beginnings = {_beginning(other["text"]) for other in others if isinstance(other, dict) and "text" in other}
    return [own] if own.keys() & _FIELDS or _beginning(text) in beginnings - {""} else []


def _beginning(text: Any) -> str:
    """The first word, or the first two letters of a script that writes without blanks."""
    word = _FIRST_WORD.match(text) if isinstance(text, str) else None
    if word is None:
        return ""
    return word[0][:2] if word[0][0] >= "\u0e00" else word[0].casefold()


def _items_under_name(value: Any, depth: int) -> list[Any] | None:
    """Items under a key that says that they are some."""
    if value is None:
        return []
    if isinstance(value, list):
        return _items_in_list(value, depth, sure=True)
    if isinstance(value, dict) and value and not _SCHEMA & value.keys() and _as_item(value, sure=True) is None:
        if all(isinstance(each, str) and _is_sentence(each) for each in value.values()):
            return [{"text": each} for each in value.values()]
        if all(isinstance(each, dict) for each in value.values()):
            return _items_in_list(list(value.values()), depth, sure=True)
    if isinstance(value, dict):
        item = _as_item(value, sure=True)
        return [item] if item is not None else items_in(value, depth + 1)
    if isinstance(value, str):
        items = _items_in_text(value, depth)
        return [{"text": value}] if items is None and _is_sentence(value) else items
    return None


def _items_under_other_names(value: dict[Any, Any], depth: int) -> list[Any] | None:
    found = []
    for key, each in value.items():
        if _plain_name(key) in ABOUT:
            continue
        if isinstance(each, (dict, list)) or (isinstance(each, str) and each.lstrip()[:1] in ("{", "[", '"')):
            items = items_in(each, depth + 1)
            if items or (items == [] and len(value) == 1):
                found.append(items)
    return _union(found) if found else None


def _items_in_list(values: list[Any], depth: int, *, sure: bool) -> list[Any] | None:
    """Items of a list; `sure` if its name says that these are some: then strings of any kind are texts."""
    if not values:
        return []
    if all(isinstance(each, str) for each in values):
        nested = [_items_in_text(each, depth) for each in values]
        if any(nested):
            return _union(nested)
        return [{"text": each} for each in values] if sure or all(map(_is_sentence, values)) else None
    items: list[Any] = []
    for each in values:
        if isinstance(each, dict) and not sure and _is_part(each):
            items += items_in(each, depth + 1) or []
        elif isinstance(each, dict) and each:
            item = _as_item(each, sure=sure)
            inner = [item] if item is not None else items_in(each, depth + 1)
            items += inner if inner else [each]
        elif isinstance(each, list) and depth < _DEEPEST:
            items += _items_in_list(each, depth + 1, sure=sure) or [each]
        else:
            items.append({"text": each} if isinstance(each, str) else each)
    if sure or any(isinstance(item, dict) and "text" in item for item in items):
        return items
    return None


def _items_in_text(text: str, depth: int) -> list[Any] | None:
    """Return the items of JSON inside a string."""
    inner = text.strip()
    if inner[:1] not in ("{", "[") or (not loose_json.looks_like_json(inner) and inner not in ("{}", "[]")):
        return None
    found = loose_json.decode_at(inner, 0)
    value = found[0] if found is not None and found[1] == len(inner) else loose_json.mend(inner)
    return items_in(value, depth + 1) if isinstance(value, (dict, list)) else None


def _as_item(value: dict[Any, Any], *, sure: bool = False) -> dict[str, Any] | None:
    """The object as an item, with its keys in lower case and its text under `text`; None if it has no text.

    Where it is sure that it is an item, the only sentence under a name that says nothing else is its text.
    """
    item = {_plain_name(key): each for key, each in value.items()}
    if item.get("text") not in (None, "", []) and not _is_container(item["text"]):
        return item  # whether it is one is for the reader of the item to say
    for name in _TEXTS:
        text = item.get(name)
        if isinstance(text, str) and text.strip() and not loose_json.looks_like_json(text.strip()):
            if name == "value" and not _is_sentence(text):
                continue  # `{"key": "drink", "value": "tea"}` says nothing of anybody
            return {**item, "text": text}
    if "text" in item and not _is_container(item["text"]):
        return item
    if sure:
        others = [each for key, each in item.items() if key not in ABOUT and isinstance(each, str)]
        if len(others) == 1 and _is_sentence(others[0]):
            return {**item, "text": others[0]}
    return None


def _is_wrapper(value: dict[Any, Any]) -> bool:
    """Tell whether the object only wraps items, whatever else it contains, or is a part of a provider's message."""
    if _is_part(value):
        return True
    return any(
        isinstance(each, (list, dict)) and (bool(each) or name == "memories")
        for key, each in value.items()
        if (name := _plain_name(key)) in _LISTS
    )


def _is_part(value: dict[Any, Any]) -> bool:
    """Tell whether the object is a part of a provider's message, or a line of the conversation, and no item."""
    if value.keys() & _FIELDS:
        return False
    kind, role = value.get("type"), value.get("role")
    return (isinstance(kind, str) and kind in _PARTS) or (isinstance(role, str) and role.lower() in _ROLES)


def _is_container(value: Any) -> bool:
    return isinstance(value, (dict, list)) or (isinstance(value, str) and loose_json.looks_like_json(value.strip()))


def _is_named(value: Any) -> bool:
    return isinstance(value, dict) and bool(value)


def _union(parts: Sequence[list[Any] | None]) -> list[Any] | None:
    found = [part for part in parts if part is not None]
    return [item for part in found for item in part] if found else None


def _plain_name(key: Any) -> str:
    return re.sub(r"[\s-]+", "_", str(key).strip().lower())


def _is_sentence(text: str) -> bool:
    """Tell whether a text may be a statement: several words, or letters of a script that writes without blanks."""
    return len(text.split()) > 1 or any(letter.isalpha() and letter >= "\u0e00" for letter in text)
