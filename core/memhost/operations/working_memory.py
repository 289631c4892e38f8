"""Operations on working memory: sessions of messages."""

from datetime import datetime
from typing import Annotated, ClassVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from memhost.models.limits import Data, Lifetime, Many, MessageText, Name
from memhost.operations.ams_compat import SESSION_ECHOES
from memhost.operations.requests import (
    ContextWindow,
    MessageInput,
    NamespaceToFind,
    SessionId,
    SessionNamespace,
    SessionRecordInput,
    SessionToFind,
    SessionUser,
    StrategyInput,
    UserToFind,
)

TAG = "Working memory"

Version = Annotated[int, Meta(ge=0)]
"""Version of a session."""


ContextModel = Annotated[
    Name | None,
    Meta(description="Model whose context window counts; unknown names have 128,000 tokens.", examples=["gpt-4o"]),
]
SessionStrategy = Annotated[
    StrategyInput | UnsetType,
    Meta(description="How to extract memories from the messages.", examples=[{"strategy": "discrete"}]),
]
AsRead = Annotated[
    datetime | UnsetType,
    Meta(
        description="As it was read: it says what the client knew of the session.",
        examples=["2026-03-01T09:00:00Z"],
    ),
]
IfVersion = Annotated[
    Version | None,
    Meta(
        description="Refuse the write unless the session is at this version (the fraction of `last_accessed`); "
        "0: there is none yet.",
        examples=[None],
    ),
]


class ListSessions(msgspec.Struct, kw_only=True):
    """Which sessions to list."""

    limit: Annotated[int, Meta(ge=1, le=100, description="Most sessions to return.", examples=[20])] = 20
    offset: Annotated[int, Meta(ge=0, description="Sessions to skip.", examples=[0])] = 0
    namespace: Annotated[
        str | None, Meta(description="Only sessions of this namespace; absent or empty: of all.", examples=["travel"])
    ] = None
    user_id: Annotated[
        str | None, Meta(description="Only sessions of this user; absent or empty: of all.", examples=["ana"])
    ] = None
    updated_after: Annotated[
        datetime | None, Meta(description="Only sessions written after this time.", examples=["2026-03-01T00:00:00Z"])
    ] = None
    details: Annotated[bool, Meta(description="Add owners and times of the sessions.", examples=[True])] = False


class GetSession(msgspec.Struct, kw_only=True):
    """Which session to read, and the window to cut it to."""

    session_id: SessionToFind
    user_id: UserToFind = None
    namespace: NamespaceToFind = None
    model_name: Annotated[
        str | None,
        Meta(description="Model whose context window counts; unknown names have 128,000 tokens.", examples=["gpt-4o"]),
    ] = None
    context_window_max: ContextWindow = None
    recent_messages_limit: Annotated[
        int | None,
        Meta(description="Return only so many of the newest messages; 0 or less: all.", examples=[20]),
    ] = None
    before: Annotated[
        str | None, Meta(description="Return only messages before the one with this id.", examples=["m1"])
    ] = None
    most_bytes: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(
            description="Return as many of the newest messages as fit into so many bytes of JSON, but one in any case; "
            "0: as many as the server's own limit allows.",
            examples=[65536],
        ),
    ] = None


class PutSession(msgspec.Struct, kw_only=True):
    """The whole session to store; what is absent takes its default (but for `ttl_seconds` and `created_at`)."""

    ECHOES: ClassVar[tuple[str, ...]] = SESSION_ECHOES

    session_id: SessionId
    model_name: ContextModel = None
    context_window_max: ContextWindow = None
    messages: Annotated[
        Many[MessageInput],
        Meta(
            description="All messages of the session, in their order.",
            examples=[[{"id": "m1", "role": "user", "content": "I always book window seats."}]],
        ),
    ] = []
    memories: Annotated[
        Many[SessionRecordInput],
        Meta(
            description="Memories to keep in the session; the server copies them to long-term memory.",
            examples=[[{"text": "Ana prefers window seats.", "memory_type": "semantic"}]],
        ),
    ] = []
    data: Annotated[
        Data | None, Meta(description="What the session keeps for the client.", examples=[{"city": "Oslo"}])
    ] = None
    context: Annotated[
        MessageText | None,
        Meta(description="Summary of messages that are not sent any more.", examples=["Ana plans a trip."]),
    ] = None
    user_id: SessionUser = None
    namespace: SessionNamespace = None
    tokens: Annotated[
        int, Meta(description="Counter kept for the client; the server does not read it.", examples=[0])
    ] = 0
    long_term_memory_strategy: SessionStrategy = UNSET
    ttl_seconds: Annotated[
        Lifetime | UnsetType | None,
        Meta(description="Seconds until the session expires; null: never; absent: as before.", examples=[86400]),
    ] = UNSET
    last_accessed: AsRead = UNSET
    created_at: Annotated[
        datetime | UnsetType,
        Meta(description="When the session was made; absent: as before, or now.", examples=["2026-03-01T09:00:00Z"]),
    ] = UNSET
    updated_at: AsRead = UNSET
    flush: Annotated[
        bool,
        Meta(
            description="Extract waiting messages now, without waiting for the session to be quiet.", examples=[False]
        ),
    ] = False
    wait_summary: Annotated[
        bool, Meta(description="Wait for the summary of a session that got too long.", examples=[True])
    ] = True
    keep_older: Annotated[
        bool,
        Meta(
            description=(
                "Keep the stored messages before the first one sent, for a client that has read the newest only. A "
                "first message that is not stored keeps none."
            ),
            examples=[False],
        ),
    ] = False
    if_version: IfVersion = None


class ChangeSession(msgspec.Struct, kw_only=True):
    """The changes to a session; everything else stays. A time to live restarts."""

    session_id: SessionId
    user_id: SessionUser = None
    namespace: SessionNamespace = None
    model_name: ContextModel = None
    context_window_max: ContextWindow = None
    messages: Annotated[
        Many[MessageInput],
        Meta(
            description="Messages to append; one with a known id replaces that message.",
            examples=[[{"id": "m1", "role": "user", "content": "I always book window seats."}]],
        ),
    ] = []
    memories: Annotated[
        Many[SessionRecordInput],
        Meta(
            description="Memories to append; one with a known id replaces that memory.",
            examples=[[{"text": "Ana prefers window seats.", "memory_type": "semantic"}]],
        ),
    ] = []
    data: Annotated[
        Data | None,
        Meta(description="Keys to set in the session's data; null is a value.", examples=[{"city": "Oslo"}]),
    ] = None
    merge_data: Annotated[
        bool, Meta(description="False: `data` takes the place of all stored data.", examples=[True])
    ] = True
    context: Annotated[
        MessageText | UnsetType | None,
        Meta(description="Summary of messages that are not sent any more; null removes it.", examples=["Ana plans."]),
    ] = UNSET
    long_term_memory_strategy: SessionStrategy = UNSET
    ttl_seconds: Annotated[
        Lifetime | UnsetType | None,
        Meta(
            description="Seconds until the session expires; null: never; absent: the stored number, counted from now.",
            examples=[86400],
        ),
    ] = UNSET
    if_version: IfVersion = None


class DeleteSession(msgspec.Struct, kw_only=True):
    """Which session to delete."""

    session_id: SessionToFind
    user_id: UserToFind = None
    namespace: NamespaceToFind = None
    with_memories: Annotated[
        bool,
        Meta(
            description="Also delete the memories of its turns, for good, and move to the trash what was made from "
            "them alone. Memories that clients stored stay.",
            examples=[False],
        ),
    ] = False
