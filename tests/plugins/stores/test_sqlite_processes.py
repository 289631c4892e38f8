"""Processes and threads that share one sqlite file: crashes, locks, groups of writes, closing and cancelling."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import apsw
import pytest
from tests.support.sqlite_files import EVERYWHERE, FAST, count, no_thread_is_left, opening  # noqa: F401

from memhost.errors import StoreUnavailable
from memhost.models import CandidateQuery, Document, StoredSession, TextMatch, WriteBatch
from memhost.testing.factories import (
    START,
    make_document,
    make_job,
    make_key,
    make_memory,
    make_session,
    make_vector,
    put,
)
from memhost_store_sqlite import documents, sessions
from memhost_store_sqlite.connection import FileGuard, Readers, Writer, connect
from memhost_store_sqlite.settings import SqliteSettings

# -- processes ---------------------------------------------------------------------------------------------

WRITER = """
import asyncio, sys
from pathlib import Path
from memhost.ports import SystemClock
from memhost.specs import OpenContext
from memhost.testing.factories import make_memory, make_job, make_key, make_scope, make_session, make_vector
from memhost.models import WriteBatch
from memhost_store_sqlite.settings import SqliteSettings
from memhost_store_sqlite.store import open_sqlite

async def main(folder, name, limit):
    context = OpenContext(data_dir=Path(folder), clock=SystemClock(), embedder="e", dimensions=8)
    async with open_sqlite(SqliteSettings(), context) as store:
        async def write(number):
            each = f"{name}-{number}"
            memories = [make_memory(f"{each}-{part}", "apple", vector=make_vector(1, part)) for part in (1, 2)]
            batch = WriteBatch(
                put_memories=memories, put_session=make_session(make_key(each)), add_jobs=[make_job(each)]
            )
            await store.commit(make_scope(), batch)
            sys.stdout.write(each + "\\n")
            sys.stdout.flush()
        number = 0
        while number < limit:
            await asyncio.gather(*(write(number + part) for part in range(5)))
            number += 5

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


def start_writer(folder: Path, name: str, limit: int) -> subprocess.Popen[str]:
    paths = os.pathsep.join(path for path in sys.path if path)
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), name, str(limit)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )


async def test_no_acknowledged_write_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    acknowledged: list[str] = []
    for number in range(4):
        process = start_writer(tmp_path, f"round{number}", 1_000_000)
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(20 + 13 * number)]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
        process.stdout.close()
        process.wait()
        acknowledged += [line.strip() for line in lines if line.endswith("\n")]
    async with opening(tmp_path) as store:
        for each in acknowledged:
            assert len(await store.get_memories(EVERYWHERE, [f"{each}-1", f"{each}-2"])) == 2
            assert await store.get_session(EVERYWHERE, make_key(each), START) is not None
        counts = (await store.info()).counts
        assert counts["memories"] == 2 * counts["sessions"] == 2 * counts["jobs"], "batches are whole"
        assert counts["jobs"] >= len(acknowledged)
        query = CandidateQuery(
            text=TextMatch(any_of=("apple",)), vector=make_vector(1, 1), statistics_for=("apple",), count=True
        )
        found = await store.candidates(EVERYWHERE, query)
        assert (found.documents, found.frequencies["apple"], found.total) == (counts["memories"],) * 3
    check = sqlite3.connect(tmp_path / "memhost.db")
    assert check.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    check.close()


async def test_two_processes_write_one_file(tmp_path: Path) -> None:
    processes = [start_writer(tmp_path, name, 50) for name in ("a", "b")]
    async with opening(tmp_path) as store:
        for number in range(30):
            await store.commit(EVERYWHERE, put(make_memory(f"mine-{number}", vector=make_vector(1))))
            await store.candidates(EVERYWHERE, CandidateQuery(vector=make_vector(1), vector_limit=3))
        for process in processes:
            await asyncio.to_thread(process.communicate)
            assert process.returncode == 0
        assert await count(store) == 230
        jobs = await asyncio.gather(*(store.claim_jobs(START, 30, 60) for _ in range(5)))
        assert len({job.id for part in jobs for job in part}) == 100


async def test_two_stores_share_claims_sessions_and_searches(tmp_path: Path) -> None:
    settings = SqliteSettings(synchronous="normal", scan_rows=0)
    async with opening(tmp_path, settings) as one, opening(tmp_path, settings) as two:
        await one.commit(EVERYWHERE, put(make_memory("m1", vector=make_vector(1)), put_session=make_session()))
        nearest = CandidateQuery(vector=make_vector(1), vector_limit=5)
        assert len((await two.candidates(EVERYWHERE, nearest)).hits) == 1
        await two.commit(EVERYWHERE, put(make_memory("m2", vector=make_vector(1)), delete_memories=["m1"]))
        assert [hit.memory.record.id for hit in (await one.candidates(EVERYWHERE, nearest)).hits] == ["m2"]
        session = await two.get_session(EVERYWHERE, make_key(), START)
        assert session is not None
        await one.commit(EVERYWHERE, WriteBatch(add_jobs=[make_job(f"j{number}") for number in range(20)]))
        claims = await asyncio.gather(*(store.claim_jobs(START, 3, 60) for store in (one, two) * 4))
        ids = [job.id for jobs in claims for job in jobs]
        assert sorted(ids) == sorted(f"j{number}" for number in range(20))


async def test_a_locked_file_is_unavailable_and_recovers(tmp_path: Path) -> None:
    async with opening(tmp_path, SqliteSettings(synchronous="normal", busy_timeout_s=0.1)) as store:
        blocker = apsw.Connection(str(tmp_path / "memhost.db"))  # not sqlite3: its locks are those of this process
        blocker.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="written by another process"):
            await store.commit(EVERYWHERE, put(make_memory("m1")))
        assert await count(store) == 0, "reading goes on"
        blocker.execute("ROLLBACK")
        blocker.close()
        await store.commit(EVERYWHERE, put(make_memory("m1")))
        assert await count(store) == 1


async def test_a_full_disk_fails_the_write_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "memhost.db"
    async with opening(tmp_path) as store:
        await store.commit(EVERYWHERE, put(make_memory("m1")))

    def small() -> apsw.Connection:
        connection = connect(file, FAST, reading=False)
        connection.pragma("max_page_count", int(str(connection.pragma("page_count"))) + 5)
        return connection

    writer = Writer("memhost-test", small, FileGuard(file))
    try:
        columns = "tenant, kind, id, namespace, user, updated_at, body"
        insert = f"INSERT INTO documents({columns}) VALUES('t', 'k', ?, '', '', 0, ?)"
        large = writer.submit(lambda connection: connection.execute(insert, ("large", bytes(10**6))))
        with pytest.raises(StoreUnavailable, match="disk is full"):
            await asyncio.wrap_future(large)
        await asyncio.wrap_future(
            writer.submit(lambda connection: connection.execute(insert, ("small", b"x")).fetchall())
        )
    finally:
        writer.stop()
        writer.join()
    async with opening(tmp_path) as store:
        assert await count(store) == 1


# -- threads -----------------------------------------------------------------------------------------------


async def run_together(path: Path, works: Sequence[Any]) -> list[Any]:
    """Run works as one group of the writer."""
    gate = threading.Event()

    def open_late() -> apsw.Connection:
        gate.wait()
        return connect(path, FAST, reading=False)

    writer = Writer("memhost-test", open_late, FileGuard(path))
    futures: list[Future[Any]] = [writer.submit(lambda _: None), *(writer.submit(work) for work in works)]
    gate.set()
    writer.stop()
    results = await asyncio.gather(*map(asyncio.wrap_future, futures), return_exceptions=True)
    writer.join()
    return list(results[1:])


async def test_a_batch_that_fails_half_way_does_not_spoil_its_group(tmp_path: Path) -> None:
    path = tmp_path / "plain.db"
    path.touch()

    def make(connection: apsw.Connection) -> None:
        connection.execute("CREATE TABLE t(x UNIQUE)")

    def insert(*values: object) -> Any:
        def work(connection: apsw.Connection) -> object:
            for value in values:
                connection.execute("INSERT INTO t VALUES(?)", (value,))
            return values

        return work

    def fail(connection: apsw.Connection) -> None:
        connection.execute("INSERT INTO t VALUES('half')")
        raise RuntimeError("after a change")

    def refuse(_: apsw.Connection) -> None:
        raise RuntimeError("before any change")

    results = await run_together(path, [make, insert(1), insert(2, 1), refuse, fail, insert(3)])
    assert results[:2] == [None, (1,)]
    assert isinstance(results[2], StoreUnavailable)
    assert [str(error) for error in results[3:5]] == ["before any change", "after a change"]
    assert results[5] == (3,)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT x FROM t ORDER BY x").fetchall() == [(1,), (3,)]
    connection.close()


async def test_work_cancelled_before_it_began_is_not_done(tmp_path: Path) -> None:
    path = tmp_path / "plain.db"
    path.touch()
    gate = threading.Event()
    guard = FileGuard(path)
    readers = Readers(name="memhost-test", count=1, connect=lambda: connect(path, FAST, reading=True), guard=guard)
    done: list[int] = []
    blocking = readers.submit(lambda _: gate.wait())
    waiting = asyncio.ensure_future(asyncio.wrap_future(readers.submit(lambda _: done.append(1))))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    gate.set()
    await asyncio.wrap_future(blocking)
    readers.stop()
    readers.join()
    assert done == []


async def test_reading_sees_one_moment_while_others_write(tmp_path: Path) -> None:
    async with opening(tmp_path) as store:

        async def write() -> None:
            for number in range(40):
                pair = [make_memory(f"{number}-{side}", "apple") for side in "ab"]
                await store.commit(EVERYWHERE, put(*pair))

        async def read() -> None:
            query = CandidateQuery(text=TextMatch(any_of=("apple",)), statistics_for=("apple",), count=True)
            for _ in range(40):
                found = await store.candidates(EVERYWHERE, query)
                assert found.documents % 2 == 0
                assert found.documents == found.frequencies["apple"] == found.total == len(found.hits)

        await asyncio.gather(write(), read(), read())


async def test_the_event_loop_runs_on_while_the_store_works(tmp_path: Path) -> None:
    async with opening(tmp_path) as store:
        memories = [
            make_memory(f"m{number}", "some words here", vector=make_vector(1, number)) for number in range(3000)
        ]
        commit = asyncio.create_task(store.commit(EVERYWHERE, put(*memories)))
        ticks = 0
        while not commit.done():
            await asyncio.sleep(0.001)
            ticks += 1
        assert ticks > 5


async def test_a_look_up_that_would_wait_is_left_to_a_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite lets readers wait only in moments that no test can hold, such as recovery after a crash."""
    own, real = threading.get_ident(), documents.get
    refused = 0

    def get(*arguments: Any) -> Document | None:
        nonlocal refused
        if threading.get_ident() == own:
            refused += 1
            raise apsw.BusyError
        return real(*arguments)

    async with opening(tmp_path) as store:
        await store.commit(EVERYWHERE, WriteBatch(put_documents=[make_document("d1")]))
        monkeypatch.setattr(documents, "get", get)
        assert await store.get_document(EVERYWHERE, "view", "d1", START) == make_document("d1")
    assert refused == 1


@pytest.mark.parametrize(("letters", "by_reader"), [(0, False), (60_000, False), (70_000, True), (3_000_000, True)])
async def test_only_a_long_session_is_handed_to_a_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, letters: int, by_reader: bool
) -> None:
    own, real = threading.get_ident(), sessions.get
    answered: list[bool] = []

    def get(*arguments: Any) -> StoredSession | None:
        found = real(*arguments)
        answered.append(threading.get_ident() != own)
        return found

    session = make_session()
    session.content.data = {"notes": "é" * (letters // 2)}
    async with opening(tmp_path) as store:
        await store.commit(EVERYWHERE, WriteBatch(put_session=session))
        monkeypatch.setattr(sessions, "get", get)
        found = await store.get_session(EVERYWHERE, session.key, START)
        assert found is not None
        assert found.content == session.content
        assert await store.get_session(EVERYWHERE, make_key("another"), START) is None
    assert answered == [by_reader, False]


async def test_a_closed_store_refuses_calls(tmp_path: Path) -> None:
    async with opening(tmp_path) as store:
        pass
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.get_document(EVERYWHERE, "view", "d1", START)
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.ping()
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.commit(EVERYWHERE, WriteBatch())


async def test_a_failing_body_closes_the_store(tmp_path: Path) -> None:
    async def fail() -> None:
        async with opening(tmp_path) as store:
            await store.commit(EVERYWHERE, put(make_memory("m1")))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    async with opening(tmp_path) as store:
        assert await count(store) == 1


async def test_opening_may_be_cancelled(tmp_path: Path) -> None:
    async def hold() -> None:
        async with opening(tmp_path):
            await asyncio.sleep(60)

    for delay in (0, 0.002, 0.02):
        task = asyncio.create_task(hold())
        await asyncio.sleep(delay)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
