"""Maintenance tasks of the history."""

from __future__ import annotations

from memhost.events import JobContext
from memhost.history.retention import Retention
from memhost.jobs.maintenance import done_by
from memhost.specs import MaintenanceTask, NoArguments


async def _prune(retention: Retention, context: JobContext, _given: NoArguments) -> int:
    return await retention.prune(context.scope.tenant)


TASKS = (
    MaintenanceTask(
        name="prune_versions",
        summary="Remove former versions of memories that are too old or too many by the settings.",
        run=done_by(Retention, _prune),
        answer="`int`: how many were removed.",
    ),
)
