"""Health of plugins' event hooks in this process, and which plugins are suspended."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from memhost.errors import MemhostError, NotFound
from memhost.metrics import HookOutcome, JobOutcome, Observer
from memhost.models import JobState, Scope
from memhost.operations.responses import PluginHealth, PluginReport, PluginRow, PluginSetting
from memhost.plugins import EventHook, PluginManager
from memhost.ports import Clock, Store
from memhost.settings import Configuration

logger = logging.getLogger(__name__)

FAILING_AFTER = 3
"""A plugin is listed as failing after so many failures in a row."""


@dataclass
class _State:
    calls: int = 0
    failures: int = 0
    in_a_row: int = 0
    broken_in_a_row: int = 0
    jobs: int = 0
    failed_jobs: int = 0
    seconds: float = 0.0
    blocked: bool = False
    last_error: str | None = None
    suspended_until: datetime | None = None


class PluginWatch(Observer):
    """Counts what plugins do, and suspends those whose event hooks keep failing.

    Failures are: in requests whatever a hook raises but `Refused`, answers that are nonsense, and going over the time
    limit; in the background going over the time limit (what a job raises is retried, then buried); blocking the event
    loop in both. Failures of a plugin's other parts (store, model, strategy, operation, route) are counted as well;
    they suspend nobody, since nothing could take their place.

    Args:
        clock: Time.
        operations: The plugins' operations, with the plugin of each.
        after: So many failures in a row suspend a plugin; 0 never suspends one.
        for_s: Seconds until a suspended plugin is tried again, with one call; its failure suspends it again.
    """

    def __init__(
        self, clock: Clock, after: int = 5, for_s: float = 60.0, operations: Mapping[str, str] | None = None
    ) -> None:
        self._clock = clock
        self._operations = operations or {}
        self._after = after
        self._for_s = for_s
        self._states: dict[str, _State] = {}
        self._told: set[tuple[str, str, str]] = set()

    def hook_called(self, hook: str, plugin: str, outcome: HookOutcome, seconds: float) -> None:
        """Count a call; a success clears the plugin."""
        if outcome == "suspended":
            return
        state = self._of(plugin)
        state.calls += 1
        state.seconds += seconds
        if outcome in ("ok", "refused"):
            _clear(state)

    def failed(self, hook: EventHook, reason: str) -> None:
        """Count a failure, and suspend the plugin if it is one too many."""
        state = self._of(hook.plugin)
        state.failures += 1
        state.in_a_row += 1
        self.note(hook.plugin, f"{hook.hook}: {reason}")
        if 0 < self._after <= state.in_a_row:
            state.suspended_until = self._until()
            fields = {**hook.fields, "failures": state.in_a_row, "for_s": self._for_s, "error": state.last_error}
            logger.error("plugin.suspended", extra={"fields": fields})

    def worked(self, plugin: str, seconds: float) -> None:
        """Count a call of another part than an event hook."""
        state = self._of(plugin)
        state.calls += 1
        state.seconds += seconds
        state.broken_in_a_row = 0

    def broke(self, plugin: str, error: str, seconds: float = 0.0) -> None:
        """Count a call of another part than an event hook that failed, and keep why."""
        state = self._of(plugin)
        state.calls += 1
        state.seconds += seconds
        state.failures += 1
        state.broken_in_a_row += 1
        state.last_error = error

    def operation_finished(self, name: str, code: str, seconds: float) -> None:
        """Count a call of a plugin's operation; what it raises is counted by who runs it."""
        if code != MemhostError.code and (plugin := self._operations.get(name)) is not None:
            self.worked(plugin, seconds)

    def operation_broke(self, name: str, error: str, seconds: float) -> None:
        """Count a failure of an operation, if it is a plugin's."""
        if (plugin := self._operations.get(name)) is not None:
            self.broke(plugin, f"{name}: {error}", seconds)

    def failing(self, plugin: str) -> bool:
        """Tell whether the plugin is suspended, or whatever it was last asked for failed several times in a row."""
        state = self._states.get(plugin)
        if state is None:
            return False
        suspended = state.suspended_until is not None and self._clock.now() < state.suspended_until
        return suspended or max(state.in_a_row, state.broken_in_a_row) >= FAILING_AFTER

    def tell_once(self, hook: EventHook, what: str) -> None:
        """Tell of something that a hook should not do, once: in the log, and as the last error if there is none."""
        if (hook.plugin, hook.hook, what) not in self._told:
            self._told.add((hook.plugin, hook.hook, what))
            state = self._of(hook.plugin)
            state.last_error = state.last_error or f"{hook.hook}: {what}"
            logger.warning("hook.corrected", extra={"fields": {**hook.fields, "detail": what}})

    def note(self, plugin: str, error: str) -> None:
        """Keep what was last wrong with the plugin."""
        self._of(plugin).last_error = error

    def blocks(self, plugin: str) -> None:
        """The plugin blocks the event loop now; called from another thread."""
        self._of(plugin).blocked = True

    def has_blocked(self, plugin: str) -> bool:
        """Tell whether the plugin blocked the event loop since the last call of this method."""
        state = self._of(plugin)
        blocked, state.blocked = state.blocked, False
        return blocked

    def job_ran(self, event: str, plugin: str, outcome: JobOutcome, seconds: float) -> None:
        """Count an attempt at a job."""
        state = self._of(plugin)
        state.jobs += 1
        state.seconds += seconds
        state.failed_jobs += outcome in ("failed", "timeout", "buried")

        if outcome == "ok":
            _clear(state)

    def suspended(self, plugin: str) -> datetime | None:
        """Until when the plugin's event hooks are not to be called; None if they are.

        When its time is over the first who asks may call; all others wait for what comes of that.
        """
        state = self._states.get(plugin)
        if state is None or state.suspended_until is None:
            return None
        if self._clock.now() < state.suspended_until:
            return state.suspended_until
        state.suspended_until = self._until()
        return None

    def rows(self, plugins: PluginManager) -> list[PluginRow]:
        """One row for each plugin; those that fail now are `failing`, with their last error."""
        return [
            msgspec.structs.replace(row, status="failing", error=self._of(row.name).last_error)
            if row.status == "ok" and self.failing(row.name)
            else row
            for row in plugins.rows
        ]

    def report(self, plugin: str) -> PluginHealth:
        """Return the counts of a plugin so far."""
        state = self._states.get(plugin, _State())
        return PluginHealth(
            calls=state.calls,
            failures=state.failures,
            jobs=state.jobs,
            failed_jobs=state.failed_jobs,
            seconds=round(state.seconds, 6),
            last_error=state.last_error,
            suspended_until=state.suspended_until,
        )

    def _until(self) -> datetime:
        return self._clock.now() + timedelta(seconds=self._for_s)

    def _of(self, plugin: str) -> _State:
        return self._states.setdefault(plugin, _State())


def _clear(state: _State) -> None:
    state.in_a_row = 0
    state.suspended_until = None


async def report_plugin(
    name: str, plugins: PluginManager, configuration: Configuration, watch: PluginWatch, store: Store
) -> PluginReport:
    """All about one plugin.

    Raises:
        NotFound: There is no such plugin.
    """
    rows = {row.name: row for row in watch.rows(plugins)}
    if name not in rows:
        raise NotFound(f"There is no plugin {name}; installed: {', '.join(rows)}.")
    prefixes = tuple(f"{section}." for section in plugins.sections_of(name))
    settings = [
        PluginSetting(path=row.path, value=row.value, source=row.source)
        for row in configuration.describe()
        if prefixes and row.path.startswith(prefixes)
    ]
    dead, _ = await store.list_jobs(Scope(), JobState.DEAD, limit=500)
    return PluginReport(
        plugin=rows[name],
        settings=settings,
        health=watch.report(name),
        dead_jobs=sum(job.plugin == name for job in dead),
    )
