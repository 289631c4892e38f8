"""Waiting until a server answers."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable

_POLL_S = 0.05


def wait_until_listening(
    host: str, port: int, limit_s: float, alive: Callable[[], bool] = lambda: True, *, tls: bool = False
) -> bool:
    """Wait until an HTTP server answers at that port.

    Args:
        host: Where it listens; a wildcard address is asked through loopback.
        port: Its port.
        limit_s: How long to wait, seconds.
        alive: Whether waiting makes sense still.
        tls: It serves HTTPS; whose certificate it is does not matter here.

    Returns:
        Whether it answered.
    """
    wildcard = {"0.0.0.0": "127.0.0.1", "::": "::1", "[::]": "::1"}  # noqa: S104 - compared, not bound
    target = wildcard.get(host, host).strip("[]")
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline and alive():
        if _answers(target, port, tls):
            return True
        time.sleep(_POLL_S)
    return False


def _answers(host: str, port: int, tls: bool) -> bool:
    request = f"GET /v1/health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    try:
        with socket.create_connection((host, port), timeout=1) as plain:
            plain.settimeout(5)
            connection = _unverified().wrap_socket(plain) if tls else plain
            connection.sendall(request)
            return connection.recv(5) == b"HTTP/"
    except OSError:
        return False


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
