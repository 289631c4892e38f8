"""Settings of the sqlite store: the section `[stores.sqlite]` of the configuration."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class SqliteSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the file is and how much memory and patience the store may spend.

    Attributes:
        path: The database file; `<data_dir>/memhost.db` if not set. Its folder must exist.
        synchronous: `full` survives a power cut; `normal` survives the death of the process, but the last
            commits before a power cut may be missing.
        busy_timeout_s: Seconds to wait for another process that is writing.
        readers: Number of reading threads, each with its own connection.
        reader_cache_mb: Page cache of each reading connection, in MiB.
        writer_cache_mb: Page cache of the writing connection, in MiB.
        vector_cache_mb: Most that the vectors kept in the process may take, in MiB (a byte a dimension a
            memory); 0 switches the cache off. It serves searches over more than `scan_rows` memories.
        scan_rows: Up to so many memories in the scope, vectors are read from the file.
    """

    path: str | None = None
    synchronous: Literal["full", "normal"] = "full"
    busy_timeout_s: Annotated[float, Meta(ge=0, le=600)] = 10.0
    readers: Annotated[int, Meta(ge=1, le=64)] = 3
    reader_cache_mb: Annotated[int, Meta(ge=1, le=65536)] = 4
    writer_cache_mb: Annotated[int, Meta(ge=1, le=65536)] = 8
    vector_cache_mb: Annotated[int, Meta(ge=0, le=1048576)] = 320
    scan_rows: Annotated[int, Meta(ge=0)] = 4096
