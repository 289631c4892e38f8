"""What is special about the sqlite store: processes, crashes, migrations, embedders, damaged files, threads."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import apsw
import pytest

from memhost.errors import ConfigurationError, StoreMismatch, StoreUnavailable
from memhost.models import CandidateQuery, Condition, Op, StoredMemory, TextMatch, WriteBatch
from memhost.ports import Store, SystemClock
from memhost.specs import OpenContext
from memhost.testing.factories import START, make_job, make_key, make_memory, make_scope, make_session, make_vector, put
from memhost_store_sqlite.conditions import compile_conditions
from memhost_store_sqlite.connection import Readers, Writer, connect
from memhost_store_sqlite.schema import MIGRATIONS, migrate
from memhost_store_sqlite.settings import SqliteSettings
from memhost_store_sqlite.store import open_sqlite

EVERYWHERE = make_scope()
FAST = SqliteSettings(synchronous="normal", readers=2)


def opening(
    folder: Path,
    settings: SqliteSettings = FAST,
    *,
    embedder: str | None = "e",
    dimensions: int | None = 8,
    reindex: bool = False,
) -> AbstractAsyncContextManager[Store]:
    context = OpenContext(
        data_dir=folder, clock=SystemClock(), embedder=embedder, dimensions=dimensions, reindex=reindex
    )
    return open_sqlite(settings, context)


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


async def count(store: Store) -> int:
    return (await store.info()).counts["memories"]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    left = [thread.name for thread in threading.enumerate() if thread not in before and "memhost" in thread.name]
    assert not left, "a closed store leaves no thread behind"


# -- opening -----------------------------------------------------------------------------------------------


async def test_file_is_made_in_the_data_folder_for_its_owner_alone(tmp_path: Path) -> None:
    async with opening(tmp_path) as store:
        info = await store.info()
    file = tmp_path / "memhost.db"
    assert info.details["path"] == str(file)
    assert file.stat().st_mode & 0o077 == 0
    assert names(tmp_path) == ["memhost.db"], "the log is folded in at closing"


async def test_path_may_be_set(tmp_path: Path) -> None:
    async with opening(tmp_path, SqliteSettings(path=str(tmp_path / "other.db"))) as store:
        await store.ping()
    assert (tmp_path / "other.db").exists()


async def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nowhere"):
        async with opening(tmp_path, SqliteSettings(path=str(tmp_path / "nowhere" / "m.db"))):
            pass


async def test_a_folder_instead_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "memhost.db").mkdir()
    with pytest.raises(ConfigurationError, match=r"memhost\.db"):
        async with opening(tmp_path):
            pass


async def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "memhost.db"
    file.write_bytes(b"these are my notes, not a database. " * 200)
    before = file.read_bytes()
    with pytest.raises(ConfigurationError, match="not a SQLite database"):
        async with opening(tmp_path):
            pass
    assert file.read_bytes() == before


async def test_a_damaged_file_says_so_and_never_looks_empty(tmp_path: Path) -> None:
    async with opening(tmp_path) as store:
        await store.commit(EVERYWHERE, put(*(make_memory(f"m{number}", "word " * 50) for number in range(500))))
    file = tmp_path / "memhost.db"
    content = bytearray(file.read_bytes())
    content[8192:] = b"\xa5" * (len(content) - 8192)
    file.write_bytes(bytes(content))
    with pytest.raises((ConfigurationError, StoreUnavailable), match="damaged"):
        async with opening(tmp_path) as store:
            await store.list_memories(EVERYWHERE)


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    async with opening(tmp_path):
        pass
    with sqlite3.connect(tmp_path / "memhost.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreMismatch, match="newer memhost"):
        async with opening(tmp_path):
            pass


def test_migrations_run_forward_once_and_keep_the_data(tmp_path: Path) -> None:
    async def fill() -> None:
        async with opening(tmp_path) as store:
            await store.commit(EVERYWHERE, put(make_memory("m1", "apple")))

    asyncio.run(fill())
    path = tmp_path / "memhost.db"
    later = (
        *MIGRATIONS,
        "ALTER TABLE memories ADD COLUMN note TEXT",
        "UPDATE memories SET note = coalesce(note, '') || 'x'",
    )
    versions: list[int] = []

    def upgrade() -> None:
        connection = connect(path, FAST, reading=False)
        versions.append(migrate(connection, path, later))
        connection.close()

    threads = [threading.Thread(target=upgrade) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert versions == [len(later)] * 6
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT id, note FROM memories").fetchall() == [("m1", "x")]
    connection.close()


def test_a_failing_migration_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "memhost.db"
    path.touch()
    connection = connect(path, FAST, reading=False)
    migrate(connection, path)
    with pytest.raises(apsw.SQLError):
        migrate(connection, path, (*MIGRATIONS, "CREATE TABLE half(x); SELECT nonsense"))
    assert connection.pragma("user_version") == len(MIGRATIONS)
    assert not connection.execute("SELECT * FROM sqlite_schema WHERE name = 'half'").fetchall()
    connection.close()


# -- embedders ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("embedder", "dimensions"), [("other", 8), ("e", 4)])
async def test_vectors_of_another_embedder_are_refused(tmp_path: Path, embedder: str, dimensions: int) -> None:
    async with opening(tmp_path) as store:
        await store.commit(EVERYWHERE, put(make_memory("m1", vector=make_vector(1))))
    with pytest.raises(StoreMismatch, match="memhost reindex"):
        async with opening(tmp_path, embedder=embedder, dimensions=dimensions):
            pass
    async with opening(tmp_path) as store:
        (found,) = await store.get_memories(EVERYWHERE, ["m1"])
    assert found.vector is not None, "being refused changes nothing"


async def test_reindexing_drops_the_vectors_and_keeps_the_memories(tmp_path: Path) -> None:
    async with opening(tmp_path) as store:
        await store.commit(EVERYWHERE, put(make_memory("m1", "apple", vector=make_vector(1))))
    async with opening(tmp_path, embedder="other", reindex=True) as store:
        (found,) = await store.get_memories(EVERYWHERE, ["m1"])
        assert found.vector is None
        assert (await store.candidates(EVERYWHERE, CandidateQuery(vector=make_vector(1)))).hits == []
        assert (await store.info()).embedder == "other"
    async with opening(tmp_path, embedder="other") as store:
        assert await count(store) == 1


async def test_a_file_without_vectors_takes_any_embedder(tmp_path: Path) -> None:
    async with opening(tmp_path) as store:
        await store.commit(EVERYWHERE, put(make_memory("m1")))
    async with opening(tmp_path, embedder="other", dimensions=4) as store:
        assert ((await store.info()).embedder, (await store.info()).dimensions) == ("other", 4)


async def test_a_process_whose_vectors_were_replaced_compares_nothing(tmp_path: Path) -> None:
    async with opening(tmp_path) as old:
        await old.commit(EVERYWHERE, put(make_memory("m1", "apple", vector=make_vector(1))))
        async with opening(tmp_path, embedder="other", reindex=True):
            pass
        with pytest.raises(StoreMismatch):
            await old.candidates(EVERYWHERE, CandidateQuery(vector=make_vector(1)))
        with pytest.raises(StoreMismatch):
            await old.commit(EVERYWHERE, put(make_memory("m2", vector=make_vector(1))))
        found = await old.candidates(EVERYWHERE, CandidateQuery(text=TextMatch(any_of=("apple",))))
        assert len(found.hits) == 1


async def test_a_vector_of_the_wrong_length_is_refused(tmp_path: Path) -> None:
    async with opening(tmp_path, dimensions=4) as store:
        with pytest.raises(ValueError, match="8 dimensions"):
            await store.commit(EVERYWHERE, put(make_memory("m1", vector=make_vector(1))))
        assert await count(store) == 0


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


@pytest.mark.slow
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


@pytest.mark.slow
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
        with pytest.raises(StoreUnavailable, match="Another process is writing"):
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

    writer = Writer("memhost-test", small, file)
    try:
        columns = "tenant, kind, id, namespace, user, updated_at, body"
        insert = f"INSERT INTO documents({columns}) VALUES('t', 'k', ?, '', '', 0, ?)"
        large = writer.submit(lambda connection: connection.execute(insert, ("large", bytes(10**6))))
        with pytest.raises(StoreUnavailable, match="is full"):
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

    writer = Writer("memhost-test", open_late, path)
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
    readers = Readers("memhost-test", 1, lambda: connect(path, FAST, reading=True), path)
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


async def test_a_closed_store_refuses_calls(tmp_path: Path) -> None:
    async with opening(tmp_path) as store:
        pass
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


# -- search at size ----------------------------------------------------------------------------------------


async def test_very_common_terms_are_bounded_and_rare_ones_still_rank(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memhost_store_sqlite.fulltext.POSTING_LIMIT", 200)
    memories: list[StoredMemory] = [
        make_memory(f"m{number:04}", "common " + ("rare" if number % 100 == 99 else "filler")) for number in range(2000)
    ]
    async with opening(tmp_path) as store:
        await store.commit(EVERYWHERE, put(*memories))
        text = TextMatch(any_of=("common", "rare"))
        query = CandidateQuery(text=text, text_limit=10, statistics_for=("common", "rare"), count=True)
        found = await store.candidates(EVERYWHERE, query)
        assert [hit.memory.record.id for hit in found.hits] == [f"m{number:04}" for number in range(99, 1000, 100)]
        assert found.total == 2000, "counting is exact"
        assert found.frequencies["rare"] == 20
        assert 1500 <= found.frequencies["common"] <= 2000, "an estimate"


async def test_the_log_stays_short_while_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memhost_store_sqlite.connection.CHECKPOINT_PAGES", 50)
    async with opening(tmp_path) as store:
        for number in range(200):
            await store.commit(EVERYWHERE, put(make_memory(f"m{number}", "apple " * 200)))
        assert (tmp_path / "memhost.db-wal").stat().st_size < 200 * 4096


def test_fts5_finds_its_segments_by_key(tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / "new.db"))
    migrate(connection, tmp_path / "new.db")
    plan = connection.execute("EXPLAIN QUERY PLAN DELETE FROM words_data WHERE id >= 1 AND id <= 2").fetchall()
    connection.close()
    assert "SEARCH" in str(plan)


async def test_scopes_of_many_users_are_cut_into_several_queries(tmp_path: Path) -> None:
    users = [f"u{number}" for number in range(450)]
    async with opening(tmp_path) as store:
        await store.commit(EVERYWHERE, put(*(make_memory(user, "apple", user_id=user) for user in users)))
        query = CandidateQuery(
            text=TextMatch(any_of=("apple",)), text_limit=1000, statistics_for=("apple",), count=True
        )
        found = await store.candidates(make_scope(users=tuple(users[:430])), query)
        assert (len(found.hits), found.frequencies, found.total) == (430, {"apple": 430}, 430)


async def test_looking_for_repetitions_does_not_read_the_whole_tenant(tmp_path: Path) -> None:
    async with opening(tmp_path) as store:
        await store.commit(
            EVERYWHERE, put(*(make_memory(f"m{number}", memory_hash=f"{number}") for number in range(50)))
        )
    connection = connect(tmp_path / "memhost.db", FAST, reading=True)
    conditions = [Condition("memory_hash", Op.ANY, ("1", "2")), Condition("memory_type", Op.NONE, ("message",))]
    where, bindings = compile_conditions(conditions, EVERYWHERE.tenant)
    question = (
        f"EXPLAIN QUERY PLAN SELECT m.rid FROM memories m WHERE m.tenant = 1 AND {where} ORDER BY created_at LIMIT 9"
    )
    steps = [str(row[3]) for row in connection.execute(question, bindings)]
    connection.close()
    assert "memories_by_hash" in steps[0], "the statistics in the schema must make the planner prefer this index"
