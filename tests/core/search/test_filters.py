"""Filters of searches: the matches of each operator, and that no operator is ignored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memhost.errors import ValidationFailed
from memhost.host import Host
from tests.support.hosts import run, running_host

STORES = pytest.mark.parametrize("store", ["memory", "sqlite"])

VALUES: dict[str, Any] = {
    "seven": 7,
    "five": 5.0,
    "text": "7",
    "yes": True,
    "yes-text": "true",
    "no": False,
    "no-text": "false",
    "list": [1, 12],
    "mixed": [True, "false", "a"],
    "word": "apple",
    "empty": [],
    "deep": {"x": 7},
}
CASES: list[tuple[dict[str, Any], set[str]]] = [
    ({"eq": True}, {"yes", "mixed"}),
    ({"eq": "true"}, {"yes-text"}),
    ({"eq": False}, {"no"}),
    ({"eq": "false"}, {"no-text", "mixed"}),
    ({"any": [True, "false"]}, {"yes", "no-text", "mixed"}),
    ({"all": [True, "false"]}, {"mixed"}),
    ({"ne": True}, VALUES.keys() - {"yes", "mixed"}),
    ({"not_eq": "true"}, VALUES.keys() - {"yes-text"}),
    ({"none": ["false", 7]}, VALUES.keys() - {"no-text", "mixed", "seven"}),
    ({"not_in": [7, True]}, VALUES.keys() - {"seven", "yes", "mixed"}),
    ({"in_": [7, "7"]}, {"seven", "text"}),
    ({"eq": 7}, {"seven"}),
    ({"eq": 1}, {"list"}),
    ({"lt": 6}, {"five", "list"}),
    ({"gt": 11}, {"list"}),
    ({"gte": 12}, {"list"}),
    ({"lte": 1}, {"list"}),
    ({"lt": 1}, set()),
    ({"gt": 12}, set()),
    ({"between": [5, 7]}, {"five", "seven", "list"}),
    ({"between": [5, 6.5]}, {"five", "list"}),
    ({"between": [13, 20]}, set()),
    ({"gt": 6, "ne": 12}, {"seven"}),
    ({"startswith": "app"}, {"word"}),
]


async def store_values(host: Host) -> None:
    memories = [{"id": name, "text": f"about {name}", "metadata": {"p": value}} for name, value in VALUES.items()]
    await run(host, "create_memories", memories=memories)


@STORES
async def test_filters_of_metadata(store: str, tmp_path: Path) -> None:
    async with running_host(tmp_path, store=store, run_jobs=False) as host:
        await store_values(host)
        wrong = []
        for test, expected in CASES:
            found = await run(host, "search_memories", metadata={"p": test}, limit=100)
            if (names := {hit.id for hit in found.memories}) != expected:
                wrong.append((test, names ^ expected))
        assert wrong == []


BEFORE, ON, WITHIN, LATE, AFTER = (
    "2026-03-01T08:59:59.999999Z",
    "2026-03-01T09:00:00Z",
    "2026-03-01T09:00:00.400000Z",
    "2026-03-01T09:00:00.999999Z",
    "2026-03-01T09:00:01Z",
)
MOMENTS: dict[str, str | None] = {
    "before": BEFORE,
    "on": ON,
    "within": WITHIN,
    "late": LATE,
    "after": AFTER,
    "undated": None,
}
SECOND = {"on", "within", "late"}
DATE_CASES: list[tuple[dict[str, Any], set[str]]] = [
    ({"eq": ON}, SECOND),
    ({"eq": "2026-03-01T10:00:00+01:00"}, SECOND),
    ({"eq": WITHIN}, {"within"}),
    ({"eq": LATE}, {"late"}),
    ({"eq": AFTER}, {"after"}),
    ({"eq": "2026-03-01T08:59:59Z"}, {"before"}),
    ({"eq": "2026-03-01T08:59:58Z"}, set()),
    ({"ne": ON}, MOMENTS.keys() - SECOND),
    ({"ne": "2026-03-01T10:00:00+01:00"}, MOMENTS.keys() - SECOND),
    ({"ne": WITHIN}, MOMENTS.keys() - {"within"}),
    ({"ne": AFTER}, MOMENTS.keys() - {"after"}),
    ({"ne": "2026-03-01T08:59:59Z"}, MOMENTS.keys() - {"before"}),
    ({"ne": "2026-03-01T08:59:58Z"}, set(MOMENTS)),
    ({"ne": ON, "gt": BEFORE}, {"after"}),
    ({"ne": ON, "lt": LATE}, {"before"}),
    ({"eq": ON, "ne": WITHIN}, {"on", "late"}),
    ({"eq": ON, "ne": ON}, set()),
    ({"gt": ON}, {"within", "late", "after"}),
    ({"gte": ON}, SECOND | {"after"}),
    ({"lt": ON}, {"before"}),
    ({"lte": ON}, {"before", "on"}),
    ({"gte": ON, "lt": AFTER}, SECOND),
    ({"between": [ON, AFTER]}, SECOND | {"after"}),
    ({"between": [ON, AFTER], "inclusive": "left"}, SECOND),
    ({"between": [ON, AFTER], "inclusive": "right"}, {"within", "late", "after"}),
    ({"between": [ON, AFTER], "inclusive": "neither"}, {"within", "late"}),
    ({"between": [ON, ON]}, {"on"}),
]


@STORES
async def test_equality_of_a_whole_second_means_all_of_it_and_order_the_moment(store: str, tmp_path: Path) -> None:
    memories = [{"id": each, "text": f"{each}: an event", "event_date": at} for each, at in MOMENTS.items()]
    async with running_host(tmp_path, store=store, run_jobs=False) as host:
        await run(host, "create_memories", memories=memories)
        wrong = []
        for test, expected in DATE_CASES:
            found = await run(host, "search_memories", event_date=test, limit=100)
            if (names := {hit.id for hit in found.memories}) != expected:
                wrong.append((test, names ^ set(expected)))
        assert wrong == []


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ({}, "known operators: all, any, between, eq, gt"),
        ({"eq": None}, "known operators: all, any"),
        ({"between": [1, 2], "gt": 3}, "'between' cannot be combined"),
        ({"eq": 1, "ne": 2}, "'eq' and 'ne'"),
        ({"any": [1], "all": [1]}, "'any' and 'all'"),
        ({"startswith": "a", "eq": "a"}, "'startswith' cannot be combined"),
        ({"in_": []}, "'in_' must be a non-empty list"),
    ],
)
async def test_a_filter_that_says_nothing_is_refused(test: dict[str, Any], message: str, tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        with pytest.raises(ValidationFailed) as told:
            await run(host, "search_memories", metadata={"p": test})
        assert message in told.value.problems[0].message


@STORES
async def test_an_edit_sets_metadata_and_keeps_notes_of_the_server(store: str, tmp_path: Path) -> None:
    async with running_host(tmp_path, store=store, run_jobs=False) as host:
        given = {"state": "open", "n": 1, "adds_to": ["x"]}
        await run(host, "create_memories", memories=[{"id": "m", "text": "Task one", "metadata": given}])
        edited = await run(host, "edit_memory", memory_id="m", metadata={"state": "done", "adds_to": ["y"]})
        assert edited.metadata == {"state": "done", "adds_to": ["x"]}
        assert (await run(host, "search_memories", metadata={"state": {"eq": "done"}})).total == 1
        assert (await run(host, "search_memories", metadata={"n": {"eq": 1}})).total == 0
        both = await run(host, "edit_memory", memory_id="m", text="Task two", metadata={"state": "new"})
        assert (both.text, both.metadata) == ("Task two", {"state": "new", "adds_to": ["x"]})
        assert (await run(host, "edit_memory", memory_id="m", clear=["metadata"])).metadata == {"adds_to": ["x"]}
        with pytest.raises(ValidationFailed):
            await run(host, "edit_memory", memory_id="m", metadata={"a": "x" * 1_000_000})
        assert (await run(host, "get_memory", memory_id="m")).metadata == {"adds_to": ["x"]}
