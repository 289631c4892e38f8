"""Full runs of summary views as tasks: their results, failures and crashes, and the periodic refreshes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from memhost.errors import Conflict, InvalidRequest, NotFound
from memhost.events import ViewDue
from memhost.models import Scope
from memhost.storage import paging
from memhost.testing.clock import FakeClock
from memhost.views import partitions as view_partitions
from memhost.views.summarizer import JoinedTexts, Summary
from tests.core.jobs.test_jobs import work
from tests.core.views.test_views import DAY, STORES, create, full_run, partitions, read_task, store_for
from tests.support.hosts import run, running_host


@STORES
async def test_full_run_makes_a_partition_per_group(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "PAGE", 2)
    monkeypatch.setattr(view_partitions, "_AT_ONCE", 2)
    clock = FakeClock()
    async with running_host(tmp_path, store=store, clock=clock, run_jobs=False) as host:
        for user in ("cid", "ann", "bob"):
            await store_for(host, user, "tea", "coffee", session_id="s")
        await store_for(host, "ann", "chess", session_id="s", memory_type="episodic")
        await run(host, "create_memories", memories=[{"id": "lost", "text": "without an owner"}])
        view = await create(host, group_by=["memory_type", "user_id"])
        pending = await run(host, "run_summary_view", view_id=view.id)
        assert (pending.status, pending.type, pending.view_id) == ("pending", "summary_view_full_run", view.id)
        assert pending.started_at is None
        clock.advance(5)
        await work(host)
        done = await read_task(host, pending.id)
        assert (done.status, done.created_at, done.started_at) == ("success", pending.created_at, clock.now())
        assert (done.completed_at, done.error_message) == (clock.now(), None)
        found = await partitions(host, view)
        assert [(item.group["memory_type"], item.group["user_id"], item.memory_count) for item in found] == [
            ("episodic", "ann", 1),
            ("semantic", "ann", 2),
            ("semantic", "bob", 2),
            ("semantic", "cid", 2),
        ]
        await run(host, "delete_memories", memory_ids=["bob-0-tea", "bob-1-coffee", "cid-0-tea"])
        assert (await full_run(host, view)).status == "success"
        assert [item.memory_count for item in await partitions(host, view, memory_type="semantic")] == [2, 1]


@STORES
async def test_ungrouped_view_has_one_partition_even_if_empty(store: str, tmp_path: Path) -> None:
    async with running_host(tmp_path, store=store, run_jobs=False) as host:
        view = await create(host)
        await full_run(host, view)
        (only,) = await partitions(host, view)
        assert (only.group, only.empty) == ({}, True)
        await store_for(host, "ann", "tea")
        await full_run(host, view)
        (only,) = await partitions(host, view)
        assert (only.group, only.memory_count) == ({}, 1)


@STORES
async def test_task_ids_are_any_string_but_used_once(store: str, tmp_path: Path) -> None:
    clock = FakeClock()
    async with running_host(tmp_path, store=store, clock=clock, run_jobs=False) as host:
        view = await create(host)
        for task_id in ("a/b c", "día", "..", "x" * 300):
            assert (await run(host, "run_summary_view", view_id=view.id, task_id=task_id)).id == task_id
            assert (await read_task(host, task_id)).status == "pending"
            with pytest.raises(Conflict):
                await run(host, "run_summary_view", view_id=view.id, task_id=task_id)
        await work(host, rounds=2)
        clock.advance(7 * DAY - 1)
        assert (await read_task(host, "a/b c")).status == "success"
        clock.advance(2)
        with pytest.raises(NotFound):
            await read_task(host, "a/b c")
        assert (await run(host, "run_summary_view", view_id=view.id, task_id="a/b c")).status == "pending"


@STORES
async def test_run_of_a_deleted_view_fails(store: str, tmp_path: Path) -> None:
    async with running_host(tmp_path, store=store, run_jobs=False) as host:
        view = await create(host)
        task = await run(host, "run_summary_view", view_id=view.id)
        await run(host, "delete_summary_view", view_id=view.id)
        await work(host)
        failed = await read_task(host, task.id)
        assert (failed.status, failed.completed_at is not None) == ("failed", True)
        assert "deleted" in (failed.error_message or "")
        assert await host.store.list_documents(Scope(), f"partition:{view.id}", host.clock.now()) == []


@STORES
async def test_view_deleted_while_it_is_computed_leaves_nothing(store: str, tmp_path: Path) -> None:
    async with running_host(tmp_path, store=store, run_jobs=False) as host:
        await store_for(host, "ann", "tea")
        view = await create(host, group_by=["user_id"])
        found = await host.services.views.find("default", view.id)
        assert found is not None
        await run(host, "delete_summary_view", view_id=view.id)
        await host.services.views.compute(found)
        assert await host.store.list_documents(Scope(), f"partition:{view.id}", host.clock.now()) == []


class Died(BaseException):
    """The process ends in the middle."""


@STORES
async def test_crash_half_way_gives_the_same_result(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view_partitions, "_AT_ONCE", 1)
    clock = FakeClock()
    async with running_host(tmp_path, store=store, clock=clock, run_jobs=False) as host:
        for user in ("ann", "bob"):
            await store_for(host, user, "tea")
        view = await create(host, group_by=["user_id"])
        task = await run(host, "run_summary_view", view_id=view.id)
        (dying,) = await host.services.dispatcher.claim(10)
        key = msgspec.msgpack.decode(dying.payload, type=ViewDue).task_id
        summarize = JoinedTexts.summarize
        calls = 0

        async def die_at_the_second(*arguments: Any) -> Summary:
            nonlocal calls
            calls += 1
            if calls == 2:
                raise Died
            return await summarize(*arguments)

        monkeypatch.setattr(JoinedTexts, "summarize", die_at_the_second)
        with pytest.raises(Died):
            await host.services.view_runs.refresh(dying.tenant, view.id, key)
        assert (await read_task(host, task.id)).status == "running"
        started = (await read_task(host, task.id)).started_at
        assert len(await partitions(host, view)) == 1
        clock.advance(3600)  # the lease runs out: another process takes the job over
        await work(host)
        done = await read_task(host, task.id)
        assert (done.status, done.started_at) == ("success", started)
        assert [item.memory_count for item in await partitions(host, view)] == [1, 1]
        await host.services.view_runs.refresh(dying.tenant, view.id, key)  # repeated after its end: changes nothing
        assert await read_task(host, task.id) == done


@STORES
async def test_task_fails_when_its_job_is_given_up(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    settings = {"JOB_MAX_TRIES": "2"}
    async with running_host(tmp_path, store=store, clock=clock, settings=settings, run_jobs=False) as host:
        view = await create(host)

        async def broken(*_: Any) -> str:
            raise ValueError("no words")

        await store_for(host, "ann", "tea")
        monkeypatch.setattr(JoinedTexts, "summarize", broken)
        task = await run(host, "run_summary_view", view_id=view.id)
        await work(host)
        assert (await read_task(host, task.id)).status == "running"
        clock.advance(60)
        await work(host)
        failed = await read_task(host, task.id)
        assert failed.status == "failed"
        assert "no words" in (failed.error_message or "")


@STORES
async def test_continuous_views_are_refreshed_periodically(store: str, tmp_path: Path) -> None:
    clock = FakeClock()
    settings = {"SUMMARY_VIEW_REFRESH_EVERY_MINUTES": "30"}
    async with running_host(tmp_path, store=store, clock=clock, settings=settings, run_jobs=False) as host:
        kept = await create(host, group_by=["user_id"], continuous=True)
        still = await create(host, group_by=["user_id"])
        await host.services.dispatcher.sweep()
        await work(host, rounds=2)
        await store_for(host, "ann", "tea")
        clock.advance(29 * 60)
        await work(host, rounds=3)
        assert await partitions(host, kept) == []
        clock.advance(60)
        await work(host, rounds=3)
        assert [item.memory_count for item in await partitions(host, kept)] == [1]
        assert await partitions(host, still) == []


async def test_without_a_plugin_that_computes_there_is_no_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        view = await create(host)
        monkeypatch.setattr(host.services.view_runs._outbox, "wants", lambda _: False)
        with pytest.raises(InvalidRequest, match="pipeline-maintenance"):
            await run(host, "run_summary_view", view_id=view.id, task_id="t")
        with pytest.raises(NotFound):
            await read_task(host, "t")
