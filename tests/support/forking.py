"""Processes of memhost that begin in a fraction of the time: forked from one that has imported what they need.

Nearly all that a fresh process does in its first second is importing. A nursery has done that and waits; asked for a
process, it forks, and the child runs `python -m memhost ...` with its own environment, folder and streams. Tests of
the start itself, of imports and of memory use `subprocess.Popen` instead.
"""

from __future__ import annotations

import array
import asyncio
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

_LARGEST = 1 << 17
_LIGHT = (
    "memhost.cli.root",
    "memhost.cli.server.serve",
    "memhost.cli.server.serving",
    "memhost.cli.server.worker",
    "memhost.http.app",
    "memhost_auth_token.provider",
    "memhost_rest.handlers",
    "memhost_mcp.mount",
    "memhost_metrics.page",
    "memhost_model_static.embedder",
    "memhost_runner_arq.runner",
    "memhost_store_memory.store",
    "memhost_store_redis.store",
    "memhost_store_sqlite.store",
    "litestar",
    "anyio._backends._asyncio",
    "uvicorn.lifespan.on",
    "uvicorn.loops.auto",
    "uvicorn.protocols.http.httptools_impl",
    "uvloop",
)
_HEAVY = "memhost_model_litellm.library"
_ASKS_A_MODEL = ("LLM_MODEL", "GENERATION_MODEL", "LLM_EMBEDDING_MODEL", "EMBEDDING_MODEL")


class ForkedProcess:
    """What callers use of `subprocess.Popen`, for a child of the nursery."""

    def __init__(self, pid: int, ended: int, stdout: IO[str], stderr: IO[str]) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdout = stdout
        self.stderr = stderr
        self._ended = ended

    def poll(self) -> int | None:
        """The exit code if it has ended, as `subprocess` counts."""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end.

        Raises:
            subprocess.TimeoutExpired: It goes on.
        """
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("memhost", timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def _look(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._ended], [], [], timeout)[0]:
            told = os.read(self._ended, 16)
            os.close(self._ended)
            self.returncode = int(told) if told else -signal.SIGKILL  # the nursery is gone
        return self.returncode


class Nursery:
    """The process that forks; it ends when the context does."""

    def __init__(self, modules: Sequence[str]) -> None:
        self._connection, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._asking = threading.Lock()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.forking", str(theirs.fileno()), *modules],
                cwd=Path(__file__).parents[2],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )

    def spawn(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> ForkedProcess:
        """Start `python -m memhost ...`; see `memhost.testing.server.HostProcess.spawn`."""
        (out, child_out), (errors, child_errors), (ended, child_ended) = os.pipe(), os.pipe(), os.pipe()
        request = {"arguments": list(command[3:]), "environment": dict(environment), "folder": str(folder)}
        given = (child_out, child_errors, child_ended)
        with self._asking:
            socket.send_fds(self._connection, [json.dumps(request).encode()], given)
            pid = int(self._connection.recv(32))
        for each in given:
            os.close(each)
        return ForkedProcess(pid, ended, os.fdopen(out), os.fdopen(errors))

    def close(self) -> None:
        """End it; what it forked goes on."""
        self._connection.close()
        self._process.wait()


class Nurseries:
    """One for processes that ask no model, one that has imported LiteLLM as well; each begins when it is needed."""

    def __init__(self) -> None:
        self._begun: dict[bool, Nursery] = {}
        self._beginning = threading.Lock()

    def spawn(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> ForkedProcess:
        """Start `python -m memhost ...`."""
        heavy = any(name in environment for name in _ASKS_A_MODEL)
        with self._beginning:
            if heavy not in self._begun:
                self._begun[heavy] = Nursery((*_LIGHT, _HEAVY) if heavy else _LIGHT)
        return self._begun[heavy].spawn(command, environment, folder)

    def close(self) -> None:
        """End them."""
        for each in self._begun.values():
            each.close()


def main() -> None:
    """Import what is named, then fork whenever it is asked for."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    for name in sys.argv[2:]:
        module = importlib.import_module(name)
        if name == _HEAVY:
            asyncio.run(module.load())
    asyncio.run(_open_a_host())
    gc.collect()
    gc.freeze()
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    children: dict[int, int] = {}
    watched: list[socket.socket | int] = [connection, woken]
    while True:
        ready = select.select(watched, [], [])[0]
        if woken in ready:
            os.read(woken, 512)
            _bury(children)
        if connection in ready:
            message, fds = _receive(connection)
            if not message:
                return
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for each in (connection.detach(), woken, wake, *children.values(), fds[2]):
                    os.close(each)
                _become(json.loads(message), fds[0], fds[1])
                return
            os.close(fds[0])
            os.close(fds[1])
            children[pid] = fds[2]
            connection.send(str(pid).encode())


async def _open_a_host() -> None:
    """What that loads and works out is there in every child; it leaves no thread."""
    from memhost.host import open_host, startup
    from memhost.http.app import build_app

    with tempfile.TemporaryDirectory() as folder:
        environment = {"DATA_DIR": folder, "STORE": "memory", "PATH": os.environ["PATH"]}
        configuration, plugins = startup.load(environ=environment, env_file=None)
        async with open_host(configuration, plugins, run_jobs=False) as host:
            build_app(host)
    assert threading.active_count() == 1, threading.enumerate()


def _receive(connection: socket.socket) -> tuple[bytes, list[int]]:
    """As `socket.recv_fds`, with descriptors that a child's children do not inherit."""
    room = socket.CMSG_LEN(3 * array.array("i").itemsize)
    message, extra, _, _ = connection.recvmsg(_LARGEST, room, socket.MSG_CMSG_CLOEXEC)
    fds = array.array("i")
    for _level, _kind, data in extra:
        fds.frombytes(data)
    return message, list(fds)


def _bury(children: dict[int, int]) -> None:
    """Tell the end of those that have ended."""
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        ended = children.pop(pid)
        os.write(ended, str(os.waitstatus_to_exitcode(status)).encode())
        os.close(ended)


def _become(request: dict[str, object], out: int, errors: int) -> None:
    """Run the command in this process, which is the child."""
    os.dup2(out, 1)
    os.dup2(errors, 2)
    environment = request["environment"]
    assert isinstance(environment, dict)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(str(request["folder"]))
    more = environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:1] = [str(request["folder"]), *(each for each in more if each not in ("", *sys.path))]
    arguments = request["arguments"]
    assert isinstance(arguments, list)
    sys.argv[1:] = arguments
    runpy.run_module("memhost", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
