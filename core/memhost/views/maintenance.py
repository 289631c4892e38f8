"""Maintenance tasks that compute summary views."""

from __future__ import annotations

import msgspec

from memhost.events import JobContext
from memhost.jobs.maintenance import done_by
from memhost.specs import MaintenanceTask, NoArguments
from memhost.views.runs import ViewRuns


class RefreshView(msgspec.Struct, frozen=True, kw_only=True):
    """Which view to compute.

    Attributes:
        view_id: The view.
        task_id: The task that shows callers the progress; None if no caller watches.
    """

    view_id: str
    task_id: str | None = None


async def _refresh(views: ViewRuns, context: JobContext, given: RefreshView) -> None:
    await views.refresh(context.scope.tenant, given.view_id, given.task_id)


async def _request_refreshes(views: ViewRuns, context: JobContext, _given: NoArguments) -> int:
    return await views.request_refreshes(context.scope.tenant)


TASKS = (
    MaintenanceTask(
        name="refresh_view",
        summary="Compute all partitions of a summary view.",
        arguments=RefreshView,
        run=done_by(ViewRuns, _refresh),
    ),
    MaintenanceTask(
        name="request_refreshes",
        summary="Make each continuous summary view due: the event `view_due`, once however often it is asked.",
        run=done_by(ViewRuns, _request_refreshes),
        answer="`int`: how many continuous views there are.",
    ),
)
