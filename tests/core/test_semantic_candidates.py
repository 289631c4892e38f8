"""Which memories are compared with new ones, and which are joined without asking."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memhost.models import MemoryType
from memhost.testing.factories import after
from tests.support.near import (
    BLACK,
    GREEN,
    always,
    judged,
    judging_host,
    keep,
    memory,
    script,
    stored,
    trashed,
    write,
)

STORES = pytest.mark.parametrize("store", ["memory", "sqlite"])


@STORES
@pytest.mark.parametrize(
    "fields",
    [
        {"pinned": True},
        {"extraction_strategy": "message"},
        {"extraction_strategy": "summary"},
        {"memory_type": MemoryType.MESSAGE},
        {"memory_type": MemoryType.EPISODIC},
        {"user_id": None},
        {"user_id": "bob"},
        {"namespace": "home"},
        {"namespace": None},
        {"valid_to": after(0)},
        {"superseded_by": "x"},
        {"metadata": {"restored_at": "2024-03-01T00:00:00+00:00"}},
        {"event_date": after(10 * 86_400)},
    ],
    ids=str,
)
async def test_what_is_never_joined(store: str, fields: dict[str, Any], tmp_path: Path) -> None:
    async with judging_host(tmp_path, store) as host:
        script().rule = always("same")
        await keep(host, "old", GREEN, **fields)
        await write(host, await memory(host, "new", GREEN, event_date=after(0)))
        assert (set(await stored(host)), judged()) == ({"old", "new"}, [])


@STORES
async def test_events_within_a_day_are_compared(store: str, tmp_path: Path) -> None:
    async with judging_host(tmp_path, store) as host:
        script().rule = always("same")
        event: dict[str, Any] = {"memory_type": MemoryType.EPISODIC}
        await keep(host, "old", GREEN, event_date=after(0), **event)
        await keep(host, "undated", BLACK, **event)
        await write(host, await memory(host, "new", "User drinks white tea daily.", event_date=after(86_400), **event))
        assert (set(await stored(host)), judged()) == ({"old", "undated"}, [1])


@STORES
@pytest.mark.parametrize(
    ("old", "new", "joined"),
    [
        ("User drinks green tea daily.", "The user drinks green tea daily!", True),
        ("User drinks green tea daily with lots of milk", "User drinks green tea daily with milk", True),
        ("User has 2 cats and a dog.", "User has 3 cats and a dog.", False),
        ("User drinks green tea daily.", "User drinks green tea never daily.", False),
        ("User moved from Oslo to Rome.", "User moved from Rome to Oslo.", False),
        ("User prefers tea over coffee.", "User prefers coffee over tea.", False),
    ],
)
async def test_joined_without_a_model_only_if_nothing_differs(
    store: str, old: str, new: str, *, joined: bool, tmp_path: Path
) -> None:
    async with judging_host(tmp_path, store, model=False, DEDUP_AUTO_DISTANCE="0.3") as host:
        await keep(host, "old", old)
        found = await write(host, await memory(host, "new", new, created_at=after(60)))
        assert set(await stored(host)) == ({"old"} if joined else {"old", "new"})
        assert found.llm_calls == 0
    async with judging_host(tmp_path / "with-entities", store, model=False, DEDUP_AUTO_DISTANCE="0.3") as host:
        await keep(host, "old", old, entities=["tea"])
        await write(host, await memory(host, "new", new))
        assert set(await stored(host)) == {"old", "new"}


async def test_the_fuller_text_stays(tmp_path: Path) -> None:
    async with judging_host(tmp_path, model=False, DEDUP_AUTO_DISTANCE="0.3") as host:
        await keep(host, "old", "User drinks green tea daily with milk")
        await write(host, await memory(host, "new", "User drinks green tea daily with lots of milk"))
        assert (await stored(host))["old"].text == "User drinks green tea daily with lots of milk"
        assert sorted(reason for reason, _ in (await trashed(host)).values()) == ["merged", "reworded"]


@STORES
async def test_new_ones_are_compared_with_each_other(store: str, tmp_path: Path) -> None:
    async with judging_host(tmp_path, store) as host:
        script().rule = always("same")
        fresh = [await memory(host, f"m{number}", text) for number, text in enumerate((GREEN, BLACK))]
        found = await write(host, *fresh)
        assert (set(await stored(host)), found.updated, judged()) == ({"m0"}, [], [1])


async def test_a_bridge_does_not_pull_strangers_together(tmp_path: Path) -> None:
    async with judging_host(tmp_path) as host:
        script().rule = always("same")
        texts = ("a b c d e f", "d e f g h i j c", "g h i j k l m")
        fresh = [await memory(host, f"m{number}", text) for number, text in enumerate(texts)]
        await write(host, *fresh)
        assert len(await stored(host)) >= 2


async def test_switched_off(tmp_path: Path) -> None:
    async with judging_host(tmp_path, COMPACT_SEMANTIC_DUPLICATES="false") as host:
        script().rule = always("same")
        await keep(host, "old", GREEN)
        await write(host, await memory(host, "new", BLACK))
        assert (set(await stored(host)), judged()) == ({"old", "new"}, [])
