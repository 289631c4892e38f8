"""Limits and transport security of a real server: HTTPS, slow clients, pages of other origins, proxies, rates."""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from memhost.cli.serving import check_tls
from memhost.errors import ConfigurationError
from memhost.testing.server import ServerProcess

CLIENT = httpx.Client(timeout=30, trust_env=False)


@pytest.fixture(scope="module", autouse=True)
def connections() -> Iterator[None]:
    """Close them at the end."""
    yield
    CLIENT.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    environment = {
        "CORS_ALLOWED_ORIGINS": "https://app.example.com",
        "RATE_LIMIT_PER_ADDRESS": "60",
        "HEADER_TIMEOUT_S": "0.3",
        "BODY_TIMEOUT_S": "0.3",
    }
    with ServerProcess(tmp_path_factory.mktemp("limits"), environment=environment) as running:
        yield running


def raw(server: ServerProcess, sent: bytes) -> bytes:
    """What comes back until the server closes the connection."""
    url = httpx.URL(server.url)
    with socket.create_connection((url.host, url.port or 80), timeout=20) as connection:
        connection.sendall(sent)
        found = b""
        while part := connection.recv(4096):
            found += part
        return found


def test_private_answers_are_not_kept(server: ServerProcess) -> None:
    answer = CLIENT.get(f"{server.url}/v1/working-memory/", headers={"x-forwarded-for": "192.0.2.1"})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_pages_of_one_origin(server: ServerProcess) -> None:
    path = f"{server.url}/v1/long-term-memory/search"
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
    for origin, allowed in (("https://app.example.com", True), ("https://evil.example.com", False)):
        answer = CLIENT.options(path, headers={"origin": origin, **asked})
        assert (answer.headers.get("access-control-allow-origin") == origin) is allowed
        answer = CLIENT.get(f"{server.url}/v1/health", headers={"origin": origin})
        assert (answer.headers.get("access-control-allow-origin") == origin) is allowed


def test_slow_clients_are_let_go(server: ServerProcess) -> None:
    assert raw(server, b"GET /v1/working-memory/ HTTP/1.1\r\nHost: x\r\n") == b""
    assert raw(server, b"") == b""
    head = b"POST /v1/long-term-memory/search HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    answer = raw(server, head + b"Content-Length: 100\r\n\r\n{")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"too_slow"' in answer


def test_rate_by_the_address_that_the_proxy_tells(server: ServerProcess) -> None:
    def ask(address: str) -> httpx.Response:
        return CLIENT.get(f"{server.url}/v1/working-memory/", headers={"x-forwarded-for": address})

    answers = [ask("192.0.2.7") for _ in range(70)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert 0 < len(refused) <= 10
    assert refused[0].json()["code"] == "rate_limited"
    assert int(refused[0].headers["retry-after"]) >= 1
    assert ask("192.0.2.8").status_code == 200
    assert CLIENT.get(f"{server.url}/v1/health", headers={"x-forwarded-for": "192.0.2.7"}).status_code == 200


def test_https(tmp_path: Path) -> None:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    more = ["-keyout", str(key), "-out", str(cert), "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*command, *more, "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    options = ("--tls-cert", str(cert), "--tls-key", str(key))
    with ServerProcess(tmp_path, options=options) as server:
        assert server.url.startswith("https://")
        with httpx.Client(verify=ssl.create_default_context(cafile=str(cert)), trust_env=False) as client:
            answer = client.get(f"{server.url}/v1/working-memory/")
        assert answer.status_code == 200
        assert "strict-transport-security" in answer.headers
    for wrong in ((str(key), ""), (str(cert), str(cert)), ("", str(key)), (str(tmp_path / "none"), "")):
        with pytest.raises(ConfigurationError):
            check_tls(*wrong)
