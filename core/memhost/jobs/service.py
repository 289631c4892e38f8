"""Jobs as operators see them: list, retry, discard."""

from __future__ import annotations

from memhost.errors import NotFound
from memhost.jobs.workers import Workers
from memhost.models import JobState
from memhost.operations.responses import JobList, JobRow
from memhost.operations.table import Call
from memhost.plugins import PluginManager
from memhost.ports import Clock, JobRunner, Store


class JobService:
    """The dead-letter list and the queue."""

    def __init__(self, *, store: Store, workers: Workers, clock: Clock, plugins: PluginManager) -> None:
        self._store = store
        self._workers = workers
        self._clock = clock
        self._distributions = {row.name: f"{row.distribution} {row.version}" for row in plugins.rows}
        self._runner: JobRunner | None = None

    def attach(self, runner: JobRunner) -> None:
        """The runner to tell of jobs that are due again."""
        self._runner = runner

    async def list_page(self, call: Call, state: str | None, limit: int, offset: int) -> JobList:
        """Return a page of the tenant's jobs; only callers who may see the whole server also get the workers."""
        wanted = JobState(state) if state is not None else None
        jobs, total = await self._store.list_jobs(call.caller.bounds, wanted, limit=limit, offset=offset)
        rows = [
            JobRow(
                id=job.id,
                event=job.event,
                plugin=job.plugin,
                distribution=self._distributions.get(job.plugin),
                state=job.state.value,
                attempts=job.attempts,
                created_at=job.created_at,
                due_at=job.due_at,
                last_error=job.last_error,
                failures=job.failures,
                deaths=job.deaths,
                waiting_since=job.waiting_since,
            )
            for job in jobs
        ]
        return JobList(jobs=rows, total=total, workers=await self._workers.alive() if call.caller.runs_server else [])

    async def retry(self, call: Call, job_id: str) -> None:
        """Retry a dead job.

        Raises:
            NotFound: No dead job has this id.
        """
        if not await self._store.revive_job(call.caller.bounds, job_id, self._clock.now()):
            raise NotFound(f"No dead job is named {job_id}.")
        if self._runner is not None:
            self._runner.notify(())

    async def discard(self, call: Call, job_id: str) -> None:
        """Remove a dead job permanently.

        Raises:
            NotFound: No dead job has this id.
        """
        if not await self._store.discard_job(call.caller.bounds, job_id):
            raise NotFound(f"No dead job is named {job_id}.")
