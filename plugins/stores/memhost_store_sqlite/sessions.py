"""Sessions: exact identity, versions, expiry."""

from __future__ import annotations

from typing import Any

import apsw
import msgspec

from memhost.models import Scope, SessionKey, StoredSession, WriteBatch
from memhost.storekit import encode, session_change, state_name, to_micros, to_micros_or_none
from memhost_store_sqlite.history import Journal, is_last_session
from memhost_store_sqlite.scopes import Sql, inside
from memhost_store_sqlite.sealing import Reading, session_content, session_holds, session_seal

_decode = msgspec.msgpack.Decoder(StoredSession).decode
_OWNER = ("namespace", "user", "session")
_IDENTITY = "tenant = ? AND namespace = ? AND user = ? AND session = ?"
_ALIVE = "(expires_at IS NULL OR expires_at > ?)"


class TooLongError(Exception):
    """A session has more bytes than whoever asked wanted to read."""


def _identity(key: SessionKey) -> tuple[str, str, str, str]:
    return key.tenant, key.namespace, key.user, key.session


def current_version(connection: apsw.Connection, batch: WriteBatch, now: int) -> int:
    """The stored version of the session that the batch puts; 0 if there is none, it expired or the batch deletes it."""
    if batch.put_session is None or batch.put_session.key == batch.delete_session:
        return 0
    found = connection.execute(
        f"SELECT version FROM sessions WHERE {_IDENTITY} AND {_ALIVE}",  # noqa: S608
        (*_identity(batch.put_session.key), now),
    ).get
    return int(found or 0)


def put(connection: apsw.Connection, session: StoredSession, version: int, journal: Journal) -> None:
    """Insert or replace a session under its new version."""
    session = msgspec.structs.replace(session, version=version)
    body = encode(session)
    updated_at, expires_at = to_micros(session.content.updated_at), to_micros_or_none(session.expires_at)
    seal = session_seal(journal.seals, session_content(session.key, version, updated_at, expires_at, body))
    journal.add(session_change(session.key, name_of(session.key), session, seal))
    connection.execute(
        "INSERT INTO sessions(tenant, namespace, user, session, version, updated_at, expires_at, body, seal) "
        "VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(tenant, user, namespace, session) DO UPDATE SET "
        "version = excluded.version, updated_at = excluded.updated_at, "
        "expires_at = excluded.expires_at, body = excluded.body, seal = excluded.seal",
        (
            *_identity(session.key),
            version,
            updated_at,
            expires_at,
            body,
            seal,
        ),
    )


def name_of(key: SessionKey) -> str:
    """Return the name of a session in the chain."""
    return state_name(key.namespace, key.user, key.session)


def delete(connection: apsw.Connection, scope: Scope, key: SessionKey, now: int, journal: Journal) -> bool:
    """Remove a session inside the scope; return whether there was a living one."""
    if not scope.covers(key):
        return False
    found: Any = connection.execute(
        f"DELETE FROM sessions WHERE {_IDENTITY} RETURNING {_ALIVE}",  # noqa: S608
        (*_identity(key), now),
    ).fetchone()
    if found is None:
        return False
    journal.add(session_change(key, name_of(key)))
    return bool(found[0])


def remove_all(connection: apsw.Connection, scope: Scope) -> None:
    """Remove all sessions inside the scope, without an entry."""
    where, bindings = inside(scope, *_OWNER)
    connection.execute(f"DELETE FROM sessions WHERE {where}", bindings)  # noqa: S608


def get(
    connection: apsw.Connection, reading: Reading, key: SessionKey, now: int, most_bytes: int | None = None
) -> StoredSession | None:
    """The living session of that identity inside the scope; what the server did not write is left out.

    Raises:
        TooLongError: It has more than `most_bytes`. It was not read, only its length was.
    """
    if not reading.scope.covers(key):
        return None
    found: Any = connection.execute(
        "SELECT version, updated_at, expires_at, "  # noqa: S608
        "CASE WHEN ? IS NULL OR octet_length(body) <= ? THEN CAST(body AS BLOB) END, CAST(seal AS BLOB) "
        f"FROM sessions WHERE {_IDENTITY} AND {_ALIVE}",
        (most_bytes, most_bytes, *_identity(key), now),
    ).fetchone()
    if found is None:
        return None
    version, updated_at, expires_at, body, seal = found
    if body is None:
        raise TooLongError
    content = session_content(key, version, updated_at, expires_at, body)
    if not session_holds(reading.seals, content, seal) or not is_last_session(connection, reading, name_of(key), seal):
        reading.left_out.append(key.session)
        return None
    return _decode(body)


def _within(scope: Scope, now: int) -> Sql:
    where, bindings = inside(scope, *_OWNER)
    return f"{where} AND {_ALIVE}", [*bindings, now]


def find(connection: apsw.Connection, scope: Scope, session_id: str, now: int, limit: int) -> list[SessionKey]:
    """Living identities inside the scope with this session id, by key."""
    where, bindings = _within(scope, now)
    rows = connection.execute(
        f"SELECT tenant, namespace, user, session FROM sessions WHERE {where} AND session = ? "  # noqa: S608
        "ORDER BY namespace, user LIMIT ?",
        [*bindings, session_id, limit],
    )
    return [SessionKey(*row) for row in rows]


def list_page(
    connection: apsw.Connection, scope: Scope, now: int, limit: int, offset: int, since: int | None = None
) -> tuple[list[SessionKey], int]:
    """A page of living sessions updated after `since`, most recently updated first, and how many there are."""
    where, bindings = _within(scope, now)
    if since is not None:
        where, bindings = f"{where} AND updated_at > ?", [*bindings, since]
    total = connection.execute(f"SELECT count(*) FROM sessions WHERE {where}", bindings).get  # noqa: S608
    rows = connection.execute(
        f"SELECT tenant, namespace, user, session FROM sessions WHERE {where} "  # noqa: S608
        "ORDER BY updated_at DESC, namespace, user, session LIMIT ? OFFSET ?",
        [*bindings, limit, offset],
    )
    return [SessionKey(*row) for row in rows], int(total)


def purge(connection: apsw.Connection, table: str, now: int, limit: int) -> int:
    """Remove expired rows of `sessions` or `documents`."""
    rows = connection.execute(
        f"DELETE FROM {table} WHERE rid IN (SELECT rid FROM {table} WHERE expires_at <= ? ORDER BY expires_at LIMIT ?) "  # noqa: S608
        "RETURNING 1",
        (now, limit),
    )
    return len(rows.fetchall())
