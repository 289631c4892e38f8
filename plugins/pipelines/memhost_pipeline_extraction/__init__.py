"""The server's own extraction: what sessions say becomes memories, with a language model.

It has no access that another plugin has not: switch it off (`PLUGINS_DISABLED=pipeline-extraction`) and put your own
in its place.
"""

from __future__ import annotations

from memhost import event_options, hookimpl
from memhost.events import ExtractionDue, JobContext

_TIMEOUT_S = 1800.0
"""A long backlog takes many calls; each piece is committed by itself, so that a run that is cut off loses little."""


@hookimpl
@event_options(timeout_s=_TIMEOUT_S)
async def memhost_extraction_due(event: ExtractionDue, context: JobContext) -> None:
    """Extract from what waits."""
    await context.run("extract", session=event.session)
