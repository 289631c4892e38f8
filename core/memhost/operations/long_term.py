"""Operations on long-term memory, and the memory prompt."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import UNSET, Meta

from memhost.models import MemoryRecord, MemoryType
from memhost.models.limits import Many, Metadata, Name, Tags, Text
from memhost.operations.requests import PromptSession, RecordInput, SearchFields, SessionRecordInput
from memhost.operations.responses import Ack, DeletionAck, MemoryHits, MemoryPrompt, StoredRecords
from memhost.operations.table import Call, Operation

if TYPE_CHECKING:
    from memhost.host import Host

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


async def _create(host: Host, call: Call, request: CreateMemories) -> Ack:
    await host.memories.create(call, request.memories, deduplicate=request.deduplicate)
    return Ack()


async def _store(host: Host, call: Call, request: StoreMemories) -> StoredRecords:
    return StoredRecords(results=await host.memories.store(call, request.memories))


async def _search(host: Host, call: Call, request: SearchMemories) -> MemoryHits:
    return await host.search.search(call, request, optimize_query=request.optimize_query)


async def _get(host: Host, call: Call, request: GetMemory) -> MemoryRecord:
    return await host.memories.get(call, request.memory_id)


async def _edit(host: Host, call: Call, request: EditMemory) -> MemoryRecord:
    return await host.memories.edit(call, request)


async def _delete(host: Host, call: Call, request: DeleteMemories) -> DeletionAck:
    done = await host.memories.delete(call, request.memory_ids)
    return DeletionAck(
        status=f"ok, deleted {done.count} memories",
        deleted_ids=done.ids if request.report else UNSET,
        missing_ids=done.missing if request.report else UNSET,
    )


async def _prompt(host: Host, call: Call, request: MemoryPromptRequest) -> MemoryPrompt:
    return await host.prompts.build(call, request)


OPERATIONS = (
    Operation(
        name="create_memories",
        request=CreateMemories,
        response=Ack,
        handler=_create,
        access="write",
        tag=TAG,
        summary="Store memories; they can be read and searched when the answer comes.",
        description=(
            "With `deduplicate` a memory that repeats a stored one of the same owner and type goes into that "
            "one: the same text, but for gaps in prose and one full stop at the end. It adds its tags, metadata, event "
            "date and pin; both ids lead to the one that stays, which a notice names. Where both say something that "
            "differs (a date, a value of metadata, letter case, any sign), both stay."
        ),
        errors=("invalid_arguments", "id_taken", "long_term_memory_disabled"),
    ),
    Operation(
        name="store_memories",
        request=StoreMemories,
        response=StoredRecords,
        handler=_store,
        access="write",
        tag=TAG,
        summary="Store memories, and tell what became of each.",
        description="As storing memories otherwise, but ids may be left out, and the answer holds what is stored.",
        errors=("invalid_request", "invalid_arguments", "id_taken", "long_term_memory_disabled"),
    ),
    Operation(
        name="search_memories",
        request=SearchMemories,
        response=MemoryHits,
        handler=_search,
        access="read",
        tag=TAG,
        summary="Search memories, or list them by filters.",
        description=(
            "Filters are applied inside the store's query and never widened. `explain` adds the parts of each score."
        ),
        errors=("invalid_arguments", "invalid_request", "long_term_memory_disabled"),
    ),
    Operation(
        name="get_memory",
        request=GetMemory,
        response=MemoryRecord,
        handler=_get,
        access="read",
        tag=TAG,
        summary="Read a memory.",
        errors=("not_found", "long_term_memory_disabled"),
    ),
    Operation(
        name="edit_memory",
        request=EditMemory,
        response=MemoryRecord,
        handler=_edit,
        access="write",
        tag=TAG,
        summary="Change fields of a memory.",
        errors=("not_found", "invalid_request", "long_term_memory_disabled"),
    ),
    Operation(
        name="delete_memories",
        request=DeleteMemories,
        response=DeletionAck,
        handler=_delete,
        access="delete",
        tag=TAG,
        summary="Delete memories by id; ids that nothing has are named.",
        description=(
            "An id whose memory went into one that it repeats deletes that one. A notice names ids that nothing has."
        ),
        errors=("long_term_memory_disabled",),
    ),
    Operation(
        name="memory_prompt",
        request=MemoryPromptRequest,
        response=MemoryPrompt,
        handler=_prompt,
        access="read",
        tag="Prompt",
        summary="Build a prompt from a session, the memories found for a query, and the query.",
        errors=("invalid_request", "invalid_arguments", "long_term_memory_disabled"),
    ),
)
