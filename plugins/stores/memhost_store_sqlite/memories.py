"""Memories: putting, deleting, marking, fetching and listing them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import apsw
import msgspec

from memhost.models import (
    MAX_ACCESSES,
    AccessMark,
    MemoryRecord,
    Scope,
    StoredMemory,
    WriteBatch,
    WriteResult,
)
from memhost.models.filters import METADATA_PREFIX, metadata_values, tag_values
from memhost.storekit import owner_of, rules, to_micros, to_micros_or_none
from memhost_store_sqlite.codec import (
    decode_persisted,
    encode_body,
    encode_terms,
    encode_vector,
    encode_words,
)
from memhost_store_sqlite.conditions import FACETS
from memhost_store_sqlite.scopes import Ledger, ScopeIds, Value, is_text_among

RID_BITS = 36
RID_MASK = (1 << RID_BITS) - 1
"""Rows of `contents` and `vectors` are keyed by `owner << RID_BITS | rid`: those of one owner lie side by side."""

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
class Plan:
    """The changes that a checked batch will make to the memories."""

    put: list[StoredMemory]
    replaced: list[Existing]
    deleted: list[Existing]


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
    """Check whose ids a batch puts, without changing anything.

    Raises:
        IdTaken: An id belongs to another owner.
    """
    deleting = dict.fromkeys(batch.delete_memories)
    putting = {memory.record.id: memory for memory in batch.put_memories}
    known = {row.id: row for row in existing_rows(connection, scope.tenant, [*(deleting | putting)])}
    rules.check_owners(scope, batch, {row.id: row.owner for row in known.values()})
    deleted = [known[each] for each in deleting if each in known and scope.allows(*known[each].owner)]
    gone = {row.id for row in deleted}
    replaced = [known[each] for each in putting if each in known and each not in gone]
    return Plan(put=list(putting.values()), replaced=replaced, deleted=deleted)


def apply(connection: apsw.Connection, scope: Scope, planned: Plan, result: WriteResult) -> None:
    """Carry a plan out."""
    if not planned.put and not planned.deleted:
        return
    ledger = Ledger(connection, scope.tenant)
    inherited = _persisted(connection, planned)
    _remove(connection, ledger, [*planned.deleted, *planned.replaced])
    _insert(connection, ledger, planned.put, inherited)
    ledger.close()
    replaced = {row.id for row in planned.replaced}
    result.deleted = [row.id for row in planned.deleted]
    for memory in planned.put:
        (result.replaced if memory.record.id in replaced else result.created).append(memory.record.id)


def _persisted(connection: apsw.Connection, planned: Plan) -> dict[str, Any]:
    """The `persisted_at` of replaced memories whose replacement has none."""
    without = {memory.record.id for memory in planned.put if memory.record.persisted_at is None}
    found = {}
    for row in planned.replaced:
        if row.id in without:
            body = connection.execute("SELECT body FROM contents WHERE vid = ?", (row.vid,)).get
            found[row.id] = decode_persisted(body).record.persisted_at
    return found


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


def _insert(
    connection: apsw.Connection,
    ledger: Ledger,
    memories: Sequence[StoredMemory],
    inherited: dict[str, Any],
) -> None:
    """Insert under fresh row numbers, which rise with every commit (the vector cache relies on that)."""
    if not memories:
        return
    last = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'memories'").get or 0
    rows, contents, words, vectors, facets = [], [], [], [], []
    for rid, memory in enumerate(memories, int(last) + 1):
        record = memory.record
        if record.persisted_at is None and inherited.get(record.id):
            record = msgspec.structs.replace(record, persisted_at=inherited[record.id])
            memory = replace(memory, record=record)
        scopes = ledger.ids(*owner_of(record))
        ledger.count(scopes.all(), 1, len(memory.terms))
        rows.append(_row(rid, scopes, memory))
        vid = (scopes.owner << RID_BITS) | rid
        contents.append((vid, encode_body(memory), encode_words(memory)))
        words.append((rid, scopes.tokens(), encode_terms(memory.terms)))
        if memory.vector is not None:
            vectors.append((vid, encode_vector(memory.vector)))
        facets += _facets(rid, record)
    connection.executemany(f"INSERT INTO memories VALUES({','.join('?' * 23)})", rows)
    connection.executemany("INSERT INTO contents VALUES(?, ?, ?)", contents)
    connection.executemany("INSERT INTO words(rowid, scope, terms) VALUES(?, ?, ?)", words)
    connection.executemany("INSERT INTO vectors VALUES(?, ?)", vectors)
    connection.executemany("INSERT INTO facets VALUES(?, ?, ?, ?, ?)", facets)


def _row(rid: int, scopes: ScopeIds, memory: StoredMemory) -> tuple[Value, ...]:
    record = memory.record
    return (
        rid,
        *scopes.all(),
        record.id,
        memory.position,
        len(memory.terms),
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


def _facets(rid: int, record: MemoryRecord) -> list[tuple[Value, ...]]:
    found: list[tuple[Value, ...]] = []
    for name in FACETS:
        values = dict.fromkeys(tag_values(record, name))
        found += [(rid, name, seq, value, None) for seq, value in enumerate(values)]
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
