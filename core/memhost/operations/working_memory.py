"""Operations on working memory: sessions of messages."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, ClassVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from memhost.models.limits import Data, Many, MessageText, Name
from memhost.operations.requests import MessageInput, SessionRecordInput, StrategyInput
from memhost.operations.responses import Ack, SessionList, WorkingMemoryView
from memhost.operations.table import Call, Operation

if TYPE_CHECKING:
    from memhost.host import Host

TAG = "Working memory"


class ListSessions(msgspec.Struct, kw_only=True):
    """Which sessions to list; an absent or empty namespace or user means all. `details` adds owners and times."""

    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    offset: Annotated[int, Meta(ge=0)] = 0
    namespace: str | None = None
    user_id: str | None = None
    updated_after: datetime | None = None
    details: bool = False


class GetSession(msgspec.Struct, kw_only=True):
    """Which session to read, and the window to cut it to.

    With `before` only messages in front of the one of that id; with `most_bytes` as many of the newest as fit into so
    many bytes of JSON.
    """

    session_id: str
    user_id: str | None = None
    namespace: str | None = None
    model_name: str | None = None
    context_window_max: int | None = None
    recent_messages_limit: int | None = None
    before: str | None = None
    most_bytes: Annotated[int, Meta(ge=0)] | None = None


class PutSession(msgspec.Struct, kw_only=True):
    """The whole session to store; what is absent takes its default (but for TTL and `created_at`).

    `flush` has its waiting messages extracted without waiting for the session to be quiet. With `wait_summary` false
    a session that gets too long is summarised after the answer. With `if_version` (0: there is none yet) the write
    is refused if the session is at another version.
    """

    ECHOES: ClassVar[tuple[str, ...]] = (
        "context_percentage_total_used",
        "context_percentage_until_summarization",
        "extraction",
        "summarization",
    )
    """What a session has when it is read: clients send back what they read."""

    session_id: Name
    model_name: Name | None = None
    context_window_max: int | None = None
    messages: Many[MessageInput] = []
    memories: Many[SessionRecordInput] = []
    data: Data | None = None
    context: MessageText | None = None
    user_id: Name | None = None
    namespace: Name | None = None
    tokens: int = 0
    long_term_memory_strategy: StrategyInput | UnsetType = UNSET
    ttl_seconds: int | UnsetType | None = UNSET
    last_accessed: datetime | UnsetType = UNSET
    created_at: datetime | UnsetType = UNSET
    updated_at: datetime | UnsetType = UNSET
    flush: bool = False
    wait_summary: bool = True
    if_version: Annotated[int, Meta(ge=0)] | None = None


class ChangeSession(msgspec.Struct, kw_only=True):
    """What to change of a session; everything else stays.

    `messages` and `memories` are appended, or replace those of the same id. `data` is merged into the stored data
    key by key (null is a value), or replaces it with `merge_data` false. A time to live starts anew. `if_version` as
    in writing the whole session.
    """

    session_id: Name
    user_id: Name | None = None
    namespace: Name | None = None
    model_name: Name | None = None
    context_window_max: int | None = None
    messages: Many[MessageInput] = []
    memories: Many[SessionRecordInput] = []
    data: Data | None = None
    merge_data: bool = True
    context: MessageText | UnsetType | None = UNSET
    long_term_memory_strategy: StrategyInput | UnsetType = UNSET
    ttl_seconds: int | UnsetType | None = UNSET
    if_version: Annotated[int, Meta(ge=0)] | None = None


class DeleteSession(msgspec.Struct, kw_only=True):
    """Which session to delete."""

    session_id: str
    user_id: str | None = None
    namespace: str | None = None


async def _list(host: Host, call: Call, request: ListSessions) -> SessionList:
    return await host.sessions.list_page(call, request)


async def _get(host: Host, call: Call, request: GetSession) -> WorkingMemoryView:
    return await host.sessions.get(call, request)


async def _put(host: Host, call: Call, request: PutSession) -> WorkingMemoryView:
    return await host.sessions.put(call, request)


async def _change(host: Host, call: Call, request: ChangeSession) -> WorkingMemoryView:
    return await host.session_changes.change(call, request)


async def _delete(host: Host, call: Call, request: DeleteSession) -> Ack:
    return await host.sessions.delete(call, request)


OPERATIONS = (
    Operation(
        name="list_sessions",
        request=ListSessions,
        response=SessionList,
        handler=_list,
        access="read",
        tag=TAG,
        summary="List session ids, most recently updated first.",
    ),
    Operation(
        name="get_session",
        request=GetSession,
        response=WorkingMemoryView,
        handler=_get,
        access="read",
        tag=TAG,
        summary="Read a session.",
        description=(
            "The exact identity (namespace, user, session) is looked up first; if nothing is there, the parts "
            "not given match anything, and exactly one match is returned."
        ),
        errors=("not_found",),
    ),
    Operation(
        name="put_session",
        request=PutSession,
        response=WorkingMemoryView,
        handler=_put,
        access="write",
        tag=TAG,
        summary="Store a session as a whole.",
        description=(
            "Replaces the stored session and answers with it. New and changed turns become searchable before the "
            "answer is sent. Identity comes from the body only. `last_accessed` or `updated_at`, sent back as read, "
            "tell what the client knew: what others have stored or changed since then is kept, where the client sends "
            "it as it was. (The fraction of `last_accessed` in answers is the session's version.) A message under an "
            "unknown id is the stored one at its place if role and content are equal. With a language model, a session "
            "over `SUMMARIZATION_THRESHOLD` of the window has its older messages folded into `context`. The answer "
            'waits for that up to `SUMMARIZATION_WAIT_SECONDS`; otherwise it holds `summarization: "pending"`, and the '
            "messages as they are."
        ),
        errors=("invalid_request", "invalid_arguments", "conflict"),
    ),
    Operation(
        name="change_session",
        request=ChangeSession,
        response=WorkingMemoryView,
        handler=_change,
        access="write",
        tag=TAG,
        summary="Change parts of a session: append messages or memories, merge data, set the context.",
        description=(
            "The history need not be sent again. A session that is not there is created. Writes that happen at the "
            "same time all count. `if_version` refuses a lost update: versions are the fraction of `last_accessed`. "
            "A message with role, content and `created_at` of a stored one is that message, whatever its id. "
            "Data are merged key by key, which is not deep: an object takes the place of the one under its key. There "
            "null is a value; send all data with `merge_data` false to take keys away. A time to live starts anew."
        ),
        errors=("invalid_request", "invalid_arguments", "conflict"),
    ),
    Operation(
        name="delete_session",
        request=DeleteSession,
        response=Ack,
        handler=_delete,
        access="delete",
        tag=TAG,
        summary="Delete a session; memories made from it stay.",
        errors=("ambiguous_session",),
    ),
)
