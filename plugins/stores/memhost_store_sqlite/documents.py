"""Documents: small pieces of state of services and plugins."""

from __future__ import annotations

from itertools import islice

import apsw

from memhost.models import Document, Scope, WriteBatch
from memhost.storekit import from_micros, holds, to_micros, to_micros_or_none
from memhost_store_sqlite.scopes import Value

_COLUMNS = "tenant, kind, id, namespace, user, updated_at, expires_at, body"
_ALIVE = "(expires_at IS NULL OR expires_at > ?)"


def _decode(row: tuple[Value, ...]) -> Document:
    tenant, kind, document_id, namespace, user, updated_at, expires_at, body = row
    return Document(
        kind=str(kind),
        id=str(document_id),
        tenant=str(tenant),
        body=body if isinstance(body, bytes) else b"",
        namespace=str(namespace),
        user=str(user),
        updated_at=from_micros(updated_at if isinstance(updated_at, int) else 0),
        expires_at=from_micros(expires_at) if isinstance(expires_at, int) else None,
    )


def get(connection: apsw.Connection, scope: Scope, kind: str, document_id: str, now: int) -> Document | None:
    """The living document inside the scope, or None."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM documents WHERE tenant = ? AND kind = ? AND id = ? AND {_ALIVE}",  # noqa: S608
        (scope.tenant, kind, document_id, now),
    )
    for row in rows.fetchall():
        document = _decode(row)
        if holds(scope, document):
            return document
    return None


def list_page(
    connection: apsw.Connection, scope: Scope, kind: str, now: int, after: str, limit: int | None
) -> list[Document]:
    """Living documents of that kind inside the scope whose id comes after `after`, by id, at most `limit`."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM documents "  # noqa: S608
        f"WHERE tenant = ? AND kind = ? AND id > ? AND {_ALIVE} ORDER BY id",
        (scope.tenant, kind, after, now),
    )
    found = (document for document in map(_decode, rows) if holds(scope, document))
    return list(islice(found, limit))


def kinds(connection: apsw.Connection, scope: Scope, now: int) -> list[str]:
    """Kinds of which living documents lie inside the scope."""
    rows = connection.execute(
        f"SELECT DISTINCT kind, namespace, user FROM documents WHERE tenant = ? AND {_ALIVE}",  # noqa: S608
        (scope.tenant, now),
    )
    return sorted({kind for kind, namespace, user in rows if scope.allows(namespace, user, None)})


def apply(connection: apsw.Connection, scope: Scope, batch: WriteBatch) -> None:
    """Delete and put the documents of a checked batch."""
    everywhere = Scope(tenant=scope.tenant)
    for kind, document_id in batch.delete_documents:
        existing = get(connection, everywhere, kind, document_id, -(1 << 62))
        if existing is not None and holds(scope, existing):
            connection.execute(
                "DELETE FROM documents WHERE tenant = ? AND kind = ? AND id = ?",
                (scope.tenant, kind, document_id),
            )
    connection.executemany(
        f"INSERT INTO documents({_COLUMNS}) VALUES(?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT(tenant, kind, id) DO UPDATE SET namespace = excluded.namespace, user = excluded.user, "
        "updated_at = excluded.updated_at, expires_at = excluded.expires_at, body = excluded.body",
        [
            (
                document.tenant,
                document.kind,
                document.id,
                document.namespace,
                document.user,
                to_micros(document.updated_at),
                to_micros_or_none(document.expires_at),
                document.body,
            )
            for document in batch.put_documents
        ],
    )
