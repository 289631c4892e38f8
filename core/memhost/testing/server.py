"""A real server in a process of its own, for tests and benchmarks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol, Self

_START_LIMIT_S = 30.0
_STOP_LIMIT_S = 20.0


class Process(Protocol):
    """The required part of a process; `subprocess.Popen` has it."""

    pid: int
    returncode: int | Any
    stdout: IO[str] | None
    stderr: IO[str] | None

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int, /) -> None: ...
    def kill(self) -> None: ...


class HostProcess:
    """A `memhost` command that runs until it is stopped; stopped when the context ends.

    Attributes:
        data_dir: Its data folder; a second process on the same folder continues where the first ended.
    """

    command: tuple[str, ...]

    def __init__(
        self,
        data_dir: Path,
        *,
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        python: str = sys.executable,
    ) -> None:
        self.data_dir = data_dir
        self._command = [python, "-m", "memhost", *self.command, "--data", str(data_dir), *options]
        self._environment = _clean_environment() | dict(environment or {})
        self._process: Process | None = None
        self._errors: list[str] = []
        self._reader: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def process(self) -> Process:
        """The running process."""
        if self._process is None:
            raise RuntimeError("The process is not running; call start() first.")
        return self._process

    @property
    def pid(self) -> int | None:
        """Its process id, None if it is not running."""
        return self._process.pid if self._process is not None else None

    @property
    def log(self) -> str:
        """Return what it has written to stderr so far."""
        return "".join(self._errors)

    def start(self) -> Self:
        """Start the process and wait until it is ready.

        Raises:
            RuntimeError: It ended or was not ready in time; the message holds its log.
        """
        self._errors.clear()
        self._process = self.spawn(self._command, self._environment, self.data_dir)
        self._reader = threading.Thread(target=self._read_errors, args=(self._process.stderr,), daemon=True)
        self._reader.start()
        timer = threading.Timer(_START_LIMIT_S, self._process.kill)
        timer.start()
        ready = self._wait_until_ready(self._process)
        timer.cancel()
        if not ready:
            code = self._finish()
            raise RuntimeError(f"The process did not start (exit code {code}):\n{self.log}")
        return self

    @staticmethod
    def spawn(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Process:
        """Start the process by executing its command; replaced by test suites that know a faster way."""
        return subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            env=environment,
            cwd=folder,
        )

    def _wait_until_ready(self, process: Process) -> bool:
        """Return True when it is ready, False when it has ended; it is killed if that takes too long."""
        raise NotImplementedError

    def kill(self) -> None:
        """End it at once, without any chance to clean up."""
        self.process.send_signal(signal.SIGKILL)
        self._finish()

    def stop(self) -> int:
        """Ask it to end and wait; its exit code."""
        if self._process is None:
            return 0
        self._process.send_signal(signal.SIGTERM)
        return self._finish()

    def resident_mb(self) -> float:
        """Resident memory in MB (10^6 bytes). Linux only."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024 / 1e6

    def _finish(self) -> int:
        process = self.process
        try:
            code = process.wait(timeout=_STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        if self._reader is not None:
            self._reader.join(timeout=2)
        if process.stdout is not None:
            process.stdout.close()
        self._process = None
        return code

    def _read_errors(self, stream: IO[str] | None) -> None:
        if stream is not None:
            with stream:
                for line in stream:
                    self._errors.append(line)


class ServerProcess(HostProcess):
    """`memhost serve` on a free loopback port.

    Attributes:
        url: Base address of the running server, without a slash at the end.
        start_s: Seconds from starting the process until it listened.

    Example:
        ```python
        with ServerProcess(tmp_path) as server:
            httpx.get(f"{server.url}/v1/health")
        ```
    """

    command = ("serve", "--json", "--port", "0")
    url = ""
    start_s = 0.0

    def _wait_until_ready(self, process: Process) -> bool:
        begun = time.monotonic()
        line = process.stdout.readline() if process.stdout is not None else ""
        if line:
            self.url = json.loads(line)["url"]
            self.start_s = time.monotonic() - begun
        return bool(line)


class WorkerProcess(HostProcess):
    """`memhost worker`."""

    command = ("worker",)

    def _wait_until_ready(self, process: Process) -> bool:
        while "worker.started" not in self.log:
            if process.poll() is not None:
                return False
            time.sleep(0.01)
        return True


def _clean_environment() -> dict[str, str]:
    """The environment without settings that would change what a test starts."""
    names = (
        "PATH",
        "HOME",
        "XDG_CONFIG_HOME",
        "LANG",
        "LC_ALL",
        "TMPDIR",
        "PYTHONPATH",
        "VIRTUAL_ENV",
        "SSL_CERT_FILE",
    )
    return {name: os.environ[name] for name in (*names, "SSL_CERT_FILE") if name in os.environ}
