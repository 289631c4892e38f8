"""Finds the items in a model's answer: fenced, wrapped in prose, without its outer object, or cut off."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

MAX_ITEMS = 50
"""Items of one answer that are read."""

MAX_LETTERS = 400_000
"""Characters of an answer that are read."""

_MOST_STARTS = 300
_OPENING = re.compile(r"[{\[]")
_SHOWN = re.compile(r'\[\s*\{|\{\s*"|\{\s*\}|\[\s*\]')
_LIST_KEY = "memories"
_TEXT_KEY = "text"


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer holds.

    Attributes:
        items: The items, unchecked, at most `MAX_ITEMS`.
        problem: Why nothing could be read; None if something could.
        cut: The answer ends in the middle; `items` are those that are complete.
        beyond: Items beyond `MAX_ITEMS`.
    """

    items: list[Any] = []
    problem: str | None = None
    cut: bool = False
    beyond: int = 0


def find_items(answer: str) -> Found:
    """The items of an answer. Never raises."""
    text = answer[:MAX_LETTERS]
    if not text.strip():
        return Found(problem="The answer was empty.")
    values = list(_values(text))
    for wanted in (_listed, _bare, _single, _nothing):
        for start, value in values:
            items = wanted(value)
            if items is None or (wanted is _nothing and _OPENING.search(text, 0, start)):
                continue
            # Whole items without what should surround them: the end of the answer is missing.
            cut = wanted is _single and _opens_list(text[:start])
            if cut:
                items = [each for _, each in values if _single(each) is not None]
            return Found(items=items[:MAX_ITEMS], cut=cut, beyond=max(0, len(items) - MAX_ITEMS))
    if _SHOWN.search(text):
        return Found(problem="The JSON of the answer is not complete or not valid.")
    return Found(problem="The answer holds no JSON.")


def _values(text: str) -> Iterator[tuple[int, Any]]:
    """Balanced objects and arrays with where they start; those inside others only if the others cannot be an answer."""
    decoder = json.JSONDecoder()
    position = 0
    for _ in range(_MOST_STARTS):
        start = _OPENING.search(text, position)
        if start is None:
            return
        position = start.start() + 1
        try:
            value, end = decoder.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            continue
        yield start.start(), value
        if any(wanted(value) is not None for wanted in (_listed, _bare, _single)):
            position = end


def _listed(value: Any) -> list[Any] | None:
    if not isinstance(value, dict) or _LIST_KEY not in value:
        return None
    items = value[_LIST_KEY]
    if isinstance(items, dict):
        return [items]
    if items is None:
        return []
    return items if isinstance(items, list) else None


def _bare(value: Any) -> list[Any] | None:
    return value if isinstance(value, list) and any(_single(item) is not None for item in value) else None


def _single(value: Any) -> list[Any] | None:
    return [value] if isinstance(value, dict) and _TEXT_KEY in value else None


def _nothing(value: Any) -> list[Any] | None:
    return [] if value in ([], {}) else None


def _opens_list(before: str) -> bool:
    """Whether a list or an answer was begun in front of an item, without being closed."""
    return f'"{_LIST_KEY}"' in before or before.rstrip().endswith(("[", "},"))
