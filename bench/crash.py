"""kill -9 under writes: everything acknowledged is there after restart, and no job's effect happens twice.

Each round starts the server on the same file, lets several clients write sessions and memories at once, kills
the process at a random moment, and checks after the restart what had been acknowledged before. A test plugin
makes one derived memory, with a new random id, from every memory that asks for it: two of them for one source
would show a job that took effect twice. Compaction is due about every second, so that many kills hit it; no job may
be later than the leases of those who died at it allow.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from memhost.testing.polling import until
from memhost.testing.server import ServerProcess

FAKE_PLUGINS = Path(__file__).resolve().parents[1] / "tests" / "data" / "fake-plugins"
LEASE_S = 1.0
ENVIRONMENT = {
    "PYTHONPATH": str(FAKE_PLUGINS),
    "LOG_LEVEL": "ERROR",
    "JOB_LEASE_S": str(LEASE_S),
    "JOB_BACKOFF_S": "1",
    "COMPACTION_EVERY_MINUTES": "0.02",
}
LATEST_S = 2 * LEASE_S
"""How far ahead a job may be due: nothing fails here, so for as long as the lease of a dead process, or the pause after
something was away (`JOB_BACKOFF_S`, up to a fifth longer); the rest is what clocks and answers take."""
WRITERS = 3
PAGE = 100


@dataclass
class Ledger:
    """What the server has acknowledged."""

    messages: dict[str, list[str]] = field(default_factory=dict)
    memories: set[str] = field(default_factory=set)
    derived: set[str] = field(default_factory=set)
    writes: int = 0


async def write_until_killed(url: str, name: str, ledger: Ledger, begun: asyncio.Event) -> None:
    """Append messages to one session and store memories until the server is gone."""
    acknowledged = ledger.messages.setdefault(name, [])
    async with httpx.AsyncClient(base_url=url, timeout=10) as http:
        while True:
            number = len(acknowledged)
            ids = [*acknowledged, f"{name}-{number}-{ledger.writes}"]
            body: dict[str, Any] = {
                "user_id": name,
                "messages": [{"id": each, "role": "user", "content": f"turn {each}"} for each in ids[-20:]],
            }
            memory = f"memory-{name}-{number}-{ledger.writes}"
            text = f"derive: {memory}" if number % 2 else f"plain {memory}"
            record = {"id": memory, "text": text, "user_id": name}
            try:
                (await http.put(f"/v1/working-memory/{name}", json=body)).raise_for_status()
                acknowledged.append(ids[-1])
                (await http.post("/v1/long-term-memory/", json={"memories": [record]})).raise_for_status()
            except httpx.TransportError:
                return
            ledger.memories.add(memory)
            if number % 2:
                ledger.derived.add(memory)
            ledger.writes += 1
            begun.set()


async def stored_ids(http: httpx.AsyncClient, user: str) -> dict[str, list[str]]:
    """Ids of all memories of a user, with their sources."""
    found: dict[str, list[str]] = {}
    offset: int | None = 0
    while offset is not None:
        body = {"user_id": {"eq": user}, "limit": PAGE, "offset": offset, "recency_boost": False}
        page = (await http.post("/v1/long-term-memory/search", json=body)).raise_for_status().json()
        found |= {hit["id"]: hit["source_ids"] for hit in page["memories"]}
        offset = page["next_offset"]
    return found


async def check(url: str, ledger: Ledger, since: dict[str, int]) -> None:
    """Compare the server with the ledger; messages are checked from the position in `since` on."""
    async with httpx.AsyncClient(base_url=url, timeout=30) as http:

        async def jobs_are_done() -> bool:
            jobs = (await http.get("/v1/jobs", params={"limit": 500})).json()["jobs"]
            latest = datetime.now(UTC) + timedelta(seconds=LATEST_S)
            for job in jobs:
                assert job["state"] != "dead", f"given up: {job}"
                assert not job["failures"], f"failed: {job}"
                assert datetime.fromisoformat(job["due_at"]) <= latest, f"due too late: {job}"
            return all(job["event"] == "schedule_due" for job in jobs)  # these come back all the time

        await until(jobs_are_done, limit_s=60)
        for name, messages in ledger.messages.items():
            session = (await http.get(f"/v1/working-memory/{name}")).json()
            present = {message["id"] for message in session.get("messages", [])}
            missing = set(messages[-20:]) - present
            # The newest message of the session may be one that was stored but not acknowledged.
            assert len(missing) <= 1, f"messages lost: {missing}"
            stored = await stored_ids(http, name)
            lost = set(messages[since.get(name, 0) :]) - set(stored)
            assert not lost, f"turns lost: {lost}"
            own = {memory for memory in ledger.memories if memory.startswith(f"memory-{name}-")}
            assert own <= set(stored), f"memories lost: {own - set(stored)}"
            sources = [source for ids in stored.values() for source in ids if source.startswith("memory-")]
            assert len(sources) == len(set(sources)), "a job took effect twice"
            derived = {memory for memory in ledger.derived if memory.startswith(f"memory-{name}-")}
            assert derived <= set(sources), f"jobs lost: {derived - set(sources)}"
            since[name] = len(messages)


async def crash_rounds(folder: Path, rounds: int, *, seed: int, check_every: int = 1) -> Ledger:
    """Play `rounds` crashes on one data folder."""
    chance = random.Random(seed)
    ledger = Ledger()
    since: dict[str, int] = {}
    server = ServerProcess(folder, environment=ENVIRONMENT)
    try:
        for number in range(rounds):
            server.start()
            if number and number % check_every == 0:
                await check(server.url, ledger, since)
            names = [f"w{writer}-{number // 20}" for writer in range(WRITERS)]
            begun = asyncio.Event()
            tasks = [asyncio.create_task(write_until_killed(server.url, name, ledger, begun)) for name in names]
            if chance.random() < 0.8:  # also before anything is acknowledged, but not only then on a slow machine
                await asyncio.wait_for(begun.wait(), timeout=30)
            await asyncio.sleep(chance.uniform(0.01, 0.3))
            server.kill()
            await asyncio.gather(*tasks)
        server.start()
        await check(server.url, ledger, since)
    finally:
        server.stop()
    return ledger


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    print(f"seed {options.seed}")
    with tempfile.TemporaryDirectory() as folder:
        ledger = asyncio.run(crash_rounds(Path(folder), options.rounds, seed=options.seed, check_every=10))
    messages = sum(map(len, ledger.messages.values()))
    print(
        f"{options.rounds} kills: {messages} messages, {len(ledger.memories)} memories and "
        f"{len(ledger.derived)} jobs acknowledged; none lost, none twice"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
