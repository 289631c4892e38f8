"""The tools for working memory beside the everyday ones."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from memhost.models.limits import Data, Many, MessageText, Name
from memhost.operations.requests import MessageInput, SessionRecordInput, StrategyInput
from memhost.operations.responses import SessionDetails, SessionList, WorkingMemoryView
from memhost_mcp.tool_context import ToolContext
from memhost_mcp.tools.base import Tool, fields_of
from memhost_mcp.tools.everyday import read_session

_TTL_S = 3600


class SetWorkingMemory(msgspec.Struct, kw_only=True):
    """A session as a whole, or what to merge into it."""

    session_id: Name
    memories: Many[SessionRecordInput] | None = None
    messages: Many[MessageInput] | None = None
    context: MessageText | UnsetType | None = UNSET
    data: Data | None = None
    namespace: Name | None = None
    user_id: Name | None = None
    ttl_seconds: Annotated[int, Meta(ge=0, description="Default 3600; 0: never expires.")] | UnsetType | None = UNSET
    long_term_memory_strategy: StrategyInput | UnsetType = UNSET
    mode: Literal["replace", "merge"] = "replace"
    model_name: Name | None = None
    context_window_max: int | None = None
    if_version: Annotated[int, Meta(ge=0)] | None = None


class SessionAnswer(WorkingMemoryView, kw_only=True):
    """A session, whether it is there, and its version."""

    found: bool = True
    version: int = 0


def _answer(view: WorkingMemoryView) -> SessionAnswer:
    return SessionAnswer(**fields_of(view), version=view.last_accessed.microsecond)


async def _set(context: ToolContext, request: SetWorkingMemory) -> SessionAnswer:
    owner = context.owner(request.namespace, request.user_id)
    for record in request.memories or ():
        record.persisted_at, record.user_id = None, owner.user
    fields: dict[str, Any] = {
        "session_id": request.session_id,
        "namespace": owner.namespace,
        "user_id": owner.user,
        "messages": request.messages or [],
        "memories": request.memories or [],
        "data": request.data,
        "long_term_memory_strategy": request.long_term_memory_strategy,
        "model_name": request.model_name,
        "context_window_max": request.context_window_max,
        "if_version": request.if_version,
    }
    lasts = request.ttl_seconds
    if request.mode == "merge":
        fields |= {"context": request.context, "ttl_seconds": lasts if isinstance(lasts, UnsetType) else lasts or None}
        return _answer(await context.ask("change_session", fields))
    fields["data"] = request.data or {}
    fields["context"] = None if isinstance(request.context, UnsetType) else request.context
    fields["ttl_seconds"] = _TTL_S if isinstance(lasts, UnsetType) else lasts or None
    return _answer(await context.ask("put_session", fields))


class GetWorkingMemory(msgspec.Struct, kw_only=True):
    """Which session to read."""

    session_id: str
    user_id: str | None = None
    namespace: str | None = None
    recent_messages_limit: Annotated[int, Meta(ge=1)] | None = None
    before: str | None = None
    model_name: str | None = None
    context_window_max: int | None = None


async def _get(context: ToolContext, request: GetWorkingMemory) -> Any:
    view = await read_session(context, fields_of(request))
    if view is not None:
        return _answer(view)
    owner = context.owner(request.namespace, request.user_id)
    return {
        "session_id": request.session_id,
        "found": False,
        "messages": [],
        "memories": [],
        "data": {},
        "context": None,
        "namespace": owner.namespace,
        "user_id": owner.user,
        "version": 0,
    }


class ListSessions(msgspec.Struct, kw_only=True):
    """Which sessions to list."""

    user_id: str | None = None
    namespace: str | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    offset: Annotated[int, Meta(ge=0)] = 0
    updated_after: datetime | None = None


class SessionsListed(msgspec.Struct, kw_only=True):
    """A page of sessions with their times."""

    sessions: list[SessionDetails]
    total: int


async def _list(context: ToolContext, request: ListSessions) -> SessionsListed:
    owner = context.owner(request.namespace, request.user_id)
    fields = {**fields_of(request), "namespace": owner.namespace, "user_id": owner.user, "details": True}
    found: SessionList = await context.ask("list_sessions", fields)
    return SessionsListed(sessions=found.details or [], total=found.total)


class SessionId(msgspec.Struct, kw_only=True):
    """Which session."""

    session_id: str
    user_id: str | None = None
    namespace: str | None = None


class SessionDeleted(msgspec.Struct):
    """Whether there was such a session."""

    deleted: bool


async def _delete(context: ToolContext, request: SessionId) -> SessionDeleted:
    view = await read_session(context, fields_of(request))
    if view is None:
        return SessionDeleted(deleted=False)
    fields = {"session_id": view.session_id, "namespace": view.namespace, "user_id": view.user_id}
    await context.ask("delete_session", fields)
    return SessionDeleted(deleted=True)


class UpdateData(msgspec.Struct, kw_only=True):
    """Data of a session."""

    session_id: Name
    data: Data
    merge: Annotated[bool, Meta(description="Keep keys that are not named.")] = True
    user_id: Name | None = None
    namespace: Name | None = None


class StoredData(msgspec.Struct, kw_only=True):
    """What was changed of a session's data, as it is now, not all of it."""

    session_id: str
    data: dict[str, Any]
    version: int


async def _update_data(context: ToolContext, request: UpdateData) -> StoredData:
    owner = context.owner(request.namespace, request.user_id)
    view = await context.ask(
        "change_session",
        {
            "session_id": request.session_id,
            "namespace": owner.namespace,
            "user_id": owner.user,
            "data": request.data,
            "merge_data": request.merge,
        },
    )
    changed = {name: value for name, value in (view.data or {}).items() if name in request.data}
    return StoredData(session_id=view.session_id, data=changed, version=view.last_accessed.microsecond)


def tools(strategies: Mapping[str, str]) -> tuple[Tool, ...]:
    """The tools; `strategies` describes the extraction strategies by name."""
    known = " ".join(f"{name}: {summary}" for name, summary in strategies.items())
    return (
        Tool(
            name="set_working_memory",
            description=(
                "Store a session as a whole: what is left out is cleared (mode merge keeps it). if_version refuses "
                f"to overwrite what others changed. Strategies of extraction: {known}"
            ),
            arguments=SetWorkingMemory,
            result=SessionAnswer,
            run=_set,
            access="write",
            effect="destroys",
            repeatable=True,
        ),
        *TOOLS,
    )


TOOLS = (
    Tool(
        name="get_working_memory",
        description="Read a session with all its fields. An unknown one is empty, with found=false.",
        arguments=GetWorkingMemory,
        result=SessionAnswer,
        run=_get,
        access="read",
    ),
    Tool(
        name="list_sessions",
        description="List sessions with their times, most recently updated first.",
        arguments=ListSessions,
        result=SessionsListed,
        run=_list,
        access="read",
    ),
    Tool(
        name="delete_session",
        description="Delete a session; memories made from it stay.",
        arguments=SessionId,
        result=SessionDeleted,
        run=_delete,
        access="delete",
        effect="destroys",
        repeatable=True,
    ),
    Tool(
        name="update_session_data",
        description="Set keys of the data that a session carries.",
        arguments=UpdateData,
        result=StoredData,
        run=_update_data,
        access="write",
        effect="sets",
    ),
)
