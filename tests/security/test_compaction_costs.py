"""Compaction: what has not changed costs nothing, and calls in a row do not pile work up."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from memhost.consolidation import compaction_state
from memhost.errors import TooManyRequests
from memhost.host import Host
from memhost.models import Caller, Scope
from memhost.operations.responses import CompactionReport, Task
from memhost.testing.clock import FakeClock
from memhost.testing.polling import until
from tests.core.views.test_views import STORES
from tests.support.hosts import ADMIN, bound_to, run, running_host

HOUR = 3600


async def add(host: Host, **texts: str) -> None:
    memories = [{"id": name, "text": text, "user_id": "ann"} for name, text in texts.items()]
    await run(host, "create_memories", memories=memories, deduplicate=False)


async def compacted(host: Host, **fields: Any) -> CompactionReport:
    answer = await run(host, "compact_memories", report=True, **fields)
    assert isinstance(answer.report, CompactionReport)
    return answer.report


@STORES
async def test_what_has_not_changed_is_not_looked_at(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction_state, "LEAST_NOTED", 2)
    clock = FakeClock()
    async with running_host(tmp_path, store=store, clock=clock, run_jobs=False) as host:
        await add(host, a="Ann likes tea", b="Ann likes tea.", c="Ann likes chess", d="Bob runs")
        first = await compacted(host)
        assert (first.scanned, first.exact_removed, first.remaining) == (4, 1, 3)
        assert (await compacted(host)).scanned in (0, 3)  # what the first pass changed
        for seconds in (0, 0, 1, HOUR, HOUR):
            clock.advance(seconds)
            assert (await compacted(host)).scanned == 0
        await add(host, e="Ann likes chess.", f="new")
        dry = await compacted(host, dry_run=True)
        assert (dry.scanned, dry.exact_removed, dry.remaining) == (2, 1, 5)
        found = await compacted(host)
        assert (found.scanned, found.exact_removed, found.remaining) == (2, 1, 4)
        clock.advance(HOUR)
        await run(host, "edit_memory", memory_id="f", text="Bob runs")
        assert (await compacted(host)).exact_removed == 1


@STORES
async def test_memories_with_an_old_date_of_change_are_found(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction_state, "LEAST_NOTED", 2)
    clock = FakeClock()
    async with running_host(tmp_path, store=store, clock=clock, run_jobs=False) as host:
        await add(host, a="Ann likes tea", b="Ann likes chess")
        await compacted(host)
        clock.advance(HOUR)
        old = {"user_id": "ann", "created_at": "2020-01-01T00:00:00Z", "updated_at": "2020-01-01T00:00:00Z"}
        await run(host, "create_memories", memories=[{"id": "c", "text": "Ann likes tea.", **old}], deduplicate=False)
        assert (await compacted(host)).exact_removed == 1
        clock.advance(HOUR)
        await compacted(host)
        assert (await compacted(host)).scanned == 0
        (kept,) = {"a", "c"} & {each.id for each in (await run(host, "search_memories", limit=10)).memories}
        await run(
            host, "create_memories", memories=[{"id": kept, "text": "Ann likes chess.", **old}], deduplicate=False
        )
        assert (await compacted(host)).exact_removed == 0  # it replaces one, and says it is old
        clock.advance(24 * HOUR)
        assert (await compacted(host)).exact_removed == 1


async def test_of_small_scopes_nothing_is_kept(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        await add(host, a="Ann likes tea")
        now = host.clock.now()
        before = await host.store.document_kinds(Scope(), now)
        for number in range(5):
            await run(host, "compact_memories", session_id=f"s{number}")
        assert await host.store.document_kinds(Scope(), now) == before


class Held:
    """Compactions that go on until the test lets them."""

    def __init__(self, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun: list[Scope] = []
        self.cancelled = 0
        self.go_on = asyncio.Event()
        whole = host.services.compaction._run

        async def held(scope: Scope, turn: Any) -> CompactionReport:
            self.begun.append(scope)
            try:
                await self.go_on.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
            return await whole(scope, turn)

        monkeypatch.setattr(host.services.compaction, "_run", held)

    async def has_begun(self, number: int) -> None:
        async def begun() -> bool:
            return len(self.begun) >= number

        await until(begun)


async def test_who_asks_meanwhile_gets_the_same_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_host(tmp_path, run_jobs=False) as host:
        held = Held(host, monkeypatch)
        answers = [await run(host, "compact_memories", wait_s=0) for _ in range(5)]
        assert {answer.status for answer in answers} == {"running"}
        assert len({answer.task_id for answer in answers}) == 1
        waiting = asyncio.create_task(run(host, "compact_memories"))
        await held.has_begun(1)
        held.go_on.set()
        assert "remaining" in (await waiting).status

        async def ended() -> bool:
            task: Task = await run(host, "get_task", task_id=answers[0].task_id)
            return task.status == "success"

        await until(ended)
        assert len(held.begun) == 1
        assert (await run(host, "compact_memories", wait_s=60)).status.startswith("ok")
        assert len(held.begun) == 2


async def test_works_of_a_caller_and_of_a_tenant_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_host(tmp_path, run_jobs=False) as host:
        held = Held(host, monkeypatch)
        ann = bound_to(users=("ann",))
        for number in range(4):
            await run(host, "compact_memories", ann, session_id=f"s{number}", wait_s=0)
        with pytest.raises(TooManyRequests) as caught:
            await run(host, "compact_memories", ann, session_id="s4", wait_s=0)
        assert caught.value.retry_after_s > 0
        await run(host, "compact_memories", ann, session_id="s3", wait_s=0)  # the same as one before
        for number in range(12):
            await run(host, "compact_memories", bound_to(users=(f"u{number}",)), wait_s=0)
        with pytest.raises(TooManyRequests):
            await run(host, "compact_memories", wait_s=0)
        other = Caller(subject="x", bounds=Scope(tenant="other"), roles=ADMIN.roles)
        await run(host, "compact_memories", other, wait_s=0)
        await held.has_begun(2)  # one of each tenant: they do not wait for each other
        assert {scope.tenant for scope in held.begun} == {"default", "other"}
        held.go_on.set()


async def test_work_that_everybody_has_left_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_host(tmp_path, run_jobs=False) as host:
        held = Held(host, monkeypatch)
        callers = [asyncio.create_task(run(host, "compact_memories")) for _ in range(2)]
        await held.has_begun(1)
        callers[0].cancel()
        await asyncio.wait(callers, timeout=0.01)
        assert (held.cancelled, callers[1].done()) == (0, False)
        callers[1].cancel()
        await asyncio.gather(*callers, return_exceptions=True)

        async def cancelled() -> bool:
            return held.cancelled == 1

        await until(cancelled)
        held.go_on.set()
        assert (await run(host, "compact_memories")).status.startswith("ok")


@pytest.mark.parametrize("operation", ["compact_memories", "rebuild_memories"])
async def test_long_work_of_each_kind_is_shared(
    operation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_host(tmp_path, run_jobs=False) as host:
        service = host.services.compaction if operation == "compact_memories" else host.services.rebuilding
        whole, go_on = service.apply, asyncio.Event()

        async def held(*arguments: Any, **more: Any) -> Any:
            await go_on.wait()
            return await whole(*arguments, **more)

        monkeypatch.setattr(service, "apply", held)
        assert len({(await run(host, operation, wait_s=0)).task_id for _ in range(5)}) == 1
        go_on.set()
