"""Documents that belong to their creator: others see them only if they can see all of their sources."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec

from memhost.integrity.watch import asking_for
from memhost.models import Document, Scope
from memhost.ports import Store

T = TypeVar("T")


class Bound(msgspec.Struct, Generic[T], frozen=True):
    """A content, and the bounds of the caller who made it."""

    bounds: Scope
    content: T


class BoundDocuments(Generic[T]):
    """Documents of one kind whose content is a struct."""

    def __init__(self, store: Store, kind: str, content: type[T]) -> None:
        self._store = store
        self._kind = kind
        self._decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(Bound[content])  # type: ignore[valid-type]

    @property
    def kind(self) -> str:
        """Their kind in the store."""
        return self._kind

    async def get(self, bounds: Scope, document_id: str, now: datetime) -> Bound[T] | None:
        """The living document of that id that a caller of those bounds may see, or None."""
        document = await self._store.get_document(document_scope(bounds), self._kind, document_id, now)
        return self._visible(document, bounds) if document is not None else None

    async def list_all(self, bounds: Scope, now: datetime) -> list[Bound[T]]:
        """All living documents that a caller of those bounds may see, by id."""
        return list((await self.by_id(bounds, now)).values())

    async def by_id(self, bounds: Scope, now: datetime, *, own: bool = False) -> dict[str, Bound[T]]:
        """The same with their ids; with `own` only those that were made within exactly these bounds."""
        within = _own_scope(bounds) if own else document_scope(bounds)
        documents = await self._store.list_documents(within, self._kind, now)
        found = {document.id: self._visible(document, bounds) for document in documents}
        return {name: item for name, item in found.items() if item is not None and (not own or item.bounds == bounds)}

    def make(self, document_id: str, item: Bound[T], now: datetime, *, expires_at: datetime | None = None) -> Document:
        """The document to commit."""
        return make_document(
            self._kind, document_id, item.bounds, msgspec.msgpack.encode(item), now, expires_at=expires_at
        )

    def _visible(self, document: Document, bounds: Scope) -> Bound[T] | None:
        item: Bound[T] = self._decoder.decode(document.body)
        return item if covers(bounds, item.bounds) else None


def make_document(
    kind: str, document_id: str, bounds: Scope, body: bytes, now: datetime, *, expires_at: datetime | None = None
) -> Document:
    """A document for what was made within those bounds."""
    own = _own_scope(bounds)
    assert own.namespaces is not None
    assert own.users is not None
    return Document(
        kind=kind,
        id=document_id,
        tenant=bounds.tenant,
        namespace=own.namespaces[0],
        user=own.users[0],
        body=body,
        updated_at=now,
        expires_at=expires_at,
    )


def _own_scope(bounds: Scope) -> Scope:
    """The scope of the documents made within those bounds, and of few others."""
    namespace = bounds.namespaces[0] if bounds.namespaces else ""
    return Scope(tenant=bounds.tenant, namespaces=(namespace,), users=(bounds.users[0] if bounds.users else "",))


def document_scope(bounds: Scope) -> Scope:
    """The bounds as they apply to documents, which have no session: also to commit memories together with some."""
    return Scope(tenant=bounds.tenant, namespaces=bounds.namespaces, users=bounds.users)


async def by_prefix(
    store: Store, bounds: Scope, kind: str, prefixes: Iterable[str], now: datetime, limit: int
) -> dict[str, list[Document]]:
    """The living documents of that kind whose ids begin with each prefix, by id, the first `limit` at least.

    The ids are walked in their order, and one page answers for all the prefixes that it passes: where there are few
    documents, that is one question to the store, however many prefixes there are.
    """
    found: dict[str, list[Document]] = {}
    page: list[Document] = []
    wanted = sorted(set(prefixes))
    for prefix in wanted:
        last = page[-1].id if len(page) == limit else ""
        if not found or (last and (last <= prefix or last.startswith(prefix))):
            with asking_for(wanted):
                page = await store.list_documents(document_scope(bounds), kind, now, after=prefix, limit=limit)
        found[prefix] = [document for document in page if document.id.startswith(prefix)]
    return found


def covers(outer: Scope, inner: Scope) -> bool:
    """Tell whether everything inside `inner` is also inside `outer`."""
    return outer.tenant == inner.tenant and all(
        allowed is None or (wanted is not None and set(wanted) <= set(allowed))
        for allowed, wanted in (
            (outer.namespaces, inner.namespaces),
            (outer.users, inner.users),
            (outer.sessions, inner.sessions),
        )
    )
