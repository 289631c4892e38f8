"""Periodic work: each schedule becomes one job per period and tenant, over all processes of the store."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from memhost.errors import DocumentGone
from memhost.events import ScheduleDue, event_payload
from memhost.models import DEFAULT_TENANT, Document, Job, Scope, WriteBatch
from memhost.plugins import PluginManager
from memhost.ports import Store
from memhost.settings import Settings
from memhost.usage.tenants import Tenants

EMBED_MEMORIES = "embed-memories"
"""The schedule that finds memories without a vector."""

_KIND = "schedule"
_PERIOD = "schedule-period"
_MINUTE_S = 60.0


class _Cursor(msgspec.Struct):
    """When the period started last began, in milliseconds since 1970; whether it has a mark (earlier versions: no)."""

    since: int = 0
    marked: bool = False


def intervals(settings: Settings) -> dict[str, float]:
    """Seconds between the runs of schedules that the operator sets, by name; 0 switches one off."""
    memory = settings.memory
    return {
        "refresh-views": memory.summary_view_refresh_every_minutes * _MINUTE_S,
        "compact-memories": memory.compaction_every_minutes * _MINUTE_S,
        "forget-memories": memory.forgetting_every_minutes * _MINUTE_S if memory.forgetting_enabled else 0.0,
        **settings.server.schedule_every_s,
    }


class Schedules:
    """The schedules of all plugins.

    Time is cut into periods of the schedule's length, counted from 1970. The last period started is kept in the
    store, and a mark of it, which the next one takes away: so each period starts once, whichever process sees it
    first, and a downtime of many periods starts one. Each tenant has periods of its own. A schedule has one job in
    each tenant: a new period takes the place of one that waits, and follows one that runs.

    Args:
        plugins: Whose schedules.
        store: Where the periods started are kept.
        tenants: Whose data the jobs work on.
        every_s: Seconds between runs by schedule, where they differ from what the plugin says.
    """

    def __init__(
        self, *, plugins: PluginManager, store: Store, tenants: Tenants, every_s: Mapping[str, float] | None = None
    ) -> None:
        self._plugins = plugins
        self._store = store
        self._tenants = tenants
        self._every_s = every_s or {}
        self._started: dict[tuple[str, str], int] = {}
        self._next: datetime | None = None

    def next_due(self) -> datetime | None:
        """When the next period of some schedule begins, None if there is no schedule."""
        return self._next

    async def start_due(self, now: datetime) -> None:
        """Add the jobs of the current periods that have not been started yet."""
        upcoming = []
        tenants = await self._tenants.known(now)
        for entry in self._plugins.schedules:
            every = self._every_s.get(entry.spec.name, entry.spec.every_s)
            if every <= 0:
                continue
            period = int(now.timestamp() // every)
            upcoming.append(datetime.fromtimestamp((period + 1) * every, UTC))
            for tenant in tenants:
                await self._start(tenant, entry.plugin, entry.spec.name, round(period * every * 1000), now)
        self._next = min(upcoming, default=None)

    async def start(self, name: str, now: datetime) -> None:
        """Start a schedule for all tenants now, outside of its periods; nothing happens if no plugin has it."""
        for entry in self._plugins.schedules:
            if entry.spec.name == name:
                for tenant in await self._tenants.known(now):
                    await self._begin(tenant, entry.plugin, name, round(now.timestamp() * 1000), now)

    async def _start(self, tenant: str, plugin: str, schedule: str, since: int, now: datetime) -> None:
        name = f"{plugin}:{schedule}"
        if self._started.get((tenant, name), 0) < since:
            await self._begin(tenant, plugin, schedule, since, now)
            self._started[tenant, name] = since

    async def _begin(self, tenant: str, plugin: str, schedule: str, since: int, now: datetime) -> None:
        """Add the job of a period, unless that was done already."""
        scope, name = Scope(tenant=tenant), f"{plugin}:{schedule}"
        found = await self._store.get_document(scope, _KIND, name, now)
        known = _Cursor() if found is None else msgspec.msgpack.decode(found.body, type=_Cursor)
        if known.since >= since:
            return
        cursor, mark = _document(_KIND, name, tenant, now), _document(_PERIOD, f"{name}:{since}", tenant, now)
        cursor.body = msgspec.msgpack.encode(_Cursor(since, marked=True))
        before = [(_PERIOD, f"{name}:{known.since}")] if known.marked else []
        batch = WriteBatch(
            put_documents=[cursor, mark],
            require_documents=before,
            delete_documents=list(before),
            add_jobs=[_job(tenant, plugin, schedule, now)],
        )
        with contextlib.suppress(DocumentGone):  # another process was faster
            await self._store.commit(scope, batch)


def _document(kind: str, name: str, tenant: str, now: datetime) -> Document:
    return Document(kind=kind, id=name, tenant=tenant, body=b"", updated_at=now)


def _job(tenant: str, plugin: str, schedule: str, now: datetime) -> Job:
    owner = "" if tenant == DEFAULT_TENANT else f":{tenant}"
    return Job(
        id=f"schedule_due:{plugin}:{schedule}{owner}",
        event="schedule_due",
        plugin=plugin,
        payload=event_payload(ScheduleDue(name=schedule, due_at=now)),
        tenant=tenant,
        created_at=now,
        due_at=now,
        replace=True,
    )
