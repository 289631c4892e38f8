import logging

from memhost import hookimpl
from memhost.events import JobContext, MemoriesSuperseded

logger = logging.getLogger(__name__)


@hookimpl
async def memhost_memories_superseded(event: MemoriesSuperseded, context: JobContext) -> None:
    for memory in await context.get_memories(event.ids):
        logger.info("memory %s is replaced by %s", memory.id, memory.superseded_by)
