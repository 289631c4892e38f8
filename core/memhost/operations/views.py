"""Operations on summary views, and the tasks that compute them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from memhost.models.limits import Metadata, Name, Names, Text

TAG = "Summary views"

_OFF = "long_term_memory_disabled"


class CreateSummaryView(msgspec.Struct, kw_only=True):
    """A view to create. `group_by` and `filters` name fields of memories.

    A filter's value is a string (equals), a list (any of them) or an object of the operators that search has.
    """

    source: Literal["long_term", "working_memory"]
    name: Name | None = None
    group_by: Names | None = None
    filters: Metadata | None = None
    time_window_days: Annotated[int, Meta(ge=1)] | None = None
    continuous: bool | None = None
    prompt: Text | None = None
    model_name: Name | None = None


class UpdateSummaryView(msgspec.Struct, kw_only=True):
    """What to change of a view; what is absent stays, and a null clears what may be empty."""

    view_id: str
    name: Name | UnsetType | None = UNSET
    group_by: Names | UnsetType | None = UNSET
    filters: Metadata | UnsetType | None = UNSET
    time_window_days: Annotated[int, Meta(ge=1)] | UnsetType | None = UNSET
    continuous: bool | UnsetType | None = UNSET
    prompt: Text | UnsetType | None = UNSET
    model_name: Name | UnsetType | None = UNSET


class ViewId(msgspec.Struct, kw_only=True):
    """Which view."""

    view_id: str


class RunPartition(msgspec.Struct, kw_only=True):
    """Which group of a view to summarise now: one value for each field of its `group_by`."""

    view_id: str
    group: dict[str, Name]


class ListPartitions(msgspec.Struct, kw_only=True):
    """Which stored results of a view to list: those whose group has these values."""

    view_id: str
    user_id: str | None = None
    namespace: str | None = None
    session_id: str | None = None
    memory_type: str | None = None


class RunSummaryView(msgspec.Struct, kw_only=True):
    """Which view to compute in the background; an absent `task_id` gets a ULID."""

    ECHOES: ClassVar[tuple[str, ...]] = ("force",)
    """Clients of Agent Memory Server send it; a run always makes everything anew."""

    view_id: str
    task_id: Annotated[Name, Meta(min_length=1)] | None = None


class TaskId(msgspec.Struct, kw_only=True):
    """Which task."""

    task_id: str
