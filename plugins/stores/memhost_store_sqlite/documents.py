"""Documents: small pieces of state of services and plugins."""

from __future__ import annotations

from itertools import islice

import apsw

from memhost.models import Document, Scope, WriteBatch
from memhost.storekit import (
    document_change,
    from_micros,
    holds,
    lasting,
    state_name,
    to_micros,
    to_micros_or_none,
)
from memhost_store_sqlite.history import Journal
from memhost_store_sqlite.scopes import Value, inside
from memhost_store_sqlite.sealing import Reading, document_holds, document_seal

_COLUMNS = "tenant, kind, id, namespace, user, updated_at, expires_at, body, seal"
_READ = "tenant, kind, id, namespace, user, updated_at, expires_at, CAST(body AS BLOB), CAST(seal AS BLOB)"
_ALIVE = "(expires_at IS NULL OR expires_at > ?)"


def _decode(row: tuple[Value, ...]) -> Document:
    tenant, kind, document_id, namespace, user, updated_at, expires_at, body = row[:8]
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


def _sealed(row: tuple[Value, ...], reading: Reading) -> Document | None:
    """The document, None if it is not what the server wrote."""
    document = _decode(row)
    if document_holds(reading.seals, document, row[8]):
        return document
    reading.left_out.append(document.id)
    return None


def get(connection: apsw.Connection, reading: Reading, kind: str, document_id: str, now: int) -> Document | None:
    """The living document inside the scope, or None."""
    scope = reading.scope
    rows = connection.execute(
        f"SELECT {_READ} FROM documents WHERE tenant = ? AND kind = ? AND id = ? AND {_ALIVE}",  # noqa: S608
        (scope.tenant, kind, document_id, now),
    )
    for row in rows.fetchall():
        document = _sealed(row, reading)
        if document is not None and holds(scope, document):
            return document
    return None


def list_page(
    connection: apsw.Connection, reading: Reading, kind: str, now: int, after: str, limit: int | None
) -> list[Document]:
    """Living documents of that kind inside the scope whose id comes after `after`, by id, at most `limit`."""
    scope = reading.scope
    where, bindings = inside(scope, "namespace", "user")
    rows = connection.execute(
        f"SELECT {_READ} FROM documents WHERE {where} AND kind = ? AND id > ? AND {_ALIVE} ORDER BY id",  # noqa: S608
        [*bindings, kind, after, now],
    )
    mine = (row for row in rows if scope.allows(str(row[3]), str(row[4]), None))
    found = (document for row in mine if (document := _sealed(row, reading)) is not None)
    return list(islice(found, limit))


def kinds(connection: apsw.Connection, scope: Scope, now: int) -> list[str]:
    """Kinds of which living documents lie inside the scope."""
    rows = connection.execute(
        f"SELECT DISTINCT kind, namespace, user FROM documents WHERE tenant = ? AND {_ALIVE}",  # noqa: S608
        (scope.tenant, now),
    )
    return sorted({kind for kind, namespace, user in rows if scope.allows(namespace, user, None)})


def name_of(kind: str, document_id: str) -> str:
    """Return the name of a document in the chain."""
    return state_name(kind, document_id)


def apply(connection: apsw.Connection, scope: Scope, batch: WriteBatch, journal: Journal) -> None:
    """Delete and put the documents of a checked batch; one that somebody changed can be deleted like any other."""
    for kind, document_id in batch.delete_documents:
        row = connection.execute(
            f"SELECT {_READ} FROM documents WHERE tenant = ? AND kind = ? AND id = ?",  # noqa: S608
            (scope.tenant, kind, document_id),
        ).fetchone()
        if row is not None and holds(scope, gone := _decode(row)):
            connection.execute(
                "DELETE FROM documents WHERE tenant = ? AND kind = ? AND id = ?",
                (scope.tenant, kind, document_id),
            )
            if lasting(to_micros(gone.updated_at), to_micros_or_none(gone.expires_at)):
                journal.add(document_change((gone.namespace, gone.user), name_of(kind, document_id)))
    rows: list[tuple[Value, ...]] = []
    for document in batch.put_documents:
        updated_at, expires_at = to_micros(document.updated_at), to_micros_or_none(document.expires_at)
        owner, seal = (document.namespace, document.user), document_seal(journal.seals, document)
        if lasting(updated_at, expires_at):
            journal.add(document_change(owner, name_of(document.kind, document.id), expires_at, seal))
        name = (document.tenant, document.kind, document.id)
        rows.append((*name, *owner, updated_at, expires_at, document.body, seal))
    connection.executemany(
        f"INSERT INTO documents({_COLUMNS}) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT(tenant, kind, id) DO UPDATE SET namespace = excluded.namespace, user = excluded.user, "
        "updated_at = excluded.updated_at, expires_at = excluded.expires_at, body = excluded.body, "
        "seal = excluded.seal",
        rows,
    )
