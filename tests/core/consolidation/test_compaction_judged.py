"""Compaction of memories with the same meaning: only changed ones, within a budget, one pass at a time."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from memhost.consolidation import compaction_pass
from memhost.consolidation.compaction import LEASE
from memhost.consolidation.compaction_pass import batches
from memhost.consolidation.judge import MAX_PAIRS, Pair
from memhost.errors import Busy, ModelUnavailable, StoreUnavailable
from memhost.host import Host
from memhost.memories.derived import former
from memhost.models import WriteBatch
from memhost.operations.responses import CompactionReport
from memhost.storage.leases import Leases
from memhost.testing.clock import FakeClock
from memhost.testing.factories import after, make_memory
from tests.core.jobs.test_jobs import work
from tests.support.dedup_hosts import (
    BLACK,
    GREEN,
    SCOPE,
    always,
    judge,
    judged,
    judging_host,
    keep,
    memory,
    pairs_of,
    script,
    stored,
    trashed,
    write,
)
from tests.support.hosts import bound_to, run

STORES = pytest.mark.parametrize("store", ["memory", "sqlite"])


async def compact(host: Host, **scope: Any) -> CompactionReport:
    return await host.services.compaction.apply(SCOPE.narrow(**scope))


async def keep_pairs(host: Host, count: int, **fields: Any) -> None:
    """Pairs of near memories, each pair about something else."""
    for number in range(count):
        for kind in ("big", "small"):
            text = f"x{number}a x{number}b x{number}c x{number}d {kind}"
            moment = after(number * 10 + (kind == "small"))
            await keep(host, f"{number:02}-{kind}", text, created_at=moment, **fields)


def same_pair(older: str, newer: str) -> str:
    """The opinion that only the two of a pair of `keep_pairs` are the same."""
    return "same" if older.split()[0] == newer.split()[0] else "distinct"


@STORES
async def test_near_memories_are_judged_once(store: str, tmp_path: Path) -> None:
    def opinion(older: str, newer: str) -> str:
        if ("tea" in older) != ("tea" in newer):
            return "distinct"
        return "same" if "tea" in older else "update"

    clock = FakeClock()
    async with judging_host(tmp_path, store, clock=clock) as host:
        script().rule = judge(opinion)
        await keep(host, "tea-1", GREEN)
        await keep(host, "tea-2", BLACK, created_at=after(9))
        await keep(host, "dog-1", "Rex is a big brown dog.")
        await keep(host, "dog-2", "Rex is a small brown dog.", created_at=after(9))
        await keep(host, "repeated", "Rex is a  small brown dog", created_at=after(5))
        embedded = len(script().embedded)
        report = await compact(host)
        assert (report.scanned, report.exact_removed, report.merged, report.superseded) == (5, 1, 1, 1)
        assert (report.llm_calls, report.remaining, report.unfinished) == (1, 3, False)
        assert len(script().embedded) == embedded
        assert set(await stored(host)) == {"tea-1", "dog-1", "dog-2"} or set(await stored(host)) == {
            "tea-1",
            "dog-1",
            "repeated",
        }
        for _ in range(3):
            clock.advance(600)
            assert (await compact(host)).llm_calls == 0
        assert len(script().embedded) == embedded


@STORES
async def test_distinct_pairs_are_not_asked_about_again(store: str, tmp_path: Path) -> None:
    clock = FakeClock()
    async with judging_host(tmp_path, store, clock=clock) as host:
        script().rule = always("distinct")
        await keep(host, "old", GREEN)
        await write(host, await memory(host, "new", BLACK))
        assert judged() == [1]
        await compact(host)
        await compact(host, user="ann")
        assert judged() == [1]
        await keep(host, "new", "User drinks white tea daily.")
        clock.advance(600)
        await compact(host)
        assert judged() == [1, 1]
        clock.advance(600)
        await compact(host)
        assert judged() == [1, 1]


@STORES
async def test_what_the_judge_missed_on_write_is_made_up_for(store: str, tmp_path: Path) -> None:
    async with judging_host(tmp_path, store) as host:
        script().answers.append(ModelUnavailable("down"))
        script().rule = always("same")
        await keep(host, "old", GREEN)
        await write(host, await memory(host, "new", BLACK, created_at=after(60)))
        assert set(await stored(host)) == {"old", "new"}
        assert (await compact(host)).merged == 1
        assert set(await stored(host)) == {"old"}


@STORES
async def test_the_budget_ends_a_pass_and_the_next_goes_on(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction_pass, "_CHUNK", 4)
    monkeypatch.setattr(compaction_pass, "_LEG", 8)
    clock = FakeClock()
    async with judging_host(tmp_path, store, clock=clock, COMPACTION_MAX_LLM_CALLS="2") as host:
        script().rule = judge(same_pair)
        await keep_pairs(host, 10)
        merged, passes = 0, 0
        while (report := await compact(host)).unfinished:
            clock.advance(600)
            assert report.llm_calls <= 2
            merged, passes = merged + report.merged, passes + 1
        assert (merged + report.merged, len(await stored(host))) == (10, 10)
        assert passes >= 2


async def test_each_pair_is_asked_about_once_and_calls_are_full(tmp_path: Path) -> None:
    async with judging_host(tmp_path) as host:
        script().rule = judge(same_pair)
        await keep_pairs(host, 25)
        report = await compact(host)
        assert (report.merged, len(await stored(host)), report.unfinished) == (25, 25, False)
        shown = [
            frozenset((pair["older"]["text"], pair["newer"]["text"]))
            for call in script().of("dedup")
            for pair in pairs_of(call)
        ]
        assert len(shown) == len(set(shown))
        assert max(judged()) == MAX_PAIRS
        assert report.llm_calls == -(-len(shown) // MAX_PAIRS)


def test_large_groups_are_cut() -> None:
    def chain(name: str, length: int) -> list[Pair]:
        made = [make_memory(f"{name}{number}") for number in range(length + 1)]
        return [Pair(one, other, 0.1) for one, other in pairwise(made)]

    parts = list(batches([*chain("a", 120), *chain("b", 3)]))
    assert sum(len(part) for part in parts) == 123
    assert max(len(part) for part in parts) <= MAX_PAIRS
    assert [len(part) for part in batches([pair for number in range(12) for pair in chain(f"{number}-", 1)])] == [10, 2]


@STORES
async def test_a_model_that_is_down_costs_one_call_a_pass(store: str, tmp_path: Path) -> None:
    async with judging_host(tmp_path, store) as host:
        script().rule = lambda _asked: ModelUnavailable("down")
        await keep_pairs(host, 12)
        for _ in range(2):
            report = await compact(host)
            assert (report.llm_calls, report.unfinished, report.remaining) == (1, True, 24)
        script().rule = judge(same_pair)
        assert (await compact(host)).merged == 12


@STORES
async def test_a_dry_run_changes_nothing_and_asks_nobody(store: str, tmp_path: Path) -> None:
    async with judging_host(tmp_path, store) as host:
        await keep(host, "a", GREEN)
        await keep(host, "b", GREEN)
        await keep(host, "c", BLACK)
        before = await stored(host)
        answer = await run(host, "compact_memories", dry_run=True)
        report = answer.report
        assert (report.exact_removed, report.llm_calls, report.dry_run) == (1, 0, True)
        assert [(join.stays, join.goes) for join in report.joins] == [("b", ["a"])]
        assert (report.undecided > 0, answer.status) == (True, "ok, 3 memories remaining after compaction")
        assert (await stored(host), judged(), await trashed(host)) == (before, [], {})


@STORES
async def test_without_a_model_only_repetitions_are_joined(store: str, tmp_path: Path) -> None:
    async with judging_host(tmp_path, store, model=False, DEDUP_AUTO_DISTANCE="0.3") as host:
        await keep(host, "a", GREEN)
        await keep(host, "b", "The user drinks green tea daily.", created_at=after(5))
        await keep(host, "c", GREEN.rstrip("."), created_at=after(6))
        before = await run(host, "compact_memories", dry_run=True)
        (join,) = before.report.joins
        assert (join.stays, join.goes, join.texts) == ("c", ["a"], [GREEN.rstrip("."), GREEN])
        report = await compact(host)
        assert (report.exact_removed, report.merged, report.undecided, report.judge) == (1, 0, 0, False)
        assert set(await stored(host)) == {"b", "c"}


async def test_a_model_that_comes_later_judges_what_is_there(tmp_path: Path) -> None:
    clock = FakeClock()
    async with judging_host(tmp_path, "sqlite", clock=clock, model=False) as host:
        await keep(host, "a", GREEN)
        await keep(host, "b", BLACK, created_at=after(5))
        await compact(host)
    clock.advance(86_400)
    async with judging_host(tmp_path, "sqlite", clock=clock) as host:
        script().rule = always("same")
        assert (await compact(host)).merged == 1


@STORES
async def test_memories_that_came_with_an_old_date_are_compared(store: str, tmp_path: Path) -> None:
    clock = FakeClock()
    async with judging_host(tmp_path, store, clock=clock) as host:
        script().rule = always("same")
        await keep(host, "a", GREEN)
        await compact(host)
        clock.advance(86_400)
        await keep(host, "b", BLACK, created_at=after(5), updated_at=after(5))
        assert (await compact(host)).merged == 1


@STORES
async def test_memories_are_compared_when_their_vectors_come(store: str, tmp_path: Path) -> None:
    clock = FakeClock()
    async with judging_host(tmp_path, store, clock=clock) as host:
        script().rule = always("same")
        await keep(host, "a", GREEN)
        late = await memory(host, "b", BLACK, created_at=after(5))
        await host.store.commit(SCOPE, WriteBatch(put_memories=[replace(late, vector=None)]))
        clock.advance(3600)
        assert (await compact(host)).unfinished
        await host.store.commit(SCOPE, WriteBatch(put_memories=[late]))
        clock.advance(3600)
        report = await compact(host)
        assert (report.merged, report.unfinished) == (1, False)


@STORES
async def test_owners_and_pins_are_respected(store: str, tmp_path: Path) -> None:
    async with judging_host(tmp_path, store) as host:
        script().rule = always("same")
        for user in ("ann", "bob", None):
            for number, text in enumerate((GREEN, BLACK)):
                await keep(host, f"{user}-{number}", text, user_id=user, created_at=after(number))
        await keep(host, "pin", "User drinks white tea daily.", pinned=True)
        ann = bound_to(users=("ann",), sessions=("s1",))
        assert (await run(host, "compact_memories", ann)).status == "ok, 2 memories remaining after compaction"
        assert set(await stored(host)) == {"ann-0", "bob-0", "bob-1", "None-0", "None-1", "pin"}
        await compact(host)
        assert set(await stored(host)) == {"ann-0", "bob-0", "None-0", "pin"}
        assert judged() == [1, 1, 1]
        assert all(len({text for text in call.prompt.split() if text == "white"}) == 0 for call in script().calls)


@STORES
async def test_replaced_facts_go_to_the_trash_when_their_time_is_over(store: str, tmp_path: Path) -> None:
    clock = FakeClock()
    async with judging_host(tmp_path, store, clock=clock, SUPERSEDED_KEEP_DAYS="30") as host:
        script().rule = always("update")
        await keep(host, "old", GREEN)
        await write(host, await memory(host, "new", BLACK, created_at=after(60)))
        clock.advance(29 * 86_400)
        assert (await compact(host)).expired == 0
        clock.advance(2 * 86_400)
        assert (await compact(host)).expired == 1
        assert set(await stored(host)) == {"new"}
        assert await trashed(host) == {"old": ("superseded", GREEN)}


@STORES
async def test_replaced_facts_are_kept_unless_history_is_bounded(store: str, tmp_path: Path) -> None:
    clock = FakeClock()
    async with judging_host(tmp_path, store, clock=clock) as host:
        script().rule = always("update")
        await keep(host, "old", GREEN)
        await write(host, await memory(host, "new", BLACK, created_at=after(60)))
        clock.advance(3650 * 86_400)
        assert (await compact(host)).expired == 0
        assert set(await stored(host)) == {"old", "new"}


async def test_one_pass_at_a_time_over_all_processes(tmp_path: Path) -> None:
    clock = FakeClock()
    async with judging_host(tmp_path, clock=clock) as host:
        leases = Leases(host.store, clock, 15)
        async with leases.held("default", LEASE, told="Busy."):
            with pytest.raises(Busy, match="being compacted already") as told:
                await compact(host)
            assert told.value.retry_after_s == 15
            async with leases.held("other", LEASE, told="Busy."):
                pass
        await compact(host)
        late = await leases.take("default", LEASE, told="Busy.")
        await late.stop()  # as if its process had died
        clock.advance(14)
        with pytest.raises(Busy):
            await compact(host)
        clock.advance(2)
        await compact(host)
        with pytest.raises(Busy, match="another process may have started"):
            await late.keep()


@STORES
async def test_a_commit_that_fails_leaves_everything(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with judging_host(tmp_path, store) as host:
        script().rule = always("same")
        await keep(host, "a", GREEN)
        await keep(host, "b", BLACK, created_at=after(5))
        before = await stored(host)
        commit = host.store.commit

        async def fail_on_memories(scope: Any, batch: Any) -> Any:
            if batch.delete_memories:
                raise StoreUnavailable("The store is gone.")
            return await commit(scope, batch)

        with monkeypatch.context() as patched:
            patched.setattr(host.store, "commit", fail_on_memories)
            with pytest.raises(StoreUnavailable):
                await compact(host)
        assert (await stored(host), await trashed(host)) == (before, {})
        assert (await compact(host)).merged == 1


async def test_the_schedule_goes_on_with_an_unfinished_pass(tmp_path: Path) -> None:
    clock = FakeClock()
    async with judging_host(
        tmp_path, clock=clock, COMPACTION_MAX_LLM_CALLS="1", SUMMARY_VIEW_REFRESH_EVERY_MINUTES="0"
    ) as host:
        script().rule = judge(same_pair)
        await keep_pairs(host, 25)
        calls = -1
        while len(judged()) > calls:
            calls = len(judged())
            await host.services.dispatcher.sweep()
            await work(host, rounds=2)
            clock.advance(600)
        assert calls > 1, "a pass makes one call"
        assert len(await stored(host)) == 25


@STORES
@pytest.mark.parametrize("bounded", [True, False], ids=["history", "forgetting"])
async def test_former_states_go_with_their_memories(bounded: bool, store: str, tmp_path: Path) -> None:
    clock = FakeClock()
    bound: dict[str, Any] = {"SUPERSEDED_KEEP_DAYS": "3000"} if bounded else {}
    async with judging_host(tmp_path, store, clock=clock, **bound) as host:
        script().rule = always("update")
        await keep(host, "old", GREEN)
        await keep(host, "new", BLACK, created_at=after(60))
        assert (await compact(host)).superseded == 1
        clock.advance(2900 * 86_400)
        assert len(await host.store.list_documents(SCOPE, former.KIND, clock.now())) == 1
        if bounded:
            clock.advance(101 * 86_400)
            assert (await compact(host)).expired == 1
        else:
            forget = {"policy": {"max_age_days": 1}, "dry_run": False}
            assert set((await run(host, "forget_memories", **forget)).deleted_ids) == {"old", "new"}
        assert await host.store.list_documents(SCOPE, former.KIND, clock.now()) == []
