"""Answers to concurrent callers with equal ids and texts never mix owners; `bench/crossing.py` runs longer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import scripted
from tests.support.crossing import MARKS, SETTINGS, Crowd, echo
from tests.support.hosts import run, running_host


@pytest.mark.parametrize(
    ("store", "calls"),
    [
        ("memory", 1500),
        pytest.param("memory", 7500, marks=pytest.mark.full("five times the calls of the case above")),
        pytest.param("sqlite", 2500, marks=pytest.mark.full("what crosses is above the store, where memory shows it")),
    ],
)
async def test_nothing_crosses(store: str, calls: int, tmp_path: Path) -> None:
    scripted.reset().rule = echo
    async with running_host(tmp_path, store=store, extra=[scripted.POINT], settings=SETTINGS) as host:
        report = await Crowd(host, seed=7).run(calls)
    assert not report.crossings, report.crossings[0]
    assert report.calls >= calls
    answered = {name.partition(":")[0] for name, count in report.codes.items() if name.endswith(": ok") and count}
    assert len(answered) >= 20, sorted(report.codes.items())
    assert not [name for name in report.codes if name.endswith((": internal", "unavailable"))], report.codes


async def test_a_crossing_would_be_seen(tmp_path: Path) -> None:
    scripted.reset().rule = echo
    marks = MARKS["default", "blue", "ann"]
    planted = {"id": "k", "text": f"Likes tea {marks}", "namespace": "red", "user_id": "bob"}
    async with running_host(tmp_path, store="memory", extra=[scripted.POINT], settings=SETTINGS) as host:
        await run(host, "create_memories", memories=[planted])
        report = await Crowd(host, seed=7).run(0)
    assert report.crossings
    assert {mark for crossing in report.crossings for mark in crossing.marks} == {marks}
