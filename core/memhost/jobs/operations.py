"""Operations on background jobs."""

from __future__ import annotations

from memhost.jobs.service import JobService
from memhost.operations.maintenance import JobId, ListJobs
from memhost.operations.responses import Ack, JobList
from memhost.operations.table import Call, Operation, forward

TAG = "Administration"


async def _list(jobs: JobService, call: Call, request: ListJobs) -> JobList:
    return await jobs.list_page(call, request.state, request.limit, request.offset)


async def _retry(jobs: JobService, call: Call, request: JobId) -> Ack:
    await jobs.retry(call, request.job_id)
    return Ack()


async def _discard(jobs: JobService, call: Call, request: JobId) -> Ack:
    await jobs.discard(call, request.job_id)
    return Ack()


OPERATIONS = (
    Operation(
        name="list_jobs",
        request=ListJobs,
        response=JobList,
        handler=forward(JobService, _list),
        access="admin",
        tag=TAG,
        summary="List background jobs; state `dead` is the dead-letter list.",
    ),
    Operation(
        name="retry_job",
        request=JobId,
        response=Ack,
        handler=forward(JobService, _retry),
        access="admin",
        audited="job_id",
        tag=TAG,
        summary="Retry a dead job.",
        errors=("not_found",),
    ),
    Operation(
        name="discard_job",
        request=JobId,
        response=Ack,
        handler=forward(JobService, _discard),
        access="admin",
        audited="job_id",
        tag=TAG,
        summary="Remove a dead job permanently.",
        errors=("not_found",),
    ),
)
