"""Work that goes on after its caller's time is over ends as a task."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from memhost.errors import Conflict, Forbidden
from memhost.models import Scope
from memhost.operations.responses import Task
from memhost.services.leases import Leases
from memhost.services.tasks import LongWork
from memhost.testing.polling import until
from tests.support.hosts import ADMIN, bound_to, run, running_host


async def test_a_compaction_that_nobody_waits_for_is_a_task(tmp_path: Path) -> None:
    async with running_host(tmp_path, run_jobs=False) as host:
        texts = ("Ann likes tea", "Ann likes tea.")
        for number, text in enumerate(texts):
            await run(host, "create_memories", memories=[{"id": f"{number}", "text": text}], deduplicate=False)
        answer = await run(host, "compact_memories", wait_s=0)
        assert answer.status == "running"

        async def ended() -> bool:
            task: Task = await run(host, "get_task", task_id=answer.task_id)
            return task.status == "success" and task.result is not None and task.result["remaining"] == 1

        await until(ended)
        whole = await run(host, "compact_memories", wait_s=60)
        assert whole.status == "ok, 1 memories remaining after compaction"
        with pytest.raises(Forbidden, match="name a user_id"):
            await run(host, "compact_memories", bound_to())
        await run(host, "compact_memories", bound_to(), user_id="ann")


async def test_how_work_ends(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        long_work = LongWork(host.store, Leases(host.store, host.clock, 15), host.tenants, host.clock)

        go_on = asyncio.Event()

        async def fail(error: Exception) -> None:
            await go_on.wait()
            raise error

        async def started(work: Any) -> str:
            task = await long_work.wait(Scope(), "compaction", asyncio.ensure_future(work), 0)
            assert task is not None
            return task.id

        async def message(task_id: str) -> str | None:
            task: Task = await run(host, "get_task", ADMIN, task_id=task_id)
            return task.error_message

        ends = [
            (await started(fail(Conflict("Another is at it."))), "Another is at it."),
            (await started(fail(ValueError("x"))), "The server failed; its log tells why."),
        ]
        go_on.set()
        for task_id, text in ends:
            await until(lambda task_id=task_id, text=text: _is(message(task_id), text))  # type: ignore[misc]
        stopped = await started(asyncio.Event().wait())
        await long_work.aclose()
        assert "was stopped" in (await message(stopped) or "")


async def _is(found: Any, text: str) -> bool:
    return bool(await found == text)
