"""`memhost keys`: the key is shown by its id, and rotated."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import apsw
import pytest
from click.testing import CliRunner

from memhost.cli import cli
from tests.support.hosts import run, running_host


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key that is rotated is not that of other tests."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "configurations"))


def ask(*words: str, **environment: str) -> Any:
    return CliRunner().invoke(cli, list(words), env=environment)


async def fill(folder: Path, settings: Mapping[str, str]) -> None:
    async with running_host(folder, settings=settings, run_jobs=False) as host:
        for number in range(3):
            await run(host, "create_memories", memories=[{"id": f"m{number}", "text": f"note {number}"}])
        await run(host, "edit_memory", memory_id="m1", text="another note")
        await run(host, "put_session", session_id="s", data={"a": 1})


async def check(folder: Path, settings: Mapping[str, str]) -> None:
    async with running_host(folder, settings=settings, run_jobs=False) as host:
        report = await run(host, "verify_store")
        assert (report.findings, report.memories) == ([], 3)
        version = await run(host, "get_memory_version", memory_id="m1", version=1)
        assert version.memory.text == "note 1"
        assert (await run(host, "get_session", session_id="s")).data == {"a": 1}


def test_rotation(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    asyncio.run(fill(folder, {}))
    where = ["--data", str(folder), "--json"]
    before = json.loads(ask("keys", "show", *where).stdout)
    assert before["former"] == []
    done = ask("keys", "rotate", "--force", *where)
    assert done.exit_code == 0, done.output
    after = json.loads(ask("keys", "show", *where).stdout)
    assert (after["key"], after["former"]) == (json.loads(done.stdout)["key"], [before["key"]])
    asyncio.run(check(folder, {}))
    newest = Path(after["source"]).read_text().split()[0]
    asyncio.run(check(folder, {"INTEGRITY_KEY": newest}))
    assert newest not in ask("keys", "show", "--data", str(folder)).output


def test_nothing_is_sealed_again_that_somebody_edited(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    asyncio.run(fill(folder, {}))
    connection = apsw.Connection(str(folder / "memhost.db"))
    connection.execute("UPDATE memories SET created_at = 1 WHERE id = 'm0'")
    connection.close()
    refused = ask("keys", "rotate", "--force", "--data", str(folder))
    assert refused.exit_code != 0
    assert "memhost verify" in refused.output


def test_a_key_in_the_setting_is_rotated_there(tmp_path: Path) -> None:
    folder, old, new = tmp_path / "data", "a" * 32, "b" * 32
    asyncio.run(fill(folder, {"INTEGRITY_KEY": old}))
    where = ["keys", "rotate", "--force", "--data", str(folder)]
    assert "before the former one" in ask(*where, INTEGRITY_KEY=old).output
    assert ask(*where, INTEGRITY_KEY=f"{new} {old}").exit_code == 0
    asyncio.run(check(folder, {"INTEGRITY_KEY": new}))
