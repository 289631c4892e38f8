"""Where the text of a memory comes from, and so how far it may be trusted."""

from __future__ import annotations

from collections.abc import Iterable

TRUST = "trust"
"""Metadata key: `user`, `assistant`, `tool` or `external`, the least trusted source of the memory."""

LEVELS = ("user", "assistant", "tool", "external")
"""From what the user said to what nobody here did."""

_BY_ROLE = {
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "tool": "tool",
    "function": "tool",
}


def trust_of(roles: Iterable[str]) -> str:
    """The label of a memory made from messages of those roles: that of the least trusted; `external` without any."""
    found = [_BY_ROLE.get(role.strip().lower(), "external") for role in roles]
    return max(found, key=LEVELS.index, default="external")
