"""kill -9 of the server loses nothing that was acknowledged, and repeats no job's effect."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.crash import crash_rounds


@pytest.mark.full("fifty starts of a server; test_workers.py and the stores' process tests kill them once each")
@pytest.mark.timeout(280)
async def test_nothing_acknowledged_is_lost_in_fifty_kills(tmp_path: Path) -> None:
    ledger = await crash_rounds(tmp_path, 50, seed=20, check_every=10)
    assert len(ledger.memories) >= 30
    assert ledger.derived
