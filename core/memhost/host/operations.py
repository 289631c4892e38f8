"""Operations of the host itself: health, readiness, plugins; and the table of all operations."""

from __future__ import annotations

from memhost.admin import operations as admin
from memhost.consolidation import operations as consolidation
from memhost.context import operations as context
from memhost.errors import Forbidden
from memhost.extraction.pipeline import operations as extraction
from memhost.history import operations as history
from memhost.host.host import Host
from memhost.jobs import operations as jobs
from memhost.memories import operations as memories
from memhost.operations.maintenance import PluginName
from memhost.operations.responses import Health, PluginList, PluginReport, Readiness
from memhost.operations.table import Call, Nothing, Operation, OperationTable, forward
from memhost.ports import Host as PublicHost
from memhost.profile import operations as profile
from memhost.search import operations as search
from memhost.sessions import operations as sessions
from memhost.usage import operations as usage
from memhost.views import operations as views

TAG = "Administration"


async def _health(host: PublicHost, _call: Call, _request: Nothing) -> Health:
    return Health(now=int(host.clock.now().timestamp() * 1000))


async def _ready(host: Host, _call: Call, _request: Nothing) -> Readiness:
    return await host.readiness()


async def _plugins(host: Host, _call: Call, _request: Nothing) -> PluginList:
    return PluginList(plugins=host.plugin_rows())


async def _plugin(host: Host, call: Call, request: PluginName) -> PluginReport:
    if not call.caller.runs_server:
        raise Forbidden(
            "Plugin settings concern the whole server: only an operator or admin of the default tenant may read them."
        )
    return await host.report_plugin(request.name)


OPERATIONS = (
    Operation(
        name="health",
        request=Nothing,
        response=Health,
        handler=_health,
        access="open",
        tag="Health",
        summary="Report that the server is alive, with its time in milliseconds.",
    ),
    Operation(
        name="ready",
        request=Nothing,
        response=Readiness,
        handler=forward(Host, _ready),
        access="open",
        tag="Health",
        summary="Report the readiness of the server, per component.",
    ),
    Operation(
        name="list_plugins",
        request=Nothing,
        response=PluginList,
        handler=forward(Host, _plugins),
        access="admin",
        tag=TAG,
        summary="List the plugins found, with version, hooks and errors.",
    ),
    Operation(
        name="get_plugin",
        request=PluginName,
        response=PluginReport,
        handler=forward(Host, _plugin),
        access="admin",
        tag=TAG,
        summary="Show a plugin: hooks, settings with their sources, calls, failures, time spent.",
        errors=("not_found", "forbidden"),
    ),
)


def core_operations() -> OperationTable:
    """Return the operations of the host itself."""
    rooms = (
        jobs,
        sessions,
        extraction,
        memories,
        search,
        context,
        profile,
        consolidation,
        views,
        usage,
        admin,
        history,
    )
    return OperationTable((*OPERATIONS, *(operation for room in rooms for operation in room.OPERATIONS)))
