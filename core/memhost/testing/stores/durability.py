"""Conformance: what survives a restart."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from memhost.errors import MemhostError, StoreMismatch, StoreUnavailable
from memhost.models import (
    CandidateQuery,
    TextMatch,
    WriteBatch,
)
from memhost.ports import Measures, SecureDelete, Store
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
from memhost.testing.kits.lacking import lacking

EVERYWHERE = make_scope()


class DurabilityTests:
    """For stores that survive their process."""

    lacks: ClassVar[Sequence[str]] = ()
    """Parts that the store does not have: `durability`, `folder`."""

    @pytest.fixture
    def reopen(self) -> Callable[[], Awaitable[Store]]:
        """Close the store and return it opened again on the same data."""
        lacking(self, "durability", "Give a fixture `reopen`, which closes the store and opens it again on its data.")

    @pytest.fixture
    def reopen_with(self) -> Callable[..., Awaitable[Store]]:
        """As `reopen`, with fields of `OpenContext` that are to be others."""
        lacking(self, "durability", "Give a fixture `reopen_with`, which is `reopen` with other fields of OpenContext.")

    async def test_it_says_whether_it_is_durable(self, store: Store) -> None:
        durable = "durability" not in self.lacks
        told = "StoreInfo.durable must say what the suite says: give `reopen`, or lacks = ('durability',)"
        assert (await store.info()).durable is durable, told

    async def test_the_schema_has_a_version(self, store: Store, reopen: Callable[[], Awaitable[Store]]) -> None:
        before = (await store.info()).schema_version
        assert before >= 1, "give the schema a number, so that a later version of the store can tell it"
        assert (await (await reopen()).info()).schema_version == before

    async def test_data_of_another_embedder_are_not_opened(
        self, store: Store, reopen_with: Callable[..., Awaitable[Store]]
    ) -> None:
        await store.commit(EVERYWHERE, put(make_memory("m1", "apple", vector=make_vector(1))))
        info = await store.info()
        assert (info.embedder, info.dimensions) == (EMBEDDER, DIMENSIONS)
        for other in ({"embedder": "another"}, {"dimensions": DIMENSIONS * 2}):
            with pytest.raises(StoreMismatch):
                await reopen_with(**other)
        again = await reopen_with()
        (hit,) = (await again.candidates(EVERYWHERE, CandidateQuery(vector=make_vector(1)))).hits
        assert hit.memory.record.id == "m1", "a refused opening changes nothing"

    async def test_reindexing_opens_data_of_another_embedder(
        self, store: Store, reopen_with: Callable[..., Awaitable[Store]]
    ) -> None:
        await store.commit(EVERYWHERE, put(make_memory("m1", "apple", vector=make_vector(1))))
        again = await reopen_with(embedder="another", reindex=True)
        assert (await again.info()).embedder == "another"
        assert [memory.record.id for memory in await again.get_memories(EVERYWHERE, ["m1"])] == ["m1"]
        found = await again.candidates(EVERYWHERE, CandidateQuery(vector=make_vector(1)))
        assert all(hit.distance is None for hit in found.hits), "vectors of different embedders cannot be compared"

    async def test_a_store_that_is_there_opens_as_existing(
        self, store: Store, reopen_with: Callable[..., Awaitable[Store]]
    ) -> None:
        await store.commit(EVERYWHERE, put(make_memory("m1")))
        again = await reopen_with(existing=True)
        assert [memory.record.id for memory in await again.get_memories(EVERYWHERE, ["m1"])] == ["m1"]

    async def test_a_store_that_is_not_there_is_not_made_as_existing(
        self, store: Store, reopen_with: Callable[..., Awaitable[Store]], tmp_path: Path
    ) -> None:
        if "folder" in self.lacks:
            pytest.skip("it keeps its data elsewhere than in OpenContext.data_dir (lacks = ('folder',))")
        nowhere = tmp_path / "nowhere"
        nowhere.mkdir()
        with pytest.raises(MemhostError):
            await reopen_with(existing=True, data_dir=nowhere)
        assert list(nowhere.iterdir()) == []

    async def test_an_outage_is_no_empty_answer(self, store: Store, reopen: Callable[[], Awaitable[Store]]) -> None:
        await store.commit(EVERYWHERE, put(make_memory("m1", "apple"), put_session=make_session()))
        await reopen()  # the first one is closed, and cannot answer any more
        reads: dict[str, Callable[[], Awaitable[object]]] = {
            "ping": store.ping,
            "get_memories": lambda: store.get_memories(EVERYWHERE, ["m1"]),
            "list_memories": lambda: store.list_memories(EVERYWHERE),
            "candidates": lambda: store.candidates(EVERYWHERE, CandidateQuery(text=TextMatch(any_of=("apple",)))),
            "get_session": lambda: store.get_session(EVERYWHERE, make_key(), START),
            "find_sessions": lambda: store.find_sessions(EVERYWHERE, "s1", START),
            "list_sessions": lambda: store.list_sessions(EVERYWHERE, START),
            "list_documents": lambda: store.list_documents(EVERYWHERE, "view", START),
            "claim_jobs": lambda: store.claim_jobs(START, 1, 60),
            "commit": lambda: store.commit(EVERYWHERE, put(make_memory("m2"))),
        }
        answered: dict[str, object] = {}
        for name, read in reads.items():
            with contextlib.suppress(StoreUnavailable):
                answered[name] = await read()
        assert answered == {}, "raise StoreUnavailable: whoever asks would think that there is nothing"

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
