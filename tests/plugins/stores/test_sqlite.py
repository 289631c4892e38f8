"""Tests of the sqlite store alone: its file, migrations, embedders, damaged files, search at size."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path

import apsw
import pytest
from tests.support.sqlite_files import EVERYWHERE, FAST, count, no_thread_is_left, opening  # noqa: F401

from memhost.errors import ConfigurationError, StoreMismatch, StoreUnavailable
from memhost.models import CandidateQuery, Condition, JobState, Op, Scope, StoredMemory, TextMatch, WriteBatch
from memhost.models.filters import metadata_text
from memhost.ports import KeepsHistory, Store
from memhost.testing.factories import after, make_job, make_memory, make_scope, make_vector, put
from memhost_store_sqlite.conditions import compile_conditions
from memhost_store_sqlite.connection import connect
from memhost_store_sqlite.schema import BOOLEANS, MIGRATIONS, TIMES, migrate
from memhost_store_sqlite.settings import SqliteSettings


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


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


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("PRAGMA user_version = 99", "newer memhost"),
        ("DROP INDEX memories_by_hash; ALTER TABLE memories DROP COLUMN hash", "pre-release version"),
    ],
)
async def test_a_file_with_other_tables_is_refused(change: str, told: str, tmp_path: Path) -> None:
    async with opening(tmp_path):
        pass
    with sqlite3.connect(tmp_path / "memhost.db") as connection:
        connection.executescript(change)
    connection.close()
    with pytest.raises(StoreMismatch, match=told):
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


def made_older(connection: sqlite3.Connection, version: int) -> None:
    """Take away what files of that version did not have yet."""
    connection.execute("DROP TRIGGER vectors_deleted")
    for table in ("vector_axes", "vector_blocks", "vectors_gone"):
        connection.execute(f"DROP TABLE {table}")
    for index in ("memories_ending", "memories_beginning"):
        connection.execute(f"DROP INDEX {index}")
    for table in ("changes", "chains"):
        connection.execute(f"DROP TABLE {table}")
    for table, column in (("contents", "proof"), ("contents", "seal"), ("sessions", "seal"), ("documents", "seal")):
        connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    for name in ("said_at", "event_end", "held_from", "trust"):
        connection.execute(f"ALTER TABLE memories DROP COLUMN {name}")
    connection.execute("DELETE FROM settings WHERE key = 'sealed'")
    connection.execute(f"PRAGMA user_version = {version}")


async def test_texts_that_read_like_booleans_are_told_apart_in_older_files(tmp_path: Path) -> None:
    memories = [make_memory("yes", metadata={"b": True}), make_memory("text", metadata={"b": "true"})]
    as_boolean = [Condition("metadata.b", Op.ANY, ("true",))]
    as_text = [Condition("metadata.b", Op.ANY, (metadata_text("true"),))]
    async with opening(tmp_path) as store:
        await store.commit(EVERYWHERE, put(*memories))
    with sqlite3.connect(tmp_path / "memhost.db") as connection:
        connection.execute("UPDATE facets SET text = 'true' WHERE key = 'metadata.b'")
        made_older(connection, MIGRATIONS.index(BOOLEANS))
    async with opening(tmp_path) as store:
        for conditions, name in ((as_boolean, "yes"), (as_text, "text")):
            found, _ = await store.list_memories(EVERYWHERE, conditions)
            assert [memory.record.id for memory in found] == [name]


async def test_rows_of_older_files_hold_since_they_were_said(tmp_path: Path) -> None:
    memory = make_memory("said", said_at=after(5), valid_to=after(9))
    held = [Condition("held_from", Op.NOT_GT, (after(4),))]
    async with opening(tmp_path) as store:
        await store.commit(EVERYWHERE, put(memory))
        assert (await store.list_memories(EVERYWHERE, held))[1] == 0
    with sqlite3.connect(tmp_path / "memhost.db") as connection:
        made_older(connection, MIGRATIONS.index(TIMES))
    async with opening(tmp_path) as store:
        assert (await store.list_memories(EVERYWHERE, held))[1] == 0
        assert isinstance(store, KeepsHistory)
        (entry,) = await store.list_entries(EVERYWHERE)
        assert entry.change is not None
        assert (entry.change.kind, entry.change.memory) == ("adopted", "said")
        assert (await store.verify()).found == 0


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


async def test_a_vector_that_somebody_removed_is_missed_and_one_that_was_dropped_is_not(tmp_path: Path) -> None:
    async def found(store: Store) -> list[tuple[str, str]]:
        assert isinstance(store, KeepsHistory)
        return [(each.id, each.detail) for each in (await store.verify()).findings]

    def remove(name: str) -> None:
        with apsw.Connection(str(tmp_path / "memhost.db")) as file:
            file.execute(
                "DELETE FROM vectors WHERE vid & 68719476735 = (SELECT rid FROM memories WHERE id = ?)", (name,)
            )

    def some(*names: str, vector: bool = True) -> WriteBatch:
        return put(*(make_memory(name, "apple", vector=make_vector(1) if vector else None) for name in names))

    async with opening(tmp_path) as store:
        await store.commit(EVERYWHERE, some("dropped", "again", "without later"))
        await store.commit(EVERYWHERE, some("never", "never, 也不", vector=False))
        await store.commit(EVERYWHERE, some("without later", vector=False))
        assert await found(store) == []
    async with opening(tmp_path, embedder="other", reindex=True) as store:
        assert await found(store) == []
        await store.commit(EVERYWHERE, some("again", "new"))
        assert await found(store) == []
    async with opening(tmp_path, embedder="other") as store:
        assert await found(store) == []
        remove("dropped")
        remove("never")
        assert await found(store) == [], "there was none"
        remove("again")
        remove("new")
        assert await found(store) == [("again", "Its vector is missing."), ("new", "Its vector is missing.")]
        assert isinstance(store, KeepsHistory)
        await store.seal_anew()
        assert await found(store) == [], "it is accepted as it stands"


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


EARLIER_JOBS = [
    # id, state, attempts, last_error -> failures, deaths
    ("died", "pending", 3, None, 0, 3),
    ("runs", "running", 3, None, 0, 2),
    ("failed", "pending", 2, "ValueError: a fault", 2, 0),
    ("failed-runs", "running", 2, "ValueError: a fault", 1, 0),
    ("stopped", "pending", 1, "interrupted by shutdown", 0, 1),
    ("met-another", "pending", 3, "Conflict: Memories are being compacted already; try again when that is done.", 0, 3),
    ("dead", "dead", 4, "ValueError: a fault", 4, 0),
    ("new", "pending", 0, None, 0, 0),
]


async def test_jobs_of_the_first_version_are_read_as_what_they_were(tmp_path: Path) -> None:
    async with opening(tmp_path):
        pass
    path = tmp_path / "memhost.db"
    path.unlink()
    connection = apsw.Connection(str(path))
    migrate(connection, path, MIGRATIONS[:1])
    for name, state, attempts, error, _, _ in EARLIER_JOBS:
        connection.execute(
            "INSERT INTO jobs(id, tenant, event, plugin, payload, state, attempts, created_at, due_at, lease_until, "
            "last_error) VALUES(?, 'default', 'memories_stored', 'p', x'', ?, ?, 0, 0, 5, ?)",
            (name, state, attempts, error),
        )
    connection.close()
    async with opening(tmp_path) as store:
        jobs, _ = await store.list_jobs(Scope())
        found = {job.id: (job.failures, job.deaths) for job in jobs}
        assert found == {name: (failures, deaths) for name, _, _, _, failures, deaths in EARLIER_JOBS}


@pytest.mark.parametrize(("name", "state", "attempts", "error", "failures", "deaths"), EARLIER_JOBS)
def test_jobs_that_tell_starts_alone_are_read_alike(
    name: str, state: str, attempts: int, error: str | None, failures: int, deaths: int
) -> None:
    job = make_job(name, state=JobState(state), attempts=attempts, last_error=error)
    assert (job.failures, job.deaths) == (failures, deaths)
