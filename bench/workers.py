"""How much more two workers do than one, how soon a job starts, and what an idle system asks of Redis.

    python -m bench.workers [--jobs 64] [--latency 0.5] [--idle 20]

Starts a Redis, a server with BACKEND=arq and worker processes. Jobs take as long as a call of a language model would;
what counts is the ratio of the times in one run.
"""

from __future__ import annotations

import argparse
import random
import signal
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from tests.support.redis_server import RedisServer
from tests.support.workers import Cluster, cluster

LIMIT_S = 120.0


def batch(system: Cluster, server: RedisServer, name: str, jobs: int, latency: float) -> float:
    """Write memories with one slow job each while the workers stand still, then time the workers; seconds."""
    settle(server)
    signal_all(system, signal.SIGSTOP)
    system.write(**{f"{name}-{number}": f"work {latency}" for number in range(jobs)})
    begun, deadline = time.monotonic(), time.monotonic() + LIMIT_S
    signal_all(system, signal.SIGCONT)
    while time.monotonic() < deadline:
        if system.jobs()["total"] == 0:
            return time.monotonic() - begun
        time.sleep(0.1)
    raise RuntimeError("the jobs did not end")


def signal_all(system: Cluster, number: int) -> None:
    """Send a signal to all workers."""
    for worker in system.workers:
        worker.process.send_signal(number)


def starting(system: Cluster, times: int = 30) -> list[float]:
    """Seconds from the answer to a write until its job has begun."""
    found = []
    for number in range(times):
        system.write(**{f"soon-{number}": "work 0"})
        written = time.monotonic()
        while (f"soon-{number}") not in {name for name, _ in system.started()[-3:]}:
            time.sleep(0.002)
        found.append(time.monotonic() - written)
        time.sleep(random.uniform(0.02, 0.15))  # not in step with the workers' looks
    return sorted(found)


def settle(server: RedisServer) -> None:
    """Wait until the queue holds no wake-up that came too late to be needed."""
    client: Any
    with server.client() as client:
        while client.zcard("memory-server"):
            time.sleep(0.01)


def idle(server: RedisServer, seconds: float) -> tuple[float, dict[str, int]]:
    """Commands a second, those inside of scripts included, and how many of each."""
    client: Any
    with server.client() as client:
        client.config_resetstat()
        time.sleep(seconds)
        calls = {name.removeprefix("cmdstat_"): row["calls"] for name, row in client.info("commandstats").items()}
    return sum(calls.values()) / seconds, calls


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=64)
    parser.add_argument("--latency", type=float, default=0.5, help="seconds a job takes")
    parser.add_argument("--concurrency", type=int, default=4, help="jobs of a worker at the same time")
    parser.add_argument("--idle", type=float, default=20.0, help="seconds to count commands")
    parser.add_argument("--store", default="redis", choices=["redis", "sqlite"])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, RedisServer(Path(name) / "redis") as server:
        environment = {"REDIS_URL": server.url, "STORE": given.store, "WORKER_CONCURRENCY": str(given.concurrency)}
        with cluster(Path(name) / "cluster", 2, environment) as system:
            both = list(system.workers)
            seconds: dict[int, list[float]] = {1: [], 2: []}
            for turn in range(4):
                count = 1 + turn % 2
                if count == 1:
                    both[1].stop()
                system.workers = both[:count]
                seconds[count].append(batch(system, server, f"turn{turn}", given.jobs, given.latency))
                if count == 1:
                    both[1].start()
            one_s, two_s = min(seconds[1]), min(seconds[2])
            best = given.jobs * given.latency / given.concurrency
            print(f"{given.jobs} jobs of {given.latency:g} s, {given.concurrency} at a time per worker, {given.store}")
            print(f"one worker {one_s:.2f} s (cannot be less than {best:.2f}), two workers {two_s:.2f} s")
            print(f"ratio {one_s / two_s:.2f} (bar: >= 1.8)")
            system.workers = both[:1]
            both[1].stop()
            settle(server)
            rate, calls = idle(server, given.idle)
            delays = starting(system)
            print(f"write to start of its job: p50 {median(delays) * 1e3:.0f} ms, slowest {delays[-1] * 1e3:.0f} ms")
            print(f"idle server and worker: {rate:.1f} commands/s (bar: < 20), {calls}")
            system.workers = both


if __name__ == "__main__":
    main()
