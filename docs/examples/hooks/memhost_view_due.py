from memhost import event_options, hookimpl
from memhost.events import JobContext, ViewDue


@hookimpl
@event_options(timeout_s=600)
async def memhost_view_due(event: ViewDue, context: JobContext) -> None:
    await context.run("refresh_view", view_id=event.view_id, task_id=event.task_id)
