"""Deleting a user leaves no trace of them in the store, and everything of everybody else."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from memhost.cli import cli
from memhost.host import Host
from memhost.models import Document, Scope, WriteBatch
from tests.support import scripted
from tests.support.crossing import SETTINGS, echo
from tests.support.hosts import ADMIN, bound_to, run, running_host

ANN, BOB = "zz-ann-zz", "zz-bob-zz"


async def fill(host: Host, user: str) -> None:
    """Something of every sort; the user's name stands in all of it."""
    owner = {"user_id": user, "namespace": "home"}
    caller = bound_to(users=(user,))
    said = [{"id": f"m-{user}", "role": "user", "content": f"I am {user}", "created_at": "2026-01-02T03:04:05Z"}]
    await run(host, "put_session", caller, session_id="s", messages=said, data={"name": user}, **owner)
    texts = [f"{user} likes tea", f"{user} likes coffee", f"{user} likes cocoa"]
    await run(host, "store_memories", caller, memories=[{"text": text, **owner} for text in texts])
    await run(host, "forget_memories", caller, policy={"budget": 2}, dry_run=False)
    view = await run(host, "create_summary_view", caller, source="long_term", name=user)
    await run(host, "run_summary_view", caller, view_id=view.id)
    await run(host, "run_summary_view_partition", caller, view_id=view.id, group={})
    note = Document(
        kind="plugin:notes",
        id=user,
        tenant="default",
        namespace="home",
        user=user,
        body=user.encode(),
        updated_at=host.clock.now(),
    )
    await host.store.commit(Scope(), WriteBatch(put_documents=[note]))


async def everything(host: Host) -> str:
    """All that the store holds of the tenant but usage, as text."""
    scope, now = Scope(), host.clock.now()
    memories, _ = await host.store.list_memories(scope, limit=1000)
    keys, _ = await host.store.list_sessions(scope, now, limit=100)
    documents = [
        document
        for kind in await host.store.document_kinds(scope, now)
        for document in await host.store.list_documents(scope, kind, now)
    ]
    jobs, _ = await host.store.list_jobs(scope, limit=1000)
    kept: list[Any] = [
        [memory.record for memory in memories],
        keys,
        [(document.kind, document.id, document.user, str(document.body)) for document in documents],
        [(job.id, str(job.payload)) for job in jobs if job.event not in ("memories_deleted", "administered")],
    ]
    return msgspec.json.encode(kept).decode()


@pytest.mark.parametrize("store", ["memory", "sqlite", "redis"])
async def test_no_trace_is_left(store: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    settings = dict(SETTINGS)
    if store == "redis":
        settings |= request.getfixturevalue("redis_part").environment()
    scripted.reset().rule = echo
    async with running_host(tmp_path, store=store, extra=[scripted.POINT], settings=settings, run_jobs=False) as host:
        for user in (ANN, BOB):
            await fill(host, user)
        views = []
        for group_by in (["user_id"], ["namespace"], []):
            view = await run(host, "create_summary_view", source="long_term", group_by=group_by)
            views.append(view.id)
            await host.views.compute(await host.views.visible(_call(), view.id))
        before = await everything(host)
        assert before.count(ANN) > 20
        receipt = await run(host, "delete_user", user_id=ANN)
        after = await everything(host)
        assert ANN not in after, after[max(0, after.index(ANN) - 300) : after.index(ANN) + 100]
        assert after.count(BOB) >= before.count(BOB) - 2  # two results of views told of both
        assert (await run(host, "search_memories", text=ANN, user_id={"eq": ANN})).total == 0
        sorts = {"memories", "sessions", "trash", "waiting_turns", "views", "view_results", "tasks", "jobs"}
        assert sorts | {"plugin_documents"} <= set(receipt.counts), receipt.counts
        assert receipt.counts["memories"] == 2
        check_sum(msgspec.to_builtins(receipt))
        again = await run(host, "delete_user", user_id=ANN)
        assert again.counts == {}


async def test_bounds_hold(tmp_path: Path) -> None:
    scripted.reset().rule = echo
    async with running_host(
        tmp_path, store="memory", extra=[scripted.POINT], settings=SETTINGS, run_jobs=False
    ) as host:
        await fill(host, ANN)
        before = await everything(host)
        for caller in (bound_to(users=(BOB,)), bound_to(namespaces=("work",))):
            receipt = await run(host, "delete_user", caller, user_id=ANN)
            assert receipt.counts == {}
        assert before == await everything(host)
        receipt = await run(host, "delete_user", bound_to(namespaces=("home",)), user_id=ANN)
        assert receipt.counts["memories"] == 2


async def test_the_file_is_not_written_anew_for_who_is_out_of_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_host(tmp_path, store="sqlite") as host:
        scrubbed: list[Any] = []

        async def scrub(store: Any) -> None:
            scrubbed.append(store)

        monkeypatch.setattr(type(host.store), "scrub", scrub)
        await run(host, "delete_user", bound_to(users=(BOB,)), user_id=ANN)
        assert not scrubbed
        await run(host, "delete_user", bound_to(users=(ANN,)), user_id=ANN)
        assert scrubbed


def check_sum(receipt: dict[str, Any]) -> None:
    """The digest is that of the rest, as documented."""
    given = receipt.pop("sha256")
    text = json.dumps(receipt, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(text.encode()).hexdigest() == given


def test_command(tmp_path: Path) -> None:
    async def store() -> None:
        async with running_host(tmp_path, run_jobs=False) as host:
            await run(host, "store_memories", memories=[{"text": f"{ANN} likes tea", "user_id": ANN}])

    asyncio.run(store())
    runner = CliRunner()
    folder = ["--data", str(tmp_path)]
    refused = runner.invoke(cli, ["user", "delete", ANN, *folder])
    assert refused.exit_code != 0
    assert "--force" in refused.output
    elsewhere = runner.invoke(cli, ["user", "delete", ANN, "--force", "--json", "--tenant", "acme", *folder])
    assert json.loads(elsewhere.stdout)["counts"] == {}
    deleted = runner.invoke(cli, ["user", "delete", ANN, "--force", "--json", *folder])
    assert deleted.exit_code == 0, deleted.output
    receipt = json.loads(deleted.stdout)
    assert receipt["counts"]["memories"] == 1
    check_sum(receipt)
    said = runner.invoke(cli, ["user", "delete", ANN, "--force", *folder])
    assert "there was nothing" in said.output


def _call() -> Any:
    from memhost.operations import Call

    return Call(caller=ADMIN, request_id="test")


def _found(folder: Path, word: str) -> set[str]:
    """Files below the folder whose bytes hold the word, in whatever case."""
    return {path.name for path in folder.iterdir() if path.is_file() and word.encode() in path.read_bytes().lower()}


async def test_no_byte_is_left_in_the_file(tmp_path: Path) -> None:
    """Neither in free pages nor in the full-text index nor in the write-ahead log, while the server goes on."""
    word, other = "xylophonquist", "barquentine"
    async with running_host(tmp_path, run_jobs=False) as host:
        for user, said in ((ANN, word), (BOB, other)):
            caller = bound_to(users=(user,))
            for number in range(30):
                text = f"I met {said} number {number} " + "and so on " * number
                turn = {"id": f"{user}{number}", "role": "user", "content": text, "created_at": "2026-01-02T03:04:05Z"}
                await run(host, "change_session", caller, session_id="s", user_id=user, messages=[turn])
                await run(
                    host, "store_memories", caller, memories=[{"text": text, "user_id": user, "id": f"k{number}{user}"}]
                )
            await run(host, "edit_memory", caller, memory_id=f"k1{user}", text=f"Said {said} once")
            await run(host, "delete_memories", caller, memory_ids=[f"k2{user}"])
        assert _found(tmp_path, word)
        await run(host, "delete_user", user_id=ANN)
        assert not _found(tmp_path, word)
        assert not _found(tmp_path, ANN)
        assert _found(tmp_path, other) == {"memhost.db"}
        hits = await run(host, "search_memories", text=other, user_id={"eq": BOB}, limit=100)
        assert hits.total == 59  # thirty turns and thirty memories, of which one was deleted
        await run(host, "store_memories", memories=[{"text": "Life goes on"}])
