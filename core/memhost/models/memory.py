"""Messages, memories and working memory, as they are stored and as they travel."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType
from ulid import ULID

ExtractionFlag = Literal["t", "f"]

MOST_ACCESSES = 2**53
"""Where access counts stop: the largest integer that every JSON client reads exactly."""


class MemoryType(StrEnum):
    """What kind of memory a record is."""

    SEMANTIC = "semantic"
    EPISODIC = "episodic"
    MESSAGE = "message"


def new_id() -> str:
    """A new ULID: 26 characters of Crockford base32, ordered by time."""
    return str(ULID())


class StrategyConfig(msgspec.Struct, kw_only=True):
    """Which extraction strategy a session uses, and its options."""

    strategy: str = "discrete"
    config: dict[str, Any] = {}


class Message(msgspec.Struct, kw_only=True):
    """One turn of a conversation. `discrete_memory_extracted` is "t" once extraction has read the turn.

    `content` is its text. Where the content was sent in another form (a list of parts, null), `parts` holds that as it
    was. The fields behind it are kept as they were sent, and UNSET where they were not.
    """

    role: str
    content: str
    id: str
    created_at: datetime
    persisted_at: datetime | None = None
    discrete_memory_extracted: ExtractionFlag = "f"
    parts: Any = UNSET
    name: Any = UNSET
    tool_calls: Any = UNSET
    tool_call_id: Any = UNSET
    function_call: Any = UNSET
    refusal: Any = UNSET
    audio: Any = UNSET
    annotations: Any = UNSET
    others: Any = UNSET


SENT_FIELDS = ("name", "tool_calls", "tool_call_id", "function_call", "refusal", "audio", "annotations", "others")
"""Fields of messages that are kept as they were sent, beside the content: those of OpenAI's chat completions, and a
dict of those of other interfaces."""


class MemoryRecord(msgspec.Struct, kw_only=True):
    """One long-term memory. Times are UTC.

    `source_ids` are the turns or memories it came from, `extractor` the plugin (name and version) that made
    it. `valid_from` / `valid_to` bound the time in which the fact held; `superseded_by` is the id of the
    memory that replaced it.
    """

    id: str
    text: str
    session_id: str | None = None
    user_id: str | None = None
    namespace: str | None = None
    last_accessed: datetime
    created_at: datetime
    updated_at: datetime
    pinned: bool = False
    access_count: int = 0
    topics: list[str] = []
    entities: list[str] = []
    extracted_from: list[str] = []
    memory_hash: str | None = None
    discrete_memory_extracted: ExtractionFlag = "t"
    memory_type: MemoryType = MemoryType.SEMANTIC
    persisted_at: datetime | None = None
    event_date: datetime | None = None
    extraction_strategy: str = "discrete"
    extraction_strategy_config: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    source_ids: list[str] = []
    extractor: str | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    superseded_by: str | None = None


class Repeat(msgspec.Struct, frozen=True, kw_only=True):
    """Another time that the same speaker said the same: the memory's id, its session, and when."""

    id: str
    session_id: str | None
    created_at: datetime


class MemoryHit(MemoryRecord, kw_only=True):
    """A memory found by a search.

    `dist` is 0 for the best; its meaning depends on `score_type`. `score` lies in 0..1, or is null in a
    listing. `explain` holds the parts of the score when the request asked for them. `repeats` are the other times that
    the same was said, word for word, newest first; without `search_mode` they are one hit.
    """

    dist: float = 0.0
    score: float | None = None
    score_type: Literal["semantic", "keyword", "hybrid"] | None = None
    explain: dict[str, float] | None = None
    repeats: list[Repeat] | UnsetType = UNSET


class WorkingMemory(msgspec.Struct, kw_only=True):
    """The client's view of a session's content. `tokens` is an opaque counter kept for the client."""

    messages: list[Message] = []
    memories: list[MemoryRecord] = []
    data: dict[str, Any] | None = None
    context: str | None = None
    tokens: int = 0
    long_term_memory_strategy: StrategyConfig = msgspec.field(default_factory=StrategyConfig)
    ttl_seconds: int | None = None
    last_accessed: datetime
    created_at: datetime
    updated_at: datetime
