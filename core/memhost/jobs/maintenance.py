"""Maintenance tasks by name: how a background hook's `context.run("compact")` finds what does it.

Each subject of core lists its tasks in its own `maintenance.py`, `memhost.host.maintenance` collects them, and plugins
add theirs with the hook `memhost_maintenance_tasks`.
"""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeVar, cast

import msgspec

from memhost.errors import ConfigurationError, Forbidden, Problem, UnknownTask, ValidationFailed
from memhost.events import JobContext
from memhost.models import SessionKey
from memhost.operations.table import Services
from memhost.plugins.registry import Registered
from memhost.reading import problems, unknown_name
from memhost.specs import MaintenanceTask

S = TypeVar("S")
A = TypeVar("A", bound=msgspec.Struct)

_NEAR = 3
_CUTOFF = 0.5
"""Ratio of `difflib`: `request` is near both `request_vectors` and `request_refreshes`."""

_LISTED = 30


class OfferedTask(msgspec.Struct, frozen=True, kw_only=True):
    """A task and who offers it.

    Attributes:
        task: The task.
        plugin: Entry point of the plugin; empty for the tasks of core.
        version: Version of the plugin's distribution.
    """

    task: MaintenanceTask
    plugin: str = ""
    version: str = ""


class MaintenanceTasks:
    """The tasks that background hooks of one host can run.

    Args:
        core: The host's own tasks.
        plugins: Tasks of plugins; the plugin manager has refused names that are taken.
        services: The services behind the host's own tasks, one of a class.
        sections: Settings of plugins, by their entry points.
    """

    def __init__(
        self,
        core: Iterable[MaintenanceTask],
        plugins: Iterable[Registered[MaintenanceTask]] = (),
        *,
        services: Iterable[object] = (),
        sections: Mapping[str, msgspec.Struct] | None = None,
    ) -> None:
        self._services = {type(service): service for service in services}
        self._sections = sections or {}
        self._tasks: dict[str, OfferedTask] = {}
        for offered in [
            *(OfferedTask(task=task) for task in core),
            *(OfferedTask(task=entry.spec, plugin=entry.plugin, version=entry.version) for entry in plugins),
        ]:
            if offered.task.name in self._tasks:
                raise ConfigurationError(f"Two maintenance tasks are named {offered.task.name}.")
            self._tasks[offered.task.name] = offered

    def names(self) -> list[str]:
        """Names of all tasks, sorted."""
        return sorted(self._tasks)

    def find(self, name: str) -> OfferedTask:
        """Return the task of that name.

        Raises:
            UnknownTask: There is none; the message names near ones, or all if none is near.
        """
        if (found := self._tasks.get(name)) is not None:
            return found
        names = self.names()
        near = difflib.get_close_matches(name, names, n=_NEAR, cutoff=_CUTOFF)
        hint = f"Did you mean {' or '.join(near)}?" if near else f"There are: {', '.join(names[:_LISTED])}."
        raise UnknownTask(f"There is no maintenance task {name!r}. {hint}")

    def service(self, kind: type[S]) -> S:
        """Return the service of that class."""
        return cast("S", self._services[kind])

    def settings_of(self, plugin: str) -> msgspec.Struct | None:
        """Return the settings of a plugin, None if it has none."""
        return self._sections.get(plugin)


def read_arguments(task: MaintenanceTask, given: Mapping[str, Any]) -> msgspec.Struct:
    """Check the keywords of `context.run` and return them as the task's struct of arguments.

    Raises:
        ValidationFailed: A keyword is unknown, missing, or of the wrong type; the message names it.
    """
    known = task.arguments.__struct_fields__
    if unknown := [name for name in given if name not in known]:
        faults = [fault for name in unknown for fault in unknown_name(name, known, noun="argument")]
        raise ValidationFailed(problems(faults))
    try:
        return msgspec.convert(dict(given), type=task.arguments)
    except msgspec.ValidationError as error:
        message = f"Arguments of the maintenance task {task.name}: {error}"
        raise ValidationFailed([Problem(message=message)]) from error


def done_by(
    service: type[S], method: Callable[[S, JobContext, A], Awaitable[Any]]
) -> Callable[[JobContext, A], Awaitable[Any]]:
    """Return the `run` of a task that a service of the host does: `done_by(CompactionService, _compact)`.

    Args:
        service: Class of the service; the host holds one of it.
        method: Function of the service, the context of the job, and the arguments.
    """

    async def run(context: JobContext, arguments: A) -> Any:
        return await method(cast("Services", context).service(service), context, arguments)

    return run


def check_tenant(context: JobContext, session: SessionKey) -> None:
    """Return if the session belongs to the tenant of the job.

    Raises:
        Forbidden: It belongs to another.
    """
    if session.tenant != context.scope.tenant:
        raise Forbidden("A job can only reach sessions of its own tenant.")
