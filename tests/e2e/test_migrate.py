"""`memhost migrate` between a file and a Redis, with real processes before, during and after."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from memhost.cli.server.demo import load_conversation, plain_environment
from memhost.testing.polling import until
from memhost.testing.server import ServerProcess
from tests.support.commands import memhost
from tests.support.fakes import FOLDER
from tests.support.redis_server import RedisSpace, redis_space

MANY = 1500


def hits(url: str, text: str) -> list[tuple[str, float]]:
    answer = httpx.post(f"{url}/v1/long-term-memory/search", json={"text": text, "limit": 5}, timeout=30)
    return [(hit["id"], round(hit["score"], 3)) for hit in answer.raise_for_status().json()["memories"]]


@pytest.fixture(scope="module")
def conversation() -> dict[str, Any]:
    return load_conversation()


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, conversation: dict[str, Any]) -> Path:
    """The folder of a server that has ended: sessions, one with a time to live, and many memories."""
    folder = tmp_path_factory.mktemp("original")
    with ServerProcess(folder) as server, httpx.Client(base_url=server.url, timeout=60) as http:
        for session in conversation["sessions"]:
            body = {"messages": session["messages"], "user_id": "ana", "ttl_seconds": 3600}
            http.put(f"/v1/working-memory/{session['session_id']}", json=body).raise_for_status()
        for first in range(0, MANY, 500):
            records = [{"id": f"m{n}", "text": f"Fact {n} of item {n % 50}"} for n in range(first, first + 500)]
            body = {"memories": records, "deduplicate": False}
            http.post("/v1/long-term-memory/", json=body).raise_for_status()
    return folder


@pytest.fixture
def space(redis_server_url: str) -> Iterator[RedisSpace]:
    with redis_space(redis_server_url) as space:
        yield space


@pytest.mark.full("six processes and kills; test_migration.py interrupts and resumes inside one process")
def test_up_to_redis_killed_on_the_way_and_down_again(
    original: Path, space: RedisSpace, conversation: dict[str, Any], tmp_path: Path
) -> None:
    environ, source = space.environment(), f"sqlite:{original / 'memhost.db'}"
    question = conversation["questions"][0]
    up = ("migrate", "--from", source, "--to", space.url, "--data", str(tmp_path / "data"))
    trial = memhost(*up, "--dry-run", "--json", cwd=tmp_path, environ=environ)
    planned = {row["what"]: row["source"] for row in json.loads(trial.stdout)["rows"]}
    assert planned["memories"] > MANY
    assert not space.keys(), "a dry run writes nothing"

    process = subprocess.Popen(
        [sys.executable, "-m", "memhost", *up],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**plain_environment(), **environ},
    )

    async def some() -> bool:
        return len(space.keys()) > 300

    asyncio.run(until(some))
    process.kill()
    process.wait()
    half = len(space.keys())
    assert half < MANY
    stranger = memhost(
        "migrate", "--from", f"sqlite:{tmp_path}/none.db", "--to", space.url, cwd=tmp_path, environ=environ
    )
    assert (stranger.returncode, "no store at" in stranger.stderr) == (2, True)
    done = memhost(*up, "--json", cwd=tmp_path, environ=environ)
    assert done.returncode == 0, done.stderr
    first = json.loads(done.stdout)
    assert first["equal"]
    assert {row["what"]: row["target"] for row in first["rows"]} == planned
    again = memhost(*up, cwd=tmp_path, environ=environ)
    assert (again.returncode, "The target is not empty" in again.stderr) == (1, True)

    down = ("migrate", "--from", space.url, "--to", f"sqlite:{tmp_path / 'back.db'}", "--json")
    back = json.loads(memhost(*down, cwd=tmp_path, environ=environ).stdout)
    checksums = [{row["what"]: row["target_checksum"] for row in each["rows"]} for each in (first, back)]
    assert checksums[0] == checksums[1]

    with ServerProcess(original) as old, ServerProcess(tmp_path, environment=environ) as new:
        assert hits(old.url, question) == hits(new.url, question)
        session = conversation["sessions"][0]
        path = f"/v1/working-memory/{session['session_id']}?user_id=ana"
        shown = [httpx.get(each.url + path).raise_for_status().json() for each in (old, new)]
        assert shown[0]["messages"] == shown[1]["messages"]
        # what the server knew of the session's turns has come along: nothing becomes a memory twice
        before = httpx.post(f"{new.url}/v1/long-term-memory/search", json={"limit": 1}).json()["total"]
        httpx.put(new.url + path, json=shown[1]).raise_for_status()
        assert httpx.post(f"{new.url}/v1/long-term-memory/search", json={"limit": 1}).json()["total"] == before


@pytest.fixture
def another_embedder(tmp_path: Path) -> dict[str, str]:
    """Variables with which a process uses an embedder whose vectors all point the same way."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    for found in FOLDER.glob("fake_models*"):
        (shutil.copytree if found.is_dir() else shutil.copy)(found, folder / found.name)
    return {"PYTHONPATH": str(folder), "EMBEDDER": "fake-embedder"}


def store_facts(url: str, count: int) -> None:
    records = [{"id": f"m{n}", "text": f"Fact {n}", "session_id": f"s{n % 9}"} for n in range(count)]
    httpx.post(f"{url}/v1/long-term-memory/", json={"memories": records}, timeout=60).raise_for_status()


def embedded(url: str) -> int:
    """How many memories are found by the vectors of that embedder."""
    total = 0
    for number in range(9):
        body = {"text": "Fact 7", "search_mode": "semantic", "limit": 100, "distance_threshold": 0.001}
        body["session_id"] = {"eq": f"s{number}"}
        answer = httpx.post(f"{url}/v1/long-term-memory/search", json=body, timeout=30).raise_for_status().json()
        total += answer["total"]
    return total


@pytest.mark.parametrize(
    "store",
    [
        "sqlite",
        pytest.param(
            "redis",
            marks=pytest.mark.full(
                "the same on Redis; make test reindexes SQLite, and test_migration.py goes through all stores"
            ),
        ),
    ],
)
async def test_reindex_for_another_embedder(
    store: str, request: pytest.FixtureRequest, another_embedder: dict[str, str], tmp_path: Path
) -> None:
    environ = request.getfixturevalue("space").environment() if store == "redis" else {}
    other = environ | another_embedder
    with ServerProcess(tmp_path, environment=environ) as server:
        store_facts(server.url, 450)
    refused = memhost("search", "fact", "--data", str(tmp_path), cwd=tmp_path, environ=other)
    assert (refused.returncode, "memhost reindex" in refused.stderr) == (2, True)

    with ServerProcess(tmp_path, environment=other, options=["--reindex"]) as server:
        assert hits(server.url, "Fact 7")[0][0] == "m7"  # by its words, whatever has a vector

        async def all_embedded() -> bool:
            return embedded(server.url) == 450

        await until(all_embedded)
        assert hits(server.url, "Fact 7")[0][0] == "m7"
    with ServerProcess(tmp_path, environment=other) as server:
        assert embedded(server.url) == 450, "the option is needed once"

    done = memhost("reindex", "--force", "--data", str(tmp_path), "--json", cwd=tmp_path, environ=other)
    assert json.loads(done.stdout) == {"reindexed": 450, "embedder": "fake-embedder@1"}
