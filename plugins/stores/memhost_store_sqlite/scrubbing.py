"""Removing the rests that deletions leave: free pages, words of deleted memories, the write-ahead log."""

from __future__ import annotations

import apsw


def scrub(connection: apsw.Connection) -> None:
    """Write the file anew, with nothing in it but what is stored. Takes about as long as copying the file.

    Deleted rows stay readable in free pages, and words of deleted memories in the full-text index, until something
    else happens to be written over them.

    Raises:
        apsw.Error: There is no room for the copy, or another process does not let go of the file.
    """
    connection.execute("INSERT INTO words(words) VALUES('optimize')")
    connection.pragma("temp_store", "file")
    try:
        connection.execute("VACUUM")
    finally:
        connection.pragma("temp_store", "memory")
    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
