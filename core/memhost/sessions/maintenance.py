"""The maintenance task that keeps a session within its context window."""

from __future__ import annotations

import msgspec

from memhost.errors import AnswerUnusable, Forbidden, ModelRefused, ModelUnavailable
from memhost.events import JobContext
from memhost.jobs.maintenance import check_tenant, done_by
from memhost.models import SessionKey
from memhost.sessions.summaries import SessionSummaries
from memhost.specs import MaintenanceTask


class SummarizeSession(msgspec.Struct, frozen=True, kw_only=True):
    """Which session to shorten.

    Attributes:
        session: The session; one of the job's tenant.
        window: The context window in tokens.
    """

    session: SessionKey
    window: int


async def _summarize(summaries: SessionSummaries, context: JobContext, given: SummarizeSession) -> bool:
    check_tenant(context, given.session)
    return await summaries.summarize(given.session, given.window)


TASKS = (
    MaintenanceTask(
        name="summarize_session",
        summary="Fold a session's older messages into its context, if it is over its share of the window.",
        arguments=SummarizeSession,
        run=done_by(SessionSummaries, _summarize),
        answer="`bool`: whether there was anything to do.",
        errors={
            ModelUnavailable: "The language model does not answer; the session stays as it is.",
            ModelRefused: "The provider declines the messages.",
            AnswerUnusable: "The model gives no summary.",
            Forbidden: "The session belongs to another tenant.",
        },
    ),
)
