"""The tools for working memory beside the everyday ones."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from memhost.models.limits import Data
from memhost.operations.ams_compat import version_in
from memhost.operations.responses import SessionDetails, SessionList, WorkingMemoryView
from memhost.operations.working_memory import ChangeSession, DeleteSession, GetSession, ListSessions, PutSession
from memhost_mcp.tool_context import ToolContext
from memhost_mcp.tools.everyday import SessionToRead, read_session
from memhost_mcp.tools.tool import TEXT_ROOM, ToolRow, fields_of, result_from, result_like

_REPLACED = frozenset(ChangeSession.__struct_fields__) & frozenset(PutSession.__struct_fields__)
_TTL_S = 3600


class SessionToSet(ChangeSession, kw_only=True):
    """A session as a whole, or what to merge into it."""

    ttl_seconds: Annotated[int, Meta(ge=0, description="Default 3600; 0: never expires.")] | UnsetType | None = UNSET
    mode: Literal["replace", "merge"] = "replace"


class SessionAnswer(WorkingMemoryView, kw_only=True):
    """A session, whether it is there, and its version."""

    found: bool = True
    version: int = 0


def _answer(view: WorkingMemoryView) -> SessionAnswer:
    return SessionAnswer(**fields_of(view), version=version_in(view.last_accessed))


async def _set(context: ToolContext, request: SessionToSet) -> SessionAnswer:
    owner = context.owner(request.namespace, request.user_id)
    for record in request.memories:
        record.persisted_at, record.user_id = None, owner.user
    named = ChangeSession.__struct_fields__ if request.mode == "merge" else _REPLACED
    fields = {name: value for name, value in fields_of(request).items() if name in named}
    fields |= {"namespace": owner.namespace, "user_id": owner.user}
    if request.ttl_seconds is not UNSET:
        fields["ttl_seconds"] = request.ttl_seconds or None
    if request.mode == "merge":
        return _answer(await context.ask("change_session", fields))
    fields["keep_older"] = True  # `get_working_memory` gives the newest messages of a long session
    fields["data"] = request.data or {}
    fields["context"] = None if request.context is UNSET else request.context
    if request.ttl_seconds is UNSET:
        fields["ttl_seconds"] = _TTL_S
    return _answer(await context.ask("put_session", fields))


async def _get(context: ToolContext, request: SessionToRead) -> Any:
    bounded = request.recent_messages_limit or request.context_window_max or request.model_name
    view = await read_session(context, request, None if bounded else TEXT_ROOM)
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


SessionsListed = result_like("SessionsListed", SessionList, sessions=list[SessionDetails], details=None)
"""A page of sessions with their times."""


def _listed(_request: ListSessions, found: SessionList) -> Any:
    return result_from(SessionsListed, found, sessions=found.details or [])


class SessionDeleted(msgspec.Struct):
    """True if there was such a session."""

    deleted: bool


async def _delete(context: ToolContext, request: DeleteSession) -> SessionDeleted:
    wanted = GetSession(session_id=request.session_id, user_id=request.user_id, namespace=request.namespace)
    view = await read_session(context, wanted)
    if view is None:
        return SessionDeleted(deleted=False)
    fields = {"session_id": view.session_id, "namespace": view.namespace, "user_id": view.user_id}
    await context.ask("delete_session", fields)
    return SessionDeleted(deleted=True)


class DataToSet(ChangeSession, kw_only=True):
    """Data of a session."""

    data: Data
    merge_data: Annotated[bool, Meta(description="Keep keys that are not named.")] = msgspec.field(
        default=True, name="merge"
    )


class StoredData(msgspec.Struct, kw_only=True):
    """The changed part of a session's data, in its new form."""

    session_id: str
    data: dict[str, Any]
    version: int


def _stored(request: DataToSet, view: WorkingMemoryView) -> StoredData:
    changed = {name: value for name, value in (view.data or {}).items() if name in request.data}
    return StoredData(session_id=view.session_id, data=changed, version=version_in(view.last_accessed))


ROWS = (
    ToolRow(
        operation="put_session",
        name="set_working_memory",
        description=(
            "Store a session as a whole: what is left out is cleared (mode merge keeps it), but for messages before "
            "the first one sent. if_version refuses to overwrite what others changed. "
            "Strategies of extraction: {strategies}"
        ),
        arguments=SessionToSet,
        hidden=("merge_data",),
        run=_set,
        result=SessionAnswer,
    ),
    ToolRow(
        operation="get_session",
        name="get_working_memory",
        description=(
            "Read a session with all its fields; of a long one the newest messages and the number of older_messages. "
            "An unknown one is empty, with found=false."
        ),
        arguments=SessionToRead,
        hidden=("most_bytes",),
        run=_get,
        result=SessionAnswer,
    ),
    ToolRow(
        operation="list_sessions",
        description="List sessions with their times, most recently updated first.",
        fixed={"details": True},
        answer=_listed,
        result=SessionsListed,
    ),
    ToolRow(operation="delete_session", run=_delete, result=SessionDeleted, hidden=("with_memories",)),
    ToolRow(
        operation="change_session",
        name="update_session_data",
        description="Set keys of the data that a session carries.",
        arguments=DataToSet,
        only=("session_id", "data", "merge_data", "user_id", "namespace"),
        described=("merge",),
        answer=_stored,
        result=StoredData,
        repeatable=True,
    ),
)
