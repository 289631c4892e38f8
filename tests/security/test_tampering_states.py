"""Somebody edits, removes or puts back sessions and documents behind the server's back."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from memhost.errors import NotFound, Tampered
from memhost.testing.clock import FakeClock
from tests.support.hosts import run, running_host
from tests.support.tampering import (
    check_damage_is_told_of_its_own_ids,
    edited,
    fill,
    opened,
    put_documents,
    sql,
    verified,
)


def rows(connection: sqlite3.Connection, table: str, where: str) -> list[tuple[Any, ...]]:
    return list(connection.execute(f"SELECT * FROM {table} WHERE {where}"))


def put_back(connection: sqlite3.Connection, table: str, where: str, old: list[tuple[Any, ...]]) -> None:
    connection.execute(f"DELETE FROM {table} WHERE {where}")
    connection.executemany(f"INSERT INTO {table} VALUES({','.join('?' * len(old[0]))})", old)


@pytest.mark.parametrize("last", ["written", "deleted"])
async def test_an_old_session_put_back_with_its_seal(last: str, tmp_path: Path) -> None:
    where = "session = 's-bob'"
    async with running_host(tmp_path, run_jobs=False) as host:
        await fill(host)
    with opened(tmp_path) as connection:
        old = rows(connection, "sessions", where)
    async with running_host(tmp_path, run_jobs=False) as host:
        if last == "written":
            await run(host, "put_session", session_id="s-bob", user_id="bob", data={"of": "later"})
        else:
            await run(host, "delete_session", session_id="s-bob", user_id="bob")
        assert (await verified(host)).findings == []
    with opened(tmp_path) as connection:
        put_back(connection, "sessions", where, old)
    async with running_host(tmp_path, run_jobs=False) as host:
        (found,) = (await verified(host)).findings
        kind = "replayed" if last == "written" else "inserted"
        assert (found.kind, found.what, found.id) == (kind, "session", "s-bob")
        with pytest.raises((NotFound, Tampered)):
            await run(host, "get_session", session_id="s-bob", user_id="bob")
        assert host.tampered.seen["session"] == {"s-bob"}
        kept = await run(host, "get_session", session_id="s-alice", user_id="alice")
        assert kept.data == {"of": "alicedata"}


async def test_a_removed_session(tmp_path: Path) -> None:
    await edited(tmp_path, sql("DELETE FROM sessions WHERE session = 's-bob'"))
    async with running_host(tmp_path, run_jobs=False) as host:
        (found,) = (await verified(host)).findings
        assert (found.kind, found.what, found.id) == ("removed", "session", "s-bob")
        entry = found.detail.partition("entry ")[2].partition(")")[0]
        (told,) = (await run(host, "list_changes", after=int(entry) - 1, oldest_first=True, limit=1)).changes
        assert (told.kind, told.session_id, told.operation) == ("session", "s-bob", "put_session")


async def test_a_view_of_before_that_was_deleted_and_one_that_was_removed(tmp_path: Path) -> None:
    async with running_host(tmp_path, run_jobs=False) as host:
        await fill(host)
        views = await run(host, "list_summary_views")
    where = [f"id = '{view.id}'" for view in views]
    with opened(tmp_path) as connection:
        old = rows(connection, "documents", where[0])
        connection.execute(f"DELETE FROM documents WHERE {where[1]}")
    async with running_host(tmp_path, run_jobs=False) as host:
        await run(host, "delete_summary_view", view_id=views[0].id)
        assert [(each.kind, each.what) for each in (await verified(host)).findings] == [("removed", "document")]
    with opened(tmp_path) as connection:
        put_back(connection, "documents", where[0], old)
    async with running_host(tmp_path, run_jobs=False) as host:
        found = {(each.kind, each.what, each.id.partition(" ")[0]) for each in (await verified(host)).findings}
        assert ("inserted", "document", views[0].id) in found
        assert {each[0] for each in found} == {"inserted", "removed"}


async def test_sessions_and_documents_that_nobody_touched_are_sound(tmp_path: Path) -> None:
    """Whatever a server does to them by itself: expiry, erasure, other keys, copies in one batch."""
    first, both = {"INTEGRITY_KEY": "a" * 32}, {"INTEGRITY_KEY": f"{'b' * 32} {'a' * 32}"}
    clock = FakeClock()
    async with running_host(tmp_path, run_jobs=False, settings=first, clock=clock) as host:
        await fill(host)
        for number in range(3):
            await run(host, "put_session", session_id="short", user_id="bob", data={"n": number}, ttl_seconds=60)
            assert (await run(host, "get_session", session_id="short", user_id="bob")).data == {"n": number}
        clock.advance(120)
        assert (await verified(host)).findings == []
        await host.store.purge_expired(clock.now())
        assert (await verified(host)).findings == []
        await run(host, "put_session", session_id="short", user_id="bob", data={"n": 9})
        assert (await run(host, "get_session", session_id="short", user_id="bob")).data == {"n": 9}
        await run(host, "delete_user", user_id="alice")
        assert (await verified(host)).findings == []
    async with running_host(tmp_path, run_jobs=False, settings=both, clock=clock) as host:
        await run(host, "put_session", session_id="short", user_id="bob", data={"n": 10})
        assert (await verified(host)).findings == []
        await host.services.verifying.seal_again()
        assert (await verified(host)).findings == []
        assert (await run(host, "get_session", session_id="short", user_id="bob")).data == {"n": 10}
        await run(host, "delete_session", session_id="s-bob", user_id="bob")
        assert (await verified(host)).findings == []
    async with running_host(tmp_path, run_jobs=False, settings={"INTEGRITY_KEY": "b" * 32}, clock=clock) as host:
        assert (await verified(host)).findings == []


@pytest.mark.parametrize("kind", ["review", "alias"])
async def test_a_damaged_document_says_nothing_of_other_ids(kind: str, tmp_path: Path) -> None:
    """What waits under an id, and where it went, are read a page at a time, which holds those of other ids."""
    async with running_host(tmp_path, run_jobs=False) as host:
        await put_documents(host, kind)
        with opened(tmp_path) as connection:
            connection.execute("UPDATE documents SET body = x'80' WHERE kind = ?", (kind,))
        await check_damage_is_told_of_its_own_ids(host)
