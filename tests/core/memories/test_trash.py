"""The trash: memories that the server removed can be restored; memories that a client deleted cannot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from memhost.cli import cli
from memhost.errors import Forbidden
from memhost.host import Host
from memhost.memories import trash as trash_module
from memhost.models import Caller, Scope
from memhost.testing.clock import FakeClock
from tests.support.dedup_hosts import stored, trashed
from tests.support.hosts import ADMIN, bound_to, run, running_host

STORES = pytest.mark.parametrize("store", ["memory", "sqlite"])
DAY = 86_400.0
LONG_AGO = "2020-01-01T00:00:00Z"


async def store_all(host: Host, *memories: dict[str, Any]) -> None:
    await run(host, "create_memories", memories=list(memories), deduplicate=False)


async def forget_all(host: Host, caller: Caller = ADMIN) -> list[str]:
    result = await run(host, "forget_memories", caller, policy={"max_age_days": 1}, dry_run=False)
    ids: list[str] = result.deleted_ids
    return ids


def old(memory_id: str, text: str = "User likes tea.", **fields: Any) -> dict[str, Any]:
    return {"id": memory_id, "text": text, "created_at": LONG_AGO, **fields}


async def left(host: Host, text: str | None = None) -> list[str]:
    return [hit.id for hit in (await run(host, "search_memories", text=text, limit=100)).memories]


@STORES
async def test_forgotten_memories_come_back_as_they_were(store: str, tmp_path: Path) -> None:
    clock = FakeClock()
    async with running_host(tmp_path, store=store, clock=clock, run_jobs=False) as host:
        await store_all(host, old("a", user_id="ann", namespace="work", topics=["tea"], metadata={"k": 1}))
        before = (await stored(host))["a"]
        assert await forget_all(host) == ["a"]
        assert await left(host) == []
        page = await run(host, "list_trash")
        (item,) = page.memories
        assert (item.id, item.text, item.reason, item.user_id, page.next) == (
            "a",
            "User likes tea.",
            "forgotten",
            "ann",
            None,
        )
        assert item.deleted_at == clock.now()
        assert (item.expires_at - item.deleted_at).days == 7
        clock.advance(DAY)
        answer = await run(host, "restore_memories", ids=["a", "a", "never"])
        assert (answer.restored, answer.taken, answer.missing) == (["a"], [], ["never"])
        after = (await stored(host))["a"]
        assert after.metadata.pop("restored_at") == clock.now().isoformat()
        assert (after.text, after.topics, after.metadata, after.created_at) == (
            before.text,
            before.topics,
            before.metadata,
            before.created_at,
        )
        assert await left(host, "who likes tea?") == ["a"]
        assert await trashed(host) == {}
        assert await forget_all(host) == []  # it is as old as its return
        clock.advance(2 * DAY)
        assert await forget_all(host) == ["a"]


@STORES
async def test_turns_come_back_as_turns(store: str, tmp_path: Path) -> None:
    async with running_host(tmp_path, store=store, run_jobs=False) as host:
        message = {"role": "user", "name": "Ada", "content": "Ada: I like tea", "id": "m1", "created_at": LONG_AGO}
        await run(host, "put_session", session_id="s", messages=[message])
        (turn_id,) = await forget_all(host)
        await run(host, "restore_memories", ids=[turn_id])
        (turn,) = await host.store.get_memories(Scope(), [turn_id])
        assert (turn.role, turn.speaker, turn.position) == ("user", "Ada", 0)
        assert "zspada" in turn.terms


@STORES
async def test_explicit_deletion_is_final(store: str, tmp_path: Path) -> None:
    async with running_host(tmp_path, store=store, run_jobs=False) as host:
        await store_all(host, {"id": "a", "text": "new"}, old("b"), old("c", session_id="s"))
        await run(host, "delete_memories", memory_ids=["a"])
        assert await trashed(host) == {}
        assert sorted(await forget_all(host)) == ["b", "c"]
        bob = bound_to(users=("bob",))
        await run(host, "delete_memories", bob, memory_ids=["b"])
        assert set(await trashed(host)) == {"b", "c"}
        await run(host, "delete_memories", memory_ids=["b"])
        await run(host, "delete_memories", bound_to(sessions=("s",)), memory_ids=["c"])
        assert await trashed(host) == {}
        assert (await run(host, "restore_memories", ids=["a", "b", "c"])).missing == ["a", "b", "c"]


@STORES
async def test_repetitions_go_to_the_trash_and_stay_apart_once_restored(store: str, tmp_path: Path) -> None:
    async with running_host(tmp_path, store=store, run_jobs=False) as host:
        await store_all(host, {"id": "a", "text": "same"}, {"id": "b", "text": "same"})
        await run(host, "compact_memories")
        ((gone, (reason, _)),) = (await trashed(host)).items()
        assert reason == "repeated"
        await run(host, "restore_memories", ids=[gone])
        assert (await run(host, "compact_memories", report=True)).report.exact_removed == 0
        assert sorted(await left(host)) == ["a", "b"]


@STORES
async def test_an_id_taken_meanwhile_is_left_alone(store: str, tmp_path: Path) -> None:
    async with running_host(tmp_path, store=store, run_jobs=False) as host:
        await store_all(host, old("a", "ann's", user_id="ann"), old("b", "ann's too", user_id="ann"))
        await forget_all(host)
        await store_all(
            host, {"id": "a", "text": "bob's", "user_id": "bob"}, {"id": "b", "text": "new", "user_id": "ann"}
        )
        ann = bound_to(users=("ann",))
        assert (await run(host, "restore_memories", ann, ids=["a", "b"])).taken == ["a", "b"]
        assert (await run(host, "restore_memories", ids=["a", "b"])).taken == ["a", "b"]
        assert {name: record.text for name, record in (await stored(host)).items()} == {"a": "bob's", "b": "new"}
        assert set(await trashed(host)) == {"a", "b"}


@STORES
async def test_one_id_of_two_owners(store: str, tmp_path: Path) -> None:
    clock = FakeClock()
    async with running_host(tmp_path, store=store, clock=clock, run_jobs=False) as host:
        for user in ("ann", "bob"):
            await store_all(host, old("a", f"{user}'s", user_id=user))
            caller = Caller(subject=user, bounds=Scope(users=(user,)), roles=frozenset({"writer"}))
            assert await forget_all(host, caller) == ["a"]
            clock.advance(60)
        page = await run(host, "list_trash", bound_to(users=("ann",)))
        assert [item.text for item in page.memories] == ["ann's"]
        assert (await run(host, "restore_memories", bound_to(users=("ann",)), ids=["a"])).restored == ["a"]
        assert (await run(host, "restore_memories", bound_to(users=("bob",)), ids=["a"])).taken == ["a"]
        assert (await stored(host))["a"].text == "ann's"


@STORES
async def test_pages_and_scope(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trash_module, "_PAGE", 2)
    async with running_host(tmp_path, store=store, run_jobs=False) as host:
        await store_all(
            host,
            *(
                old(f"{user}-{n}", f"{user} {n}", user_id=user, session_id=f"s{n}")
                for user in ("ann", "bob")
                for n in range(5)
            ),
        )
        await forget_all(host)

        async def ids(caller: Caller = ADMIN, limit: int = 3, **scope: Any) -> list[str]:
            found: list[str] = []
            after = ""
            while True:
                page = await run(host, "list_trash", caller, limit=limit, after=after, **scope)
                assert len(page.memories) <= limit
                found += [item.id for item in page.memories]
                if page.next is None:
                    return found
                after = page.next

        everything = [f"{user}-{n}" for user in ("ann", "bob") for n in range(5)]
        assert await ids() == everything
        assert await ids(limit=500) == everything
        assert await ids(user_id="bob") == everything[5:]
        assert await ids(session_id="s2", limit=1) == ["ann-2", "bob-2"]
        assert await ids(bound_to(users=("ann",), sessions=("s1", "s3"))) == ["ann-1", "ann-3"]
        assert await ids(bound_to(users=("ann",)), user_id="bob") == []
        answer = await run(host, "restore_memories", bound_to(sessions=("s1",)), ids=["ann-0", "ann-1", "bob-1"])
        assert (answer.restored, answer.missing) == (["ann-1", "bob-1"], ["ann-0"])
        reader = Caller(subject="reader", roles=frozenset({"reader"}))
        assert await ids(reader, limit=500)
        with pytest.raises(Forbidden):
            await run(host, "restore_memories", reader, ids=["ann-0"])


@STORES
async def test_the_trash_is_emptied_in_time_or_not_kept_at_all(store: str, tmp_path: Path) -> None:
    clock = FakeClock()
    async with running_host(tmp_path / "kept", store=store, clock=clock, run_jobs=False) as host:
        await store_all(host, old("a"))
        await forget_all(host)
        clock.advance(7 * DAY + 1)
        assert await trashed(host) == {}
        assert (await run(host, "restore_memories", ids=["a"])).missing == ["a"]
    nothing = {"FORGETTING_TRASH_DAYS": "0"}
    async with running_host(tmp_path / "none", store=store, clock=clock, settings=nothing, run_jobs=False) as host:
        await store_all(host, old("a"))
        assert await forget_all(host) == ["a"]
        assert await trashed(host) == {}


async def test_pinned_while_it_was_being_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        await store_all(host, old("a"), old("b", "other"))
        delete = host.services.forgetting._delete

        async def pin_first(scope: Scope, ids: Any) -> list[str]:
            await run(host, "edit_memory", memory_id="a", pinned=True)
            return await delete(scope, ids)

        monkeypatch.setattr(host.services.forgetting, "_delete", pin_first)
        assert await forget_all(host) == ["b"]
        assert await left(host) == ["a"]


async def test_used_often_counts_in_a_budget(tmp_path: Path) -> None:
    clock = FakeClock()
    async with running_host(tmp_path, store="memory", clock=clock, run_jobs=False) as host:
        a_while_ago = "2025-12-01T00:00:00Z"
        same: dict[str, Any] = {"created_at": a_while_ago, "last_accessed": a_while_ago}
        await store_all(
            host,
            {"id": "used", "text": "used", "access_count": 40, **same},
            {"id": "idle", "text": "idle", **same},
        )
        result = await run(host, "forget_memories", policy={"budget": 1})
        assert result.deleted_ids == ["idle"]


def test_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEMHOST_DATA_DIR", str(tmp_path / "data"))

    def memhost(*args: str) -> str:
        result = CliRunner().invoke(cli, list(args))
        assert result.exit_code == 0, result.output
        return result.output

    lines = [
        {"kind": "memhost_export", "format": 1, "version": "1", "created_at": LONG_AGO},
        *(
            {
                "kind": "memory",
                "memory": {
                    "id": name,
                    "text": "same",
                    "created_at": LONG_AGO,
                    "updated_at": LONG_AGO,
                    "last_accessed": LONG_AGO,
                },
            }
            for name in ("a", "b")
        ),
        {"kind": "end", "sessions": 0, "memories": 2},
    ]
    (tmp_path / "all.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    memhost("import", "all.jsonl")
    assert "1 repetitions would be removed" in memhost("compact", "--dry-run")
    assert json.loads(memhost("compact", "--json"))["exact_removed"] == 1
    assert "repeated" in memhost("trash", "list")
    (item,) = json.loads(memhost("trash", "list", "--json"))["memories"]
    assert memhost("trash", "restore", item["id"]).startswith("1 restored.")
    assert "The trash is empty." in memhost("trash", "list")
