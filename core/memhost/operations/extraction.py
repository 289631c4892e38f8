"""Operations on extraction: start it, and see what it would give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from memhost.models import MemoryRecord
from memhost.operations.requests import MessageInput, StrategyInput
from memhost.operations.responses import ExtractionState
from memhost.operations.table import Call, Operation

if TYPE_CHECKING:
    from memhost.host import Host

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


async def _extract(host: Host, call: Call, request: ExtractSession) -> ExtractionState:
    return await host.extraction.extract(call, request)


async def _preview(host: Host, call: Call, request: PreviewExtraction) -> ExtractionPreview:
    return await host.extraction.preview(call, request)


OPERATIONS = (
    Operation(
        name="extract_session",
        request=ExtractSession,
        response=ExtractionState,
        handler=_extract,
        access="write",
        tag=TAG,
        summary="Extract memories from the waiting messages of a session now.",
        description=(
            "Messages are extracted by themselves once a session has been quiet for a while; this does not wait for "
            "that, and tries again what was given up. The answer says what still waits after `wait_s` seconds."
        ),
        errors=("invalid_request", "not_found", "long_term_memory_disabled"),
    ),
    Operation(
        name="preview_extraction",
        request=PreviewExtraction,
        response=ExtractionPreview,
        handler=_preview,
        access="write",
        tag=TAG,
        summary="Show what a strategy would make of a conversation, and what it costs; nothing is stored.",
        description="Calls the language model as a real extraction does, and counts towards the budgets.",
        errors=(
            "invalid_request",
            "invalid_arguments",
            "model_unavailable",
            "model_refused",
            "budget_exceeded",
            "answer_unusable",
        ),
    ),
)
