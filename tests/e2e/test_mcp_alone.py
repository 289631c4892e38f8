"""`memhost mcp --mode sse`: MCP over HTTP without the REST interface."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx


def test_served_alone_it_tells_what_is_there(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "memhost", "mcp", "--mode", "sse", "--host", "127.0.0.1", "--port", "0"]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MEMHOST_")}
    environment = {**inherited, "MCP_MOUNT": "false", "DATA_DIR": str(tmp_path)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as running:
        assert running.stderr is not None
        try:
            lines = (line.split() for line in running.stderr)
            shown = next(words for words in lines if words[:1] == ["MCP"])
            assert [word.rpartition("/")[2] for word in shown if word.startswith("http")] == ["mcp", "sse"]
            ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
            accept = {"accept": "application/json, text/event-stream"}
            assert httpx.post(shown[1], json=ping, headers=accept).status_code == 200
            assert httpx.get(shown[1].replace("/mcp", "/docs")).status_code == 404
        finally:
            running.terminate()
        assert "/docs" not in running.stderr.read()
