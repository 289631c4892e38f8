"""Sealing a whole file: what older versions wrote, or everything again with another key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apsw

from memhost.errors import ConfigurationError
from memhost.integrity import Seals, decode_change, subject, unexplained
from memhost.models import FORGETTING, Change, Document, SessionKey, StoredMemory
from memhost.storekit import document_change, from_micros, lasting, owner_of, session_change
from memhost_store_sqlite import documents, history, sessions
from memhost_store_sqlite.codec import decode_body, encode_body
from memhost_store_sqlite.history import Journal
from memhost_store_sqlite.memories import COLUMNS, VID, columns_of, facets_of
from memhost_store_sqlite.sealing import (
    document_seal,
    lost_key,
    proof_of,
    session_content,
    session_seal,
    stamp_of,
)

_PAGE = 500
_FIRST = COLUMNS.index("created_at")
_REWRITE = f"UPDATE memories SET {', '.join(f'{name} = ?' for name in COLUMNS[_FIRST:])} WHERE rid = ?"  # noqa: S608


def claim_seals(connection: apsw.Connection, seals: Seals, where: str, at: int, *, adopt: bool) -> None:
    """Seal a file that is not yet, or see that it was sealed with a key of this server.

    Args:
        connection: In a transaction that writes.
        seals: Of the server.
        where: Name of the file, for messages.
        at: Now, in microseconds.
        adopt: Accept what is stored as it stands, whatever its seals.

    Raises:
        ConfigurationError: It was sealed with another key, or its seals were taken away.
    """
    mark = history.mark(connection)
    if mark is None and not adopt and history.heads(connection):
        raise ConfigurationError(
            f"The seals of {where} were taken away behind the server's back: restore a backup, or look at what is "
            "stored and accept it with: memhost verify --adopt"
        )
    if adopt or mark is None or (mark == "-" and seals.key_id):
        seal_everything(connection, seals, at)
    elif mark != "-" and mark not in seals.known:
        raise lost_key(seals, mark, where)


def seal_everything(connection: apsw.Connection, seals: Seals, at: int) -> int:
    """Make all seals and links again; return the number of memories.

    What the chain does not tell of gets an entry, and so does what it tells of and is not there.
    """
    tenants = {int(row[0]): str(row[1]) for row in connection.execute("SELECT id, tenant FROM scopes WHERE kind = 0")}
    new_seals: dict[bytes, bytes] = {}
    there: dict[str, dict[str, Change]] = {}
    last, count = 0, 0
    while True:
        rows: list[Any] = connection.execute(
            "SELECT m.*, c.body, c.words, c.seal, v.vector FROM memories m "  # noqa: S608
            f"CROSS JOIN contents c ON c.vid = {VID} LEFT JOIN vectors v ON v.vid = {VID} "
            "WHERE m.rid > ? ORDER BY m.rid LIMIT ?",
            (last, _PAGE),
        ).fetchall()
        for row in rows:
            count += 1
            tenant = tenants[row[1]]
            change, old, new = _seal_row(connection, seals, tenant, row)
            new_seals[old or b""] = new
            there.setdefault(tenant, {})[subject(change)] = change
        if len(rows) < _PAGE:
            break
        last = int(rows[-1][0])
    for tenant, change, old in _seal_states(connection, seals):
        new_seals[old or b""] = change.after
        there.setdefault(tenant, {})[subject(change)] = change
    new_seals.pop(b"", None)
    _seal_former(connection, seals, new_seals)
    history.relink(connection, seals, new_seals)
    for tenant in {*there, *history.heads(connection)}:
        _tell(connection, seals, tenant, at, there.get(tenant, {}))
    history.set_mark(connection, seals)
    return count


def _seal_row(connection: apsw.Connection, seals: Seals, tenant: str, row: Any) -> tuple[Change, bytes | None, bytes]:
    """Seal a memory; the entry for it, its old seal and its new one."""
    rid, (packed, words, old, vector) = int(row[0]), row[-4:]
    body, own = decode_body(packed), seals.of(tenant)
    memory = StoredMemory(record=body.record, speaker=body.speaker, role=body.role, position=body.position)
    memory.lead, memory.traits, memory.version = body.lead, body.traits, body.version or 1
    accessed, accesses = row[COLUMNS.index("last_accessed")], row[COLUMNS.index("access_count")]
    memory.record.last_accessed, memory.record.access_count = from_micros(accessed), accesses
    packed = encode_body(memory, memory.record, memory.version)
    seal = own.seal(stamp_of(rid), packed)
    columns = columns_of(rid, tuple(row[1:6]), memory, int(row[8]))
    facets = facets_of(rid, memory.record)
    connection.execute(_REWRITE, (*columns[_FIRST:], rid))
    connection.execute("DELETE FROM facets WHERE rid = ?", (rid,))
    connection.executemany("INSERT INTO facets VALUES(?, ?, ?, ?, ?)", facets)
    connection.execute(
        "UPDATE contents SET body = ?, seal = ?, proof = ? WHERE vid = ?",
        (packed, seal, proof_of(own, columns, words, facets, vector), (int(row[4]) << 36) | rid),
    )
    owner = owner_of(memory.record)
    change = Change(kind="adopted", at=0, memory=memory.record.id, owner=owner, version=memory.version, after=seal)
    return change, old, seal


def _seal_former(connection: apsw.Connection, seals: Seals, new_seals: dict[bytes, bytes]) -> None:
    for tenant in history.heads(connection):
        own = seals.of(tenant)
        for _, _, _, packed, former in history.chain(connection, tenant):
            if packed is not None and former is not None:
                new_seals[decode_change(packed).before] = own.seal(former[:8], former[8:])


def _tell(connection: apsw.Connection, seals: Seals, tenant: str, at: int, there: dict[str, Change]) -> None:
    """Append entries for what the chain does not tell of as it is now."""
    told: dict[str, Change] = {}
    for _, _, _, packed, _ in history.chain(connection, tenant):
        change = None if packed is None else decode_change(packed)
        if change is not None and change.owned and change.kind not in FORGETTING:
            told[subject(change)] = change
    journal = Journal(seals.of(tenant), tenant, at, keep=False)
    for change in unexplained(there, told):
        journal.add(change)
    journal.write(connection)


def _seal_states(connection: apsw.Connection, seals: Seals) -> Iterator[tuple[str, Change, bytes | None]]:
    """Seal sessions and documents; yield the tenant, the entry for each that the chain tells of, and its old seal."""
    found: Any = connection.execute(
        "SELECT tenant, namespace, user, session, version, updated_at, expires_at, body, rid, seal FROM sessions"
    ).fetchall()
    for tenant, *name, version, updated_at, expires_at, body, rid, old in found:
        key = SessionKey(tenant, *name)
        seal = session_seal(seals.of(tenant), session_content(key, version, updated_at, expires_at, body))
        connection.execute("UPDATE sessions SET seal = ? WHERE rid = ?", (seal, rid))
        change = session_change(key, sessions.name_of(key), None, seal)
        change.expires, change.note = expires_at or 0, "adopted"
        yield tenant, change, old
    found = connection.execute(
        "SELECT rid, tenant, kind, id, namespace, user, updated_at, expires_at, body, seal FROM documents"
    ).fetchall()
    for rid, tenant, kind, name, namespace, user, updated_at, expires_at, body, old in found:
        document = Document(
            kind=kind,
            id=name,
            tenant=tenant,
            namespace=namespace,
            user=user,
            body=body,
            updated_at=from_micros(updated_at),
            expires_at=None if expires_at is None else from_micros(expires_at),
        )
        seal = document_seal(seals.of(tenant), document)
        connection.execute("UPDATE documents SET seal = ? WHERE rid = ?", (seal, rid))
        if lasting(updated_at, expires_at):
            change = document_change((namespace, user), documents.name_of(kind, name), expires_at, seal)
            change.note = "adopted"
            yield tenant, change, old
