"""Parts that requests are made of: messages, memories and filters as clients send them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from memhost.models import MAX_ACCESSES, EventPrecision, MemoryType, Trust
from memhost.models.limits import (
    DEEPEST_OFFSET,
    MAX_MESSAGE_LENGTH,
    AllOf,
    Config,
    FilterKeys,
    Id,
    Metadata,
    Name,
    Prefix,
    Some,
    Sources,
    Tags,
    Text,
    VisibleText,
)
from memhost.models.memory import MOST_SAYINGS
from memhost.operations.ams_compat import FILTER_ECHOES, RECORD_ECHOES

ExtractionFlag = Literal["t", "f"]

TEXT_SCORERS = ("BM25STD", "BM25", "BM25STD.NORM", "BM25STD.TANH", "TFIDF", "TFIDF.DOCNORM", "DISMAX", "DOCSCORE")
"""Scorer names that clients may send. All stores score by BM25."""

_CONTENT: dict[str, Any] = {
    "anyOf": [
        {"type": "string"},
        {"type": "array", "items": {}},
        {"type": "object"},
        {"type": "null", "description": "Only beside `tool_calls`."},
    ],
    "maxLength": MAX_MESSAGE_LENGTH,
}

MessageContent = Annotated[
    Any,
    Meta(
        description="Text, or a list of parts; null or absent beside tool_calls.",
        extra_json_schema=_CONTENT,
        examples=["I always book window seats."],
    ),
]
"""Forms of content that chat interfaces use."""

Sent = Annotated[Any, Meta(description="Kept, and returned as it was sent.")]
"""A field of a message that the server does not read into."""


SessionId = Annotated[Name, Meta(description="Id of the session.", examples=["trip-42"])]
SessionUser = Annotated[Name | None, Meta(description="User of the session, if any.", examples=["ana"])]
SessionNamespace = Annotated[Name | None, Meta(description="Namespace of the session, if any.", examples=["travel"])]
ContextWindow = Annotated[
    int | None,
    Meta(description="Context window in tokens; it counts more than `model_name`.", examples=[8000]),
]
SessionToFind = Annotated[str, Meta(description="Id of the session.", examples=["trip-42"])]
UserToFind = Annotated[str | None, Meta(description="User of the session, if any.", examples=["ana"])]
NamespaceToFind = Annotated[str | None, Meta(description="Namespace of the session, if any.", examples=["travel"])]
EventDate = Annotated[
    datetime | None,
    Meta(description="When the event happened that it tells of.", examples=["2026-02-14T00:00:00Z"]),
]
EventEnd = Annotated[
    datetime | None,
    Meta(description="When the event ended, if it took longer.", examples=["2026-02-16T00:00:00Z"]),
]
Precision = Annotated[
    EventPrecision | None, Meta(description="How exact the dates of the event are; null: unknown.", examples=["day"])
]
Entities = Annotated[Tags | None, Meta(description="People, places and things that it names.", examples=[["Ana"]])]


IfVersion = Annotated[
    Annotated[int, Meta(ge=0)] | None,
    Meta(
        description="Refuse the write (`memory_changed`) unless the memory is at this version; 0: there is none yet.",
        examples=[3],
    ),
]
IfHash = Annotated[
    Name | None,
    Meta(
        description="Refuse the write (`memory_changed`) unless the memory has this `memory_hash`.",
        examples=["5f0c3a1e9b"],
    ),
]


class MessageInput(msgspec.Struct, kw_only=True):
    """A message to write. An absent `id` gets a ULID, an absent `created_at` the time of the write."""

    REQUIRED_UNLESS: ClassVar[Mapping[str, tuple[str, ...]]] = {"content": ("tool_calls", "function_call", "others")}
    OTHERS: ClassVar[str] = "others"
    """Field that holds what is sent under names that are not known here."""

    role: Annotated[
        Name,
        Meta(description="Who speaks: `user`, `assistant`, `system`, `tool` or any other word.", examples=["user"]),
    ]
    content: MessageContent = UNSET
    id: Annotated[Name | UnsetType, Meta(description="Id of the message in its session.", examples=["m1"])] = UNSET
    created_at: Annotated[
        datetime | UnsetType,
        Meta(description="When it was said; not in the future.", examples=["2026-03-01T09:00:00Z"]),
    ] = UNSET
    persisted_at: Annotated[
        datetime | None, Meta(description="Set by the server; what a client sends is ignored.", examples=[None])
    ] = None
    discrete_memory_extracted: Annotated[
        ExtractionFlag | UnsetType,
        Meta(description="Set by the server; what a client sends is ignored.", examples=["f"]),
    ] = UNSET
    trust: Annotated[
        Sent, Meta(description="Set by the server; what a client sends is ignored.", examples=["user"])
    ] = UNSET
    name: Annotated[Sent, Meta(examples=["ana"])] = UNSET
    tool_calls: Annotated[
        Sent,
        Meta(examples=[[{"id": "c1", "type": "function", "function": {"name": "find_flight", "arguments": "{}"}}]]),
    ] = UNSET
    tool_call_id: Annotated[Sent, Meta(examples=["c1"])] = UNSET
    function_call: Annotated[Sent, Meta(examples=[{"name": "find_flight", "arguments": "{}"}])] = UNSET
    refusal: Annotated[Sent, Meta(examples=["I cannot help with that."])] = UNSET
    audio: Annotated[Sent, Meta(examples=[{"id": "audio-1"}])] = UNSET
    annotations: Annotated[Sent, Meta(examples=[[]])] = UNSET
    others: Sent = UNSET


class RecordFields(msgspec.Struct, kw_only=True):
    """The fields of a memory that a client may write."""

    ECHOES: ClassVar[tuple[str, ...]] = RECORD_ECHOES

    text: Annotated[VisibleText, Meta(description="What the memory says.", examples=["Ana prefers window seats."])]
    session_id: Annotated[
        Name | None, Meta(description="Session that the memory belongs to, if any.", examples=["trip-42"])
    ] = None
    user_id: Annotated[Name | None, Meta(description="User who owns the memory, if any.", examples=["ana"])] = None
    namespace: Annotated[
        Name | None, Meta(description="Namespace that the memory belongs to, if any.", examples=["travel"])
    ] = None
    last_accessed: Annotated[
        datetime | UnsetType,
        Meta(description="When it was last found or used; absent: now.", examples=["2026-03-01T09:00:00Z"]),
    ] = UNSET
    created_at: Annotated[
        datetime | UnsetType,
        Meta(description="When the memory was made; absent: now.", examples=["2026-03-01T09:00:00Z"]),
    ] = UNSET
    updated_at: Annotated[
        datetime | UnsetType,
        Meta(description="When it was last changed; absent: now.", examples=["2026-03-01T09:00:00Z"]),
    ] = UNSET
    pinned: Annotated[
        bool | UnsetType, Meta(description="Whether forgetting and merging leave it alone.", examples=[False])
    ] = UNSET
    access_count: Annotated[
        Annotated[int, Meta(ge=0, le=MAX_ACCESSES)] | UnsetType,
        Meta(description="How often it was found.", examples=[3]),
    ] = UNSET
    topics: Annotated[Tags | None, Meta(description="What it is about.", examples=[["travel"]])] = None
    entities: Entities = None
    extracted_from: Annotated[
        Sources | None, Meta(description="Ids of the messages that it was made from.", examples=[["m1"]])
    ] = None
    memory_hash: Annotated[
        Name | None, Meta(description="Set by the server; what a client sends is ignored.", examples=[None])
    ] = None
    discrete_memory_extracted: Annotated[
        ExtractionFlag | UnsetType,
        Meta(description="Set by the server; what a client sends is ignored.", examples=["t"]),
    ] = UNSET
    memory_type: Annotated[
        MemoryType | UnsetType,
        Meta(
            description="`semantic`: a fact; `episodic`: an event; `message`: a turn of a conversation.",
            examples=["semantic"],
        ),
    ] = UNSET
    persisted_at: Annotated[
        datetime | None,
        Meta(
            description="When it was copied to long-term memory: a session does not copy such a memory again. "
            "Elsewhere the server sets it.",
            examples=[None],
        ),
    ] = None
    event_date: EventDate = None
    event_end: EventEnd = None
    event_precision: Precision = None
    said_at: Annotated[
        datetime | None,
        Meta(description="When it was said, if that was not at `created_at`.", examples=["2026-02-10T09:00:00Z"]),
    ] = None
    said_before: Annotated[
        Annotated[list[datetime], Meta(max_length=MOST_SAYINGS)] | None,
        Meta(description="Earlier times at which the same was said.", examples=[None]),
    ] = None
    extraction_strategy: Annotated[
        Name, Meta(description="Strategy that made the memory; `message` for turns.", examples=["discrete"])
    ] = "discrete"
    extraction_strategy_config: Annotated[Config, Meta(description="Options of that strategy.", examples=[{}])] = {}
    metadata: Annotated[
        Metadata | UnsetType,
        Meta(
            description="Keys of the application. Searches can filter by texts, numbers, booleans and lists of them.",
            examples=[{"source": "profile", "confidence": 0.9}],
        ),
    ] = UNSET
    valid_from: Annotated[
        datetime | None, Meta(description="Since when the fact holds, if that is known.", examples=[None])
    ] = None
    valid_to: Annotated[
        datetime | None,
        Meta(description="Until when the fact held; searches leave it out afterwards.", examples=[None]),
    ] = None


class RecordInput(RecordFields, kw_only=True):
    """A memory to store."""

    id: Annotated[Id, Meta(description="Id of the memory.", examples=["pref-window-seat"])]
    if_version: IfVersion = None
    if_hash: IfHash = None


class SessionRecordInput(RecordFields, kw_only=True):
    """A memory to store; an absent `id` gets a ULID."""

    id: Annotated[Id | UnsetType, Meta(description="Id of the memory.", examples=["pref-window-seat"])] = UNSET


class StrategyInput(msgspec.Struct, kw_only=True):
    """An extraction strategy by name, with its options."""

    strategy: Annotated[
        Name, Meta(description="Name of an extraction strategy that this server has.", examples=["discrete"])
    ] = "discrete"
    config: Annotated[Config, Meta(description="Options of the strategy.", examples=[{}])] = {}


class Operators(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A filter: an object whose names are operators, of which at least one must be known."""

    OPERATORS: ClassVar[bool] = True
    ECHOES: ClassVar[tuple[str, ...]] = FILTER_ECHOES


class TagFilter(Operators, kw_only=True, omit_defaults=True):
    """Operators on a tag; all that are given must hold.

    `in_`, `not_in`, `not_eq` and `none` are the spellings of official client classes.
    """

    eq: Annotated[str | None, Meta(description="The field has this value.", examples=["ana"])] = None
    ne: Annotated[str | None, Meta(description="The field does not have this value.", examples=["bob"])] = None
    any: Annotated[
        Some[str] | None, Meta(description="The field has one of these values.", examples=[["travel", "food"]])
    ] = None
    all: Annotated[
        AllOf[str] | None, Meta(description="The field has all of these values.", examples=[["travel", "food"]])
    ] = None
    startswith: Annotated[
        Prefix | None,
        Meta(description="A value begins with this text; takes no other operator beside it.", examples=["trip-"]),
    ] = None
    in_: Annotated[Some[str] | None, Meta(description="Same as `any`.", examples=[["travel", "food"]])] = None
    not_eq: Annotated[str | None, Meta(description="Same as `ne`.", examples=["bob"])] = None
    not_in: Annotated[Some[str] | None, Meta(description="Same as `none`.", examples=[["bob", "eve"]])] = None
    none: Annotated[
        Some[str] | None, Meta(description="The field has none of these values.", examples=[["bob", "eve"]])
    ] = None


class MemoryTypeFilter(Operators, kw_only=True, omit_defaults=True):
    """Operators on the memory type; all that are given must hold."""

    eq: Annotated[MemoryType | None, Meta(description="The memory is of this type.", examples=["semantic"])] = None
    ne: Annotated[MemoryType | None, Meta(description="The memory is not of this type.", examples=["message"])] = None
    any: Annotated[
        Some[MemoryType] | None,
        Meta(description="The memory is of one of these types.", examples=[["semantic", "episodic"]]),
    ] = None
    all: Annotated[
        AllOf[MemoryType] | None,
        Meta(description="The memory is of all of these types: only one can hold.", examples=[["semantic"]]),
    ] = None
    in_: Annotated[Some[MemoryType] | None, Meta(description="Same as `any`.", examples=[["semantic", "episodic"]])] = (
        None
    )
    not_eq: Annotated[MemoryType | None, Meta(description="Same as `ne`.", examples=["message"])] = None
    not_in: Annotated[
        Some[MemoryType] | None, Meta(description="The memory is of none of these types.", examples=[["message"]])
    ] = None


class DateFilter(Operators, kw_only=True, omit_defaults=True):
    """Comparisons of a time; all that are given must hold. `between` takes no other beside it but `inclusive`.

    A date without a time of day, `2026-03-01`, is that whole day: `lte` includes it, `gt` starts behind it.
    """

    eq: Annotated[
        datetime | None,
        Meta(description="At this time; a whole second means all of it.", examples=["2026-03-01T09:00:00Z"]),
    ] = None
    ne: Annotated[
        datetime | None,
        Meta(description="Not at this time; a whole second means all of it.", examples=["2026-03-01T09:00:00Z"]),
    ] = None
    gt: Annotated[datetime | None, Meta(description="Later than this.", examples=["2026-01-01T00:00:00Z"])] = None
    gte: Annotated[datetime | None, Meta(description="At this time or later.", examples=["2026-01-01T00:00:00Z"])] = (
        None
    )
    lt: Annotated[datetime | None, Meta(description="Earlier than this.", examples=["2027-01-01T00:00:00Z"])] = None
    lte: Annotated[datetime | None, Meta(description="At this time or earlier.", examples=["2027-01-01T00:00:00Z"])] = (
        None
    )
    between: Annotated[
        list[datetime] | None,
        Meta(
            description="Between these two times.",
            examples=[["2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"]],
            extra_json_schema={"minItems": 2, "maxItems": 2},
        ),
    ] = None
    inclusive: Annotated[
        Literal["both", "neither", "left", "right"] | None,
        Meta(description="Which bounds of `between` count as inside; absent: `both`.", examples=["left"]),
    ] = None


MetadataValue = str | float | bool


class MetadataFilter(Operators, kw_only=True, omit_defaults=True):
    """Operators on one metadata key; all that are given must hold.

    Order comparisons and `between` (two bounds, both included) are for numbers. Of a list one element that passes is
    enough. A boolean is none of the texts "true" and "false". Numbers are compared as
    doubles: whole numbers beyond 2**53 may equal their neighbours, so keep long numbers that are names as texts.
    """

    eq: Annotated[MetadataValue | None, Meta(description="The key has this value.", examples=["profile"])] = None
    ne: Annotated[MetadataValue | None, Meta(description="The key does not have this value.", examples=["chat"])] = None
    any: Annotated[
        Some[MetadataValue] | None,
        Meta(description="The key has one of these values.", examples=[["profile", "chat"]]),
    ] = None
    all: Annotated[
        AllOf[MetadataValue] | None,
        Meta(description="The key, a list, has all of these values.", examples=[["profile", "chat"]]),
    ] = None
    none: Annotated[
        Some[MetadataValue] | None, Meta(description="The key has none of these values.", examples=[["chat"]])
    ] = None
    startswith: Annotated[
        Prefix | None,
        Meta(description="A text begins with this; takes no other tag operator beside it.", examples=["pro"]),
    ] = None
    in_: Annotated[Some[MetadataValue] | None, Meta(description="Same as `any`.", examples=[["profile", "chat"]])] = (
        None
    )
    not_eq: Annotated[MetadataValue | None, Meta(description="Same as `ne`.", examples=["chat"])] = None
    not_in: Annotated[Some[MetadataValue] | None, Meta(description="Same as `none`.", examples=[["chat"]])] = None
    gt: Annotated[float | None, Meta(description="A number greater than this.", examples=[0.5])] = None
    gte: Annotated[float | None, Meta(description="This number or a greater one.", examples=[0.5])] = None
    lt: Annotated[float | None, Meta(description="A number less than this.", examples=[0.9])] = None
    lte: Annotated[float | None, Meta(description="This number or a smaller one.", examples=[0.9])] = None
    between: Annotated[
        Annotated[list[float], Meta(min_length=2, max_length=2)] | None,
        Meta(description="A number between these two, or one of them.", examples=[[0.5, 0.9]]),
    ] = None


def _weight(what: str, default: float) -> Meta:
    return Meta(description=f"{what}; absent: {default:g}.", examples=[default])


class SearchFields(msgspec.Struct, kw_only=True):
    """A search of long-term memory. Without `text` it lists what passes the filters.

    Without `search_mode`, or with `hybrid`, the whole pipeline ranks (full text, vectors, conversation context);
    `semantic` ranks by the distance of vectors alone, `keyword` by words and their context alone. `min_score` leaves
    out hits with less; behind the candidates that were ranked it looks no further.
    """

    text: Annotated[
        Text | None,
        Meta(
            description="What to look for, in plain words; absent or empty: list what passes the filters.",
            examples=["Which seat does Ana like?"],
        ),
    ] = None
    search_mode: Annotated[
        Literal["semantic", "keyword", "hybrid"] | UnsetType,
        Meta(description="How to rank; absent: the whole pipeline.", examples=["hybrid"]),
    ] = UNSET
    hybrid_alpha: (
        Annotated[
            float,
            Meta(
                ge=0,
                le=1,
                description="How much vectors count beside words: 0 not at all, 1 alone; absent: 0.7.",
                examples=[0.7],
            ),
        ]
        | UnsetType
    ) = UNSET
    text_scorer: Annotated[
        str | UnsetType,
        Meta(
            description=(
                "With `hybrid`: rank by nothing but the weighted sum of both scores, and require quoted phrases. All "
                "stores score words by BM25, whatever the name."
            ),
            examples=["BM25STD"],
            extra_json_schema={"enum": list(TEXT_SCORERS)},
        ),
    ] = UNSET
    session_id: Annotated[
        TagFilter | None, Meta(description="Only memories of these sessions.", examples=[{"eq": "trip-42"}])
    ] = None
    namespace: Annotated[
        TagFilter | None, Meta(description="Only memories of these namespaces.", examples=[{"eq": "travel"}])
    ] = None
    user_id: Annotated[
        TagFilter | None, Meta(description="Only memories that these users own.", examples=[{"eq": "ana"}])
    ] = None
    topics: Annotated[
        TagFilter | None,
        Meta(description="Only memories with these topics, in any letter case.", examples=[{"any": ["travel"]}]),
    ] = None
    entities: Annotated[
        TagFilter | None,
        Meta(description="Only memories with these entities, in any letter case.", examples=[{"any": ["Ana"]}]),
    ] = None
    extraction_strategy: Annotated[
        TagFilter | None,
        Meta(description="Only memories that these strategies made.", examples=[{"eq": "discrete"}]),
    ] = None
    memory_type: Annotated[
        MemoryTypeFilter | None, Meta(description="Only memories of these types.", examples=[{"eq": "semantic"}])
    ] = None
    trust: Annotated[
        TagFilter | None, Meta(description="Only memories of these levels of trust.", examples=[{"eq": "user"}])
    ] = None
    min_trust: Annotated[
        Trust | None,
        Meta(description="Only memories that are trusted as far as this, or further.", examples=["assistant"]),
    ] = None
    created_at: Annotated[
        DateFilter | None,
        Meta(description="Only memories made at these times.", examples=[{"gte": "2026-01-01T00:00:00Z"}]),
    ] = None
    last_accessed: Annotated[
        DateFilter | None,
        Meta(description="Only memories last found or used then.", examples=[{"gte": "2026-01-01T00:00:00Z"}]),
    ] = None
    event_date: Annotated[
        DateFilter | None,
        Meta(description="Only memories of events at these times.", examples=[{"gte": "2026-01-01T00:00:00Z"}]),
    ] = None
    event_end: Annotated[
        DateFilter | None,
        Meta(description="Only memories of events that ended then.", examples=[{"gte": "2026-01-01T00:00:00Z"}]),
    ] = None
    said_at: Annotated[
        DateFilter | None,
        Meta(description="Only memories that were said then.", examples=[{"gte": "2026-01-01T00:00:00Z"}]),
    ] = None
    timezone: Annotated[
        str | None,
        Meta(
            description="IANA zone of the caller, in which `yesterday` and dates without a time of day are meant; "
            "absent: the server's `default_timezone`.",
            examples=["Europe/Berlin"],
        ),
    ] = None
    locale: Annotated[
        str | None,
        Meta(
            description="Locale of the caller, which tells whether `3/4/2026` is in March (`en-US`) or in April; "
            "absent: both count.",
            examples=["en-GB"],
        ),
    ] = None
    metadata: Annotated[
        FilterKeys[MetadataFilter] | None,
        Meta(description="A filter for each key of the metadata.", examples=[{"confidence": {"gte": 0.5}}]),
    ] = None
    as_of: Annotated[
        datetime | None,
        Meta(description="Find what was valid at this time instead of now.", examples=["2026-01-01T00:00:00Z"]),
    ] = None
    distance_threshold: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        Meta(description="Largest cosine distance of a hit; with `search_mode` `semantic` only.", examples=[None]),
    ] = None
    limit: Annotated[int, Meta(ge=1, le=100, description="Most hits to return.", examples=[5])] = 10
    offset: Annotated[
        int, Meta(ge=0, description=f"Hits to skip; at most {DEEPEST_OFFSET:,} with a `text`.", examples=[0])
    ] = 0
    recency_boost: Annotated[
        bool | None,
        Meta(
            description="Rerank the page by recency; absent: where `search_mode` or `server_side_recency` is given.",
            examples=[True],
        ),
    ] = None
    recency_semantic_weight: Annotated[float | None, _weight("Weight of the score in reranking", 0.8)] = None
    recency_recency_weight: Annotated[float | None, _weight("Weight of recency in reranking", 0.2)] = None
    recency_freshness_weight: Annotated[float | None, _weight("Share of the last access in recency", 0.6)] = None
    recency_novelty_weight: Annotated[float | None, _weight("Share of the creation in recency", 0.4)] = None
    recency_half_life_last_access_days: Annotated[
        float | None, _weight("Days after the last access in which freshness halves", 7.0)
    ] = None
    recency_half_life_created_days: Annotated[
        float | None, _weight("Days after the creation in which novelty halves", 30.0)
    ] = None
    server_side_recency: Annotated[
        bool | None, Meta(description="Rank all candidates by recency, not only the page.", examples=[False])
    ] = None
    explain: Annotated[
        bool,
        Meta(description="Add the parts of each score to the hits, and explain them in sentences.", examples=[False]),
    ] = False
    min_score: Annotated[float, Meta(ge=0, le=1, description="Least score of a hit; 0 keeps all.", examples=[0.0])] = (
        0.0
    )


class PromptSession(msgspec.Struct, kw_only=True):
    """The session whose messages go into a prompt, and the window they must fit."""

    session_id: SessionId
    namespace: SessionNamespace = None
    user_id: SessionUser = None
    model_name: Annotated[
        Name | None,
        Meta(
            description="Model whose context window the messages must fit; unknown names have 128,000 tokens.",
            examples=["gpt-4o"],
        ),
    ] = None
    context_window_max: ContextWindow = None
    long_term_memory_strategy: Annotated[
        StrategyInput | None,
        Meta(description="Accepted for compatibility; a prompt extracts nothing.", examples=[None]),
    ] = None
