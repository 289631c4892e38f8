"""Operations on extraction: start it, see what it would give, and check custom prompts."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from memhost.extraction.reports import PromptKind
from memhost.models import MemoryRecord
from memhost.models.limits import Text
from memhost.operations.requests import MessageInput, NamespaceToFind, SessionToFind, StrategyInput, UserToFind

TAG = "Extraction"


class ExtractSession(msgspec.Struct, kw_only=True):
    """Which session to extract from."""

    session_id: SessionToFind
    user_id: UserToFind = None
    namespace: NamespaceToFind = None
    wait_s: Annotated[
        float,
        Meta(
            ge=0,
            le=300,
            description="Longest time to wait for the result, in seconds; then the answer says what still waits.",
            examples=[25.0],
        ),
    ] = 25.0


class PreviewExtraction(msgspec.Struct, kw_only=True):
    """A conversation, and the strategy to try on it. Nothing of it is stored."""

    messages: Annotated[
        list[MessageInput],
        Meta(
            min_length=1,
            max_length=1000,
            description="The conversation.",
            examples=[[{"role": "user", "content": "I moved to Oslo last week."}]],
        ),
    ]
    long_term_memory_strategy: Annotated[
        StrategyInput, Meta(description="The strategy to try.", examples=[{"strategy": "discrete"}])
    ] = msgspec.field(default_factory=StrategyInput)
    user_id: Annotated[
        str | None, Meta(description="User whose entities and defaults count, if any.", examples=["ana"])
    ] = None
    namespace: Annotated[
        str | None, Meta(description="Namespace whose entities and defaults count, if any.", examples=["travel"])
    ] = None
    context: Annotated[
        str | None, Meta(description="Summary of what came before the messages.", examples=["Ana plans a trip."])
    ] = None
    data: Annotated[
        dict[str, Any] | None, Meta(description="Data of a session, as strategies see it.", examples=[{"city": "Oslo"}])
    ] = None


class ExtractionPreview(msgspec.Struct, frozen=True, kw_only=True):
    """The memories that would be stored, the items left out with the reasons, and the cost of finding out."""

    strategy: Annotated[str, Meta(description="The strategy that was tried.")]
    memories: Annotated[list[MemoryRecord], Meta(description="Memories that would be stored.")]
    dropped: Annotated[list[str], Meta(description="What was left out, and why.")]
    calls: Annotated[int, Meta(description="Calls to the language model.")]
    input_tokens: Annotated[int, Meta(description="Tokens sent to it.")]
    output_tokens: Annotated[int, Meta(description="Tokens that it answered.")]
    cost_usd: Annotated[float | None, Meta(description="Price in US dollars; null if it is not known.")]


class ValidatePrompt(msgspec.Struct, kw_only=True):
    """A prompt to check, and what it is to be used for."""

    prompt: Annotated[
        Text,
        Meta(
            description="The prompt; one of more than 10,000 characters is checked and found too long.",
            examples=["Note decisions on our software and who made them: {message}"],
        ),
    ]
    kind: Annotated[
        PromptKind,
        Meta(
            description="`custom`: of the strategy of that name; `instructions`: beside a strategy's own prompt; "
            "`view`: of a summary view.",
            examples=["custom"],
        ),
    ] = "custom"
