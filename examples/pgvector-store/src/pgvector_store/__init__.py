"""Store `pgvector`: memories, vectors, full text, sessions and outbox in one PostgreSQL database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any

import msgspec

from memhost import hookimpl
from memhost.ports import Store
from memhost.settings import Secret, setting
from memhost.specs import OpenContext, StoreSpec

MEMHOST_API = (1, 1)


class PgvectorSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an operator may set: [stores.pgvector] in memhost.toml."""

    url: Annotated[Secret, setting("postgresql://user:password@host/database.")] = Secret("postgresql://localhost")
    schema: Annotated[str, setting("Schema of the tables.", pattern="^[a-z_][a-z0-9_]{0,62}$")] = "memhost"
    max_connections: Annotated[int, setting("Most connections of one process.", ge=1, le=1000)] = 10
    timeout_s: Annotated[float, setting("Longest wait for a connection, in seconds.", ge=1, le=600)] = 10.0
    exact_rows: Annotated[int, setting("Up to so many fitting memories, all vectors are compared.", ge=0)] = 10000


def open_pgvector(settings: PgvectorSettings, context: OpenContext) -> AbstractAsyncContextManager[Store]:
    """Connect, and make the tables where they are missing."""
    from pgvector_store.store import open_store

    return open_store(settings, context)


def at(address: str) -> Mapping[str, Any] | None:
    """The database of a `postgresql://` URL."""
    return {"url": Secret(address)} if address.startswith(("postgresql://", "postgres://")) else None


@hookimpl
def memhost_stores() -> Sequence[StoreSpec]:
    """Offer `pgvector`: STORE=pgvector."""
    summary = "PostgreSQL with pgvector, shared by any number of servers and workers."
    return [
        StoreSpec(name="pgvector", summary=summary, open=open_pgvector, settings=PgvectorSettings, shared=True, at=at)
    ]
