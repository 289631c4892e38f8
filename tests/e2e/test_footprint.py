"""The embedded profile: its imports, its memory use, and the failures it survives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from memhost.testing.server import ServerProcess

HEAVY = ("litellm", "redisvl", "redis", "mcp", "torch", "arq", "model2vec", "transformers")


pytestmark = pytest.mark.usefixtures("executed_processes")

PROBE = """
import asyncio, sys
from memhost.host import startup
from memhost.http.app import build_app
from memhost.host import open_host
async def main():
    configuration, plugins = startup.load(options={"data_dir": sys.argv[1]}, env_file=None)
    async with open_host(configuration, plugins) as host:
        build_app(host)
asyncio.run(main())
import memhost.cli.server.serving
print(" ".join(name for name in sys.modules if "." not in name))
"""


def test_embedded_profile_imports_nothing_heavy(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, str(tmp_path)], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    imported = set(done.stdout.split())
    assert "memhost_store_sqlite" in imported
    assert imported.isdisjoint(HEAVY), imported.intersection(HEAVY)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.full("ten thousand writes, for a number that seldom moves; imports are held in make test")
def test_ten_thousand_memories_fit_into_210_mb(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server, httpx.Client(base_url=server.url, timeout=60) as http:
        for first in range(0, 10_000, 500):
            records = [
                {"id": f"m{n}", "text": f"fact {n} about subject {n % 97} in place {n % 31}", "user_id": f"u{n % 100}"}
                for n in range(first, first + 500)
            ]
            http.post("/v1/long-term-memory/", json={"memories": records}).raise_for_status()
        for n in range(20):
            http.post("/v1/long-term-memory/search", json={"text": f"subject {n}", "user_id": {"eq": f"u{n}"}})
        http.post("/v1/long-term-memory/search", json={"text": "subject 5"})
        # docs/benchmarks.md has what it took before there were seals, reviews, and what is kept in the process.
        assert server.resident_mb() < 210


def test_memories_and_sessions_survive_a_restart(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path)
    body = {"user_id": "ann", "messages": [{"role": "user", "content": "I sail on Sundays", "id": "m1"}]}
    with server, httpx.Client(base_url=server.url) as http:
        http.put("/v1/working-memory/s", json=body).raise_for_status()
    with server, httpx.Client(base_url=server.url) as http:
        assert http.get("/v1/working-memory/s").json()["messages"][0]["content"] == "I sail on Sundays"
        found = http.post("/v1/long-term-memory/search", json={"text": "when do I sail?"}).json()
        assert found["memories"][0]["extracted_from"] == ["m1"]


def test_removed_file_is_an_outage_and_not_a_silent_loss(tmp_path: Path) -> None:
    body = {"messages": [{"role": "user", "content": "hello", "id": "m1"}]}
    with ServerProcess(tmp_path) as server, httpx.Client(base_url=server.url) as http:
        http.put("/v1/working-memory/s", json=body).raise_for_status()
        (tmp_path / "memhost.db").rename(tmp_path / "elsewhere.db")
        refused = http.put("/v1/working-memory/s2", json=body)
        assert refused.status_code == 503
        assert "removed or replaced" in refused.json()["detail"]
        assert str(tmp_path) not in refused.text
        ready = http.get("/v1/ready")
        assert (ready.status_code, ready.json()["ready"]) == (503, False)
        (tmp_path / "elsewhere.db").rename(tmp_path / "memhost.db")
        assert http.put("/v1/working-memory/s2", json=body).status_code == 200
