from memhost import event_options, hookimpl
from memhost.events import JobContext, SessionOverfull


@hookimpl
@event_options(timeout_s=600)
async def memhost_session_overfull(event: SessionOverfull, context: JobContext) -> None:
    await context.run("summarize_session", session=event.session, window=event.window)
