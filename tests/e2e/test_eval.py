"""`memhost eval` with real servers: a set of one's own, a running server that is left clean, LoCoMo."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from memhost.cli import cli
from memhost.testing.server import ServerProcess

_FOLDER = os.environ.get("MEMHOST_EVAL_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data"
LOCOMO = Path(_FOLDER) / "locomo_dev.json"
TURNS = (
    "I keep bees on the roof.",
    "Oslo was freezing in March.",
    "My sister plays the oboe.",
    "The boiler needs a new valve.",
)
QUESTIONS = (("What does my sister play?", "2"), ("Which valve is broken?", "3"), ("Where do I keep bees?", "0"))


@pytest.fixture
def own_set(tmp_path: Path) -> Path:
    content = {
        "name": "own set",
        "language": "en",
        "conversations": [
            {
                "id": "c 1",
                "sessions": [
                    {
                        "time": "2026-03-01T09:00:00Z",
                        "turns": [{"id": str(place), "role": "user", "text": text} for place, text in enumerate(TURNS)],
                    }
                ],
                "questions": [{"text": text, "evidence": [turn]} for text, turn in QUESTIONS],
            }
        ],
    }
    path = tmp_path / "own.json"
    path.write_text(json.dumps(content))
    return path


def evaluate(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["eval", *map(str, arguments)])


def answered(*arguments: str | Path) -> dict[str, Any]:
    result = evaluate(*arguments, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)["sets"][0]
    return found


def test_two_settings_are_compared_on_a_set_of_ones_own(own_set: Path) -> None:
    found = answered(own_set, "--against-set", "INDEX_ALL_MESSAGES_IN_LONG_TERM_MEMORY=true")
    assert [each["name"] for each in found["systems"]] == [
        "bm25", "memhost", "INDEX_ALL_MESSAGES_IN_LONG_TERM_MEMORY=true",
    ]  # fmt: skip
    for each in found["systems"]:
        assert each["all"]["mrr"]["mean"] == 1.0, each
        assert each["all"]["evidence@250"]["mean"] == 1.0
    assert found["difference"]["all"]["recall@1"] == {"mean": 0.0, "low": 0.0, "high": 0.0}


def test_search_modes_are_compared(own_set: Path) -> None:
    found = answered(own_set, "--mode", "keyword", "--against-mode", "semantic")
    assert [each["name"] for each in found["systems"]] == ["bm25", "keyword", "semantic"]
    assert all(each["all"]["recall@5"]["mean"] == 1.0 for each in found["systems"])
    assert {each["budgets_by"] for each in found["systems"]} == {"hits"}


def sessions_of(server: ServerProcess) -> list[str]:
    found = httpx.get(f"{server.url}/v1/working-memory/", params={"limit": 100}).json()
    return [*sorted(found["sessions"]), str(found["total"])]


def test_a_running_server_is_measured_and_left_as_it_was(own_set: Path, any_server: ServerProcess) -> None:
    before = sessions_of(any_server)
    result = evaluate(own_set, "--url", any_server.url)
    assert result.exit_code == 0, result.output
    assert "own set: 3 questions about 1 conversations" in result.stdout
    search = {"namespace": {"startswith": "memhost-eval-"}}
    left = httpx.post(f"{any_server.url}/v1/long-term-memory/search", json=search).json()
    assert left["memories"] == []
    assert sessions_of(any_server) == before


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--url", "http://127.0.0.1:9"], 3, "No server answers at http://127.0.0.1:9"),
        (["--url", "127.0.0.1:9"], 2, "must begin with"),
        (["--url", "http://127.0.0.1:9", "--set", "A=1"], 2, "--url names one that runs"),
        (["--set", "MEMHOST_CANDIDATE=3"], 2, "MEMHOST_CANDIDATE is not a setting. Did you mean MEMHOST_CANDIDATES"),
        (["--set", "MEMHOST_CANDIDATES"], 2, "NAME=VALUE"),
        (["--set", "MEMHOST_CANDIDATES=x"], 1, "The server did not start"),
        (["--against-set", "MEMHOST_CANDIDATES=9", "--set", "MEMHOST_CANDIDATES=9"], 2, "Both columns are the same"),
        (["--mode", "fuzzy"], 2, "is not one of"),
        (["--mode", "keyword", "--against-mode", "keyword"], 2, "Both columns are the same"),
        (["nowhere.json"], 2, "does not exist"),
        (["--no-timelines"], 2, "Name a file"),
    ],
)
def test_what_cannot_be_measured_is_told(arguments: list[str], code: int, told: str) -> None:
    result = evaluate(*arguments)
    assert told in result.stderr.replace("\n", " "), result.output
    assert result.exit_code == code


@pytest.mark.skipif(not LOCOMO.exists(), reason="the LoCoMo conversations are not beside the project")
def test_questions_on_a_long_conversation_find_their_evidence() -> None:
    """Guards against a worse ranking."""
    found = answered(LOCOMO, "--conversations", "1")
    floor, server = (each["all"] for each in found["systems"])
    assert found["questions"] > 150
    assert server["recall@10"]["mean"] >= 0.79
    assert server["recall@5"]["mean"] >= 0.70
    assert server["evidence@500"]["mean"] >= 0.70
    assert server["recall@5"]["low"] > floor["recall@5"]["high"]
