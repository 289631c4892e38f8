from memhost import hookimpl
from memhost.events import JobContext, VectorsMissing


@hookimpl
async def memhost_vectors_missing(event: VectorsMissing, context: JobContext) -> None:
    await context.run("embed", ids=event.ids)
