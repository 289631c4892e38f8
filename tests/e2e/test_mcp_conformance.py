"""The official conformance suite of the Model Context Protocol, against a real server."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from memhost.testing.server import ServerProcess
from tests.support.fakes import FOLDER

LOCKED = Path(__file__).parents[2] / "requirements" / "mcp-conformance"
CACHE = Path(sys.prefix) / "mcp-conformance"

ASKS_THE_CLIENT = "asks the client for something, which a memory server has no use for"
NOT_OFFERED = "an optional capability that the server does not declare"
LEFT_OUT = {
    "logging-set-level": f"{NOT_OFFERED}: logging, deprecated by the revision of 2026-07-28",
    "tools-call-with-logging": f"{NOT_OFFERED}: logging, deprecated by the revision of 2026-07-28",
    "resources-subscribe": f"{NOT_OFFERED}: subscriptions; requests have no session that changes could be sent to",
    "resources-unsubscribe": f"{NOT_OFFERED}: subscriptions; requests have no session that changes could be sent to",
    "tools-call-sampling": ASKS_THE_CLIENT,
    "tools-call-elicitation": ASKS_THE_CLIENT,
    "elicitation-sep1034-defaults": ASKS_THE_CLIENT,
    "elicitation-sep1330-enums": ASKS_THE_CLIENT,
}
"""Scenarios that are not to pass, with the reason."""

WITHOUT_CHECKS = {"server-sse-polling", "server-sse-multiple-streams"}
"""Scenarios about sessions: where a server gives out no session id they check nothing."""


@pytest.fixture(scope="module")
def programs() -> Path:
    """The folder with the suite and the node that it needs; installed once as locked, beside this environment."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    found = CACHE / "node_modules" / ".bin"
    wanted = {name: (LOCKED / name).read_text() for name in ("package.json", "package-lock.json")}
    done = CACHE / "installed.json"
    if not done.exists() or json.loads(done.read_text()) != wanted:
        CACHE.mkdir(parents=True, exist_ok=True)
        for name, text in wanted.items():
            (CACHE / name).write_text(text)
        options = ("--no-fund", "--no-audit", "--silent")
        subprocess.run([npm, "ci", *options], cwd=CACHE, check=True, timeout=300)
        done.write_text(json.dumps(wanted))
    return found


@pytest.mark.full("installs 100 MB from npm; test_mcp.py and the interfaces' suite hold our side of the protocol")
@pytest.mark.timeout(400)
def test_official_conformance_suite(programs: Path, tmp_path: Path) -> None:
    fixtures = tmp_path / "plugins"
    fixtures.mkdir()
    for name in ("fake_fixtures.py", "fake_fixtures-0.4.0.dist-info"):
        (fixtures / name).symlink_to(FOLDER / name)
    data = tmp_path / "data"
    data.mkdir()
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    with ServerProcess(data, environment={"PYTHONPATH": str(fixtures)}) as server:
        done = subprocess.run(
            [str(programs / "conformance"), "server", "--url", f"{server.url}/mcp", "--suite", "all"],
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=120,
        )
    rows = re.findall(r"^. ([\w-]+): (\d+) passed, (\d+) failed$", done.stdout, re.MULTILINE)
    results = {name: (int(passed), int(failed)) for name, passed, failed in rows}
    assert len(results) == 32, done.stdout + done.stderr
    failed = {name for name, (_, failures) in results.items() if failures}
    assert failed == set(LEFT_OUT), done.stdout
    assert {name for name, result in results.items() if result == (0, 0)} == WITHOUT_CHECKS
    assert "dns-rebinding-protection" in set(results) - failed
