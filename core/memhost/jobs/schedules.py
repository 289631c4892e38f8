"""Periodic work: each schedule becomes one job per period, over all processes of the store."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from memhost.events import ScheduleDue, event_payload
from memhost.models import DEFAULT_TENANT, Document, Job, Scope, WriteBatch
from memhost.plugins import PluginManager
from memhost.ports import Store

_KIND = "schedule"


class _Cursor(msgspec.Struct):
    period: int


class Schedules:
    """The schedules of all plugins.

    Time is cut into periods of the schedule's length, counted from 1970. The job of a period has a fixed id, and
    the last period started is kept in the store: so each period starts once, whichever process sees it first,
    and a downtime of many periods starts one.
    """

    def __init__(self, plugins: PluginManager, store: Store) -> None:
        self._plugins = plugins
        self._store = store
        self._next: datetime | None = None

    def next_due(self) -> datetime | None:
        """When the next period of some schedule begins, None if there is no schedule."""
        return self._next

    async def start_due(self, now: datetime) -> None:
        """Add the jobs of the current periods that have not been started yet."""
        upcoming = []
        for entry in self._plugins.schedules:
            every = entry.spec.every_s
            period = int(now.timestamp() // every)
            upcoming.append(datetime.fromtimestamp((period + 1) * every, UTC))
            name = f"{entry.plugin}:{entry.spec.name}"
            scope = Scope(tenant=DEFAULT_TENANT)
            known = await self._store.get_document(scope, _KIND, name, now)
            if known is not None and msgspec.msgpack.decode(known.body, type=_Cursor).period >= period:
                continue
            await self._store.commit(scope, self._batch(name, entry.spec.name, entry.plugin, period, now))
        self._next = min(upcoming, default=None)

    def _batch(self, name: str, schedule: str, plugin: str, period: int, now: datetime) -> WriteBatch:
        cursor = Document(
            kind=_KIND,
            id=name,
            tenant=DEFAULT_TENANT,
            body=msgspec.msgpack.encode(_Cursor(period)),
            updated_at=now,
        )
        job = Job(
            id=f"schedule_due:{name}:{period}",
            event="schedule_due",
            plugin=plugin,
            payload=event_payload(ScheduleDue(name=schedule, due_at=now)),
            tenant=DEFAULT_TENANT,
            created_at=now,
            due_at=now,
        )
        return WriteBatch(put_documents=[cursor], add_jobs=[job])
