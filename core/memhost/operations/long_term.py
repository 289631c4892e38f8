"""Operations on long-term memory, the context of a query, and the memory prompt."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from memhost.models import MemoryRecord, MemoryType, Trust
from memhost.models.limits import Many, Metadata, Name, Tags, Text, VisibleText
from memhost.operations.requests import (
    Entities,
    EventDate,
    EventEnd,
    IfHash,
    IfVersion,
    Precision,
    PromptSession,
    RecordInput,
    SearchFields,
    SessionRecordInput,
)
from memhost.operations.responses import HeldBack, PromptMessage

TAG = "Long-term memory"


IdOfMemory = Annotated[str, Meta(description="Id of the memory.", examples=["pref-window-seat"])]


class CreateMemories(msgspec.Struct, kw_only=True):
    """Memories to store."""

    memories: Annotated[
        Many[RecordInput],
        Meta(
            description="The memories.",
            examples=[[{"id": "pref-window-seat", "text": "Ana prefers window seats.", "user_id": "ana"}]],
        ),
    ]
    deduplicate: Annotated[
        bool, Meta(description="Drop exact repetitions of memories of the same scope.", examples=[True])
    ] = True


class StoreMemories(msgspec.Struct, kw_only=True):
    """Memories to store. Exact repetitions inside the same scope are dropped."""

    memories: Annotated[
        list[SessionRecordInput],
        Meta(
            min_length=1,
            max_length=100,
            description="The memories; those without an id get a ULID.",
            examples=[[{"text": "Ana prefers window seats.", "user_id": "ana"}]],
        ),
    ]


class SearchMemories(SearchFields, kw_only=True):
    """A search: whether a model may rewrite its text first, how long texts may be, whether its phases are timed."""

    optimize_query: Annotated[
        bool,
        Meta(
            description="Let the configured language model rewrite the text for retrieval first.",
            examples=[False],
        ),
    ] = False
    trace: Annotated[
        bool, Meta(description="Add the milliseconds of each phase of the search to the answer.", examples=[False])
    ] = False
    max_text: Annotated[
        Annotated[int, Meta(ge=20)] | None,
        Meta(
            description="Characters of a hit's text at most: of a longer one the passage that says most of the query, "
            "between marks, with `cut_from`. The turns of its `evidence` share what it leaves. Absent: whole texts.",
            examples=[500],
        ),
    ] = None


class GetMemory(msgspec.Struct, kw_only=True):
    """Which memory to read."""

    memory_id: IdOfMemory


_Clearable = Literal["topics", "entities", "namespace", "user_id", "session_id", "event_date", "metadata"]


class EditMemory(msgspec.Struct, kw_only=True):
    """Which memory to change, and its new values; absent or null fields stay as they are."""

    MIN_FIELDS: ClassVar[int] = 1

    memory_id: IdOfMemory
    text: Annotated[
        VisibleText | None, Meta(description="What the memory says.", examples=["Ana prefers aisle seats."])
    ] = None
    topics: Annotated[Tags | None, Meta(description="What it is about.", examples=[["travel", "seats"]])] = None
    entities: Entities = None
    memory_type: Annotated[
        MemoryType | None,
        Meta(
            description="`semantic`: a fact; `episodic`: an event; `message`: a turn of a conversation.",
            examples=["semantic"],
        ),
    ] = None
    namespace: Annotated[
        Name | None, Meta(description="Namespace that the memory belongs to.", examples=["travel"])
    ] = None
    user_id: Annotated[Name | None, Meta(description="User who owns the memory.", examples=["ana"])] = None
    session_id: Annotated[
        Name | None, Meta(description="Session that the memory belongs to.", examples=["trip-42"])
    ] = None
    event_date: EventDate = None
    event_end: EventEnd = None
    event_precision: Precision = None
    pinned: Annotated[
        bool | None, Meta(description="Whether forgetting and merging leave it alone.", examples=[True])
    ] = None
    metadata: Annotated[
        Metadata | None,
        Meta(
            description="Takes the place of the keys that the client gave before; notes of the server stay.",
            examples=[{"source": "profile"}],
        ),
    ] = None
    clear: Annotated[list[_Clearable], Meta(description="Fields to empty.", examples=[["event_date"]])] = []
    if_version: IfVersion = None
    if_hash: IfHash = None


class DeleteMemories(msgspec.Struct, kw_only=True):
    """Which memories to delete."""

    memory_ids: Annotated[Many[str], Meta(description="Ids of the memories.", examples=[["pref-window-seat"]])] = []
    report: Annotated[
        bool,
        Meta(description="Add to the answer which ids were deleted, and which no memory had.", examples=[True]),
    ] = False
    if_version: IfVersion = None
    if_hash: IfHash = None


class MemoryPromptRequest(msgspec.Struct, kw_only=True):
    """A query, and which context to put before it: a session, a search, or both."""

    query: Annotated[Text, Meta(description="The user's question, word for word.", examples=["Book my flight."])]
    session: Annotated[
        PromptSession | None,
        Meta(description="The session whose messages go into the prompt.", examples=[{"session_id": "trip-42"}]),
    ] = None
    long_term_search: Annotated[
        SearchFields | bool | None,
        Meta(description="The search whose memories go into the prompt; true: one with defaults.", examples=[True]),
    ] = None
    include_ids: Annotated[
        bool, Meta(description="Write the id of each memory into the text too.", examples=[False])
    ] = False
    optimize_query: Annotated[
        bool,
        Meta(
            description="Let a language model rewrite the query for retrieval first, where one is configured.",
            examples=[False],
        ),
    ] = False


ContextFormat = Literal["markdown", "xml", "json", "messages"]

DEFAULT_BUDGET = 1_000
"""Tokens of a context, where the request names no number."""
MAX_BUDGET = 100_000


class GetContext(msgspec.Struct, kw_only=True):
    """The question for which a context is wanted: a query, a session, or both; whose memory; and how large it may be.

    Without either it holds what does not depend on a question, for the beginning of a conversation.
    """

    query: Annotated[
        Text | None,
        Meta(
            description="The question to answer, in plain words; absent: the newest message of the session's user.",
            examples=["Which seat does Ana like?"],
        ),
    ] = None
    session_id: Annotated[
        Name | None,
        Meta(
            description="Session that the agent is in. What it holds itself is left out: the agent has it already.",
            examples=["trip-42"],
        ),
    ] = None
    namespace: Annotated[Name | None, Meta(description="Only memories of this namespace.", examples=["travel"])] = None
    user_id: Annotated[Name | None, Meta(description="Only memories that this user owns.", examples=["ana"])] = None
    budget: Annotated[
        int, Meta(ge=1, le=MAX_BUDGET, description="Most tokens of the context.", examples=[DEFAULT_BUDGET])
    ] = DEFAULT_BUDGET
    model_name: Annotated[
        Name | None,
        Meta(
            description="Model that reads it: its tokenizer counts, where it is on this machine, else an upper bound.",
            examples=["gpt-4o"],
        ),
    ] = None
    format: Annotated[
        ContextFormat,
        Meta(
            description="`markdown`, `xml` or `json` in `text`; or `messages`: system messages for a chat model, the "
            "stable part in one of its own.",
            examples=["markdown"],
        ),
    ] = "markdown"
    include_ids: Annotated[bool, Meta(description="Write the ids of memories into the text too.", examples=[False])] = (
        False
    )
    timezone: Annotated[
        str | None,
        Meta(
            description="IANA zone of the user, for today's date and the days on which things were said; absent: the "
            "server's `default_timezone`.",
            examples=["Europe/Berlin"],
        ),
    ] = None
    min_trust: Annotated[
        Trust | None,
        Meta(description="Only memories that are trusted as far as this, or further.", examples=["assistant"]),
    ] = None
    optimize_query: Annotated[
        bool,
        Meta(
            description="Let a language model rewrite the query for retrieval first, where one is configured.",
            examples=[False],
        ),
    ] = False


class ContextItem(msgspec.Struct, frozen=True, kw_only=True):
    """A numbered item of the context: a memory, or turns that follow each other."""

    ref: Annotated[int, Meta(description="Its number in the text.")]
    ids: Annotated[list[str], Meta(description="Ids of the memories in it.")]
    source_ids: Annotated[list[str], Meta(description="Ids of the messages that these were made from.")]
    text: Annotated[str, Meta(description="What it says, as the context shows it; one line a turn.")]
    said: Annotated[datetime, Meta(description="When it was said or stored.")]
    event: Annotated[
        str | None,
        Meta(description="When it happened, as exact as it is known: `2026-02-14`, `2026-02`, `week of 2026-02-09`."),
    ] = None
    until: Annotated[str | None, Meta(description="Day on which it ends to hold, if that is known.")] = None
    outdated: Annotated[
        str | None, Meta(description="Which fact of it no longer holds, and since when; null if all may hold.")
    ] = None
    speaker: Annotated[str | None, Meta(description="Who said it; null for statements, and for several turns.")] = None
    session_id: Annotated[str | None, Meta(description="Session that it comes from, if any.")] = None
    score: Annotated[float | None, Meta(description="Score of its best memory in the search, 0 to 1.")] = None
    trust: Annotated[Trust, Meta(description="How far it is trusted: as the least trusted memory in it.")]
    verified: Annotated[
        bool,
        Meta(description="False: it stands between marks, as what a tool, a file or somebody unknown claims."),
    ] = True
    cut: Annotated[bool, Meta(description="Whether a longer text was cut to its best passage; read it whole by id.")]


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """The memory of a query, ready for a language model, within the budget."""

    text: Annotated[
        str, Meta(description="The context in the format asked for; of `messages`, their texts one after the other.")
    ]
    messages: Annotated[
        list[PromptMessage] | UnsetType, Meta(description="The messages, with the format `messages`.")
    ] = UNSET
    items: Annotated[list[ContextItem], Meta(description="The evidence in the text, in its order: by time.")]
    rules: Annotated[list[str], Meta(description="The standing rules in the text.")] = []
    profile: Annotated[list[str], Meta(description="The profile of the user in the text.")] = []
    query: Annotated[str, Meta(description="What was looked for.")]
    today: Annotated[str, Meta(description="Today's date in the zone of the request.")]
    budget: Annotated[int, Meta(description="Most tokens that the text may have.")]
    tokens: Annotated[int, Meta(description="Tokens of the text; with the format `messages`, of the messages.")]
    tokenizer: Annotated[
        str | None, Meta(description="Encoding that counted them; null: the number is an upper bound.")
    ]
    stable_tokens: Annotated[
        int, Meta(description="Tokens of its stable beginning: equal from call to call, whatever the query.")
    ]
    stable_length: Annotated[
        int, Meta(description="Characters of that beginning in `text`: where a provider's prompt cache can end.")
    ]
    stable_hash: Annotated[
        str, Meta(description="SHA-256 of that beginning, 16 hex digits: while it stays, a cached prefix serves.")
    ]
    left_out: Annotated[int, Meta(description="Memories that were found and did not fit into the budget.")] = 0
    nothing_fits: Annotated[
        bool | UnsetType,
        Meta(description="True, where no memory shares a word, a date or meaning with the query; there are no items."),
    ] = UNSET
    held_back: Annotated[
        list[HeldBack] | UnsetType, Meta(description="Memories that were found and left out, if there are any.")
    ] = UNSET


class ExplainMemory(msgspec.Struct, kw_only=True):
    """Which memory to explain."""

    memory_id: IdOfMemory


class SourceTurn(msgspec.Struct, frozen=True, kw_only=True):
    """A turn that the memory was made from."""

    id: Annotated[str, Meta(description="Id of the message.")]
    memory_id: Annotated[str | None, Meta(description="Id of the turn's memory; null if there is none.")] = None
    session_id: Annotated[str | None, Meta(description="Session in which it was said, where that is known.")] = None
    role: Annotated[str | None, Meta(description="Role of who said it.")] = None
    speaker: Annotated[str | None, Meta(description="Name of who said it, where it is known.")] = None
    text: Annotated[str | None, Meta(description="What was said; null if it is not kept any more.")] = None
    created_at: Annotated[datetime | None, Meta(description="When it was said.")] = None


class RelatedMemory(msgspec.Struct, frozen=True, kw_only=True):
    """Another memory of the chain."""

    id: Annotated[str, Meta(description="Id of the memory.")]
    text: Annotated[str, Meta(description="What it says, or said then.")]
    relation: Annotated[
        str,
        Meta(
            description="`source`: it was made from this one; `merged`: it went into it; `earlier`: its former text; "
            "`replaced`: a fact that it replaced; `newer`: the fact that replaced it; `statement`, `summary`: made "
            "from it."
        ),
    ]
    at: Annotated[datetime | None, Meta(description="When that happened, where it is known.")] = None
    extractor: Annotated[str | None, Meta(description="Strategy that made it; null if a client did.")] = None


class ViewOfMemory(msgspec.Struct, frozen=True, kw_only=True):
    """A result of a summary view that counts the memory."""

    view_id: Annotated[str, Meta(description="Id of the view.")]
    name: Annotated[str | None, Meta(description="Name of the view, if it has one.")]
    group: Annotated[dict[str, str], Meta(description="Group of the result.")]


class ChainRun(msgspec.Struct, frozen=True, kw_only=True):
    """The run that made the memory; `session_extraction` shows all of it."""

    at: Annotated[datetime, Meta(description="When it began.")]
    model: Annotated[str, Meta(description="The model that answered; empty if none was asked.")]
    turns: Annotated[list[str], Meta(description="Ids of the messages that it read.")]
    cost_usd: Annotated[float | None, Meta(description="Cost in US dollars; null if the price is unknown.")]


class MemoryChain(msgspec.Struct, frozen=True, kw_only=True):
    """Origin and consequences of a memory, as far as the caller may see them."""

    memory: Annotated[MemoryRecord, Meta(description="The memory.")]
    state: Annotated[
        Literal["stored", "trash"], Meta(description="Whether it is stored, or was moved to the trash.")
    ] = "stored"
    reason: Annotated[str | None, Meta(description="Why it is in the trash.")] = None
    asked_for: Annotated[
        str | None, Meta(description="The id that was asked for, if that memory went into this one.")
    ] = None
    made_by: Annotated[str, Meta(description="`client`, or the strategy with its version.")] = "client"
    run: Annotated[ChainRun | None, Meta(description="The run that made it, while its record is kept.")] = None
    turns: Annotated[list[SourceTurn], Meta(description="The turns that it was made from, oldest first.")] = []
    before: Annotated[
        list[RelatedMemory], Meta(description="Memories that it was made from, that went into it, or that it replaced.")
    ] = []
    after: Annotated[
        list[RelatedMemory], Meta(description="Memories that replaced it, and those that were made from it.")
    ] = []
    views: Annotated[list[ViewOfMemory], Meta(description="Results of summary views that count it.")] = []
    in_summary: Annotated[bool, Meta(description="Whether the running summary of its session covers it.")] = False
