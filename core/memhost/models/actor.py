"""Who makes a change: for attribution alone, never for access."""

from __future__ import annotations

from contextvars import ContextVar

import msgspec

from memhost.models.during import During


class Actor(msgspec.Struct, frozen=True, array_like=True):
    """Who changes something, through which door, with which operation.

    Attributes:
        subject: The caller as authentication names it; the plugin of a background job.
        credential: Id of the credential (of a token, never the token); empty if there is none.
        door: The interface: `rest`, `mcp`, `command-line`, `job`, or what a plugin calls itself; `python` for calls
            inside the process.
        operation: Name of the operation, or of the event of a job.
        request_id: Id of the request or job, as in the log.
    """

    subject: str = ""
    credential: str = ""
    door: str = ""
    operation: str = ""
    request_id: str = ""


NOBODY = Actor()
"""Where nobody has said who acts."""

_ACTOR: ContextVar[Actor] = ContextVar("memhost_actor", default=NOBODY)


def acting() -> Actor:
    """Tell who acts in this context."""
    return _ACTOR.get()


def acted_by(actor: Actor) -> During[Actor]:
    """Have changes inside the block attributed to the actor."""
    return During(_ACTOR, actor)
