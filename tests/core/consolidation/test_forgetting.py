"""Forgetting: the memories that a policy selects, its scope, and the periodic run."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from memhost.consolidation import forgetting
from memhost.consolidation.forgetting import ForgetPolicy, choose, policy_of
from memhost.errors import Forbidden, LongTermMemoryDisabled
from memhost.events import MemoriesDeleted
from memhost.host import Host
from memhost.models import Caller, Job, Scope
from memhost.operations.responses import ForgetResult
from memhost.storage import paging
from memhost.testing.clock import FakeClock
from memhost.testing.factories import START, make_record
from tests.core.jobs.test_jobs import work
from tests.support.fakes import FOLDER
from tests.support.hosts import ADMIN, bound_to, run, running_host

STORES = pytest.mark.parametrize("store", ["memory", "sqlite"])
DAY = 86_400.0


def days_ago(days: float, clock: FakeClock) -> Any:
    return (clock.now() - timedelta(days=days)).isoformat()


async def store_aged(host: Host, clock: FakeClock, *ages: float, prefix: str = "m", **fields: Any) -> None:
    """Memories `<prefix>0`, `<prefix>1`, ... created and last accessed so many days ago."""
    memories = [
        {
            "id": f"{prefix}{number}",
            "text": f"{prefix} fact {number}",
            "created_at": days_ago(age, clock),
            "last_accessed": days_ago(age, clock),
            **fields,
        }
        for number, age in enumerate(ages)
    ]
    await run(host, "create_memories", memories=memories)


async def forget(host: Host, caller: Caller = ADMIN, /, **fields: Any) -> ForgetResult:
    result: ForgetResult = await run(host, "forget_memories", caller, **fields)
    return result


async def left(host: Host, **filters: Any) -> set[str]:
    found = await run(host, "search_memories", limit=100, **filters)
    return {hit.id for hit in found.memories}


# -- policies ----------------------------------------------------------------------------------------------


def test_policy_keys_of_wrong_types_count_as_absent() -> None:
    given = {
        "max_age_days": "30",
        "max_inactive_days": True,
        "budget": 1.5,
        "memory_type_allowlist": "semantic",
        "hard_age_multiplier": None,
        "unknown": 1,
    }
    assert policy_of(given) == ForgetPolicy()
    assert policy_of({"max_age_days": -1, "budget": -1, "max_inactive_days": float("nan")}) == ForgetPolicy()
    assert policy_of({"budget": 5.0, "max_age_days": 0, "memory_type_allowlist": ["semantic", 7]}) == ForgetPolicy(
        budget=5, max_age_days=0.0, types=("semantic",)
    )


@pytest.mark.parametrize(
    ("age", "idle", "policy", "goes"),
    [
        (31, 31, ForgetPolicy(max_age_days=30), True),
        (30, 30, ForgetPolicy(max_age_days=30), False),
        (31, 5, ForgetPolicy(max_inactive_days=10), False),
        (31, 11, ForgetPolicy(max_inactive_days=10), True),
        (31, 5, ForgetPolicy(max_age_days=30, max_inactive_days=10), False),
        (31, 11, ForgetPolicy(max_age_days=30, max_inactive_days=10), True),
        (361, 0, ForgetPolicy(max_age_days=30, max_inactive_days=10), True),
        (360, 0, ForgetPolicy(max_age_days=30, max_inactive_days=10), False),
        (61, 0, ForgetPolicy(max_age_days=30, max_inactive_days=10, hard_age_multiplier=2), True),
        (9999, 9999, ForgetPolicy(), False),
    ],
)
def test_limits_of_age_and_idleness(age: float, idle: float, policy: ForgetPolicy, goes: bool) -> None:
    record = make_record("a", created_at=START - timedelta(days=age), last_accessed=START - timedelta(days=idle))
    assert (choose([record], policy, START) == ["a"]) is goes


def test_budget_keeps_the_best_by_recency_for_each_owner() -> None:
    def record(name: str, user: str, created: float, accessed: float) -> Any:
        return make_record(
            name,
            user_id=user,
            created_at=START - timedelta(days=created),
            last_accessed=START - timedelta(days=accessed),
        )

    ann = [record("old-used", "ann", 300, 0), record("newer-idle", "ann", 60, 60), record("new", "ann", 1, 1)]
    bob = [record("bob-1", "bob", 900, 900), record("bob-2", "bob", 800, 800)]
    assert choose([*bob, *ann], ForgetPolicy(budget=2), START) == ["newer-idle"]
    assert choose([*bob, *ann], ForgetPolicy(budget=0), START) == ["bob-1", "bob-2", "old-used", "newer-idle", "new"]
    # What the limits give up does not count against the budget.
    assert choose([*bob, *ann], ForgetPolicy(max_age_days=850, budget=2), START) == ["bob-1", "newer-idle"]


# -- on request --------------------------------------------------------------------------------------------


@STORES
async def test_dry_run_is_the_default_and_only_tells(store: str, tmp_path: Path) -> None:
    clock = FakeClock()
    async with running_host(tmp_path, store=store, clock=clock) as host:
        await store_aged(host, clock, 40, 20, 10)
        told = await forget(host, policy={"max_age_days": 15})
        assert told == ForgetResult(scanned=3, deleted=2, deleted_ids=["m0", "m1"], dry_run=True)
        assert await left(host) == {"m0", "m1", "m2"}
        assert await forget(host, policy={"max_age_days": 15}, dry_run=False) == ForgetResult(
            scanned=3, deleted=2, deleted_ids=["m0", "m1"], dry_run=False
        )
        assert await left(host) == {"m2"}


@STORES
async def test_pinned_listed_and_other_types_stay(store: str, tmp_path: Path) -> None:
    clock = FakeClock()
    async with running_host(tmp_path, store=store, clock=clock) as host:
        await store_aged(host, clock, 9, prefix="plain")
        await store_aged(host, clock, 9, prefix="pinned", pinned=True)
        await store_aged(host, clock, 9, prefix="listed")
        await store_aged(host, clock, 9, prefix="episodic", memory_type="episodic")
        policy = {"max_age_days": 1, "memory_type_allowlist": ["semantic"]}
        gone = await forget(host, policy=policy, pinned_ids=["listed0"], dry_run=False)
        assert gone.deleted_ids == ["plain0"]
        assert await left(host) == {"pinned0", "listed0", "episodic0"}
        nothing = await forget(host, policy={"budget": 0, "memory_type_allowlist": []}, dry_run=False)
        assert (nothing.scanned, nothing.deleted) == (0, 0)


@STORES
async def test_the_oldest_are_examined_first_over_several_pages(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "PAGE", 2)
    monkeypatch.setattr(forgetting, "_CHUNK", 2)
    clock = FakeClock()
    async with running_host(tmp_path, store=store, clock=clock) as host:
        await store_aged(host, clock, *range(1, 8))
        told = await forget(host, policy={"max_age_days": 0.5}, limit=5)
        assert (told.scanned, told.deleted_ids) == (5, ["m6", "m5", "m4", "m3", "m2"])
        assert (await forget(host, policy={"max_age_days": 0}, limit=0)).scanned == 0
        gone = await forget(host, policy={"max_age_days": 0.5}, limit=5, dry_run=False)
        assert gone.deleted == 5
        assert await left(host) == {"m0", "m1"}


@STORES
async def test_scope_and_bounds_limit_what_is_forgotten(store: str, tmp_path: Path) -> None:
    clock = FakeClock()
    async with running_host(tmp_path, store=store, clock=clock) as host:
        await store_aged(host, clock, 9, 8, prefix="ann", user_id="ann", namespace="work", session_id="s")
        await store_aged(host, clock, 9, 8, prefix="bob", user_id="bob", namespace="work")
        everything = {"budget": 0}
        assert (await forget(host, policy=everything, user_id="ann")).deleted == 2
        assert (await forget(host, policy=everything, session_id="s")).deleted == 2
        assert (await forget(host, policy=everything, namespace="")).deleted == 4
        assert (await forget(host, policy=everything, namespace="home")).scanned == 0
        ann = bound_to(users=("ann",))
        assert (await forget(host, ann, policy=everything, user_id="bob", dry_run=False)).scanned == 0
        assert (await forget(host, ann, policy=everything, dry_run=False)).deleted == 2
        assert await left(host) == {"bob0", "bob1"}
        reader = Caller(subject="reader", bounds=Scope(), roles=frozenset({"reader"}))
        with pytest.raises(Forbidden):
            await forget(host, reader, policy=everything)


@STORES
async def test_plugins_hear_of_what_is_forgotten(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    clock = FakeClock()
    async with running_host(tmp_path, store=store, clock=clock, run_jobs=False) as host:
        heard: list[tuple[str, ...]] = []

        def overhear(name: str, event: type, ids: list[str], **_: Any) -> list[Job]:
            heard.append((name, event.__name__, *ids))
            return []

        monkeypatch.setattr(host.services.forgetting._outbox, "memory_jobs", overhear)
        await store_aged(host, clock, 9, 8)
        heard.clear()
        await forget(host, policy={"max_age_days": 8.5})
        assert heard == []
        await forget(host, policy={"max_age_days": 8.5}, dry_run=False)
        assert heard == [("memories_deleted", MemoriesDeleted.__name__, "m0")]


async def test_refused_while_long_term_memory_is_off(tmp_path: Path) -> None:
    async with running_host(tmp_path, settings={"LONG_TERM_MEMORY": "false"}) as host:
        with pytest.raises(LongTermMemoryDisabled):
            await forget(host, policy={})
        with pytest.raises(LongTermMemoryDisabled):
            await run(host, "compact_memories")
        with pytest.raises(LongTermMemoryDisabled):
            await run(host, "list_summary_views")


# -- periodic ----------------------------------------------------------------------------------------------

PERIODIC = {
    "FORGETTING_ENABLED": "true",
    "FORGETTING_EVERY_MINUTES": "30",
    "COMPACTION_EVERY_MINUTES": "0",
    "SCHEDULE_EVERY_S": '{"embed-memories": 0, "expire-reviews": 0}',
}


@STORES
async def test_periodic_forgetting_obeys_the_settings(store: str, tmp_path: Path) -> None:
    clock = FakeClock()
    settings = {**PERIODIC, "FORGETTING_MAX_AGE_DAYS": "10", "FORGETTING_BUDGET_KEEP_TOP_N": "1"}
    async with running_host(tmp_path, store=store, clock=clock, settings=settings, run_jobs=False) as host:
        await store_aged(host, clock, 11, 2, 1, prefix="ann", user_id="ann")
        await store_aged(host, clock, 9.995, prefix="bob", user_id="bob")
        await host.services.dispatcher.sweep()
        await work(host)
        assert await left(host) == {"ann2", "bob0"}
        await host.services.dispatcher.sweep()
        clock.advance(20 * 60)  # over the limit now, but the period is not over
        assert await work(host) == 0
        clock.advance(10 * 60)
        await work(host)
        assert await left(host) == {"ann2"}


@STORES
async def test_forgetting_is_off_by_default(store: str, tmp_path: Path) -> None:
    clock = FakeClock()
    settings = {"FORGETTING_MAX_AGE_DAYS": "1"}
    async with running_host(tmp_path, store=store, clock=clock, settings=settings, run_jobs=False) as host:
        await store_aged(host, clock, 11)
        await host.services.dispatcher.sweep()
        await work(host)
        clock.advance(DAY)
        await work(host)
        assert await left(host) == {"m0"}


@STORES
async def test_each_tenant_is_looked_after(store: str, tmp_path: Path) -> None:
    clock = FakeClock()
    settings = {**PERIODIC, "FORGETTING_MAX_AGE_DAYS": "10"}
    acme = Caller(subject="acme", bounds=Scope(tenant="acme"), roles=frozenset({"admin"}))
    async with running_host(tmp_path, store=store, clock=clock, settings=settings, run_jobs=False) as host:
        old = {"id": "a", "text": "old", "created_at": days_ago(11, clock)}
        await run(host, "create_memories", acme, memories=[old])
        await host.services.dispatcher.sweep()
        await work(host)
        assert (await run(host, "search_memories", acme)).total == 0


@STORES
async def test_a_longer_interval_counts_from_the_last_start(store: str, tmp_path: Path) -> None:
    if store == "memory":
        pytest.skip("a store that lives in the process cannot be opened with other settings")
    clock = FakeClock()
    for minutes, jobs in (("1", 1), ("60", 0), ("1", 0)):
        settings = {**PERIODIC, "FORGETTING_EVERY_MINUTES": minutes, "SUMMARY_VIEW_REFRESH_EVERY_MINUTES": "0"}
        async with running_host(tmp_path, store=store, clock=clock, settings=settings, run_jobs=False) as host:
            await host.services.dispatcher.sweep()
            assert await work(host) == jobs
            if minutes == "60":
                clock.advance(3600)
                assert await work(host) == 1


async def test_what_was_said_long_ago_is_old(tmp_path: Path) -> None:
    clock = FakeClock()
    async with running_host(tmp_path, store="memory", clock=clock, run_jobs=False) as host:
        await store_aged(host, clock, 1, prefix="told", said_at=days_ago(400, clock))
        await store_aged(host, clock, 1, prefix="made")
        assert (await forget(host, policy={"max_age_days": 100})).deleted_ids == ["told0"]
