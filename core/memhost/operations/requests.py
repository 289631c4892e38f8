"""Parts that requests are made of: messages, memories and filters as clients send them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from memhost.models import MOST_ACCESSES, MemoryType
from memhost.models.limits import LONGEST_MESSAGE, Config, FilterKeys, Many, Metadata, Name, Names, Tags, Text

ExtractionFlag = Literal["t", "f"]

_CONTENT: dict[str, Any] = {
    "anyOf": [
        {"type": "string"},
        {"type": "array", "items": {}},
        {"type": "object"},
        {"type": "null", "description": "Only beside `tool_calls`."},
    ],
    "maxLength": LONGEST_MESSAGE,
}

MessageContent = Annotated[
    Any,
    Meta(description="Text, or a list of parts; null or absent beside tool_calls.", extra_json_schema=_CONTENT),
]
"""What chat interfaces take for content."""

Sent = Annotated[Any, Meta(description="Kept, and given back as it was sent.")]
"""A field of a message that the server does not read into."""


class MessageInput(msgspec.Struct, kw_only=True):
    """A message to write. An absent `id` gets a ULID, an absent `created_at` the time of the write."""

    REQUIRED_UNLESS: ClassVar[Mapping[str, tuple[str, ...]]] = {"content": ("tool_calls", "function_call", "others")}
    OTHERS: ClassVar[str] = "others"
    """Field that holds what is sent under names that are not known here."""

    role: Name
    content: MessageContent = UNSET
    id: Name | UnsetType = UNSET
    created_at: datetime | UnsetType = UNSET
    persisted_at: datetime | None = None
    discrete_memory_extracted: ExtractionFlag | UnsetType = UNSET
    name: Sent = UNSET
    tool_calls: Sent = UNSET
    tool_call_id: Sent = UNSET
    function_call: Sent = UNSET
    refusal: Sent = UNSET
    audio: Sent = UNSET
    annotations: Sent = UNSET
    others: Sent = UNSET


class RecordFields(msgspec.Struct, kw_only=True):
    """What a client may say about a memory that it writes."""

    ECHOES: ClassVar[tuple[str, ...]] = (
        "source_ids",
        "extractor",
        "superseded_by",
        "dist",
        "score",
        "score_type",
        "explain",
    )
    """What a memory has when it is read, and no client can set: clients send back what they read."""

    text: Text
    session_id: Name | None = None
    user_id: Name | None = None
    namespace: Name | None = None
    last_accessed: datetime | UnsetType = UNSET
    created_at: datetime | UnsetType = UNSET
    updated_at: datetime | UnsetType = UNSET
    pinned: bool | UnsetType = UNSET
    access_count: Annotated[int, Meta(ge=0, le=MOST_ACCESSES)] | UnsetType = UNSET
    topics: Tags | None = None
    entities: Tags | None = None
    extracted_from: Names | None = None
    memory_hash: Name | None = None
    discrete_memory_extracted: ExtractionFlag | UnsetType = UNSET
    memory_type: MemoryType | UnsetType = UNSET
    persisted_at: datetime | None = None
    event_date: datetime | None = None
    extraction_strategy: Name = "discrete"
    extraction_strategy_config: Config = {}
    metadata: Metadata | UnsetType = UNSET
    valid_from: datetime | None = None
    valid_to: datetime | None = None


class RecordInput(RecordFields, kw_only=True):
    """A memory to store."""

    id: Name


class SessionRecordInput(RecordFields, kw_only=True):
    """A memory inside a session; an absent `id` gets a ULID."""

    id: Name | UnsetType = UNSET


class StrategyInput(msgspec.Struct, kw_only=True):
    """An extraction strategy by name, with its options."""

    strategy: Name = "discrete"
    config: Config = {}


class Operators(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A filter: an object whose names are operators, of which at least one must be known."""

    OPERATORS: ClassVar[bool] = True
    ECHOES: ClassVar[tuple[str, ...]] = ("field", "enum_class")
    """Names that the filter classes of official clients add."""


class TagFilter(Operators, kw_only=True, omit_defaults=True):
    """Operators on a tag; all that are given must hold.

    `in_`, `not_in`, `not_eq` and `none` are the spellings of official client classes.
    """

    eq: str | None = None
    ne: str | None = None
    any: Many[str] | None = None
    all: Many[str] | None = None
    startswith: str | None = None
    in_: Many[str] | None = None
    not_eq: str | None = None
    not_in: Many[str] | None = None
    none: Many[str] | None = None


class MemoryTypeFilter(Operators, kw_only=True, omit_defaults=True):
    """Operators on the memory type; all that are given must hold."""

    eq: MemoryType | None = None
    ne: MemoryType | None = None
    any: Many[MemoryType] | None = None
    all: Many[MemoryType] | None = None
    in_: Many[MemoryType] | None = None
    not_eq: MemoryType | None = None
    not_in: Many[MemoryType] | None = None


class DateFilter(Operators, kw_only=True, omit_defaults=True):
    """Comparisons of a time; all that are given must hold. `between` stands alone, bounded by `inclusive`."""

    eq: datetime | None = None
    ne: datetime | None = None
    gt: datetime | None = None
    gte: datetime | None = None
    lt: datetime | None = None
    lte: datetime | None = None
    between: list[datetime] | None = None
    inclusive: Literal["both", "neither", "left", "right"] | None = None


MetadataValue = str | float | bool


class MetadataFilter(Operators, kw_only=True, omit_defaults=True):
    """Operators on one metadata key; all that are given must hold.

    Order comparisons and `between` (two bounds, both included) are for numbers. Of a list one element that passes is
    enough. A boolean is none of the texts "true" and "false". Numbers are compared as
    doubles: whole numbers beyond 2**53 may equal their neighbours, so keep long numbers that are names as texts.
    """

    eq: MetadataValue | None = None
    ne: MetadataValue | None = None
    any: Many[MetadataValue] | None = None
    all: Many[MetadataValue] | None = None
    none: Many[MetadataValue] | None = None
    startswith: str | None = None
    in_: Many[MetadataValue] | None = None
    not_eq: MetadataValue | None = None
    not_in: Many[MetadataValue] | None = None
    gt: float | None = None
    gte: float | None = None
    lt: float | None = None
    lte: float | None = None
    between: Annotated[list[float], Meta(min_length=2, max_length=2)] | None = None


class SearchFields(msgspec.Struct, kw_only=True):
    """A search of long-term memory. Without `text` it lists what passes the filters.

    Without `search_mode` the whole pipeline ranks (full text, vectors, conversation context); `semantic`,
    `keyword` and `hybrid` rank by exactly that. `min_score` leaves out hits with less; behind the candidates that
    were ranked it looks no further.
    """

    text: Text | None = None
    search_mode: Literal["semantic", "keyword", "hybrid"] | UnsetType = UNSET
    hybrid_alpha: Annotated[float, Meta(ge=0, le=1)] = 0.7
    text_scorer: str = "BM25STD"
    session_id: TagFilter | None = None
    namespace: TagFilter | None = None
    user_id: TagFilter | None = None
    topics: TagFilter | None = None
    entities: TagFilter | None = None
    extraction_strategy: TagFilter | None = None
    memory_type: MemoryTypeFilter | None = None
    created_at: DateFilter | None = None
    last_accessed: DateFilter | None = None
    event_date: DateFilter | None = None
    metadata: FilterKeys[MetadataFilter] | None = None
    as_of: datetime | None = None
    distance_threshold: Annotated[float, Meta(ge=0)] | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 10
    offset: Annotated[int, Meta(ge=0)] = 0
    recency_boost: bool | None = None
    recency_semantic_weight: float | None = None
    recency_recency_weight: float | None = None
    recency_freshness_weight: float | None = None
    recency_novelty_weight: float | None = None
    recency_half_life_last_access_days: float | None = None
    recency_half_life_created_days: float | None = None
    server_side_recency: bool | None = None
    explain: bool = False
    min_score: Annotated[float, Meta(ge=0, le=1)] = 0.0


class PromptSession(msgspec.Struct, kw_only=True):
    """The session whose messages go into a prompt, and the window they must fit."""

    session_id: Name
    namespace: Name | None = None
    user_id: Name | None = None
    model_name: Name | None = None
    context_window_max: int | None = None
    long_term_memory_strategy: StrategyInput | None = None
