from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from memhost import hookimpl
from memhost.jobs import JobLoop
from memhost.ports import JobRunner
from memhost.specs import NoSettings, OpenContext, RunnerSpec


@asynccontextmanager
async def open_one_by_one(settings: NoSettings, context: OpenContext) -> AsyncIterator[JobRunner]:
    runner = JobLoop(concurrency=1, poll_s=5.0, grace_s=10.0)
    try:
        yield runner
    finally:
        await runner.stop()


@hookimpl
def memhost_runners() -> Sequence[RunnerSpec]:
    return [RunnerSpec(name="acme-one-by-one", summary="One job after the other.", open=open_one_by_one)]
