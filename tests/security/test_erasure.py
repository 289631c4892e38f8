"""Deleting a user removes every trace of them from the store, and nothing of others."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from pathlib import Path
from typing import Any, cast

import apsw
import msgspec
import pytest
from click.testing import CliRunner

from memhost.cli import cli
from memhost.errors import StoreUnavailable
from memhost.host import Host
from memhost.models import Document, Scope, WriteBatch, new_id
from memhost.storage.secure_delete import Scrubbing
from memhost.testing.clock import FakeClock
from memhost_store_sqlite import pages, scrubbing
from memhost_store_sqlite.connection import connect
from memhost_store_sqlite.pages import without_rests
from memhost_store_sqlite.settings import SqliteSettings
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
            await host.services.views.compute(await host.services.views.visible(_call(), view.id))
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


async def test_the_file_is_left_alone_where_nothing_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_host(tmp_path, store="sqlite", run_jobs=False) as host:
        scrubbed: list[Any] = []

        async def scrub(store: Any) -> None:
            scrubbed.append(store)

        monkeypatch.setattr(type(host.store), "scrub", scrub)
        for caller in (bound_to(users=(BOB,)), bound_to(users=(ANN,)), ADMIN):
            receipt = await run(host, "delete_user", caller, user_id=ANN)
            assert (receipt.counts, receipt.files, scrubbed) == ({}, None, [])
        await run(host, "store_memories", memories=[{"text": "tea", "user_id": ANN}])
        receipt = await run(host, "delete_user", user_id=ANN)
        assert (receipt.files, len(scrubbed)) == ("clean", 1)


async def test_who_dies_before_the_files_are_clean_leaves_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    async with running_host(tmp_path, store="sqlite", run_jobs=False, clock=clock) as host:
        await run(host, "store_memories", memories=[{"text": "tea", "user_id": ANN}])
        scrub = type(host.store).scrub  # type: ignore[attr-defined]

        async def die(_store: Any) -> None:
            raise StoreUnavailable("the disk is full")

        monkeypatch.setattr(type(host.store), "scrub", die)
        with pytest.raises(StoreUnavailable):
            await run(host, "delete_user", user_id=ANN)
        monkeypatch.setattr(type(host.store), "scrub", scrub)
        clock.advance(60)
        assert (await run(host, "delete_user", user_id=BOB)).files is None  # it may still be at it
        clock.advance(360)
        assert (await run(host, "delete_user", user_id=BOB)).files == "clean"
        clock.advance(360)
        assert (await run(host, "delete_user", user_id=BOB)).files is None


async def test_others_write_between_the_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of it holds the writer for long: it gives way after each step, and the file is never written anew."""
    monkeypatch.setattr(scrubbing, "_PAGES", 1)
    async with running_host(tmp_path, store="sqlite", run_jobs=False) as host:
        for number in range(6):
            words = [f"word{number}x{each}" for each in range(400)]
            given = [{"text": " ".join(words), "user_id": user} for user in (ANN, BOB)]
            await run(host, "create_memories", memories=[{**item, "id": new_id()} for item in given])
        order: list[str] = []
        store: Any = host.store
        write = store._write

        merging, done = asyncio.Event(), asyncio.Event()

        async def watched(work: Any) -> Any:
            name = getattr(getattr(work, "func", work), "__name__", "alone")
            if name == "merge_step" and merging.is_set():  # the next step comes when the others had their turn
                await asyncio.wait_for(done.wait(), 60)
            order.append(name)
            if name == "merge_step":
                merging.set()
            return await write(work)

        monkeypatch.setattr(store, "_write", watched)

        async def others() -> None:
            await merging.wait()
            await run(host, "store_memories", memories=[{"text": "Life goes on", "user_id": BOB}])
            order.append("others are done")
            done.set()

        busy = asyncio.create_task(others())
        receipt = await run(host, "delete_user", user_id=ANN)
        await busy
        assert receipt.files == "clean"
        first, last = order.index("merge_step"), len(order) - 1 - order[::-1].index("merge_step")
        assert last - first > 3
        assert first < order.index("others are done") < last


async def test_a_file_from_before_is_written_anew_once(tmp_path: Path) -> None:
    word = "xylophonquist"
    async with running_host(tmp_path, store="sqlite", run_jobs=False) as host:
        await run(
            host, "store_memories", memories=[{"text": f"{word} {number}", "user_id": ANN} for number in range(9)]
        )
    old = apsw.Connection(str(tmp_path / "memhost.db"))
    old.execute("DELETE FROM settings WHERE key = 'kept_clean'")
    rows = ((f"{word} {number}",) for number in range(200))
    old.executemany(
        "INSERT INTO documents(tenant, kind, id, namespace, user, updated_at, body) VALUES('', '', ?, '', '', 0, '')",
        rows,
    )
    old.execute("DELETE FROM documents WHERE tenant = ''")
    old.close()
    async with running_host(tmp_path, store="sqlite", run_jobs=False) as host:
        assert (await run(host, "delete_user", user_id=ANN)).files == "clean"
        assert not _found(tmp_path, word)
    new = apsw.Connection(str(tmp_path / "memhost.db"))
    assert scrubbing.is_kept_clean(new)
    new.close()


class Slow:
    """A store whose files take long to clean."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.begun = 0

    async def scrub(self) -> None:
        self.begun += 1
        await self.go_on.wait()


async def test_who_waits_shares_the_next_one() -> None:
    store = Slow()
    cleaning = Scrubbing(cast("Any", store), wait_s=0.001)
    assert not await cleaning.run()
    assert [await cleaning.run() for _ in range(3)] == [False] * 3
    assert store.begun == 1
    store.go_on.set()
    patient = Scrubbing(cast("Any", store))
    assert await patient.run()
    await cleaning.run()
    await cleaning.aclose()
    assert store.begun == 4  # the first, the one that three shared, and two more


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
        versions = await run(host, "list_memory_versions", memory_id=f"k1{ANN}")
        assert any(each.kept and not each.current for each in versions.versions)
        receipt = await run(host, "delete_user", user_id=ANN)
        assert not _found(tmp_path, word)
        assert not _found(tmp_path, ANN)
        assert receipt.history > 60
        certificate = msgspec.to_builtins(receipt)
        assert (await run(host, "check_certificate", certificate=certificate)).valid
        forgeries: list[dict[str, Any]] = [
            {"user_id": BOB},
            {"counts": {}},
            {"entry": receipt.entry - 1},
            {"erased_at": "2020-01-01T00:00:00Z"},
        ]
        for forged in forgeries:
            assert not (await run(host, "check_certificate", certificate={**certificate, **forged})).valid
        assert (await run(host, "verify_store")).findings == []
        assert _found(tmp_path, other) == {"memhost.db"}
        hits = await run(host, "search_memories", text=other, user_id={"eq": BOB}, limit=100)
        assert hits.total == 59  # thirty turns and thirty memories, of which one was deleted
        await run(host, "store_memories", memories=[{"text": "Life goes on"}])


async def test_no_byte_is_left_after_many_changes(tmp_path: Path) -> None:
    """Rows of all lengths come, grow, shrink and go between those of others: pages are split and joined."""
    chance = random.Random(7)
    users = [f"zz-{name}-zz" for name in ("ann", "bob", "cid", "dan")]
    async with running_host(tmp_path, store="sqlite", run_jobs=False) as host:
        for turn in range(120):
            user = chance.choice(users)
            text = f"{user} said " + f"{user[3:6]}ish " * chance.choice((1, 20, 200, 900))
            number = chance.randrange(12)
            given = {"id": f"{user}{number}", "text": f"{turn} {text}", "user_id": user, "topics": [f"{user}-topic"]}
            await run(host, "create_memories", memories=[given], deduplicate=False)
            if turn % 5 == 0:
                await run(host, "put_session", session_id=f"s{number}", user_id=user, data={"of": text})
            if turn % 7 == 0:
                await run(host, "delete_memories", memory_ids=[f"{user}{chance.randrange(12)}"])
        for user in (users[0], users[2]):
            assert _found(tmp_path, user)
            assert (await run(host, "delete_user", user_id=user)).files == "clean"
            assert not _found(tmp_path, user)
            assert not _found(tmp_path, f"{user[3:6]}ish")
        kept = await run(host, "search_memories", user_id={"any": [users[1], users[3]]}, limit=100)
        assert kept.total > 10
    database = apsw.Connection(str(tmp_path / "memhost.db"))
    assert database.pragma("integrity_check") == "ok"
    database.close()


def test_only_pages_of_trees_are_cleaned() -> None:
    """A leaf with two cells: header, two pointers, rests, cells."""
    cells = b"c" * 100
    leaf = b"\x0d\0\0\0\x02" + (512 - 100).to_bytes(2, "big") + b"\0" + b"\x01\x9c\x01\xce" + b"r" * 400 + cells
    clean = leaf[:12] + bytes(400) + cells
    assert without_rests(leaf, 512) == clean
    assert without_rests(clean, 512) == clean
    inner = b"\x05\0\0\0\x02" + (512 - 100).to_bytes(2, "big") + b"\0" + b"next" + leaf[8:12] + b"r" * 396 + cells
    assert without_rests(inner, 1024) == inner[:16] + bytes(396) + cells
    head = b"h" * 100 + leaf[:12] + b"r" * 300 + cells
    assert without_rests(head, 0) == head[:112] + bytes(300) + cells
    overflow = b"\0\0\0\x09" + b"text" * 127
    half, odd, far = leaf[:256], leaf[:500], 2**40
    for page, offset in ((overflow, 512), (half, 512), (odd, 512), (leaf, 100), (leaf, far), (b"\x01" + leaf[1:], 512)):
        assert without_rests(page, offset) == page
    beyond = leaf[:5] + (600).to_bytes(2, "big") + leaf[7:]
    assert without_rests(beyond, 512) == beyond
    full = leaf[:3] + (250).to_bytes(2, "big") + leaf[5:]
    assert without_rests(full, 512) == full


def test_files_whose_pages_may_look_like_trees_are_written_as_sqlite_gives_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaf = b"\x0d\0\0\0\x02" + (512 - 100).to_bytes(2, "big") + b"\0" + b"\x01\x9c\x01\xce" + b"r" * 400 + b"c" * 100

    def written(name: str) -> bytes:
        flags = [apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_READWRITE, 0]
        file = pages._File(str(tmp_path / name), flags)
        file.xWrite(bytes(512), 1024)
        file.xWrite(leaf, 512)
        file.xClose()
        return (tmp_path / name).read_bytes()[512:1024]

    assert written("small") == leaf[:12] + bytes(400) + leaf[412:]
    monkeypatch.setattr(pages, "_FARTHEST", 1024)
    assert written("large") == leaf


@pytest.mark.parametrize("vacuum", [False, True])
def test_a_file_with_auto_vacuum_has_pages_of_pointers_that_are_left_alone(tmp_path: Path, vacuum: bool) -> None:
    path = tmp_path / "vacuumed.db"
    database = apsw.Connection(str(path))
    database.execute(f"PRAGMA auto_vacuum = {int(vacuum)}; CREATE TABLE texts(text)")
    database.close()
    database = connect(path, SqliteSettings(), reading=False)
    assert (database.open_vfs == pages.NAME) is not vacuum
    assert database.pragma("auto_vacuum") == vacuum
    database.close()
