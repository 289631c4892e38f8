"""Where a turn or a memory comes from, and so how far it is trusted: by credential, door and role, not by its text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, get_args

Trust = Literal["operator", "user", "assistant", "agent", "import", "tool", "external"]
"""`operator`: who runs the server. `user`: a person in a conversation of theirs. `assistant`: what the assistant said
there. `agent`: what a program stored as a memory, or said as `system`. `import`: a file. `tool`: the output of a tool.
`external`: a web page, a document, or somebody unknown."""

TRUSTS: tuple[Trust, ...] = get_args(Trust)
"""All levels, the most trusted first; `assistant` and `agent` weigh the same."""

_RANKS: Mapping[str, int] = {
    "operator": 6,
    "user": 5,
    "assistant": 4,
    "agent": 4,
    "import": 3,
    "tool": 2,
    "external": 1,
}

_BY_ROLE: Mapping[str, Trust] = {
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "system": "agent",
    "developer": "agent",
    "tool": "tool",
    "function": "tool",
}


def rank(trust: str) -> int:
    """Return how far a level is trusted: 6 for `operator` to 1 for `external`, 0 for a word that is no level."""
    return _RANKS.get(trust, 0)


def at_least(trust: Trust) -> tuple[Trust, ...]:
    """The levels that are trusted as far as this one, or further."""
    return tuple(level for level in TRUSTS if rank(level) >= rank(trust))


def lowest(levels: Iterable[Trust]) -> Trust:
    """The least trusted of the levels; of two that weigh the same the first. `external` without any."""
    return min(levels, key=rank, default="external")


def by_role(role: str) -> Trust:
    """Tell how far a message of that role is trusted, if nothing bounds who sends it; `external` for unknown roles."""
    return _BY_ROLE.get(role.strip().lower(), "external")


def of_turn(role: str, channel: Trust | None) -> Trust:
    """Tell how far a message is trusted that a caller with that channel sends.

    Args:
        role: Role of the message, as the caller says.
        channel: What bounds the caller (`Caller.channel`), None if nothing does.
    """
    said = by_role(role)
    return said if channel is None else lowest((said, channel))


def bounded(channel: Trust | None, bound: Trust | None) -> Trust | None:
    """The channel of a caller who is bound once more; a bound only lowers what turns and memories of theirs are.

    Args:
        channel: What bounds the caller so far (`Caller.channel`), None if nothing does.
        bound: What bounds them beside that, None if nothing does.
    """
    if bound is None or (channel is None and rank(bound) > rank(of_memory(None))):
        return channel  # turns are never trusted further than their role, nor memories of such callers than an agent's
    return bound if channel is None else lowest((channel, bound))


def of_memory(channel: Trust | None) -> Trust:
    """Tell how far a memory is trusted that a caller stores: as its channel, or as an agent's if it has none."""
    return "agent" if channel is None else channel
