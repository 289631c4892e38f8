"""Runs a conformance suite on a plugin that is wrong in one way, and tells which of its tests fail."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest


class Outcomes:
    """Notes the outcome of each test."""

    def __init__(self) -> None:
        self.failed: set[str] = set()
        self.passed: set[str] = set()
        self.skipped: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid.rpartition("::")[2].partition("[")[0]
        if report.failed:
            self.failed.add(name)
        elif report.skipped:
            self.skipped.add(name)
        elif report.when == "call":
            self.passed.add(name)


_NUMBERS = itertools.count()
CHOSEN: type = object
"""The suite that runs; the module that pytest collects takes it from here."""


def outcomes(suite: type, folder: Path, tests: str = "") -> Outcomes:
    """Run a suite in this process, and tell what came of it.

    Args:
        suite: The suite.
        folder: For files of pytest.
        tests: Which of its tests, as for `-k`; all by default.
    """
    global CHOSEN
    CHOSEN, found = suite, Outcomes()
    module = folder / f"test_suite_{next(_NUMBERS)}.py"  # pytest keeps modules by name
    module.write_text("from tests.support import kits\n\n\nclass TestSuite(kits.CHOSEN):\n    pass\n")
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n")
    options = ["-q", "--import-mode=importlib", "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:anyio"]
    pytest.main([*options, f"--rootdir={folder}", "-c", str(folder / "pytest.ini"), "-k", tests, str(module)], [found])
    return found
