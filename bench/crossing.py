"""Looks for crossings between tenants, namespaces and users for longer than the tests do.

The bar: 0 crossings in 100,000 calls of concurrent callers with equal ids and texts, on each store.

    python -m bench.crossing --calls 100000 --store memory --store sqlite
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.support import scripted
from tests.support.crossing import SETTINGS, Crowd, Report, echo
from tests.support.hosts import running_host


async def crossings(store: str, calls: int, seed: int) -> Report:
    """Let a crowd call a fresh host."""
    scripted.reset().rule = echo
    with tempfile.TemporaryDirectory() as folder:
        async with running_host(Path(folder), store=store, extra=[scripted.POINT], settings=SETTINGS) as host:
            return await Crowd(host, seed).run(calls)


def main() -> int:
    """Run it and print what was found; 1 if anything crossed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--store", action="append")
    options = parser.parse_args()
    failed = False
    for store in options.store or ("memory", "sqlite"):
        begun = time.monotonic()
        report = asyncio.run(crossings(store, options.calls, options.seed))
        seconds = time.monotonic() - begun
        print(f"{store}: {len(report.crossings)} crossings in {report.calls} calls, {seconds:.0f} s")
        for found in report.crossings[:5]:
            print(f"  {found.where}: {found.marks} in {found.text[:500]}")
        print("  " + ", ".join(f"{name} {count}" for name, count in sorted(report.codes.items())))
        failed |= bool(report.crossings)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
