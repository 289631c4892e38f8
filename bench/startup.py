"""How long `memhost serve` takes from nothing to its first answer, and how much memory it then holds.

Each run starts a process on an empty data folder with the embedded profile and asks `GET /v1/health`. The bar is that
of the project; a miss of the median makes the exit code 1.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx

from memhost.testing.server import ServerProcess

BAR_S = 1.0


def start_once() -> tuple[float, float]:
    """Seconds from starting the process to its first answer, and its resident memory in MB."""
    with tempfile.TemporaryDirectory() as folder, httpx.Client(timeout=10) as http:
        begun = time.perf_counter()
        with ServerProcess(Path(folder)) as server:
            http.get(f"{server.url}/v1/health").raise_for_status()
            return time.perf_counter() - begun, server.resident_mb()


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=10)
    options = parser.parse_args()
    seconds, sizes = zip(*(start_once() for _ in range(options.runs)), strict=True)
    middle = statistics.median(seconds)
    verdict = "ok" if middle < BAR_S else "MISSED"
    print(f"start to first answer: p50 {middle:.2f} s   max {max(seconds):.2f} s   bar {BAR_S:.1f} s: {verdict}")
    print(f"resident memory: {max(sizes):.0f} MB")
    return 0 if middle < BAR_S else 1


if __name__ == "__main__":
    sys.exit(main())
