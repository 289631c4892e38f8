"""Leases: one holder at a time, renewed while it lives, taken over or dropped when it does not."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from memhost.errors import Busy, DocumentGone, StoreUnavailable
from memhost.models import Document, Scope, WriteBatch
from memhost.ports import Store
from memhost.storage import processes
from memhost.storage.leases import Lease, Leases, kind_of
from memhost.storage.processes import Process, is_gone, this_process
from memhost.testing.clock import FakeClock
from memhost.testing.polling import until
from tests.support.hosts import running_host

HOME = Scope()
TOLD = "Somebody is at it."


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Store]:
    async with running_host(tmp_path, store=request.param, clock=clock, run_jobs=False) as host:
        yield host.store


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def orphaned(store: Store, clock: FakeClock, *, seconds: float = 15, **fields: object) -> None:
    """The lease of a process that does not renew it."""
    process = msgspec.structs.replace(this_process(), **fields)
    document = Document(
        kind=kind_of("work"),
        id="orphan",
        tenant="default",
        body=msgspec.msgpack.encode(process),
        updated_at=clock.now(),
        expires_at=_after(clock, seconds),
    )
    await store.commit(HOME, WriteBatch(put_documents=[document]))


def _after(clock: FakeClock, seconds: float) -> datetime:
    later = FakeClock(clock.now())
    later.advance(seconds)
    return later.now()


def dead_process() -> Process:
    """A process of this machine that has ended."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return msgspec.structs.replace(this_process(), pid=child.pid)


async def test_one_holds_it_at_a_time(store: Store, clock: FakeClock) -> None:
    leases, others = Leases(store, clock, 15), Leases(store, clock, 15)
    async with leases.held("default", "work", told=TOLD):
        with pytest.raises(Busy, match=TOLD) as told:
            await others.take("default", "work", told=TOLD, patience_s=0)
        assert told.value.wait_s == 15
        async with others.held("default", "other work", told=TOLD), others.held("tenant", "work", told=TOLD):
            assert await leases.held_until("default", "work") == _after(clock, 15)
    assert await leases.held_until("default", "work") is None
    async with others.held("default", "work", told=TOLD, patience_s=0):
        pass


async def test_of_many_at_once_one_gets_it(store: Store, clock: FakeClock) -> None:
    inside, most = 0, 0

    async def work() -> None:
        nonlocal inside, most
        async with Leases(store, clock, 15).held("default", "work", told=TOLD, patience_s=30):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(work() for _ in range(6)))
    assert (inside, most) == (0, 1)


async def test_what_is_left_of_it_is_told(store: Store, clock: FakeClock) -> None:
    await orphaned(store, clock)
    clock.advance(11.5)
    with pytest.raises(Busy) as told:
        await Leases(store, clock, 15).take("default", "work", told=TOLD, patience_s=0)
    assert (told.value.wait_s, told.value.retry_after_s) == (3.5, 4)


async def test_one_that_is_not_renewed_is_taken_over(store: Store, clock: FakeClock) -> None:
    leases = Leases(store, clock, 15)
    await orphaned(store, clock)
    clock.advance(14.9)
    with pytest.raises(Busy):
        await leases.take("default", "work", told=TOLD, patience_s=0)
    clock.advance(0.1)
    async with leases.held("default", "work", told=TOLD, patience_s=0):
        pass


async def test_it_is_renewed_in_the_background(store: Store, clock: FakeClock) -> None:
    leases = Leases(store, clock, 0.06)
    lease = await leases.take("default", "work", told=TOLD)
    first = await leases.held_until("default", "work")
    clock.advance(0.05)

    async def renewed() -> bool:
        return await leases.held_until("default", "work") == _after(clock, 0.06)

    await until(renewed)
    assert first != await leases.held_until("default", "work")
    await lease.stop()
    clock.advance(0.06)
    assert await leases.held_until("default", "work") is None, "one that has stopped is renewed no more"


async def test_a_store_that_fails_once_does_not_end_it(store: Store, clock: FakeClock) -> None:
    leases = Leases(store, clock, 0.06)
    failed: list[WriteBatch] = []
    commit = store.commit

    async def fails(scope: Scope, batch: WriteBatch) -> object:
        if not failed and batch.require_documents:
            failed.append(batch)
            raise StoreUnavailable("The store is away.")
        return await commit(scope, batch)

    lease = await leases.take("default", "work", told=TOLD)
    store.commit = fails  # type: ignore[method-assign, assignment]
    clock.advance(0.05)

    async def renewed() -> bool:
        return await leases.held_until("default", "work") == _after(clock, 0.06)

    await until(renewed)
    assert failed
    await lease.give_back()


async def test_who_has_lost_it_finds_out_before_the_next_change(store: Store, clock: FakeClock) -> None:
    leases = Leases(store, clock, 15)
    lease = await leases.take("default", "work", told=TOLD)
    until = await leases.held_until("default", "work")
    clock.advance(7)
    await lease.keep()
    assert await leases.held_until("default", "work") == until, "more than half is left: nothing is asked"
    clock.advance(7)
    await lease.keep()
    assert await leases.held_until("default", "work") == _after(clock, 15)
    clock.advance(15)
    other = await leases.take("default", "work", told=TOLD, patience_s=0)
    with pytest.raises(Busy, match="another process may have started") as told:
        await lease.keep()
    assert isinstance(told.value.__cause__, DocumentGone)
    await lease.give_back()
    assert await leases.held_until("default", "work") is not None, "what it gives back is its own"
    await other.give_back()


async def test_that_of_a_dead_process_of_this_machine_is_dropped_at_once(store: Store, clock: FakeClock) -> None:
    await orphaned(store, clock, pid=dead_process().pid)
    async with Leases(store, clock, 15).held("default", "work", told=TOLD, patience_s=0):
        documents = await store.list_documents(HOME, kind_of("work"), clock.now())
        assert [document.id for document in documents if document.id == "orphan"] == []


async def test_of_other_machines_nothing_is_dropped(store: Store, clock: FakeClock) -> None:
    await orphaned(store, clock, pid=dead_process().pid, machine="another machine")
    with pytest.raises(Busy):
        await Leases(store, clock, 15).take("default", "work", told=TOLD, patience_s=0)


async def test_one_that_is_cancelled_while_taking_it_leaves_nothing(store: Store, clock: FakeClock) -> None:
    commit = store.commit
    taking: list[asyncio.Task[Lease]] = []

    async def cut_off(scope: Scope, batch: WriteBatch) -> object:
        result = await commit(scope, batch)
        if batch.put_documents:
            taking[0].cancel()
            await asyncio.sleep(0)
        return result

    store.commit = cut_off  # type: ignore[method-assign, assignment]
    leases = Leases(store, clock, 15)
    taking.append(asyncio.create_task(leases.take("default", "work", told=TOLD)))
    with pytest.raises(asyncio.CancelledError):
        await taking[0]
    assert await leases.held_until("default", "work") is None


def test_only_what_certainly_has_ended_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    here, dead = this_process(), dead_process()
    assert not is_gone(here)
    assert is_gone(dead)
    assert not is_gone(msgspec.structs.replace(dead, machine="elsewhere"))
    assert not is_gone(msgspec.structs.replace(here, started="")), "where nothing is told of starts"
    if here.started:
        assert is_gone(msgspec.structs.replace(here, started="1")), "the number is used again by another process"

    def foreign(_pid: int, _signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", foreign)
    assert not is_gone(msgspec.structs.replace(dead, started="1")), "it is there, and another user's"


def test_machines_that_tell_nothing_of_themselves_go_by_their_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_PROC", Path("/nowhere"))
    processes._machine.cache_clear()
    try:
        process = this_process()
        assert (" " in process.machine, process.started) == (False, "")
        assert not is_gone(process)
    finally:
        monkeypatch.undo()
        processes._machine.cache_clear()
