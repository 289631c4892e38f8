"""Summary views: what they hold, their groups and windows, full runs as tasks, and who may see them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from memhost.errors import Conflict, InvalidRequest, NotFound
from memhost.host import Host
from memhost.models import Caller, Condition, Op, Scope
from memhost.operations.responses import SummaryView, SummaryViewPartitionResult, Task
from memhost.services import paging, views
from memhost.services.summaries import JoinedTexts, Newest
from memhost.services.view_filters import compile_view_filters
from memhost.testing.clock import FakeClock
from memhost.testing.factories import START, make_record
from tests.core.test_jobs import work
from tests.support.hosts import ADMIN, bound_to, run, running_host

STORES = pytest.mark.parametrize("store", ["memory", "sqlite"])
ULID = r"[0-7][0-9A-HJKMNP-TV-Z]{25}"
DAY = 86_400.0


async def create(host: Host, caller: Caller = ADMIN, /, **fields: Any) -> SummaryView:
    view: SummaryView = await run(host, "create_summary_view", caller, source="long_term", **fields)
    return view


async def store_for(host: Host, user: str, *texts: str, **fields: Any) -> None:
    memories = [
        {"id": f"{user}-{number}-{text}", "text": text, "user_id": user, **fields} for number, text in enumerate(texts)
    ]
    await run(host, "create_memories", memories=memories)


async def partition(host: Host, view: SummaryView, **group: str) -> SummaryViewPartitionResult:
    result: SummaryViewPartitionResult = await run(host, "run_summary_view_partition", view_id=view.id, group=group)
    return result


async def partitions(host: Host, view: SummaryView, **filters: str) -> list[SummaryViewPartitionResult]:
    found: list[SummaryViewPartitionResult] = await run(
        host, "list_summary_view_partitions", view_id=view.id, **filters
    )
    return found


async def full_run(host: Host, view: SummaryView) -> Task:
    task: Task = await run(host, "run_summary_view", view_id=view.id)
    await work(host, rounds=2)
    return await read_task(host, task.id)


async def read_task(host: Host, task_id: str, caller: Caller = ADMIN) -> Task:
    task: Task = await run(host, "get_task", caller, task_id=task_id)
    return task


# -- filters -----------------------------------------------------------------------------------------------


def test_filters_take_strings_lists_and_operators() -> None:
    found = compile_view_filters(
        {
            "user_id": "ann",
            "topics": ["a", "b"],
            "namespace": {"not_in": ["x"], "field": "user_id"},
            "memory_type": {"ne": "message"},
            "event_date": {"gte": "2025-01-01", "lt": 1767225600},
            "session_id": None,
        }
    )
    assert set(found) >= {
        Condition("user_id", Op.ANY, ("ann",)),
        Condition("topics", Op.ANY, ("a", "b")),
        Condition("namespace", Op.NONE, ("x",)),
        Condition("memory_type", Op.NONE, ("message",)),
    }
    assert len(found) == 6


@pytest.mark.parametrize(
    "filters",
    [
        {"user_id": 5},
        {"user_id": []},
        {"user_id": ["a", 5]},
        {"user_id": {}},
        {"user_id": {"unknown": "x"}},
        {"user_id": {"eq": "a", "ne": "b"}},
        {"user_id": {"startswith": ""}},
        {"memory_type": "fact"},
        {"memory_type": {"startswith": "sem"}},
        {"event_date": "yesterday"},
        {"event_date": True},
        {"event_date": ["2025-01-01"]},
        {"event_date": {"between": ["2025-01-01"]}},
        {"event_date": {"between": "2025-01-01"}},
        {"event_date": {"inclusive": "left"}},
        {"event_date": {"between": ["2025-01-01", "2025-01-02"], "inclusive": "outer"}},
        {"event_date": 1e300},
        {"event_date": "9999-12-31T23:59:59Z"},
        {"topics": {"any": ["a"], "all": ["b"]}},
    ],
)
def test_wrong_filter_values_are_refused(filters: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match=next(iter(filters))):
        compile_view_filters(filters)


async def test_creation_names_what_is_wrong(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory") as host:
        with pytest.raises(InvalidRequest, match="long_term"):
            await run(host, "create_summary_view", source="working_memory", group_by=["zz"])
        with pytest.raises(InvalidRequest, match="group_by fields: color, zz"):
            await create(host, group_by=["zz", "color", "user_id"], filters={"bad": 1})
        with pytest.raises(InvalidRequest, match="more than once in group_by: user_id"):
            await create(host, group_by=["user_id", "user_id"])
        with pytest.raises(InvalidRequest, match="filters: entities, text"):
            await create(host, filters={"text": "x", "entities": "y", "user_id": "ann"})
        with pytest.raises(InvalidRequest, match="memory_type"):
            await create(host, filters={"memory_type": "fact"})
        assert await run(host, "list_summary_views") == []


# -- summaries ---------------------------------------------------------------------------------------------


async def test_joined_texts_keep_the_newest_in_order_of_time() -> None:
    newest = Newest(3)
    for days in (3, 1, 5, 2, 4):
        newest.add(make_record(str(days), f"day\n {days}", created_at=START + timedelta(days=days)))
    newest.add(make_record("event", "long ago", event_date=START - timedelta(days=400)))
    view = SummaryView(id="v")
    text = await JoinedTexts().summarize(view, {}, newest.in_order(), newest.total)
    assert text.splitlines() == [
        "The newest 3 of 6 memories:",
        "2024-03-04: day 3",
        "2024-03-05: day 4",
        "2024-03-06: day 5",
    ]


# -- views and partitions ----------------------------------------------------------------------------------


@STORES
async def test_views_are_created_listed_and_deleted_with_their_results(store: str, tmp_path: Path) -> None:
    async with running_host(tmp_path, store=store) as host:
        first = await create(host, name="n", group_by=["user_id"], time_window_days=7, prompt="p", model_name="m")
        second = await create(host, filters={"topics": ["a"], "user_id": None})
        assert (second.group_by, second.filters, second.continuous) == ([], {"topics": ["a"]}, False)
        assert await run(host, "list_summary_views") == [first, second]
        assert await run(host, "get_summary_view", view_id=first.id) == first
        await partition(host, first, user_id="ann")
        for _ in range(2):
            assert (await run(host, "delete_summary_view", view_id=first.id)).status == "ok"
        assert await host.store.list_documents(Scope(), f"partition:{first.id}", host.clock.now()) == []
        for operation in ("get_summary_view", "list_summary_view_partitions", "run_summary_view"):
            with pytest.raises(NotFound):
                await run(host, operation, view_id=first.id)
        with pytest.raises(NotFound):
            await partition(host, first, wrong="keys")


@STORES
async def test_partition_counts_all_and_an_empty_one_is_stored(store: str, tmp_path: Path) -> None:
    async with running_host(tmp_path, store=store) as host:
        await store_for(host, "ann", *(f"fact {number}" for number in range(60)))
        view = await create(host, group_by=["user_id"])
        result = await partition(host, view, user_id="ann")
        assert (result.memory_count, result.empty, result.empty_reason) == (60, False, None)
        assert len(result.summary.splitlines()) == 51
        nobody = await partition(host, view, user_id="nobody")
        assert (nobody.summary, nobody.memory_count, nobody.empty) == ("", 0, True)
        assert nobody.empty_reason == "no_matching_memories"
        assert [item.group["user_id"] for item in await partitions(host, view)] == ["ann", "nobody"]
        assert await partitions(host, view, user_id="nobody") == [nobody]
        assert await partitions(host, view, namespace="work") == []
        again = await partition(host, view, user_id="nobody")
        assert await partitions(host, view, user_id="nobody") == [again]
        for wrong in ({}, {"namespace": "x"}, {"user_id": "ann", "namespace": "x"}):
            with pytest.raises(InvalidRequest, match="user_id"):
                await partition(host, view, **wrong)


@STORES
async def test_group_and_filters_must_both_hold(store: str, tmp_path: Path) -> None:
    async with running_host(tmp_path, store=store) as host:
        await store_for(host, "ann", "tea")
        await store_for(host, "bob", "coffee")
        view = await create(host, group_by=["user_id"], filters={"user_id": "ann"})
        assert (await partition(host, view, user_id="ann")).memory_count == 1
        assert (await partition(host, view, user_id="bob")).empty
        unowned = await create(host, group_by=["namespace"])
        assert (await partition(host, unowned, namespace="")).empty
        typed = await create(host, group_by=["memory_type"])
        assert (await partition(host, typed, memory_type="semantic")).memory_count == 2
        assert (await partition(host, typed, memory_type="no such type")).empty


@STORES
async def test_window_moves_with_the_clock(store: str, tmp_path: Path) -> None:
    clock = FakeClock()
    async with running_host(tmp_path, store=store, clock=clock) as host:
        await store_for(host, "ann", "tea")
        view = await create(host, time_window_days=2)
        clock.advance(2 * DAY)
        assert (await partition(host, view)).memory_count == 1
        clock.advance(1)
        assert (await partition(host, view)).memory_count == 0
        endless = await create(host, time_window_days=2**62)
        assert (await partition(host, endless)).memory_count == 1


# -- full runs ---------------------------------------------------------------------------------------------


@STORES
async def test_full_run_makes_a_partition_per_group(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "PAGE", 2)
    monkeypatch.setattr(views, "_PUTS_A_COMMIT", 2)
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
        found = await host.views.find("default", view.id)
        assert found is not None
        await run(host, "delete_summary_view", view_id=view.id)
        await host.views.compute(found)
        assert await host.store.list_documents(Scope(), f"partition:{view.id}", host.clock.now()) == []


@STORES
async def test_crash_half_way_gives_the_same_result(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "_PUTS_A_COMMIT", 1)
    clock = FakeClock()
    async with running_host(tmp_path, store=store, clock=clock, run_jobs=False) as host:
        for user in ("ann", "bob"):
            await store_for(host, user, "tea")
        view = await create(host, group_by=["user_id"])
        task = await run(host, "run_summary_view", view_id=view.id)
        (dying,) = await host.dispatcher.claim(10)
        summarize = JoinedTexts.summarize
        calls = 0

        async def die_at_the_second(*arguments: Any) -> str:
            nonlocal calls
            calls += 1
            if calls == 2:
                raise KeyboardInterrupt
            return await summarize(*arguments)

        monkeypatch.setattr(JoinedTexts, "summarize", die_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            await host.view_runs.refresh(dying.tenant, view.id, task.id)
        assert (await read_task(host, task.id)).status == "running"
        started = (await read_task(host, task.id)).started_at
        assert len(await partitions(host, view)) == 1
        clock.advance(3600)  # the lease runs out: another process takes the job over
        await work(host)
        done = await read_task(host, task.id)
        assert (done.status, done.started_at) == ("success", started)
        assert [item.memory_count for item in await partitions(host, view)] == [1, 1]
        await host.view_runs.refresh(dying.tenant, view.id, task.id)  # repeated after its end: changes nothing
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
        await host.dispatcher.sweep()
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
        monkeypatch.setattr(host.view_runs._outbox, "wants", lambda _: False)
        with pytest.raises(InvalidRequest, match="pipeline-maintenance"):
            await run(host, "run_summary_view", view_id=view.id, task_id="t")
        with pytest.raises(NotFound):
            await read_task(host, "t")


# -- who sees what -----------------------------------------------------------------------------------------


@STORES
async def test_bounds_limit_views_results_and_tasks(store: str, tmp_path: Path) -> None:
    async with running_host(tmp_path, store=store, run_jobs=False) as host:
        for user in ("ann", "bob"):
            await store_for(host, user, f"secret of {user}", namespace="work", session_id="s")
        ann = bound_to(users=("ann",))
        both = bound_to(users=("bob", "ann"), namespaces=("work",))
        session = bound_to(users=("ann",), sessions=("s", "t"))
        open_view = await create(host, group_by=["user_id"])
        own = await create(host, ann, group_by=["user_id"])
        shared = await create(host, both, group_by=["user_id"])
        narrow = await create(host, session)
        seen = {
            name: [view.id for view in await run(host, "list_summary_views", caller)]
            for name, caller in (("admin", ADMIN), ("ann", ann), ("both", both), ("session", session))
        }
        assert seen == {
            "admin": [open_view.id, own.id, shared.id, narrow.id],
            "ann": [own.id, narrow.id],
            "both": [shared.id],
            "session": [narrow.id],
        }
        for view in (own, shared):
            await full_run(host, view)
        assert [item.group["user_id"] for item in await partitions(host, own)] == ["ann"]
        assert [item.group["user_id"] for item in await partitions(host, shared)] == ["ann", "bob"]
        assert (await partition(host, own, user_id="bob")).empty
        with pytest.raises(NotFound):
            await run(host, "list_summary_view_partitions", ann, view_id=open_view.id)
        await run(host, "delete_summary_view", ann, view_id=open_view.id)
        assert await run(host, "get_summary_view", view_id=open_view.id) == open_view
        task = await run(host, "run_summary_view", view_id=open_view.id)
        with pytest.raises(NotFound):
            await read_task(host, task.id, ann)
        with pytest.raises(Conflict):
            await run(host, "run_summary_view", ann, view_id=own.id, task_id=task.id)
        mine = await run(host, "run_summary_view", session, view_id=narrow.id)
        assert (await read_task(host, mine.id, session)).id == mine.id
        other = Caller(subject="other", bounds=Scope(tenant="other"), roles=frozenset({"admin"}))
        assert await run(host, "list_summary_views", other) == []


@STORES
async def test_hooks_list_memories_inside_their_tenant(store: str, tmp_path: Path) -> None:
    async with running_host(tmp_path, store=store, run_jobs=False) as host:
        for user in ("ann", "bob"):
            await store_for(host, user, "tea", "chess")
        view = await create(host)
        await run(host, "run_summary_view", view_id=view.id)
        (job,) = await host.dispatcher.claim(1)
        context = host.dispatcher._make_context(job, host.plugins.event_hooks("memhost_view_due")[0])
        found, total = await context.list_memories([Condition("user_id", Op.ANY, ("ann",))], order="oldest", limit=1)
        assert ([record.user_id for record in found], total) == (["ann"], 2)
        within = Scope(tenant="another", users=("bob",))
        assert {record.user_id for record in (await context.list_memories(within=within))[0]} == {"bob"}
        assert context.settings is host.settings
