"""A join is undone by bringing back what went into a memory: both are as they were."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from memhost.errors import StoreUnavailable
from memhost.host import Host
from memhost.memories.derived import former
from memhost.memories.derived.former import Former, Kept, undone
from memhost.memories.repetition import RESTORED
from memhost.memories.trash import entries
from memhost.models import MemoryRecord, Scope, StoredMemory, WriteBatch
from memhost.testing.clock import FakeClock
from memhost.testing.factories import after, make_record
from tests.support.dedup_hosts import always, judging_host, keep, script, stored
from tests.support.hosts import run

STORES = pytest.mark.parametrize("store", ["memory", "sqlite"])
TEXTS = {"old": "User likes green tea.", "new": "User likes green tea with mint."}


async def compact(host: Host) -> Any:
    """The report of a compaction of everything, some time later."""
    host.clock.advance(3600)  # type: ignore[attr-defined]
    return (await run(host, "compact_memories", report=True, wait_s=30)).report


def as_was(record: MemoryRecord) -> MemoryRecord:
    """The record without what a restore notes, and without counts of reading."""
    metadata = {key: value for key, value in record.metadata.items() if key != RESTORED}
    same: dict[str, Any] = {"updated_at": record.created_at, "last_accessed": record.created_at, "access_count": 0}
    return msgspec.structs.replace(record, metadata=metadata, **same)


@STORES
async def test_both_are_as_they_were_when_the_part_is_back(store: str, tmp_path: Path) -> None:
    async with judging_host(tmp_path, store, clock=FakeClock()) as host:
        script().rule = always("same")
        for name, text in TEXTS.items():
            await keep(host, name, text, topics=[name], created_at=after(60 if name == "new" else 0))
        before = {name: as_was(record) for name, record in (await stored(host)).items()}
        assert (await compact(host)).merged == 1
        (joined,) = (await stored(host)).values()
        assert set(joined.topics) == {"old", "new"}
        gone = ({"old", "new"} - {joined.id}).pop()
        report = await run(host, "restore_memories", ids=[gone])
        assert report.restored == [gone]
        now = await stored(host)
        assert {name: as_was(record) for name, record in now.items()} == before
        assert now[joined.id].updated_at == before[joined.id].created_at or RESTORED not in now[joined.id].metadata


@STORES
async def test_what_was_changed_since_stays_changed(store: str, tmp_path: Path) -> None:
    async with judging_host(tmp_path, store, clock=FakeClock()) as host:
        script().rule = always("same")
        for name, text in TEXTS.items():
            await keep(host, name, text, topics=[name], created_at=after(60 if name == "new" else 0))
        assert (await compact(host)).merged == 1
        (joined,) = (await stored(host)).values()
        host.clock.advance(60)  # type: ignore[attr-defined]
        await run(host, "edit_memory", memory_id=joined.id, topics=["mine"])
        gone = ({"old", "new"} - {joined.id}).pop()
        await run(host, "restore_memories", ids=[gone])
        now = await stored(host)
        assert now.keys() == {"old", "new"}
        assert now[joined.id].topics == ["mine"]


@STORES
async def test_a_restore_that_ended_half_way_is_completed_by_another(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with judging_host(tmp_path, store, clock=FakeClock()) as host:
        script().rule = always("same")
        for name, text in TEXTS.items():
            await keep(host, name, text, topics=[name], created_at=after(60 if name == "new" else 0))
        before = {name: as_was(record) for name, record in (await stored(host)).items()}
        await compact(host)
        (joined,) = (await stored(host)).values()
        gone = ({"old", "new"} - {joined.id}).pop()

        async def lost(*_args: Any, **_fields: Any) -> None:
            raise StoreUnavailable("The store is gone.")

        with monkeypatch.context() as broken:
            broken.setattr("memhost.memories.derived.former.joins_of", lost)
            with pytest.raises(StoreUnavailable):
                await run(host, "restore_memories", ids=[gone])
        report = await run(host, "restore_memories", ids=[gone])
        assert (report.restored, report.taken) == ([], [gone])
        assert {name: as_was(record) for name, record in (await stored(host)).items()} == before


@STORES
async def test_a_join_of_three_is_undone_when_all_are_back(store: str, tmp_path: Path) -> None:
    texts = {**TEXTS, "third": "User likes green tea with mint leaves."}
    async with judging_host(tmp_path, store, clock=FakeClock(), DEDUPLICATION_DISTANCE_THRESHOLD="2") as host:
        script().rule = always("same")
        for number, (name, text) in enumerate(texts.items()):
            await keep(host, name, text, topics=[name], created_at=after(60 * number))
        before = {name: as_was(record) for name, record in (await stored(host)).items()}
        await compact(host)
        (joined,) = (await stored(host)).values()
        first, second = sorted(texts.keys() - {joined.id})
        await run(host, "restore_memories", ids=[first])
        assert set((await stored(host))[joined.id].topics) == texts.keys()
        await run(host, "restore_memories", ids=[second])
        assert {name: as_was(record) for name, record in (await stored(host)).items()} == before


@STORES
async def test_a_replaced_fact_is_as_it_was(store: str, tmp_path: Path) -> None:
    async with judging_host(tmp_path, store, clock=FakeClock()) as host:
        script().rule = always("update")
        await keep(host, "old", TEXTS["old"], topics=["tea"])
        await keep(host, "new", "User gave up tea.", created_at=after(60))
        before = as_was((await stored(host))["old"])
        assert (await compact(host)).superseded == 1
        assert (await run(host, "restore_memories", ids=["old"])).restored == ["old"]
        assert as_was((await stored(host))["old"]) == before


def test_what_is_undone_keeps_accesses_and_sources() -> None:
    before = make_record("a", "User lives in Ghent.", source_ids=["m1"], topics=["home"])
    ended = msgspec.structs.replace(
        before,
        superseded_by="b",
        updated_at=after(60),
        access_count=3,
        last_accessed=after(90),
        source_ids=["m1", "m2"],
    )
    state = Former(how="superseded", memory=before, changed_at=after(60))
    found = undone(ended, [Kept(name=("former", "x"), state=state)])
    assert (found.superseded_by, found.updated_at, found.topics) == (None, before.updated_at, ["home"])
    assert (found.access_count, found.last_accessed, found.source_ids) == (3, after(90), ["m1", "m2"])


async def test_a_join_that_another_call_undid_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with judging_host(tmp_path, "memory", clock=FakeClock()) as host:
        script().rule = always("same")
        for name, text in TEXTS.items():
            await keep(host, name, text, topics=[name], created_at=after(60 if name == "new" else 0))
        await compact(host)
        (joined,) = (await stored(host)).values()
        find = former.joins_of

        async def found_by_two(*args: Any) -> list[Kept]:
            found = await find(*args)
            await host.store.commit(Scope(), WriteBatch(delete_documents=[each.name for each in found]))
            return found

        monkeypatch.setattr("memhost.memories.derived.former.joins_of", found_by_two)
        gone = ({"old", "new"} - {joined.id}).pop()
        assert (await run(host, "restore_memories", ids=[gone])).restored == [gone]
        assert set((await stored(host))[joined.id].topics) == {"old", "new"}


async def test_of_an_id_that_two_owners_had_the_latest_comes_back(tmp_path: Path) -> None:
    async with judging_host(tmp_path, "memory", clock=FakeClock()) as host:
        batch = WriteBatch()
        for number, user in enumerate(("ann", "bob", "cid")):
            memory = StoredMemory(record=make_record("a", user, user_id=user))
            moment = host.clock.now() + timedelta(seconds=number % 2)
            batch.put_documents += entries("default", [memory], "forgotten", moment, host.settings.memory)
        await host.store.commit(Scope(), batch)
        await run(host, "restore_memories", ids=["a"])
        assert (await stored(host))["a"].text == "bob"
