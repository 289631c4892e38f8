"""Operations for monitors and operators: health, readiness, plugins, background jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from memhost.errors import Forbidden
from memhost.operations.responses import Ack, Health, JobList, PluginList, PluginReport, Readiness
from memhost.operations.table import Call, Nothing, Operation

if TYPE_CHECKING:
    from memhost.host import Host

TAG = "Administration"


class ListJobs(msgspec.Struct, kw_only=True):
    """Which background jobs to list."""

    state: Literal["pending", "waiting", "running", "dead"] | None = None
    limit: Annotated[int, Meta(ge=1, le=500)] = 100
    offset: Annotated[int, Meta(ge=0)] = 0


class PluginName(msgspec.Struct, kw_only=True):
    """Which plugin, by its entry-point name."""

    name: str


class JobId(msgspec.Struct, kw_only=True):
    """Which job."""

    job_id: str


async def _health(host: Host, _call: Call, _request: Nothing) -> Health:
    return Health(now=int(host.clock.now().timestamp() * 1000))


async def _ready(host: Host, _call: Call, _request: Nothing) -> Readiness:
    return await host.readiness()


async def _plugins(host: Host, _call: Call, _request: Nothing) -> PluginList:
    return PluginList(plugins=list(host.plugins.rows))


async def _plugin(host: Host, call: Call, request: PluginName) -> PluginReport:
    if not call.caller.runs_server:
        raise Forbidden("Settings of plugins are of the whole server: they need an operator of the default tenant.")
    return await host.report_plugin(request.name)


async def _jobs(host: Host, call: Call, request: ListJobs) -> JobList:
    return await host.jobs.list_page(call, request.state, request.limit, request.offset)


async def _retry(host: Host, call: Call, request: JobId) -> Ack:
    await host.jobs.retry(call, request.job_id)
    return Ack()


async def _discard(host: Host, call: Call, request: JobId) -> Ack:
    await host.jobs.discard(call, request.job_id)
    return Ack()


OPERATIONS = (
    Operation(
        name="health",
        request=Nothing,
        response=Health,
        handler=_health,
        access="open",
        tag="Health",
        summary="Tell that the server is alive, and its time in milliseconds.",
    ),
    Operation(
        name="ready",
        request=Nothing,
        response=Readiness,
        handler=_ready,
        access="open",
        tag="Health",
        summary="Tell whether the server can serve, part by part.",
    ),
    Operation(
        name="list_plugins",
        request=Nothing,
        response=PluginList,
        handler=_plugins,
        access="admin",
        tag=TAG,
        summary="List the plugins found, with version, hooks and errors.",
    ),
    Operation(
        name="get_plugin",
        request=PluginName,
        response=PluginReport,
        handler=_plugin,
        access="admin",
        tag=TAG,
        summary="Tell all about a plugin: hooks, settings with their sources, calls, failures, time spent.",
        errors=("not_found", "forbidden"),
    ),
    Operation(
        name="list_jobs",
        request=ListJobs,
        response=JobList,
        handler=_jobs,
        access="admin",
        tag=TAG,
        summary="List background jobs; state `dead` is the dead-letter list.",
    ),
    Operation(
        name="retry_job",
        request=JobId,
        response=Ack,
        handler=_retry,
        access="admin",
        audited="job_id",
        tag=TAG,
        summary="Give a dead job new attempts.",
        errors=("not_found",),
    ),
    Operation(
        name="discard_job",
        request=JobId,
        response=Ack,
        handler=_discard,
        access="admin",
        audited="job_id",
        tag=TAG,
        summary="Remove a dead job for good.",
        errors=("not_found",),
    ),
)
