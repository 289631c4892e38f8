"""Limits and transport security of a real server: HTTPS, slow clients, pages of other origins, proxies, rates."""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from memhost.cli.server.serving import check_tls
from memhost.errors import ConfigurationError
from memhost.settings.schema import ServerSettings
from memhost.testing.polling import until
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
        "MAX_CONNECTIONS": "60",
        "TRUSTED_PROXIES": "127.0.0.1,::1",
    }
    with ServerProcess(tmp_path_factory.mktemp("limits"), environment=environment) as running:
        yield running


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One that waits so briefly that a busy machine may be too slow for it."""
    environment = {"RATE_LIMIT_PER_ADDRESS": "60", "HEADER_TIMEOUT_S": "0.3", "BODY_TIMEOUT_S": "0.3"}
    environment["TRUSTED_PROXIES"] = "127.0.0.1,::1"
    with ServerProcess(tmp_path_factory.mktemp("impatient"), environment=environment) as running:
        yield running


def raw(server: ServerProcess, sent: bytes, limit_s: float = 20) -> bytes:
    """What comes back until the server closes the connection, which must not take longer."""
    url = httpx.URL(server.url)
    with socket.create_connection((url.host, url.port or 80), timeout=limit_s) as connection:
        connection.sendall(sent)
        found = b""
        while part := connection.recv(4096):
            found += part
        return found


def test_idle_connections_are_kept_longer_than_clients_keep_theirs(tmp_path: Path) -> None:
    assert ServerSettings().keep_alive_s > 60
    with ServerProcess(tmp_path, environment={"KEEP_ALIVE_S": "1"}) as server:
        # uvicorn by itself closes after 5 seconds
        answer = raw(server, b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n", limit_s=4)
        assert answer.startswith(b"HTTP/1.1 200"), "and then closed"


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


def test_slow_clients_are_let_go(impatient: ServerProcess) -> None:
    assert raw(impatient, b"GET /v1/working-memory/ HTTP/1.1\r\nHost: localhost\r\n") == b""
    assert raw(impatient, b"") == b""
    head = b"POST /v1/long-term-memory/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    answer = raw(impatient, head + b"Content-Length: 100\r\n\r\n{")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"too_slow"' in answer


HEALTH = b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n"


def outcome(server: ServerProcess, sent: Iterator[bytes]) -> bytes:
    """What comes back when a client goes on sending until the server closes the connection."""
    url = httpx.URL(server.url)
    found = b""
    with socket.create_connection((url.host, url.port or 80), timeout=20) as connection:
        try:
            for part in sent:
                connection.sendall(part)
            while part := connection.recv(65536):
                found += part
        except ConnectionError:
            pass
    return found


def test_the_head_of_a_request_has_an_end(server: ServerProcess) -> None:
    assert raw(server, HEALTH + b"X-Long: " + b"a" * 140_000 + b"\r\n\r\n").startswith(b"HTTP/1.1 431 ")
    sent = 0

    def growing() -> Iterator[bytes]:
        nonlocal sent
        yield HEALTH + b"X-Long: "
        while sent < 40_000_000:
            yield b"a" * 65_536
            sent += 65_536

    outcome(server, growing())
    assert sent < 20_000_000
    assert raw(server, HEALTH + b"Connection: close\r\n\r\n").startswith(b"HTTP/1.1 200 ")


def test_requests_sent_ahead_have_an_end(server: ServerProcess) -> None:
    few = raw(server, (HEALTH + b"\r\n") * 20 + HEALTH + b"Connection: close\r\n\r\n")
    assert few.count(b"HTTP/1.1 200 ") == 21
    assert outcome(server, iter([(HEALTH + b"\r\n") * 5000])).count(b"HTTP/1.1 200 ") < 130


@pytest.mark.parametrize(
    ("head", "part"),
    [
        (HEALTH + b"Content-Length: 100000\r\n\r\n", b" "),
        (b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        (HEALTH + b"\r\n", b"\r\n"),
    ],
)
async def test_nobody_holds_a_connection_with_what_nobody_reads(
    impatient: ServerProcess, head: bytes, part: bytes
) -> None:
    url = httpx.URL(impatient.url)
    with socket.create_connection((url.host, url.port or 80), timeout=20) as connection:
        connection.sendall(head)

        async def closed() -> bool:
            try:
                connection.sendall(part)
            except ConnectionError:
                return True
            return False

        await until(closed)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files cannot be counted")
async def test_who_does_not_read_is_let_go(impatient: ServerProcess) -> None:
    """Neither the answers that wait for them in memory nor their places among the requests are kept."""
    request = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 192.0.2.%d\r\n\r\n"
    files = Path(f"/proc/{impatient.pid}/fd")
    url = httpx.URL(impatient.url)
    with socket.create_connection((url.host, url.port or 80), timeout=20) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(request % 0)
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
        inode = _inode_of(connection)
        assert inode in _sockets(files)
        connection.sendall(b"".join(request % number for number in range(1, 100)))

        async def let_go() -> bool:
            return inode not in _sockets(files)

        await until(let_go)


def _inode_of(connection: socket.socket) -> str:
    """The server's end of a connection as the system names it."""
    here, there = (f"{port:04X}" for port in (connection.getpeername()[1], connection.getsockname()[1]))
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return next(row[9] for row in rows if row[1].endswith(":" + here) and row[2].endswith(":" + there))


def _sockets(files: Path) -> set[str]:
    found = set()
    for entry in files.iterdir():
        with suppress(OSError):
            found.add(str(entry.readlink()).removeprefix("socket:[").rstrip("]"))
    return found


def test_a_slow_body_for_mcp_is_told_so(impatient: ServerProcess) -> None:
    head = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    more = b"Accept: application/json, text/event-stream\r\nContent-Length: 100\r\n\r\n{"
    assert raw(impatient, head + more).startswith(b"HTTP/1.1 408 ")
    assert "Traceback" not in impatient.log


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
    secret = tmp_path / "secret.pem"
    locked = ["openssl", "pkey", "-in", str(key), "-aes256", "-passout", "pass:secret", "-out", str(secret)]
    subprocess.run(locked, check=True, capture_output=True)
    with pytest.raises(ConfigurationError, match="encrypted"):  # and nobody is asked on the terminal
        check_tls(str(cert), str(secret))


async def test_half_open_heads_lock_nobody_out(server: ServerProcess) -> None:
    url = httpx.URL(server.url)
    with ExitStack() as stack:
        for _ in range(150):
            connection = stack.enter_context(socket.create_connection((url.host, url.port or 80), timeout=20))
            connection.sendall(b"GET /v1/health HTTP/1.1\r\nhost: loc")
        for _ in range(5):
            async with httpx.AsyncClient(timeout=20, trust_env=False) as client:
                assert (await client.get(f"{server.url}/v1/health")).status_code == 200

    async def told() -> bool:
        return "server.connections_short" in server.log

    await until(told)
    assert server.log.count("server.connections_short") == 1
