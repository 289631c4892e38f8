"""`memhost scan`: secrets that were stored before they were masked, found and masked wherever a store keeps them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from memhost.admin.migration import Migration
from memhost.admin.secret_scan import FoundSecret, ScanReport, SecretScan, masked_bytes
from memhost.cli import cli
from memhost.errors import Conflict
from memhost.host import Host
from memhost.models import Document, Job, Scope, SessionKey, WriteBatch
from memhost.ports import KeepsHistory
from memhost.secrets import Findings, Masker
from memhost_store_memory.store import MemoryStore
from tests.support.hosts import run, running_host

KEPT = {"SECRETS": "keep"}


def secret(number: int) -> str:
    return f"ghp_{number:02d}cdefghijklmnopqrstuvwxyz0123456789"


async def fill(host: Host) -> None:
    """Secrets in memories, their versions, the trash, a session, a view, a document of a plugin and a job."""
    memories = [
        {"id": "a", "text": f"Deploy with {secret(0)}", "user_id": "u", "metadata": {"password": "hunter22!"}},
        {"id": "b", "text": "Likes tea", "user_id": "u"},
        {"id": "c", "text": f"Was {secret(1)}", "user_id": "u"},
    ]
    await run(host, "create_memories", memories=memories)
    await run(host, "edit_memory", memory_id="c", text="Is nothing of that kind")
    messages = [{"id": "m", "role": "user", "content": f"Use {secret(2)}", "created_at": "2026-01-02T00:00:00Z"}]
    await run(host, "put_session", session_id="s", user_id="u", messages=messages, data={"k": secret(3)})
    await run(host, "create_summary_view", source="long_term", name=f"View {secret(4)}", group_by=["user_id"])
    now = host.clock.now()
    documents = [
        Document(kind="plugin:x", id="d", tenant="default", body=secret(5).encode(), updated_at=now),
        Document(kind="note", id="d", tenant="default", body=b'{"k": "' + secret(6).encode() + b'"}', updated_at=now),
    ]
    payload = msgspec.msgpack.encode({"note": secret(7)})
    job = Job(
        id="j", event="x", plugin="x", payload=payload, tenant="default", created_at=now, due_at=now.replace(year=2099)
    )
    await host.store.commit(Scope(tenant="default"), WriteBatch(put_documents=documents, add_jobs=[job]))


async def scanned(host: Host, *, mask: bool) -> ScanReport:
    masker = host.services.secrets.by("mask")
    scan = SecretScan(store=host.store, embedder=host.embedder, masker=masker, clock=host.clock, mask=mask)
    await scan.tenant("default")
    return await scan.finish()


@pytest.fixture(params=["memory", "sqlite", "redis"])
async def host(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Host]:
    key = {"INTEGRITY_KEY": "0123456789abcdef" * 4}
    settings = KEPT | key | (request.getfixturevalue("redis_part").environment() if request.param == "redis" else {})
    async with running_host(tmp_path, store=request.param, run_jobs=False, settings=settings) as opened:
        await fill(opened)
        yield opened


def places(report: ScanReport) -> set[tuple[str, str]]:
    return {(found.what, found.where) for found in report.secrets}


async def test_a_scan_finds_and_changes_nothing(host: Host) -> None:
    report = await scanned(host, mask=False)
    assert {
        ("memory", "text"),
        ("memory", "metadata.password"),
        ("session", "messages.0.content"),
        ("session", "data.k"),
        ("document", "content.name"),
        ("document", "k"),
        ("document", ""),
        ("job", "note"),
    } <= places(report)
    assert (("version", "0.text") in places(report)) is isinstance(host.store, KeepsHistory)
    assert report.masked == 0
    assert report.found == len(report.secrets)
    assert not any("ghp_" in str(found) for found in report.secrets)
    assert secret(0) in (await run(host, "get_memory", memory_id="a")).text
    assert (await scanned(host, mask=False)).found == report.found


async def test_a_scan_masks_what_it_finds(host: Host) -> None:
    before = await run(host, "get_memory", memory_id="a")
    report = await scanned(host, mask=True)
    assert report.masked == report.found - 1
    assert report.versions_removed == len({found.id for found in report.secrets if found.what == "version"}) > 0
    after = await run(host, "get_memory", memory_id="a")
    assert after.text.startswith("Deploy with [secret:")
    assert after.metadata["password"].startswith("[secret:")
    assert (after.user_id, after.created_at, after.memory_hash != before.memory_hash) == ("u", before.created_at, True)
    left = await scanned(host, mask=False)
    assert left.secrets == [
        FoundSecret(tenant="default", what="document", id="plugin:x/d", where="", kind="github token", stays=True)
    ]
    mask = after.text.removeprefix("Deploy with ")
    found = await run(host, "search_memories", text=mask, search_mode="keyword", user_id={"eq": "u"})
    assert found.memories[0].id == "a"


async def test_a_masked_session_takes_the_same_messages_as_before(host: Host, tmp_path: Path) -> None:
    await scanned(host, mask=True)
    key = SessionKey("default", "", "u", "s")
    before = await host.store.get_session(Scope(tenant="default"), key, host.clock.now())
    host.services.secrets.policy = "mask"
    messages = [{"id": "m", "role": "user", "content": f"Use {secret(2)}", "created_at": "2026-01-02T00:00:00Z"}]
    await run(host, "put_session", session_id="s", user_id="u", messages=messages)
    after = await host.store.get_session(Scope(tenant="default"), key, host.clock.now())
    assert before is not None
    assert after is not None
    assert after.turns == before.turns
    assert after.content.messages == before.content.messages


def bytes_in(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())


def test_the_command(tmp_path: Path) -> None:
    data = ["--data", str(tmp_path)]
    for number in range(2):
        env = {"SECRETS": "keep"}
        assert CliRunner(env=env).invoke(cli, ["add", f"Deploy with {secret(number)}", *data]).exit_code == 0
    assert CliRunner(env={"SECRETS": "keep"}).invoke(cli, ["search", "deploy", *data]).exit_code == 0
    told = CliRunner().invoke(cli, ["scan", *data])
    assert told.exit_code == 0
    assert "2 secrets found in 2 memories" in told.output
    assert "memhost scan --mask" in told.output
    assert secret(0) not in told.output
    done = CliRunner().invoke(cli, ["scan", "--mask", "--force", "--json", *data])
    report = json.loads(done.output)
    assert report["masked"] == report["found"] >= 2
    assert b"ghp_" not in bytes_in(tmp_path)
    again = CliRunner().invoke(cli, ["scan", *data])
    assert "0 secrets found" in again.output


@pytest.mark.parametrize("encode", [msgspec.json.encode, msgspec.msgpack.encode])
def test_documents_keep_their_format(encode: object, tmp_path: Path) -> None:
    body = encode({"a": [1, {"text": secret(0), "memory_hash": "ab"}], "b": b"\x00".hex()})  # type: ignore[operator]
    findings = Findings()
    masked = masked_bytes(body, Masker(b"key"), findings)
    assert findings.count == 1
    assert secret(0).encode() not in masked
    assert b"[secret:" in masked
    assert masked_bytes(masked, Masker(b"key"), Findings()) is masked
    assert masked_bytes(b"\xff\xfe plain", Masker(b"key"), Findings()) == b"\xff\xfe plain"


async def test_a_migration_copies_no_secret_unasked(host: Host) -> None:
    target = MemoryStore(host.clock)
    migration = Migration(source=host.store, target=target, origin="x", tenants=["default"], now=host.clock.now())
    with pytest.raises(Conflict, match="memhost scan --mask"):
        await migration.refuse_secrets(Masker(), host.clock)
    await migration.refuse_secrets(Masker(policy="keep"), host.clock)
    await scanned(host, mask=True)
    await migration.refuse_secrets(Masker(), host.clock)  # what a plugin keeps is no reason


async def test_former_versions_with_secrets_go_and_others_stay(host: Host) -> None:
    """Also the states before a deletion and before the scan itself; the log says what was redacted."""
    texts = [f"Token {secret(20)}", "Nothing of that kind", f"Again {secret(20)}", "Rotated"]
    await run(
        host, "create_memories", memories=[{"id": "v", "text": texts[0]}, {"id": "gone", "text": f"Old {secret(21)}"}]
    )
    for text in texts[1:]:
        await run(host, "edit_memory", memory_id="v", text=text)
    await run(host, "delete_memories", memory_ids=["gone"])
    assert {"v", "gone"} <= {found.id.partition("#")[0] for found in (await scanned(host, mask=False)).secrets}
    await scanned(host, mask=True)
    versions = (await run(host, "list_memory_versions", memory_id="v")).versions
    assert [each.version for each in versions if each.kept and not each.current] == [2]
    assert (await run(host, "get_memory_version", memory_id="v", version=2)).memory.text == texts[1]
    assert not any(each.kept for each in (await run(host, "list_memory_versions", memory_id="gone")).versions)
    (entry, *_) = (await run(host, "list_changes", change="redacted")).changes
    assert "secrets" in (entry.note or "")
    assert (await run(host, "verify_store")).ok
