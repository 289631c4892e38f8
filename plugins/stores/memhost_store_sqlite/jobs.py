"""The outbox: jobs that are committed together with the writes they follow from."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import apsw
import msgspec

from memhost.models import Job, JobState, Scope, WriteBatch
from memhost.storekit import encode, from_micros, rules, to_micros

_COLUMNS = (
    "id, event, plugin, payload, tenant, created_at, due_at, state, attempts, lease, lease_until, last_error, "
    "failures, deaths, waiting_since"
)
_QUIET = "('pending', 'waiting')"
_AFRESH = "attempts = 0, failures = 0, deaths = 0, waiting_since = NULL"
_RUNNING = "id = ? AND state = 'running' AND lease = ?"


class Successor(msgspec.Struct, array_like=True):
    """The job that replaces a running job when its run ends."""

    event: str
    plugin: str
    payload: bytes
    due_at: datetime


_decode_successor = msgspec.msgpack.Decoder(Successor).decode


def _decode(row: Any) -> Job:
    return Job(
        id=row[0],
        event=row[1],
        plugin=row[2],
        payload=row[3],
        tenant=row[4],
        created_at=from_micros(row[5]),
        due_at=from_micros(row[6]),
        state=JobState(row[7]),
        attempts=row[8],
        lease=row[9],
        lease_until=None if row[10] is None else from_micros(row[10]),
        last_error=row[11],
        failures=row[12],
        deaths=row[13],
        waiting_since=None if row[14] is None else from_micros(row[14]),
    )


def check(connection: apsw.Connection, batch: WriteBatch) -> None:
    """Raise `LeaseLost` before anything is changed."""
    if batch.complete_job and not connection.execute(f"SELECT 1 FROM jobs WHERE {_RUNNING}", batch.complete_job).get:  # noqa: S608
        raise rules.lease_lost()


def apply(connection: apsw.Connection, scope: Scope, batch: WriteBatch) -> None:
    """Complete, cancel and add the jobs of a checked batch, in this order."""
    if batch.complete_job and not _succeed(connection, batch.complete_job[0]):
        connection.execute("DELETE FROM jobs WHERE id = ?", (batch.complete_job[0],))
    for job_id in batch.cancel_jobs:
        connection.execute(
            f"DELETE FROM jobs WHERE id = ? AND tenant = ? AND state IN {_QUIET}",  # noqa: S608
            (job_id, scope.tenant),
        )
        connection.execute("UPDATE jobs SET successor = NULL WHERE id = ? AND tenant = ?", (job_id, scope.tenant))
    for job in batch.add_jobs:
        if batch.restored:
            _restore(connection, job)
        else:
            _add(connection, job)


def _restore(connection: apsw.Connection, job: Job) -> None:
    """Keep a job as it was in another store; a process that ran it there does not run it here."""
    connection.execute("DELETE FROM jobs WHERE id = ? AND tenant = ?", (job.id, job.tenant))
    _add(connection, msgspec.structs.replace(job, replace=False))
    state = JobState.PENDING if job.state is JobState.RUNNING else job.state
    since = None if job.waiting_since is None else to_micros(job.waiting_since)
    connection.execute(
        "UPDATE jobs SET state = ?, attempts = ?, failures = ?, deaths = ?, last_error = ?, waiting_since = ? "
        "WHERE id = ? AND tenant = ?",
        (state.value, job.attempts, job.failures, job.deaths, job.last_error, since, job.id, job.tenant),
    )


def _add(connection: apsw.Connection, job: Job) -> None:
    connection.execute(
        "INSERT INTO jobs(id, tenant, event, plugin, payload, state, created_at, due_at) "
        "VALUES(?, ?, ?, ?, ?, 'pending', ?, ?) ON CONFLICT(id) DO NOTHING",
        (
            job.id,
            job.tenant,
            job.event,
            job.plugin,
            job.payload,
            to_micros(job.created_at),
            to_micros(job.due_at),
        ),
    )
    if connection.changes() or not job.replace:
        return
    connection.execute(
        f"UPDATE jobs SET {_AFRESH} WHERE id = ? AND tenant = ? AND state = 'dead'",  # noqa: S608
        (job.id, job.tenant),
    )
    connection.execute(
        "UPDATE jobs SET event = ?, plugin = ?, payload = ?, due_at = ?, state = 'pending' "
        "WHERE id = ? AND tenant = ? AND state <> 'running'",
        (job.event, job.plugin, job.payload, to_micros(job.due_at), job.id, job.tenant),
    )
    connection.execute(
        "UPDATE jobs SET successor = ? WHERE id = ? AND tenant = ? AND state = 'running'",
        (encode(Successor(job.event, job.plugin, job.payload, job.due_at)), job.id, job.tenant),
    )


def _succeed(connection: apsw.Connection, job_id: str) -> bool:
    """Turn a running job into the successor that was added while it ran, if there is one."""
    packed = connection.execute("SELECT successor FROM jobs WHERE id = ?", (job_id,)).get
    if packed is None:
        return False
    new = _decode_successor(packed)
    connection.execute(
        f"UPDATE jobs SET event = ?, plugin = ?, payload = ?, due_at = ?, state = 'pending', {_AFRESH}, "  # noqa: S608
        "lease = '', lease_until = NULL, successor = NULL WHERE id = ?",
        (new.event, new.plugin, new.payload, to_micros(new.due_at), job_id),
    )
    return True


def claim(connection: apsw.Connection, now: datetime, limit: int, lease_s: float) -> list[Job]:
    """Take over due jobs, oldest due first."""
    at = to_micros(now)
    until = at + int(lease_s * 1_000_000)
    due = connection.execute(
        "SELECT rid, due_at, id FROM jobs WHERE state = 'pending' AND due_at <= ?1 "
        "UNION ALL SELECT rid, due_at, id FROM jobs WHERE state = 'waiting' AND due_at <= ?1 "
        "UNION ALL SELECT rid, due_at, id FROM jobs WHERE state = 'running' AND lease_until <= ?1 "
        "ORDER BY due_at, id LIMIT ?2",
        (at, limit),
    ).fetchall()
    claimed = []
    for rid, _, _ in due:
        rows = connection.execute(
            "UPDATE jobs SET deaths = deaths + (state = 'running'), state = 'running', attempts = attempts + 1, "  # noqa: S608
            f"lease = ?, lease_until = ? WHERE rid = ? RETURNING {_COLUMNS}",
            (secrets.token_hex(16), until, rid),
        )
        claimed += [_decode(row) for row in rows.fetchall()]
    return claimed


def extend(connection: apsw.Connection, job_id: str, lease: str, until: datetime) -> bool:
    """Prolong a lease that is still held."""
    connection.execute(f"UPDATE jobs SET lease_until = ? WHERE {_RUNNING}", (to_micros(until), job_id, lease))  # noqa: S608
    return connection.changes() > 0


def release(connection: apsw.Connection, job_id: str, lease: str, error: str, due_at: datetime | None) -> bool:
    """End a run that failed: back to pending at `due_at`, or dead without one. A successor takes its place."""
    connection.execute(
        f"UPDATE jobs SET failures = failures + 1, last_error = ?, waiting_since = NULL WHERE {_RUNNING}",  # noqa: S608
        (error, job_id, lease),
    )
    if not connection.changes():
        return False
    if not _succeed(connection, job_id):
        state = JobState.DEAD if due_at is None else JobState.PENDING
        connection.execute(
            "UPDATE jobs SET state = ?, lease = '', lease_until = NULL, due_at = coalesce(?, due_at) WHERE id = ?",
            (state.value, None if due_at is None else to_micros(due_at), job_id),
        )
    return True


def put_off(
    connection: apsw.Connection, job_id: str, lease: str, due_at: datetime, reason: str, since: datetime | None
) -> bool:
    """End a run that did not count: due again at `due_at`, waiting since then. A successor takes its place."""
    connection.execute(f"UPDATE jobs SET last_error = ? WHERE {_RUNNING}", (reason, job_id, lease))  # noqa: S608
    if not connection.changes():
        return False
    if not _succeed(connection, job_id):
        state = JobState.PENDING if since is None else JobState.WAITING
        connection.execute(
            "UPDATE jobs SET state = ?, attempts = attempts - ?, lease = '', lease_until = NULL, due_at = ? "
            "WHERE id = ?",
            (state.value, int(since is not None), to_micros(due_at), job_id),
        )
    at = None if since is None else to_micros(since)
    connection.execute("UPDATE jobs SET waiting_since = ? WHERE id = ?", (at, job_id))
    return True


def waiting(connection: apsw.Connection) -> tuple[int, Job | None]:
    """Return the number of waiting jobs, and the oldest of them."""
    count = connection.execute("SELECT count(*) FROM jobs WHERE state = 'waiting'").get
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM jobs WHERE state = 'waiting' ORDER BY created_at, id LIMIT 1"  # noqa: S608
    ).fetchone()
    return int(count), None if row is None else _decode(row)


def list_page(
    connection: apsw.Connection, scope: Scope, state: JobState | None, limit: int, offset: int
) -> tuple[list[Job], int]:
    """Jobs of the tenant by (created_at, id), and how many there are."""
    where, bindings = "tenant = ?", [scope.tenant]
    if state is not None:
        where, bindings = "tenant = ? AND state = ?", [scope.tenant, state.value]
    total = connection.execute(f"SELECT count(*) FROM jobs WHERE {where}", bindings).get  # noqa: S608
    rows: Iterable[Any] = connection.execute(
        f"SELECT {_COLUMNS} FROM jobs WHERE {where} ORDER BY created_at, id LIMIT ? OFFSET ?",  # noqa: S608
        [*bindings, limit, offset],
    )
    return [_decode(row) for row in rows], int(total)


def revive(connection: apsw.Connection, scope: Scope, job_id: str, due_at: datetime) -> bool:
    """Make a dead job pending again."""
    connection.execute(
        f"UPDATE jobs SET state = 'pending', {_AFRESH}, due_at = ? "  # noqa: S608
        "WHERE id = ? AND tenant = ? AND state = 'dead'",
        (to_micros(due_at), job_id, scope.tenant),
    )
    return connection.changes() > 0


def discard(connection: apsw.Connection, scope: Scope, job_id: str) -> bool:
    """Remove a dead job permanently."""
    connection.execute("DELETE FROM jobs WHERE id = ? AND tenant = ? AND state = 'dead'", (job_id, scope.tenant))
    return connection.changes() > 0


def next_due(connection: apsw.Connection) -> datetime | None:
    """When the next pending or waiting job is due, or the next lease runs out."""
    found = connection.execute(
        "SELECT min(at) FROM (SELECT min(due_at) AS at FROM jobs WHERE state = 'pending' "
        "UNION ALL SELECT min(due_at) FROM jobs WHERE state = 'waiting' "
        "UNION ALL SELECT min(lease_until) FROM jobs WHERE state = 'running')"
    ).get
    return None if found is None else from_micros(int(found))
