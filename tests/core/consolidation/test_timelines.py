"""What held at a moment is exact, however facts change and in whatever order they are learnt."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest

from memhost.consolidation.closing import alternating, closed
from memhost.host import Host
from memhost.models import MemoryType, Message, SessionKey, WriteBatch
from memhost.ports import Draft, ExtractionContext, LaterStrategy, Turn
from memhost.testing.clock import FakeClock
from memhost.testing.factories import after, make_memory, make_record
from tests.support.dedup_hosts import SCOPE, judge, judging_host, keep, pairs_of, script, stored
from tests.support.hosts import run
from tests.support.tiers import examples
from tests.support.timelines import Said, Timeline, facet_of, held, make, moments, value_of, verdict

REDIS = pytest.param("redis", marks=pytest.mark.full("the two other stores hold the rule in make test"))
STORES = pytest.mark.parametrize("storage", ["memory", "sqlite", REDIS])
_A_HOST = 40
"""Timelines in one store: the memory store looks at all that it holds."""


def at(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC)


def settings(storage: str, request: pytest.FixtureRequest | None = None) -> dict[str, Any]:
    space = request.getfixturevalue("redis_part").environment() if request and storage == "redis" else {}
    return {"store": storage, "DEDUPLICATION_DISTANCE_THRESHOLD": "0.7", **space}


async def learn(host: Host, user: str, session: Iterable[Said], number: int) -> None:
    """Do what extraction does with the items of one answer."""
    said = list(session)
    key = SessionKey(tenant="default", namespace="", user=user, session=f"s{number}")
    at = sorted({each.at for each in said})
    turns = [
        Turn(message=Message(role="user", content="...", id=f"m{place}", created_at=moment), position=place)
        for place, moment in enumerate(at)
    ]
    drafts = [Draft(text=each.text, valid_from=each.since, source_ids=[f"m{at.index(each.at)}"]) for each in said]
    await stage(host, key, turns, drafts)


async def stage(host: Host, key: SessionKey, turns: Sequence[Turn], drafts: Sequence[Draft]) -> None:
    """Store what a model extracted from turns."""
    now = host.clock.now()
    context = ExtractionContext(session=key, config={}, summary=None, now=now)
    batch = WriteBatch()
    strategy = cast("LaterStrategy", host.strategies["discrete"])
    await host.services.extraction._memories.stage(batch, key, strategy, context, turns, drafts, now)
    await host.store.commit(SCOPE, batch)


async def found(host: Host, user: str, **fields: Any) -> set[str]:
    """The values that a listing gives, each with its facet."""
    hits = await run(host, "search_memories", text="", user_id={"eq": user}, limit=100, **fields)
    return {f"{facet_of(hit.text)} {value_of(hit.text)}" for hit in hits.memories}


async def wrong(host: Host, timeline: Timeline, number: int) -> list[str]:
    """The moments at which the server says something else than what held."""
    user = f"user-{number}"
    for place, session in enumerate(timeline.sessions):
        await learn(host, user, session, place)
    told = []
    for moment in moments(timeline, Random(number), 4):
        got, right = await found(host, user, as_of=moment.isoformat()), held(timeline, moment)
        if got != right:
            told.append(f"{number} at {moment:%Y-%m-%d %H:%M:%S.%f}: {sorted(got)} instead of {sorted(right)}")
    now = await found(host, user)
    if now != (right := held(timeline, host.clock.now())):
        told.append(f"{number} now: {sorted(now)} instead of {sorted(right)}")
    return told


@STORES
@pytest.mark.timeout(600)
async def test_what_held_at_any_moment_is_exact(storage: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    count = examples(60, full=1000)
    faults: list[str] = []
    for first in range(0, count, _A_HOST):
        folder = tmp_path / str(first)
        async with judging_host(folder, clock=FakeClock(), **settings(storage, request)) as host:
            script().rule = judge(verdict)
            for number in range(first, min(first + _A_HOST, count)):
                faults += await wrong(host, make(number), number)
    assert not faults, json.dumps(faults[:20], indent=1)


@STORES
@pytest.mark.parametrize("text", ["", "person"])
async def test_a_late_conversation_does_not_replace_what_was_said_after_it(
    text: str, storage: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    new, old = (Said(f"x of the person value{n}", at(f"{year}-05-03")) for n, year in ((2, 2026), (1, 2024)))
    async with judging_host(tmp_path, clock=FakeClock(at("2026-10-01")), **settings(storage, request)) as host:
        script().rule = judge(verdict)
        await learn(host, "ann", [new], 1)
        await learn(host, "ann", [old], 2)
        (pair,) = pairs_of(script().of("dedup")[0])
        assert (pair["older"]["said"], pair["newer"]["said"]) == ("2024-05-03", "2026-05-03")
        for moment, values in ((None, {"x value2"}), ("2025-01-01", {"x value1"}), ("2024-05-02", set())):
            fields = {} if moment is None else {"as_of": at(moment).isoformat()}
            hits = await run(host, "search_memories", text=text, user_id={"eq": "ann"}, limit=100, **fields)
            assert {f"x {value_of(hit.text)}" for hit in hits.memories} == values
        (record,) = [each for each in (await stored(host)).values() if each.valid_to]
        assert (value_of(record.text), record.valid_to, record.said_at) == ("value1", new.at, old.at)


async def test_two_facts_of_one_answer_both_stand(tmp_path: Path) -> None:
    moment = at("2026-05-03")
    async with judging_host(tmp_path, **settings("memory")) as host:
        script().rule = judge(verdict)
        first, second = (Said(f"x of the person value{n}", moment) for n in (1, 2))
        await learn(host, "user", [second, first], 1)
        assert await found(host, "user") == {"x value1", "x value2"}
        assert script().of("dedup") == []


async def test_what_a_wrong_fact_had_replaced_is_replaced_by_the_right_one(tmp_path: Path) -> None:
    said = (("value1", "2020-01-01", None), ("value2", "2022-01-01", None), ("value3 never value2", "2023-01-01", None))
    late = (*said[:2], ("value3 never value2", "2023-01-01", "2022-06-01"))
    async with judging_host(tmp_path, **settings("memory")) as host:
        script().rule = judge(verdict)
        for user, told, since in (("soon", said, "2022-01-01"), ("late", late, "2022-06-01")):
            for number, (value, day, start) in enumerate(told):
                one = Said(f"x of the person {value}", at(day), at(start) if start else None)
                await learn(host, user, [one], number)
            before = (at(since) - timedelta(seconds=1)).isoformat()
            assert await found(host, user, as_of=before) == {"x value1"}
            assert await found(host, user, as_of=at(since).isoformat()) == {"x value3"}
            assert await found(host, user) == {"x value3"}
            records = {value_of(each.text): each for each in (await stored(host)).values() if each.user_id == user}
            assert records["value1"].superseded_by == records["value3"].id
            assert records["value2"].valid_to == records["value2"].held_from


async def test_dates_of_clients_stay_as_they_are(tmp_path: Path) -> None:
    """A correction takes the place of what was wrong; the beginning that a client's memory has is the client's."""
    async with judging_host(tmp_path, **settings("memory")) as host:
        script().rule = judge(verdict)
        await keep(host, "wrong", "x of the person value1", created_at=at("2020-01-01"))
        await keep(host, "right", "x of the person value2 never value1", created_at=at("2021-01-01"))
        await host.services.compaction.apply(SCOPE)
        records = await stored(host)
        assert (records["right"].valid_from, records["right"].valid_to) == (None, None)
        assert (records["wrong"].valid_from, records["wrong"].valid_to) == (None, at("2020-01-01"))
        assert await found(host, "ann", as_of=at("2020-06-01").isoformat()) == set()


async def test_a_record_of_an_event_that_is_told_again_has_not_happened_again() -> None:
    moved = make_memory(
        "moved", memory_type=MemoryType.EPISODIC, said_at=after(5), said_before=[after(1)], event_date=after(0)
    )
    back = make_memory("back", memory_type=MemoryType.EPISODIC, said_at=after(3), event_date=after(2))
    (ended, stays) = alternating(moved, back, after(9))
    assert (ended.record.id, ended.record.valid_to) == ("back", after(0))
    assert stays is moved
    lives = make_memory("lives", said_at=after(5), said_before=[after(1)])
    home, went, again = alternating(lives, make_memory("goes", said_at=after(3)), after(9))
    assert [(each.record.held_from, each.record.valid_to) for each in (home, went, again)] == [
        (after(1), after(3)),
        (after(3), after(5)),
        (after(5), None),
    ]
    assert (again.record.id, went.record.superseded_by, home.record.superseded_by) == ("lives", "lives", "goes")


def test_closing_never_prolongs() -> None:
    old = make_memory("old", said_at=after(1))
    new = make_record("new", said_at=after(5))
    ended = closed(old, new, after(9))
    assert (ended.record.valid_to, ended.record.superseded_by) == (after(5), "new")
    assert closed(ended, make_record("later", said_at=after(6)), after(9)) is ended
    assert closed(ended, make_record("sooner", said_at=after(3)), after(9)).record.valid_to == after(3)
    assert closed(old, new, after(9), since=after(2)).record.valid_to == after(2)
    assert closed(old, make_record("never", said_at=after(5), valid_to=after(5)), after(9)) is old
    assert closed(old, make_record("before", valid_from=after(-9), valid_to=after(0)), after(9)) is old
