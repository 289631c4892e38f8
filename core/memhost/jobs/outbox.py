"""Turns events into jobs: one per plugin that implements the event's hook."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from memhost.events import BackgroundEvent, event_payload
from memhost.hooks import Need
from memhost.models import Job, SessionKey, new_id
from memhost.plugins import EventHook, PluginManager
from memhost.ports import JobRunner

_CHUNK = 500
"""Most ids that one memory event carries."""


class Outbox:
    """Makes the jobs that a write commits together with its changes."""

    def __init__(self, plugins: PluginManager) -> None:
        self._plugins = plugins
        self._runner: JobRunner | None = None
        self._models: frozenset[Need] = frozenset()

    def use(self, models: Iterable[Need]) -> None:
        """Which models are configured, for hooks that need them."""
        self._models = frozenset(models)

    def attach(self, runner: JobRunner | None) -> None:
        """The runner to wake when jobs have been committed; None where other processes run them."""
        self._runner = runner

    @property
    def attended(self) -> bool:
        """Tell whether jobs run, in this process or in other processes that are notified of them."""
        return self._runner is not None

    def committed(self, jobs: Sequence[Job]) -> None:
        """Notify the runner that the store now contains these jobs."""
        if jobs and self._runner is not None:
            self._runner.notify(jobs)

    def wants(self, event: str) -> bool:
        """Tell whether some plugin listens to the event."""
        return bool(self._hooks(event))

    def _hooks(self, event: str) -> list[EventHook]:
        hooks = self._plugins.event_hooks(f"memhost_{event}")
        return [hook for hook in hooks if not hook.options.needs or self._models.intersection(hook.options.needs)]

    def jobs(
        self,
        name: str,
        event: BackgroundEvent,
        *,
        tenant: str,
        now: datetime,
        delay_s: float = 0.0,
        key: str | None = None,
    ) -> list[Job]:
        """Jobs for one event.

        Args:
            name: Name of the event, a key of `memhost.events.EVENTS`.
            event: The event.
            tenant: Tenant whose data it is about.
            now: The current time.
            delay_s: Seconds to wait before the jobs are due.
            key: Identity of a debounced event: a later one with the same key replaces a waiting job.
        """
        payload = event_payload(event)
        base = key if key is not None else new_id()
        return [
            Job(
                id=f"{name}:{base}:{hook.plugin}",
                event=name,
                plugin=hook.plugin,
                payload=payload,
                tenant=tenant,
                created_at=now,
                due_at=now + timedelta(seconds=delay_s),
                replace=key is not None,
            )
            for hook in self._hooks(name)
        ]

    def ids(self, name: str, key: str) -> list[str]:
        """Ids of the jobs of a debounced event."""
        return [f"{name}:{key}:{hook.plugin}" for hook in self._hooks(name)]

    def memory_jobs(
        self,
        name: str,
        event: type[BackgroundEvent],
        ids: Sequence[str],
        *,
        tenant: str,
        now: datetime,
    ) -> list[Job]:
        """Jobs for an event about memories; many ids become several events."""
        found: list[Job] = []
        if self.wants(name):
            for start in range(0, len(ids), _CHUNK):
                part = event(tenant=tenant, ids=tuple(ids[start : start + _CHUNK]))  # type: ignore[call-arg]
                found += self.jobs(name, part, tenant=tenant, now=now)
        return found


def session_name(key: SessionKey) -> str:
    """The identity of a session as one unambiguous string."""
    return "|".join(f"{len(part)}.{part}" for part in (key.tenant, key.namespace, key.user, key.session))
