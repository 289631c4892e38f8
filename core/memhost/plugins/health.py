"""Health of plugins' event hooks in this process, and which plugins are suspended."""

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


@dataclass
class _State:
    calls: int = 0
    failures: int = 0
    in_a_row: int = 0
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
    loop in both.

    Args:
        clock: Time.
        after: So many failures in a row suspend a plugin; 0 never suspends one.
        for_s: Seconds until a suspended plugin is tried again, with one call; its failure suspends it again.
    """

    def __init__(self, clock: Clock, after: int = 5, for_s: float = 60.0) -> None:
        self._clock = clock
        self._after = after
        self._for_s = for_s
        self._states: dict[str, _State] = {}

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
