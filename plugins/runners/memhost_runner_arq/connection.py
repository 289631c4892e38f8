"""From the URL to arq's client."""

from __future__ import annotations

from typing import Any

import msgspec
from arq.connections import ArqRedis
from redis.asyncio import ConnectionPool
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.exceptions import RedisError

from memhost.errors import ConfigurationError, Unavailable
from memhost.redis_urls import RedisUrl, read_redis_url
from memhost_runner_arq.settings import ArqSettings

TROUBLE = (RedisError, OSError, TimeoutError)
"""Exceptions of a Redis that cannot be reached."""

_TOKEN_KEPT_MS = 30 * 86_400_000
_CLUSTER = (
    "The queue of BACKEND=arq cannot be on a Redis Cluster, for which arq has no client; name a standalone Redis or a "
    "Sentinel service with TASK_REDIS_URL."
)

encode = msgspec.msgpack.Encoder(enc_hook=str).encode
decode = msgspec.msgpack.Decoder().decode


async def connect(url: str, settings: ArqSettings) -> ArqRedis:
    """A client that has reached its server.

    Raises:
        ConfigurationError: The URL cannot be used, or the server is a cluster.
        Unavailable: The server does not answer.
    """
    found = read_redis_url(url, setting="TASK_REDIS_URL", no_cluster=_CLUSTER)
    limits = {"socket_timeout": settings.timeout_seconds, "socket_connect_timeout": settings.timeout_seconds}
    try:
        pool = _sentinel_pool(found, limits) if found.service else ConnectionPool.from_url(found.url, **limits)
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"TASK_REDIS_URL cannot be used: {error}.") from error
    client = ArqRedis(
        pool_or_conn=pool,
        job_serializer=encode,
        job_deserializer=decode,
        default_queue_name=settings.queue,
        expires_extra_ms=_TOKEN_KEPT_MS,
    )
    try:
        server: dict[str, Any] = await client.info("server")
    except TROUBLE as error:
        await close(client)
        raise Unavailable(
            f"The queue's Redis at {found.server} does not answer ({error}); check TASK_REDIS_URL or REDIS_URL."
        ) from error
    if "cluster" in (server.get("redis_mode"), server.get("server_mode")):  # Redis and Valkey
        await close(client)
        raise ConfigurationError(_CLUSTER)
    return client


async def close(client: ArqRedis) -> None:
    """Close all connections."""
    pool = client.connection_pool
    watchers = pool.sentinel_manager.sentinels if isinstance(pool, SentinelConnectionPool) else ()
    for each in (client, *watchers):
        await each.aclose()
        await each.connection_pool.disconnect()


def _sentinel_pool(found: RedisUrl, limits: dict[str, Any]) -> ConnectionPool:
    """Connections to the master that the Sentinels name."""
    sentinel = Sentinel(found.sentinels, sentinel_kwargs=limits | found.sentinel_login)  # type: ignore[no-untyped-call]
    options = {"db": int(found.database or 0), "ssl": found.tls, **found.login}
    return SentinelConnectionPool(found.service, sentinel, **limits, **options)  # type: ignore[no-untyped-call]
