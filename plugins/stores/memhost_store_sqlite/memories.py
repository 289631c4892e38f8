"""Memories: putting, deleting, marking, fetching and listing them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import apsw
import msgspec

from memhost.models import (
    MAX_ACCESSES,
    AccessMark,
    Change,
    ChangeKind,
    MemoryRecord,
    Scope,
    StoredMemory,
    WriteBatch,
    WriteResult,
)
from memhost.models.filters import METADATA_PREFIX, metadata_values, tag_values
from memhost.storekit import only_marks_differ, owner_of, rules, to_micros, to_micros_or_none
from memhost_store_sqlite.codec import (
    Body,
    decode_body,
    encode_body,
    encode_terms,
    encode_vector,
    encode_words,
    pack_ids,
)
from memhost_store_sqlite.conditions import FACETS
from memhost_store_sqlite.history import Journal, latest_versions
from memhost_store_sqlite.scopes import Ledger, Value, is_text_among
from memhost_store_sqlite.sealing import proof_of, stamp_of

RID_BITS = 36
RID_MASK = (1 << RID_BITS) - 1
"""Rows of `contents` and `vectors` are keyed by `owner << RID_BITS | rid`: those of one owner lie side by side."""

COLUMNS = (
    *("rid", "tenant", "nscope", "uscope", "owner", "session", "id", "position", "length", "created_at", "updated_at"),
    *("last_accessed", "event_date", "valid_from", "valid_to", "access_count", "memory_type", "extraction_strategy"),
    *("hash", "said_at", "event_end", "held_from", "trust"),
)
"""Columns of the table `memories`, in the order of `columns_of`."""

VID = f"((m.owner << {RID_BITS}) | m.rid)"
CHUNK = 500


@dataclass(frozen=True, slots=True)
class Existing:
    """A row of `memories`, as far as replacing or deleting it needs."""

    rid: int
    id: str
    scopes: tuple[int, int, int, int, int]
    length: int
    owner: tuple[str, str, str]

    @property
    def vid(self) -> int:
        """Key of its rows in `contents` and `vectors`."""
        return (self.scopes[3] << RID_BITS) | self.rid


@dataclass(frozen=True, slots=True)
class Former:
    """The state that a memory had before the batch; `content` is None where it cannot be read."""

    stamp: bytes
    body: bytes
    seal: bytes
    content: Body | None

    @property
    def version(self) -> int:
        """Its number."""
        return self.content.version if self.content else 0


@dataclass(frozen=True, slots=True)
class Plan:
    """The changes that a checked batch will make to the memories."""

    put: list[StoredMemory]
    replaced: list[Existing]
    deleted: list[Existing]
    former: dict[str, Former] = field(default_factory=dict)


def existing_rows(connection: apsw.Connection, tenant: str, ids: Sequence[str]) -> Iterable[Existing]:
    """The rows of a tenant's memories with these ids."""
    for start in range(0, len(ids), CHUNK):
        among, bindings = is_text_among("m.id", ids[start : start + CHUNK])
        rows = connection.execute(
            "SELECT m.rid, m.id, m.tenant, m.nscope, m.uscope, m.owner, m.session, m.length, "  # noqa: S608
            "s.namespace, s.user, s.session FROM memories m JOIN scopes s ON s.id = m.session "
            f"WHERE m.tenant = (SELECT id FROM scopes WHERE kind = 0 AND tenant = ?) AND {among}",
            [tenant, *bindings],
        )
        found: list[Any] = rows.fetchall()
        for row in found:
            yield Existing(rid=row[0], id=row[1], scopes=row[2:7], length=row[7], owner=row[8:11])


def plan(connection: apsw.Connection, scope: Scope, batch: WriteBatch) -> Plan:
    """Check whose ids a batch puts and which versions it expects, without changing anything.

    Raises:
        IdTaken: An id belongs to another owner.
        MemoryChanged: A memory is not at the version that the batch expects.
    """
    deleting = dict.fromkeys(batch.delete_memories)
    putting = {memory.record.id: memory for memory in batch.put_memories}
    known = {row.id: row for row in existing_rows(connection, scope.tenant, [*(deleting | putting)])}
    rules.check_owners(scope, batch, {row.id: row.owner for row in known.values()})
    deleted = [known[each] for each in deleting if each in known and scope.allows(*known[each].owner)]
    gone = {row.id for row in deleted}
    replaced = [known[each] for each in putting if each in known and each not in gone]
    planned = Plan(put=list(putting.values()), replaced=replaced, deleted=deleted)
    planned.former.update(_former(connection, [*deleted, *replaced]))
    if batch.if_versions:
        versions = {row.id: planned.former[row.id].version for row in [*deleted, *replaced]}
        rules.check_versions(batch, versions)
    return planned


def apply(connection: apsw.Connection, scope: Scope, planned: Plan, result: WriteResult, journal: Journal) -> None:
    """Carry a plan out, and enter it into the journal."""
    if not planned.put and not planned.deleted:
        return
    ledger = Ledger(connection, scope.tenant)
    for row in planned.deleted:
        former = planned.former[row.id]
        change = Change(kind="deleted", at=0, memory=row.id, owner=row.owner, version=former.version)
        _enter(journal, change, former, journal.keep)
    _remove(connection, ledger, [*planned.deleted, *planned.replaced])
    _insert(connection, ledger, planned, journal)
    ledger.close()
    replaced = {row.id for row in planned.replaced}
    result.deleted = [row.id for row in planned.deleted]
    for memory in planned.put:
        (result.replaced if memory.record.id in replaced else result.created).append(memory.record.id)


def _former(connection: apsw.Connection, rows: Sequence[Existing]) -> dict[str, Former]:
    """The states of these rows."""
    if not rows:
        return {}
    names = {row.vid: (row.id, stamp_of(row.rid)) for row in rows}
    found = connection.execute(
        "SELECT c.vid, c.body, c.seal FROM carray(?) r CROSS JOIN contents c ON c.vid = r.value",
        (apsw.carray(pack_ids(names)),),
    )
    former = {row.id: Former(stamp_of(row.rid), b"", b"", None) for row in rows}
    for vid, body, seal in found:
        name, stamp = names[int(vid)]
        try:
            content = decode_body(body)
        except msgspec.MsgspecError:  # somebody damaged it: it can be replaced and deleted like any other
            content = None
        former[name] = Former(stamp, body, seal or b"", content)
    return former


def _enter(journal: Journal, change: Change, former: Former | None, keep: bool) -> None:
    if former is not None:
        change.before, change.kept = former.seal, keep and bool(former.body)
    journal.add(change, former.stamp + former.body if former is not None and change.kept else None)


def _same_content(former: Body, memory: StoredMemory) -> bool:
    """Tell whether only marks of the server differ, which say nothing of what is remembered."""
    beside = (memory.speaker, memory.role, memory.lead, memory.position)
    same = (former.speaker, former.role, former.lead, former.position) == beside
    return same and only_marks_differ(former.record, memory.record)


def _remove(connection: apsw.Connection, ledger: Ledger, rows: Sequence[Existing]) -> None:
    if not rows:
        return
    rids = [(row.rid,) for row in rows]
    for table in ("memories", "facets"):
        connection.executemany(f"DELETE FROM {table} WHERE rid = ?", rids)  # noqa: S608
    connection.executemany("DELETE FROM words WHERE rowid = ?", rids)
    for table in ("contents", "vectors"):
        connection.executemany(f"DELETE FROM {table} WHERE vid = ?", [(row.vid,) for row in rows])  # noqa: S608
    for row in rows:
        ledger.count(row.scopes, -1, -row.length)


def remove_all(connection: apsw.Connection, scope: Scope) -> None:
    """Remove every memory inside the scope, also those that are not what the server wrote."""
    parts, bindings = ["s.tenant = ?"], [scope.tenant]
    for column, values in (("namespace", scope.namespaces), ("user", scope.users), ("session", scope.sessions)):
        if values is not None:
            sql, more = is_text_among(f"s.{column}", values)
            parts.append(sql)
            bindings += more  # type: ignore[arg-type]
    rows = connection.execute(
        "SELECT m.rid, m.id, m.tenant, m.nscope, m.uscope, m.owner, m.session, m.length, "  # noqa: S608
        "s.namespace, s.user, s.session FROM memories m JOIN scopes s ON s.id = m.session "
        f"WHERE s.kind = 4 AND {' AND '.join(parts)}",
        bindings,
    )
    found: list[Any] = rows.fetchall()
    ledger = Ledger(connection, scope.tenant)
    _remove(
        connection,
        ledger,
        [Existing(rid=row[0], id=row[1], scopes=row[2:7], length=row[7], owner=row[8:11]) for row in found],
    )
    ledger.close()


def _insert(connection: apsw.Connection, ledger: Ledger, planned: Plan, journal: Journal) -> None:
    """Insert under fresh row numbers, which rise with every commit (the vector cache relies on that)."""
    if not planned.put:
        return
    last = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'memories'").get or 0
    replaced = {row.id: planned.former[row.id] for row in planned.replaced}
    created = [memory.record.id for memory in planned.put if memory.record.id not in replaced]
    versions = latest_versions(connection, ledger.tenant, created)
    ledger.look_up(owner_of(memory.record) for memory in planned.put)
    rows, contents, words, vectors, facets = [], [], [], [], []
    for rid, memory in enumerate(planned.put, int(last) + 1):
        record, former = memory.record, replaced.get(memory.record.id)
        if record.persisted_at is None and former and former.content and former.content.record.persisted_at:
            record = msgspec.structs.replace(record, persisted_at=former.content.record.persisted_at)
        same = former is not None and former.content is not None and _same_content(former.content, memory)
        before = versions.get(record.id, 0) if former is None else former.version
        version = max(before + (not same), memory.version if journal.restored else 0)
        owner = owner_of(record)
        scopes = ledger.ids(*owner)
        ledger.count(scopes.all(), 1, len(memory.terms))
        row, body = columns_of(rid, scopes.all(), memory), encode_body(memory, record, version)
        indexed = encode_words(memory)
        vid = (scopes.owner << RID_BITS) | rid
        vector = None if memory.vector is None else encode_vector(memory.vector)
        mine = facets_of(rid, record)
        seal = journal.seals.seal(stamp_of(rid), body)
        rows.append(row)
        contents.append((vid, body, indexed, seal, proof_of(journal.seals, row, indexed, mine, vector)))
        words.append((rid, scopes.tokens(), encode_terms(memory.terms)))
        if vector is not None:
            vectors.append((vid, vector))
        facets += mine
        kind: ChangeKind = "created" if former is None else "touched" if same else "replaced"
        change = Change(kind=kind, at=0, memory=record.id, owner=owner, version=version, after=seal)
        _enter(journal, change, former, journal.keep and not same)
    connection.executemany(f"INSERT INTO memories VALUES({','.join('?' * len(COLUMNS))})", rows)
    connection.executemany("INSERT INTO contents VALUES(?, ?, ?, ?, ?)", contents)
    connection.executemany("INSERT INTO words(rowid, scope, terms) VALUES(?, ?, ?)", words)
    connection.executemany("INSERT INTO vectors VALUES(?, ?)", vectors)
    connection.executemany("INSERT INTO facets VALUES(?, ?, ?, ?, ?)", facets)


def columns_of(
    rid: int, scopes: tuple[int, int, int, int, int], memory: StoredMemory, length: int | None = None
) -> tuple[Value, ...]:
    """The row of a memory; `length` is the number of its terms, where they are not there."""
    record = memory.record
    return (
        rid,
        *scopes,
        record.id,
        memory.position,
        len(memory.terms) if length is None else length,
        to_micros(record.created_at),
        to_micros(record.updated_at),
        to_micros(record.last_accessed),
        to_micros_or_none(record.event_date),
        to_micros_or_none(record.valid_from),
        to_micros_or_none(record.valid_to),
        record.access_count,
        record.memory_type.value,
        record.extraction_strategy,
        record.memory_hash or "",
        to_micros_or_none(record.said_at),
        to_micros_or_none(record.event_end),
        to_micros(record.held_from),
        record.trust or "",
    )


_SORTED_FACETS = sorted(FACETS)


def facets_of(rid: int, record: MemoryRecord) -> list[tuple[Value, ...]]:
    """The rows of `facets` of a memory, by key and number."""
    found: list[tuple[Value, ...]] = []
    for name in _SORTED_FACETS:
        values = dict.fromkeys(tag_values(record, name))
        found += [(rid, name, seq, value, None) for seq, value in enumerate(values)]
    if not record.metadata:
        return found
    for key, value in record.metadata.items():
        for seq, item in enumerate(metadata_values(value)):
            is_text = isinstance(item, str)
            found.append(
                (
                    rid,
                    METADATA_PREFIX + key,
                    seq,
                    item if is_text else None,
                    None if is_text else item,
                )
            )
    found.sort(key=lambda facet: facet[1:3])
    return found


def mark_access(connection: apsw.Connection, scope: Scope, mark: AccessMark) -> None:
    """Count that memories were found, at most once an interval each; see `AccessMark`."""
    at, interval = to_micros(mark.at), int(mark.interval_s * 1_000_000)
    found = existing_rows(connection, scope.tenant, list(dict.fromkeys(mark.ids)))
    rids = [row.rid for row in found if scope.allows(*row.owner)]
    connection.executemany(
        "UPDATE memories SET access_count = min(access_count + 1, ?4), last_accessed = max(last_accessed, ?1) "
        "WHERE rid = ?2 AND (access_count = 0 OR ?3 <= 0 OR last_accessed <= ?1 - ?3)",
        [(at, rid, interval, MAX_ACCESSES) for rid in rids],
    )
