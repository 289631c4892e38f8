"""Short ways to write conversations in tests of strategies."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from memhost.models import Message, SessionKey
from memhost.ports import ExtractionContext, Turn

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OWNER = SessionKey("tenant", "travel", "ana", "trip-42")


def message(content: str, *, role: str = "user", at: str = "2026-03-01T09:00:00+00:00", id: str = "m1") -> Message:
    """A message said at an ISO time."""
    return Message(role=role, content=content, id=id, created_at=datetime.fromisoformat(at))


def turns_of(messages: Sequence[Message]) -> list[Turn]:
    """The messages as turns, from position 0."""
    return [Turn(message=each, position=position) for position, each in enumerate(messages)]


def said(content: str, **given: Any) -> list[Turn]:
    """One turn."""
    return turns_of([message(content, **given)])


def context(**given: Any) -> ExtractionContext:
    """The context of a run for `OWNER`."""
    return ExtractionContext(**{"session": OWNER, "config": {}, "summary": None, "now": NOW, **given})


def answer(*items: dict[str, Any]) -> str:
    """An answer in the form asked for."""
    return json.dumps({"memories": list(items)})
