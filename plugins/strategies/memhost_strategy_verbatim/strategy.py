"""The strategy."""

from __future__ import annotations

from collections.abc import Sequence

from memhost.models import MemoryType
from memhost.ports import Draft, ExtractionContext, Turn
from memhost.text.speakers import is_background, speaker_of


class Verbatim:
    """Keeps turns with speaker, time, position and source."""

    name = "verbatim"
    version = "1"
    immediate = True

    async def extract(self, turns: Sequence[Turn], context: ExtractionContext) -> list[Draft]:
        """One draft per turn of any role but system and tool; it keeps the message's id."""
        return [_draft(turn, context) for turn in turns if not is_background(turn.message)]


def _draft(turn: Turn, context: ExtractionContext) -> Draft:
    message = turn.message
    return Draft(
        id=message.id if turn.occurrence == 1 else None,
        text=f"{message.role}: {message.content}",
        memory_type=MemoryType.MESSAGE,
        created_at=message.created_at,
        source_ids=[message.id],
        speaker=speaker_of(message, context.labels),
        role=message.role,
        position=turn.position,
    )
