"""Store `sqlite`: one file with WAL, full text and vectors, through apsw; the default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from memhost import hookimpl
from memhost.ports import Store
from memhost.specs import OpenContext, StoreSpec
from memhost_store_sqlite.settings import SqliteSettings


def open_sqlite(settings: SqliteSettings, context: OpenContext) -> AbstractAsyncContextManager[Store]:
    """Open the file, making or migrating it where needed."""
    from memhost_store_sqlite.store import open_sqlite as open_store

    return open_store(settings, context)


def at(address: str) -> Mapping[str, Any] | None:
    """The file of `sqlite:PATH`."""
    scheme, _, path = address.partition(":")
    return {"path": path.removeprefix("//")} if scheme == "sqlite" else None


@hookimpl
def memhost_stores() -> Sequence[StoreSpec]:
    """Offer `sqlite`."""
    return [
        StoreSpec(
            name="sqlite",
            summary="One file on this machine: full text, vectors and outbox in SQLite.",
            open=open_sqlite,
            settings=SqliteSettings,
            at=at,
        )
    ]
