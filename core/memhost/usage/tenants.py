"""Which tenants a store holds, so that periodic work reaches each of them."""

from __future__ import annotations

from datetime import datetime

from memhost.models import DEFAULT_TENANT, Document, Scope, WriteBatch
from memhost.ports import Store

_KIND = "tenant"
_HOME = Scope(tenant=DEFAULT_TENANT)


class Tenants:
    """The tenants that have called; the default one always counts.

    A store shows one tenant at a time, so the others are noted down when they first call.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._noted = {DEFAULT_TENANT}

    async def note(self, tenant: str, now: datetime) -> None:
        """Remember a tenant; costs nothing from the second time on."""
        if tenant in self._noted:
            return
        if await self._store.get_document(_HOME, _KIND, tenant, now) is None:
            document = Document(kind=_KIND, id=tenant, tenant=DEFAULT_TENANT, body=b"", updated_at=now)
            await self._store.commit(_HOME, WriteBatch(put_documents=[document]))
        self._noted.add(tenant)

    async def known(self, now: datetime) -> list[str]:
        """All tenants, the default one first."""
        documents = await self._store.list_documents(_HOME, _KIND, now)
        return [DEFAULT_TENANT, *(document.id for document in documents if document.id != DEFAULT_TENANT)]
