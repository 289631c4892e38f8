"""Tasks: ids of one owner tell nothing about another's, and nobody fills the store or the queue with them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from memhost.errors import Conflict, NotFound, TooManyRequests
from memhost.host import Host
from memhost.jobs import tasks
from memhost.models import Caller, Scope, WriteBatch
from memhost.operations.responses import Task
from memhost.storage.bound_documents import Bound, make_document
from tests.core.jobs.test_jobs import work
from tests.core.views.test_views import STORES, create
from tests.support.hosts import ADMIN, bound_to, run, running_host

ANNE, BERT = bound_to(users=("anne",)), bound_to(users=("bert",))
IDS = ("bert-task", "a@b", "@", "bert-task@", "día")


async def view_of(host: Host, caller: Caller) -> str:
    fields = {"name": "v", "source": "long_term", "group_by": ["user_id"], "filters": {}}
    return str((await run(host, "create_summary_view", caller, **fields)).id)


@STORES
async def test_two_owners_choose_the_same_id(store: str, tmp_path: Path) -> None:
    async with running_host(tmp_path, store=store, run_jobs=False) as host:
        views = {caller.bounds.users: await view_of(host, caller) for caller in (ANNE, BERT)}
        for task_id in IDS:
            for caller in (BERT, ANNE):
                view = views[caller.bounds.users]
                with pytest.raises(NotFound):
                    await run(host, "get_task", caller, task_id=task_id)
                made = await run(host, "run_summary_view", caller, view_id=view, task_id=task_id)
                assert (made.id, made.view_id) == (task_id, view)
                with pytest.raises(Conflict):
                    await run(host, "run_summary_view", caller, view_id=view, task_id=task_id)
        await work(host, rounds=10)
        for caller in (BERT, ANNE):
            for task_id in IDS:
                done = await run(host, "get_task", caller, task_id=task_id)
                assert (done.status, done.view_id) == ("success", views[caller.bounds.users])
        seen = await run(host, "get_task", ADMIN, task_id="bert-task")
        assert seen.view_id in views.values()


@STORES
async def test_the_key_of_a_foreign_task_is_no_id(store: str, tmp_path: Path) -> None:
    async with running_host(tmp_path, store=store, run_jobs=False) as host:
        await run(host, "run_summary_view", BERT, view_id=await view_of(host, BERT), task_id="t")
        key = tasks.Tasks.key(BERT.bounds, "t")
        for caller in (ANNE, ADMIN):
            with pytest.raises(NotFound):
                await run(host, "get_task", caller, task_id=key)
        view = await view_of(host, ANNE)
        assert (await run(host, "run_summary_view", ANNE, view_id=view, task_id=key)).id == key


async def test_a_task_of_an_older_release_is_found_and_finished(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        now = host.clock.now()
        old = Bound(BERT.bounds, Task(id="old", status="pending", view_id="gone", created_at=now))
        document = make_document(tasks.KIND, "old", BERT.bounds, msgspec.msgpack.encode(old), now)
        await host.store.commit(Scope(), WriteBatch(put_documents=[document]))
        with pytest.raises(NotFound):
            await run(host, "get_task", ANNE, task_id="old")
        assert (await run(host, "get_task", ADMIN, task_id="old")).status == "failed"  # nobody is at it
        assert (await run(host, "get_task", BERT, task_id="old")).status == "failed"


@STORES
async def test_unfinished_tasks_of_an_owner_are_bounded(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "_MOST_UNFINISHED", 3)
    async with running_host(tmp_path, store=store, run_jobs=False) as host:
        anne, bert = await view_of(host, ANNE), await view_of(host, BERT)
        for _ in range(3):
            await run(host, "run_summary_view", ANNE, view_id=anne)
        with pytest.raises(TooManyRequests) as caught:
            await run(host, "run_summary_view", ANNE, view_id=anne)
        assert caught.value.retry_after_s > 0
        await run(host, "run_summary_view", BERT, view_id=bert)
        await run(host, "run_summary_view", view_id=(await create(host)).id)
        await work(host, rounds=4)
        await run(host, "run_summary_view", ANNE, view_id=anne)


@STORES
async def test_the_oldest_finished_tasks_of_an_owner_go(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "_MOST_KEPT", 3)
    async with running_host(tmp_path, store=store, run_jobs=False) as host:
        anne, bert = await view_of(host, ANNE), await view_of(host, BERT)
        await run(host, "run_summary_view", BERT, view_id=bert, task_id="t0")
        for number in range(5):
            await run(host, "run_summary_view", ANNE, view_id=anne, task_id=f"t{number}")
            await work(host, rounds=2)
        for number in range(2):
            with pytest.raises(NotFound):
                await run(host, "get_task", ANNE, task_id=f"t{number}")
        assert [(await run(host, "get_task", ANNE, task_id=f"t{n}")).status for n in (2, 3, 4)] == ["success"] * 3
        assert (await run(host, "get_task", BERT, task_id="t0")).status == "success"
