"""Fuzzes a real server with schemathesis, from its own OpenAPI document.

Every operation is called with documented examples, boundary values, random valid and invalid requests, and sequences
that follow the document's links. The bar: no 5xx, no status, header or content type that is not documented, and
every answer valid against its schema.

    python bench/fuzz.py --examples 20000 --store sqlite
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from memhost.testing.server import ServerProcess

LEFT_OUT = (
    "ignored_auth",  # the embedded profile has no authentication: whatever is sent is let in
    "negative_data_rejection",  # the wire is lenient by contract: "5" is an integer, 1 is true
    "positive_data_acceptance",  # filters that contradict each other are refused, which JSON Schema cannot say well
    "unsupported_method",  # the two spellings of a path are one path with the verbs of both
    "allow_header_conformance",  # the same
)
PHASES = ("examples", "coverage", "fuzzing", "stateful")
_OPERATIONS = 20


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a run found.

    Attributes:
        failed: Whether any check failed.
        cases: Requests sent.
        text: What schemathesis printed.
        log: The server's log.
        seconds: How long it took.
    """

    failed: bool
    cases: int
    text: str
    log: str
    seconds: float


def fuzz(folder: Path, *, store: str, per_operation: int, seed: int | None = None, max_time_s: int = 0) -> Report:
    """Fuzz a fresh server on `folder`.

    Args:
        folder: An empty folder.
        store: The store that the server uses.
        per_operation: Random examples for each operation and phase.
        seed: Seed of the random examples.
        max_time_s: Stop after about that many seconds; 0 for no limit.
    """
    data = folder / "data"
    data.mkdir()
    with ServerProcess(data, environment={"STORE": store}) as server:
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json"),
            *("--max-examples", str(per_operation), "--phases", ",".join(PHASES)),
            *("--exclude-checks", ",".join(LEFT_OUT), "--continue-on-failure", "--max-failures", "50"),
            *("--request-timeout", "20", "--no-color", "--output-sanitize", "false"),
            *("--generation-database", "none", "--report-json-path", str(folder / "report.json")),
            *(("--seed", str(seed)) if seed is not None else ()),
            *(("--max-time", str(max_time_s)) if max_time_s else ()),
        ]
        begun = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
        seconds = time.monotonic() - begun
        alive = server.process.poll() is None
    return Report(
        failed=done.returncode != 0 or not alive,
        cases=_cases(folder / "report.json"),
        text=done.stdout + done.stderr,
        log=server.log,
        seconds=seconds,
    )


def _cases(report: Path) -> int:
    found = json.loads(report.read_text()) if report.exists() else {}
    return int(found.get("test_cases", {}).get("generated", 0))


def main() -> int:
    """Run the fuzzer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=20_000, help="about how many requests to send in all")
    parser.add_argument("--store", default="sqlite")
    parser.add_argument("--seed", type=int)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        per_operation = max(1, arguments.examples // _OPERATIONS)
        report = fuzz(Path(folder), store=arguments.store, per_operation=per_operation, seed=arguments.seed)
    print(report.text)
    if report.failed:
        errors = [line for line in report.log.splitlines() if '"level":"error"' in line or " error " in line]
        print("\n".join(errors[:20]))
    print(
        f"{arguments.store}: {report.cases} requests in {report.seconds:.0f} s: {'FAILED' if report.failed else 'ok'}"
    )
    return int(report.failed)


if __name__ == "__main__":
    sys.exit(main())
