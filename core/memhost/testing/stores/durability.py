"""Conformance: what survives a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from memhost.models import (
    CandidateQuery,
    TextMatch,
    WriteBatch,
)
from memhost.ports import Measures, SecureDelete, Store
from memhost.testing.factories import (
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

EVERYWHERE = make_scope()


class DurabilityTests:
    """For stores that survive their process."""

    durable = False
    """True if data outlives the store object; then the subclass gives the fixture `reopen`."""

    @pytest.fixture
    def reopen(self) -> Callable[[], Awaitable[Store]]:
        """Close the store and return it opened again on the same data."""
        assert not self.durable, "a durable store's suite must define the fixture `reopen`"
        pytest.skip("the store does not claim to be durable")

    async def test_everything_survives_reopening(self, store: Store, reopen: Callable[[], Awaitable[Store]]) -> None:
        memory = make_memory("m1", "apple", vector=make_vector(1, 2), topics=["t"], position=1, session_id="s1")
        batch = put(
            memory, put_session=make_session(), put_documents=[make_document()], add_jobs=[make_job(), make_job("j2")]
        )
        await store.commit(EVERYWHERE, batch)
        (claimed,) = await store.claim_jobs(START, 1, 60)
        store = await reopen()
        (found,) = await store.get_memories(EVERYWHERE, ["m1"])
        assert found.record == memory.record
        query = CandidateQuery(text=TextMatch(any_of=("apple",)), vector=make_vector(1, 2), statistics_for=("apple",))
        answer = await store.candidates(EVERYWHERE, query)
        assert [hit.memory.record.id for hit in answer.hits] == ["m1"]
        assert answer.frequencies == {"apple": 1}
        assert await store.get_session(EVERYWHERE, make_key(), START) is not None
        assert await store.get_document(EVERYWHERE, "view", "d1", START) == make_document()
        assert await store.extend_lease(claimed.id, claimed.lease, after(120)), "leases survive too"
        assert [job.id for job in await store.claim_jobs(START, 9, 60)] == ["j2"]

    async def test_secure_delete_keeps_what_is_stored(self, store: Store) -> None:
        if not isinstance(store, SecureDelete):
            pytest.skip("the store has no rests to remove (memhost.ports.SecureDelete)")
        await store.commit(EVERYWHERE, put(make_memory("m1"), make_memory("m2")))
        await store.commit(EVERYWHERE, WriteBatch(delete_memories=["m2"]))
        await store.scrub()
        await store.scrub()  # when nothing is left to remove
        assert [memory.record.id for memory in await store.get_memories(EVERYWHERE, ["m1", "m2"])] == ["m1"]

    async def test_what_is_stored_is_measured(self, store: Store) -> None:
        if not isinstance(store, Measures):
            pytest.skip("the store does not measure (memhost.ports.Measures)")
        ann, whole = make_scope(users=("ann",)), EVERYWHERE
        assert await store.stored_bytes(whole) == 0
        batch = put(make_memory("m1", "a" * 10_000, user_id="ann"), make_memory("m2", "b" * 1000, user_id="bob"))
        await store.commit(EVERYWHERE, batch)
        assert 10_000 <= await store.stored_bytes(ann) < 40_000
        assert await store.stored_bytes(whole) >= await store.stored_bytes(ann) + 1000
        assert await store.stored_bytes(make_scope(tenant="other")) == 0
        before = await store.stored_bytes(whole)
        await store.commit(EVERYWHERE, WriteBatch(put_session=make_session(), put_documents=[make_document()]))
        assert await store.stored_bytes(whole) > before
        await store.commit(EVERYWHERE, WriteBatch(delete_memories=["m1"]))
        assert await store.stored_bytes(ann) < 1000

    async def test_writes_that_were_waiting_at_closing_are_kept(
        self, store: Store, reopen: Callable[[], Awaitable[Store]]
    ) -> None:
        tasks = [asyncio.create_task(store.commit(EVERYWHERE, put(make_memory(f"m{number}")))) for number in range(20)]
        await asyncio.sleep(0)
        again = await reopen()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        acknowledged = sum(not isinstance(result, BaseException) for result in results)
        assert (await again.list_memories(EVERYWHERE))[1] == acknowledged
