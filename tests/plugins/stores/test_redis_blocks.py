"""Searches of the redis store in memories that it keeps in the process: they find what the query engine finds."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py
from tests.support.blocks import ANN, EVERYWHERE, compare_after_changes, compare_rankings_of_some
from tests.support.redis_server import RedisSpace

from memhost.models import AccessMark, CandidateQuery, Change, Condition, Op, TextMatch, WriteBatch
from memhost.ports import KeepsHistory, Store, SystemClock
from memhost.specs import OpenContext
from memhost.testing.factories import DIMENSIONS, EMBEDDER, after, make_memory, make_scope, make_vector, put
from memhost_store_redis.keys import memory_base
from memhost_store_redis.scopes import token
from memhost_store_redis.settings import RedisSettings
from memhost_store_redis.store import RedisStore, open_redis

BOB = make_scope(users=("bob",))
APPLE = CandidateQuery(text=TextMatch(any_of=("apple",)), count=True)


def opened(part: RedisSpace, **more: Any) -> AbstractAsyncContextManager[Store]:
    context = OpenContext(data_dir=Path(), clock=SystemClock(), embedder=EMBEDDER, dimensions=DIMENSIONS)
    return open_redis(RedisSettings(**part.settings(algorithm="flat", **more)), context)


@pytest.fixture
async def stores(redis_part: RedisSpace) -> AsyncIterator[tuple[Store, Store]]:
    """Two processes, as it were: the first keeps memories, the second asks the query engine each time."""
    async with AsyncExitStack() as stack:
        kept = await stack.enter_async_context(opened(redis_part))
        yield kept, await stack.enter_async_context(opened(redis_part, block_cache_mb=0))


@pytest.fixture
def client(redis_part: RedisSpace) -> Any:
    return redis_py.Redis.from_url(redis_part.url)


def commands(client: Any) -> int:
    """How often the query engine was asked so far."""
    told = client.info("commandstats")
    return sum(each["calls"] for name, each in told.items() if name.removeprefix("cmdstat_").startswith("FT.SEARCH"))


def kept_by(store: Store) -> int:
    assert isinstance(store, RedisStore)
    return sum(kept.block is not None for kept in store._blocks._kept.values())


async def found(store: Store, query: CandidateQuery = APPLE, scope: Any = ANN) -> list[str]:
    return sorted(hit.memory.id for hit in (await store.candidates(scope, query)).hits)


def apple(name: str, **fields: Any) -> Any:
    return make_memory(name, "apple", **{"user_id": "ann", "vector": make_vector(1.0), **fields})


@pytest.mark.parametrize("seed", range(3))
async def test_what_is_kept_and_what_the_engine_finds_are_the_same_after_any_changes(
    seed: int, stores: tuple[Store, Store]
) -> None:
    await compare_after_changes(random.Random(seed), *stores)


@pytest.mark.parametrize("made", [True, False])
async def test_what_is_kept_ranks_as_what_the_engine_finds(made: bool, stores: tuple[Store, Store]) -> None:
    await compare_rankings_of_some(random.Random(7), *stores, made=made)


async def test_a_search_of_what_is_kept_asks_the_engine_nothing(stores: tuple[Store, Store], client: Any) -> None:
    kept, other = stores
    await other.commit(EVERYWHERE, put(apple("a"), apple("b", user_id="bob")))
    assert await found(kept) == ["a"]
    before = commands(client)
    assert await found(kept) == ["a"]
    await other.commit(EVERYWHERE, put(apple("c"), apple("d", user_id="bob")))
    assert await found(kept) == ["a", "c"]
    await other.commit(EVERYWHERE, WriteBatch(delete_memories=["a", "b"]))
    assert await found(kept) == ["c"]
    assert commands(client) == before


async def test_only_owners_of_some_memories_are_kept_and_only_so_many_bytes(redis_part: RedisSpace) -> None:
    counts = {"ann": 3, "bob": 8, "eve": 9}
    memories = [apple(f"{user}{n}", user_id=user) for user, count in counts.items() for n in range(count)]
    async with opened(redis_part, block_rows=8) as store:
        await store.commit(EVERYWHERE, put(*memories))
        for user, count in counts.items():
            assert len(await found(store, scope=make_scope(users=(user,)))) == count
        assert kept_by(store) == 2
        assert isinstance(store, RedisStore)
        store._blocks._limit = store._blocks._size - 1
        await store.commit(EVERYWHERE, put(apple("ann3")))
        assert len(await found(store)) == 4
        assert kept_by(store) == 1
        assert store._blocks._size <= store._blocks._limit


async def test_an_older_memhost_that_writes_makes_what_was_kept_count_for_nothing(
    stores: tuple[Store, Store], client: Any, redis_part: RedisSpace
) -> None:
    """It keeps no versions of scopes: what it replaces has their old ones, and the chain goes on."""
    kept, other = stores
    await other.commit(EVERYWHERE, put(apple("a")))
    assert await found(kept) == ["a"]
    name = token("T", EVERYWHERE.tenant)
    chain, counts = f"{redis_part.name}:chain:{name}", f"{redis_part.name}:counts:{name}"
    before = client.hgetall(chain), client.hgetall(counts)
    await other.commit(EVERYWHERE, put(make_memory("a", "pear", user_id="ann", vector=make_vector(1.0))))
    client.hset(chain, mapping={each: before[0].get(each, b"") for each in (b"told", b"epoch")})
    client.hset(counts, mapping=before[1])
    assert await found(kept) == []
    await other.commit(EVERYWHERE, put(apple("b", user_id="bob")))
    assert await found(kept) == []
    assert await found(kept, CandidateQuery(text=TextMatch(any_of=("pear",)))) == ["a"]
    assert kept_by(kept) == 1


async def test_what_somebody_damaged_is_not_served_and_not_read_whole_for_each_search(
    redis_part: RedisSpace, client: Any
) -> None:
    async with opened(redis_part) as store:
        await store.commit(EVERYWHERE, put(apple("a"), apple("b"), apple("c", user_id="bob")))
    base = memory_base(redis_part.name, EVERYWHERE.tenant)
    client.hset(f"{base}xa", "body", client.hget(f"{base}xc", "body"))
    async with opened(redis_part) as store:
        assert await found(store) == ["b"]
        assert kept_by(store) == 0
        before = commands(client)
        assert await found(store) == ["b"]
        assert commands(client) - before <= 2, "the legs of the search, and no list of everything"


async def test_times_of_access_are_those_of_the_store(stores: tuple[Store, Store]) -> None:
    kept, other = stores
    await other.commit(EVERYWHERE, put(apple("a"), apple("b")))
    assert await found(kept) == ["a", "b"]
    late = CandidateQuery(conditions=(Condition("last_accessed", Op.GT, (after(50),)),), text=APPLE.text)
    for number, store in enumerate((other, kept, other), 1):
        moment = after(100 * number)
        await store.commit(EVERYWHERE, WriteBatch(access=AccessMark(ids=("a",), at=moment, interval_s=0)))
        for each in stores:
            records = {hit.memory.id: hit.memory.record for hit in (await each.candidates(ANN, APPLE)).hits}
            assert (records["a"].access_count, records["a"].last_accessed) == (number, moment)
            assert records["b"].access_count == 0
        assert await found(kept, late) == ["a"], "which moves these times into the hashes"


async def test_what_was_erased_without_entries_is_not_found(stores: tuple[Store, Store]) -> None:
    kept, other = stores
    await other.commit(EVERYWHERE, put(apple("a"), apple("b", user_id="bob")))
    assert (await found(kept), await found(kept, scope=BOB)) == (["a"], ["b"])
    assert isinstance(other, KeepsHistory)
    await other.erase_history(ANN, Change(kind="erased", at=0))
    assert (await found(kept), await found(kept, scope=BOB)) == ([], ["b"])
    await other.commit(EVERYWHERE, put(apple("c")))
    assert await found(kept) == ["c"]


async def test_a_server_that_lost_everything_is_believed(
    stores: tuple[Store, Store], client: Any, redis_part: RedisSpace
) -> None:
    """As one that starts without its data; the connections stay, so that nothing else tells of it."""
    kept, other = stores
    await other.commit(EVERYWHERE, put(apple("a"), apple("b")))
    assert await found(kept) == ["a", "b"]
    keys = redis_part.keys()
    lost = [key for key in keys if not key.endswith((b":meta", b":sealed"))]
    client.delete(*lost)
    assert await found(kept) == []
    await other.commit(EVERYWHERE, put(apple("c"), apple("d")))
    assert await found(kept) == ["c", "d"]


@pytest.mark.parametrize(
    ("bounds", "wide"),
    [
        ({"users": ("ann",), "sessions": ("s1",)}, {"users": ("ann",)}),
        ({"sessions": ("s1",)}, {}),
        ({"namespaces": ("work",), "sessions": ("s1",)}, {"namespaces": ("work",)}),
        (
            {"namespaces": ("work",), "users": ("ann",), "sessions": ("s1",)},
            {"namespaces": ("work",), "users": ("ann",)},
        ),
    ],
    ids=["user", "tenant", "namespace", "owner"],
)
async def test_who_is_bound_to_sessions_is_not_shown_what_is_kept_of_the_owner(
    bounds: dict[str, Any], wide: dict[str, Any], stores: tuple[Store, Store]
) -> None:
    kept, other = stores
    await kept.commit(EVERYWHERE, put(apple("a", session_id="s1"), apple("b", session_id="s2"), apple("c")))
    for store in (kept, other):
        for _ in range(2):  # what was read for the sessions does not count for the owner either
            assert await found(store, scope=make_scope(**wide)) == ["a", "b", "c"]
            assert await found(store, scope=make_scope(**bounds)) == ["a"]
    assert kept_by(kept)


async def test_words_that_are_gone_do_not_stay_for_ever(stores: tuple[Store, Store]) -> None:
    kept, _ = stores
    for number in range(200):
        await kept.commit(EVERYWHERE, put(make_memory("a", f"apple word{number}", user_id="ann"), apple("b")))
        assert await found(kept) == ["a", "b"]
    assert isinstance(kept, RedisStore)
    (held,) = kept._blocks._kept.values()
    assert held.block is not None
    assert len(held.block.columns.words.vocabulary) < 150
    assert kept._blocks._size == held.block.size < 10_000
