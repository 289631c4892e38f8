"""Tests of the redis store alone: URLs, start, migrations, embedders, escaping, expiry."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from tests.support.redis_server import RedisServer, RedisSpace

from memhost.errors import ConfigurationError, StoreMismatch, StoreUnavailable
from memhost.models import CandidateQuery, Change, Condition, Op, TextMatch, WriteBatch
from memhost.ports import KeepsHistory, Store, SystemClock
from memhost.settings import Secret
from memhost.specs import OpenContext
from memhost.testing.factories import (
    DIMENSIONS,
    EMBEDDER,
    START,
    after,
    make_document,
    make_job,
    make_key,
    make_memory,
    make_scope,
    make_session,
    make_vector,
    put,
)
from memhost_store_redis import opening, search
from memhost_store_redis.connection import read_url
from memhost_store_redis.journal import Known
from memhost_store_redis.settings import RedisSettings
from memhost_store_redis.store import RedisStore, open_redis

EVERYWHERE = make_scope()
APPLE = CandidateQuery(text=TextMatch(any_of=("apple",)), vector=make_vector(1), count=True)


def opened(part: RedisSpace, **more: Any) -> AbstractAsyncContextManager[Store]:
    context: dict[str, Any] = {"embedder": EMBEDDER, "dimensions": DIMENSIONS}
    context |= {name: more.pop(name) for name in ("embedder", "dimensions", "reindex") if name in more}
    settings = RedisSettings(**part.settings(**more))
    return open_redis(settings, OpenContext(data_dir=Path(), clock=SystemClock(), **context))


@pytest.fixture
async def store(redis_part: RedisSpace) -> AsyncIterator[Store]:
    async with opened(redis_part) as store:
        yield store


@pytest.fixture
def redis(redis_part: RedisSpace) -> Iterator[Any]:
    """A client that looks at the same server from outside."""
    import redis

    with redis.Redis.from_url(redis_part.url) as client:
        yield client


async def found(store: Store, query: CandidateQuery = APPLE) -> dict[str, tuple[bool, bool]]:
    """Ids that a search finds, and whether by words and by vector."""
    hits = (await store.candidates(EVERYWHERE, query)).hits
    return {hit.memory.record.id: (hit.text_score is not None, hit.distance is not None) for hit in hits}


# -- URLs and the server -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("redis+cluster://h:1", "one Redis"),
        ("rediss+cluster://h:1", "one Redis"),
        ("redis://h:1?cluster=true", "one Redis"),
        ("redis://u:p,w@h:1,g:2", "one Redis"),
        ("redis://h:1/3", "database 0"),
        ("unix:///run/redis.sock?db=2", "database 0"),
        ("http://h:1", "must start with"),
        ("redis+sentinel://h:1", "Sentinel service"),
        ("redis+sentinel://h:1/main/3", "database 0"),
    ],
)
def test_urls_that_cannot_be_used_are_refused(url: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        read_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "redis://h",
        "rediss://u:p%40@h:1/0?ssl_cert_reqs=none",
        "redis://u:p,w@h:1",
        "unix:///run/redis.sock",
        "redis+sentinel://h:1,g:2/main",
    ],
)
def test_urls_that_can_be_used(url: str) -> None:
    read_url(url)


async def test_a_server_without_the_query_engine_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with RedisServer(tmp_path, modules=False) as server, pytest.raises(ConfigurationError) as caught:
        async with opened(RedisSpace(server.url)):
            pass
    assert caught.value.message == (
        f"The Redis at 127.0.0.1:{server.port} has no query engine; use Redis 8, Redis Stack or Redis Cloud with "
        "search, or STORE=sqlite."
    )


async def test_a_server_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    part = RedisSpace(RedisServer(tmp_path).url)
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        async with opened(part, timeout_seconds=0.5):
            pass


async def test_socket_acl_user_and_sentinel(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "main") as server:
        rights = ["on", ">s3cret,@", "~test-*", "&*", "+@all", "-@dangerous", "+info", "+FT._LIST"]
        with server.client() as opened_client:
            client: Any = opened_client
            client.execute_command("ACL", "SETUSER", "app", *rights)
            client.execute_command("ACL", "SETUSER", "reader", "on", ">r", "~*", "+@read", "+info", "+FT._LIST")
        watched = f"sentinel monitor main 127.0.0.1 {server.port} 1"
        with RedisServer(tmp_path / "sentinel", sentinel=watched) as sentinel:
            for number, url in enumerate(
                (
                    f"unix://{server.socket_path}",
                    f"redis://app:s3cret%2C%40@127.0.0.1:{server.port}/0",
                    f"redis+sentinel://app:s3cret%2C%40@127.0.0.1:{sentinel.port}/main",
                )
            ):
                part = RedisSpace(Secret(url))
                async with opened(part) as store:
                    await store.commit(EVERYWHERE, put(make_memory(f"m{number}", "apple")))
                    assert await found(store) == {f"m{number}": (True, False)}
        for login, reason in (("app:wrong", "refuses the login"), ("reader:r", "lacks permissions")):
            with pytest.raises(ConfigurationError, match=reason) as caught:
                async with opened(RedisSpace(f"redis://{login}@127.0.0.1:{server.port}")):
                    pass
            assert "wrong" not in caught.value.message


# -- the indexes -------------------------------------------------------------------------------------------


async def test_a_dropped_index_is_built_again_from_the_hashes(redis_part: RedisSpace, redis: Any) -> None:
    async with opened(redis_part) as store:
        await store.commit(EVERYWHERE, put(*_apples(300), put_session=make_session()))
    for index in redis.execute_command("FT._LIST"):
        if index.decode().startswith(redis_part.name):
            redis.execute_command("FT.DROPINDEX", index)
    async with opened(redis_part) as store:
        assert (await store.candidates(EVERYWHERE, APPLE)).total == 300
        assert len(await found(store)) >= 200
        assert (await store.list_sessions(EVERYWHERE, START))[1] == 1


async def test_a_changed_definition_is_built_beside_the_old_index(redis_part: RedisSpace, redis: Any) -> None:
    async with opened(redis_part) as old:
        await old.commit(EVERYWHERE, put(*_apples(20)))
        async with opened(redis_part, algorithm="flat") as new:
            assert len(await found(new)) == 20
            assert len(await found(old)) == 20, "who is still running takes over the new index"
            await old.commit(EVERYWHERE, put(make_memory("late", "apple")))
            assert len(await found(new)) == 21
        assert old is not new
    indexes = [name for name in redis.execute_command("FT._LIST") if name.decode().startswith(redis_part.name)]
    assert len(indexes) == 2, "one for memories and one for sessions"
    assert redis.execute_command("FT.SEARCH", redis_part.name, "*", "LIMIT", 0, 0) == [21], "the alias leads to it"


async def test_an_index_of_other_keys_is_not_used(redis_part: RedisSpace, redis: Any) -> None:
    redis.execute_command("FT.CREATE", f"{redis_part.name}.1", "PREFIX", 1, "mine:", "SCHEMA", "t", "TAG")
    with pytest.raises(ConfigurationError, match="belongs to other keys"):
        async with opened(redis_part):
            pass


async def test_a_store_of_a_newer_version_is_refused(redis_part: RedisSpace, redis: Any) -> None:
    async with opened(redis_part):
        redis.hset(f"{redis_part.name}:meta", "schema", 99)
    with pytest.raises(StoreMismatch, match="newer"):
        async with opened(redis_part):
            pass


async def test_migrations_change_hashes_and_keep_the_data(
    redis_part: RedisSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(redis_part) as store:
        await store.commit(EVERYWHERE, put(*_apples(30)))

    async def shout(client: Any, prefix: str) -> None:
        async for key in client.scan_iter(match=f"{prefix}:m:*", count=100):
            await client.hset(key, "terms", "apple pear")

    monkeypatch.setattr(opening, "SCHEMA_VERSION", 2)
    monkeypatch.setitem(opening.MIGRATIONS, 2, shout)
    for _ in range(2):
        async with opened(redis_part) as store:
            assert (await store.info()).schema_version == 2
            query = CandidateQuery(text=TextMatch(any_of=("pear",)), count=True)
            assert (await store.candidates(EVERYWHERE, query)).total == 30


async def test_ten_processes_may_start_at_once(redis_part: RedisSpace) -> None:
    async def start(number: int) -> None:
        async with opened(redis_part) as store:
            await store.commit(EVERYWHERE, put(make_memory(f"m{number}", "apple")))

    await asyncio.gather(*(start(number) for number in range(10)))
    async with opened(redis_part) as store:
        assert len(await found(store)) == 10


# -- embedders ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("other", [{"embedder": "other"}, {"dimensions": DIMENSIONS * 2}], ids=str)
async def test_vectors_of_another_embedder_are_never_compared(redis_part: RedisSpace, other: dict[str, Any]) -> None:
    async with opened(redis_part) as old:
        await old.commit(EVERYWHERE, put(make_memory("m1", "apple", vector=make_vector(1))))
        with pytest.raises(StoreMismatch, match="memhost reindex"):
            async with opened(redis_part, **other):
                pass
        async with opened(redis_part, reindex=True, **other) as new:
            text = CandidateQuery(text=TextMatch(any_of=("apple",)))
            assert await found(new, text) == {"m1": (True, False)}
            (memory,) = await new.get_memories(EVERYWHERE, ["m1"])
            assert memory.vector is None
            for call in (
                old.commit(EVERYWHERE, put(make_memory("m2", vector=make_vector(1)))),
                old.candidates(EVERYWHERE, APPLE),
            ):
                with pytest.raises(StoreMismatch):
                    await call
            assert (await new.list_memories(EVERYWHERE))[1] == 1
    async with opened(redis_part, **other):
        pass


async def test_without_vectors_the_embedder_may_change(redis_part: RedisSpace) -> None:
    async with opened(redis_part) as store:
        await store.commit(EVERYWHERE, put(make_memory("m1", "apple")))
    async with opened(redis_part, embedder="other") as store:
        assert (await store.info()).embedder == "other"
        with pytest.raises(ValueError, match="dimensions"):
            await store.commit(EVERYWHERE, put(make_memory("m2", vector=make_vector(1)[:4])))


# -- queries -----------------------------------------------------------------------------------------------


async def test_beginnings_find_more_than_the_engine_expands(store: Store) -> None:
    memories = [make_memory(f"run-{number:04}", topics=[f"x{number}", "a|b"]) for number in range(600)]
    await store.commit(EVERYWHERE, put(*memories, make_memory("walk")))
    for field, start in (("id", "run-"), ("topics", "X"), ("topics", "a|")):
        condition = Condition(field, Op.PREFIX, (start,))
        assert (await store.list_memories(EVERYWHERE, [condition]))[1] == 600
    assert (await store.list_memories(EVERYWHERE, [Condition("id", Op.PREFIX, ("run-00", "w"))]))[1] == 101


@pytest.mark.parametrize(
    "value", ["*", "a*", "{x}", "a|b", "@id:{*}", "-x", "~x", "$v", "a,b", "\\", '"', ")(", "=>[", " "]
)
async def test_signs_of_the_query_language_are_just_signs(store: Store, value: str) -> None:
    mine = make_memory("mine", terms=(value, "b"), user_id=value, topics=[value], metadata={value: value})
    await store.commit(EVERYWHERE, put(mine, make_memory("other", terms=("other",), topics=["other"])))
    for field in ("user_id", "topics", f"metadata.{value}"):
        for op in (Op.ANY, Op.PREFIX):
            memories, total = await store.list_memories(EVERYWHERE, [Condition(field, op, (value,))])
            assert ([memory.record.id for memory in memories], total) == (["mine"], 1)
    for match in (TextMatch(any_of=(value,)), TextMatch(phrases=((value, "b"),))):
        assert set(await found(store, CandidateQuery(text=match))) == {"mine"}
    assert (await store.list_memories(make_scope(users=(value,))))[1] == 1


async def test_rough_text_chooses_and_repeats(store: Store) -> None:
    await store.commit(EVERYWHERE, put(*_apples(50)))
    query = CandidateQuery(text=TextMatch(any_of=("apple",)), text_limit=10, rough_text=True, statistics_for=("apple",))
    first, second = await found(store, query), await found(store, query)
    assert first == second
    assert len(first) == 10
    assert (await store.candidates(EVERYWHERE, query)).frequencies == {"apple": 50}


async def test_scopes_of_very_many_owners(store: Store) -> None:
    users = tuple(f"u{number}" for number in range(400))
    await store.commit(EVERYWHERE, put(*(make_memory(user, "apple", user_id=user) for user in users)))
    query = CandidateQuery(text=TextMatch(any_of=("apple",)), statistics_for=("apple",), count=True)
    answer = await store.candidates(make_scope(users=users[:300]), query)
    assert (answer.total, answer.documents, answer.frequencies, answer.average_length) == (300, 300, {"apple": 300}, 1)


async def test_searches_go_on_when_redis_has_forgotten_the_scripts(store: Store, redis: Any) -> None:
    turns = [make_memory(f"m{at}", f"word{at}", session_id="s1", position=at) for at in range(3)]
    await store.commit(EVERYWHERE, put(*turns))
    redis.script_flush()
    query = CandidateQuery(text=TextMatch(any_of=("word1",)), neighbours=1)
    assert await found(store, query) == {"m0": (False, False), "m1": (True, False), "m2": (False, False)}


async def test_a_search_of_most_of_a_large_index_walks_its_graph(
    redis_part: RedisSpace, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    valid = (Condition("valid_to", Op.NOT_LTE, (START,)), Condition("valid_from", Op.NOT_GT, (START,)))
    query = CandidateQuery(conditions=valid, vector=make_vector(1), vector_limit=20, count=True)
    await store.commit(EVERYWHERE, put(*_apples(200)))
    exact = await _distances(store, query)
    monkeypatch.setattr(search, "BROAD", 100)
    assert await _distances(store, query) == exact
    async with opened(redis_part, index_name=f"{redis_part.name}-flat", algorithm="flat") as flat:
        assert await _distances(flat, query) == exact


# -- sessions ----------------------------------------------------------------------------------------------


async def test_redis_itself_removes_what_has_long_expired(redis_part: RedisSpace, store: Store, redis: Any) -> None:
    session = make_session(expires=10)
    await store.commit(EVERYWHERE, WriteBatch(put_session=session))
    (key,) = redis.keys(f"{redis_part.name}:s:*")
    assert 23 * 3600 * 1000 < redis.pttl(key) <= 24 * 3600 * 1000, "a day after its end"
    assert await store.get_session(EVERYWHERE, make_key(), after(9)) is not None
    assert await store.get_session(EVERYWHERE, make_key(), after(10)) is None
    assert await store.purge_expired(after(10)) == 1
    assert redis.keys(f"{redis_part.name}:s:*") == []
    await store.commit(EVERYWHERE, WriteBatch(put_session=make_session()))
    (key,) = redis.keys(f"{redis_part.name}:s:*")
    assert redis.pttl(key) == -1


@pytest.mark.parametrize("what", ["session", "document"])
async def test_what_another_process_puts_meanwhile_is_not_removed_without_an_entry(
    redis_part: RedisSpace, store: Store, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    assert isinstance(store, RedisStore)
    added = WriteBatch(put_session=make_session()), WriteBatch(put_documents=[make_document()])
    removed = WriteBatch(delete_session=make_key()), WriteBatch(delete_documents=[("view", "d1")])
    at = ["session", "document"].index(what)
    waiting, read = [added[at]], store._history.known
    async with opened(redis_part) as other:

        async def known(*given: Any) -> Known:
            found = await read(*given)
            while waiting:
                await other.commit(EVERYWHERE, waiting.pop())
            return found

        monkeypatch.setattr(store._history, "known", known)
        await store.commit(EVERYWHERE, removed[at])
        assert isinstance(other, KeepsHistory)
        assert (await other.verify()).findings == []


async def test_commits_of_new_memories_read_nothing_before_and_those_of_others_do(
    redis_part: RedisSpace, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Versions and the chain are the same either way, also with another process between."""
    assert isinstance(store, RedisStore)
    assert isinstance(store, KeepsHistory)
    looked, known = [0], store._history.known

    async def counted(*arguments: Any) -> Known:
        looked[0] += 1
        return await known(*arguments)

    monkeypatch.setattr(store._history, "known", counted)

    async def versions(*texts: str, by: Store = store) -> tuple[list[int], int]:
        """Put memories of these names; their versions, and how often this process looked."""
        looked[0] = 0
        await by.commit(EVERYWHERE, put(*(make_memory(text, text, vector=make_vector(1)) for text in texts)))
        return [memory.version for memory in await store.get_memories(EVERYWHERE, texts)], looked[0]

    assert await versions("a", "b") == ([1, 1], 1), "the end of the chain is not known yet"
    assert await versions("c", "d") == ([1, 1], 0)
    await store.commit(EVERYWHERE, WriteBatch(delete_memories=["c"]))
    assert await versions("c", "e") == ([2, 1], 1), "there was one before"
    assert await versions("f") == ([1], 0)
    again = put(make_memory("f", "another text", vector=make_vector(1)))
    looked[0] = 0
    await store.commit(EVERYWHERE, again)
    assert ((await store.get_memories(EVERYWHERE, ["f"]))[0].version, looked[0]) == (2, 1)
    async with opened(redis_part) as other:
        assert await versions("g", by=other) == ([1], 0)
    assert await versions("h") == ([1], 1), "the chain has gone on"
    assert (await store.verify()).findings == []


async def test_nothing_is_left_of_what_was_deleted(redis_part: RedisSpace, store: Store, redis: Any) -> None:
    before = set(redis.scan_iter(match=f"{redis_part.name}:*"))
    memory = make_memory("m1", "apple", vector=make_vector(1), session_id="s1", position=1)
    await store.commit(EVERYWHERE, put(memory, put_session=make_session(), add_jobs=[make_job()]))
    batch = WriteBatch(delete_memories=["m1"], delete_session=make_key(), cancel_jobs=["j1"])
    await store.commit(EVERYWHERE, batch)
    assert isinstance(store, KeepsHistory)
    await store.erase_history(EVERYWHERE, Change(kind="erased", at=0))
    left = {key for key in redis.scan_iter(match=f"{redis_part.name}:*") if b":done:" not in key} - before
    assert {key.decode().split(":")[1] for key in left} == {"h", "chain", "chains"}, "the links stay"
    assert not any(b"m1" in value for key in left for value in redis.hgetall(key).values())
    answers = redis.scan_iter(match=f"{redis_part.name}:done:*")
    assert all(0 < redis.ttl(key) <= 60 for key in answers)


async def _distances(store: Store, query: CandidateQuery) -> dict[str, float | None]:
    answer = await store.candidates(EVERYWHERE, query)
    assert answer.total == 200
    return {hit.memory.record.id: hit.distance for hit in answer.hits}


def _apples(count: int) -> list[Any]:
    return [make_memory(f"m{number:03}", "apple", vector=make_vector(1, number / 100)) for number in range(count)]


@pytest.mark.parametrize(("error", "failures", "deaths"), [("ValueError: a fault", 2, 0), (None, 0, 2)])
async def test_jobs_of_the_first_version_are_read_as_what_they_were(
    store: Store, redis_part: RedisSpace, redis: Any, error: str | None, failures: int, deaths: int
) -> None:
    await store.commit(EVERYWHERE, WriteBatch(add_jobs=[make_job()]))
    (key,) = [each for each in redis.scan_iter(f"{redis_part.name}:*") if each.endswith(b":j:j1")]
    redis.hdel(key, "failures", "deaths")
    redis.hset(key, mapping={"attempts": 2, **({} if error is None else {"last_error": error})})
    (job,), _ = await store.list_jobs(EVERYWHERE)
    assert (job.failures, job.deaths) == (failures, deaths)
    (job,) = await store.claim_jobs(START, 10, 60)
    assert (job.attempts, job.failures, job.deaths) == (3, failures, deaths)
    await store.retry_job(job.id, job.lease, START, "ValueError: another")
    (job,) = await store.claim_jobs(START, 10, 60)
    assert (job.attempts, job.failures, job.deaths) == (4, failures + 1, deaths)
