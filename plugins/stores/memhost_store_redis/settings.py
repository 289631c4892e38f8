"""Settings of the redis store: the section `[stores.redis]` of the configuration."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from memhost.settings import Secret, setting


class RedisSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the server is, what the index is called, and how long the store waits."""

    url: Annotated[
        Secret,
        setting(
            "redis://, rediss://, unix:// or redis+sentinel://host:port,host:port/service; with user and password."
        ),
    ] = Secret("redis://localhost:6379")
    max_connections: Annotated[int, setting("Most connections of one process.", ge=1, le=10_000)] = 50
    timeout_seconds: Annotated[
        float, setting("Longest wait for a connection and for an answer, in seconds.", gt=0, le=600)
    ] = 5.0
    index_name: Annotated[
        str,
        setting("Alias of the long-term index.", env=("REDISVL_INDEX_NAME",), pattern=r"^[A-Za-z0-9_.:-]{1,200}$"),
    ] = "memory_records"
    index_prefix: Annotated[
        str,
        setting(
            "What all keys start with.",
            env=("REDISVL_INDEX_PREFIX",),
            pattern=r"^[A-Za-z0-9_.:-]{0,199}[A-Za-z0-9_.-]$",
        ),
    ] = "memory_idx"
    algorithm: Annotated[
        Literal["hnsw", "flat"],
        setting(
            "Vector index: hnsw (approximate) or flat (exact).",
            env=("REDISVL_INDEXING_ALGORITHM",),
        ),
    ] = "hnsw"
    distance_metric: Annotated[
        Literal["cosine"],
        setting(
            "How vectors are compared; thresholds are cosine distances, so there is one choice.",
            env=("REDISVL_DISTANCE_METRIC",),
        ),
    ] = "cosine"
    block_cache_mb: Annotated[
        int,
        setting(
            "Most that the memories of owners who searched last may take in the process, in MiB; 0 keeps none: then "
            "each search asks the query engine.",
            ge=0,
            le=1048576,
        ),
    ] = 128
    block_rows: Annotated[
        int, setting("Memories of an owner up to which all of them are kept in the process for searches.", ge=0)
    ] = 5000
