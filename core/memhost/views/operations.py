"""Operations on summary views, and the tasks that compute them."""

from __future__ import annotations

from memhost.operations.responses import Ack, SummaryView, SummaryViewPartitionResult, Task
from memhost.operations.table import Call, Nothing, Operation, forward
from memhost.operations.views import (
    CreateSummaryView,
    ListPartitions,
    RunPartition,
    RunSummaryView,
    TaskId,
    UpdateSummaryView,
    ViewId,
)
from memhost.views.runs import ViewRuns
from memhost.views.service import ViewService

TAG = "Summary views"

_OFF = "long_term_memory_disabled"


async def _list(views: ViewService, call: Call, _request: Nothing) -> list[SummaryView]:
    return await views.list_all(call)


async def _get(views: ViewService, call: Call, request: ViewId) -> SummaryView:
    return await views.get(call, request.view_id)


async def _delete(views: ViewService, call: Call, request: ViewId) -> Ack:
    await views.delete(call, request.view_id)
    return Ack()


async def _get_task(runs: ViewRuns, call: Call, request: TaskId) -> Task:
    return await runs.get_task(call, request.task_id)


OPERATIONS = (
    Operation(
        name="create_summary_view",
        request=CreateSummaryView,
        response=SummaryView,
        handler=forward(ViewService, ViewService.create),
        access="write",
        tag=TAG,
        summary="Create a view; nothing is computed yet.",
        description=(
            "`group_by` takes `user_id`, `namespace`, `session_id` and `memory_type`; `filters` takes those, "
            "`extraction_strategy`, `topics` and `event_date`. With `time_window_days` only memories created since "
            "then count. memhost recomputes a `continuous` view periodically. A language model summarises any number "
            "of memories, with the view's `prompt` and `model_name` if given; without a model a summary joins the "
            "newest 50 memories in the order of their time. Prompts are checked (`unsafe_prompt`)."
        ),
        errors=("invalid_arguments", "invalid_request", "unsafe_prompt", "limit_reached", _OFF),
    ),
    Operation(
        name="list_summary_views",
        request=Nothing,
        response=list[SummaryView],
        handler=forward(ViewService, _list),
        access="read",
        tag=TAG,
        summary="List all views, by id.",
        errors=(_OFF,),
    ),
    Operation(
        name="get_summary_view",
        request=ViewId,
        response=SummaryView,
        handler=forward(ViewService, _get),
        access="read",
        tag=TAG,
        summary="Read a view.",
        errors=("not_found", _OFF),
    ),
    Operation(
        name="update_summary_view",
        request=UpdateSummaryView,
        response=SummaryView,
        handler=forward(ViewService, ViewService.update),
        access="write",
        tag=TAG,
        summary="Change a view: set the given fields, keep the rest.",
        description=(
            "With other `group_by`, `filters` or `time_window_days` the stored results are removed; with another "
            "`prompt` or `model_name` they stay until the next run. The source cannot be changed."
        ),
        errors=("not_found", "invalid_arguments", "invalid_request", "unsafe_prompt", _OFF),
        repeatable=True,
    ),
    Operation(
        name="delete_summary_view",
        request=ViewId,
        response=Ack,
        handler=forward(ViewService, _delete),
        access="delete",
        tag=TAG,
        summary="Delete a view and its stored results.",
        errors=(_OFF,),
        repeatable=True,
    ),
    Operation(
        name="run_summary_view_partition",
        request=RunPartition,
        response=SummaryViewPartitionResult,
        handler=forward(ViewService, ViewService.run_partition),
        access="write",
        tag=TAG,
        summary="Summarise one group of a view now, and store the result.",
        description=(
            "Group and filters must both hold. For a group without memories memhost stores and returns an empty "
            "result. A group whose memories have not changed keeps its summary, and costs nothing. If the language "
            "model fails an earlier summary stays, with `stale` and `last_error`."
        ),
        errors=("not_found", "invalid_request", "invalid_arguments", "model_unavailable", _OFF),
    ),
    Operation(
        name="list_summary_view_partitions",
        request=ListPartitions,
        response=list[SummaryViewPartitionResult],
        handler=forward(ViewService, ViewService.list_partitions),
        access="read",
        tag=TAG,
        summary="List the stored results of a view, by group; nothing is computed.",
        errors=("not_found", _OFF),
    ),
    Operation(
        name="run_summary_view",
        request=RunSummaryView,
        response=Task,
        handler=forward(ViewRuns, ViewRuns.start),
        access="write",
        tag=TAG,
        summary="Compute all groups of a view in the background; the task shows the progress.",
        description="Removes results of groups that no longer have memories.",
        errors=("not_found", "conflict", "invalid_arguments", "rate_limited", _OFF),
    ),
    Operation(
        name="get_task",
        request=TaskId,
        response=Task,
        handler=forward(ViewRuns, _get_task),
        access="read",
        tag=TAG,
        summary="Read a task; it is kept for seven days after its last change.",
        errors=("not_found",),
    ),
)
