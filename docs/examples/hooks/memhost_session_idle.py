import logging

from memhost import hookimpl
from memhost.events import JobContext, SessionIdle

logger = logging.getLogger(__name__)


@hookimpl
async def memhost_session_idle(event: SessionIdle, context: JobContext) -> None:
    session = await context.get_session(event.session)
    if session is not None:
        context.put_document(event.session.session, str(len(session.messages)).encode(), owner=event.session)
