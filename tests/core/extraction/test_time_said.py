"""When something was said: the time of the latest source turn, whenever it is extracted."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from memhost.host import Host
from memhost.models import MemoryRecord
from tests.support.extractions import derived, host_with_model, item, noting, settled
from tests.support.hosts import run
from tests.support.model_server import ModelServer

STORES = pytest.mark.parametrize("storage", ["memory", "sqlite", "redis"], indirect=True)


@pytest.fixture
def storage(request: pytest.FixtureRequest) -> dict[str, str]:
    """Settings that choose a store."""
    space = request.getfixturevalue("redis_part").environment() if request.param == "redis" else {}
    return {"STORE": request.param, **space}


def turn(name: str, text: str, at: str, role: str = "user") -> dict[str, Any]:
    return {"id": name, "role": role, "content": text, "created_at": at}


async def told(host: Host, session: str, *turns: dict[str, Any]) -> list[MemoryRecord]:
    await run(host, "put_session", session_id=session, user_id="ana", messages=list(turns))
    await settled(host, session, user_id="ana")
    return sorted(await derived(host), key=lambda record: record.created_at)


@STORES
async def test_it_is_the_time_of_the_latest_source(
    models: ModelServer, tmp_path: Path, storage: dict[str, str]
) -> None:
    items = [item("User has a cat called Miso.", "a", "b"), item("User has a dog.", "a"), item("User has pets.")]
    models.answer(noting({"Miso!": items}))
    async with host_with_model(models, tmp_path, settings=storage) as host:
        turns = (turn("a", "A cat and a dog.", "2024-05-03T10:00:00Z"), turn("b", "Miso!", "2024-05-03T10:02:00+02:00"))
        found = {record.text: record for record in await told(host, "s", *turns)}
        early, late = datetime(2024, 5, 3, 8, 2, tzinfo=UTC), datetime(2024, 5, 3, 10, tzinfo=UTC)
        assert found["User has a cat called Miso."].said_at == late
        assert found["User has a dog."].said_at == late
        assert found["User has pets."].said_at == late, "of the turns that were read, where no source is named"
        assert all(record.created_at > record.said_at for record in found.values() if record.said_at)
        again = await run(host, "get_memory", memory_id=found["User has a dog."].id)
        assert again.said_at == late
        for filters, number in (({"lte": late}, 3), ({"lt": late}, 0), ({"gt": early}, 3)):
            listed = await run(host, "search_memories", text="", said_at=filters)
            assert listed.total == number


async def test_memories_of_one_answer_are_in_the_order_of_the_turns(models: ModelServer, tmp_path: Path) -> None:
    names = ("cat", "dog", "bird", "fish")
    cat, dog, bird, fish = (f"User has a {name}." for name in names)
    items = [item(bird, "c"), item(cat, "a"), item(dog, "b"), item(fish, "c", "a")]
    models.answer(noting({"It is c.": items}))
    async with host_with_model(models, tmp_path) as host:
        turns = [turn(name, f"It is {name}.", "2024-05-03T10:00:00Z") for name in "abc"]
        found = await told(host, "s", *turns)
        assert [record.text for record in found] == [cat, dog, bird, fish]


async def test_what_is_said_again_is_said_at_both_times(models: ModelServer, tmp_path: Path) -> None:
    models.answer(noting({"today": [item("User plays go.", "new")], "at school": [item("User plays go.", "old")]}))
    async with host_with_model(models, tmp_path) as host:
        await told(host, "s1", turn("new", "I play go today.", "2026-10-01T10:00:00Z"))
        (found,) = await told(host, "s2", turn("old", "I play go at school.", "2024-10-01T10:00:00Z"))
        assert found.said_at == datetime(2026, 10, 1, 10, tzinfo=UTC)
        assert found.said_before == [datetime(2024, 10, 1, 10, tzinfo=UTC)]
        assert found.held_from == datetime(2024, 10, 1, 10, tzinfo=UTC)


async def test_turns_and_memories_of_clients_have_the_time_that_they_were_given(
    models: ModelServer, tmp_path: Path
) -> None:
    models.answer(noting({}))
    async with host_with_model(models, tmp_path) as host:
        await told(host, "s", turn("a", "Hello there.", "2024-05-03T10:00:00Z"))
        memories = [
            {"id": "silent", "text": "Ana has a cat."},
            {
                "id": "telling",
                "text": "Ana has been to Oslo.",
                "said_at": "2024-01-02T03:04:05Z",
                "said_before": ["2023-01-01T00:00:00Z", "2022-01-01T00:00:00Z"],
                "event_date": "2023-11-23T00:00:00Z",
                "event_end": "2023-11-27T00:00:00Z",
                "event_precision": "day",
            },
        ]
        await run(host, "create_memories", memories=memories)
        found = {record.id: record for record in (await run(host, "search_memories", text="")).memories}
        assert (found["a"].said_at, found["a"].told_at) == (None, found["a"].created_at)
        assert (found["silent"].said_at, found["silent"].told_at) == (None, found["silent"].created_at)
        telling = found["telling"]
        assert telling.said_at == datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
        assert [moment.year for moment in telling.said_before] == [2022, 2023]
        assert (telling.event_end, telling.event_precision) == (datetime(2023, 11, 27, tzinfo=UTC), "day")
        assert telling.held_from == datetime(2022, 1, 1, tzinfo=UTC)
        listed = await run(host, "search_memories", text="", event_end={"gte": "2023-11-27T00:00:00Z"})
        assert [record.id for record in listed.memories] == ["telling"]


async def test_another_date_has_no_end_and_precision_of_the_former(models: ModelServer, tmp_path: Path) -> None:
    async with host_with_model(models, tmp_path) as host:
        dated = {"event_date": "2023-11-23T00:00:00Z", "event_end": "2023-11-27T00:00:00Z", "event_precision": "day"}
        await run(host, "create_memories", memories=[{"id": "stay", "text": "Ana has been to Oslo.", **dated}])
        changed = await run(host, "edit_memory", memory_id="stay", text="Ana was in Oslo.", **dated)
        assert (changed.event_end, changed.event_precision) == (datetime(2023, 11, 27, tzinfo=UTC), "day")
        changed = await run(host, "edit_memory", memory_id="stay", event_date="2022-01-01T00:00:00Z")
        assert (changed.event_end, changed.event_precision) == (None, None)
        changed = await run(
            host, "edit_memory", memory_id="stay", event_date="2021-01-01T00:00:00Z", event_precision="year"
        )
        assert (changed.event_end, changed.event_precision) == (None, "year")


@STORES
async def test_a_corrected_time_of_a_turn_is_that_of_what_it_says(
    models: ModelServer, tmp_path: Path, storage: dict[str, str]
) -> None:
    models.answer(noting({"a": [item("User has a cat.", "a")], "b": [item("User has a dog.", "a", "b")]}))
    async with host_with_model(models, tmp_path, settings=storage) as host:
        soon = datetime.now(UTC).replace(microsecond=0)
        untimed = [{"id": name, "role": "user", "content": f"It is {name}."} for name in "ab"]
        for each in await told(host, "s", *untimed):
            assert each.said_at is not None
            assert each.said_at >= soon
        await run(
            host,
            "put_session",
            session_id="s",
            user_id="ana",
            messages=[turn("a", "It is a.", "2024-05-03T10:00:00Z"), turn("b", "It is b.", "2024-05-03T10:05:00Z")],
        )
        found = {record.text: record.said_at for record in await derived(host)}
        assert found["User has a cat."] == datetime(2024, 5, 3, 10, 0, tzinfo=UTC)
        assert found["User has a dog."] == datetime(2024, 5, 3, 10, 5, tzinfo=UTC)
