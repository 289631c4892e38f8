"""The port of an extraction strategy: turns of a conversation in, memories out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from memhost.models import MemoryType, Message, SessionKey


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """A message to extract from.

    `position` is its index within the session, counted from 0 over the session's life. `occurrence` is 2 or more
    where the session holds the same message id several times.
    """

    message: Message
    position: int
    occurrence: int = 1


class Draft(msgspec.Struct, kw_only=True):
    """A memory as a strategy proposes it; the server adds owner, times, hash, vector and provenance.

    `id` is a wish: where it is taken by another owner the server derives one from it. `source_ids` are message
    ids of the turns given. `speaker`, `role` and `position` are set for memories that are turns themselves.
    """

    text: str
    memory_type: MemoryType = MemoryType.SEMANTIC
    id: str | None = None
    topics: list[str] = []
    entities: list[str] = []
    event_date: datetime | None = None
    created_at: datetime | None = None
    metadata: dict[str, Any] = {}
    source_ids: list[str] = []
    speaker: str | None = None
    role: str | None = None
    position: int | None = None


class ExtractionContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a strategy may know beside the turns: whose session it is, its options, the summary so far."""

    session: SessionKey
    config: dict[str, Any]
    summary: str | None
    now: datetime


class Strategy(Protocol):
    """Extracts memories from turns.

    Attributes:
        name: Name that sessions and settings choose it by.
        version: Kept with each memory as `extractor`.
        immediate: True if it needs no model and no I/O: then it runs inside the write of the session, and its
            memories are committed together with the messages. Otherwise it runs as a background job.
    """

    name: str
    version: str
    immediate: bool

    async def extract(self, turns: Sequence[Turn], context: ExtractionContext) -> list[Draft]:
        """Memories of the given turns, which are new or changed, in order of position.

        Must be a pure function of its arguments (apart from what a model answers): a job that is repeated
        must propose the same ids or none.
        """
        ...
