"""Runs commands of the CLI as processes, to their end."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from memhost.cli.server.demo import plain_environment
from memhost.testing.server import HostProcess


def memhost(
    *arguments: str, cwd: Path, environ: Mapping[str, str] | None = None, limit_s: float = 120
) -> subprocess.CompletedProcess[str]:
    """What `memhost ARGUMENTS` printed and ended with, in an environment without settings but the given ones."""
    command = [sys.executable, "-m", "memhost", *arguments]
    process = HostProcess.spawn(command, {**plain_environment(), **(environ or {})}, cwd)
    assert process.stdout is not None
    assert process.stderr is not None
    timer = threading.Timer(limit_s, process.kill)
    timer.start()
    with ThreadPoolExecutor(2) as pool, process.stdout, process.stderr:
        printed, told = pool.map(lambda stream: stream.read(), (process.stdout, process.stderr))
    timer.cancel()
    return subprocess.CompletedProcess(command, process.wait(), printed, told)
