"""Making, migrating and waiting for the indexes; which embedder made the vectors.

The hash `<prefix>:meta` tells what the store holds: the version of its hashes, the embedder, the `generation` of the
vectors (each has a hash field of its own, so that vectors of two embedders never meet), and the `build` of the indexes.
A changed definition gives a new build beside the old one, which is dropped when the new one is complete.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import numpy as np
from redis.exceptions import ResponseError
from redisvl.exceptions import RedisSearchError
from redisvl.index import AsyncSearchIndex
from redisvl.schema import IndexSchema

from memhost.errors import ConfigurationError, StoreMismatch, StoreUnavailable
from memhost.specs import OpenContext
from memhost.storekit import rules
from memhost_store_redis.codec import encode_vector
from memhost_store_redis.connection import Client, Connections, refuse_cluster
from memhost_store_redis.failures import IndexGone
from memhost_store_redis.schema import SCHEMA_VERSION, memory_schema, state_schema
from memhost_store_redis.settings import RedisSettings

logger = logging.getLogger(__name__)

Migration = Callable[[Client, str], Awaitable[None]]
MIGRATIONS: dict[int, Migration] = {}
"""Migrations of the hashes under a prefix from the version before to this one. They may run again after a crash."""


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """The layout of the store, from which the names of the indexes follow."""

    revision: int = 0
    schema: int = 0
    embedder: str | None = None
    dimensions: int | None = None
    generation: int = 1
    build: int = 0
    definition: str = ""
    index_name: str = ""

    @property
    def vector(self) -> str:
        """Hash field of the vectors."""
        return f"vector{self.generation}"

    @property
    def memories(self) -> str:
        """Name of the index of the memories."""
        return f"{self.index_name}.{self.build}"

    @property
    def states(self) -> str:
        """Name of the index of sessions and documents."""
        return f"{self.index_name}.{self.build}.state"


class Opener:
    """Brings one store into the state that this process needs."""

    def __init__(self, connections: Connections, settings: RedisSettings, context: OpenContext) -> None:
        self._connections = connections
        self._client = connections.client
        self._settings = settings
        self._context = context

    @property
    def graph(self) -> bool:
        """Tell whether vectors are indexed by a graph (HNSW)."""
        return self._settings.algorithm == "hnsw"

    async def open(self) -> Layout:
        """The layout, after everything is in place.

        Raises:
            ConfigurationError: The server cannot be used.
            StoreMismatch: It was written by a newer memhost, or holds vectors of another embedder.
        """
        await self._check_server()
        await self._connections.load_scripts()
        while True:
            found = await self.read()
            if self._context.existing and not found.schema:
                raise ConfigurationError(
                    f"This Redis holds no memories under the prefix {self._settings.index_prefix}; "
                    "name another URL, or set REDISVL_INDEX_PREFIX."
                )
            if found.schema > SCHEMA_VERSION:
                raise StoreMismatch(
                    f"The store was written by a newer memhost (schema {found.schema}, this one knows "
                    f"{SCHEMA_VERSION}); update memhost."
                )
            wanted = await self._wanted(found)
            if wanted == found:
                await self._make_indexes(found)
                await self._check_engine(found)
                return found
            await self._migrate(found)
            await self._make_indexes(wanted)
            if await self._enter(wanted):
                await self._drop_indexes(found, wanted)

    async def _check_server(self) -> None:
        server: dict[str, Any] = await self._client.info()
        if "cluster" in (server.get("redis_mode"), server.get("server_mode")):  # Redis and Valkey
            raise refuse_cluster()
        if server.get("maxmemory") and server.get("maxmemory_policy") != "noeviction":
            logger.warning("store.evicts", extra={"fields": {"set": "maxmemory-policy noeviction"}})
        if not server.get("aof_enabled"):
            logger.warning("store.not_durable", extra={"fields": {"set": "appendonly yes"}})
        await self._client.execute_command("FT._LIST")  # an error if there is no query engine

    async def _check_engine(self, layout: Layout) -> None:
        """Refuse an engine without the latest of the options that searches use."""
        command = ["FT.AGGREGATE", layout.memories, "*", "ADDSCORES", "LIMIT", 0, 1, "DIALECT", 2]
        try:
            await self._client.execute_command(*command)
        except ResponseError as error:
            raise ConfigurationError(
                f"The query engine of this Redis is too old ({error}); use RediSearch 2.10 or later, "
                "as in Redis 8 and Redis Stack 7.4."
            ) from error

    async def read(self) -> Layout:
        """Return the layout that the store records."""
        raw = await self._client.hgetall(f"{self._settings.index_prefix}:meta")
        plain = {name.decode(): value.decode() for name, value in raw.items() if value}
        try:
            return msgspec.convert(plain, Layout, strict=False)
        except msgspec.ValidationError as error:
            raise StoreMismatch(f"Another program than memhost wrote this store: {error}.") from error

    async def _wanted(self, found: Layout) -> Layout:
        embedder, dimensions, generation = found.embedder, found.dimensions, found.generation
        mine = (self._context.embedder, self._context.dimensions)
        if mine != (None, None) and mine != (embedder, dimensions):
            if (embedder, dimensions) != (None, None) and await self._has_vectors(found):
                if not self._context.reindex:
                    raise mismatch(found, *mine)
                generation += 1
            embedder, dimensions = mine
        definition = self._definition(f"vector{generation}", dimensions)
        changed = definition != found.definition or self._settings.index_name != found.index_name
        return msgspec.structs.replace(
            found,
            schema=SCHEMA_VERSION,
            embedder=embedder,
            dimensions=dimensions,
            generation=generation,
            build=found.build + 1 if changed else found.build,
            definition=definition,
            index_name=self._settings.index_name,
        )

    def _schemas(self, layout: Layout) -> tuple[IndexSchema, IndexSchema]:
        return self._schemas_named(layout.memories, layout.states, layout.vector, layout.dimensions)

    def _schemas_named(
        self, memories: str, states: str, vector: str, dimensions: int | None
    ) -> tuple[IndexSchema, IndexSchema]:
        settings = self._settings
        memory = memory_schema(
            memories,
            settings.index_prefix,
            vector=vector,
            dimensions=dimensions,
            algorithm=settings.algorithm,
            metric=settings.distance_metric,
        )
        return memory, state_schema(states, settings.index_prefix)

    def _definition(self, vector: str, dimensions: int | None) -> str:
        """A fingerprint of both indexes."""
        schemas = [schema.to_dict() for schema in self._schemas_named("memories", "states", vector, dimensions)]
        return hashlib.sha256(json.dumps(schemas, sort_keys=True, default=str).encode()).hexdigest()[:16]

    async def _has_vectors(self, found: Layout) -> bool:
        """Tell whether any memory has a vector; a store without its index counts as having some."""
        if found.dimensions is None:
            return False
        anything = encode_vector(np.ones(found.dimensions, dtype=np.float32))
        query = ["FT.SEARCH", found.memories, f"*=>[KNN 1 @{found.vector} $v]", "NOCONTENT", "LIMIT", 0, 1]
        try:
            reply = await self._client.execute_command(*query, "PARAMS", 2, "v", anything, "DIALECT", 2)
        except ResponseError:
            return True
        return bool(reply[0])

    async def _migrate(self, found: Layout) -> None:
        """Bring the hashes of an older store to the current version; nothing to do for a new one."""
        if not found.schema:
            return
        for version in range(found.schema + 1, SCHEMA_VERSION + 1):
            logger.info("store.migrating", extra={"fields": {"to": version}})
            await MIGRATIONS[version](self._client, self._settings.index_prefix)

    async def _make_indexes(self, layout: Layout) -> None:
        for schema in self._schemas(layout):
            await self._make_index(schema)
        await asyncio.gather(*(self._wait_for(name) for name in (layout.memories, layout.states)))
        await self._client.execute_command("FT.ALIASUPDATE", layout.index_name, layout.memories)

    async def _make_index(self, schema: IndexSchema) -> None:
        prefix = str(schema.index.prefix)
        index = AsyncSearchIndex(schema, redis_client=self._client)
        if not await self._information(index.name):
            try:
                await index.create()
            except RedisSearchError:  # another process was faster, or it is an error
                if not await self._information(index.name):
                    raise
        information = await self._information(index.name)
        prefixes = [each.decode() for each in dict(_pairs(information[b"index_definition"]))[b"prefixes"]]
        if prefixes != [prefix]:
            raise ConfigurationError(
                f"The index {index.name} belongs to other keys ({', '.join(prefixes)}*); "
                "set another REDISVL_INDEX_NAME."
            )

    async def _information(self, name: str) -> dict[bytes, Any]:
        """FT.INFO, empty if there is no such index."""
        try:
            reply = await self._client.execute_command("FT.INFO", name)
        except ResponseError as error:
            if "index" in str(error).lower():
                return {}
            raise
        return dict(_pairs(reply))

    async def _wait_for(self, name: str) -> None:
        """Return when the index holds everything: until then searches would miss memories."""
        for attempt in range(1_000_000):
            share = indexed_share(await self._information(name))
            if share >= 1:
                return
            if attempt % 200 == 100:
                logger.warning("store.indexing", extra={"fields": {"index": name, "percent": int(share * 100)}})
            await asyncio.sleep(0.05)
        raise StoreUnavailable(f"The index {name} did not become ready.")

    async def check_indexes(self, layout: Layout) -> None:
        """Refuse to search while the engine still reads its data, as it does after a restart.

        Raises:
            StoreUnavailable: An index is incomplete or gone.
        """
        for name in (layout.memories, layout.states):
            information = await self._information(name)
            if not information:
                raise IndexGone
            share = indexed_share(information)
            if share < 1:
                raise StoreUnavailable(f"Redis is building its search index ({share:.0%}); try again shortly.")

    async def _enter(self, wanted: Layout) -> bool:
        fields = msgspec.structs.asdict(wanted)
        fields.pop("revision")
        pairs = [part for name, value in fields.items() for part in (name, "" if value is None else value)]
        return bool(await self._connections.script("claim_store", wanted.revision, len(fields), *pairs))

    async def _drop_indexes(self, old: Layout, new: Layout) -> None:
        for name in ({old.memories, old.states} if old.build else set()) - {new.memories, new.states}:
            if await self._information(name):
                await self._client.execute_command("FT.DROPINDEX", name)


def mismatch(found: Layout, embedder: str | None, dimensions: int | None) -> StoreMismatch:
    """The error for vectors of another embedder."""
    return rules.other_embedder("The Redis store", (found.embedder, found.dimensions), (embedder, dimensions))


def indexed_share(information: dict[bytes, Any]) -> float:
    """Return the share of the data that an index contains, 0 to 1."""
    if not information or int(information.get(b"indexing", 0)) == 0:
        return 1.0 if information else 0.0
    return min(float(information.get(b"percent_indexed", 0)), 0.999)


def _pairs(flat: list[Any]) -> zip[tuple[Any, Any]]:
    return zip(flat[::2], flat[1::2], strict=False)
