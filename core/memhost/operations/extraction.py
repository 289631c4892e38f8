"""Operations on extraction: start it, and see what it would give."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from memhost.models import MemoryRecord
from memhost.operations.requests import MessageInput, StrategyInput

TAG = "Extraction"


class ExtractSession(msgspec.Struct, kw_only=True):
    """Which session to extract from.

    `wait_s` is how long to wait for the result, in seconds; without the result the answer says what still waits.
    """

    session_id: str
    user_id: str | None = None
    namespace: str | None = None
    wait_s: Annotated[float, Meta(ge=0, le=300)] = 25.0


class PreviewExtraction(msgspec.Struct, kw_only=True):
    """A conversation, and the strategy to try on it. Nothing of it is stored.

    `namespace` and `user_id` say whose entities and defaults count; `context` is the summary of what came before.
    """

    messages: Annotated[list[MessageInput], Meta(min_length=1, max_length=1000)]
    long_term_memory_strategy: StrategyInput = msgspec.field(default_factory=StrategyInput)
    user_id: str | None = None
    namespace: str | None = None
    context: str | None = None
    data: dict[str, Any] | None = None


class ExtractionPreview(msgspec.Struct, frozen=True, kw_only=True):
    """What would be stored, what was left out and why, and what finding it out cost."""

    strategy: str
    memories: list[MemoryRecord]
    dropped: list[str]
    calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
