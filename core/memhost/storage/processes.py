"""Names of processes, by which others on the same machine can tell that one has ended."""

from __future__ import annotations

import contextlib
import functools
import os
import socket
from pathlib import Path

import msgspec

_PROC = Path("/proc")
_START_FIELD = 19
"""Position of `starttime` behind the command in /proc/<pid>/stat (proc(5): field 22; the command is field 2)."""


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """A process of a machine.

    Attributes:
        machine: The machine, and where there are several spaces of process ids on it (containers), which of them.
        pid: Its number.
        started: When it was started, as the system tells; empty if it does not. Numbers are used again.
    """

    machine: str
    pid: int
    started: str = ""


@functools.cache
def _machine() -> str:
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):  # no Linux: one space of ids on a machine
        parts += [
            (_PROC / "sys/kernel/random/boot_id").read_text().strip(),
            os.readlink(_PROC / "self/ns/pid"),  # noqa: PTH115 - it points to nothing that is a path
        ]
    return " ".join(parts)


def this_process() -> Process:
    """The process that asks."""
    return Process(machine=_machine(), pid=os.getpid(), started=_started(os.getpid()))


def is_gone(process: Process) -> bool:
    """Tell whether a process has certainly ended; of processes on other machines that is never certain."""
    if os.name != "posix" or process.machine != _machine():
        return False
    try:
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False  # it is there, and somebody else's
    started = _started(process.pid)
    return bool(started and process.started) and started != process.started


def _started(pid: int) -> str:
    """When a process was started, in ticks since the machine was; empty where that cannot be told."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[_START_FIELD]
