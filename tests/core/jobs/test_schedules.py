"""Schedules: periods count from 1970, with one job per schedule and tenant."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from memhost.host import Host
from memhost.jobs import intervals
from memhost.models import Job, Scope, WriteBatch
from memhost.settings import load_configuration
from memhost.specs import ScheduleSpec
from memhost.testing.clock import FakeClock
from tests.core.jobs.test_jobs import work
from tests.support import plugin_factory
from tests.support.hosts import running_host

START = datetime(2026, 1, 1, 0, 0, 30, tzinfo=UTC)
OTHERS_OFF = '{"embed-memories": 0, "expire-reviews": 0, "refresh-views": 0, "compact-memories": 0, "off": 0}'


def _schedules() -> Sequence[ScheduleSpec]:
    return [
        ScheduleSpec(name="off", summary="Never.", every_s=60.0),
        ScheduleSpec(name="often", summary="Each minute.", every_s=60.0),
        ScheduleSpec(name="rarely", summary="Each hour.", every_s=3600.0),
    ]


@asynccontextmanager
async def scheduled(folder: Path, clock: FakeClock, seen: list[str]) -> AsyncIterator[Host]:
    """A host with the plugin `timed`, whose hook notes what was due; nothing has begun yet."""

    async def due(event: Any, context: Any) -> None:
        seen.append(f"{context.scope.tenant} {event.name}")

    plugin = plugin_factory.make_plugin("timed", {"memhost_schedules": _schedules, "memhost_schedule_due": due})
    settings = {"SCHEDULE_EVERY_S": OTHERS_OFF}
    async with running_host(folder, clock=clock, run_jobs=False, extra=[plugin], settings=settings) as host:
        yield host


async def waiting(host: Host, tenant: str = "default") -> list[Job]:
    return (await host.store.list_jobs(Scope(tenant=tenant)))[0]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {"refresh-views": 3600.0, "compact-memories": 600.0, "forget-memories": 0.0}),
        ({"COMPACTION_EVERY_MINUTES": "0"}, {"compact-memories": 0.0}),
        ({"SUMMARY_VIEW_REFRESH_EVERY_MINUTES": "2"}, {"refresh-views": 120.0}),
        ({"FORGETTING_ENABLED": "true", "FORGETTING_EVERY_MINUTES": "3"}, {"forget-memories": 180.0}),
        ({"FORGETTING_EVERY_MINUTES": "3"}, {"forget-memories": 0.0}),
        ({"SCHEDULE_EVERY_S": '{"own": 7, "compact-memories": 1}'}, {"own": 7.0, "compact-memories": 1.0}),
    ],
)
def test_minutes_of_settings_are_seconds_of_schedules(settings: dict[str, str], expected: dict[str, float]) -> None:
    found = intervals(load_configuration(environ=settings, env_file=None).settings)
    assert {name: found[name] for name in expected} == expected


async def test_each_period_starts_once_and_the_next_is_known(tmp_path: Path) -> None:
    clock, seen = FakeClock(START), list[str]()
    async with scheduled(tmp_path, clock, seen) as host:
        assert host.services.schedules.next_due() is None
        await host.services.schedules.start_due(clock.now())
        assert host.services.schedules.next_due() == datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
        assert {job.id for job in await waiting(host)} == {"schedule_due:timed:often", "schedule_due:timed:rarely"}
        assert await work(host) == 2
        clock.advance(29)
        await host.services.schedules.start_due(clock.now())
        assert await waiting(host) == []
        clock.advance(1)
        assert await work(host) == 1, "claiming starts what is due"
        clock.advance(3 * 60)
        await host.services.schedules.start_due(clock.now())
        assert await work(host) == 1, "periods that were missed are one"
        assert seen == ["default often", "default rarely", "default often", "default often"]


async def test_what_has_begun_is_not_asked_of_the_store_again(tmp_path: Path) -> None:
    clock = FakeClock(START)
    async with scheduled(tmp_path, clock, []) as host:
        await host.services.schedules.start_due(clock.now())
        get, asked = host.store.get_document, list[str]()

        async def counting(scope: Any, kind: str, *rest: Any) -> Any:
            asked.append(kind)
            return await get(scope, kind, *rest)

        host.store.get_document = counting  # type: ignore[method-assign, assignment]
        await host.services.schedules.start_due(clock.now())
        assert asked == []


async def test_each_tenant_has_jobs_of_its_own(tmp_path: Path) -> None:
    clock, seen = FakeClock(START), list[str]()
    async with scheduled(tmp_path, clock, seen) as host:
        await host.services.tenants.note("acme", clock.now())
        await host.services.schedules.start_due(clock.now())
        names = {"schedule_due:timed:often:acme", "schedule_due:timed:rarely:acme"}
        assert {job.id for job in await waiting(host, "acme")} == names
        assert await work(host) == 4
        assert sorted(seen) == ["acme often", "acme rarely", "default often", "default rarely"]


async def test_one_can_be_started_outside_of_its_periods(tmp_path: Path) -> None:
    clock, seen = FakeClock(START), list[str]()
    async with scheduled(tmp_path, clock, seen) as host:
        await host.services.schedules.start_due(clock.now())
        await work(host)
        seen.clear()
        clock.advance(1)
        await host.services.schedules.start("rarely", clock.now())
        await host.services.schedules.start("nobody has it", clock.now())
        (job,) = await waiting(host)
        assert (job.id, job.due_at) == ("schedule_due:timed:rarely", clock.now())
        await work(host)
        clock.advance(3600)
        await host.services.schedules.start_due(clock.now())
        await work(host)
        assert sorted(seen) == ["default often", "default rarely", "default rarely"], "its periods go on"


async def test_the_cursor_of_an_earlier_version_counts(tmp_path: Path) -> None:
    clock, seen = FakeClock(START), list[str]()
    async with scheduled(tmp_path, clock, seen) as host:
        await host.services.schedules.start_due(clock.now())
        await work(host)
        kinds = ["schedule-period"]
        marks = [(kind, each.id) for kind in kinds for each in await host.store.list_documents(Scope(), kind, START)]
        assert len(marks) == 2, "only that of the newest period is kept"
        cursor = await host.store.get_document(Scope(), "schedule", "timed:often", START)
        assert cursor is not None
        cursor.body = cursor.body.replace(b"\xa6marked\xc3", b"\xa6marked\xc2")
        await host.store.commit(Scope(), WriteBatch(put_documents=[cursor], delete_documents=marks))
        clock.advance(60)
        await host.services.schedules.start_due(clock.now())
        assert await work(host) == 1
        clock.advance(60)
        await host.services.schedules.start_due(clock.now())
        assert await work(host) == 1
        assert seen.count("default often") == 3
