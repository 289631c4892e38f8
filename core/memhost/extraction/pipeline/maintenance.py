"""The maintenance task that turns waiting messages into memories."""

from __future__ import annotations

import msgspec

from memhost.errors import AnswerUnusable, Forbidden, ModelUnavailable
from memhost.events import JobContext
from memhost.extraction.pipeline.runs import ExtractionRuns
from memhost.jobs.maintenance import check_tenant, done_by
from memhost.models import SessionKey
from memhost.specs import MaintenanceTask


class Extract(msgspec.Struct, frozen=True, kw_only=True):
    """From where to extract.

    Attributes:
        session: The session whose turns wait; one of the job's tenant.
    """

    session: SessionKey


async def _extract(runs: ExtractionRuns, context: JobContext, given: Extract) -> int:
    check_tenant(context, given.session)
    return await runs.run(given.session)


TASKS = (
    MaintenanceTask(
        name="extract",
        summary="Extract memories from the turns of a session that wait for it.",
        arguments=Extract,
        run=done_by(ExtractionRuns, _extract),
        answer="`int`: how many memories were stored.",
        errors={
            ModelUnavailable: "The language model does not answer; the turns go on waiting.",
            AnswerUnusable: "Its answers cannot be read; the turns go on waiting.",
            Forbidden: "The session belongs to another tenant.",
        },
    ),
)
