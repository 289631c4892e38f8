"""Former versions go when their time is over, or when there are too many."""

from __future__ import annotations

from pathlib import Path

import pytest

from memhost.history.retention import Retention
from memhost.testing.clock import FakeClock
from tests.support.hosts import run, running_host


@pytest.mark.parametrize("store", ["memory", "sqlite"])
@pytest.mark.parametrize(
    ("keep", "days", "left"), [("2", "none", 2), ("none", "none", 4), ("none", "3", 2), ("0", "9", 0)]
)
async def test_former_versions_have_their_time(store: str, keep: str, days: str, left: int, tmp_path: Path) -> None:
    clock = FakeClock()
    settings = {"VERSIONS_KEEP": keep, "VERSIONS_KEEP_DAYS": days}
    async with running_host(tmp_path, store=store, run_jobs=False, settings=settings, clock=clock) as host:
        await run(host, "create_memories", memories=[{"id": "m", "text": "state 0"}])
        for number in range(1, 5):
            clock.advance(86_400)
            await run(host, "edit_memory", memory_id="m", text=f"state {number}")
        clock.advance(86_400 + 1)
        retention = Retention(store=host.store, settings=host.settings.memory, clock=clock)
        assert await retention.prune("default") == (0 if keep == "0" else 4 - left)
        assert await retention.prune("default") == 0
        found = await run(host, "list_memory_versions", memory_id="m")
        assert sum(each.kept and not each.current for each in found.versions) == left
        assert (await run(host, "verify_store")).ok
