"""Nesting depth of values."""

from __future__ import annotations

from typing import Any

MAX_DEPTH = 128
"""Levels of nesting in what clients send; writing a deeper value out again would exhaust the stack."""


def depth_exceeds(value: Any, limit: int = MAX_DEPTH) -> bool:
    """Tell whether objects and lists are nested more than `limit` levels deep."""
    level = [value]
    for _ in range(limit + 1):
        following: list[Any] = []
        for item in level:
            children = item.values() if type(item) is dict else item if type(item) is list else ()
            following.extend(child for child in children if type(child) is dict or type(child) is list)
        if not following:
            return False
        level = following
    return True
