"""Model costs as operators see them, over REST and `memhost usage`, across processes, restarts and kills."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from memhost.cli.data.usage import bar
from memhost.models import SessionKey
from memhost.ports import ModelUse
from memhost.testing.polling import until
from memhost.testing.server import ServerProcess
from tests.support.commands import memhost
from tests.support.fakes import FOLDER
from tests.support.hosts import running_host

LIMITS = {"LLM_DAILY_TOKEN_LIMIT": "1000", "LLM_DAILY_COST_LIMIT_USD": "2"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables with which a process finds and uses the fake models, as if they were installed."""
    folder = tmp_path_factory.mktemp("plugins")
    for found in FOLDER.glob("fake_models*"):
        (shutil.copytree if found.is_dir() else shutil.copy)(found, folder / found.name)
    return {"PYTHONPATH": str(folder), "EMBEDDER": "fake-embedder", "LLM": "fake-llm"}


async def book(folder: Path) -> None:
    """Calls of a process that has ended."""
    async with running_host(folder, run_jobs=False) as host:
        for namespace, purpose, cost in (("travel", "extraction", 0.75), ("work", "summary", 0.25)):
            use = ModelUse(model="large", input_tokens=100, output_tokens=20, cost_usd=cost)
            await host.services.usage.record(SessionKey("default", namespace, "ana", "s"), purpose, use)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, models: dict[str, str]) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("usage")
    asyncio.run(book(folder))
    with ServerProcess(folder, environment=models | LIMITS) as running:
        yield running


def fetch(server: ServerProcess, **query: Any) -> dict[str, Any]:
    answer = httpx.get(f"{server.url}/v1/usage", params=query, timeout=30)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_route_tells_groups_totals_and_budgets(server: ServerProcess) -> None:
    found = fetch(server, group_by=["purpose", "namespace"])
    rows = {(row["purpose"], row["namespace"]): row["cost_usd"] for row in found["rows"] if row["model"] is None}
    assert rows["extraction", "travel"] == 0.75
    assert rows["summary", "work"] == 0.25
    assert found["group_by"] == ["purpose", "namespace"]
    budgets = {(item["kind"], item["namespace"]): item for item in found["budgets"]}
    assert budgets["tokens", "travel"]["left"] == 880
    assert budgets["cost_usd", None]["limit"] == 2
    assert budgets["cost_usd", None]["resets_at"].endswith("T00:00:00Z")
    (row,) = fetch(server)["rows"]
    assert (row["day"], row["purpose"]) == (found["to"], None)
    assert fetch(server, **{"from": "2001-01-01", "to": "2001-01-03"})["rows"] == []


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"group_by": "colour"}, 422),
        ({"from": "yesterday"}, 422),
        ({"from": "2026-02-01", "to": "2026-01-01"}, 400),
        ({"from": "1990-01-01"}, 400),
        ({"to": "0001-01-01"}, 400),
    ],
)
def test_wrong_questions_are_refused(server: ServerProcess, query: dict[str, str], status: int) -> None:
    assert httpx.get(f"{server.url}/v1/usage", params=query, timeout=30).status_code == status


async def test_metering_survives_kill_9(server: ServerProcess) -> None:
    record = {"id": "m1", "text": "ask the model about window seats", "namespace": "garden"}
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as http:
        (await http.post("/v1/long-term-memory/", json={"memories": [record]})).raise_for_status()

    async def called() -> bool:
        rows = fetch(server, group_by=["purpose", "namespace"])["rows"]
        return {("embedding", "garden"), ("opinion", "")} <= {(row["purpose"], row["namespace"]) for row in rows}

    await until(called)
    before = {row["purpose"]: row for row in fetch(server, group_by="purpose")["rows"]}
    server.kill()
    server.start()
    after = {row["purpose"]: row for row in fetch(server, group_by="purpose")["rows"]}
    assert after["opinion"] == before["opinion"]
    assert after["embedding"]["calls"] == before["embedding"]["calls"] + 1  # what opening the embedder costs
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as http:
        page = (await http.get("/metrics")).text
    assert "# TYPE memhost_model_calls_total counter" in page


@pytest.mark.parametrize("through", ["server", "store"])
def test_command(server: ServerProcess, models: dict[str, str], through: str) -> None:
    target = ("--url", server.url) if through == "server" else ("--data", str(server.data_dir))
    done = memhost("usage", "--by", "namespace", "--days", "7", *target, cwd=server.data_dir, environ=LIMITS | models)
    assert done.returncode == 0, done.stderr
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    assert lines["travel"].split()[1:6] == ["1", "0", "100", "20", "0.7500"]
    assert lines["travel"].count("█") > lines["work"].count("█") > 0
    assert "Budget of today of namespace travel: 880 tokens left of 1,000" in done.stdout
    assert "of $2.0000" in done.stdout
    done = memhost("usage", "--by", "purpose", "--json", *target, cwd=server.data_dir, environ=LIMITS | models)
    assert {"extraction", "summary"} <= {row["purpose"] for row in json.loads(done.stdout)["rows"]}


def test_command_without_any_calls(tmp_path: Path) -> None:
    assert memhost("add", "Ana likes tea", "--data", str(tmp_path), cwd=tmp_path).returncode == 0
    done = memhost("usage", "--data", str(tmp_path), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("No model was called from ")
    assert len(done.stdout.splitlines()) == 1


def test_bars_grow_with_values() -> None:
    assert bar(0, 10) == bar(0, 0) == ""
    assert bar(0.0001, 10) == "▏"
    assert bar(10, 10) == "█" * 24
    assert bar(5, 10) == "█" * 12
    assert [len(bar(value, 100)) for value in range(1, 101)] == sorted(len(bar(value, 100)) for value in range(1, 101))
