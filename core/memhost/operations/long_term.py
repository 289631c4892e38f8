"""Operations on long-term memory, and the memory prompt."""

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from memhost.models import MemoryType
from memhost.models.limits import Many, Metadata, Name, Tags, Text, VisibleText
from memhost.operations.requests import (
    Entities,
    EventDate,
    PromptSession,
    RecordInput,
    SearchFields,
    SessionRecordInput,
)

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
    """A search, whether a language model may rewrite its text first, and whether its phases are timed."""

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


class DeleteMemories(msgspec.Struct, kw_only=True):
    """Which memories to delete."""

    memory_ids: Annotated[Many[str], Meta(description="Ids of the memories.", examples=[["pref-window-seat"]])] = []
    report: Annotated[
        bool,
        Meta(description="Add to the answer which ids were deleted, and which no memory had.", examples=[True]),
    ] = False


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
    optimize_query: Annotated[
        bool,
        Meta(
            description="Let a language model rewrite the query for retrieval first, where one is configured.",
            examples=[False],
        ),
    ] = False
