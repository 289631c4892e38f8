"""From the URL to a client: forms of URLs, pool, time limits, reconnecting, scripts."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from importlib import resources
from typing import Any, TypeVar

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import NoScriptError

from memhost.errors import ConfigurationError, StoreUnavailable
from memhost.redis_urls import RedisUrl, read_redis_url
from memhost_store_redis.failures import explained
from memhost_store_redis.settings import RedisSettings

T = TypeVar("T")
Client = Any
"""A client of redis-py, whose types say of every answer that it may be there at once or have to be awaited."""

RETRIES = 3
_RUN_ID = re.compile(rb"run_id:(\w+)")
SCRIPTS = ("commit", "jobs", "look", "around", "settle", "purge", "claim_store")
_CLUSTER = (
    "The redis store needs one Redis (standalone, Sentinel or a managed database without the OSS cluster API): "
    "a write and its jobs are one script, which a cluster of several shards cannot run. Name another REDIS_URL."
)


def refuse_cluster() -> ConfigurationError:
    """The error for whatever turns out to be a cluster."""
    return ConfigurationError(_CLUSTER)


def read_url(url: str) -> RedisUrl:
    """Read the URL of the store.

    Raises:
        ConfigurationError: An unknown form, a cluster, or another database than 0.
    """
    found = read_redis_url(url, setting="REDIS_URL", no_cluster=_CLUSTER)
    if found.database not in ("", "0"):
        raise ConfigurationError("The query engine of Redis works in database 0 only; end REDIS_URL with /0.")
    return found


class Connections:
    """A pool of connections, and the scripts loaded through it.

    `fresh` says that since the flag was taken down a connection was made to a server that has just started, or to
    another one than before.
    """

    def __init__(self, settings: RedisSettings) -> None:
        self.timeout = settings.timeout_seconds
        self.prefix = settings.index_prefix
        self.fresh = True
        self._run = b""
        self._slots = asyncio.Semaphore(settings.max_connections)
        self._closed = False
        self._running: set[asyncio.Future[Any]] = set()
        self._watchers: list[Client] = []
        self.client = self._make(settings)
        library = _source("library")
        self._scripts = {name: self.client.register_script(library + _source(name)) for name in SCRIPTS}

    def _make(self, settings: RedisSettings) -> Client:
        found = read_url(settings.url)
        options: dict[str, Any] = {
            # `call` limits the wait for answers
            "socket_connect_timeout": self.timeout,
            "max_connections": settings.max_connections,
            # A lost connection is tried again; an answer that does not come is not, the caller has waited long enough.
            "retry": Retry(ExponentialBackoff(cap=0.5, base=0.02), RETRIES, supported_errors=(Disconnected,)),
            "retry_on_error": [Disconnected],
            "redis_connect_func": self._connected,
            "lib_name": None,
            "lib_version": None,
        }
        if not found.is_socket:
            options["socket_keepalive"] = True
        try:
            if found.service:
                return self._sentinel(found, options)
            pool = ConnectionPool.from_url(found.url, **options)
            pool.make_connection()  # type: ignore[no-untyped-call]  # looks at the options, connects to nothing
        except (ValueError, TypeError) as error:
            raise ConfigurationError(f"REDIS_URL cannot be used: {error}.") from error
        return Redis.from_pool(pool)

    def _sentinel(self, found: RedisUrl, options: dict[str, Any]) -> Client:
        limits = {"socket_timeout": self.timeout, "socket_connect_timeout": self.timeout}
        sentinel = Sentinel(found.sentinels, sentinel_kwargs=limits | found.sentinel_login)  # type: ignore[no-untyped-call]
        self._watchers = sentinel.sentinels
        options |= {"ssl": found.tls, **found.login}
        pool = SentinelConnectionPool(found.service, sentinel, **options)  # type: ignore[no-untyped-call]
        return Redis.from_pool(pool)

    async def _connected(self, connection: AbstractConnection) -> None:
        try:
            await connection.on_connect()
            await connection.send_command("INFO", "server")
            found = _RUN_ID.search(await connection.read_response())
        except BaseException:  # redis-py leaves the socket open when it is cancelled here
            await connection.disconnect(nowait=True)
            raise
        run = found[1] if found else b""
        if run != self._run or not run:
            self._run = run
            self.fresh = True

    async def load_scripts(self) -> None:
        """Give the server all scripts, so that the first calls need not."""
        for script in self._scripts.values():
            await self.client.script_load(script.script)

    async def aclose(self) -> None:
        """Wait for what is running, and close all connections; what comes later is refused."""
        self._closed = True
        await asyncio.gather(*self._running, return_exceptions=True)
        for client in (self.client, *self._watchers):
            await client.aclose()
            await client.connection_pool.disconnect()

    async def call(self, work: Callable[[Client], Awaitable[T]], patience: float = 0) -> T:
        """Do something with the client, within the time limit and so many seconds more.

        Raises:
            StoreUnavailable: It failed, or took too long, or the store is closed.
        """
        if self._closed:  # a commit that waited for another one of its tenant: it would open a connection again
            raise StoreUnavailable("The store is closed.")
        # Shielded: a command that its caller gives up still runs to its end, so that its connection stays usable.
        task = asyncio.ensure_future(self._limited(work, patience))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def _limited(self, work: Callable[[Client], Awaitable[T]], patience: float) -> T:
        with explained():
            async with asyncio.timeout(self.timeout + patience), self._slots:
                return await work(self.client)

    async def script(self, name: str, *arguments: Any, patience: float = 0) -> Any:
        """Run one of the scripts. A call that is repeated because its answer was lost has its effects once."""
        script = self._scripts[name]
        arguments = (self.prefix, secrets.token_hex(12), *arguments)

        async def run(client: Client) -> Any:
            try:
                return await client.evalsha(script.sha, 0, *arguments)
            except NoScriptError:
                return await client.eval(script.script, 0, *arguments)

        return await self.call(run, patience)

    def script_call(self, name: str, *arguments: Any) -> tuple[Any, ...]:
        """One of the scripts, which changes nothing, as a command for `together`."""
        return ("EVALSHA", self._scripts[name].sha, 0, self.prefix, "", *arguments)

    async def together(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """Run commands that change nothing at one moment, in one round trip; their replies.

        Raises:
            StoreUnavailable: One of them failed, or the answer took too long.
        """

        async def run(client: Client) -> list[Any]:
            pipeline = client.pipeline(transaction=len(commands) > 1)
            for command in commands:
                pipeline.execute_command(*command)
            replies: list[Any] = await pipeline.execute(raise_on_error=False)
            return replies

        async def run_with_scripts(client: Client) -> list[Any]:
            replies = await run(client)
            if any(isinstance(reply, NoScriptError) for reply in replies):
                await self.load_scripts()
                replies = await run(client)
            for reply in replies:
                if isinstance(reply, Exception):
                    raise reply
            return replies

        return await self.call(run_with_scripts)


def _source(name: str) -> str:
    return (resources.files(__package__) / "scripts" / f"{name}.lua").read_text()


@asynccontextmanager
async def connect(settings: RedisSettings) -> AsyncIterator[Connections]:
    """Connections that are closed at the end."""
    connections = Connections(settings)
    try:
        yield connections
    finally:
        await connections.aclose()
