import logging

from memhost import hookimpl
from memhost.events import JobContext, SessionUpdated

logger = logging.getLogger(__name__)


@hookimpl
async def memhost_session_updated(event: SessionUpdated, context: JobContext) -> None:
    session = await context.get_session(event.session)
    if session is not None:
        logger.info("session %s has %d messages", event.session.session, len(session.messages))
