"""`memhost migrate` opens stores with the keys that the server seals them with."""

from __future__ import annotations

import asyncio
from pathlib import Path

from click.testing import CliRunner

from memhost.cli import cli
from tests.support.hosts import run, running_host


def test_a_sealed_store_is_copied_and_stays_sealed(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"

    async def fill() -> None:
        async with running_host(old, run_jobs=False) as host:
            await run(host, "create_memories", memories=[{"id": "m", "text": "one"}])
            await run(host, "edit_memory", memory_id="m", text="two")

    async def check() -> None:
        async with running_host(new, run_jobs=False) as host:
            memory = await run(host, "get_memory", memory_id="m")
            assert (memory.text, memory.version) == ("two", 2)
            report = await run(host, "verify_store")
            assert (report.findings, report.keyed) == ([], True)

    asyncio.run(fill())
    new.mkdir()
    places = ["--from", f"sqlite:{old}/memhost.db", "--to", f"sqlite:{new}/memhost.db"]
    done = CliRunner().invoke(cli, ["migrate", *places, "--data", str(tmp_path / "data")])
    assert done.exit_code == 0, done.output
    asyncio.run(check())
