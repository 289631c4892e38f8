"""Fake distributions: packages with hand-written metadata that are not installed."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, distributions, entry_points
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "data" / "fake-plugins"


def fake_entry_points(*names: str) -> list[EntryPoint]:
    """Entry points of the fake distributions of those names; their folder must be on `sys.path`."""
    found = [
        point
        for distribution in distributions(path=[str(FOLDER)])
        for point in distribution.entry_points
        if point.group == "memhost" and point.name in names
    ]
    assert len(found) == len(names), f"fake plugins missing: {set(names) - {point.name for point in found}}"
    return found


def with_bundled(*names: str) -> list[EntryPoint]:
    """The bundled plugins and the named fake ones."""
    return [*_bundled(), *fake_entry_points(*names)]


@cache
def _bundled() -> tuple[EntryPoint, ...]:
    return tuple(point for point in entry_points(group="memhost") if not point.name.startswith("fake-"))
