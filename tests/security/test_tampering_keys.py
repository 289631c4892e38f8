"""The key that a store is sealed with, and the head of its log that is published outside of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from memhost.errors import ConfigurationError
from memhost.host import open_host
from memhost.ports import KeepsHistory
from tests.support.hosts import run, running_host
from tests.support.tampering import edited, fill, sql, verified


async def test_a_store_sealed_with_another_key_is_refused(tmp_path: Path) -> None:
    async with running_host(tmp_path, run_jobs=False, settings={"INTEGRITY_KEY": "a" * 32}) as host:
        await fill(host)
    for key in ("b" * 32, "none"):
        with pytest.raises(ConfigurationError, match="is sealed with the key"):
            async with running_host(tmp_path, run_jobs=False, settings={"INTEGRITY_KEY": key}):
                pass
    both = f"{'b' * 32} {'a' * 32}"
    async with running_host(tmp_path, run_jobs=False, settings={"INTEGRITY_KEY": both}) as host:
        assert (await run(host, "get_memory", memory_id="alice-0")).text == "alicetoken0 decided something"
        await run(host, "edit_memory", memory_id="alice-0", text="new")
        assert (await verified(host)).findings == []
        assert isinstance(host.store, KeepsHistory)
        assert await host.store.seal_anew() == 6
        assert (await verified(host)).findings == []
    async with running_host(tmp_path, run_jobs=False, settings={"INTEGRITY_KEY": "b" * 32}) as host:
        assert (await run(host, "get_memory", memory_id="alice-0")).text == "new"
        assert (await verified(host)).findings == []


async def test_seals_cannot_be_taken_away(tmp_path: Path) -> None:
    """Neither from a row (above) nor from the whole store: it does not count as an older one then."""
    await edited(tmp_path, sql("DELETE FROM settings WHERE key = 'sealed'"))
    with pytest.raises(ConfigurationError, match="taken away"):
        async with running_host(tmp_path, run_jobs=False):
            pass


async def test_what_was_there_before_the_key_is_sealed_with_it(tmp_path: Path) -> None:
    async with running_host(tmp_path, run_jobs=False, settings={"INTEGRITY_KEY": "none"}) as host:
        await fill(host)
        assert (await verified(host)).findings == []
    async with running_host(tmp_path, run_jobs=False, settings={"INTEGRITY_KEY": "a" * 32}) as host:
        report = await verified(host)
        assert (report.findings, report.keyed, report.memories) == ([], True, 6)


async def test_an_older_copy_of_the_whole_folder(tmp_path: Path) -> None:
    """C-53: the head was published outside of it."""
    folder = tmp_path / "data"
    async with running_host(folder, run_jobs=False) as host:
        await fill(host)
    shutil.copytree(folder, tmp_path / "older")
    async with running_host(folder, run_jobs=False) as host:
        await run(host, "create_memories", memories=[{"id": "last", "text": "the last write", "user_id": "alice"}])
        assert (await run(host, "verify_store")).ok
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "older", folder)
    for _ in range(2):  # it is not published over the lost head either
        async with running_host(folder, run_jobs=False) as host:
            assert [each.name for each in (await host.readiness()).components if not each.ok] == ["integrity"]
            await run(host, "store_memories", memories=[{"text": "another write", "user_id": "alice"}])
            report = await run(host, "verify_store")
            assert {finding.kind for finding in report.findings} == {"rolled_back"}
    plugins = host.plugins
    async with open_host(host.configuration, plugins, run_jobs=False, adopt=True) as again:
        assert (await run(again, "verify_store")).ok
    async with running_host(folder, run_jobs=False) as host:
        assert (await run(host, "verify_store")).ok


async def test_a_store_that_is_begun_anew_at_the_same_place_is_not_taken_for_an_older_one(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    async with running_host(folder, run_jobs=False) as host:
        await fill(host)
    shutil.copytree(folder, tmp_path / "older")
    shutil.rmtree(folder)
    async with running_host(folder, run_jobs=False) as host:
        assert (await run(host, "verify_store")).ok
        await fill(host)
        assert (await run(host, "verify_store")).ok
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "older", folder)
    async with running_host(folder, run_jobs=False) as host:
        assert not (await run(host, "verify_store")).ok, "what was there before it is older"


async def test_a_head_file_that_was_edited_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "elsewhere" / "heads.json"
    settings = {"INTEGRITY_HEAD_FILE": str(file)}
    async with running_host(tmp_path / "data", run_jobs=False, settings=settings) as host:
        await fill(host)
    text = file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text(text.replace('"default": [', '"default": [9').replace("[9\n", "[\n9"))
    assert file.read_text() != text
    async with running_host(tmp_path / "data", run_jobs=False, settings=settings) as host:
        (finding,) = (await run(host, "verify_store")).findings
        assert (finding.kind, finding.tenant) == ("rolled_back", "")
