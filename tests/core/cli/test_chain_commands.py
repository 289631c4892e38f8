"""`memhost explain`, `extraction show`, `rebuild`, and the state of the extraction in `sessions show`."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from memhost.cli import cli
from tests.core.memories.test_cascade import GHENT, HOMES, notes, put, says
from tests.support.extractions import derived, host_with_model
from tests.support.model_server import ModelServer, environment


def invoke(*args: str) -> Result:
    return CliRunner().invoke(cli, list(args))


@pytest.fixture
def fact(models: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Id of a memory that was extracted from the session `s` of user `u`, in the folder `d`."""

    async def prepare() -> str:
        async with host_with_model(models, tmp_path / "d", store="sqlite") as host:
            await put(host, says("m1", "Ghent"), says("m2", "hm"))
            return (await derived(host))[0].id

    for name, value in environment(models, embeddings=False).items():
        monkeypatch.setenv(name, value)
    models.answer(notes(HOMES))
    return asyncio.run(prepare())


def told(*args: str) -> str:
    result = invoke(*args)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_memory_is_explained(fact: str, tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "d"))
    text = told("explain", fact, *data)
    assert f"{fact}: {GHENT}" in text
    assert "made by discrete/1" in text
    assert "<- turn m1 2026-03-01 10:00 user: Ghent" in text
    assert f"-> statement {fact}" in told("explain", "m1", *data)
    chain: dict[str, Any] = json.loads(told("explain", fact, "--json", *data))
    assert [turn["id"] for turn in chain["turns"]] == ["m1"]
    missing = invoke("explain", "nothing", *data)
    assert missing.exit_code != 0
    assert "Memory nothing not found." in missing.stderr


def test_the_extraction_of_a_session_is_shown(fact: str, tmp_path: Path) -> None:
    data = ("-u", "u", "--data", str(tmp_path / "d"))
    text = told("extraction", "show", "s", *data)
    assert f"stored: {fact}" in text
    assert "turns: m1, m2" in text
    assert GHENT in text
    assert "asked" not in text
    assert "Ghent" in told("extraction", "show", "s", "--prompts", *data).partition("asked (extraction)")[2]
    assert len(json.loads(told("extraction", "show", "s", "--json", *data))["runs"]) == 1
    assert invoke("extraction", "show", "s", "-u", "v", "--data", str(tmp_path / "d")).exit_code != 0


def test_a_session_shows_the_state_of_its_extraction(fact: str, tmp_path: Path) -> None:
    text = told("sessions", "show", "s", "-u", "u", "--data", str(tmp_path / "d"))
    assert "extraction done · strategy discrete · last run" in text


def test_a_rebuild_counts_first_and_asks(fact: str, tmp_path: Path) -> None:
    data = ("-u", "u", "--data", str(tmp_path / "d"))
    text = told("rebuild", "--dry-run", *data)
    assert "1 memories would be moved to the trash; 2 turns of 1 sessions would be read again" in text
    assert invoke("rebuild", *data).exit_code != 0  # there is no terminal to ask
    assert GHENT in told("explain", fact, "--data", str(tmp_path / "d"))
