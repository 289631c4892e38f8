"""Comparing the whole file with its seals and its chain."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import apsw
import msgspec

from memhost.integrity import ChainCheck, Seals
from memhost.models import Document, Finding, SessionKey, StoredMemory, Verification
from memhost.storekit import from_micros, lasting, owner_of
from memhost_store_sqlite import documents, history, sessions
from memhost_store_sqlite.codec import decode_body
from memhost_store_sqlite.memories import COLUMNS, VID, columns_of
from memhost_store_sqlite.sealing import document_holds, fixed_of, proves, session_content, session_holds, stamp_of

_PAGE = 1000
_COLUMNS = len(COLUMNS)


def verify(connection: apsw.Connection, seals: Seals, now: int) -> Verification:
    """Everything that is not as the server left it; the caller has opened a transaction."""
    report = Verification(keyed=bool(seals.key_id))
    checks = _Checks(seals, report)
    for tenant in history.heads(connection):
        check = checks[tenant]
        with _readable(report, "entry"):
            for each in history.chain(connection, tenant):
                check.entry(*each)
            for seq in history.mislabelled(connection, tenant):
                check.found("changed", "entry", str(seq), "What it is found by does not agree with its content.")
        report.heads[tenant] = check.end()
    with _readable(report, "memory"):
        _memories(connection, seals, report, checks)
        for check in checks.values():
            check.rest()
    with _readable(report, "session"):
        _sessions(connection, seals, report, checks)
        for check in checks.values():
            check.missing_states("session", now)
    with _readable(report, "document"):
        _documents(connection, seals, report, checks)
        for check in checks.values():
            check.missing_states("document", now)
    return report


class _Checks(dict[str, ChainCheck]):
    """By tenant, also of tenants without a chain."""

    def __init__(self, seals: Seals, report: Verification) -> None:
        super().__init__()
        self._made = seals, report

    def __missing__(self, tenant: str) -> ChainCheck:
        seals, report = self._made
        self[tenant] = check = ChainCheck(tenant, seals.of(tenant), report)
        return check


@contextmanager
def _readable(report: Verification, what: str) -> Iterator[None]:
    """Whoever edits can put anything anywhere, also what cannot be read at all."""
    try:
        yield
    except (ValueError, TypeError, OverflowError) as error:
        detail = f"The table cannot be read to its end: {type(error).__name__}."
        report.report(Finding(kind="changed", what=what, tenant="", id="", detail=detail))


def _memories(connection: apsw.Connection, seals: Seals, report: Verification, checks: _Checks) -> None:
    owners = {int(row[0]): row[1:] for row in connection.execute("SELECT * FROM scopes")}
    last, facets = 0, _Facets(connection)
    while True:
        rows: list[Any] = connection.execute(
            "SELECT m.*, CAST(c.body AS BLOB), CAST(c.words AS BLOB), CAST(c.seal AS BLOB), "  # noqa: S608
            "CAST(c.proof AS BLOB), "
            "CAST(v.vector AS BLOB) FROM memories m "
            f"LEFT JOIN contents c ON c.vid = {VID} LEFT JOIN vectors v ON v.vid = {VID} "
            "WHERE m.rid > ? ORDER BY m.rid LIMIT ?",
            (last, _PAGE),
        ).fetchall()
        for row in rows:
            scope: Any = owners.get(row[5], (4, "", "", "", ""))
            tenant = str(scope[1])
            check = checks[tenant]
            wrong = _wrong(seals, tenant, row, tuple(scope[2:5]), facets.of(int(row[0])))
            check.memory(str(row[6]), row[_COLUMNS + 2] or b"", intact=not wrong, detail=wrong)
        if len(rows) < _PAGE:
            break
        last = int(rows[-1][0])
    lost = connection.execute(
        "SELECT c.vid FROM contents c LEFT JOIN memories m ON m.rid = (c.vid & ((1 << 36) - 1)) WHERE m.rid IS NULL"
    )
    for (vid,) in lost:
        detail = "A memory's content lies in the file without its row."
        report.report(Finding(kind="inserted", what="memory", tenant="", id=str(vid), detail=detail))


def _wrong(seals: Seals, tenant: str, row: Any, owner: tuple[str, str, str], facets: list[Any]) -> str:
    """Say what is wrong with a row; empty if it is as the server wrote it."""
    columns, (packed, words, seal, proof, vector) = row[:_COLUMNS], row[_COLUMNS:]
    if packed is None:
        return "Its content is missing."
    own, rid = seals.of(tenant), int(row[0])
    if seal is None or not own.holds(stamp_of(rid), packed, seal):
        return "Its content is not what the server wrote in its place."
    try:
        body = decode_body(packed)
    except msgspec.MsgspecError:
        return "Its content cannot be read."
    if body.record.id != row[6] or owner_of(body.record) != owner:
        return "It lies in the place of another memory, or of another owner."
    memory = StoredMemory(record=body.record, position=body.position)
    made = columns_of(rid, tuple(columns[1:6]), memory, int(columns[8]))
    if fixed_of(made) != fixed_of(columns):
        return "What it is filtered and sorted by does not agree with its content."
    return proves(own, proof or b"", columns, words, facets, vector)


class _Facets:
    """Facets of rows in ascending order of their numbers, from one pass over the table."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._rows: Any = connection.execute("SELECT rid, key, seq, text, number FROM facets ORDER BY rid, key, seq")
        self._next: Any = next(self._rows, None)

    def of(self, rid: int) -> list[Any]:
        """The facets of the row of that number."""
        found = []
        while self._next is not None and self._next[0] <= rid:
            if self._next[0] == rid:
                found.append(self._next)
            self._next = next(self._rows, None)
        return found


def _sessions(connection: apsw.Connection, seals: Seals, report: Verification, checks: _Checks) -> None:
    rows: Any = connection.execute(
        "SELECT tenant, namespace, user, session, version, updated_at, expires_at, "
        "CAST(body AS BLOB), CAST(seal AS BLOB) FROM sessions"
    )
    for tenant, *name, version, updated_at, expires_at, body, seal in rows:
        report.sessions += 1
        key = SessionKey(tenant, *name)
        intact = session_holds(seals.of(tenant), session_content(key, version, updated_at, expires_at, body), seal)
        checks[tenant].state("session", sessions.name_of(key), key.session, seal or b"", intact=intact)


def _documents(connection: apsw.Connection, seals: Seals, report: Verification, checks: _Checks) -> None:
    rows: Any = connection.execute(
        "SELECT tenant, kind, id, namespace, user, updated_at, expires_at, "
        "CAST(body AS BLOB), CAST(seal AS BLOB) FROM documents"
    )
    for tenant, kind, name, namespace, user, updated_at, expires_at, body, seal in rows:
        report.documents += 1
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
        checks[tenant].state(
            "document",
            documents.name_of(kind, name),
            f"{name} ({kind})",
            seal or b"",
            intact=document_holds(seals.of(tenant), document, seal),
            lasting=lasting(updated_at, expires_at),
        )
