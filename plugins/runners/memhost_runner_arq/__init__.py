"""Job runner `arq`: background hooks run in worker processes, on as many machines as there are."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

from memhost import hookimpl
from memhost.errors import MissingExtra
from memhost.ports import JobRunner
from memhost.specs import OpenContext, RunnerSpec
from memhost_runner_arq.settings import ArqSettings


def open_arq(settings: ArqSettings, context: OpenContext) -> AbstractAsyncContextManager[JobRunner]:
    """Connect to the queue."""
    try:
        from memhost_runner_arq.runner import open_runner
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("arq", "redis"):
            raise MissingExtra("The job runner arq", "redis") from error
        raise
    return open_runner(settings, context)


@hookimpl
def memhost_runners() -> Sequence[RunnerSpec]:
    """Offer `arq`."""
    return [
        RunnerSpec(
            name="arq",
            summary="Runs jobs in worker processes (memhost worker), woken by a queue in Redis.",
            open=open_arq,
            settings=ArqSettings,
            separate=True,
        )
    ]
