"""A full disk: writes are refused for a while and change nothing, reads go on, and it mends by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apsw
import pytest

from memhost.errors import NotFound, StoreUnavailable
from memhost.host import Host
from memhost.http.statuses import status_of
from memhost.models import Scope
from memhost.testing.polling import until
from tests.support.hosts import run, running_host

LARGE = "word " * 19_000


async def limit(host: Host, pages: int) -> None:
    """Let the store's file grow by so many pages, as a disk that has room for no more; 0 takes the limit away."""

    def work(connection: apsw.Connection) -> None:
        most = int(str(connection.pragma("page_count"))) + pages if pages else 2**30
        connection.pragma("max_page_count", most)

    await host.store._write(work)  # type: ignore[attr-defined]


def large(name: str) -> list[dict[str, str]]:
    return [{"id": name, "text": f"{name} {LARGE}", "user_id": "ann"}]


async def test_what_was_acknowledged_stays_and_the_rest_is_refused(tmp_path: Path) -> None:
    async with running_host(tmp_path, run_jobs=False) as host:
        await run(host, "create_memories", memories=large("first"))
        await run(host, "put_session", session_id="s", user_id="ann", messages=[{"role": "user", "content": "hello"}])
        await limit(host, 60)
        stored, refused = ["first"], list[StoreUnavailable]()
        for number in range(20):
            try:
                await run(host, "create_memories", memories=large(f"m{number}"))
                stored.append(f"m{number}")
            except StoreUnavailable as error:
                refused.append(error)
        assert len(refused) > 5
        for told in refused:
            assert (status_of(told), told.retryable, told.retry_after_s > 0) == (503, True, True)
            assert "disk is full" in told.message
        refusals: list[tuple[str, dict[str, Any]]] = [
            ("store_memories", {"memories": large("x")}),
            ("put_session", {"session_id": "s", "user_id": "ann", "messages": [{"role": "user", "content": LARGE}]}),
            ("change_session", {"session_id": "s", "user_id": "ann", "messages": [{"role": "user", "content": LARGE}]}),
            ("put_session", {"session_id": "new", "user_id": "ann", "messages": [{"role": "user", "content": LARGE}]}),
        ]
        for operation, fields in refusals:
            with pytest.raises(StoreUnavailable):
                await run(host, operation, **fields)
        for name in stored:
            assert (await run(host, "get_memory", memory_id=name)).text.startswith(name)
        for number in range(20):
            if f"m{number}" not in stored:
                with pytest.raises(NotFound):
                    await run(host, "get_memory", memory_id=f"m{number}")
        session = await run(host, "get_session", session_id="s", user_id="ann")
        assert [message.content for message in session.messages] == ["hello"]
        assert (await run(host, "search_memories", text="word", user_id={"eq": "ann"})).total >= len(stored)
        await run(host, "delete_memories", memory_ids=stored[:1])  # what frees room goes on
        await limit(host, 0)
        await run(host, "create_memories", memories=large("later"))
        assert (await run(host, "get_memory", memory_id="later")).id == "later"


async def test_background_work_waits_for_room(tmp_path: Path) -> None:
    async with running_host(tmp_path) as host:
        view = await run(host, "create_summary_view", name="v", source="long_term", group_by=["user_id"], filters={})
        await run(host, "create_memories", memories=large("first"))
        task = await run(host, "run_summary_view", view_id=view.id)

        async def done() -> bool:
            return bool((await run(host, "get_task", task_id=task.id)).status == "success")

        await until(done)
        await limit(host, 1)
        with pytest.raises(StoreUnavailable):
            await run(host, "create_memories", memories=large("x"))
        assert (await host.readiness()).ready  # it still reads
        await limit(host, 0)
        await run(host, "create_memories", memories=large("y"))
        _, total = await host.store.list_memories(Scope(), limit=1)
        assert total == 2
