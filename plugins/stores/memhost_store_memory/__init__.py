"""Store `memory`: everything in the process, gone when it ends; the readable reference of the port."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from memhost import hookimpl
from memhost.specs import NoSettings, OpenContext, StoreSpec

if TYPE_CHECKING:
    from memhost_store_memory.store import MemoryStore


@asynccontextmanager
async def open_memory(_settings: NoSettings, context: OpenContext) -> AsyncIterator[MemoryStore]:
    """Open an empty store."""
    from memhost_store_memory.store import MemoryStore

    yield MemoryStore(
        context.clock,
        embedder=context.embedder,
        dimensions=context.dimensions,
        keys=context.keys,
        keep_versions=context.setting("memory.versions_keep") != 0,
    )


@hookimpl
def memhost_stores() -> Sequence[StoreSpec]:
    """Offer `memory`."""
    return [
        StoreSpec(
            name="memory",
            summary="In the process only; for trying out and for tests.",
            open=open_memory,
        )
    ]
