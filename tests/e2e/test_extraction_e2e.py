"""Extraction through a real server and the command line, with LiteLLM and a provider on loopback."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from memhost.testing.polling import until
from memhost.testing.server import ServerProcess
from tests.support.commands import memhost
from tests.support.extractions import item, noting, said
from tests.support.model_server import ModelServer, environment

NOTES = {
    "We moved to Oslo": [
        item("User moved to Oslo in March 2026.", "m0", type="episodic", event_date="2026-03-01", topics=["home"])
    ],
    "Our Ida": [
        item("User's daughter Ida studies law.", "m1", entities=["User", "Ida"]),
        item("Unsure.", confidence=0.1),
    ],
}
TALK = said("We moved to Oslo yesterday.", "Our Ida is doing law now.")


@pytest.fixture(scope="module")
def models() -> Iterator[ModelServer]:
    with ModelServer() as server:
        server.answer(noting(NOTES))
        yield server


@pytest.fixture(scope="module")
def server(models: ModelServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("data")
    with ServerProcess(folder, environment=environment(models, embeddings=False)) as process:
        yield process


def command(*arguments: str, models: ModelServer, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `memhost` on a folder of its own."""
    variables = {**environment(models, embeddings=False), "DATA_DIR": str(folder), "COLUMNS": "120"}
    return memhost(*arguments, cwd=folder.parent, environ=variables)


def test_a_command_extracts_what_waits(server: ServerProcess, models: ModelServer) -> None:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        body = {"messages": TALK, "user_id": "ana", "long_term_memory_strategy": {"strategy": "discrete"}}
        stored = client.put("/v1/working-memory/move", json=body).json()
        assert stored["extraction"] == {"pending": 2, "state": "pending", "last_run_at": None, "last_error": None}
        assert [message["discrete_memory_extracted"] for message in stored["messages"]] == ["f", "f"]
        state = client.post("/v1/working-memory/move/extract", params={"user_id": "ana", "wait_s": "60"}).json()
        assert (state["pending"], state["state"]) == (0, "idle")
        read = client.get("/v1/working-memory/move", params={"user_id": "ana"}).json()
        assert [message["discrete_memory_extracted"] for message in read["messages"]] == ["t", "t"]
        query = {"text": "Where does the user live?", "extraction_strategy": {"eq": "discrete"}}
        hits = client.post("/v1/long-term-memory/search", json=query).json()["memories"]
        assert {hit["text"] for hit in hits} == {memory["text"] for values in NOTES.values() for memory in values[:1]}
        assert client.post("/v1/working-memory/nowhere/extract").status_code == 404


async def test_flush_extracts_without_waiting_for_quiet(server: ServerProcess) -> None:
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        body = {"messages": TALK, "user_id": "bo"}
        await client.put("/v1/working-memory/quick", params={"flush": "true"}, json=body)
        query = {"user_id": {"eq": "bo"}, "extraction_strategy": {"eq": "discrete"}}

        async def both_are_there() -> bool:
            found = await client.post("/v1/long-term-memory/search", json=query)
            return len(found.json()["memories"]) == 2

        await until(both_are_there, limit_s=60)


def test_a_preview_over_the_wire(server: ServerProcess) -> None:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        seen = client.post("/v1/extraction/preview", json={"messages": TALK}).json()
        assert [memory["text"] for memory in seen["memories"]] == [values[0]["text"] for values in NOTES.values()]
        assert (seen["strategy"], seen["calls"], len(seen["dropped"])) == ("discrete", 1, 1)
        refused = client.post("/v1/extraction/preview", json={"messages": []})
        assert refused.status_code == 422


def test_the_command_line_tries_strategies_on_a_file(models: ModelServer, tmp_path: Path) -> None:
    talk = tmp_path / "talk.json"
    talk.write_text(json.dumps(TALK))
    done = command("extract", "--dry-run", str(talk), models=models, folder=tmp_path / "data")
    assert done.returncode == 0, done.stderr
    assert "User moved to Oslo in March 2026." in done.stdout
    done = command("strategies", "compare", str(talk), "--use", "discrete", "--use", "preferences", "--json",
                   models=models, folder=tmp_path / "data")  # fmt: skip
    assert [seen["strategy"] for seen in json.loads(done.stdout)] == ["discrete", "preferences"], done.stderr
    listed: list[dict[str, Any]] = json.loads(
        command("strategies", "list", "--json", models=models, folder=tmp_path / "data").stdout
    )
    assert {row["name"] for row in listed} >= {"discrete", "summary", "preferences", "custom", "verbatim"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("extract",), "Name a FILE"),
        (("extract", "FILE"), "--dry-run"),
        (("extract", "--dry-run", "FILE", "--strategy", "nonsense"), "nonsense"),
        (("extract", "--dry-run", "FILE", "--set", "nonsense"), "NAME=VALUE"),
        (("extract", "--session-id", "nowhere"), "nowhere"),
    ],
)
def test_wrong_arguments_get_a_sentence(
    models: ModelServer, tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    talk = tmp_path / "talk.json"
    talk.write_text(json.dumps({"messages": TALK}))
    given = [str(talk) if argument == "FILE" else argument for argument in arguments]
    if "--session-id" in arguments:
        command("add", "Ada paints.", models=models, folder=tmp_path / "data")
    done = command(*given, models=models, folder=tmp_path / "data")
    assert done.returncode != 0
    assert says in done.stderr
    assert "Traceback" not in done.stderr
