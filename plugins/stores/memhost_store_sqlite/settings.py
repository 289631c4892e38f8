"""Settings of the sqlite store: the section `[stores.sqlite]` of the configuration."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from memhost.settings import setting


class SqliteSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the file is and how much memory and patience the store may spend."""

    path: Annotated[
        str | None, setting("The database file, in a folder that exists; without it memhost.db in the data folder.")
    ] = None
    synchronous: Annotated[
        Literal["full", "normal"],
        setting(
            "full survives a power cut; normal the death of the process, but the last commits before a power cut may "
            "be missing."
        ),
    ] = "full"
    busy_timeout_s: Annotated[float, setting("Seconds to wait for another process that is writing.", ge=0, le=600)] = (
        10.0
    )
    readers: Annotated[int, setting("Reading threads, each with a connection of its own.", ge=1, le=64)] = 3
    reader_cache_mb: Annotated[int, setting("Page cache of each reading connection, in MiB.", ge=1, le=65536)] = 4
    writer_cache_mb: Annotated[int, setting("Page cache of the writing connection, in MiB.", ge=1, le=65536)] = 8
    vector_cache_mb: Annotated[
        int,
        setting(
            "Most that vectors kept in the process may take, in MiB; 0 keeps none. They serve searches over more than "
            "scan_rows memories.",
            ge=0,
            le=1048576,
        ),
    ] = 320
    scan_rows: Annotated[
        int, setting("Up to so many memories in the scope, vectors are read from the file, not from the cache.", ge=0)
    ] = 4096
    block_cache_mb: Annotated[
        int,
        setting(
            "Most that the memories of owners who searched last may take in the process, in MiB; 0 keeps none: then "
            "each search reads its candidates from the file.",
            ge=0,
            le=1048576,
        ),
    ] = 48
    block_rows: Annotated[
        int, setting("Memories of an owner up to which all of them are kept in the process for searches.", ge=0)
    ] = 5000
