"""The tables, as numbered forward migrations under `PRAGMA user_version`.

`scopes` numbers every way of asking for memories: the tenant alone, tenant and namespace, tenant and user, all
three, and all three with a session. A memory belongs to one scope of each kind; their numbers are columns of
`memories`, tokens of the full-text index, and the high bits of the keys of `contents` and `vectors`, so that
every question about one owner is a short range of an index. `documents` and `length` count the memories of a
scope and their terms; they are kept in the transaction that changes them.

Numbers are never reused (AUTOINCREMENT), so that a cache in another process can hold on to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import apsw

from memhost.errors import StoreMismatch
from memhost_store_sqlite.connection import transaction

INITIAL = """
CREATE TABLE settings(key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;

CREATE TABLE scopes(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  kind INTEGER NOT NULL,
  tenant TEXT NOT NULL, namespace TEXT NOT NULL, user TEXT NOT NULL, session TEXT NOT NULL,
  documents INTEGER NOT NULL DEFAULT 0, length INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX scopes_by_owner ON scopes(kind, tenant, user, namespace, session);
CREATE INDEX scopes_by_session ON scopes(tenant, session) WHERE kind = 4;

CREATE TABLE memories(
  rid INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant INTEGER NOT NULL, nscope INTEGER NOT NULL, uscope INTEGER NOT NULL,
  owner INTEGER NOT NULL, session INTEGER NOT NULL,
  id TEXT NOT NULL, position INTEGER, length INTEGER NOT NULL,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, last_accessed INTEGER NOT NULL,
  event_date INTEGER, valid_from INTEGER, valid_to INTEGER,
  access_count INTEGER NOT NULL, memory_type TEXT NOT NULL, extraction_strategy TEXT NOT NULL,
  hash TEXT NOT NULL
);
CREATE UNIQUE INDEX memories_by_id ON memories(tenant, id);
CREATE INDEX memories_by_hash ON memories(tenant, hash);
CREATE INDEX memories_by_tenant ON memories(tenant, created_at);
CREATE INDEX memories_by_namespace ON memories(nscope, created_at);
CREATE INDEX memories_by_owner ON memories(owner, created_at, valid_from, valid_to);
CREATE INDEX memories_by_session ON memories(session, position);

CREATE TABLE contents(vid INTEGER PRIMARY KEY, body BLOB NOT NULL, words BLOB NOT NULL);
CREATE TABLE vectors(vid INTEGER PRIMARY KEY, vector BLOB NOT NULL);
CREATE TABLE facets(
  rid INTEGER NOT NULL, key TEXT NOT NULL, seq INTEGER NOT NULL, text TEXT, number REAL,
  PRIMARY KEY(rid, key, seq)
) WITHOUT ROWID;
CREATE VIRTUAL TABLE words USING fts5(scope, terms, content='', contentless_delete=1, tokenize='ascii');

CREATE TABLE sessions(
  rid INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL, namespace TEXT NOT NULL, user TEXT NOT NULL, session TEXT NOT NULL,
  version INTEGER NOT NULL, updated_at INTEGER NOT NULL, expires_at INTEGER, body BLOB NOT NULL
);
CREATE UNIQUE INDEX sessions_by_key ON sessions(tenant, user, namespace, session);
CREATE INDEX sessions_by_name ON sessions(tenant, session);
CREATE INDEX sessions_by_time ON sessions(tenant, updated_at);
CREATE INDEX sessions_by_expiry ON sessions(expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE documents(
  rid INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL,
  namespace TEXT NOT NULL, user TEXT NOT NULL,
  updated_at INTEGER NOT NULL, expires_at INTEGER, body BLOB NOT NULL
);
CREATE UNIQUE INDEX documents_by_id ON documents(tenant, kind, id);
CREATE INDEX documents_by_expiry ON documents(expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE jobs(
  rid INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE, tenant TEXT NOT NULL, event TEXT NOT NULL, plugin TEXT NOT NULL,
  payload BLOB NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL, due_at INTEGER NOT NULL,
  lease TEXT NOT NULL DEFAULT '', lease_until INTEGER, last_error TEXT, successor BLOB
);
CREATE INDEX jobs_pending ON jobs(due_at, id) WHERE state = 'pending';
CREATE INDEX jobs_running ON jobs(lease_until) WHERE state = 'running';
CREATE INDEX jobs_by_tenant ON jobs(tenant, created_at, id);

ANALYZE memories;
INSERT INTO sqlite_stat1(tbl, idx, stat) VALUES
  ('memories', 'memories_by_id', '1000000 200000 1'),
  ('memories', 'memories_by_hash', '1000000 200000 2'),
  ('memories', 'memories_by_tenant', '1000000 200000 2'),
  ('memories', 'memories_by_namespace', '1000000 100000 2'),
  ('memories', 'memories_by_owner', '1000000 1000 2 2 2'),
  ('memories', 'memories_by_session', '1000000 20 1');
ANALYZE sqlite_schema;
"""
"""The statistics are set, not measured: what is selective follows from the tables' meaning, and a plan that depends
on when ANALYZE last ran would change during a measurement. Only the empty table `memories` is analysed: what ANALYZE
finds in the tables of a new full-text index, "two rows", would have FTS5 scan its whole index for every segment that
it drops. The last line has the connection that made the tables read the statistics."""

FAILURES = """
ALTER TABLE jobs ADD COLUMN failures INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN deaths INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN waiting_since INTEGER;
CREATE INDEX jobs_waiting ON jobs(due_at, id) WHERE state = 'waiting';
CREATE INDEX jobs_waiting_by_age ON jobs(created_at, id) WHERE state = 'waiting';
UPDATE jobs SET failures = attempts - (state = 'running') WHERE attempts > 0 AND last_error IS NOT NULL
  AND last_error <> 'interrupted by shutdown' AND last_error NOT LIKE 'Conflict: Memories are being compacted already%';
UPDATE jobs SET deaths = attempts - failures - (state = 'running') WHERE attempts > failures;
"""
"""Attempts that failed and those whose process died (see `memhost.models.Job`), and jobs that wait."""

BOOLEANS = """
INSERT INTO facets SELECT rid, key, seq + 1000000, text || char(65535), NULL FROM facets
  WHERE key >= 'metadata.' AND key < 'metadata/' AND text IN ('true', 'false');
"""
"""The text "true" is found apart from the boolean (`memhost.models.filters.metadata_text`). Which of them an older row
holds its facets do not tell: it is found by both, as before, until it is written again."""

TIMES = """
ALTER TABLE memories ADD COLUMN said_at INTEGER;
ALTER TABLE memories ADD COLUMN event_end INTEGER;
ALTER TABLE memories ADD COLUMN held_from INTEGER;
"""
"""Times of records by which memories are filtered; rows that are older have none until they are written again."""

TRUST = "ALTER TABLE memories ADD COLUMN trust TEXT NOT NULL DEFAULT ''"
"""The level of trust of records; of rows that are older nothing is known until they are written again."""

HISTORY = """
ALTER TABLE contents ADD COLUMN seal BLOB;
ALTER TABLE contents ADD COLUMN proof BLOB;
ALTER TABLE sessions ADD COLUMN seal BLOB;
ALTER TABLE documents ADD COLUMN seal BLOB;
CREATE TABLE chains(number INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL UNIQUE);
CREATE TABLE changes(
  cid INTEGER PRIMARY KEY, memory TEXT, version INTEGER NOT NULL, digest BLOB NOT NULL, link BLOB NOT NULL,
  entry BLOB, former BLOB
);
CREATE INDEX changes_by_memory ON changes(memory, cid, version) WHERE memory IS NOT NULL;
"""
"""Seals of what is kept, and the chain of changes (see `history`). What is there already is sealed when the file is
opened (`sealing`)."""

VALIDITY = """
CREATE INDEX memories_ending ON memories(owner, valid_to) WHERE valid_to IS NOT NULL;
CREATE INDEX memories_beginning ON memories(owner, valid_from, valid_to) WHERE valid_from IS NOT NULL;
"""
"""Those that do not hold at a moment are few: they are counted, and the rest is what holds (`listing`)."""

BLOCKS = """
CREATE TABLE vector_axes(dimensions INTEGER PRIMARY KEY, mean BLOB NOT NULL, axes BLOB NOT NULL);
CREATE TABLE vector_blocks(
  last INTEGER PRIMARY KEY, dimensions INTEGER NOT NULL, count INTEGER NOT NULL, dead INTEGER NOT NULL,
  error REAL NOT NULL, keys BLOB NOT NULL, heads BLOB NOT NULL, tails BLOB NOT NULL, scales BLOB NOT NULL
);
CREATE TABLE vectors_gone(vid INTEGER PRIMARY KEY);
CREATE TRIGGER vectors_deleted AFTER DELETE ON vectors
WHEN EXISTS(SELECT 1 FROM vector_blocks WHERE last BETWEEN old.vid AND (old.vid | ((1 << 36) - 1)))
BEGIN INSERT OR IGNORE INTO vectors_gone VALUES(old.vid); END;
"""
"""Rounded vectors of large owners (see `vector_blocks`), and which of them are to be overwritten."""

MIGRATIONS: tuple[str, ...] = (INITIAL, FAILURES, BOOLEANS, TIMES, TRUST, HISTORY, VALIDITY, BLOCKS)
"""Step n brings a file from version n to n + 1. Steps are never edited after a release, only appended."""


def migrate(connection: apsw.Connection, path: Path, migrations: Sequence[str] = MIGRATIONS) -> int:
    """Bring the file to the newest schema and return its version.

    Several processes may do this at once: the version is read again under the write lock, so each step runs
    once; a step and its new version are committed together.

    Raises:
        StoreMismatch: The file was written by a newer version of memhost, or by one from before the first release.
    """
    while True:
        version = _version(connection)
        if version > len(migrations):
            raise StoreMismatch(
                f"{path} has schema version {version}, but this memhost knows versions up to {len(migrations)}; "
                "install the newer memhost that wrote it, or restore an older backup."
            )
        if version == len(migrations):
            _check_shape(connection, path)
            return version
        with transaction(connection):
            if _version(connection) == version:
                connection.execute(migrations[version])
                connection.pragma("user_version", version + 1)


def _check_shape(connection: apsw.Connection, path: Path) -> None:
    """The first step was still edited before the first release."""
    columns = {row[1] for row in connection.execute("PRAGMA table_info(memories)")}
    if "hash" not in columns:
        raise StoreMismatch(
            f"{path} was written by a pre-release version of memhost with other tables: choose another folder with "
            "--data, or move the file away."
        )


def _version(connection: apsw.Connection) -> int:
    version = connection.pragma("user_version")
    assert isinstance(version, int)
    return version
