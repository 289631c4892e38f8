from collections.abc import Sequence
from datetime import timedelta

import msgspec

from memhost import hookimpl
from memhost.events import JobContext, ScheduleDue
from memhost.models import Condition, Op
from memhost.specs import MaintenanceTask, ScheduleSpec


class Prune(msgspec.Struct, frozen=True, kw_only=True):
    days: int


async def prune(context: JobContext, arguments: Prune) -> int:
    old = Condition("created_at", Op.LT, (context.now - timedelta(days=arguments.days),))
    found, _ = await context.list_memories([old], limit=100)
    context.delete_memories([memory.id for memory in found])
    return len(found)


@hookimpl
def memhost_maintenance_tasks() -> Sequence[MaintenanceTask]:
    return [
        MaintenanceTask(
            name="acme_prune",
            summary="Delete at most 100 memories that are older than so many days.",
            arguments=Prune,
            run=prune,
            answer="`int`: how many memories go when the job ends.",
        )
    ]


@hookimpl
def memhost_schedules() -> Sequence[ScheduleSpec]:
    return [ScheduleSpec(name="acme-daily", summary="Prune.", every_s=86_400.0)]


@hookimpl
async def memhost_schedule_due(event: ScheduleDue, context: JobContext) -> None:
    await context.run("acme_prune", days=365)
