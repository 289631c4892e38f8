"""Job runner `inline`: background hooks run in the server's own process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated

import msgspec
from msgspec import Meta

from memhost import hookimpl
from memhost.ports import JobRunner
from memhost.specs import OpenContext, RunnerSpec


class InlineSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Number of jobs that run beside the requests."""

    concurrency: Annotated[int, Meta(ge=1, le=64, description="Jobs that run at the same time.")] = 4
    poll_s: Annotated[
        float,
        Meta(gt=0, le=60, description="Longest time between two checks of the outbox, seconds."),
    ] = 1.0
    grace_s: Annotated[float, Meta(ge=0, description="How long running jobs may finish at shutdown, seconds.")] = 10.0


@asynccontextmanager
async def open_inline(settings: InlineSettings, _context: OpenContext) -> AsyncIterator[JobRunner]:
    """Open the runner."""
    from memhost.jobs import JobLoop

    runner = JobLoop(settings.concurrency, settings.poll_s, settings.grace_s)
    try:
        yield runner
    finally:
        await runner.stop()


@hookimpl
def memhost_runners() -> Sequence[RunnerSpec]:
    """Offer `inline`."""
    return [
        RunnerSpec(
            name="inline",
            summary="Jobs run in the server process, durable through the store's outbox.",
            open=open_inline,
            settings=InlineSettings,
        )
    ]
