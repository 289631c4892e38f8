"""Store `redis`: hashes with a RediSearch index in one Redis, shared by any number of processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from memhost import hookimpl
from memhost.errors import MissingExtra
from memhost.ports import Store
from memhost.settings import Secret
from memhost.specs import OpenContext, StoreSpec
from memhost_store_redis.settings import RedisSettings


def open_redis(settings: RedisSettings, context: OpenContext) -> AbstractAsyncContextManager[Store]:
    """Connect, and make, migrate or wait for the indexes where needed."""
    try:
        from memhost_store_redis.store import open_redis as open_store
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("redis", "redisvl"):
            raise MissingExtra("The store redis", "redis") from error
        raise
    return open_store(settings, context)


def at(address: str) -> Mapping[str, Any] | None:
    """The server of a `redis://` URL, or of another form that the store knows."""
    scheme = address.partition("://")[0].partition("+")[0]
    return {"url": Secret(address)} if scheme in ("redis", "rediss", "unix") else None


@hookimpl
def memhost_stores() -> Sequence[StoreSpec]:
    """Offer `redis`."""
    return [
        StoreSpec(
            name="redis",
            summary="A Redis with the query engine, shared by any number of servers and workers.",
            open=open_redis,
            settings=RedisSettings,
            shared=True,
            chosen_by="url",
            at=at,
        )
    ]
