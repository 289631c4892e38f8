"""The strategy."""

from __future__ import annotations

from collections.abc import Sequence

from memhost.analysis import split_speaker
from memhost.models import MemoryType
from memhost.ports import Draft, ExtractionContext, Turn

SKIPPED_ROLES = frozenset({"system", "tool"})
"""Roles whose messages are instructions and raw output, not evidence of what was said."""

PLAIN_ROLES = frozenset({"user", "assistant", "human", "ai", "model", "bot", "agent", "function", "developer"})
"""Roles that say what somebody is; any other role is taken for the speaker's name."""


class Verbatim:
    """Keeps turns with speaker, time, position and source."""

    name = "verbatim"
    version = "1"
    immediate = True

    async def extract(self, turns: Sequence[Turn], context: ExtractionContext) -> list[Draft]:
        """One draft per turn of any role but system and tool; it keeps the message's id."""
        return [_draft(turn) for turn in turns if turn.message.role not in SKIPPED_ROLES]


def _draft(turn: Turn) -> Draft:
    message = turn.message
    speaker, _ = split_speaker(message.content)
    if speaker is None and message.role.lower() not in PLAIN_ROLES:
        speaker = message.role
    return Draft(
        id=message.id if turn.occurrence == 1 else None,
        text=f"{message.role}: {message.content}",
        memory_type=MemoryType.MESSAGE,
        created_at=message.created_at,
        source_ids=[message.id],
        speaker=speaker,
        role=message.role,
        position=turn.position,
    )
