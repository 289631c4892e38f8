"""Searches that run at the same time compute in a thread, one at a time, and answer as they do alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from memhost.logs import REQUEST_ID
from memhost.search.offload import Offload
from tests.support.hosts import run, running_host

LIMIT_S = 30.0


@contextmanager
def searches(offload: Offload, count: int) -> Iterator[None]:
    if not count:
        yield
        return
    with offload.search(), searches(offload, count - 1):
        yield


@pytest.mark.parametrize(("count", "apart"), [(0, False), (1, False), (2, True), (8, True)])
async def test_only_searches_beside_others_leave_the_event_loop(count: int, apart: bool) -> None:
    offload = Offload()
    with searches(offload, count):
        assert (await offload.run(threading.get_ident) != threading.get_ident()) is apart
    assert await offload.run(threading.get_ident) == threading.get_ident()


async def test_the_loop_answers_others_while_searches_compute() -> None:
    offload, answered = Offload(), threading.Event()
    with searches(offload, 2):
        computed = asyncio.create_task(offload.run(lambda: answered.wait(LIMIT_S)))
        await asyncio.sleep(0)
        answered.set()  # which runs on the loop, while the thread waits for it
        assert await computed


async def test_threads_compute_one_at_a_time_and_in_order() -> None:
    offload, lock, order = Offload(), threading.Lock(), list[int]()

    def work(number: int) -> int:
        assert lock.acquire(blocking=False), "two compute at once"
        order.append(number)
        lock.release()
        return number

    with searches(offload, 2):
        found = await asyncio.gather(*(offload.run(lambda number=number: work(number)) for number in range(20)))  # type: ignore[misc]
    assert found == order == list(range(20))


async def test_searches_do_not_wait_for_the_threads_of_others() -> None:
    offload, done = Offload(), threading.Event()
    others = [asyncio.create_task(asyncio.to_thread(done.wait, LIMIT_S)) for _ in range(64)]
    await asyncio.sleep(0)
    with searches(offload, 2):
        assert await offload.run(lambda: "ranked") == "ranked"
    done.set()
    assert all(await asyncio.gather(*others))


async def test_the_thread_knows_the_context_of_its_search() -> None:
    offload = Offload()
    with searches(offload, 2):
        REQUEST_ID.set("r-17")
        assert await offload.run(REQUEST_ID.get) == "r-17"


async def test_the_thread_ends_with_the_searches_and_comes_back() -> None:
    offload = Offload()
    for _ in range(3):
        with searches(offload, 2):
            thread = await offload.run(threading.current_thread)
        await asyncio.to_thread(thread.join, LIMIT_S)
        assert not thread.is_alive()


@pytest.mark.parametrize("count", [1, 2])
async def test_what_fails_is_told_and_keeps_nobody_waiting(count: int) -> None:
    offload = Offload()

    def fail() -> None:
        raise LookupError("no such row")

    with searches(offload, count):
        with pytest.raises(LookupError, match="no such row"):
            await offload.run(fail)
        assert await offload.run(lambda: "next") == "next"


@pytest.mark.parametrize("store", ["memory", "sqlite"])
@pytest.mark.parametrize("mode", [None, "semantic", "keyword", "hybrid"])
async def test_searches_at_the_same_time_answer_as_alone(tmp_path: Path, store: str, mode: str | None) -> None:
    words = ("kitchen", "lamp", "green", "Küche", "кухня", "boat", "bread", "train")
    async with running_host(tmp_path, store=store, run_jobs=False) as host:
        texts = [f"The {one} and the {other}, {one} again" for one in words for other in words]
        given = [{"id": f"m{number}", "text": text, "user_id": "u"} for number, text in enumerate(texts)]
        await run(host, "create_memories", memories=given, deduplicate=False)
        fields: dict[str, Any] = {} if mode is None else {"search_mode": mode}

        async def search(word: str) -> list[tuple[str, float]]:
            answer = await run(host, "search_memories", text=f"which {word} and lamp?", **fields)
            return [(hit.id, hit.score) for hit in answer.memories]

        alone = [await search(word) for word in words]
        assert await asyncio.gather(*map(search, words)) == alone
        assert any(alone)
