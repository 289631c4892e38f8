"""Redis stands still, is killed and comes back, while clients write and workers work: what was acknowledged stays.

python -m bench.redis_faults [--pause 10]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from tests.support.redis_server import RedisServer
from tests.support.workers import Cluster, cluster

STORE_TIMEOUT_S = 1.0
LIMIT_S = 60.0


@dataclass
class Ledger:
    """What clients were told, and what was there in the end."""

    acknowledged: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    longest_s: float = 0.0
    effects: list[str] = field(default_factory=list)

    @property
    def lost(self) -> set[str]:
        """Acknowledged writes whose job had no effect."""
        return set(self.acknowledged) - set(self.effects)

    @property
    def twice(self) -> set[str]:
        """Writes whose job had its effect more than once."""
        return {name for name in self.effects if self.effects.count(name) > 1}


class Writer(threading.Thread):
    """A client that writes one memory after the other and notes the answers."""

    def __init__(self, url: str, ledger: Ledger) -> None:
        super().__init__(daemon=True)
        self._url = url
        self._ledger = ledger
        self._ended = threading.Event()

    def run(self) -> None:
        """Write until told to end."""
        number = 0
        with httpx.Client(base_url=self._url, timeout=30) as http:
            while not self._ended.wait(0.02):
                number += 1
                name = f"m{number}"
                memory = {"id": name, "text": f"work 0.01 as {name}"}
                begun = time.monotonic()
                answer = http.post("/v1/long-term-memory/", json={"memories": [memory]})
                self._ledger.longest_s = max(self._ledger.longest_s, time.monotonic() - begun)
                if answer.is_success:
                    self._ledger.acknowledged.append(name)
                elif answer.status_code == 503 and answer.json().get("detail"):
                    self._ledger.refused.append(name)
                else:
                    self._ledger.wrong.append(f"{answer.status_code} {answer.text}")

    def end(self) -> None:
        """Stop writing."""
        self._ended.set()
        self.join()


def redis_faults(folder: Path, pause_s: float) -> Ledger:
    """Write while Redis is paused for so long, then killed and started again on its append-only file."""
    ledger = Ledger()
    with RedisServer(folder / "redis", append_only=True) as redis:
        environment = {
            "REDIS_URL": redis.url,
            "REDIS_TIMEOUT_SECONDS": str(STORE_TIMEOUT_S),
            "ARQ_TIMEOUT_SECONDS": str(STORE_TIMEOUT_S),
            "JOB_LEASE_S": "2",
            "JOB_BACKOFF_S": "1",
            "COMPACTION_EVERY_MINUTES": "0.02",  # so that the fault hits one, whatever the time
        }
        with cluster(folder / "cluster", 2, environment) as system:
            writer = Writer(system.server.url, ledger)
            writer.start()
            _more(ledger, 20)
            redis.pause()
            time.sleep(pause_s)
            redis.resume()
            _more(ledger, 20)
            redis.kill()
            time.sleep(0.5)
            redis.start()
            _more(ledger, 20)
            writer.end()
            _drain(system)
            ledger.effects = system.effects()
            if dead := system.jobs(state="dead")["total"]:
                ledger.wrong.append(f"{dead} jobs gave up")
    return ledger


def _more(ledger: Ledger, count: int) -> None:
    """Wait until so many more writes have been acknowledged."""
    wanted, deadline = len(ledger.acknowledged) + count, time.monotonic() + LIMIT_S
    while len(ledger.acknowledged) < wanted:
        if time.monotonic() > deadline:
            raise RuntimeError(f"writes are not acknowledged any more: {ledger}")
        time.sleep(0.02)


def _drain(system: Cluster) -> None:
    deadline = time.monotonic() + LIMIT_S
    while any(job["event"] != "schedule_due" for job in system.jobs()["jobs"]):  # those come back all the time
        if time.monotonic() > deadline:
            raise RuntimeError(f"jobs do not end: {system.jobs()}")
        time.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pause", type=float, default=10.0, help="seconds")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        ledger = redis_faults(Path(name), given.pause)
    print(f"{len(ledger.acknowledged)} writes acknowledged, {len(ledger.refused)} refused with 503")
    print(f"longest answer {ledger.longest_s:.2f} s with a time limit of {STORE_TIMEOUT_S:g} s")
    print(f"lost {len(ledger.lost)}, effects twice {len(ledger.twice)}, other answers {ledger.wrong}")
    sys.exit(bool(ledger.lost or ledger.twice or ledger.wrong))


if __name__ == "__main__":
    main()
