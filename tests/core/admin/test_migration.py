"""Migrations between stores: everything is copied unchanged, interruptions can be continued, nothing is overwritten."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memhost.admin.migration import Compared, Migration
from memhost.errors import Conflict, StoreUnavailable
from memhost.models import DEFAULT_TENANT, JobState, Scope, WriteBatch
from memhost.ports import Store, SystemClock
from memhost.specs import OpenContext
from memhost.testing.factories import (
    DIMENSIONS,
    EMBEDDER,
    make_document,
    make_job,
    make_key,
    make_memory,
    make_session,
    make_turn,
    make_vector,
    put,
)
from memhost.usage.tenants import Tenants
from memhost_store_memory.store import MemoryStore
from memhost_store_redis.settings import RedisSettings
from memhost_store_redis.store import open_redis
from memhost_store_sqlite.settings import SqliteSettings
from memhost_store_sqlite.store import open_sqlite
from tests.support.redis_server import RedisSpace

NOW = SystemClock().now()
SOON = (NOW - make_session().content.created_at).total_seconds() + 3600
TENANTS = (DEFAULT_TENANT, "acme", "b\u00f6b & co")


async def fill(store: Store) -> None:
    """Something of every sort for three tenants."""
    for tenant in TENANTS:
        scope = Scope(tenant=tenant)
        await Tenants(store).note(tenant, NOW)
        directions = np.random.default_rng(3).normal(size=(450, DIMENSIONS)).tolist()
        memories = [make_memory(f"m{n}", f"fact w{n % 7}", vector=make_vector(*directions[n])) for n in range(450)]
        memories += [make_turn("s1", n, speaker="Ann", role="user", metadata={"n": n}) for n in range(5)]
        await store.commit(scope, put(*memories, make_memory("bare", terms=("na\u00efve", "c++"))))
        keys = [make_key(f"s{n}", tenant=tenant) for n in range(45)]
        for n, key in enumerate(keys):
            session = make_session(key, updated=n, expires=SOON if n % 2 else None)
            for _ in range(1 + n % 3):
                await store.commit(scope, WriteBatch(put_session=session))
        await store.commit(scope, WriteBatch(put_session=make_session(make_key("old", tenant=tenant), expires=1)))
        documents = [make_document(f"d{n}", kind=kind, tenant=tenant) for kind in ("view", "x:y") for n in range(230)]
        documents.append(
            make_document("late", tenant=tenant, user="ann", expires_at=make_session(expires=SOON).expires_at)
        )
        ids = {name: f"{name} of {tenant}" for name in ("waiting", "dead")}
        jobs = [make_job(each, tenant=tenant) for each in ids.values()]
        await store.commit(scope, WriteBatch(put_documents=documents, add_jobs=[jobs[1]]))
        (claimed,) = await store.claim_jobs(NOW, 1, 60)
        await store.bury_job(claimed.id, claimed.lease, "no model")
        await store.commit(scope, WriteBatch(add_jobs=[jobs[0]]))


async def move(source: Store, target: Store, *, force: bool = False, tenants: Any = TENANTS) -> list[Compared]:
    migration = Migration(source=source, target=target, origin="memory", tenants=tenants, now=NOW)
    planned = await migration.plan()
    await migration.prepare(force=force)
    steps: list[int] = []
    await migration.copy(steps.append)
    assert sum(steps) == sum(planned.values())
    rows = await migration.compare(steps.append)
    await migration.finish()
    return rows


@pytest.fixture
async def filled() -> Store:
    store = MemoryStore(embedder=EMBEDDER, dimensions=DIMENSIONS)
    await fill(store)
    return store


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def durable(stack: AsyncExitStack, tmp_path: Path, redis_part: RedisSpace) -> list[Store]:
    context = OpenContext(data_dir=tmp_path, clock=SystemClock(), embedder=EMBEDDER, dimensions=DIMENSIONS)
    opening = (open_sqlite(SqliteSettings(), context), open_redis(RedisSettings(**redis_part.settings()), context))
    return [await stack.enter_async_context(each) for each in opening]


async def test_everything_arrives_as_it_was_in_one_store_after_another(filled: Store, durable: list[Store]) -> None:
    stores = [filled, *durable, MemoryStore(embedder=EMBEDDER, dimensions=DIMENSIONS)]
    checksums = set()
    for source, target in pairwise(stores):
        rows = await move(source, target)
        assert all(row.equal and not row.more for row in rows)
        checksums.add(tuple(row.target_checksum for row in rows))
        counts = {(row.tenant, row.what): row.target for row in rows}
        assert [counts["acme", what] for what in ("memories", "sessions", "documents", "jobs")] == [456, 45, 461, 2]
    assert len(checksums) == 1, "the checksums tell what is there, not where"
    scope = Scope(tenant="acme")
    session = await stores[-1].get_session(scope, make_key("s1"), NOW)
    assert session is not None
    assert (session.version, session.expires_at) == (2, make_session(expires=SOON).expires_at)
    jobs, _ = await stores[-1].list_jobs(scope)
    assert {(job.state, job.attempts, job.last_error) for job in jobs} == {
        (JobState.PENDING, 0, None),
        (JobState.DEAD, 1, "no model"),
    }
    (memory,) = await stores[-1].get_memories(scope, ["m7"])
    assert memory.vector is not None
    assert memory.vector @ (await filled.get_memories(scope, ["m7"]))[0].vector > 0.999  # type: ignore[operator]


class Fragile(MemoryStore):
    """Fails after so many commits."""

    left = 0

    async def commit(self, scope: Scope, batch: WriteBatch) -> Any:
        self.left -= 1
        if self.left < 0:
            raise StoreUnavailable("gone")
        self.written = [*getattr(self, "written", []), batch]
        return await super().commit(scope, batch)


async def test_an_interrupted_migration_goes_on_where_it_was(filled: Store) -> None:
    target = Fragile(embedder=EMBEDDER, dimensions=DIMENSIONS)
    interruptions, rows = 0, list[Compared]()
    for left in (1, 2, 30, 3, 500):
        target.left = left
        try:
            rows = await move(filled, target)
        except StoreUnavailable:
            interruptions += 1
            with pytest.raises(Conflict, match="unfinished migration from memory"):
                await Migration(source=filled, target=target, origin="another", tenants=TENANTS, now=NOW).prepare(
                    force=False
                )
            with pytest.raises(Conflict, match="unfinished"):
                await Migration(source=target, target=MemoryStore(), origin="memory", tenants=TENANTS, now=NOW).plan()
    assert interruptions == 4
    assert all(row.equal and not row.more for row in rows)
    put_ids = [memory.record.id for batch in target.written for memory in batch.put_memories]
    assert len(put_ids) == 3 * 456, "nothing was copied twice"
    with pytest.raises(Conflict, match="not empty"):
        await move(filled, target)


async def test_a_target_with_data_is_refused_or_merged_into(filled: Store) -> None:
    target = MemoryStore(embedder=EMBEDDER, dimensions=DIMENSIONS)
    scope = Scope(tenant="acme")
    await target.commit(scope, put(make_memory("m1", "something else"), make_memory("other")))
    with pytest.raises(Conflict, match="2 memories") as refused:
        await move(filled, target)
    assert "--force" in str(refused.value)
    assert await target.document_kinds(Scope(), NOW) == [], "nothing was written"
    rows = await move(filled, target, force=True)
    assert all(row.equal for row in rows)
    assert {row.what: row.more for row in rows if row.tenant == "acme"} == {
        "memories": 1,
        "sessions": 0,
        "documents": 0,
        "jobs": 0,
    }


async def test_differences_show(filled: Store) -> None:
    target = MemoryStore(embedder=EMBEDDER, dimensions=DIMENSIONS)
    migration = Migration(source=filled, target=target, origin="memory", tenants=TENANTS, now=NOW)
    await migration.prepare(force=False)
    await migration.copy(lambda _: None)
    changed = make_session(make_key("s3", tenant="acme"), updated=99)
    await filled.commit(Scope(tenant="acme"), WriteBatch(put_session=changed, delete_memories=["m2"]))
    await target.commit(Scope(tenant="acme"), WriteBatch(delete_documents=[("view", "d1")]))
    rows = {(row.tenant, row.what): row for row in await migration.compare(lambda _: None)}
    assert [what for (_, what), row in rows.items() if not row.equal] == ["sessions", "documents"]
    assert rows["acme", "memories"].more == 1


async def test_what_is_at_work_or_unknown_is_refused(filled: Store) -> None:
    target = MemoryStore(embedder=EMBEDDER, dimensions=DIMENSIONS)
    with pytest.raises(Conflict, match="456 memories of tenants that never called"):
        await move(filled, target, tenants=TENANTS[:2])
    claimed = await filled.claim_jobs(NOW, 3, 60)
    with pytest.raises(Conflict, match="still uses the source"):
        await move(filled, target)
    later = make_job(claimed[0].id, tenant=claimed[0].tenant, payload=b"newest", replace=True)
    await filled.commit(Scope(tenant=later.tenant), WriteBatch(add_jobs=[later]))
    for job in claimed:
        assert await filled.extend_lease(job.id, job.lease, NOW)  # its process died
    assert all(row.equal for row in await move(filled, target))
    jobs, _ = await target.list_jobs(Scope(tenant=later.tenant), JobState.PENDING)
    assert [job.payload for job in jobs] == [b"newest"]
