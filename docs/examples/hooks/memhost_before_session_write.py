from memhost import hookimpl
from memhost.errors import Refused
from memhost.events import RequestContext, SessionWrite


@hookimpl
async def memhost_before_session_write(write: SessionWrite, context: RequestContext) -> SessionWrite:
    for message in write.content.messages:
        if "BEGIN PRIVATE KEY" in message.content:
            raise Refused("Private keys are not stored.")
        message.content = message.content.strip()
    return write
