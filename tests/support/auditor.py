"""A plugin that records the administrative events it is told."""

from __future__ import annotations

from importlib.metadata import EntryPoint

from memhost import hookimpl
from memhost.events import Administered, JobContext

POINT = EntryPoint(name="fake-auditor", value="tests.support.auditor", group="memhost")
HEARD: list[Administered] = []


@hookimpl
async def memhost_administered(event: Administered, context: JobContext) -> None:
    """Keep it."""
    HEARD.append(event)
