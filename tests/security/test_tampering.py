"""Somebody edits the store behind the server's back: nothing of it is served, and `memhost verify` says what it was.

Beside it: `test_tampering_replays` (old states put back), `test_tampering_states` (sessions and documents),
`test_tampering_keys` (the key and the published head), `test_tampering_redis`.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from memhost.errors import MemhostError, NotFound
from memhost.operations import Call
from tests.support.hosts import ADMIN, bound_to, run, running_host
from tests.support.tampering import Edit, allowed, edited, request_of, sql, verified

SHIFT = 36


def place(connection: sqlite3.Connection, name: str) -> tuple[int, int]:
    rid, owner = connection.execute("SELECT rid, owner FROM memories WHERE id = ?", (name,)).fetchone()
    return rid, (owner << SHIFT) | rid


def content(connection: sqlite3.Connection, name: str) -> dict[str, Any]:
    cursor = connection.execute("SELECT * FROM contents WHERE vid = ?", (place(connection, name)[1],))
    return dict(zip([column[0] for column in cursor.description], cursor.fetchone(), strict=True))


def set_content(connection: sqlite3.Connection, name: str, **values: Any) -> None:
    for column, value in values.items():
        vid = place(connection, name)[1]
        connection.execute(f"UPDATE contents SET {column} = ? WHERE vid = ?", (value, vid))


def remove(connection: sqlite3.Connection, *names: str) -> None:
    for name in names:
        rid, vid = place(connection, name)
        connection.execute("DELETE FROM memories WHERE rid = ?", (rid,))
        for table in ("contents", "vectors"):
            connection.execute(f"DELETE FROM {table} WHERE vid = ?", (vid,))


def alter_text(connection: sqlite3.Connection) -> None:
    body = content(connection, "alice-1")["body"]
    set_content(connection, "alice-1", body=body.replace(b"alicetoken1", b"ALTEREDtok1"))


def remove_newest(connection: sqlite3.Connection) -> None:
    remove(connection, "alice-2", "alice-1")


def remove_middle(connection: sqlite3.Connection) -> None:
    remove(connection, "alice-1")


def swap(connection: sqlite3.Connection, *columns: str) -> None:
    first, second = content(connection, "alice-0"), content(connection, "alice-1")
    set_content(connection, "alice-0", **{column: second[column] for column in columns})
    set_content(connection, "alice-1", **{column: first[column] for column in columns})


def insert(connection: sqlite3.Connection) -> None:
    rid, vid = place(connection, "alice-2")
    new = connection.execute("SELECT max(rid) + 1 FROM memories").fetchone()[0]
    row = list(connection.execute("SELECT * FROM memories WHERE rid = ?", (rid,)).fetchone())
    row[0], row[6] = new, "alice-9"
    connection.execute(f"INSERT INTO memories VALUES({','.join('?' * len(row))})", row)
    new_vid = (row[4] << SHIFT) | new
    for table, column in (("contents", "body"), ("vectors", "vector")):
        cursor = connection.execute(f"SELECT * FROM {table} WHERE vid = ?", (vid,))
        values = dict(zip([each[0] for each in cursor.description], cursor.fetchone(), strict=True))
        if column == "body":
            values["body"] = values["body"].replace(b"alice-2", b"alice-9").replace(b"alicetoken2", b"alicetoken9")
        connection.execute(
            f"INSERT INTO {table}({','.join(values)}) VALUES({','.join('?' * len(values))})",
            list({**values, "vid": new_vid}.values()),
        )
    connection.execute("UPDATE scopes SET documents = documents + 1")


def copy(connection: sqlite3.Connection, source: str, target: str, *columns: str) -> None:
    set_content(connection, target, **{column: content(connection, source)[column] for column in columns})


def move_time(connection: sqlite3.Connection) -> None:
    connection.execute(
        "UPDATE memories SET created_at = created_at - 2592000000000, memory_type = 'episodic' WHERE id = 'alice-0'"
    )


def swap_vectors(connection: sqlite3.Connection) -> None:
    first, second = (place(connection, name)[1] for name in ("alice-0", "alice-1"))
    vectors = [
        connection.execute("SELECT vector FROM vectors WHERE vid = ?", (vid,)).fetchone()[0] for vid in (first, second)
    ]
    connection.execute("UPDATE vectors SET vector = ? WHERE vid = ?", (vectors[1], first))
    connection.execute("UPDATE vectors SET vector = ? WHERE vid = ?", (vectors[0], second))


def rename_owner(connection: sqlite3.Connection) -> None:
    """Everything of bob's becomes alice's, in the table that numbers owners alone."""
    connection.execute("UPDATE scopes SET user = 'carol' WHERE user = 'alice'")
    connection.execute("UPDATE scopes SET user = 'alice' WHERE user = 'bob'")


def renumber(connection: sqlite3.Connection) -> None:
    (first,), (second,) = connection.execute("SELECT cid FROM changes ORDER BY cid LIMIT 2").fetchall()
    for old, new in ((first, -1), (second, first), (-1, second)):
        connection.execute("UPDATE changes SET cid = ? WHERE cid = ?", (new, old))


EDITS: dict[str, tuple[Edit, str]] = {
    "C-45 text altered": (alter_text, "changed"),
    "C-46 newest removed": (remove_newest, "removed"),
    "C-47 one removed": (remove_middle, "removed"),
    "C-48 bodies swapped": (lambda connection: swap(connection, "body"), "changed"),
    "C-48 bodies swapped with their seals": (lambda connection: swap(connection, "body", "seal"), "changed"),
    "C-49 inserted": (insert, "changed"),
    "C-50 bob's body in alice's row": (lambda c: copy(c, "bob-1", "alice-2", "body"), "changed"),
    "C-50 with its seals": (lambda c: copy(c, "bob-1", "alice-2", "body", "seal", "proof", "words"), "changed"),
    "C-51 a body over another": (lambda c: copy(c, "alice-0", "alice-2", "body", "seal"), "changed"),
    "C-52 columns": (move_time, "changed"),
    "columns that hide": (sql("UPDATE memories SET valid_to = 1 WHERE id = 'alice-0'"), "changed"),
    "another hash": (sql("UPDATE memories SET hash = 'x' WHERE id = 'alice-0'"), "changed"),
    "another position": (sql("UPDATE memories SET position = 7 WHERE id = 'alice-0'"), "changed"),
    "another id": (sql("UPDATE memories SET id = 'alice-8' WHERE id = 'alice-0'"), "changed"),
    "another trust": (sql("UPDATE memories SET trust = 'operator' WHERE id = 'alice-0'"), "changed"),
    "topics": (sql("UPDATE facets SET text = 'topic9' WHERE key = 'topics'"), "changed"),
    "topics removed": (sql("DELETE FROM facets WHERE key = 'topics'"), "changed"),
    "vectors swapped": (swap_vectors, "changed"),
    "vectors removed": (sql("DELETE FROM vectors WHERE vid = (SELECT max(vid) FROM vectors)"), "changed"),
    "words": (sql("UPDATE contents SET words = x'9200'"), "changed"),
    "owners renamed": (rename_owner, "changed"),
    "body damaged": (sql("UPDATE contents SET body = x'c1'"), "changed"),
    "seal taken away": (sql("UPDATE contents SET seal = NULL"), "changed"),
    "seal cut": (sql("UPDATE contents SET seal = substr(seal, 1, 15)"), "changed"),
    "session": (sql("UPDATE sessions SET body = replace(CAST(body AS TEXT), 'alicedata', 'aliceDATA')"), "changed"),
    "session's owner": (sql("UPDATE sessions SET user = 'alice' WHERE user = 'bob'"), "changed"),
    "document": (sql("UPDATE documents SET body = x'80'"), "changed"),
    "entry altered": (sql("UPDATE changes SET entry = replace(CAST(entry AS TEXT), 'test', 'TEST')"), "changed"),
    "entry emptied": (sql("UPDATE changes SET entry = NULL, memory = NULL WHERE memory = 'alice-1'"), "removed"),
    "entry removed": (sql("DELETE FROM changes WHERE memory = 'alice-1'"), "removed"),
    "entries renumbered": (renumber, "reordered"),
    "former state altered": (sql("UPDATE changes SET former = replace(former, 'first', 'FIRST')"), "changed"),
    "another version of an entry": (sql("UPDATE changes SET version = 9 WHERE memory = 'alice-1'"), "changed"),
    "entry of another memory": (sql("UPDATE changes SET memory = 'alice-9' WHERE memory = 'alice-1'"), "changed"),
    "former state removed": (sql("UPDATE changes SET former = NULL"), "removed"),
}


@pytest.mark.parametrize("name", EDITS)
async def test_verify_says_what_was_done(name: str, tmp_path: Path) -> None:
    edit, kind = EDITS[name]
    await edited(tmp_path, edit)
    async with running_host(tmp_path, run_jobs=False) as host:
        report = await verified(host)
        assert kind in {finding.kind for finding in report.findings}, report.findings
        assert report.found == len(report.findings) <= 40


@pytest.mark.parametrize("name", EDITS)
async def test_nothing_of_it_is_served(name: str, tmp_path: Path) -> None:
    """Alice gets what the server wrote of hers, under its id, or nothing; and is told that something is missing."""
    await edited(tmp_path, EDITS[name][0])
    wrote = {
        f"{user}-{number}": f"{user}token{number} decided something" for user in ("alice", "bob") for number in range(3)
    }
    caller = bound_to(users=("alice",))
    async with running_host(tmp_path, run_jobs=False) as host:
        for asked in ({"text": "decided"}, {}, {"memory_type": {"eq": "episodic"}}, {"topics": {"any": ["topic9"]}}):
            call = Call(caller=caller, request_id="t")
            found = await host.execute("search_memories", call, request_of(host, "search_memories", limit=50, **asked))
            for hit in found.memories:
                assert (hit.user_id, hit.text) == ("alice", wrote.get(hit.id)), (name, asked)
            assert len({hit.id for hit in found.memories}) == len(found.memories)
        for memory_id in [*wrote, "alice-8", "alice-9"]:
            memory = await allowed(host, "get_memory", caller, memory_id=memory_id)
            if memory is not None:
                assert (memory.id, memory.user_id, memory.text) == (memory_id, "alice", wrote[memory_id])
        for session in ("s-alice", "s-bob"):
            kept = await allowed(host, "get_session", caller, session_id=session, user_id="alice")
            assert kept is None or kept.data == {"of": "alicedata"}


@pytest.mark.parametrize("cache", ["0", "64"])
@pytest.mark.parametrize("value", ["x''", "x'c1'", "x'92a161'", "5", "'words'", "x'92a16190' || x'92a16290'"])
async def test_damaged_words_of_one_memory_hide_that_one_alone(value: str, cache: str, tmp_path: Path) -> None:
    def damage(connection: sqlite3.Connection) -> None:
        vid = place(connection, "alice-1")[1]
        connection.execute(f"UPDATE contents SET words = {value} WHERE vid = ?", (vid,))

    await edited(tmp_path, damage)
    settings = {"SQLITE_BLOCK_CACHE_MB": cache}
    async with running_host(tmp_path, run_jobs=False, settings=settings) as host:
        for mode in ("keyword", "semantic", "hybrid"):
            for caller, names in ((bound_to(users=("alice",)), {"alice-0", "alice-2"}), (ADMIN, {"alice-0", "bob-1"})):
                call = Call(caller=caller, request_id="t")
                request = request_of(host, "search_memories", text="decided something", search_mode=mode, limit=50)
                found = await host.execute("search_memories", call, request)
                ids = {hit.id for hit in found.memories}
                assert names <= ids, mode
                assert "alice-1" not in ids
                assert [text[:17] for kind, text in call.notices if kind == "tampered"] == ["1 memory left out"], mode
            call = Call(caller=bound_to(users=("bob",)), request_id="t")
            request = request_of(host, "search_memories", text="decided something", search_mode=mode, limit=50)
            found = await host.execute("search_memories", call, request)
            assert {hit.id for hit in found.memories} == {"bob-0", "bob-1", "bob-2"}
            assert [kind for kind, _ in call.notices if kind == "tampered"] == []


async def test_who_reads_it_is_told(tmp_path: Path) -> None:
    await edited(tmp_path, alter_text)
    async with running_host(tmp_path, run_jobs=False) as host:
        assert [each.name for each in (await host.readiness()).components if not each.ok] == []
        with pytest.raises(MemhostError) as refused:
            await run(host, "get_memory", memory_id="alice-1")
        assert refused.value.code == "tampered"
        call = Call(caller=ADMIN, request_id="t")
        await host.execute("search_memories", call, request_of(host, "search_memories", text="alicetoken1 decided"))
        (notice,) = [text for kind, text in call.notices if kind == "tampered"]
        assert notice.startswith("1 memory left out")
        assert [each.name for each in (await host.readiness()).components if not each.ok] == ["integrity"]
        with pytest.raises(NotFound):
            await run(host, "get_memory", memory_id="nobody")
