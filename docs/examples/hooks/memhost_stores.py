from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec

from memhost import hookimpl
from memhost.ports import Store
from memhost.specs import OpenContext, StoreSpec


class AcmeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[stores.acme] in memhost.toml; ACME_URL in the environment."""

    url: str = "acme://localhost"


@asynccontextmanager
async def open_acme(settings: AcmeSettings, context: OpenContext) -> AsyncIterator[Store]:
    from acme_memory.store import AcmeStore  # what is heavy is imported when it is opened

    store = await AcmeStore.connect(settings.url, context.clock, context.embedder, context.dimensions)
    try:
        yield store
    finally:
        await store.close()


@hookimpl
def memhost_stores() -> Sequence[StoreSpec]:
    return [StoreSpec(name="acme", summary="Acme database.", open=open_acme, settings=AcmeSettings, shared=True)]
