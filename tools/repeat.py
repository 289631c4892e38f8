"""Run a command of pytest again and again, and stop at the first failure: `make repeat N=20`.

Odd runs have two busy loops beside them, which take the processor away at bad moments; even runs are in random order,
whose seed stands in the log. Each run's output is kept in `build/repeat/`.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / "build" / "repeat"
BUSY_LOOPS = 2
_SHOWN = 60  # lines of the log of a run that failed


def main() -> int:
    """Run as often as the first argument says what the others are."""
    times, command = int(sys.argv[1]), sys.argv[2:]
    LOGS.mkdir(parents=True, exist_ok=True)
    for number in range(1, times + 1):
        busy = number % 2 == 1
        how = f"beside {BUSY_LOOPS} busy loops" if busy else "in random order"
        log = LOGS / f"{number:03}.log"
        begun = time.monotonic()
        with busy_loops(BUSY_LOOPS if busy else 0), log.open("w", encoding="utf-8") as output:
            given = [*command, *(() if busy else ("-p", "randomly"))]
            code = subprocess.run(given, cwd=ROOT, check=False, stdout=output, stderr=subprocess.STDOUT).returncode
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        last = lines[-1] if lines else ""
        print(f"run {number} of {times}, {how}: {last} ({time.monotonic() - begun:.0f} s)", flush=True)
        if code:
            print("\n".join(lines[-_SHOWN:]))
            print(f"run {number} failed with {code}; its output is in {log.relative_to(ROOT)}")
            return code
    return 0


@contextmanager
def busy_loops(count: int) -> Iterator[None]:
    """So many processes that only count, while the context is open."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


if __name__ == "__main__":
    sys.exit(main())
