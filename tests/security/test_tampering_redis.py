"""Somebody edits Redis behind the server's back; the same promises as in `test_tampering`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py

from memhost.errors import ConfigurationError
from memhost.ports import KeepsHistory
from tests.support.hosts import bound_to, run, running_host
from tests.support.redis_server import RedisSpace
from tests.support.tampering import allowed, check_damage_is_told_of_its_own_ids, fill, put_documents

KEY = "k" * 32


class Editor:
    """A client that knows where things lie, and has no key."""

    def __init__(self, url: str, prefix: str) -> None:
        self.client: Any = redis_py.Redis.from_url(url)
        self.prefix = prefix

    def key(self, name: str) -> str:
        """The hash of a memory."""
        wanted = name.replace("-", "").encode()
        keys = [each for each in self.client.scan_iter(f"{self.prefix}:m:*") if _letters(each).endswith(wanted)]
        return str(keys[0].decode())

    def copy(self, source: str, target: str, *fields: str) -> None:
        """Put fields of one memory (all without names) into another."""
        stored = self.client.hgetall(self.key(source))
        names = [each.encode() for each in fields] or list(stored)
        self.client.hset(self.key(target), mapping={name: stored[name] for name in names})

    def entries(self) -> list[str]:
        """Keys of all entries, by number."""
        keys = [each.decode() for each in self.client.scan_iter(f"{self.prefix}:h:*")]
        return sorted(keys, key=lambda each: int(each.rpartition(":")[2]))

    def state(self, what: str) -> str:
        """The key of a session or document whose body holds the word."""
        keys = self.client.scan_iter(f"{self.prefix}:s:*")
        return str(next(key.decode() for key in keys if what.encode() in self.client.hget(key, "body")))


def _letters(key: bytes) -> bytes:
    return key.replace(b"+2D", b"")


def alter(edit: Editor) -> None:
    key = edit.key("alice-1")
    edit.client.hset(key, "body", edit.client.hget(key, "body").replace(b"alicetoken1", b"ALTEREDtok1"))


def swap(edit: Editor) -> None:
    first, second = (edit.client.hgetall(edit.key(name)) for name in ("alice-0", "alice-1"))
    names = (b"body", b"stamp", b"seal")
    edit.client.hset(edit.key("alice-0"), mapping={name: second[name] for name in names})
    edit.client.hset(edit.key("alice-1"), mapping={name: first[name] for name in names})


def insert(edit: Editor) -> None:
    stored = edit.client.hgetall(edit.key("alice-2"))
    key = edit.key("alice-2").replace("2D2", "2D9")
    stored[b"body"] = stored[b"body"].replace(b"alice-2", b"alice-9")
    stored[b"id"] = stored[b"id"].replace(b"2D2", b"2D9")
    edit.client.hset(key, mapping=stored)


def swap_entries(edit: Editor) -> None:
    first, second = edit.entries()[:2]
    one, two = edit.client.hgetall(first), edit.client.hgetall(second)
    edit.client.delete(first, second)
    edit.client.hset(first, mapping=two)
    edit.client.hset(second, mapping=one)


def truncate(edit: Editor) -> None:
    """The newest entry and its memory go, and the chain says that it ends before."""
    keys = edit.entries()
    link = edit.client.hget(keys[-2], "l")
    edit.client.delete(keys[-1])
    chain = next(edit.client.scan_iter(f"{edit.prefix}:chain:*"))
    edit.client.hset(chain, mapping={"seq": len(keys) - 1, "link": link})


Edit = Callable[[Editor], Any]
EDITS: dict[str, tuple[Edit, str]] = {
    "C-45 text altered": (alter, "changed"),
    "C-46 newest removed": (lambda e: e.client.delete(e.key("alice-2"), e.key("alice-1")), "removed"),
    "C-47 one removed": (lambda e: e.client.delete(e.key("alice-1")), "removed"),
    "C-48 bodies swapped with their seals": (swap, "changed"),
    "C-49 inserted": (insert, "changed"),
    "C-50 bob's body in alice's place": (lambda e: e.copy("bob-1", "alice-2", "body"), "changed"),
    "C-50 with its seals": (lambda e: e.copy("bob-1", "alice-2", "body", "stamp", "seal", "proof"), "changed"),
    "C-50 the whole hash": (lambda e: e.copy("bob-1", "alice-2"), "changed"),
    "C-51 a body over another": (lambda e: e.copy("alice-0", "alice-2", "body", "stamp", "seal"), "changed"),
    "C-52 fields": (lambda e: e.client.hset(e.key("alice-0"), "memory_type", "xepisodic"), "changed"),
    "vectors swapped": (lambda e: e.copy("alice-1", "alice-0", "vector1"), "changed"),
    "owner's tags": (lambda e: e.copy("alice-1", "bob-1", "user_id", "scope"), "changed"),
    "seal taken away": (lambda e: e.client.hdel(e.key("alice-0"), "seal"), "changed"),
    "damaged": (lambda e: e.client.hset(e.key("alice-0"), "body", b"\xc1"), "changed"),
    "session": (lambda e: e.client.hset(e.state("alicedata"), "body", b"\x80"), "changed"),
    "document": (lambda e: e.client.hset(e.state("long_term"), "seal", b""), "changed"),
    "session removed": (lambda e: e.client.delete(e.state("alicedata")), "removed"),
    "document removed": (lambda e: e.client.delete(e.state("long_term")), "removed"),
    "entry altered": (lambda e: e.client.hset(e.entries()[0], "e", b"\x90"), "changed"),
    "entry emptied": (lambda e: e.client.hdel(e.entries()[0], "e"), "removed"),
    "entry removed": (lambda e: e.client.delete(e.entries()[1]), "removed"),
    "entries swapped": (swap_entries, "reordered"),
    "chain cut": (truncate, "rolled_back"),
}


@pytest.mark.parametrize("name", EDITS)
async def test_it_is_not_served_and_verify_tells(name: str, tmp_path: Path, redis_part: RedisSpace) -> None:
    edit, kind = EDITS[name]
    environment = {**redis_part.environment(), "INTEGRITY_KEY": KEY}
    async with running_host(tmp_path, store="redis", run_jobs=False, settings=environment) as host:
        await fill(host)
        assert (await run(host, "verify_store")).findings == []
    edit(Editor(environment["REDIS_URL"], redis_part.name))
    wrote = {
        f"{user}-{number}": f"{user}token{number} decided something" for user in ("alice", "bob") for number in range(3)
    }
    caller = bound_to(users=("alice",))
    async with running_host(tmp_path, store="redis", run_jobs=False, settings=environment) as host:
        report = await run(host, "verify_store")
        assert kind in {finding.kind for finding in report.findings}, report.findings
        for asked in ({"text": "decided"}, {}, {"memory_type": {"eq": "episodic"}}):
            found = await run(host, "search_memories", caller, limit=50, **asked)
            for hit in found.memories:
                assert (hit.user_id, hit.text) == ("alice", wrote.get(hit.id)), (name, asked)
            assert len({hit.id for hit in found.memories}) == len(found.memories)
        for memory_id in [*wrote, "alice-9"]:
            memory = await allowed(host, "get_memory", caller, memory_id=memory_id)
            if memory is not None:
                assert (memory.id, memory.user_id, memory.text) == (memory_id, "alice", wrote[memory_id])
        kept = await allowed(host, "get_session", caller, session_id="s-alice", user_id="alice")
        assert kept is None or kept.data == {"of": "alicedata"}


async def test_a_damaged_document_says_nothing_of_other_ids(tmp_path: Path, redis_part: RedisSpace) -> None:
    environment = {**redis_part.environment(), "INTEGRITY_KEY": KEY}
    async with running_host(tmp_path, store="redis", run_jobs=False, settings=environment) as host:
        await put_documents(host, "review")
        edit = Editor(environment["REDIS_URL"], redis_part.name)
        for key in edit.client.scan_iter(f"{redis_part.name}:s:*"):
            edit.client.hset(key, "body", b"\x80")
        await check_damage_is_told_of_its_own_ids(host)


@pytest.mark.parametrize(("last", "kind"), [("put_session", "replayed"), ("delete_session", "inserted")])
async def test_an_old_session_put_back_with_its_seal(
    last: str, kind: str, tmp_path: Path, redis_part: RedisSpace
) -> None:
    environment = {**redis_part.environment(), "INTEGRITY_KEY": KEY}
    async with running_host(tmp_path, store="redis", run_jobs=False, settings=environment) as host:
        await fill(host)
        edit = Editor(environment["REDIS_URL"], redis_part.name)
        place = edit.state("alicedata")
        old = edit.client.hgetall(place)
        await run(host, "delete_session", session_id="s-bob", user_id="bob")
        given: dict[str, Any] = {"data": {"of": "later"}} if last == "put_session" else {}
        await run(host, last, session_id="s-alice", user_id="alice", **given)
        assert (await run(host, "verify_store")).findings == []
        edit.client.delete(place)
        edit.client.hset(place, mapping=old)
        (found,) = (await run(host, "verify_store")).findings
        assert (found.kind, found.what, found.id) == (kind, "session", "s-alice")


async def test_the_key_counts(tmp_path: Path, redis_part: RedisSpace) -> None:
    old, both = {"INTEGRITY_KEY": KEY}, {"INTEGRITY_KEY": f"{'n' * 32} {KEY}"}
    settings = redis_part.environment()
    async with running_host(tmp_path, store="redis", run_jobs=False, settings=settings) as host:
        await fill(host)  # without a key
    async with running_host(tmp_path, store="redis", run_jobs=False, settings={**settings, **old}) as host:
        report = await run(host, "verify_store")
        assert (report.findings, report.keyed) == ([], True)
        await run(host, "edit_memory", memory_id="alice-0", text="another")
    with pytest.raises(ConfigurationError, match="is sealed with the key"):
        async with running_host(tmp_path, store="redis", run_jobs=False, settings=settings):
            pass
    async with running_host(tmp_path, store="redis", run_jobs=False, settings={**settings, **both}) as host:
        assert isinstance(host.store, KeepsHistory)
        assert await host.store.seal_anew() == 6
    async with running_host(
        tmp_path, store="redis", run_jobs=False, settings={**settings, "INTEGRITY_KEY": "n" * 32}
    ) as host:
        report = await run(host, "verify_store")
        assert [finding for finding in report.findings if finding.kind != "rolled_back"] == []
        version = await run(host, "get_memory_version", memory_id="alice-0", version=1)
        assert version.memory.text == "alicetoken0 decided something"
