"""Searches of the sqlite store over many memories: what is kept, counted and cut for them changes no answer."""

from __future__ import annotations

import random
from datetime import datetime
from pathlib import Path

import pytest
from tests.support.sqlite_files import EVERYWHERE, opening

from memhost.models import CandidateQuery, Condition, Op, Scope, StoredMemory, TextMatch
from memhost.testing.factories import after, make_memory, make_scope, make_vector, put
from memhost_store_sqlite import search
from memhost_store_sqlite.settings import SqliteSettings

UNCACHED = SqliteSettings(block_cache_mb=0, synchronous="normal", readers=2)
"""Every owner is searched like a large one."""
MOMENTS = (None, None, *(after(hours * 3600) for hours in (-3, -2, -1, 0, 1, 2, 3)))


def timed_memory(chance: random.Random, name: str) -> StoredMemory:
    return make_memory(
        name,
        "apple",
        terms=("apple",),
        vector=make_vector(1.0, chance.random()),
        user_id=chance.choice(["ann", "bob"]),
        namespace=chance.choice(["work", "home"]),
        session_id=chance.choice(["s1", "s2"]),
        valid_from=chance.choice(MOMENTS),
        valid_to=chance.choice(MOMENTS),
    )


def holds(memory: StoredMemory, conditions: tuple[Condition, ...]) -> bool:
    for condition in conditions:
        moment = condition.values[0]
        assert isinstance(moment, datetime)
        value = getattr(memory.record, condition.field)
        if condition.op is Op.NOT_LTE and value is not None and value <= moment:
            return False
        if condition.op is Op.NOT_GT and value is not None and value > moment:
            return False
        if condition.op is Op.LT and (value is None or value >= moment):
            return False
    return True


def inside(memory: StoredMemory, scope: Scope) -> bool:
    record = memory.record
    return scope.allows(record.namespace or "", record.user_id or "", record.session_id or "")


@pytest.mark.parametrize("seed", range(4))
async def test_memories_that_hold_are_counted_by_those_that_do_not(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "KNOWN_LIMIT", 0)
    chance = random.Random(seed)
    memories = [timed_memory(chance, f"m{number}") for number in range(120)]
    scopes = (
        EVERYWHERE,
        make_scope(users=("ann",)),
        make_scope(namespaces=("work",)),
        make_scope(namespaces=("work",), users=("ann", "bob")),
        make_scope(sessions=("s1",)),
    )
    conditions = (
        (Condition("valid_to", Op.NOT_LTE, (after(0),)),),
        (Condition("valid_from", Op.NOT_GT, (after(3600),)),),
        (Condition("valid_from", Op.NOT_GT, (after(0),)), Condition("valid_to", Op.NOT_LTE, (after(3600),))),
        (Condition("valid_from", Op.NOT_GT, (after(0),)), Condition("valid_from", Op.NOT_GT, (after(-3600),))),
        (Condition("valid_to", Op.NOT_LTE, (after(0),)), Condition("valid_from", Op.LT, (after(0),))),
        (),
    )
    async with opening(tmp_path, UNCACHED) as store:
        await store.commit(EVERYWHERE, put(*memories))
        for scope in scopes:
            for wanted in conditions:
                query = CandidateQuery(
                    conditions=wanted, text=TextMatch(any_of=("apple",)), vector=make_vector(1.0), count=True
                )
                found = await store.candidates(scope, query)
                expected = sum(inside(each, scope) and holds(each, wanted) for each in memories)
                assert found.total == expected, (scope, wanted)
