"""kill -9 of the server loses no acknowledged write, repeats no job's effect, and delays no work for long."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from bench.crash import crash_rounds


async def test_nothing_acknowledged_is_lost_in_a_few_kills(tmp_path: Path) -> None:
    ledger = await crash_rounds(tmp_path, 6, seed=20, check_every=3)
    assert ledger.memories


@pytest.mark.full("fifty starts of a server; a few kills are in make test, and each rule is tested without processes")
@pytest.mark.timeout(280)
async def test_nothing_acknowledged_is_lost_in_fifty_kills(tmp_path: Path) -> None:
    ledger = await crash_rounds(tmp_path, 50, seed=20, check_every=10)
    assert len(ledger.memories) >= 30
    assert ledger.derived


@pytest.mark.soak("takes minutes: two loops take the processors away meanwhile")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_nothing_acknowledged_is_lost_beside_busy_loops(tmp_path: Path, seed: int) -> None:
    with busy_loops(2):
        ledger = await crash_rounds(tmp_path, 50, seed=seed, check_every=10)
    assert len(ledger.memories) >= 30
    assert ledger.derived


@contextmanager
def busy_loops(count: int) -> Iterator[None]:
    """That many processes that do nothing but take time, until the block ends or this process does."""
    loop = f"import os\nwhile os.getppid() == {os.getpid()}: pass"
    loops = [subprocess.Popen([sys.executable, "-c", loop]) for _ in range(count)]
    try:
        yield
    finally:
        for each in loops:
            each.kill()
            each.wait()
