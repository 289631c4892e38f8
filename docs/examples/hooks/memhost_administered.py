import logging

from memhost import hookimpl
from memhost.events import Administered, JobContext

logger = logging.getLogger(__name__)


@hookimpl
async def memhost_administered(event: Administered, context: JobContext) -> None:
    logger.info("%s asks for %s on %s", event.subject, event.action, event.target)
