"""Compaction: exact repetitions of one owner become one memory."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from memhost.consolidation import compaction
from memhost.host import Host
from memhost.models import MemoryRecord, MemoryType, Scope, WriteBatch
from memhost.operations.responses import CompactionReport
from memhost.storage import paging
from memhost.testing.clock import FakeClock
from memhost.testing.factories import START, make_memory
from tests.core.jobs.test_jobs import work
from tests.support.hosts import bound_to, run, running_host

STORES = pytest.mark.parametrize("store", ["memory", "sqlite"])


async def store_all(host: Host, *memories: dict[str, Any]) -> None:
    await run(host, "create_memories", memories=list(memories), deduplicate=False)


async def compact(host: Host, **fields: Any) -> str:
    status: str = (await run(host, "compact_memories", **fields)).status
    return status


async def left(host: Host) -> set[str]:
    return {hit.id for hit in (await run(host, "search_memories", limit=100)).memories}


async def read(host: Host, memory_id: str) -> MemoryRecord:
    record: MemoryRecord = await run(host, "get_memory", memory_id=memory_id)
    return record


@STORES
async def test_the_one_accessed_last_stays_with_what_the_others_know(store: str, tmp_path: Path) -> None:
    clock = FakeClock()
    async with running_host(tmp_path, store=store, clock=clock, run_jobs=False) as host:
        await store_all(
            host,
            {
                "id": "a",
                "text": "User likes tea.",
                "topics": ["drinks"],
                "access_count": 2,
                "created_at": "2025-01-01T00:00:00Z",
                "last_accessed": "2025-06-01T00:00:00Z",
                "event_date": "2024-12-24T00:00:00Z",
                "extracted_from": ["m1"],
                "metadata": {"from": "a", "old": 1},
            },
            {
                "id": "b",
                "text": " User likes   tea",
                "topics": ["drinks", "habits"],
                "entities": ["tea"],
                "access_count": 3,
                "created_at": "2025-02-01T00:00:00Z",
                "last_accessed": "2025-12-01T00:00:00Z",
                "extracted_from": ["m2"],
                "metadata": {"new": 2},
            },
            {
                "id": "c",
                "text": "User likes\u00a0tea.",
                "created_at": "2025-03-01T00:00:00Z",
                "last_accessed": "2025-07-01T00:00:00Z",
            },
            {"id": "d", "text": "User likes coffee."},
        )
        assert await compact(host) == "ok, 2 memories remaining after compaction"
        assert await left(host) == {"b", "d"}
        kept = await read(host, "b")
        assert (kept.text, kept.access_count) == (" User likes   tea", 5)
        assert sorted(kept.topics) == ["drinks", "habits"]
        assert (kept.entities, sorted(kept.extracted_from)) == (["tea"], ["m1", "m2"])
        assert kept.created_at.isoformat() == "2025-01-01T00:00:00+00:00"
        assert kept.last_accessed.isoformat() == "2025-12-01T00:00:00+00:00"
        assert kept.event_date is not None
        assert kept.metadata == {"from": "a", "old": 1, "new": 2}
        assert [(await read(host, name)).id for name in ("a", "c")] == ["b", "b"]
        found = await run(host, "search_memories", text="who likes tea on December 24?")
        assert found.memories[0].id == "b"
        assert await compact(host) == "ok, 2 memories remaining after compaction"


@STORES
async def test_never_across_owners_turns_or_pins(store: str, tmp_path: Path) -> None:
    async with running_host(tmp_path, store=store, run_jobs=False) as host:
        text = "User likes tea."
        await store_all(
            host,
            {"id": "none", "text": text},
            {"id": "ann", "text": text, "user_id": "ann"},
            {"id": "ann-work", "text": text, "user_id": "ann", "namespace": "work"},
            {"id": "work", "text": text, "namespace": "work"},
            {"id": "pin-1", "text": text, "pinned": True},
            {"id": "pin-2", "text": text, "pinned": True},
            {"id": "turn-1", "text": text, "extraction_strategy": "message"},
            {"id": "turn-2", "text": text, "extraction_strategy": "message"},
            {"id": "past", "text": text, "valid_to": "2025-01-01T00:00:00Z"},
            {"id": "gym-1", "text": "User went to the gym.", "event_date": "2025-01-01T00:00:00Z"},
            {"id": "gym-2", "text": "User went to the gym.", "event_date": "2025-01-08T00:00:00Z"},
        )
        assert await compact(host) == "ok, 11 memories remaining after compaction"


@STORES
async def test_one_statement_of_two_sessions_is_one_memory(store: str, tmp_path: Path) -> None:
    async with running_host(tmp_path, store=store, run_jobs=False) as host:
        for number in range(3):
            await store_all(host, {"id": f"a{number}", "text": "same", "session_id": f"s{number % 2}"})
        assert await compact(host, session_id="s0") == "ok, 1 memories remaining after compaction"
        assert await compact(host) == "ok, 1 memories remaining after compaction"


@STORES
@pytest.mark.parametrize("told_at", ["2020-01-01T00:00:00Z", "2026-01-01T00:00:00Z"])
async def test_a_type_that_a_client_gave_stays(store: str, told_at: str, tmp_path: Path) -> None:
    async with running_host(tmp_path, store=store, run_jobs=False) as host:
        told = {"created_at": told_at, "last_accessed": told_at}
        await store_all(host, {"id": "told", "text": "same", "memory_type": "episodic", **told})
        for number in range(3):
            kind = MemoryType.SEMANTIC if number < 2 else MemoryType.EPISODIC
            made = make_memory(f"m{number}", "same", namespace=None, user_id=None, extractor="x/1", memory_type=kind)
            await host.store.commit(Scope(tenant="default"), WriteBatch(put_memories=[made]))
        await compact(host)
        assert len(await left(host)) == 2
        assert (await read(host, "told")).memory_type is MemoryType.EPISODIC


@STORES
async def test_scope_bounds_and_many_groups(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "PAGE", 3)
    monkeypatch.setattr(compaction, "_GROUPS_A_COMMIT", 2)
    async with running_host(tmp_path, store=store, run_jobs=False) as host:
        for copy in range(3):
            for user in ("ann", "bob"):
                await store_all(
                    host,
                    *(
                        {"id": f"{user}-{number}-{copy}", "text": f"fact {number}", "user_id": user, "namespace": "a-b"}
                        for number in range(5)
                    ),
                )
        bob = bound_to(users=("bob",))
        answer = await run(host, "compact_memories", bob, namespace="a-b")
        assert answer.status == "ok, 5 memories remaining after compaction"
        assert len(await left(host)) == 20
        assert await compact(host, user_id="ann", namespace="") == "ok, 5 memories remaining after compaction"
        assert await compact(host, namespace="elsewhere") == "ok, 0 memories remaining after compaction"
        assert len(await left(host)) == 10


async def test_pinned_since_the_scan_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        await store_all(host, {"id": "a", "text": "same"}, {"id": "b", "text": "same"})
        merge = host.services.compaction._merge

        async def pin_first(*given: Any) -> int:
            await run(host, "edit_memory", memory_id="a", pinned=True)
            return await merge(*given)

        monkeypatch.setattr(host.services.compaction, "_merge", pin_first)
        assert await compact(host) == "ok, 2 memories remaining after compaction"


def test_ties_are_broken_the_same_way_each_time() -> None:
    group = [make_memory(name, "same", access_count=count) for name, count in (("a", 1), ("b", 2), ("c", 2))]
    for order in (group, group[::-1]):
        assert compaction.merged(order, START + timedelta(days=1)).record.id == "c"


# -- periodic ----------------------------------------------------------------------------------------------


@STORES
async def test_periodic_compaction_is_skipped_when_nothing_changed(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    async with running_host(tmp_path, store=store, clock=clock, run_jobs=False) as host:
        passes: list[Any] = []
        apply = host.services.compaction.apply

        async def counted(scope: Any) -> CompactionReport:
            passes.append(scope)
            return await apply(scope)

        monkeypatch.setattr(host.services.compaction, "apply", counted)

        async def ten_minutes_later() -> int:
            clock.advance(600)
            await work(host, rounds=2)
            return len(passes)

        await store_all(host, {"id": "a", "text": "same"}, {"id": "b", "text": "same"})
        await host.services.dispatcher.sweep()
        await work(host, rounds=2)
        assert (await left(host), len(passes)) == ({"b"}, 1)
        before = await ten_minutes_later()  # what the pass itself changed is looked at once more
        assert await ten_minutes_later() == before
        long_ago = dict.fromkeys(("created_at", "updated_at"), "2020-01-01T00:00:00Z")
        await store_all(host, {"id": "c", "text": "same", **long_ago})
        assert await ten_minutes_later() == before + 1
        assert len(await left(host)) == 1
        before = await ten_minutes_later()
        assert await ten_minutes_later() == before
        clock.advance(86_400)
        assert await ten_minutes_later() == before + 1


@STORES
async def test_periodic_compaction_can_be_switched_off(store: str, tmp_path: Path) -> None:
    clock = FakeClock()
    settings = {"COMPACTION_EVERY_MINUTES": "0"}
    async with running_host(tmp_path, store=store, clock=clock, settings=settings, run_jobs=False) as host:
        await store_all(host, {"id": "a", "text": "same"}, {"id": "b", "text": "same"})
        await host.services.dispatcher.sweep()
        clock.advance(3600)
        await work(host, rounds=2)
        assert len(await left(host)) == 2


@STORES
@pytest.mark.parametrize("when", ["0001-01-01T00:00:00Z", "0001-01-02T00:00:00Z", "9999-12-31T23:59:59Z"])
async def test_events_at_the_ends_of_time_are_compared(store: str, tmp_path: Path, when: str) -> None:
    async with running_host(tmp_path, store=store, run_jobs=False) as host:
        texts = ("The first stone was laid.", "The first stone was laid there.")
        memories = [
            {"id": str(number), "text": text, "memory_type": "episodic", "event_date": when}
            for number, text in enumerate(texts)
        ]
        await store_all(host, *memories)
        assert (await compact(host)).startswith("ok")
        assert await left(host)
