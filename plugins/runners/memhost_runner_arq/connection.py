"""From the URL to arq's client."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec
from arq.connections import ArqRedis
from redis.asyncio import ConnectionPool
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.exceptions import RedisError

from memhost.errors import ConfigurationError, Unavailable
from memhost_runner_arq.settings import ArqSettings

TROUBLE = (RedisError, OSError, TimeoutError)
"""What a Redis that cannot be reached raises."""

_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel")
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
    _check(url)
    limits = {"socket_timeout": settings.timeout_seconds, "socket_connect_timeout": settings.timeout_seconds}
    try:
        pool = _sentinel_pool(url, limits) if "+sentinel" in url else ConnectionPool.from_url(url, **limits)
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
            f"The queue's Redis at {_server_of(url)} does not answer ({error}); check TASK_REDIS_URL or REDIS_URL."
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


def _server_of(url: str) -> str:
    """Host and port (or path), without user and password."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2] or parts.path


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
        options = {name.lower(): value.lower() for name, value in parse_qsl(parts.query)}
    except ValueError as error:
        raise ConfigurationError(f"TASK_REDIS_URL cannot be read: {error}.") from error
    sentinel = parts.scheme.endswith("+sentinel")
    several = "," in _server_of(url) and not sentinel
    if parts.scheme.endswith("+cluster") or options.get("cluster") in ("1", "true", "yes") or several:
        raise ConfigurationError(_CLUSTER)
    if parts.scheme not in _SCHEMES:
        schemes = ", ".join(f"{each}://" for each in _SCHEMES)
        raise ConfigurationError(f"TASK_REDIS_URL must start with one of: {schemes}.")
    if sentinel and not parts.path.strip("/"):
        raise ConfigurationError(
            "TASK_REDIS_URL must name the Sentinel service: redis+sentinel://host:port,host:port/service."
        )


def _sentinel_pool(url: str, limits: dict[str, Any]) -> ConnectionPool:
    """Connections to the master that the Sentinels name; `/service/1` is its database 1."""
    parts = urlsplit(url)
    login, _, hosts = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    options = dict(limits, ssl=parts.scheme.startswith("rediss"))
    if login:
        options |= {"username": unquote(user) or None, "password": unquote(password)}
    service, _, database = parts.path.strip("/").partition("/")
    if database:
        options["db"] = int(database)
    query = dict(parse_qsl(parts.query))
    watchers = limits | {name: query[f"sentinel_{name}"] for name in _LOGIN if f"sentinel_{name}" in query}
    sentinel = Sentinel([_address(each) for each in hosts.split(",")], sentinel_kwargs=watchers)  # type: ignore[no-untyped-call]
    return SentinelConnectionPool(service, sentinel, **options)  # type: ignore[no-untyped-call]


_LOGIN = ("username", "password")


def _address(host_and_port: str) -> tuple[str, int]:
    host, _, port = host_and_port.rpartition(":") if ":" in host_and_port else (host_and_port, "", "26379")
    return host.strip("[]"), int(port)
