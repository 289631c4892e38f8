import logging

from memhost import hookimpl
from memhost.events import JobContext, MemoriesUpdated

logger = logging.getLogger(__name__)


@hookimpl
async def memhost_memories_updated(event: MemoriesUpdated, context: JobContext) -> None:
    for memory in await context.get_memories(event.ids):
        logger.info("memory %s was edited at %s", memory.id, memory.updated_at)
