"""Selects the memories to compare with new ones, and those to merge without a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memhost.models import MemoryType
from memhost.testing.factories import after
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

NEAR = [
    ("Пользователь не ест мясо.", "Пользователь ест мясо."),
    ("Gebruiker eet geen vlees.", "Gebruiker eet vlees."),
    ("L'utente non mangia carne.", "L'utente mangia carne."),
    ("User only drinks coffee.", "User drinks coffee."),
    ("User drinks green tea daily.", "The user drinks green tea daily!"),
]

STORES = pytest.mark.parametrize("store", ["memory", "sqlite"])


@STORES
@pytest.mark.parametrize(
    "fields",
    [
        {"pinned": True},
        {"extraction_strategy": "message"},
        {"extraction_strategy": "summary"},
        {"memory_type": MemoryType.MESSAGE},
        {"user_id": None},
        {"user_id": "bob"},
        {"namespace": "home"},
        {"namespace": None},
        {"valid_to": after(0)},
        {"superseded_by": "x"},
        {"metadata": {"restored_at": "2024-03-01T00:00:00+00:00"}},
    ],
    ids=str,
)
async def test_what_is_never_compared(store: str, fields: dict[str, Any], tmp_path: Path) -> None:
    async with judging_host(tmp_path, store) as host:
        script().rule = always("same")
        await keep(host, "old", GREEN, **fields)
        await write(host, await memory(host, "new", BLACK, event_date=after(0)))
        assert (set(await stored(host)), judged()) == ({"old", "new"}, [])


KINDS_AND_TIMES = pytest.mark.parametrize(
    "fields", [{"memory_type": MemoryType.EPISODIC}, {"event_date": after(10 * 86_400)}], ids=str
)


@STORES
@KINDS_AND_TIMES
@pytest.mark.parametrize("said", ["same", {"verdict": "merge", "text": f"{GREEN} {BLACK}"}], ids=["same", "merge"])
async def test_other_kinds_and_times_are_never_joined(
    store: str, fields: dict[str, Any], said: Any, tmp_path: Path
) -> None:
    async with judging_host(tmp_path, store) as host:
        script().rule = always(said)
        await keep(host, "old", GREEN, **fields)
        await write(host, await memory(host, "new", BLACK, event_date=after(0), created_at=after(60)))
        records = await stored(host)
        assert {name: record.text for name, record in records.items()} == {"old": GREEN, "new": BLACK}
        assert all(record.superseded_by is None for record in records.values())
        assert (judged(), await trashed(host)) == ([1], {})


@STORES
@KINDS_AND_TIMES
async def test_a_fact_may_end_one_of_another_kind_or_time(store: str, fields: dict[str, Any], tmp_path: Path) -> None:
    async with judging_host(tmp_path, store) as host:
        script().rule = always("update")
        await keep(host, "old", GREEN, **fields)
        found = await write(host, await memory(host, "new", BLACK, event_date=after(0), created_at=after(60)))
        assert (found.superseded, judged(), set(await stored(host))) == (["old"], [1], {"old", "new"})


@STORES
async def test_far_ones_are_compared(store: str, tmp_path: Path) -> None:
    """A fact and its change may share hardly a word."""
    async with judging_host(tmp_path, store) as host:
        script().rule = always("update")
        await keep(host, "old", "User lives in Oslo.")
        found = await write(host, await memory(host, "new", "The family moved to Lima.", created_at=after(60)))
        assert (found.superseded, judged()) == (["old"], [1])


@STORES
async def test_events_within_a_day_are_joined(store: str, tmp_path: Path) -> None:
    async with judging_host(tmp_path, store) as host:
        script().rule = always("same")
        event: dict[str, Any] = {"memory_type": MemoryType.EPISODIC}
        await keep(host, "old", GREEN, event_date=after(0), **event)
        await keep(host, "undated", BLACK, **event)
        await write(host, await memory(host, "new", "User drinks white tea daily.", event_date=after(86_400), **event))
        assert (set(await stored(host)), judged()) == ({"old", "undated"}, [2])


@STORES
async def test_nothing_near_is_joined_without_a_model(store: str, tmp_path: Path) -> None:
    async with judging_host(tmp_path, store, model=False, DEDUP_AUTO_DISTANCE="2") as host:
        await keep(host, "old", "User drinks green tea daily with milk")
        found = await write(host, await memory(host, "new", "User drinks green tea daily with lots of milk"))
        assert (set(await stored(host)), found.llm_calls, await trashed(host)) == ({"old", "new"}, 0, {})
        assert found.undecided == 0  # nobody will ever judge it


@STORES
@pytest.mark.parametrize(("first", "second"), NEAR)
async def test_near_texts_go_to_the_judge(store: str, first: str, second: str, tmp_path: Path) -> None:
    async with judging_host(tmp_path, store, DEDUP_AUTO_DISTANCE="2", DEDUPLICATION_DISTANCE_THRESHOLD="1") as host:
        script().rule = judge(lambda _older, _newer: "distinct")
        await keep(host, "old", first)
        await write(host, await memory(host, "new", second, created_at=after(60)))
        assert (set(await stored(host)), judged()) == ({"old", "new"}, [1])


@STORES
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"metadata": {"p": 1}}, {"metadata": {"p": 2}}),
        ({"event_date": after(0)}, {"event_date": after(3600)}),
    ],
)
async def test_the_judge_is_not_asked_about_one_text(
    store: str, old: dict[str, Any], new: dict[str, Any], tmp_path: Path
) -> None:
    """What keeps one text apart is not in the text, and the judge would say that it is the same."""
    async with judging_host(tmp_path, store) as host:
        script().rule = always("same")
        await keep(host, "old", GREEN, **old)
        await write(host, await memory(host, "new", GREEN.rstrip("."), **new))
        await host.services.compaction.apply(SCOPE)
        assert (set(await stored(host)), judged()) == ({"old", "new"}, [])


@STORES
async def test_new_ones_are_not_compared_with_each_other(store: str, tmp_path: Path) -> None:
    async with judging_host(tmp_path, store) as host:
        script().rule = always("same")
        fresh = [await memory(host, f"m{number}", text) for number, text in enumerate((GREEN, BLACK))]
        found = await write(host, *fresh)
        assert (set(await stored(host)), found.updated, judged()) == ({"m0", "m1"}, [], [])


@STORES
async def test_each_new_one_is_compared_with_what_is_stored(store: str, tmp_path: Path) -> None:
    async with judging_host(tmp_path, store) as host:
        script().rule = always("distinct")
        await keep(host, "old", "User drinks white tea daily.")
        await write(host, *[await memory(host, f"m{number}", text) for number, text in enumerate((GREEN, BLACK))])
        shown = [(pair["older"]["text"], pair["newer"]["text"]) for pair in pairs_of(script().of("dedup")[0])]
        assert sorted(shown) == [("User drinks white tea daily.", text) for text in (BLACK, GREEN)]
        assert len(judged()) == 1


async def test_a_bridge_does_not_pull_strangers_together(tmp_path: Path) -> None:
    async with judging_host(tmp_path) as host:
        script().rule = always("same")
        await keep(host, "m0", "a b c d e f")
        await keep(host, "m2", "g h i j k l m")
        await write(host, await memory(host, "m1", "d e f g h i j c", created_at=after(60)))
        assert judged() == [2]
        assert set(await stored(host)) == {"m0", "m2"}


async def test_switched_off(tmp_path: Path) -> None:
    async with judging_host(tmp_path, COMPACT_SEMANTIC_DUPLICATES="false") as host:
        script().rule = always("same")
        await keep(host, "old", GREEN)
        await write(host, await memory(host, "new", BLACK))
        assert (set(await stored(host)), judged()) == ({"old", "new"}, [])
