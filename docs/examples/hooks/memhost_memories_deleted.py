import logging

from memhost import hookimpl
from memhost.events import JobContext, MemoriesDeleted

logger = logging.getLogger(__name__)


@hookimpl
async def memhost_memories_deleted(event: MemoriesDeleted, context: JobContext) -> None:
    logger.info("%d memories of %s are gone", len(event.ids), event.tenant)
