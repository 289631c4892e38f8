"""Summary views: their content, groups and windows, and access to them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from memhost.errors import InvalidRequest, NotFound
from memhost.host import Host
from memhost.models import Caller, Condition, Op, Scope, SessionKey, Trust
from memhost.operations.responses import SummaryView, SummaryViewPartitionResult, Task
from memhost.testing.clock import FakeClock
from memhost.testing.factories import START, make_record
from memhost.views.filters import compile_view_filters
from memhost.views.summarizer import Gathered, GroupState, JoinedTexts
from tests.core.jobs.test_jobs import work
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
        with pytest.raises(InvalidRequest, match="more than once: user_id"):
            await create(host, group_by=["user_id", "user_id"])
        with pytest.raises(InvalidRequest, match="filters: entities, text"):
            await create(host, filters={"text": "x", "entities": "y", "user_id": "ann"})
        with pytest.raises(InvalidRequest, match="memory_type"):
            await create(host, filters={"memory_type": "fact"})
        assert await run(host, "list_summary_views") == []


# -- summaries ---------------------------------------------------------------------------------------------


async def test_joined_texts_keep_the_newest_in_order_of_time() -> None:
    view, joined, gathered = SummaryView(id="v"), JoinedTexts(), Gathered(3)
    records = [make_record(str(day), f"day\n {day}", created_at=START + timedelta(days=day)) for day in (3, 1, 5, 2, 4)]
    for record in [*records, make_record("event", "long ago", event_date=START - timedelta(days=400))]:
        gathered.add(record, joined.line(view, record))
    owner = SessionKey("default", "", "", "")
    made = await joined.summarize(owner, view, {}, gathered.lines(), gathered.state.total, {})
    assert made.text.splitlines() == [
        "The newest 3 of 6 memories:",
        "2024-03-04: day 3",
        "2024-03-05: day 4",
        "2024-03-06: day 5",
    ]


async def test_what_was_made_from_turns_is_in_order_of_what_was_said() -> None:
    view, joined, gathered = SummaryView(id="v"), JoinedTexts(), Gathered(None)
    late = make_record("late", "said long ago", created_at=START + timedelta(days=9), said_at=START)
    for record in (make_record("soon", "said later", created_at=START + timedelta(days=1)), late):
        gathered.add(record, joined.line(view, record))
    assert gathered.lines() == ["2024-03-01: said long ago", "2024-03-02: said later"]


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
        assert (await run(host, "run_summary_view", ann, view_id=own.id, task_id=task.id)).id == task.id
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
        (job,) = await host.services.dispatcher.claim(1)
        context = host.services.dispatcher._make_context(job, host.plugins.event_hooks("memhost_view_due")[0])
        found, total = await context.list_memories([Condition("user_id", Op.ANY, ("ann",))], order="oldest", limit=1)
        assert ([record.user_id for record in found], total) == (["ann"], 2)
        within = Scope(tenant="another", users=("bob",))
        assert {record.user_id for record in (await context.list_memories(within=within))[0]} == {"bob"}
        assert context.settings is host.settings


async def test_the_number_of_those_left_out_is_that_of_now_though_the_summary_stays(tmp_path: Path) -> None:
    tool = Caller(subject="a tool", roles=frozenset({"admin"}), channel="tool")
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        view = await create(host, name="v", group_by=["user_id"])
        await store_for(host, "ann", "Ann likes tea.")
        await full_run(host, view)
        for number in (1, 2):
            await run(host, "store_memories", tool, memories=[{"text": f"Tea is in box {number}.", "user_id": "ann"}])
        await full_run(host, view)
        (found,) = await partitions(host, view)
        assert (found.memory_count, found.left_out) == (1, 2)
        await run(host, "store_memories", tool, memories=[{"text": "Tea is in box 3.", "user_id": "ann"}])
        assert (await partition(host, view, user_id="ann")).left_out == 3


def test_a_group_is_trusted_as_its_least_trusted_memory_in_any_order() -> None:
    levels: tuple[Trust, ...] = ("user", "tool", "agent")
    for start in range(3):
        state = GroupState()
        for level in (*levels[start:], *levels[:start]):
            state.add(make_record(level, trust=level))
        assert (state.trust, state.total) == ("tool", 3)


def test_a_memory_that_is_trusted_less_makes_another_group() -> None:
    prints = set()
    levels: tuple[Trust, ...] = ("user", "tool")
    for level in levels:
        (state := GroupState()).add(make_record("a", trust=level))
        prints.add(state.fingerprint("view"))
    assert len(prints) == 2
