"""Work that continues after its caller's time limit ends as a task."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from memhost.errors import Conflict, Forbidden
from memhost.host import Host
from memhost.jobs import tasks
from memhost.jobs.tasks import KIND, LongWork
from memhost.models import Document, Scope, WriteBatch
from memhost.operations.responses import Task
from memhost.storage.bound_documents import Bound, BoundDocuments
from memhost.storage.leases import Leases
from memhost.storage.processes import this_process
from memhost.testing.clock import FakeClock
from memhost.testing.polling import until
from tests.core.storage.test_leases import dead_process
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
        with pytest.raises(Forbidden, match="give a user_id"):
            await run(host, "compact_memories", bound_to())
        await run(host, "compact_memories", bound_to(), user_id="ann")


async def test_how_work_ends(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        long_work = LongWork(
            store=host.store, leases=Leases(host.store, host.clock, 15), tenants=host.services.tenants, clock=host.clock
        )

        go_on = asyncio.Event()

        async def fail(error: Exception) -> None:
            await go_on.wait()
            raise error

        async def started(work: Any) -> str:
            task = await long_work.follow(Scope(), "compaction", asyncio.ensure_future(work), host.clock.now())
            return task.id

        async def message(task_id: str) -> str | None:
            task: Task = await run(host, "get_task", ADMIN, task_id=task_id)
            return task.error_message

        ends = [
            (await started(fail(Conflict("Another is at it."))), "Another is at it."),
            (await started(fail(ValueError("x"))), "The server failed. Its log shows the cause."),
        ]
        go_on.set()
        for task_id, text in ends:
            await until(lambda task_id=task_id, text=text: _is(message(task_id), text))  # type: ignore[misc]
        stopped = await started(asyncio.Event().wait())
        await long_work.aclose()
        assert "server stopped" in (await message(stopped) or "")


async def _is(found: Any, text: str) -> bool:
    return bool(await found == text)


def _unattended(task: Task, host: Host, **holder: object) -> WriteBatch:
    """What a process has written that was killed while it was at a task."""
    now = host.clock.now()
    documents = BoundDocuments(host.store, KIND, Task)
    lease = Document(
        kind=f"lease:task:{task.id}",
        id="lease",
        tenant="default",
        body=msgspec.msgpack.encode(msgspec.structs.replace(this_process(), **holder)),
        updated_at=now,
        expires_at=now + timedelta(seconds=15),
    )
    return WriteBatch(put_documents=[documents.make(task.id, Bound(Scope(), task), now), lease])


STOPPED = "The server stopped before the task was done; start the task again."


@pytest.mark.parametrize("looks", ["somebody", "the sweep"])
async def test_a_task_of_a_dead_process_ends_as_failed(tmp_path: Path, looks: str) -> None:
    clock = FakeClock()
    async with running_host(tmp_path, run_jobs=False, clock=clock) as host:
        task = Task(id="t", type="compaction", status="running", created_at=clock.now(), started_at=clock.now())
        await host.store.commit(Scope(), _unattended(task, host, machine="another machine"))
        await host.services.dispatcher.sweep()
        assert (await run(host, "get_task", task_id="t")).status == "running", "its lease has not ended"
        clock.advance(15)
        if looks == "the sweep":
            await host.services.dispatcher.sweep()
            found = await BoundDocuments(host.store, KIND, Task).get(Scope(), "t", clock.now())
            assert found is not None
            ended = found.content
        else:
            ended = await run(host, "get_task", task_id="t")
        assert (ended.status, ended.error_message, ended.completed_at) == ("failed", STOPPED, clock.now())
        again: Task = await run(host, "get_task", task_id="t")
        assert again == ended


async def test_a_task_of_a_dead_process_of_this_machine_ends_at_once(tmp_path: Path) -> None:
    async with running_host(tmp_path, run_jobs=False) as host:
        task = Task(id="t", type="compaction", status="running", created_at=host.clock.now())
        await host.store.commit(Scope(), _unattended(task, host, pid=dead_process().pid))
        assert (await run(host, "get_task", task_id="t")).error_message == STOPPED


async def test_a_task_of_an_earlier_version_ends_as_failed(tmp_path: Path) -> None:
    async with running_host(tmp_path, run_jobs=False) as host:
        task = Task(id="t", type="compaction", status="running", created_at=host.clock.now())
        batch = _unattended(task, host)
        await host.store.commit(Scope(), WriteBatch(put_documents=batch.put_documents[:1]))
        assert (await run(host, "get_task", task_id="t")).error_message == STOPPED


async def test_a_run_of_a_view_goes_on_as_long_as_its_job(tmp_path: Path) -> None:
    async with running_host(tmp_path, run_jobs=False) as host:
        await run(host, "create_memories", memories=[{"id": "a", "text": "x", "user_id": "ann"}])
        view = await run(host, "create_summary_view", name="v", source="long_term", group_by=["user_id"])
        task: Task = await run(host, "run_summary_view", view_id=view.id)
        await host.services.dispatcher.sweep()
        assert (await run(host, "get_task", task_id=task.id)).status == "pending"
        (job,) = [each for each in (await run(host, "list_jobs")).jobs if each.event == "view_due"]
        await host.store.commit(Scope(), WriteBatch(cancel_jobs=[job.id]))
        assert (await run(host, "get_task", task_id=task.id)).error_message == STOPPED


async def test_the_job_of_a_run_is_found_behind_many_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_PAGE", 2)
    clock = FakeClock()
    async with running_host(tmp_path, run_jobs=False, clock=clock) as host:
        view = await run(host, "create_summary_view", name="v", source="long_term", group_by=["user_id"])
        runs: list[Task] = []
        for _ in range(5):
            clock.advance(1)
            runs.append(await run(host, "run_summary_view", view_id=view.id))
        await host.services.dispatcher.sweep()
        for task in runs:
            assert (await run(host, "get_task", task_id=task.id)).status == "pending"
        jobs = (await run(host, "list_jobs")).jobs
        claimed = {job.id: job.lease for job in await host.services.dispatcher.claim(10)}
        for job in jobs:
            await host.store.bury_job(job.id, claimed[job.id], "given up")
        assert (await run(host, "get_task", task_id=runs[-1].id)).error_message == STOPPED, "nobody will be at it"


async def test_a_task_that_ends_while_somebody_looks_is_not_failed(tmp_path: Path) -> None:
    async with running_host(tmp_path, run_jobs=False) as host:
        task = Task(id="t", type="compaction", status="running", created_at=host.clock.now())
        await host.store.commit(Scope(), _unattended(task, host))
        documents, get = BoundDocuments(host.store, KIND, Task), host.store.list_documents
        done = msgspec.structs.replace(task, status="success", completed_at=host.clock.now())

        async def ends(scope: Scope, kind: str, *rest: Any, **more: Any) -> Any:
            if kind == "lease:task:t":  # its process writes the end first, and gives the lease back then
                ended = documents.make("t", Bound(Scope(), done), host.clock.now())
                batch = WriteBatch(put_documents=[ended], delete_documents=[(kind, "lease")])
                await host.store.commit(Scope(), batch)
            return await get(scope, kind, *rest, **more)

        host.store.list_documents = ends  # type: ignore[method-assign]
        assert (await run(host, "get_task", task_id="t")).status == "success"


async def test_a_task_that_goes_while_somebody_looks_is_told_as_it_was(tmp_path: Path) -> None:
    async with running_host(tmp_path, run_jobs=False) as host:
        task = Task(id="t", type="compaction", status="running", created_at=host.clock.now())
        batch = _unattended(task, host)
        await host.store.commit(Scope(), WriteBatch(put_documents=batch.put_documents[:1]))
        get = host.store.list_documents

        async def goes(scope: Scope, kind: str, *rest: Any, **more: Any) -> Any:
            await host.store.commit(Scope(), WriteBatch(delete_documents=[(KIND, "t")]))
            return await get(scope, kind, *rest, **more)

        host.store.list_documents = goes  # type: ignore[method-assign]
        assert (await run(host, "get_task", task_id="t")).status == "running"
