import logging

from memhost import hookimpl
from memhost.events import JobContext, ReviewDecided

logger = logging.getLogger(__name__)


@hookimpl
async def memhost_review_decided(event: ReviewDecided, context: JobContext) -> None:
    logger.info("memory %s was %s by %s", event.memory_id, event.decision, event.subject or "nobody")
