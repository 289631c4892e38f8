"""Messages, memories and working memory, as they are stored and as they travel."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType
from ulid import ULID

from memhost.models.trust import Trust

ExtractionFlag = Literal["t", "f"]

TURN_STRATEGY = "message"
"""Strategy that records of conversation turns carry; turns are evidence and never dropped as repetitions."""

EventPrecision = Literal["year", "month", "week", "day", "minute"]
"""Unit to which the date of an event is known."""

MOST_SAYINGS = 50
"""Earlier times at which the same was said that a memory keeps: the first ones and the latest."""

MAX_ACCESSES = 2**53
"""Where access counts stop: the largest integer that every JSON client reads exactly."""


class MemoryType(StrEnum):
    """Kind of a memory."""

    SEMANTIC = "semantic"
    EPISODIC = "episodic"
    MESSAGE = "message"


def new_id() -> str:
    """A new ULID: 26 characters of Crockford base32, ordered by time."""
    return str(ULID())


class StrategyConfig(msgspec.Struct, kw_only=True):
    """Which extraction strategy a session uses, and its options."""

    strategy: Annotated[str, Meta(description="Name of the extraction strategy.")] = "discrete"
    config: Annotated[dict[str, Any], Meta(description="Options of the strategy.")] = {}


class Message(msgspec.Struct, kw_only=True):
    """One turn of a conversation. `discrete_memory_extracted` is "t" once extraction has read the turn.

    `trust` is how far it is trusted, by who sent it in which role; None for turns that earlier versions stored (their
    role tells). `content` is its text. Where the content was sent in another form (a list of parts, null), `parts`
    holds that as it was. The fields behind it are kept as they were sent, and UNSET where they were not.
    """

    role: str
    content: str
    id: str
    created_at: datetime
    persisted_at: datetime | None = None
    discrete_memory_extracted: ExtractionFlag = "f"
    trust: Trust | None = None
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


class EditedFrom(msgspec.Struct, frozen=True, kw_only=True):
    """The sources that a memory had before its text was edited: no evidence for what it says since."""

    source_ids: Annotated[list[str], Meta(description="Ids of the turns or memories.")] = []
    extractor: Annotated[str | None, Meta(description="Strategy that made it, with its version.")] = None
    said_at: Annotated[datetime | None, Meta(description="When that was said; null for turns.")] = None
    role: Annotated[str | None, Meta(description="Role of who said it, if it was a turn.")] = None
    speaker: Annotated[str | None, Meta(description="Name of who said it, if it was a turn and that is known.")] = None
    position: Annotated[int | None, Meta(description="Index of the turn in its session, if it was one.")] = None


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """Why a memory waits or waited for a review, and who decided."""

    state: Annotated[
        Literal["pending", "approved", "refused"],
        Meta(description="`pending`: it waits, and is no part of searches and contexts; `approved`; or `refused`."),
    ]
    reasons: Annotated[
        list[str],
        Meta(
            description="What it is about: `rights`, `identity`, `payments`, `addresses`, `tools`, `instruction`; or "
            "`contradicts`: it contradicts what is trusted more."
        ),
    ]
    would_change: Annotated[list[str], Meta(description="Ids of memories that it would change.")] = []
    by: Annotated[str | None, Meta(description="Who decided, as authentication names them.")] = None
    credential: Annotated[str | None, Meta(description="Id of their credential, if it has one.")] = None
    door: Annotated[str | None, Meta(description="The interface through which they decided.")] = None
    at: Annotated[datetime | None, Meta(description="When they decided.")] = None
    trust: Annotated[Trust | None, Meta(description="How far it was trusted before.")] = None


class HeldMemories(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Ids of memories of a request that are not among the memories, because they need a review."""

    pending: Annotated[
        list[str],
        Meta(description="They wait for a review; of a repetition it is the id under which the first one waits."),
    ] = []
    refused: Annotated[list[str], Meta(description="A review refused the same text; they are not kept.")] = []
    not_kept: Annotated[
        list[str], Meta(description="As many of their owner wait as may (`REVIEW_LIMIT`); they are not kept.")
    ] = []


class MemoryRecord(msgspec.Struct, kw_only=True):
    """One long-term memory. Times are UTC."""

    id: Annotated[str, Meta(description="Id of the memory; ids that the server makes are ULIDs.")]
    text: Annotated[str, Meta(description="What the memory says.")]
    session_id: Annotated[str | None, Meta(description="Session that the memory belongs to, if any.")] = None
    user_id: Annotated[str | None, Meta(description="User who owns the memory, if any.")] = None
    namespace: Annotated[str | None, Meta(description="Namespace that the memory belongs to, if any.")] = None
    last_accessed: Annotated[datetime, Meta(description="When it was last found or used.")]
    created_at: Annotated[datetime, Meta(description="When the memory was made.")]
    updated_at: Annotated[datetime, Meta(description="When it was last changed.")]
    pinned: Annotated[bool, Meta(description="Whether forgetting and merging leave it alone.")] = False
    access_count: Annotated[int, Meta(description="How often it was found.")] = 0
    topics: Annotated[list[str], Meta(description="What it is about.")] = []
    entities: Annotated[list[str], Meta(description="People, places and things that it names.")] = []
    extracted_from: Annotated[list[str], Meta(description="Ids of the messages that it was made from.")] = []
    memory_hash: Annotated[
        str | None, Meta(description="Hash of owner and normalised text: equal for exact repetitions.")
    ] = None
    discrete_memory_extracted: Annotated[
        ExtractionFlag, Meta(description='`"t"`: nothing waits to be extracted from it.')
    ] = "t"
    memory_type: Annotated[
        MemoryType,
        Meta(description="`semantic`: a fact; `episodic`: an event; `message`: a turn of a conversation."),
    ] = MemoryType.SEMANTIC
    persisted_at: Annotated[
        datetime | None, Meta(description="When the server copied it to long-term memory, or made it; null for others.")
    ] = None
    event_date: Annotated[datetime | None, Meta(description="When the event happened that it tells of.")] = None
    event_end: Annotated[datetime | None, Meta(description="When the event ended, if it took longer.")] = None
    event_precision: Annotated[
        EventPrecision | None, Meta(description="How exact the dates of the event are; null: unknown.")
    ] = None
    said_at: Annotated[
        datetime | None,
        Meta(
            description="When it was said: of what was made from turns, the latest of them. Null for turns, which were "
            "said at `created_at`, and for memories of clients that do not tell."
        ),
    ] = None
    said_before: Annotated[
        list[datetime], Meta(description="Earlier times at which the same was said, oldest first; at most 50.")
    ] = []
    extraction_strategy: Annotated[str, Meta(description="Strategy that made the memory; `message` for turns.")] = (
        "discrete"
    )
    extraction_strategy_config: Annotated[dict[str, Any], Meta(description="Options of that strategy.")] = {}
    metadata: Annotated[dict[str, Any], Meta(description="Keys of the application, and notes of the server.")] = {}
    source_ids: Annotated[list[str], Meta(description="Ids of the turns or memories that it was made from.")] = []
    extractor: Annotated[
        str | None, Meta(description="Strategy that made it, with its version; null if a client did.")
    ] = None
    valid_from: Annotated[datetime | None, Meta(description="Since when the fact holds, if that is known.")] = None
    valid_to: Annotated[
        datetime | None, Meta(description="Until when the fact held; searches leave it out afterwards.")
    ] = None
    superseded_by: Annotated[str | None, Meta(description="Id of the memory that replaced it, if any.")] = None
    trust: Annotated[
        Trust | None,
        Meta(
            description="Where it comes from, and so how far it is trusted, by credential, door and role: `operator`, "
            "`user`, `assistant`, `agent` (a program stored it), `import`, `tool`, `external` (a page, a document, "
            "somebody unknown). Of what was made from several sources the least trusted. Null: an earlier version "
            "stored it."
        ),
    ] = None
    edited_from: Annotated[
        EditedFrom | None,
        Meta(description="What it was made from before its text was edited; null if that never happened."),
    ] = None
    version: Annotated[
        int | UnsetType,
        Meta(description="Number of this state of it, from 1: each change makes a new one. Absent where none is kept."),
    ] = UNSET
    review: Annotated[
        Review | None, Meta(description="Whether it waits for a review, or what became of it; null: it needed none.")
    ] = None

    @property
    def told_at(self) -> datetime:
        """When it was said: `said_at`, or `created_at` of turns and where nobody has told."""
        return self.said_at or self.created_at

    @property
    def sayings(self) -> list[datetime]:
        """All times at which it was said, oldest first."""
        return sorted({*self.said_before, self.told_at})

    @property
    def held_from(self) -> datetime:
        """Since when it holds: `valid_from`, else since it was first said, or since its event if that was before.

        A turn holds since it was said.
        """
        if self.valid_from is not None:
            return self.valid_from
        if self.memory_type is MemoryType.MESSAGE and self.extraction_strategy == TURN_STRATEGY:
            return self.created_at
        first = min(self.told_at, *self.said_before) if self.said_before else self.told_at
        return first if self.event_date is None else min(first, self.event_date)


class Repeat(msgspec.Struct, frozen=True, kw_only=True):
    """Another time that the same speaker said the same."""

    id: Annotated[str, Meta(description="Id of the memory that says the same.")]
    session_id: Annotated[str | None, Meta(description="Session in which it was said, if any.")]
    created_at: Annotated[datetime, Meta(description="When it was said.")]
    text: Annotated[
        str | UnsetType, Meta(description="The words, where they differ in a capital, a sign or a greeting.")
    ] = UNSET


class EvidenceTurn(msgspec.Struct, frozen=True, kw_only=True):
    """A turn that says what a statement states."""

    id: Annotated[str, Meta(description="Id of the turn's memory.")]
    text: Annotated[str, Meta(description="What was said; of a long turn the passage that says most about the query.")]
    role: Annotated[str | None, Meta(description="Role of who said it.")]
    speaker: Annotated[str | None, Meta(description="Name of who said it, where it is known.")]
    created_at: Annotated[datetime, Meta(description="When it was said.")]
    session_id: Annotated[str | None, Meta(description="Session in which it was said.")]
    cut_from: Annotated[
        int | UnsetType, Meta(description="Characters of the whole text, where `text` is a passage of it.")
    ] = UNSET


class NewerFact(msgspec.Struct, frozen=True, kw_only=True):
    """The fact that replaced one that a turn states."""

    by: Annotated[str, Meta(description="Id of the memory with the newer fact.")]
    text: Annotated[str, Meta(description="The newer fact.")]
    since: Annotated[datetime, Meta(description="Since when the newer fact holds.")]
    fact: Annotated[
        str, Meta(description="The older fact, which was made from the turn, or from the one that it replies to.")
    ]


class OlderFact(msgspec.Struct, frozen=True, kw_only=True):
    """A fact that a newer one replaced."""

    id: Annotated[str, Meta(description="Id of the memory with the older fact.")]
    text: Annotated[str, Meta(description="The older fact.")]
    until: Annotated[datetime, Meta(description="Until when the older fact held.")]


class MemoryHit(MemoryRecord, kw_only=True):
    """A memory found by a search."""

    dist: Annotated[
        float, Meta(description="0 for the best hit, larger for worse ones; its meaning depends on `score_type`.")
    ] = 0.0
    score: Annotated[float | None, Meta(description="0 to 1, larger is better; null in a listing.")] = None
    score_type: Annotated[
        Literal["semantic", "keyword", "hybrid"] | None,
        Meta(description="What `score` measures; null in a listing."),
    ] = None
    explain: Annotated[
        dict[str, float] | None, Meta(description="The parts of the score, if the request asked for them.")
    ] = None
    explanation: Annotated[
        list[str] | UnsetType,
        Meta(description="The same in sentences: which words, which meaning, which neighbours, which date."),
    ] = UNSET
    cut_from: Annotated[
        int | UnsetType,
        Meta(
            description="Characters of the whole text, where `text` is a passage of it (`max_text`): read it by the id."
        ),
    ] = UNSET
    repeats: Annotated[
        list[Repeat] | UnsetType,
        Meta(
            description="Other times that the same was said, newest first, at most 20: word for word, or but for a "
            "capital, a sign or a greeting. Without `search_mode` they are one hit."
        ),
    ] = UNSET
    count: Annotated[int | UnsetType, Meta(description="How often it was said, if more than once.")] = UNSET
    evidence: Annotated[
        list[EvidenceTurn] | UnsetType,
        Meta(
            description="The turns that say what the statement states, oldest first. Without `search_mode` a statement "
            "and its turns are one hit, with the better score."
        ),
    ] = UNSET
    score_of: Annotated[
        str | UnsetType,
        Meta(
            description="Id of the memory whose place in the ranking it has, if that is not its own: a turn of its "
            "`evidence`, which then fits the query better than the statement, or a fact that it `replaces`, or a turn "
            "of that."
        ),
    ] = UNSET
    superseded: Annotated[
        NewerFact | UnsetType,
        Meta(description="For a turn whose fact a newer one replaced: that; the turn ranks below it."),
    ] = UNSET
    replaces: Annotated[
        list[OlderFact] | UnsetType,
        Meta(description="Facts that it replaced, if they or their turns fit the query, the best first."),
    ] = UNSET


class WorkingMemory(msgspec.Struct, kw_only=True):
    """The client's view of a session's content. `tokens` is an opaque counter kept for the client.

    `context_trust` is how far the context is trusted: as who wrote it, or as the least trusted of the messages that it
    tells of; None without one, and for one that an earlier version stored.
    """

    messages: list[Message] = []
    memories: list[MemoryRecord] = []
    data: dict[str, Any] | None = None
    context: str | None = None
    context_trust: Trust | None = None
    tokens: int = 0
    long_term_memory_strategy: StrategyConfig = msgspec.field(default_factory=StrategyConfig)
    ttl_seconds: int | None = None
    last_accessed: datetime
    created_at: datetime
    updated_at: datetime
