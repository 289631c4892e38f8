"""How plugins' event hooks are doing in this process, and which of them are left alone for a while."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from memhost.errors import NotFound
from memhost.metrics import HookOutcome, JobOutcome, Observer
from memhost.models import JobState, Scope
from memhost.operations.responses import PluginHealth, PluginReport, PluginSetting
from memhost.plugins import EventHook, PluginManager
from memhost.ports import Clock, Store
from memhost.settings import Configuration

logger = logging.getLogger(__name__)

FAILURES_IN_A_ROW = 5
"""So many failures of a plugin's hooks in requests, one after the other, suspend it."""

SUSPENDED_S = 60.0
"""So long a suspended plugin's hooks are not called; then one more failure suspends it again."""


@dataclass
class _State:
    calls: int = 0
    failures: int = 0
    in_a_row: int = 0
    jobs: int = 0
    failed_jobs: int = 0
    seconds: float = 0.0
    last_error: str | None = None
    suspended_until: datetime | None = None


class PluginWatch(Observer):
    """Counts what plugins do, and suspends those whose hooks in requests keep failing."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._states: dict[str, _State] = {}

    def hook_called(self, hook: str, plugin: str, outcome: HookOutcome, seconds: float) -> None:
        """Count a call; a success clears the plugin."""
        if outcome == "suspended":
            return
        state = self._of(plugin)
        state.calls += 1
        state.seconds += seconds
        if outcome in ("ok", "refused"):
            state.in_a_row = 0
            state.suspended_until = None

    def failed(self, hook: EventHook, reason: str) -> None:
        """Count a failure, and suspend the plugin if it is one too many."""
        state = self._of(hook.plugin)
        state.failures += 1
        state.in_a_row += 1
        state.last_error = f"{hook.hook}: {reason}"
        if state.in_a_row >= FAILURES_IN_A_ROW:
            state.suspended_until = self._clock.now() + timedelta(seconds=SUSPENDED_S)
            fields = {
                "plugin": hook.plugin,
                "distribution": hook.distribution,
                "version": hook.version,
                "failures": state.in_a_row,
                "for_s": SUSPENDED_S,
                "error": state.last_error,
            }
            logger.error("plugin.suspended", extra={"fields": fields})

    def job_ran(self, event: str, plugin: str, outcome: JobOutcome, seconds: float) -> None:
        """Count an attempt at a job."""
        state = self._of(plugin)
        state.jobs += 1
        state.seconds += seconds
        state.failed_jobs += outcome in ("failed", "timeout", "buried")

    def suspended(self, plugin: str) -> bool:
        """Whether the plugin's hooks in requests are not to be called now."""
        state = self._states.get(plugin)
        until = state.suspended_until if state is not None else None
        return until is not None and self._clock.now() < until

    def report(self, plugin: str) -> PluginHealth:
        """What a plugin did so far."""
        state = self._states.get(plugin, _State())
        return PluginHealth(
            calls=state.calls,
            failures=state.failures,
            jobs=state.jobs,
            failed_jobs=state.failed_jobs,
            seconds=round(state.seconds, 6),
            last_error=state.last_error,
            suspended_until=state.suspended_until if self.suspended(plugin) else None,
        )

    def _of(self, plugin: str) -> _State:
        return self._states.setdefault(plugin, _State())


async def report_plugin(
    name: str, plugins: PluginManager, configuration: Configuration, watch: PluginWatch, store: Store
) -> PluginReport:
    """All about one plugin.

    Raises:
        NotFound: There is no such plugin.
    """
    rows = {row.name: row for row in plugins.rows}
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
