"""A provider on loopback that answers as the test says, and a real server with the proxy in front of it."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from memhost.testing.server import ServerProcess


class Provider:
    """Speaks OpenAI's chat completions.

    Attributes:
        answer: The text of every answer.
        failure: Status and body to answer with instead.
        asked: (path, headers with lower-case names, body) of each request.
    """

    def __init__(self) -> None:
        self.answer = "Nice to hear."
        self.failure: tuple[int, Any] | None = None
        self.asked: list[tuple[str, dict[str, str], Any]] = []
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                provider.take(self)

            def do_GET(self) -> None:
                provider.take(self)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def messages(self) -> list[dict[str, Any]]:
        """Those of the latest request."""
        return self.asked[-1][2]["messages"]

    def take(self, request: BaseHTTPRequestHandler) -> None:
        raw = request.rfile.read(int(request.headers.get("content-length", 0)))
        body = json.loads(raw) if raw else None
        self.asked.append((request.path, {name.lower(): value for name, value in request.headers.items()}, body))
        if self.failure is not None:
            self._send(request, *self.failure)
        elif request.command == "GET":
            self._send(request, 200, {"object": "list", "data": [{"id": "m1", "object": "model"}]})
        elif body.get("stream"):
            self._stream(request)
        else:
            choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": self.answer}}
            usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
            self._send(request, 200, {**_head("chat.completion"), "choices": [choice], "usage": usage})

    def _stream(self, request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("content-type", "text/event-stream")
        request.send_header("connection", "close")
        request.end_headers()
        for word in self.answer.split(" "):
            chunk = {"index": 0, "delta": {"content": f"{word} "}, "finish_reason": None}
            event = {**_head("chat.completion.chunk"), "choices": [chunk]}
            request.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
            request.wfile.flush()
        request.wfile.write(b"data: [DONE]\n\n")
        request.close_connection = True

    @staticmethod
    def _send(request: BaseHTTPRequestHandler, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        request.send_response(status)
        request.send_header("content-type", "application/json")
        request.send_header("content-length", str(len(data)))
        request.send_header("x-request-id", "req-1")
        request.end_headers()
        request.wfile.write(data)


def _head(kind: str) -> dict[str, Any]:
    return {"id": "c1", "object": kind, "created": 1, "model": "m1"}


@pytest.fixture(scope="session")
def provider_process() -> Iterator[Provider]:
    provider = Provider()
    yield provider
    provider.close()


@pytest.fixture
def provider(provider_process: Provider) -> Provider:
    """The provider, as if it was new."""
    provider_process.answer, provider_process.failure = "Nice to hear.", None
    provider_process.asked.clear()
    return provider_process


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, provider_process: Provider) -> Iterator[ServerProcess]:
    """A server with the proxy in front of the provider."""
    environment = {"CHAT_PROXY_UPSTREAM": provider_process.url}
    if not entry_points(group="memhost", name="chat-proxy"):  # not installed: the source tree passes for a distribution
        path = tmp_path_factory.mktemp("path")
        folder = path / "chat_proxy-0.1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: chat-proxy\nVersion: 0.1.0\n")
        (folder / "entry_points.txt").write_text("[memhost]\nchat-proxy = chat_proxy\n")
        source = Path(__file__).parents[1] / "src"
        environment["PYTHONPATH"] = os.pathsep.join([str(path), str(source), os.environ.get("PYTHONPATH", "")])
    with ServerProcess(tmp_path_factory.mktemp("data"), environment=environment) as server:
        yield server
