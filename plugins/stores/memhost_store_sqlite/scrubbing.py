"""Removing the rests that deletions leave: words of deleted memories, the write-ahead log, free pages.

The writer's connection overwrites with zeros whatever it deletes (`PRAGMA secure_delete`, and see `pages`). The remains
are words in the full-text index, which forgets them when its segments are merged, and copies in the write-ahead log.
Both go in steps of some milliseconds, between which others write. Only a file that was made before that, whose free
pages hold whatever was deleted earlier, is rewritten as a whole, once.
"""

from __future__ import annotations

import apsw

_KEPT_CLEAN = "kept_clean"
"""Key in `settings` of files in which nothing was ever deleted without being overwritten."""
_PAGES = 64
"""Pages of the full-text index that one step writes: some milliseconds."""
_BUSY_MS = 20
"""Time that the writer waits for readers that still need the write-ahead log, before it lets others write."""


def is_kept_clean(connection: apsw.Connection) -> bool:
    """Tell whether all data deleted in that file was overwritten."""
    return connection.execute("SELECT 1 FROM settings WHERE key = ?", (_KEPT_CLEAN,)).fetchone() is not None


def keep_clean(connection: apsw.Connection) -> None:
    """Mark a new file, or one that was just rewritten, as kept clean."""
    connection.execute("INSERT OR REPLACE INTO settings(key, value) VALUES(?, '1')", (_KEPT_CLEAN,))


def merge_step(connection: apsw.Connection, *, first: bool) -> bool:
    """Merge a little of the full-text index; return whether there may be more to do.

    Source: "The 'merge' command", https://sqlite.org/fts5.html: a negative number begins to merge all segments.
    """
    before = connection.total_changes()
    connection.execute("INSERT INTO words(words, rank) VALUES('merge', ?)", (-_PAGES if first else _PAGES,))
    return first or connection.total_changes() - before >= 2


def empty_log(connection: apsw.Connection, busy_timeout_s: float) -> bool:
    """Copy the write-ahead log into the file and cut it to nothing; False if readers still need it."""
    connection.set_busy_timeout(_BUSY_MS)
    try:
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    except apsw.BusyError:
        return False
    finally:
        connection.set_busy_timeout(int(busy_timeout_s * 1000))
    return True


def rewrite(connection: apsw.Connection) -> None:
    """Rewrite the file with the stored data only. Takes about as long as copying the file.

    Raises:
        apsw.Error: There is no room for the copy, or another process does not let go of the file.
    """
    connection.execute("INSERT INTO words(words) VALUES('optimize')")
    connection.pragma("temp_store", "file")
    try:
        connection.execute("VACUUM")
    finally:
        connection.pragma("temp_store", "memory")
    keep_clean(connection)
    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
