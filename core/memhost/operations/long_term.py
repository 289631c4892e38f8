"""Operations on long-term memory, and the memory prompt."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from memhost.models import MemoryType
from memhost.models.limits import Many, Metadata, Name, Tags, Text
from memhost.operations.requests import PromptSession, RecordInput, SearchFields, SessionRecordInput

TAG = "Long-term memory"


class CreateMemories(msgspec.Struct, kw_only=True):
    """Memories to store; with `deduplicate` exact repetitions inside the same scope are dropped."""

    memories: Many[RecordInput]
    deduplicate: bool = True


class StoreMemories(msgspec.Struct, kw_only=True):
    """Memories to store; those without an id get a ULID. Exact repetitions inside the same scope are dropped."""

    memories: Annotated[list[SessionRecordInput], Meta(min_length=1, max_length=100)]


class SearchMemories(SearchFields, kw_only=True):
    """A search, and whether a language model may rewrite its text first."""

    optimize_query: bool = False


class GetMemory(msgspec.Struct, kw_only=True):
    """Which memory to read."""

    memory_id: str


class EditMemory(msgspec.Struct, kw_only=True):
    """Which memory to change, and its new values; absent or null fields stay as they are.

    `metadata` takes the place of what the client gave before; notes of the server in it stay. `clear` names fields to
    empty: `topics`, `entities`, `namespace`, `user_id`, `session_id`, `event_date`, `metadata`.
    """

    memory_id: str
    text: Text | None = None
    topics: Tags | None = None
    entities: Tags | None = None
    memory_type: MemoryType | None = None
    namespace: Name | None = None
    user_id: Name | None = None
    session_id: Name | None = None
    event_date: datetime | None = None
    pinned: bool | None = None
    metadata: Metadata | None = None
    clear: list[Literal["topics", "entities", "namespace", "user_id", "session_id", "event_date", "metadata"]] = []


class DeleteMemories(msgspec.Struct, kw_only=True):
    """Which memories to delete; `report` adds to the answer which ids there were, and of which nothing is left."""

    memory_ids: Many[str] = []
    report: bool = False


class MemoryPromptRequest(msgspec.Struct, kw_only=True):
    """A query, and which context to put before it: a session, a search, or both."""

    query: Text
    session: PromptSession | None = None
    long_term_search: SearchFields | bool | None = None
    optimize_query: bool = False
