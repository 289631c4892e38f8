"""Operations on working memory: sessions of messages."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from memhost.models.limits import Data, Many, MessageText, Name
from memhost.operations.requests import MessageInput, SessionRecordInput, StrategyInput

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
