"""The stores' queries select the same as `memhost.models.matches`, on generated memories."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.redis_server import redis_space
from tests.support.tiers import examples

from memhost.models import Condition, MemoryType, Op, StoredMemory, matches
from memhost.models.filters import DATE_FIELDS, TAG_FIELDS, VALUE_OPS
from memhost.ports import Store, SystemClock
from memhost.specs import OpenContext
from memhost.testing.factories import make_memory, make_scope, put
from memhost_store_redis.settings import RedisSettings
from memhost_store_redis.store import open_redis
from memhost_store_sqlite.settings import SqliteSettings
from memhost_store_sqlite.store import open_sqlite

# few values, so that generated conditions meet generated memories; odd ones, so that meeting them is hard
TEXTS = st.sampled_from(
    [
        "",
        "a",
        "A",
        "ab",
        "b",
        "a\x00b",
        "%",
        "\u00e9",
        "stra\u00dfe",
        "STRASSE",
        "5",
        "5.0",
        "true",
        "\ud7ff",
        "\ue000",
        "\U0010ffff",
        "a:b",
    ]
)
NUMBERS = st.sampled_from([0, -0.0, 1, 5, 5.0, 5.5, -2, 1e300, 2**53 + 1, float("inf"), -(2**63)])
MOMENTS = st.sampled_from(
    [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(microseconds=step) for step in (-1, 0, 1, 1_000_000)]
)
LISTS = st.lists(TEXTS, max_size=3)
METADATA = st.dictionaries(
    st.sampled_from(["k", "k.x", "\x00", ""]),
    st.one_of(
        TEXTS, NUMBERS, st.booleans(), LISTS, st.none(), st.lists(st.one_of(NUMBERS, TEXTS, st.booleans()), max_size=3)
    ),
    max_size=3,
)
MEMORIES = st.fixed_dictionaries(
    {
        "namespace": st.none() | TEXTS,
        "user_id": st.none() | TEXTS,
        "session_id": st.none() | TEXTS,
        "topics": LISTS,
        "entities": LISTS,
        "memory_type": st.sampled_from(list(MemoryType)),
        "extraction_strategy": TEXTS,
        "memory_hash": st.none() | TEXTS,
        "created_at": MOMENTS,
        "updated_at": MOMENTS,
        "last_accessed": MOMENTS,
        "event_date": st.none() | MOMENTS,
        "valid_from": st.none() | MOMENTS,
        "valid_to": st.none() | MOMENTS,
        "metadata": METADATA,
    }
)
TAG_OPS = st.sampled_from(VALUE_OPS)
ORDER_OPS = st.sampled_from([op for op in Op if op not in (*VALUE_OPS, Op.OUTSIDE)])
METADATA_FIELDS = st.sampled_from(["metadata.k", "metadata.k.x", "metadata.\x00", "metadata."])


def several(values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(values, max_size=3).map(tuple)


def single(values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return values.map(lambda value: (value,))


CONDITIONS = st.one_of(
    st.builds(Condition, st.sampled_from(TAG_FIELDS), TAG_OPS, several(TEXTS)),
    st.builds(Condition, st.sampled_from(DATE_FIELDS), ORDER_OPS, single(MOMENTS)),
    st.builds(Condition, st.sampled_from(DATE_FIELDS), st.just(Op.OUTSIDE), st.tuples(MOMENTS, MOMENTS)),
    st.builds(
        Condition, METADATA_FIELDS, st.sampled_from([Op.ANY, Op.ALL, Op.NONE]), several(TEXTS | NUMBERS.map(float))
    ),
    st.builds(Condition, METADATA_FIELDS, st.just(Op.PREFIX), several(TEXTS)),
    st.builds(Condition, METADATA_FIELDS, ORDER_OPS, single(NUMBERS.map(float))),
)


GENERATED = settings(
    max_examples=examples(12, full=40),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
CASES = given(
    memories=st.lists(MEMORIES, min_size=1, max_size=6),
    questions=st.lists(st.lists(CONDITIONS, min_size=1, max_size=3), min_size=25, max_size=25),
)


@GENERATED
@CASES
def test_sqlite_selects_what_matches_does(memories: list[dict[str, Any]], questions: list[list[Condition]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = open_sqlite(SqliteSettings(synchronous="normal", readers=1), _context(folder))
        asyncio.run(_compare(store, memories, questions))


@GENERATED
@CASES
def test_redis_selects_what_matches_does(
    redis_server_url: str, memories: list[dict[str, Any]], questions: list[list[Condition]]
) -> None:
    with redis_space(redis_server_url) as part, tempfile.TemporaryDirectory() as folder:
        store = open_redis(RedisSettings(**part.settings()), _context(folder))
        asyncio.run(_compare(store, memories, questions))


def _context(folder: str) -> OpenContext:
    return OpenContext(data_dir=Path(folder), clock=SystemClock())


async def _compare(
    opening: AbstractAsyncContextManager[Store], memories: list[dict[str, Any]], questions: list[list[Condition]]
) -> None:
    stored = [make_memory(f"m{number}", **fields) for number, fields in enumerate(memories)]
    async with opening as store:
        await store.commit(make_scope(), put(*stored))
        for conditions in questions:
            await _ask(store, stored, conditions)


async def _ask(store: Store, stored: list[StoredMemory], conditions: list[Condition]) -> None:
    found, total = await store.list_memories(make_scope(), conditions)
    expected = {memory.record.id for memory in stored if matches(memory.record, conditions)}
    assert {memory.record.id for memory in found} == expected, conditions
    assert total == len(expected)
