"""A real server with plugins that hang at start, exit, hang and block: it serves, and names the plugin."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from memhost.testing.server import ServerProcess

PLUGINS = {
    "hanging": "import time\n@hookimpl\ndef memhost_stores():\n    time.sleep(3600)\n",
    "exiting": "@hookimpl\nasync def memhost_before_memories_stored(memories):\n    raise SystemExit(3)\n",
    "stuck": (
        "import asyncio\n@hookimpl\n@event_options(timeout_s=0.2, max_tries=1)\n"
        "async def memhost_memories_stored(event):\n    await asyncio.sleep(3600)\n"
    ),
    "blocking": (
        "import time\n@hookimpl\nasync def memhost_before_search(search):\n"
        "    if search.text == 'block':\n        time.sleep(1)\n"
    ),
}
SETTINGS = {"PLUGIN_START_S": "0.2", "PLUGIN_BLOCKED_S": "0.1", "LOG_FORMAT": "json"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that finds them as packages."""
    folder = tmp_path_factory.mktemp("packages")
    for name, code in PLUGINS.items():
        (folder / f"{name}_acme.py").write_text(f"from memhost import event_options, hookimpl\n\n{code}")
        info = folder / f"{name}_acme-1.2.3.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-acme\nVersion: 1.2.3\n")
        (info / "entry_points.txt").write_text(f"[memhost]\n{name} = {name}_acme\n")
    environment = {**SETTINGS, "PYTHONPATH": str(folder)}
    with ServerProcess(tmp_path_factory.mktemp("data"), environment=environment) as running:
        yield running


def logged(server: ServerProcess, event: str, plugin: str) -> dict[str, Any]:
    """The line of the log; waits for it."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        lines = [json.loads(line) for line in server.log.splitlines() if line.startswith("{")]
        if found := [line for line in lines if line["event"] == event and line.get("plugin") == plugin]:
            return dict(found[0])
        time.sleep(0.02)
    raise AssertionError(f"{event} of {plugin} is not in the log:\n{server.log}")


def dead_jobs(client: httpx.Client) -> list[dict[str, Any]]:
    """The jobs that were given up; waits for one, since the log tells of it before the store does."""
    deadline = time.monotonic() + 15
    while True:
        jobs: list[dict[str, Any]] = client.get("/v1/jobs", params={"state": "dead"}).json()["jobs"]
        if jobs or time.monotonic() > deadline:
            return jobs
        time.sleep(0.02)


def test_it_serves_and_names_them(server: ServerProcess) -> None:
    with httpx.Client(base_url=server.url, timeout=30, trust_env=False) as client:
        rows = {row["name"]: row for row in client.get("/v1/plugins").json()["plugins"]}
        assert (rows["hanging"]["status"], rows["hanging"]["distribution"]) == ("failed", "hanging-acme")
        stored = {"memories": [{"id": "a", "text": "a blue boat"}]}
        assert client.post("/v1/long-term-memory/", json=stored).status_code == 200
        for text in ("block", "boat"):
            found = client.post("/v1/long-term-memory/search", json={"text": text})
            assert found.status_code == 200
        assert "plugin.failed plugin=hanging distribution=hanging-acme version=1.2.3" in server.log
        for event, plugin, hook in (
            ("hook.failed", "exiting", "memhost_before_memories_stored"),
            ("job.buried", "stuck", "memhost_memories_stored"),
            ("loop.blocked", "blocking", "memhost_before_search"),
        ):
            line = logged(server, event, plugin)
            assert (line["distribution"], line["version"], line["hook"]) == (f"{plugin}-acme", "1.2.3", hook)
        (job,) = dead_jobs(client)
        assert (job["plugin"], job["distribution"]) == ("stuck", "stuck-acme 1.2.3")
        health = client.get("/v1/plugins/blocking").json()["health"]
        assert health["failures"] == 1
        assert client.get("/v1/ready").status_code == 200
