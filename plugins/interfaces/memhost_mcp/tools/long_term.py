"""The tools of Agent Memory Server for long-term memory."""

from typing import Annotated, Any, cast

import msgspec
from msgspec import UNSET, Meta, UnsetType

from memhost.errors import InvalidRequest, Problem, ValidationFailed
from memhost.models import MemoryHit, MemoryRecord, Trust
from memhost.models.limits import Text
from memhost.operations.long_term import Context, DeleteMemories, EditMemory, SearchMemories, StoreMemories
from memhost.operations.requests import MemoryTypeFilter, PromptSession, SearchFields, TagFilter
from memhost.operations.responses import (
    DeletionAck,
    HeldBack,
    MemoryHits,
    MemoryPrompt,
    StoredRecords,
)
from memhost_mcp.tool_context import ToolContext
from memhost_mcp.tools.tool import (
    ToolRow,
    fields_of,
    fields_that_take,
    longest_text,
    owner_beside_filters,
    result_from,
    result_like,
)

_TAGS = fields_that_take((TagFilter, MemoryTypeFilter), SearchFields)
"""Filters with a short spelling: all but those of times and of metadata."""
_COMPACTION_WAIT_S = 20.0
_WINDOW = 8_000
"""Tokens of a prompt where the call names neither window nor model: hosts cut results of 25,000 tokens."""


def short_filters(arguments: dict[str, Any]) -> dict[str, Any]:
    """Filters in full: a bare string is `eq`, a bare list `any`, an empty string nothing, `is_null` no owner."""
    for name in _TAGS:
        value = arguments.get(name)
        if value == "":
            del arguments[name]
        elif isinstance(value, str):
            arguments[name] = {"eq": value}
        elif isinstance(value, list):
            arguments[name] = {"any": value}
        elif isinstance(value, dict) and "is_null" in value:
            rest = {key: item for key, item in value.items() if key != "is_null"}
            arguments[name] = {**rest, ("eq" if value["is_null"] else "ne"): ""}
    return arguments


class MemoriesToCreate(StoreMemories, kw_only=True):
    """Memories to store."""

    wait: Annotated[bool, Meta(description="Report the result for each memory.")] = False


class MemoriesCreated(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The results for memories, in order."""

    status: str
    ids: list[str]
    results: list[dict[str, str]] | None = None


async def _create(context: ToolContext, request: MemoriesToCreate) -> MemoriesCreated:
    for at, record in enumerate(request.memories):
        if len(record.text) > 8000:
            raise ValidationFailed(
                [Problem(where=("memories", at, "text"), kind="string_too_long", message="At most 8,000 characters.")]
            )
        owner = context.owner(record.namespace, record.user_id)
        record.namespace, record.user_id = owner.namespace, owner.user
    stored: StoredRecords = await context.ask("store_memories", {"memories": request.memories})
    # A caller that asks for no results is told all the same of memories that were not stored.
    told = request.wait or any(item.status in ("pending", "refused") for item in stored.results)
    return MemoriesCreated(
        status="ok",
        ids=[item.id for item in stored.results],
        results=[{"id": item.id, "status": item.status} for item in stored.results] if told else None,
    )


class PromptToBuild(SearchFields, kw_only=True):
    """A query, the session that it belongs to, and how memories are searched for it."""

    query: Text
    model_name: str | None = None
    context_window_max: int | None = None
    include_long_term_search: bool = True
    optimize_query: bool = False


async def _search(context: ToolContext, request: SearchMemories) -> MemoryHits:
    owner = owner_beside_filters(context, request.user_id, request.namespace)
    fields = fields_of(request) | {"max_text": longest_text(request.max_text, request.limit)}
    found: MemoryHits = await context.ask("search_memories", fields, within=owner)
    return found


class MemoryInPrompt(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A memory that stands in the messages of a prompt."""

    id: str
    memory_type: str
    trust: Trust
    session_id: str | None = None
    score: float | None = None


PromptBuilt = result_like("PromptBuilt", MemoryPrompt, long_term_memories=list[MemoryInPrompt] | None)
"""A prompt, and the memories in it without their texts, which the messages have."""


async def _prompt(context: ToolContext, request: PromptToBuild) -> Any:
    session = None
    owner = owner_beside_filters(context, request.user_id, request.namespace)
    if request.session_id is not None:
        if set(msgspec.to_builtins(request.session_id)) != {"eq"}:
            raise InvalidRequest("session_id: use the operator eq; other operators do not select a single session.")
        session = PromptSession(
            session_id=request.session_id.eq or "",
            namespace=owner.namespace or (request.namespace.eq if request.namespace else None),
            user_id=owner.user or (request.user_id.eq if request.user_id else None),
            model_name=request.model_name,
            context_window_max=request.context_window_max or (None if request.model_name else _WINDOW),
        )
    search: SearchFields | None = None
    if request.include_long_term_search:
        fields = {name: getattr(request, name) for name in SearchFields.__struct_fields__ if name != "session_id"}
        search = SearchFields(**fields)
    fields = {
        "query": request.query,
        "session": session,
        "long_term_search": search,
        "optimize_query": request.optimize_query,
    }
    built: MemoryPrompt = await context.ask("memory_prompt", fields, within=owner)
    return result_from(PromptBuilt, built, long_term_memories=_without_texts(built.long_term_memories))


def _without_texts(hits: list[MemoryHit] | None) -> list[MemoryInPrompt] | None:
    if hits is None:
        return None
    return [
        result_from(MemoryInPrompt, hit, memory_type=hit.memory_type.value, trust=hit.trust or "agent") for hit in hits
    ]


class ContextShown(msgspec.Struct, kw_only=True):
    """The context as a text, and the memories behind its numbers."""

    text: str
    refs: dict[str, list[str]]
    tokens: int
    left_out: int = 0
    unverified: Annotated[list[int], Meta(description="Numbers of what is not verified.")] = []
    held_back: list[HeldBack] | UnsetType = UNSET
    nothing_fits: bool | UnsetType = UNSET


def _context(_request: Any, found: Context) -> ContextShown:
    refs = {str(item.ref): item.ids for item in found.items}
    doubted = [item.ref for item in found.items if not item.verified]
    return cast("ContextShown", result_from(ContextShown, found, refs=refs, unverified=doubted))


async def read_memory(context: ToolContext, memory_id: str) -> MemoryRecord:
    """Return the memory of that id inside the scope of the call."""
    owner = context.owner(None, None, required=False)
    found: MemoryRecord = await context.ask("get_memory", {"memory_id": memory_id}, within=owner)
    return found


async def _edit(context: ToolContext, request: EditMemory) -> MemoryRecord:
    # What is edited must lie inside the scope of the call; where it goes, inside the bounds of the credential.
    await read_memory(context, request.memory_id)
    edited: MemoryRecord = await context.execute("edit_memory", request)
    return edited


class MemoriesToDelete(DeleteMemories, kw_only=True):
    """Which memories to delete."""

    memory_ids: Annotated[list[str], Meta(min_length=1, max_length=500)]


class MemoriesDeleted(msgspec.Struct, kw_only=True):
    """Number of deleted memories, and the ids without a memory."""

    status: str
    deleted: int
    missing: list[str]


def _deleted(request: MemoriesToDelete, done: DeletionAck) -> MemoriesDeleted:
    gone = set(done.deleted_ids or ())
    missing = [name for name in dict.fromkeys(request.memory_ids) if name not in gone]
    return MemoriesDeleted(status=done.status, deleted=len(gone), missing=missing)


ROWS = (
    ToolRow(
        operation="store_memories",
        name="create_long_term_memories",
        description="Store several memories at once. Each text must be understandable on its own.",
        arguments=MemoriesToCreate,
        run=_create,
        result=MemoriesCreated,
    ),
    ToolRow(
        operation="search_memories",
        name="search_long_term_memory",
        description=(
            "Search memories with filters and full records, or list them by filters alone (without text). All "
            "operators of a filter must hold. recency_* rank newer memories higher. Prefer search_memory for simple "
            "questions."
        ),
        hidden=("hybrid_alpha", "text_scorer", "event_end", "said_at"),
        run=_search,
        rewrite=short_filters,
    ),
    ToolRow(
        operation="get_context",
        description=(
            "What is remembered for a question, as dated text within a budget of tokens; refs maps its numbers to ids. "
            "session_id alone: for its newest message."
        ),
        only=("query", "session_id", "user_id", "namespace", "budget", "timezone"),
        answer=_context,
        result=ContextShown,
    ),
    ToolRow(
        operation="memory_prompt",
        description=(
            "Build a prompt from a session's messages, the memories that fit a query, and the query. "
            "session_id chooses the session and does not filter the memories."
        ),
        result=PromptBuilt,
        structured=False,
        arguments=PromptToBuild,
        hidden=(
            *("text", "hybrid_alpha", "text_scorer", "extraction_strategy", "explain", "metadata", "as_of"),
            *("event_end", "said_at", "trust", "min_trust"),
        ),
        run=_prompt,
        rewrite=short_filters,
    ),
    ToolRow(
        operation="get_memory",
        name="get_long_term_memory",
        description="Read one memory by its id.",
        scoping="id",
    ),
    ToolRow(
        operation="edit_memory",
        name="edit_long_term_memory",
        description="Change a memory: only the fields given; clear names fields to empty.",
        hidden=("event_end", "event_precision", "if_version", "if_hash"),
        run=_edit,
    ),
    ToolRow(
        operation="delete_memories",
        name="delete_long_term_memories",
        description="Delete memories by id. The answer lists unknown ids as missing.",
        arguments=MemoriesToDelete,
        fixed={"report": True},
        hidden=("if_version", "if_hash"),
        scoping="id",
        answer=_deleted,
        result=MemoriesDeleted,
    ),
    ToolRow(
        operation="compact_memories",
        name="compact_long_term_memories",
        description="Merge memories that repeat each other within a scope. Long work continues as a task.",
        described=("dry_run",),
        fixed={"report": True, "wait_s": _COMPACTION_WAIT_S},
    ),
)
