"""Schemathesis against a real server: no 5xx, nothing undocumented, every answer valid against its schema."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.fuzz import fuzz

pytest.importorskip("schemathesis")


@pytest.mark.full("random requests; test_bad_input.py and the decoding tests hold the known kinds")
@pytest.mark.timeout(180)
@pytest.mark.parametrize(("store", "seconds"), [("sqlite", 10), ("memory", 5)])
def test_server_keeps_what_its_openapi_document_says(tmp_path: Path, store: str, seconds: int) -> None:
    report = fuzz(tmp_path, store=store, per_operation=12, max_time_s=seconds)
    assert not report.failed, f"{report.text[-20_000:]}\n{report.log[-3_000:]}"
    assert report.cases > 10
    assert "Traceback" not in report.log
