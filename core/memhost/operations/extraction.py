"""Operations on extraction: start it, see what it would give, and check custom prompts."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from memhost.extraction.reports import PromptKind
from memhost.models import MemoryRecord
from memhost.models.limits import Text
from memhost.operations.requests import MessageInput, NamespaceToFind, SessionToFind, StrategyInput, UserToFind
from memhost.operations.responses import Join

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


class SessionExtraction(msgspec.Struct, kw_only=True):
    """Which session's extraction to show."""

    session_id: SessionToFind
    user_id: UserToFind = None
    namespace: NamespaceToFind = None
    limit: Annotated[int, Meta(ge=0, le=50, description="Most runs to show, the newest first.", examples=[10])] = 10


class ExtractionCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call to the language model, as far as its record is kept: secrets are masked, long texts cut in the middle."""

    purpose: Annotated[str, Meta(description="`extraction`, `repair` (of an answer), or `dedup` (what is the same).")]
    asked: Annotated[str, Meta(description="The question: its messages, each behind its role.")]
    answered: Annotated[str, Meta(description="The answer.")] = ""
    model: Annotated[str, Meta(description="The model that answered.")] = ""
    input_tokens: Annotated[int, Meta(description="Tokens sent.")] = 0
    output_tokens: Annotated[int, Meta(description="Tokens answered.")] = 0
    cost_usd: Annotated[float | None, Meta(description="Cost in US dollars; null if the price is unknown.")] = None
    error: Annotated[str | None, Meta(description="Why there is no answer.")] = None


class ExtractionRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run of the extraction: some waiting turns were read."""

    at: Annotated[datetime, Meta(description="When it began.")]
    strategy: Annotated[str, Meta(description="Strategy and its version.")]
    turns: Annotated[list[str], Meta(description="Ids of the messages that were read.")]
    calls: Annotated[
        list[ExtractionCall],
        Meta(description="Calls to the model; none where the answer of an earlier run was still unused."),
    ] = []
    stored: Annotated[list[str], Meta(description="Ids of the new memories.")] = []
    repeated: Annotated[list[str], Meta(description="Ids of stored memories that were said again.")] = []
    merged: Annotated[list[Join], Meta(description="Memories that became one.")] = []
    superseded: Annotated[list[str], Meta(description="Ids of memories that a newer fact replaced.")] = []
    withdrawn: Annotated[list[str], Meta(description="Ids of memories that no turn supports any more.")] = []
    dropped: Annotated[list[str], Meta(description="Why items of the answer were left out, a sentence each.")] = []
    error: Annotated[str | None, Meta(description="Why the run gave nothing, or a part of nothing.")] = None
    input_tokens: Annotated[int, Meta(description="Tokens sent, in all calls.")] = 0
    output_tokens: Annotated[int, Meta(description="Tokens answered, in all calls.")] = 0
    cost_usd: Annotated[float | None, Meta(description="Cost in US dollars; null if a price is unknown.")] = None


class SessionExtractionView(msgspec.Struct, frozen=True, kw_only=True):
    """The extraction of a session: its state, and its latest runs."""

    session_id: Annotated[str, Meta(description="Id of the session.")]
    namespace: Annotated[str | None, Meta(description="Namespace of the session, if any.")]
    user_id: Annotated[str | None, Meta(description="User of the session, if any.")]
    strategy: Annotated[str, Meta(description="Strategy that reads its messages.")]
    state: Annotated[
        str,
        Meta(
            description="`done`: nothing waits; `off`: no strategy reads its messages in the background; `running`; "
            "`pending`, `waiting`, `failed`, `refused` as in the session's `extraction`."
        ),
    ]
    pending: Annotated[int, Meta(description="Messages that wait.")]
    last_run_at: Annotated[datetime | None, Meta(description="When extraction last succeeded.")]
    last_error: Annotated[str | None, Meta(description="Why it waits, failed or was refused.")]
    keep_days: Annotated[float, Meta(description="How long runs are kept, days; 0: not at all.")]
    runs: Annotated[list[ExtractionRun], Meta(description="The latest runs, the newest first.")]


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


class PlannedChange(msgspec.Struct, frozen=True, kw_only=True):
    """The fate of a stored memory, or of an item that says what a stored memory says."""

    what: Annotated[
        Literal["repeats", "replaces"],
        Meta(
            description="`repeats`: nothing new is stored but a source; `replaces`: the stored memory holds no longer."
        ),
    ]
    id: Annotated[str, Meta(description="Id of the stored memory.")]
    text: Annotated[str, Meta(description="Its text.")]
    by: Annotated[str, Meta(description="Id of the memory that replaces it; empty for a repetition.")] = ""


class ExtractionPreview(msgspec.Struct, frozen=True, kw_only=True):
    """The memories that would be stored, the items left out with the reasons, and the cost of finding out."""

    strategy: Annotated[str, Meta(description="The strategy that was tried.")]
    memories: Annotated[list[MemoryRecord], Meta(description="Memories that would be stored.")]
    dropped: Annotated[list[str], Meta(description="What was left out, and why.")]
    changes: Annotated[list[PlannedChange], Meta(description="What would become of stored memories.")]
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
