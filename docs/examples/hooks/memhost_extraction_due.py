from memhost import event_options, hookimpl
from memhost.events import ExtractionDue, JobContext


@hookimpl
@event_options(timeout_s=600, needs=("language_model",))
async def memhost_extraction_due(event: ExtractionDue, context: JobContext) -> None:
    await context.run("extract", session=event.session)
