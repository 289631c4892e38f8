"""The context that a plugin receives when a test opens it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from memhost.ports import SystemClock
from memhost.specs import OpenContext
from memhost.testing.factories import DIMENSIONS, EMBEDDER


def open_context(folder: Path, **given: Any) -> OpenContext:
    """A context for the `open` of any spec; fields of `OpenContext` can be given."""
    defaults = {"data_dir": folder, "clock": SystemClock(), "embedder": EMBEDDER, "dimensions": DIMENSIONS}
    return OpenContext(**{**defaults, **given})
