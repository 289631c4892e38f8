"""A real server with a plugin that keeps the ends of the audit chain outside: they tell an older copy of the data."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

from memhost.testing.polling import until
from memhost.testing.server import ServerProcess

PLUGIN = """
import os
from pathlib import Path

import msgspec

from memhost import hookimpl

@hookimpl
async def memhost_head_signed(event):
    place = Path(os.environ["HEADS"], f"{event.seq}.json")
    place.with_suffix(".part").write_bytes(msgspec.json.encode(event))
    place.with_suffix(".part").rename(place)
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a server with the plugin, and without a file of heads."""
    folder, heads = tmp_path / "packages", tmp_path / "heads"
    info = folder / "outside_acme-1.0.dist-info"
    info.mkdir(parents=True)
    heads.mkdir()
    (folder / "outside_acme.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outside-acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[memhost]\noutside = outside_acme\n")
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    return {"PYTHONPATH": path, "HEADS": str(heads), "INTEGRITY_HEAD_FILE": "none", "INTEGRITY_KEY": "k" * 32}


def store(server: ServerProcess, name: str) -> None:
    body = {"memories": [{"id": name, "text": f"a note of {name}"}]}
    httpx.post(f"{server.url}/v1/long-term-memory/", json=body, trust_env=False).raise_for_status()


def check(server: ServerProcess, head: dict[str, Any]) -> dict[str, Any]:
    answer = httpx.post(f"{server.url}/v1/certificates/check", json={"certificate": head}, trust_env=False)
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


async def kept(environment: dict[str, str], least: int) -> dict[str, Any]:
    """The newest head that the plugin keeps; waits for one of that number."""
    folder = Path(environment["HEADS"])

    def newest() -> int:
        return max((int(each.stem) for each in folder.glob("*.json")), default=0)

    async def there() -> bool:
        return newest() >= least

    await until(there)
    found: dict[str, Any] = json.loads((folder / f"{newest()}.json").read_text())
    return found


async def test_an_older_copy_is_told_by_a_head_outside(tmp_path: Path, environment: dict[str, str]) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with ServerProcess(data, environment=environment) as server:
        store(server, "first")
        first = await kept(environment, 1)
        assert (first["tenant"], first["kind"], check(server, first)["valid"]) == ("default", "head", True)
    shutil.copytree(data, tmp_path / "older")
    with ServerProcess(data, environment=environment) as server:
        store(server, "second")
        head = await kept(environment, first["seq"] + 1)
        assert check(server, first)["valid"], "earlier heads stay right"
        assert check(server, head)["valid"]
        for name, value in (("seq", first["seq"]), ("link", first["link"]), ("tenant", "other"), ("at", "2020")):
            wrong = check(server, {**head, name: value})
            assert (wrong["valid"], wrong["signed"]) == (False, False), name
    shutil.rmtree(data)
    shutil.copytree(tmp_path / "older", data)
    with ServerProcess(data, environment=environment) as server:
        rolled_back = check(server, head)
        assert (rolled_back["valid"], rolled_back["signed"]) == (False, True)
        assert "has no entry" in rolled_back["detail"]
        assert check(server, first)["valid"]
        store(server, "another")
        assert "went on from there" in check(server, head)["detail"]
