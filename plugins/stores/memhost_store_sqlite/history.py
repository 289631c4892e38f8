"""The chain of changes, former states of memories, and what is sealed: see `memhost.ports.KeepsHistory`.

An entry is a row of `changes` under `number of the tenant << ROOM | seq`, so that a tenant's chain is a range of keys
and grows at its end. `digest` and `link` stay for ever; `entry` and `former` can go. `version` is the memory's number
since, with a minus if it is gone since, and 0 in entries about former states: so the index alone tells reads which
state is the last one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import apsw
import msgspec

from memhost.integrity import Seals, TenantSeals, decode_change, encode_change, places_of
from memhost.models import FORGETTING, Change, Entry, Head, Scope, StoredMemory, acting
from memhost.storekit import owner_of
from memhost_store_sqlite.codec import decode_body, pack_ids
from memhost_store_sqlite.sealing import Reading

ROOM = 40
_OF_SESSIONS = "session\x1f"
_SEQ = (1 << ROOM) - 1
_CHUNK = 500
_PAGE = 2000

LATEST = (
    "coalesce((SELECT h.version FROM changes h WHERE h.memory = m.id AND h.cid BETWEEN "  # noqa: S608
    f"(SELECT number << {ROOM} FROM chains WHERE tenant = ?) AND "
    f"(SELECT (number << {ROOM}) | {_SEQ} FROM chains WHERE tenant = ?) "
    "AND h.version <> 0 ORDER BY h.cid DESC LIMIT 1), 0)"
)
"""The `version` that the tenant's chain (two parameters) has last of the memory `m`; 0 where it tells of none."""


def is_behind(version: int, latest: int) -> bool:
    """Tell whether a memory of that version is an earlier state than the last one of the chain, by its `LATEST`."""
    return latest < 0 or version < latest


def _subject(change: Change) -> str | None:
    """The `memory` of the row of an entry: the id of the memory, or a name of the session, as no id is."""
    return f"{_OF_SESSIONS}{change.name}" if change.kind == "session" else change.memory or None


def _column(change: Change) -> int:
    """The `version` of the row of an entry."""
    if change.kind in FORGETTING:
        return 0
    return -change.version if change.kind == "deleted" else change.version


@dataclass(slots=True)
class Journal:
    """The entries that one commit appends; made where the commit was asked for, since that knows who acts."""

    seals: TenantSeals
    tenant: str
    at: int
    keep: bool
    restored: bool = False
    actor: Any = field(default_factory=acting)
    rows: list[tuple[Change, bytes | None]] = field(default_factory=list)

    def add(self, change: Change, former: bytes | None = None) -> None:
        """Add an entry, and stamp and body of the state before if that is kept."""
        change.at, change.actor = change.at or self.at, self.actor
        self.rows.append((change, former))

    def write(self, connection: apsw.Connection) -> Head | None:
        """Append everything; the new head, None if there was nothing."""
        if not self.rows:
            return None
        number, seq, link = _chain(connection, self.tenant)
        rows = []
        for change, former in self.rows:
            seq += 1
            packed = encode_change(change)
            digest = self.seals.digest(packed)
            link = self.seals.link(link, digest)
            rows.append(((number << ROOM) | seq, _subject(change), _column(change), digest, link, packed, former))
        connection.executemany("INSERT INTO changes VALUES(?, ?, ?, ?, ?, ?, ?)", rows)
        self.rows = []
        return Head(seq, link)


def _chain(connection: apsw.Connection, tenant: str) -> tuple[int, int, bytes]:
    """Number, last entry and last link of a tenant's chain, which is begun if there is none."""
    number = _number(connection, tenant)
    if number is None:
        number = int(connection.execute("INSERT INTO chains(tenant) VALUES(?) RETURNING number", (tenant,)).get)
    return number, *_end(connection, number)


def _end(connection: apsw.Connection, number: int) -> tuple[int, bytes]:
    row: Any = connection.execute(
        "SELECT cid, link FROM changes WHERE cid BETWEEN ? AND ? ORDER BY cid DESC LIMIT 1",
        (number << ROOM, (number << ROOM) | _SEQ),
    ).fetchone()
    return (0, b"") if row is None else (int(row[0]) & _SEQ, row[1])


def _number(connection: apsw.Connection, tenant: str) -> int | None:
    found = connection.execute("SELECT number FROM chains WHERE tenant = ?", (tenant,)).get
    return None if found is None else int(found)


def heads(connection: apsw.Connection) -> dict[str, Head]:
    """The ends of all chains."""
    chains: list[Any] = connection.execute("SELECT tenant, number FROM chains").fetchall()
    return {str(tenant): Head(*_end(connection, int(number))) for tenant, number in chains}


def link_at(connection: apsw.Connection, tenant: str, seq: int) -> bytes | None:
    """The link of an entry, None if there is none of that number."""
    number = _number(connection, tenant)
    if number is None or seq < 1:
        return None if seq else b""
    found: bytes | None = connection.execute("SELECT link FROM changes WHERE cid = ?", ((number << ROOM) | seq,)).get
    return found


def latest_versions(connection: apsw.Connection, tenant: str, ids: Sequence[str]) -> dict[str, int]:
    """The highest version that memories of these ids ever had."""
    number = _number(connection, tenant)
    found: dict[str, int] = {}
    if number is None:
        return found
    span = (number << ROOM, (number << ROOM) | _SEQ)
    for start in range(0, len(ids), _CHUNK):
        chunk = ids[start : start + _CHUNK]
        rows = connection.execute(
            f"SELECT memory, max(abs(version)) FROM changes WHERE memory IN ({','.join('?' * len(chunk))}) "  # noqa: S608
            "AND cid BETWEEN ? AND ? GROUP BY memory",
            (*chunk, *span),
        )
        found.update({str(row[0]): int(row[1]) for row in rows})
    return found


def is_last_session(connection: apsw.Connection, reading: Reading, name: str, seal: bytes) -> bool:
    """Tell whether the chain has that seal last for the session of that name, or tells nothing of it."""
    row: Any = connection.execute(
        "SELECT CAST(entry AS BLOB), CAST(digest AS BLOB) FROM changes WHERE memory = ?1 AND cid BETWEEN "  # noqa: S608
        f"(SELECT number << {ROOM} FROM chains WHERE tenant = ?2) AND "
        f"(SELECT (number << {ROOM}) | {_SEQ} FROM chains WHERE tenant = ?2) ORDER BY cid DESC LIMIT 1",
        (f"{_OF_SESSIONS}{name}", reading.scope.tenant),
    ).fetchone()
    if row is None or row[0] is None:
        return True
    if not reading.seals.wrote(row[0], row[1] or b""):
        return False
    change = decode_change(row[0])
    return change.kind != "session" or change.after == seal


def list_entries(
    connection: apsw.Connection, reading: Reading, memory: str | None, after: int, limit: int, *, newest: bool
) -> list[Entry]:
    """Entries inside the scope, by number; those that were erased only where the whole tenant is asked for."""
    scope = reading.scope
    number = _number(connection, scope.tenant)
    found: list[Entry] = []
    if number is None or limit <= 0:
        return found
    place = (after or _SEQ + 1) if newest else after
    about, bindings = ("AND memory = ? ", [memory]) if memory is not None else ("", [])
    while len(found) < limit:
        low, high = (0, place - 1) if newest else (place + 1, _SEQ)
        rows: list[Any] = connection.execute(
            "SELECT cid, digest, link, CAST(entry AS BLOB), former IS NOT NULL FROM changes WHERE cid BETWEEN ? AND ? "  # noqa: S608
            f"{about}ORDER BY cid {'DESC' if newest else 'ASC'} LIMIT ?",
            ((number << ROOM) | low, (number << ROOM) | high, *bindings, _PAGE),
        ).fetchall()
        for cid, digest, link, packed, has_former in rows:
            place = int(cid) & _SEQ
            if packed is not None and not reading.seals.wrote(packed, digest):
                reading.left_out.append(str(place))
                continue
            entry = Entry(
                seq=place,
                change=None if packed is None else decode_change(packed),
                has_former=bool(has_former),
                link=link,
            )
            if _inside(scope, entry.change):
                found.append(entry)
                if len(found) == limit:
                    break
        if len(rows) < _PAGE:
            break
    return found


def _inside(scope: Scope, change: Change | None) -> bool:
    if change is None or not change.owned:
        return scope.whole
    return scope.allows(*change.owner)


def former_state(connection: apsw.Connection, scope: Scope, seq: int, seals: TenantSeals) -> StoredMemory | None:
    """The state before an entry, if it was kept, lies inside the scope and is what was sealed."""
    number = _number(connection, scope.tenant)
    row: Any = connection.execute(
        "SELECT CAST(entry AS BLOB), CAST(former AS BLOB), digest FROM changes WHERE cid = ?",
        (((number or 0) << ROOM) | seq,),
    ).fetchone()
    if row is None or row[0] is None or row[1] is None or not seals.wrote(row[0], row[2]):
        return None
    change, former = decode_change(row[0]), row[1]
    if not _inside(scope, change) or not seals.holds(former[:8], former[8:], change.before):
        return None
    body = decode_body(former[8:])
    kept = StoredMemory(record=body.record, speaker=body.speaker, role=body.role, position=body.position)
    kept.lead, kept.traits, kept.version = body.lead, body.traits, body.version
    return kept if scope.allows(*owner_of(kept.record)) else None


def drop_former(connection: apsw.Connection, journal: Journal, seqs: Sequence[int], why: Change) -> int:
    """Remove former states, and say so in an entry."""
    number = _number(connection, journal.tenant)
    if number is None or not seqs:
        return 0
    there = [
        int(row[0]) & _SEQ
        for row in connection.execute(
            "UPDATE changes SET former = NULL WHERE cid IN carray(?) AND former IS NOT NULL RETURNING cid",
            (apsw.carray(pack_ids((number << ROOM) | seq for seq in seqs)),),
        )
    ]
    if there:
        why.places = places_of(sorted(there))
        journal.add(why)
        journal.write(connection)
    return len(there)


def old_former(connection: apsw.Connection, tenant: str, before: int | None, keep: int | None, limit: int) -> list[int]:
    """Numbers of entries with former states that are too old or too many."""
    number = _number(connection, tenant)
    if number is None:
        return []
    found: list[int] = []
    seen: dict[str, int] = {}
    rows = connection.execute(
        "SELECT cid, memory, entry FROM changes WHERE cid BETWEEN ? AND ? AND former IS NOT NULL ORDER BY cid DESC",
        (number << ROOM, (number << ROOM) | _SEQ),
    )
    for cid, memory, packed in rows:
        seen[memory] = seen.get(memory, 0) + 1
        old = before is not None and packed is not None and decode_change(packed).at < before
        if old or (keep is not None and seen[memory] > keep):
            found.append(int(cid) & _SEQ)
    return found[-limit:][::-1]


def erase(connection: apsw.Connection, journal: Journal, scope: Scope, why: Change) -> tuple[int, Head]:
    """Remove the content of all entries about what lies inside the scope, and say so in an entry."""
    number, seq, link = _chain(connection, journal.tenant)
    gone, bare = [], []
    stored: list[Any] = connection.execute(
        "SELECT cid, entry, former FROM changes WHERE cid BETWEEN ? AND ? AND entry IS NOT NULL",
        (number << ROOM, (number << ROOM) | _SEQ),
    ).fetchall()
    for cid, packed, former in stored:
        if (change := decode_change(packed)).owned and scope.allows(*change.owner):
            gone.append(int(cid))
        elif former is not None and _may_be_of(scope, former[8:]):  # it moved to another owner
            bare.append(int(cid))
    connection.executemany(
        "UPDATE changes SET entry = NULL, former = NULL, memory = NULL WHERE cid = ?", [(cid,) for cid in gone]
    )
    connection.executemany("UPDATE changes SET former = NULL WHERE cid = ?", [(cid,) for cid in bare])
    if not gone and not bare and not why.count:
        return 0, Head(seq, link)
    why.places = places_of(sorted(cid & _SEQ for cid in (*gone, *bare)))
    journal.add(why)
    head = journal.write(connection)
    assert head is not None
    return len(gone) + len(bare), head


def _may_be_of(scope: Scope, body: bytes) -> bool:
    """Tell whether a former state lies inside the scope, or is damaged, so that nobody knows whose it was."""
    try:
        record = decode_body(body).record
    except msgspec.MsgspecError:
        return True
    return scope.allows(*owner_of(record))


def mark(connection: apsw.Connection) -> str | None:
    """Id of the key that the file was sealed with, `-` for none; None if it was never sealed."""
    found: str | None = connection.execute("SELECT value FROM settings WHERE key = 'sealed'").get
    return found


def set_mark(connection: apsw.Connection, seals: Seals) -> None:
    """Enter the key that the file is sealed with."""
    connection.execute("INSERT OR REPLACE INTO settings(key, value) VALUES('sealed', ?)", (seals.key_id or "-",))


def relink(connection: apsw.Connection, seals: Seals, new_seals: dict[bytes, bytes]) -> None:
    """Make all digests and links again; seals that entries name are replaced by their new ones."""
    for tenant in heads(connection):
        own, link = seals.of(tenant), b""
        name: str | None
        version: int | None
        number = _number(connection, tenant)
        assert number is not None
        changed: list[tuple[Any, ...]] = []
        for cid, digest, packed in _all(connection, number):
            kept, name, version = digest, None, None
            if packed is not None:
                change = decode_change(packed)
                change.after = new_seals.get(change.after, change.after)
                change.before = new_seals.get(change.before, change.before)
                packed = encode_change(change)
                kept, name, version = own.digest(packed), _subject(change), _column(change)
            link = own.link(link, kept)
            changed.append((kept, link, packed, name, version, cid))
        connection.executemany(
            "UPDATE changes SET digest = ?, link = ?, entry = ?, memory = ?, version = coalesce(?, version) "
            "WHERE cid = ?",
            changed,
        )


def _all(connection: apsw.Connection, number: int) -> Iterable[tuple[int, bytes, bytes | None]]:
    rows: list[Any] = connection.execute(
        "SELECT cid, digest, entry FROM changes WHERE cid BETWEEN ? AND ? ORDER BY cid",
        (number << ROOM, (number << ROOM) | _SEQ),
    ).fetchall()
    return rows


def chain(connection: apsw.Connection, tenant: str) -> Iterable[tuple[int, bytes, bytes, bytes | None, bytes | None]]:
    """Yield number, digest, link, entry and former state of all entries of a tenant."""
    number = _number(connection, tenant)
    if number is None:
        return
    place, last = number << ROOM, (number << ROOM) | _SEQ
    while True:
        rows: list[Any] = connection.execute(
            "SELECT cid, digest, link, CAST(entry AS BLOB), CAST(former AS BLOB) FROM changes "
            "WHERE cid > ? AND cid <= ? ORDER BY cid LIMIT ?",
            (place, last, _PAGE),
        ).fetchall()
        for cid, digest, link, packed, former in rows:
            yield int(cid) & _SEQ, digest, link, packed, former
        if len(rows) < _PAGE:
            return
        place = int(rows[-1][0])


def mislabelled(connection: apsw.Connection, tenant: str) -> Iterable[int]:
    """Yield the numbers of entries that are found by something else than what they say."""
    number = _number(connection, tenant)
    rows = connection.execute(
        "SELECT cid, memory, version, CAST(entry AS BLOB) FROM changes WHERE cid BETWEEN ? AND ? AND entry IS NOT NULL",
        ((number or 0) << ROOM, ((number or 0) << ROOM) | _SEQ),
    )
    for cid, memory, version, packed in rows:
        try:
            change = decode_change(packed)
        except msgspec.MsgspecError:  # its digest does not hold either
            continue
        named = {_subject(change), change.memory or None}  # entries of sessions had no name at first
        if memory not in named or version not in (_column(change), change.version):
            yield int(cid) & _SEQ
