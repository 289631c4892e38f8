"""Operations on summary views, and the tasks that compute them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from memhost.models.limits import Metadata, Name, Names, Text
from memhost.operations.responses import Ack, SummaryView, SummaryViewPartitionResult, Task
from memhost.operations.table import Call, Nothing, Operation

if TYPE_CHECKING:
    from memhost.host import Host

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


async def _create(host: Host, call: Call, request: CreateSummaryView) -> SummaryView:
    return await host.views.create(call, request)


async def _list(host: Host, call: Call, _request: Nothing) -> list[SummaryView]:
    return await host.views.list_all(call)


async def _get(host: Host, call: Call, request: ViewId) -> SummaryView:
    return await host.views.get(call, request.view_id)


async def _update(host: Host, call: Call, request: UpdateSummaryView) -> SummaryView:
    return await host.views.update(call, request)


async def _delete(host: Host, call: Call, request: ViewId) -> Ack:
    await host.views.delete(call, request.view_id)
    return Ack()


async def _run_partition(host: Host, call: Call, request: RunPartition) -> SummaryViewPartitionResult:
    return await host.views.run_partition(call, request)


async def _list_partitions(host: Host, call: Call, request: ListPartitions) -> list[SummaryViewPartitionResult]:
    return await host.views.list_partitions(call, request)


async def _run(host: Host, call: Call, request: RunSummaryView) -> Task:
    return await host.view_runs.start(call, request)


async def _get_task(host: Host, call: Call, request: TaskId) -> Task:
    return await host.view_runs.get_task(call, request.task_id)


OPERATIONS = (
    Operation(
        name="create_summary_view",
        request=CreateSummaryView,
        response=SummaryView,
        handler=_create,
        access="write",
        tag=TAG,
        summary="Create a view; nothing is computed yet.",
        description=(
            "`group_by` takes `user_id`, `namespace`, `session_id` and `memory_type`; `filters` takes those, "
            "`extraction_strategy`, `topics` and `event_date`. With `time_window_days` only memories created since "
            "then count. A `continuous` view is computed anew periodically. A language model summarises, "
            "any number of memories, by `prompt` and with `model_name` where they are given; without one a summary "
            "joins the newest 50 memories in the order of their time. Prompts are checked (`unsafe_prompt`)."
        ),
        errors=("invalid_arguments", "invalid_request", "unsafe_prompt", "limit_reached", _OFF),
    ),
    Operation(
        name="list_summary_views",
        request=Nothing,
        response=list[SummaryView],
        handler=_list,
        access="read",
        tag=TAG,
        summary="List all views, by id.",
        errors=(_OFF,),
    ),
    Operation(
        name="get_summary_view",
        request=ViewId,
        response=SummaryView,
        handler=_get,
        access="read",
        tag=TAG,
        summary="Read a view.",
        errors=("not_found", _OFF),
    ),
    Operation(
        name="update_summary_view",
        request=UpdateSummaryView,
        response=SummaryView,
        handler=_update,
        access="write",
        tag=TAG,
        summary="Change a view: set the given fields, keep the rest.",
        description=(
            "With other `group_by`, `filters` or `time_window_days` the stored results are removed; with another "
            "`prompt` or `model_name` they stay until the next run. The source cannot be changed."
        ),
        errors=("not_found", "invalid_arguments", "invalid_request", "unsafe_prompt", _OFF),
    ),
    Operation(
        name="delete_summary_view",
        request=ViewId,
        response=Ack,
        handler=_delete,
        access="delete",
        tag=TAG,
        summary="Delete a view and its stored results.",
        errors=(_OFF,),
    ),
    Operation(
        name="run_summary_view_partition",
        request=RunPartition,
        response=SummaryViewPartitionResult,
        handler=_run_partition,
        access="write",
        tag=TAG,
        summary="Summarise one group of a view now, and store the result.",
        description=(
            "Group and filters must both hold. A group without memories gives, and stores, an empty result. A group "
            "whose memories have not changed keeps its summary, and costs nothing. If the language model fails an "
            "earlier summary stays, with `stale` and `last_error`."
        ),
        errors=("not_found", "invalid_request", "invalid_arguments", "model_unavailable", _OFF),
    ),
    Operation(
        name="list_summary_view_partitions",
        request=ListPartitions,
        response=list[SummaryViewPartitionResult],
        handler=_list_partitions,
        access="read",
        tag=TAG,
        summary="List the stored results of a view, by group; nothing is computed.",
        errors=("not_found", _OFF),
    ),
    Operation(
        name="run_summary_view",
        request=RunSummaryView,
        response=Task,
        handler=_run,
        access="write",
        tag=TAG,
        summary="Compute all groups of a view in the background; the task tells how far it is.",
        description="Results of groups that have no memories any more are removed.",
        errors=("not_found", "conflict", "invalid_arguments", _OFF),
    ),
    Operation(
        name="get_task",
        request=TaskId,
        response=Task,
        handler=_get_task,
        access="read",
        tag=TAG,
        summary="Read a task; it is kept for seven days after its last change.",
        errors=("not_found",),
    ),
)
