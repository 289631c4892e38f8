from collections.abc import Sequence

from memhost import hookimpl
from memhost.events import JobContext, ScheduleDue
from memhost.specs import ScheduleSpec


@hookimpl
def memhost_schedules() -> Sequence[ScheduleSpec]:
    return [ScheduleSpec(name="acme-count", summary="Count the memories each hour.", every_s=3600.0)]


@hookimpl
async def memhost_schedule_due(event: ScheduleDue, context: JobContext) -> None:
    _, total = await context.list_memories(limit=1)
    context.put_document("count", str(total).encode())
