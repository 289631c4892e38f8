"""Settings of the arq runner: the section `[runners.arq]` of the configuration."""

from __future__ import annotations

from typing import Annotated

import msgspec

from memhost.settings import Secret, setting


class ArqSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the queue is, and how much a worker does."""

    url: Annotated[
        Secret,
        setting(
            "Redis of the queue: redis://, rediss://, unix:// or redis+sentinel://host:port,host:port/service; "
            "no cluster. By default that of the store (REDIS_URL).",
            env=("TASK_REDIS_URL",),
        ),
    ] = Secret("")
    queue: Annotated[
        str,
        setting(
            "Name of the queue; installations that share a Redis have different ones.",
            env=("TASK_QUEUE_NAME", "DOCKET_NAME"),
            pattern=r"^[A-Za-z0-9_.:-]{1,200}$",
        ),
    ] = "memory-server"
    concurrency: Annotated[
        int, setting("Jobs that a worker runs at the same time.", env=("WORKER_CONCURRENCY",), ge=1, le=1000)
    ] = 10
    poll_s: Annotated[
        float,
        setting("How often a worker looks into the queue, seconds: how soon a job starts, for one command each.", gt=0),
    ] = 0.1
    sweep_s: Annotated[
        float,
        setting(
            "How often a worker looks for jobs that nobody told the queue of, seconds; those whose time is known "
            "start in time.",
            gt=0,
            le=60,
        ),
    ] = 1.0
    timeout_seconds: Annotated[
        float, setting("Longest wait for a connection and for an answer, seconds.", gt=0, le=600)
    ] = 5.0
    result_ttl_seconds: Annotated[
        float,
        setting(
            "How long the queue keeps what became of a wake-up, seconds; the outbox keeps what matters.",
            env=("TASK_RESULT_TTL_SECONDS",),
            ge=0,
        ),
    ] = 0.0
