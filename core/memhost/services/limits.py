"""How much a request may hold, whatever door it comes through."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from memhost.errors import Problem
from memhost.reading import depth_exceeds

MOST_ITEMS = 10_000
"""Messages, memories or ids in one request."""
MOST_TAGS = 1_000
"""Topics, entities or sources of one memory."""
LONGEST_TEXT = 100_000
"""Characters of a memory or a query."""
LONGEST_MESSAGE = 1_000_000
"""Characters of a message."""
METADATA_BYTES = 16 * 1024
"""Metadata of a memory, as JSON."""

_Where = tuple[str | int, ...]


def too_many(items: Collection[Any] | None, most: int, where: _Where) -> list[Problem]:
    """The problem of a list with more than `most` items."""
    if items is None or len(items) <= most:
        return []
    return [Problem(where=where, kind="too_long", message=f"{len(items):,} are too many; at most {most:,} at once.")]


def too_long(text: str | None, most: int, where: _Where) -> list[Problem]:
    """The problem of a text with more than `most` characters."""
    if text is None or len(text) <= most:
        return []
    sentence = f"{len(text):,} characters are too many; at most {most:,}."
    return [Problem(where=where, kind="string_too_long", message=sentence)]


def too_deep(value: Any, where: _Where) -> list[Problem]:
    """The problem of a value that is nested too deeply."""
    return [Problem(where=where, message="It is nested too deeply.")] if depth_exceeds(value) else []


def too_big(metadata: dict[str, Any], where: _Where) -> list[Problem]:
    """The problem of metadata that are nested too deeply, or take too much room."""
    if not metadata:
        return []
    if problems := too_deep(metadata, where):
        return problems
    size = len(msgspec.json.encode(metadata))
    if size <= METADATA_BYTES:
        return []
    sentence = f"{size:,} bytes are too many; metadata take at most {METADATA_BYTES:,} as JSON."
    return [Problem(where=where, kind="too_long", message=sentence)]
