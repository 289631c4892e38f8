"""Operations on summary views, and the tasks that compute them."""

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from memhost.models.limits import ERROR_CODE, MAX_PROMPT, MAX_TAGS, Metadata, Name, Text
from memhost.operations.ams_compat import VIEW_RUN_ECHOES

TAG = "Summary views"

_OFF = "long_term_memory_disabled"


GROUP_FIELDS = ("user_id", "namespace", "session_id", "memory_type")
"""Fields that a view can group by."""

_GroupBy = Annotated[
    list[Annotated[Name, Meta(extra_json_schema={"enum": list(GROUP_FIELDS)})]],
    Meta(extra_json_schema={"maxItems": MAX_TAGS}),
]
_UNIQUE = {"maxItems": len(GROUP_FIELDS), "uniqueItems": True, ERROR_CODE: "invalid_request"}
_PROMPT = {"maxLength": MAX_PROMPT, ERROR_CODE: "unsafe_prompt"}
_Days = Annotated[int, Meta(ge=1)]


IdOfView = Annotated[str, Meta(description="Id of the view.", examples=["01KATV2R8GQ4T1V5S0S1J3X9ZC"])]


class CreateSummaryView(msgspec.Struct, kw_only=True):
    """A view to create."""

    source: Annotated[
        Literal["long_term", "working_memory"],
        Meta(description="What to summarise; the server refuses `working_memory`.", examples=["long_term"]),
    ]
    name: Annotated[Name | None, Meta(description="Name of the view, for people.", examples=["profiles"])] = None
    group_by: Annotated[
        _GroupBy | None,
        Meta(
            description="Fields of memories: each group of equal values gets a summary of its own.",
            examples=[["user_id"]],
            extra_json_schema=_UNIQUE,
        ),
    ] = None
    filters: Annotated[
        Metadata | None,
        Meta(
            description="Only memories that pass: for each field a text (equals), a list (one of them) or an object "
            "of the operators of search.",
            examples=[{"memory_type": "semantic"}],
        ),
    ] = None
    time_window_days: Annotated[
        _Days | None, Meta(description="Only memories made in the last so many days.", examples=[90])
    ] = None
    continuous: Annotated[bool | None, Meta(description="Compute the view again periodically.", examples=[True])] = None
    prompt: Annotated[
        Text | None,
        Meta(
            description="Prompt for the language model; absent: the server's.",
            examples=["Say what this user likes."],
            extra_json_schema=_PROMPT,
        ),
    ] = None
    model_name: Annotated[
        Name | None, Meta(description="Language model that summarises; absent: the server's.", examples=["gpt-4o"])
    ] = None


class UpdateSummaryView(msgspec.Struct, kw_only=True):
    """The changes to a view; absent fields stay, and a null clears fields that may be empty."""

    MIN_FIELDS: ClassVar[int] = 1

    view_id: IdOfView
    name: Annotated[Name | UnsetType | None, Meta(description="Name of the view, for people.", examples=["people"])] = (
        UNSET
    )
    group_by: Annotated[
        _GroupBy | UnsetType | None,
        Meta(
            description="Fields of memories: each group of equal values gets a summary of its own.",
            examples=[["user_id"]],
            extra_json_schema=_UNIQUE,
        ),
    ] = UNSET
    filters: Annotated[
        Metadata | UnsetType | None,
        Meta(
            description="Only memories that pass: for each field a text (equals), a list (one of them) or an object "
            "of the operators of search.",
            examples=[{"memory_type": "semantic"}],
        ),
    ] = UNSET
    time_window_days: Annotated[
        _Days | UnsetType | None,
        Meta(description="Only memories made in the last so many days; null: all.", examples=[90]),
    ] = UNSET
    continuous: Annotated[
        bool | UnsetType | None, Meta(description="Compute the view again periodically.", examples=[True])
    ] = UNSET
    prompt: Annotated[
        Text | UnsetType | None,
        Meta(
            description="Prompt for the language model; null: the server's.",
            examples=["Say what this user likes."],
            extra_json_schema=_PROMPT,
        ),
    ] = UNSET
    model_name: Annotated[
        Name | UnsetType | None,
        Meta(description="Language model that summarises; null: the server's.", examples=["gpt-4o"]),
    ] = UNSET


class ViewId(msgspec.Struct, kw_only=True):
    """Which view."""

    view_id: IdOfView


class RunPartition(msgspec.Struct, kw_only=True):
    """Which group of a view to summarise now."""

    view_id: IdOfView
    group: Annotated[
        dict[str, Name],
        Meta(description="One value for each field of the view's `group_by`.", examples=[{"user_id": "ana"}]),
    ]


class ListPartitions(msgspec.Struct, kw_only=True):
    """Which stored results of a view to list: those whose group has these values."""

    view_id: IdOfView
    user_id: Annotated[str | None, Meta(description="Only groups of this user.", examples=["ana"])] = None
    namespace: Annotated[str | None, Meta(description="Only groups of this namespace.", examples=["travel"])] = None
    session_id: Annotated[str | None, Meta(description="Only groups of this session.", examples=["trip-42"])] = None
    memory_type: Annotated[str | None, Meta(description="Only groups of this memory type.", examples=["semantic"])] = (
        None
    )


class RunSummaryView(msgspec.Struct, kw_only=True):
    """Which view to compute in the background."""

    ECHOES: ClassVar[tuple[str, ...]] = VIEW_RUN_ECHOES

    view_id: IdOfView
    task_id: Annotated[
        Annotated[Name, Meta(min_length=1)] | None,
        Meta(description="Id of the task; absent: a new ULID.", examples=["nightly-1"]),
    ] = None


class TaskId(msgspec.Struct, kw_only=True):
    """Which task."""

    task_id: Annotated[str, Meta(description="Id of the task.", examples=["nightly-1"])]
