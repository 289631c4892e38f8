import logging

from memhost import hookimpl
from memhost.events import JobContext, MemoriesHeld

logger = logging.getLogger(__name__)


@hookimpl
async def memhost_memories_held(event: MemoriesHeld, context: JobContext) -> None:
    logger.warning("%d memories of %s wait for a review", len(event.ids), event.tenant)
